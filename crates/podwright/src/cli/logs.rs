//! `logs`.

use super::args::LogsArgs;
use super::connect::{Places, connect};
use super::containers::choose;
use super::exit::{Failure, Outcome};
use super::manifest;
use super::output::{note, print_bytes};
use super::target::pod_name;
use super::time::duration;
use super::view;
use jiff::Timestamp;
use pod_api::client::{Client, LogRequest, Resource, Selectors};
use pod_model::pod::Pod;
use tokio::task::JoinSet;

/// As kubectl has it: of many pods only their last lines, unless more are asked for.
const TAIL_OF_MANY: u64 = 10;

/// Shows what containers wrote.
pub async fn logs(args: &LogsArgs, places: &Places) -> Outcome<u8> {
    let named = match args.selector {
        Some(_) => None,
        None => Some(which(args)?),
    };
    let inline = named.as_ref().and_then(|(_, _, inline)| inline.as_deref());
    if inline.is_some() && (args.container.is_some() || args.all_containers) {
        return Err(Failure::usage(
            "error: only one of -c, --all-containers or an inline [CONTAINER] arg is allowed",
        ));
    }
    let request = request(args)?;
    let client = connect(places).await?;
    let pods = match &named {
        Some((namespace, name, _)) => {
            vec![view::pod(
                &client.get(Resource::Pods, namespace, name).await?,
            )?]
        }
        None => selected(args, &client).await?,
    };
    let mut requests = Vec::new();
    for pod in &pods {
        let of_pod = |container: String| LogRequest {
            namespace: pod.metadata.namespace.to_string(),
            pod: pod.metadata.name.to_string(),
            container,
            ..request.clone()
        };
        if args.all_containers {
            requests.extend(pod.spec.all().map(|(_, _, c)| of_pod(c.name.to_string())));
            continue;
        }
        let (container, said) = choose(pod, args.container.as_deref().or(inline))?;
        if let Some(said) = said {
            note(&said);
        }
        requests.push(of_pod(container));
    }
    if let ([one], false) = (requests.as_slice(), args.all_containers) {
        copy(&client, one, args.prefix).await?;
        return Ok(0);
    }
    if args.follow {
        return side_by_side(&client, requests, args.prefix).await;
    }
    let mut worst = 0;
    for request in requests {
        // A container without logs yet is no reason to hide those of the others.
        if let Err(failure) = copy(&client, &request, args.prefix).await {
            note(&failure.message);
            worst = failure.code as u8;
        }
    }
    Ok(worst)
}

/// The pods with those labels; that there are none is said.
async fn selected(args: &LogsArgs, client: &Client) -> Outcome<Vec<Pod>> {
    let namespace = args.namespace.or_default();
    let selectors = Selectors {
        labels: args.selector.clone().unwrap_or_default(),
        ..Selectors::default()
    };
    let list = client
        .list(Resource::Pods, Some(namespace), &selectors)
        .await?;
    let pods: Vec<Pod> = view::items(list)
        .iter()
        .map(view::pod)
        .collect::<Outcome<_>>()?;
    if pods.is_empty() {
        note(&format!("No resources found in {namespace} namespace."));
    }
    Ok(pods)
}

async fn side_by_side(client: &Client, requests: Vec<LogRequest>, prefix: bool) -> Outcome<u8> {
    let mut tasks = JoinSet::new();
    for request in requests {
        let client = client.clone();
        tasks.spawn(async move { copy(&client, &request, prefix).await });
    }
    let mut worst = 0;
    while let Some(ended) = tasks.join_next().await {
        if let Ok(Err(failure)) = ended {
            note(&failure.message);
            worst = failure.code as u8;
        }
    }
    Ok(worst)
}

