//! Whom the kernel kills first when the node runs out of memory.

use crate::pod::{Container, Pod};
use crate::qos::qos_class;
use crate::resources::{
    MEMORY, Options, aggregate_container_requests, amount, has_pod_level_requests,
};
use crate::status::QosClass;

/// oom_score_adj of containers that go last: Guaranteed and node-critical pods.
pub const GUARANTEED: i32 = -997;
/// oom_score_adj of containers that go first: BestEffort pods.
pub const BEST_EFFORT: i32 = 1000;
/// oom_score_adj of a sandbox's pause process.
pub const SANDBOX: i32 = -998;

/// `priority` from which on a pod is critical.
const SYSTEM_CRITICAL_PRIORITY: i32 = 2_000_000_000;

/// oom_score_adj of a container. A Burstable one goes the later the more memory it asked for (3 to 999, a thousandth for each
/// thousandth of the node's `memory_capacity` in bytes); a sidecar never goes before the apps that it serves. Above 1000, which the
/// kernel does not take, only for a pod whose own request is less than its containers' sum; validation lets no such pod in.
pub fn oom_score_adj(pod: &Pod, container: &Container, memory_capacity: i64) -> i32 {
    match qos_class(pod) {
        _ if is_node_critical(pod) => GUARANTEED,
        QosClass::Guaranteed => GUARANTEED,
        QosClass::BestEffort => BEST_EFFORT,
        QosClass::Burstable => burstable(pod, container, memory_capacity),
    }
}

fn burstable(pod: &Pod, container: &Container, memory_capacity: i64) -> i32 {
    let spare = spare_request_per_container(pod);
    let adjust = |request: i64| {
        let share = i128::from(request.saturating_add(spare)) * 1000;
        1000 - share.checked_div(i128::from(memory_capacity)).unwrap_or(0)
    };
    let mut score = adjust(memory_request(container));
    let is_sidecar = container.is_sidecar()
        && pod
            .spec
            .init_containers
            .iter()
            .any(|c| c.name == container.name);
    if is_sidecar && let Some(least) = pod.spec.containers.iter().map(memory_request).min() {
        score = score.min(adjust(least));
    }
    let score = score.max(i128::from(BEST_EFFORT + GUARANTEED));
    match i32::try_from(score) {
        // Not as early as a pod that asked for nothing.
        Ok(BEST_EFFORT) => BEST_EFFORT - 1,
        Ok(score) => score,
        Err(_) => i32::MAX,
    }
}

fn memory_request(container: &Container) -> i64 {
    amount(&container.resources.requests, MEMORY).value()
}

/// What the pod as a whole asks for beyond its containers, in equal parts.
fn spare_request_per_container(pod: &Pod) -> i64 {
    let Some(resources) = pod
        .spec
        .resources
        .as_ref()
        .filter(|_| has_pod_level_requests(pod))
    else {
        return 0;
    };
    let asked = amount(&resources.requests, MEMORY);
    if asked.is_zero() {
        return 0;
    }
    let containers = amount(
        &aggregate_container_requests(pod, &Options::default()),
        MEMORY,
    );
    let count = pod.spec.containers.len() + pod.spec.init_containers.len();
    let spare = asked.value().saturating_sub(containers.value());
    i64::try_from(count)
        .ok()
        .and_then(|n| spare.checked_div(n))
        .unwrap_or(0)
}

/// Class `system-node-critical` and critical at all: by priority, or because the node's own files brought it.
fn is_node_critical(pod: &Pod) -> bool {
    let annotation = |key: &str| pod.metadata.annotations.get(key);
    let of_this_node = annotation("kubernetes.io/config.mirror").is_some()
        || annotation("kubernetes.io/config.source").is_some_and(|source| source != "api");
    let critical = of_this_node
        || pod
            .spec
            .priority
            .is_some_and(|p| p >= SYSTEM_CRITICAL_PRIORITY);
    critical && pod.spec.priority_class_name.as_deref() == Some("system-node-critical")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::Resources;

    fn container(name: &str, memory: &str) -> Container {
        let requests = if memory.is_empty() {
            Default::default()
        } else {
            [(MEMORY.to_owned(), memory.parse().unwrap())].into()
        };
        Container {
            name: name.into(),
            resources: Resources {
                requests,
                ..Resources::default()
            },
            ..Container::default()
        }
    }

    #[test]
    fn a_pod_is_critical_for_its_node_by_class_and_by_priority_or_source() {
        let most = SYSTEM_CRITICAL_PRIORITY;
        for (class, priority, source, mirror, critical) in [
            ("system-node-critical", Some(most), None, false, true),
            ("system-node-critical", Some(most - 1), None, false, false),
            ("system-node-critical", None, None, false, false),
            ("system-node-critical", None, Some("file"), false, true),
            ("system-node-critical", None, Some("api"), false, false),
            ("system-node-critical", None, None, true, true),
            ("system-cluster-critical", Some(most), None, true, false),
        ] {
            let mut pod = Pod::default();
            pod.spec.priority = priority;
            pod.spec.priority_class_name = Some(class.to_owned());
            let source = source.map(|s: &str| ("kubernetes.io/config.source", s));
            let mirror = mirror.then_some(("kubernetes.io/config.mirror", "x"));
            let annotations = source.into_iter().chain(mirror);
            pod.metadata.annotations = annotations
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect();
            assert_eq!(
                is_node_critical(&pod),
                critical,
                "{class} {priority:?} {source:?}"
            );
        }
    }

    #[test]
    fn a_burstable_container_goes_the_later_the_more_it_asked_for() {
        let mut pod = Pod::default();
        pod.spec.init_containers = vec![container("i", "")];
        pod.spec.containers = vec![container("half", "4Gi"), container("all", "8Gi")];
        for (name, score) in [("i", 999), ("half", 500), ("all", 3)] {
            let (_, _, container) = pod.spec.find(name).unwrap();
            assert_eq!(oom_score_adj(&pod, container, 8 << 30), score, "{name}");
        }
        // A pod that asks for less than its containers do: each one's part of that is negative.
        let mut short = pod.clone();
        short.spec.resources = Some(Resources {
            requests: [(MEMORY.to_owned(), "6Gi".parse().unwrap())].into(),
            ..Resources::default()
        });
        let first = &short.spec.init_containers[0];
        assert_eq!(oom_score_adj(&short, first, 8 << 30), 1250);
        pod.spec.priority = Some(2_000_001_000);
        pod.spec.priority_class_name = Some("system-node-critical".to_owned());
        assert_eq!(
            oom_score_adj(&pod, &container("i", ""), 8 << 30),
            GUARANTEED
        );
    }
}
