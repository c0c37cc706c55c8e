//! Events as `describe` and `events` show them.

use crate::duration::since;
use crate::table::Table;
use jiff::Timestamp;
use pod_model::event::Event;

/// `16s`, or `2m (x5 over 10m)` for one that came back.
pub fn interval(event: &Event, now: Timestamp) -> String {
    let first = since(Some(event.first), now);
    if event.count > 1 {
        let last = since(Some(event.last), now);
        format!("{last} (x{} over {first})", event.count)
    } else {
        first
    }
}

/// Sorted as kubectl sorts them: by when they happened last.
pub fn sorted(events: &[Event]) -> Vec<&Event> {
    let mut all: Vec<&Event> = events.iter().collect();
    all.sort_by_key(|e| e.last);
    all
}

/// The message as `describe` shows it: behind the container that it is about.
pub fn message_with_field(event: &Event) -> String {
    let message = event.message.trim();
    if event.field_path.is_empty() {
        message.to_owned()
    } else {
        format!("{}: {message}", event.field_path)
    }
}

/// The table of `podwright events`, in the order given. Messages name their container, since two of them often say the same.
pub fn event_table(events: &[Event], namespace: bool, now: Timestamp) -> Table {
    let mut header = Vec::new();
    if namespace {
        header.push("NAMESPACE");
    }
    header.extend(["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]);
    let mut table = Table::new(header);
    for event in events {
        let mut cells = Vec::new();
        if namespace {
            cells.push(event.pod.namespace.to_string());
        }
        cells.extend([
            interval(event, now),
            event.kind.as_str().to_owned(),
            event.reason.clone(),
            format!("Pod/{}", event.pod.name),
            message_with_field(event),
        ]);
        table.rows.push(cells);
    }
    table
}