fn which(args: &LogsArgs) -> Outcome<(String, String, Option<String>)> {
    let namespace = args.namespace.namespace.as_deref();
    if !args.files.is_empty() {
        let sources = manifest::read(&args.files)?;
        let mut pods = sources.iter().filter(|s| s.resource() == Resource::Pods);
        return match (pods.next(), pods.next()) {
            (Some(pod), None) => Ok((pod.namespace(namespace)?, pod.name().to_owned(), None)),
            _ => Err(Failure::usage(
                "error: the manifest must hold exactly one pod",
            )),
        };
    }
    let namespace = namespace.unwrap_or("default").to_owned();
    match args.pod.as_slice() {
        [pod] => Ok((namespace, pod_name(pod)?.to_owned(), None)),
        [pod, container] => Ok((
            namespace,
            pod_name(pod)?.to_owned(),
            Some(container.clone()),
        )),
        _ => Err(Failure::usage(
            "error: expected 'logs [-f] [-p] (POD | pod/POD) [-c CONTAINER]'",
        )),
    }
}

/// What is asked of each container; its name and its pod are still open.
fn request(args: &LogsArgs) -> Outcome<LogRequest> {
    let since_seconds = match &args.since {
        None => None,
        Some(text) => {
            let read = duration("--since", text)?.filter(|d| !d.is_zero());
            let read =
                read.ok_or_else(|| Failure::usage("error: --since must be greater than 0"))?;
            // Whole seconds, as the API has it; a part of one counts as one.
            let seconds = read.as_secs() + u64::from(read.subsec_nanos() > 0);
            Some(i64::try_from(seconds).unwrap_or(i64::MAX))
        }
    };
    let since_time: Option<Timestamp> = match &args.since_time {
        None => None,
        Some(text) => Some(text.parse().map_err(|e| {
            Failure::usage(format!(
                "error: invalid argument {text:?} for --since-time: {e}"
            ))
        })?),
    };
    let tail = match args.tail {
        None => args.selector.as_ref().map(|_| TAIL_OF_MANY),
        Some(-1) => None,
        Some(n) => Some(
            u64::try_from(n)
                .map_err(|_| Failure::usage("error: --tail must be greater than or equal to -1"))?,
        ),
    };
    Ok(LogRequest {
        namespace: String::new(),
        pod: String::new(),
        container: String::new(),
        follow: args.follow,
        previous: args.previous,
        attempt: args.attempt,
        all_attempts: args.all_attempts,
        timestamps: args.timestamps,
        tail,
        since_seconds,
        since_time,
        limit_bytes: args.limit_bytes,
    })
}

async fn copy(client: &Client, request: &LogRequest, prefix: bool) -> Outcome<()> {
    let mut body = client.logs(request).await?;
    if !prefix {
        while let Some(piece) = body.next().await? {
            print_bytes(&piece)?;
        }
        return Ok(());
    }
    let mut lines = Prefixed::new(format!("[pod/{}/{}] ", request.pod, request.container));
    while let Some(piece) = body.next().await? {
        print_bytes(&lines.add(&piece))?;
    }
    print_bytes(&lines.rest())
}

/// Whole lines with something before each.
#[derive(Debug)]
pub struct Prefixed {
    prefix: String,
    rest: Vec<u8>,
}

impl Prefixed {
    /// Nothing has come yet.
    pub fn new(prefix: String) -> Self {
        Self {
            prefix,
            rest: Vec::new(),
        }
    }

    /// The lines that are whole now.
    pub fn add(&mut self, piece: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(piece);
        let mut out = Vec::new();
        let mut done = 0;
        for line in self.rest.split_inclusive(|b| *b == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            done += line.len();
            out.extend_from_slice(self.prefix.as_bytes());
            out.extend_from_slice(line);
        }
        self.rest.drain(..done);
        out
    }

    /// A last line that was never ended; it is ended now.
    pub fn rest(&mut self) -> Vec<u8> {
        if self.rest.is_empty() {
            return Vec::new();
        }
        self.add(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_before_each_whole_line() {
        let mut lines = Prefixed::new("[a] ".to_owned());
        assert_eq!(lines.add(b"x"), b"");
        assert_eq!(lines.add(b"y\nz\nw"), b"[a] xy\n[a] z\n");
        assert_eq!(lines.rest(), b"[a] w\n");
        assert_eq!(lines.rest(), b"");
    }
}
