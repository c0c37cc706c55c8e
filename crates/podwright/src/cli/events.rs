//! `events`.

use super::args::{EventsArgs, Output};
use super::connect::{Places, connect};
use super::exit::Outcome;
use super::output::{data, data_format, list_or_one, note, print};
use super::target::pod_name;
use super::view::{by_time, items, table, text};
use jiff::Timestamp;
use pod_api::client::{Resource, Selectors};
use pod_api::feed::ChangeKind;
use pod_print::pod_row::Columns;
use serde_json::Value;

/// Shows what has happened.
pub async fn events(args: &EventsArgs, places: &Places) -> Outcome<u8> {
    let mut fields = Vec::new();
    if let Some(pod) = &args.of {
        fields.push(format!("involvedObject.name={}", pod_name(pod)?));
    }
    let selectors = Selectors {
        fields: fields.join(","),
        ..Selectors::default()
    };
    let scope = (!args.all_namespaces).then(|| args.namespace.or_default());
    let columns = Columns {
        namespace: args.all_namespaces,
        ..Columns::default()
    };
    let wanted = |event: &Value| {
        args.types.is_empty() || args.types.iter().any(|t| t == text(event, "/type"))
    };
    let client = connect(places).await?;
    let list = client.list(Resource::Events, scope, &selectors).await?;
    let version = text(&list, "/metadata/resourceVersion").to_owned();
    let mut found: Vec<Value> = items(list).into_iter().filter(wanted).collect();
    if let Some(format) = data_format(args.output) {
        print(&data(&list_or_one(found.clone(), false), format)?)?;
    } else if args.output == Some(Output::Name) {
        for event in &found {
            print(&format!("event/{}\n", text(event, "/metadata/name")))?;
        }
    } else if found.is_empty() && !args.watch {
        note(&match scope {
            Some(namespace) => format!("No events found in {namespace} namespace."),
            None => "No events found.".to_owned(),
        });
    } else {
        by_time(&mut found)?;
        let table = table(Resource::Events, &found, columns, Timestamp::now())?;
        print(&table.render(!args.no_headers))?;
    }
    if !args.watch {
        return Ok(0);
    }
    let mut watch = client
        .watch(Resource::Events, scope, &selectors, Some(&version))
        .await?;
    while let Some(event) = watch.next().await? {
        if event.kind == ChangeKind::Deleted || !wanted(&event.object) {
            continue;
        }
        if let Some(format) = data_format(args.output) {
            print(&data(&event.object, format)?)?;
            continue;
        }
        // The new row is laid out with the latest ones, so that columns keep their width; the newest stands last.
        found.push(event.object);
        let keep = found.len().saturating_sub(64);
        found.drain(..keep);
        let table = table(Resource::Events, &found, columns, Timestamp::now())?;
        let text = table.render(false);
        print(text.split_inclusive('\n').next_back().unwrap_or_default())?;
    }
    Ok(0)
}
