//! Objects as rows of tables.

use super::exit::{Code, Failure, Outcome};
use jiff::Timestamp;
use pod_api::client::Resource;
use pod_api::wire;
use pod_model::event::Event;
use pod_model::pod::Pod;
use pod_model::service::Service;
use pod_print::duration::since;
use pod_print::events::event_table;
use pod_print::pod_row::{Columns, pod_table};
use pod_print::service::service_table;
use pod_print::table::Table;
use serde_json::Value;

/// A pod of the wire.
pub fn pod(value: &Value) -> Outcome<Pod> {
    Ok(wire::pod_of(value).map_err(|e| unreadable(&e))?.0)
}

/// An event of the wire.
pub fn event(value: &Value) -> Outcome<Event> {
    wire::event_of(value).map_err(|e| unreadable(&e))
}

/// Puts events in the order in which they happened last.
pub fn by_time(events: &mut Vec<Value>) -> Outcome<()> {
    let mut dated = Vec::with_capacity(events.len());
    for value in events.drain(..) {
        dated.push((event(&value)?.last, value));
    }
    dated.sort_by_key(|(last, _)| *last);
    events.extend(dated.into_iter().map(|(_, value)| value));
    Ok(())
}

/// A Service of the wire.
pub fn service(value: &Value) -> Outcome<Service> {
    wire::service_of(value).map_err(|e| unreadable(&e))
}

/// What the node sent is not what this program knows.
pub fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(
        Code::Software,
        format!(
            "error: unreadable object from the node daemon: {error}; is it of another version?"
        ),
    )
}

/// The items of a list.
pub fn items(list: Value) -> Vec<Value> {
    match list {
        Value::Object(mut map) => match map.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A text of an object by its JSON pointer; "" if it has none.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The table of objects of one kind.
pub fn table(
    resource: Resource,
    objects: &[Value],
    columns: Columns,
    now: Timestamp,
) -> Outcome<Table> {
    match resource {
        Resource::Pods => {
            let pods: Vec<Pod> = objects.iter().map(pod).collect::<Outcome<_>>()?;
            Ok(pod_table(&pods, columns, now))
        }
        Resource::Events => {
            let events: Vec<Event> = objects.iter().map(event).collect::<Outcome<_>>()?;
            Ok(event_table(&events, columns.namespace, now))
        }
        Resource::Services => {
            let services: Vec<Service> = objects.iter().map(service).collect::<Outcome<_>>()?;
            Ok(service_table(&services, columns, now))
        }
        Resource::ConfigMaps | Resource::Secrets | Resource::Claims => {
            Ok(config_table(resource, objects, columns, now))
        }
    }
}

fn config_table(resource: Resource, objects: &[Value], columns: Columns, now: Timestamp) -> Table {
    let mut header = Vec::new();
    if columns.namespace {
        header.push("NAMESPACE");
    }
    header.push("NAME");
    if resource == Resource::Secrets {
        header.push("TYPE");
    }
    header.extend(["DATA", "AGE"]);
    if columns.labels {
        header.push("LABELS");
    }
    let mut table = Table::new(header);
    for object in objects {
        let mut cells = Vec::new();
        if columns.namespace {
            cells.push(text(object, "/metadata/namespace").to_owned());
        }
        let name = text(object, "/metadata/name");
        cells.push(if columns.kind {
            format!("{}/{name}", resource.singular())
        } else {
            name.to_owned()
        });
        if resource == Resource::Secrets {
            cells.push(text(object, "/type").to_owned());
        }
        let keys = |field: &str| {
            let map = object.get(field).and_then(Value::as_object);
            map.map_or(0, serde_json::Map::len)
        };
        cells.push((keys("data") + keys("binaryData")).to_string());
        let created = text(object, "/metadata/creationTimestamp").parse().ok();
        cells.push(since(created, now));
        if columns.labels {
            let labels = object.pointer("/metadata/labels").cloned();
            let labels = labels.and_then(|l| serde_json::from_value(l).ok());
            let labels = labels.unwrap_or_default();
            cells.push(pod_print::describe::label_list(&labels));
        }
        table.rows.push(cells);
    }
    table
}
