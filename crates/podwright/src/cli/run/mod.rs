//! `run`: creates a pod and follows it. The pod belongs to the node daemon: if this client dies, the pod goes on.

mod follow;
mod output;
mod progress;
mod verdict;

use super::args::RunArgs;
use super::connect::{Places, connect};
use super::create::{How, check, create_one};
use super::exit::{Code, Failure, Outcome};
use super::manifest::{self, Source};
use super::output::print;
use super::style::Style;
use super::target::Target;
use super::view::{self, text};
use follow::{Follow, Keep};
use pod_api::client::{Client, Resource};
use pod_model::asked::KEEP_FAILED;
use serde_json::Value;
use std::path::Path;
use verdict::End;

/// Runs a pod; gives the exit status of the container that decides it.
pub async fn run(args: &RunArgs, places: &Places, style: Style) -> Outcome<u8> {
    if let Some(file) = &args.status_file {
        // Known before the pod runs, not after it.
        writable(file)?;
    }
    let result = run_inner(args, places, style).await;
    let (status, code) = match &result {
        Ok(None) => return Ok(0),
        Ok(Some(end)) => (verdict::status_of_end(end), end.exit_status()),
        Err(failure) => (verdict::status_of_failure(failure), failure.code as u8),
    };
    if let Some(file) = &args.status_file {
        verdict::write(file, &status)?;
    }
    result.map(|_| code)
}

fn writable(file: &Path) -> Outcome<()> {
    let folder = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if folder.is_dir() && !file.is_dir() {
        return Ok(());
    }
    Err(Failure::new(
        Code::CantCreate,
        format!(
            "error: --status-file {}: its folder does not exist, or it is a folder itself",
            file.display()
        ),
    ))
}

/// `None`: detached.
async fn run_inner(args: &RunArgs, places: &Places, style: Style) -> Outcome<Option<End>> {
    let namespace = args.namespace.namespace.as_deref();
    let mut sources = manifest::read_as(&args.files, args.compat.version)?;
    if args.keep_failed {
        for source in &mut sources {
            source.annotate(KEEP_FAILED, "true");
        }
    }
    let pods = sources
        .iter()
        .filter(|s| s.resource() == Resource::Pods)
        .count();
    match pods {
        0 => {
            return Err(Failure::new(
                Code::Data,
                "error: the manifest holds no pod; `podwright create -f` takes ConfigMaps and Secrets alone",
            ));
        }
        1 => {}
        _ if args.detach => {}
        n => {
            return Err(Failure::usage(format!(
                "error: run follows one pod, the manifest holds {n}: use run -d, or create -f"
            )));
        }
    }
    check(&sources, namespace, args.allow_unsupported)?;
    let client = connect(places).await?;
    let how = How {
        namespace,
        replace: args.replace,
        allow_unsupported: args.allow_unsupported,
    };
    let mut pod = None;
    // What a pod needs comes before the pod.
    let (configs, pods): (Vec<&Source>, Vec<&Source>) =
        sources.iter().partition(|s| s.resource() != Resource::Pods);
    for source in configs.into_iter().chain(pods) {
        if source.resource() != Resource::Pods
            && !args.replace
            && same(&client, source, namespace).await?
        {
            continue;
        }
        let created = create_one(&client, source, how).await?;
        if args.detach {
            let kind = source.resource().singular();
            print(&format!(
                "{kind}/{} {}\n",
                text(&created.object, "/metadata/name"),
                created.verb
            ))?;
        }
        if source.resource() == Resource::Pods {
            pod = Some(created.object);
        }
    }
    match pod {
        Some(pod) if !args.detach => follow_it(args, places, style, client, &pod).await.map(Some),
        _ => Ok(None),
    }
}

/// Whether a ConfigMap or Secret of that name exists with the same data: then a second run of the same file changes nothing.
async fn same(client: &Client, source: &Source, namespace: Option<&str>) -> Outcome<bool> {
    let namespace = source.namespace(namespace)?;
    let Ok(there) = client
        .get(source.resource(), &namespace, source.name())
        .await
    else {
        return Ok(false);
    };
    let wanted = source.json()?;
    // Null, an empty map and absence say the same.
    let filled = |object: &'_ Value, field: &str| {
        let map = object.get(field).and_then(Value::as_object);
        map.filter(|m| !m.is_empty()).cloned()
    };
    let fields = ["data", "binaryData"];
    Ok(wanted.get("stringData").is_none_or(Value::is_null)
        && fields
            .iter()
            .all(|f| filled(&there, f) == filled(&wanted, f)))
}

async fn follow_it(
    args: &RunArgs,
    places: &Places,
    style: Style,
    client: Client,
    pod: &Value,
) -> Outcome<End> {
    let target = Target {
        resource: Resource::Pods,
        namespace: text(pod, "/metadata/namespace").to_owned(),
        name: text(pod, "/metadata/name").to_owned(),
    };
    let version = text(pod, "/metadata/resourceVersion").to_owned();
    let follow = Follow::new(client, places, target, view::pod(pod)?, style, args.quiet);
    let keep = match (args.keep, args.keep_failed) {
        (true, _) => Keep::Always,
        (false, true) => Keep::Failed,
        (false, false) => Keep::Never,
    };
    follow.until_it_ends(version, keep).await
}
