//! `delete`.

use super::args::DeleteArgs;
use super::connect::{Places, connect};
use super::exit::{Code, Failure, Outcome};
use super::find::find_all;
use super::output::{note, print};
use super::target::{Target, Targets, targets};
use super::time::duration;
use super::view::{items, text};
use pod_api::client::{Client, Resource, Selectors};
use pod_api::error::Reason;
use pod_api::feed::ChangeKind;

/// Deletes, and waits until everything of it is gone.
pub async fn delete(args: &DeleteArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.namespace.as_deref();
    let targets = targets(&args.what, &args.files.files, namespace)?;
    let timeout = match &args.timeout {
        Some(text) => duration("--timeout", text)?,
        None => None,
    };
    if args.grace_period.is_some_and(|g| g < -1) {
        return Err(Failure::usage(
            "error: --grace-period must be 0 or more seconds",
        ));
    }
    if args.force && args.grace_period.is_some_and(|g| g > 0) {
        return Err(Failure::usage(
            "error: --force and --grace-period greater than 0 cannot be specified together",
        ));
    }
    let client = connect(places).await?;
    let named = match targets {
        Targets::Named(_) if args.all || args.selector.is_some() => {
            return Err(Failure::usage(
                "error: names, --all and a selector (-l) exclude each other",
            ));
        }
        Targets::Named(named) => named,
        Targets::Kinds(_) if !args.all && args.selector.is_none() => {
            return Err(Failure::usage(
                "error: resource(s) were provided, but no name was specified (--all takes every one)",
            ));
        }
        Targets::Kinds(kinds) => {
            let scope = (!args.all_namespaces).then(|| args.namespace.or_default());
            find_all(&client, &kinds, scope, args.selector.as_deref()).await?
        }
    };
    if named.is_empty() {
        print("No resources found\n")?;
        return Ok(0);
    }
    let work = remove(args, &client, &named);
    match timeout {
        None => work.await,
        Some(timeout) => tokio::time::timeout(timeout, work)
            .await
            .unwrap_or_else(|_| {
                Err(Failure::new(
                    Code::Temporary,
                    "error: timed out waiting for the condition: the deletion goes on",
                ))
            }),
    }
}

async fn remove(args: &DeleteArgs, client: &Client, named: &[Target]) -> Outcome<u8> {
    let grace = match args.grace_period {
        _ if args.force => Some(0),
        _ if args.now => Some(1),
        Some(-1) | None => None,
        Some(seconds) => Some(seconds),
    };
    let mut worst = None;
    let mut leaving = Vec::new();
    // First all deletions, then all waiting: pods end side by side.
    for target in named {
        match begin(client, target, grace).await {
            Ok(uid) => leaving.push((target, uid)),
            Err(error) if args.ignore_not_found && error.code == Code::NoInput => {}
            Err(error) => {
                note(&error.message);
                worst.get_or_insert(error.code as u8);
            }
        }
    }
    for (target, uid) in leaving {
        if args.wait && target.resource == Resource::Pods {
            gone(client, target, &uid).await?;
        }
        let kind = target.resource.singular();
        if args.output.is_some() {
            print(&format!("{kind}/{}\n", target.name))?;
            continue;
        }
        let verb = if grace == Some(0) {
            "force deleted"
        } else {
            "deleted"
        };
        print(&format!(
            "{kind} \"{}\" {verb} from {} namespace\n",
            target.name, target.namespace
        ))?;
    }
    Ok(worst.unwrap_or(0))
}

async fn begin(client: &Client, target: &Target, grace: Option<i64>) -> Outcome<String> {
    let grace = grace.filter(|_| target.resource == Resource::Pods);
    let deleted = client
        .delete(
            target.resource,
            &target.namespace,
            &target.name,
            grace,
            None,
        )
        .await?;
    Ok(text(&deleted, "/metadata/uid").to_owned())
}

/// Deletes a pod and waits until all of it is gone.
pub async fn delete_and_wait(client: &Client, target: &Target, grace: Option<i64>) -> Outcome<()> {
    let uid = match begin(client, target, grace).await {
        Ok(uid) => uid,
        Err(failure) if failure.code == Code::NoInput => return Ok(()),
        Err(failure) => return Err(failure),
    };
    gone(client, target, &uid).await
}

/// Comes back when the pod of that uid is gone.
pub async fn gone(client: &Client, target: &Target, uid: &str) -> Outcome<()> {
    let selectors = Selectors::name(&target.name);
    loop {
        let namespace = Some(target.namespace.as_str());
        let list = client.list(target.resource, namespace, &selectors).await?;
        let version = text(&list, "/metadata/resourceVersion").to_owned();
        let there = items(list);
        if !there.iter().any(|o| text(o, "/metadata/uid") == uid) {
            return Ok(());
        }
        let watch = client.watch(target.resource, namespace, &selectors, Some(&version));
        let mut watch = watch.await?;
        loop {
            match watch.next().await {
                Ok(Some(event)) => {
                    let same = text(&event.object, "/metadata/uid") == uid;
                    if !same || event.kind == ChangeKind::Deleted {
                        return Ok(());
                    }
                }
                Ok(None) => break,
                Err(error) if error.reason() == Some(Reason::Expired) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
