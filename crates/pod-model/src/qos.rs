//! The QoS class of a pod.

use crate::common::{ResourceList, Resources};
use crate::pod::Pod;
use crate::quantity::Quantity;
use crate::resources::{CPU, MEMORY};
use crate::status::QosClass;
use std::collections::BTreeMap;

impl QosClass {
    /// The name as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            QosClass::Guaranteed => "Guaranteed",
            QosClass::Burstable => "Burstable",
            QosClass::BestEffort => "BestEffort",
        }
    }
}

/// `status.qosClass` if it is set (it never changes), else what the spec makes of it.
pub fn qos_class(pod: &Pod) -> QosClass {
    pod.status
        .as_ref()
        .and_then(|s| s.qos_class)
        .unwrap_or_else(|| compute_qos(pod))
}

/// The class that the spec asks for: from `spec.resources` alone where it is set, else from apps and init containers.
///
/// Only cpu and memory count, and only amounts above zero.
pub fn compute_qos(pod: &Pod) -> QosClass {
    let mut requests = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let every_limit = match &pod.spec.resources {
        Some(resources) => {
            sum(&mut requests, &resources.requests);
            sum(&mut limits, &resources.limits);
            resources.limits.is_empty() || has_both_limits(resources)
        }
        None => {
            let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
            for container in containers.clone() {
                sum(&mut requests, &container.resources.requests);
                sum(&mut limits, &container.resources.limits);
            }
            containers.map(|c| &c.resources).all(has_both_limits)
        }
    };
    if requests.is_empty() && limits.is_empty() {
        return QosClass::BestEffort;
    }
    if every_limit && requests == limits {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}

fn counted(list: &ResourceList) -> impl Iterator<Item = (&str, &Quantity)> {
    list.iter()
        .map(|(name, quantity)| (name.as_str(), quantity))
        .filter(|(name, quantity)| (*name == CPU || *name == MEMORY) && quantity.sign() > 0)
}

fn sum<'a>(sums: &mut BTreeMap<&'a str, Quantity>, list: &'a ResourceList) {
    for (name, quantity) in counted(list) {
        sums.entry(name)
            .and_modify(|s| *s = s.add(quantity))
            .or_insert_with(|| quantity.clone());
    }
}

fn has_both_limits(resources: &Resources) -> bool {
    counted(&resources.limits).count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_the_status_tells_never_changes() {
        for (class, name) in [
            (QosClass::Guaranteed, "Guaranteed"),
            (QosClass::Burstable, "Burstable"),
            (QosClass::BestEffort, "BestEffort"),
        ] {
            let mut pod = Pod::default();
            assert_eq!(qos_class(&pod), QosClass::BestEffort);
            pod.status = Some(crate::status::PodStatus {
                qos_class: Some(class),
                ..crate::status::PodStatus::default()
            });
            assert_eq!(qos_class(&pod), class);
            assert_eq!(class.as_str(), name);
        }
    }
}
