//! `describe`.

use super::args::DescribeArgs;
use super::connect::{Places, connect};
use super::exit::{Failure, Outcome};
use super::output::{note, print};
use super::target::{Target, Targets, targets};
use super::view::{event, items, text, unreadable};
use jiff::Timestamp;
use pod_api::client::{Client, Resource, Selectors};
use pod_api::wire;
use pod_model::event::Event;
use pod_print::describe::{Described, describe_pod};
use serde_json::Value;

/// Tells everything about pods.
pub async fn describe(args: &DescribeArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.namespace.as_deref();
    let targets = targets(&args.what, &args.files.files, namespace)?;
    let client = connect(places).await?;
    let pods = match targets {
        Targets::Kinds(kinds) => all(args, &client, &kinds).await?,
        Targets::Named(named) => get(&client, &named).await?,
    };
    for (i, pod) in pods.iter().enumerate() {
        if i > 0 {
            print("\n\n")?;
        }
        print(&text_of(args, &client, pod).await?)?;
    }
    if pods.is_empty() {
        note(&match args.all_namespaces {
            true => "No resources found".to_owned(),
            false => format!(
                "No resources found in {} namespace.",
                args.namespace.or_default()
            ),
        });
    }
    Ok(0)
}

fn only_pods(resource: Resource) -> Outcome<()> {
    if resource == Resource::Pods {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "error: only pods are described; `podwright get {} -o yaml` shows these",
        resource.plural()
    )))
}

async fn all(args: &DescribeArgs, client: &Client, kinds: &[Resource]) -> Outcome<Vec<Value>> {
    let scope = (!args.all_namespaces).then(|| args.namespace.or_default());
    let selectors = Selectors {
        labels: args.selector.clone().unwrap_or_default(),
        ..Selectors::default()
    };
    let mut found = Vec::new();
    for kind in kinds {
        only_pods(*kind)?;
        found.extend(items(client.list(*kind, scope, &selectors).await?));
    }
    Ok(found)
}

async fn get(client: &Client, named: &[Target]) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for target in named {
        only_pods(target.resource)?;
        found.push(
            client
                .get(Resource::Pods, &target.namespace, &target.name)
                .await?,
        );
    }
    Ok(found)
}

async fn text_of(args: &DescribeArgs, client: &Client, value: &Value) -> Outcome<String> {
    let (pod, extras) = wire::pod_of(value).map_err(|e| unreadable(&e))?;
    let events: Option<Vec<Event>> = if args.show_events {
        let selectors = Selectors {
            fields: format!("involvedObject.uid={}", pod.metadata.uid),
            ..Selectors::default()
        };
        let namespace = text(value, "/metadata/namespace");
        let list = client
            .list(Resource::Events, Some(namespace), &selectors)
            .await?;
        let events = items(list).iter().map(event).collect::<Outcome<_>>()?;
        Some(events)
    } else {
        None
    };
    Ok(describe_pod(Described {
        pod: &pod,
        extras: &extras,
        events: events.as_deref(),
        now: Timestamp::now(),
    }))
}
