//! `describe`.

use super::args::DescribeArgs;
use super::connect::{Places, connect};
use super::exit::{Failure, Outcome};
use super::output::{note, print};
use super::target::{Target, Targets, targets};
use super::view::{event, items, pod, service, text, unreadable};
use jiff::Timestamp;
use pod_api::client::{Client, Resource, Selectors};
use pod_api::wire;
use pod_model::event::Event;
use pod_model::pod::Pod;
use pod_plan::endpoints::endpoints;
use pod_print::config::{describe_config_map, describe_secret};
use pod_print::describe::{Described, describe_pod};
use pod_print::service::describe_service;
use serde_json::Value;

/// Tells everything about pods, Services, ConfigMaps and Secrets.
pub async fn describe(args: &DescribeArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.namespace.as_deref();
    let targets = targets(&args.what, &args.files.files, namespace)?;
    let client = connect(places).await?;
    let found = match targets {
        Targets::Kinds(kinds) => all(args, &client, &kinds).await?,
        Targets::Named(named) => get(&client, &named).await?,
    };
    for (i, (kind, object)) in found.iter().enumerate() {
        if i > 0 {
            print("\n\n")?;
        }
        print(&match kind {
            Resource::Services => service_text(args, &client, object).await?,
            Resource::ConfigMaps => {
                let map = wire::config_map_of(object).map_err(|e| unreadable(&e))?;
                describe_config_map(&map, args.show_events)
            }
            Resource::Secrets => {
                describe_secret(&wire::secret_of(object).map_err(|e| unreadable(&e))?)
            }
            _ => text_of(args, &client, object).await?,
        })?;
    }
    if found.is_empty() {
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

fn can_be_described(resource: Resource) -> Outcome<()> {
    if !matches!(resource, Resource::Events | Resource::Claims) {
        return Ok(());
    }
    let plural = resource.plural();
    Err(Failure::usage(format!(
        "error: {plural} are not described; `podwright get {plural} -o yaml` shows them"
    )))
}

type Found = Vec<(Resource, Value)>;

async fn all(args: &DescribeArgs, client: &Client, kinds: &[Resource]) -> Outcome<Found> {
    let scope = (!args.all_namespaces).then(|| args.namespace.or_default());
    let selectors = Selectors {
        labels: args.selector.clone().unwrap_or_default(),
        ..Selectors::default()
    };
    let mut found = Vec::new();
    for kind in kinds {
        can_be_described(*kind)?;
        let of_kind = items(client.list(*kind, scope, &selectors).await?);
        found.extend(of_kind.into_iter().map(|object| (*kind, object)));
    }
    Ok(found)
}

async fn get(client: &Client, named: &[Target]) -> Outcome<Found> {
    let mut found = Vec::new();
    for target in named {
        can_be_described(target.resource)?;
        let object = client
            .get(target.resource, &target.namespace, &target.name)
            .await?;
        found.push((target.resource, object));
    }
    Ok(found)
}

async fn service_text(args: &DescribeArgs, client: &Client, value: &Value) -> Outcome<String> {
    let service = service(value)?;
    let namespace = Some(service.namespace.as_str());
    let list = client
        .list(Resource::Pods, namespace, &Selectors::default())
        .await?;
    let pods: Vec<Pod> = items(list).iter().map(pod).collect::<Outcome<_>>()?;
    let behind = |port| endpoints(&service, port, pods.iter());
    let behind: Vec<_> = service.ports.iter().map(behind).collect();
    Ok(describe_service(&service, &behind, args.show_events))
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
