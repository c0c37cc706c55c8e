//! Values of `fieldRef` and `resourceFieldRef`, as far as kubectl can tell them without the node.

use pod_model::pod::{Container, Pod, ResourceFieldRef};
use pod_model::quantity::{Format, Quantity};
use std::collections::BTreeMap;

/// The value of a field of metadata; `None` for every other field: only the node knows it.
pub(super) fn field_text(pod: &Pod, path: &str) -> Option<String> {
    let meta = &pod.metadata;
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        let map = match map {
            "metadata.labels" => &meta.labels,
            "metadata.annotations" => &meta.annotations,
            _ => return None,
        };
        return Some(map.get(key).cloned().unwrap_or_default());
    }
    match path {
        "metadata.name" => Some(meta.name.to_string()),
        "metadata.namespace" => Some(meta.namespace.to_string()),
        "metadata.uid" => Some(meta.uid.to_string()),
        "metadata.labels" => Some(map_text(&meta.labels)),
        "metadata.annotations" => Some(map_text(&meta.annotations)),
        _ => None,
    }
}

/// Sorted lines `key="value"`.
fn map_text(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    lines.join("\n")
}

/// `limits.cpu` and its like in units of the divisor, rounded up.
pub(super) fn resource_text(container: &Container, field: &ResourceFieldRef) -> Option<String> {
    let (list, name) = field.resource.split_once('.')?;
    let list = match list {
        "limits" => &container.resources.limits,
        "requests" => &container.resources.requests,
        _ => return None,
    };
    let known = matches!(name, "cpu" | "memory" | "ephemeral-storage");
    if !known && !name.starts_with("hugepages-") {
        return None;
    }
    let one = Quantity::from_value(1, Format::DecimalSI);
    let divisor = field.divisor.as_ref().filter(|d| !d.is_zero());
    let nothing = Quantity::default();
    let amount = list.get(name).unwrap_or(&nothing);
    Some(amount.ceil_div(divisor.unwrap_or(&one))?.to_string())
}
