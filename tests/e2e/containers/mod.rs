//! What containers are asked and told while they run: probes, hooks, sidecars, restart rules.

mod hooks;
mod patches;
mod probes;
mod sidecars;
mod sizes;
mod updates;

use e2e::Node;
use serde_json::Value;

/// Reason, field path and message of each event of a pod, in the order of their first time.
fn events(node: &Node, pod: &str) -> Vec<(String, String, String)> {
    let outcome = node.run(&["get", "events", "-o", "json"]);
    let list: Value = serde_json::from_str(outcome.ok()).expect("events in JSON");
    let items = list["items"].as_array().expect("a list").iter();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let own = items.filter(|e| e["involvedObject"]["name"] == pod);
    own.map(|e| {
        let path = text(&e["involvedObject"]["fieldPath"]);
        (text(&e["reason"]), path, text(&e["message"]))
    })
    .collect()
}

/// Whether an event of that reason begins with that text.
fn said(node: &Node, pod: &str, reason: &str, text: &str) -> bool {
    let all = events(node, pod);
    all.iter()
        .any(|(r, _, message)| r == reason && message.starts_with(text))
}

/// A field of a container's status.
fn container(node: &Node, pod: &str, name: &str) -> Value {
    let status = &node.pod(pod)["status"];
    let lists = ["initContainerStatuses", "containerStatuses"];
    let mut all = lists
        .iter()
        .flat_map(|l| status[*l].as_array().cloned().unwrap_or_default());
    all.find(|c| c["name"] == name).unwrap_or_default()
}

/// Status of a condition.
fn condition(node: &Node, pod: &str, kind: &str) -> String {
    let conditions = node.pod(pod)["status"]["conditions"].clone();
    let list = conditions.as_array().cloned().unwrap_or_default();
    let found = list.iter().find(|c| c["type"] == kind);
    found
        .and_then(|c| c["status"].as_str())
        .unwrap_or_default()
        .to_owned()
}
