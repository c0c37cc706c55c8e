//! Values of `fieldRef` and `resourceFieldRef`, as far as kubectl can tell them without the node.

use pod_model::pod::{Container, Pod, ResourceFieldRef};
use pod_model::quantity::{Format, Quantity};

/// The value of the two fields whose labels kubectl knows; `None` for every other field: it leaves those to the node.
pub(super) fn field_text(pod: &Pod, path: &str) -> Option<String> {
    match path {
        "metadata.name" => Some(pod.metadata.name.to_string()),
        "metadata.namespace" => Some(pod.metadata.namespace.to_string()),
        _ => None,
    }
}

/// `limits.cpu` and its like in units of the divisor, rounded up; before that both are rounded up to whole units (cpu: thousandths).
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
    let whole = |quantity: &Quantity| {
        let units = match name {
            "cpu" => quantity.milli_value(),
            _ => quantity.value(),
        };
        Quantity::from_value(units, Format::DecimalSI)
    };
    let parts = whole(amount).ceil_div(&whole(divisor.unwrap_or(&one)))?;
    Some(parts.to_string())
}
