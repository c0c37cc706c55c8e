//! How long a container may take to end, and when its turn comes.

use crate::sight::KillReason;
use pod_model::ids::ContainerName;
use pod_model::pod::{Container, Pod};
use std::collections::BTreeSet;

/// Shortest time between stop signal and SIGKILL in seconds, unless the end is asked for at once.
pub const SHORTEST_GRACE_SECONDS: u64 = 2;

/// Seconds from the stop signal to SIGKILL: the deletion's own, else that of the probe that ends the container, else the pod's,
/// else the shortest.
pub fn grace_seconds(
    pod: &Pod,
    container: &Container,
    reason: Option<KillReason>,
    deletion: Option<u64>,
) -> u64 {
    let seconds = |value: i64| u64::try_from(value).unwrap_or(0);
    if let Some(asked) = deletion {
        return asked;
    }
    if let Some(asked) = pod.metadata.deletion_grace_period_seconds {
        return seconds(asked);
    }
    let Some(of_pod) = pod.spec.termination_grace_period_seconds else {
        return SHORTEST_GRACE_SECONDS;
    };
    let probe = match reason {
        Some(KillReason::StartupProbe) => container.startup_probe.as_ref(),
        Some(KillReason::LivenessProbe) => container.liveness_probe.as_ref(),
        Some(KillReason::Unknown) | None => None,
    };
    let of_probe = probe.and_then(|p| p.termination_grace_period_seconds);
    seconds(of_probe.unwrap_or(of_pod))
}

/// Whether a container of a pod that ends must wait for others: a sidecar does, for every app container and for the sidecar
/// after it. `running`: names of containers that have not ended.
pub fn must_wait(pod: &Pod, container: &ContainerName, running: &BTreeSet<&ContainerName>) -> bool {
    let inits = &pod.spec.init_containers;
    let Some(place) = inits.iter().position(|c| c.name == *container) else {
        return false;
    };
    let (_, rest) = inits.split_at(place);
    let Some((this, later)) = rest.split_first() else {
        return false;
    };
    if !this.is_sidecar() {
        return false;
    }
    let runs = |c: &Container| running.contains(&c.name);
    pod.spec.containers.iter().any(runs) || later.iter().any(|c| c.is_sidecar() && runs(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::pod::RestartPolicy;

    fn named(name: &str, sidecar: bool) -> Container {
        Container {
            name: name.into(),
            restart_policy: sidecar.then_some(RestartPolicy::Always),
            ..Container::default()
        }
    }

    #[test]
    fn only_sidecars_wait_for_the_apps_and_for_the_sidecar_after_them() {
        let mut pod = Pod::default();
        pod.spec.init_containers = vec![named("s", true), named("i", false), named("t", true)];
        pod.spec.containers = vec![named("a", false), named("b", false)];
        for (name, running, waits) in [
            ("s", vec!["s", "t", "a"], true),
            ("s", vec!["s", "t"], true),
            ("s", vec!["s", "i"], false),
            ("s", vec!["s"], false),
            ("t", vec!["s", "t", "b"], true),
            ("t", vec!["s", "t"], false),
            ("i", vec!["s", "i", "a"], false),
            ("a", vec!["s", "t", "a", "b"], false),
            ("gone", vec!["a"], false),
        ] {
            let running: Vec<ContainerName> = running.into_iter().map(Into::into).collect();
            let set = running.iter().collect();
            assert_eq!(
                must_wait(&pod, &name.into(), &set),
                waits,
                "{name} beside {running:?}"
            );
        }
    }

    #[test]
    fn the_deletion_decides_the_grace_before_probe_and_pod() {
        let mut pod = Pod::default();
        let container = named("a", false);
        assert_eq!(
            grace_seconds(&pod, &container, None, None),
            SHORTEST_GRACE_SECONDS
        );
        pod.spec.termination_grace_period_seconds = Some(30);
        assert_eq!(grace_seconds(&pod, &container, None, None), 30);
        assert_eq!(grace_seconds(&pod, &container, None, Some(0)), 0);
        pod.metadata.deletion_grace_period_seconds = Some(7);
        assert_eq!(grace_seconds(&pod, &container, None, None), 7);
    }
}
