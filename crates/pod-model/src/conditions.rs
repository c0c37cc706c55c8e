//! Conditions of a pod.

use crate::ids::ContainerName;
use crate::pod::{Container, Pod};
use crate::restart::{self, ALL_CONTAINERS_RESTARTING};
use crate::runtime::PodRuntime;
use crate::status::{Condition, ContainerStatus, Phase, PodStatus};

fn condition(pod: &Pod, kind: &str, ok: bool, reason: &str, message: String) -> Condition {
    Condition {
        kind: kind.to_owned(),
        observed_generation: pod.metadata.generation.filter(|g| *g != 0),
        status: if ok { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message,
        ..Condition::default()
    }
}

/// Names as Go prints a list of them: `[a b]`.
fn names(list: &[&ContainerName]) -> String {
    let texts: Vec<&str> = list.iter().map(|n| n.as_str()).collect();
    format!("[{}]", texts.join(" "))
}

/// Names of containers by what their status says: unknown ones, and those for which `good` does not hold.
fn sort<'a>(
    containers: impl Iterator<Item = &'a Container>,
    statuses: &[ContainerStatus],
    good: impl Fn(&Container, &ContainerStatus) -> bool,
) -> (Vec<&'a ContainerName>, Vec<&'a ContainerName>) {
    let (mut unknown, mut bad) = (Vec::new(), Vec::new());
    for container in containers {
        match statuses.iter().find(|s| s.name == container.name) {
            None => unknown.push(&container.name),
            Some(status) if !good(container, status) => bad.push(&container.name),
            Some(_) => {}
        }
    }
    (unknown, bad)
}

fn message(unknown: &[&ContainerName], bad: &[&ContainerName], what: &str) -> String {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!(
            "containers with unknown status: {}",
            names(unknown)
        ));
    }
    if !bad.is_empty() {
        parts.push(format!("containers with {what} status: {}", names(bad)));
    }
    parts.join(", ")
}

/// `PodReadyToStartContainers`: a sandbox is there, with its network.
pub fn ready_to_start_containers(pod: &Pod, runtime: &PodRuntime) -> Condition {
    let ready = !restart::sandbox_need(pod, runtime).changed;
    condition(pod, "PodReadyToStartContainers", ready, "", String::new())
}

/// `Initialized`: all init containers have done their work; once true, true for good. `statuses`: `None` while nothing is known.
pub fn initialized(
    pod: &Pod,
    old: &[Condition],
    statuses: Option<&[ContainerStatus]>,
    phase: Phase,
) -> Condition {
    let kind = "Initialized";
    if statuses.is_none() && !pod.spec.init_containers.is_empty() {
        return condition(pod, kind, false, "UnknownContainerStatuses", String::new());
    }
    let statuses = statuses.unwrap_or_default();
    let done = |c: &Container, s: &ContainerStatus| match c.is_sidecar() {
        true => s.started == Some(true),
        false => s.ready,
    };
    let (unknown, incomplete) = sort(pod.spec.init_containers.iter(), statuses, done);
    if phase == Phase::Succeeded && unknown.is_empty() {
        return condition(pod, kind, true, "PodCompleted", String::new());
    }
    let text = message(&unknown, &incomplete, "incomplete");
    let before = || old.iter().any(|c| c.kind == kind && c.status == "True");
    if text.is_empty() || restart::any_app_started(&pod.spec, statuses) || before() {
        return condition(pod, kind, true, "", String::new());
    }
    condition(pod, kind, false, "ContainersNotInitialized", text)
}

/// `ContainersReady`: all sidecars and app containers are ready.
pub fn containers_ready(
    pod: &Pod,
    statuses: Option<&[ContainerStatus]>,
    phase: Phase,
) -> Condition {
    readiness(pod, "ContainersReady", statuses, phase)
}

fn readiness(
    pod: &Pod,
    kind: &str,
    statuses: Option<&[ContainerStatus]>,
    phase: Phase,
) -> Condition {
    let Some(statuses) = statuses else {
        return condition(pod, kind, false, "UnknownContainerStatuses", String::new());
    };
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.is_sidecar());
    let counted = sidecars.chain(&pod.spec.containers);
    let (unknown, unready) = sort(counted, statuses, |_, s| s.ready);
    if phase == Phase::Succeeded && unknown.is_empty() {
        return condition(pod, kind, false, "PodCompleted", String::new());
    }
    if phase == Phase::Failed {
        return condition(pod, kind, false, "PodFailed", String::new());
    }
    let text = message(&unknown, &unready, "unready");
    if text.is_empty() {
        condition(pod, kind, true, "", text)
    } else {
        condition(pod, kind, false, "ContainersNotReady", text)
    }
}

/// `Ready`: all containers are, and every readiness gate is met. `others`: the pod's other conditions.
pub fn ready(
    pod: &Pod,
    others: &[Condition],
    statuses: Option<&[ContainerStatus]>,
    phase: Phase,
) -> Condition {
    let containers = readiness(pod, "Ready", statuses, phase);
    if containers.status != "True" {
        return containers;
    }
    let unmet: Vec<String> = pod
        .spec
        .readiness_gates
        .iter()
        .filter_map(|gate| {
            let name = &gate.condition_type;
            match others.iter().find(|c| c.kind == *name) {
                None => Some(format!(
                    "corresponding condition of pod readiness gate {name:?} does not exist."
                )),
                Some(c) if c.status != "True" => Some(format!(
                    "the status of pod readiness gate {name:?} is not \"True\", but {}",
                    c.status
                )),
                Some(_) => None,
            }
        })
        .collect();
    if unmet.is_empty() {
        containers
    } else {
        let text = unmet.join(", ");
        condition(pod, "Ready", false, "ReadinessGatesNotReady", text)
    }
}

/// `PodScheduled`: the pod has a node, this one.
pub fn scheduled(pod: &Pod) -> Condition {
    condition(pod, "PodScheduled", true, "", String::new())
}

/// `AllContainersRestarting`: all containers are being ended and removed, to start anew in the same sandbox.
pub fn all_containers_restarting(
    pod: &Pod,
    old: &PodStatus,
    runtime: &PodRuntime,
    phase: Phase,
) -> Condition {
    let made = |ok, reason: &str, message: &str| Condition {
        observed_generation: None,
        ..condition(
            pod,
            ALL_CONTAINERS_RESTARTING,
            ok,
            reason,
            message.to_owned(),
        )
    };
    let restarting = restart::all_should_restart(pod, Some(runtime), Some(old))
        && !restart::all_are_removed(pod, runtime);
    match phase {
        Phase::Succeeded => made(false, "PodCompleted", ""),
        Phase::Failed => made(false, "PodFailed", ""),
        _ if restarting => made(
            true,
            "RestartAllContainersStarted",
            "container exited with restart policy rule",
        ),
        _ => made(false, "", ""),
    }
}

#[cfg(test)]
mod tests;
