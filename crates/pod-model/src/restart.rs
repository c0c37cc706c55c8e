//! Whether a container runs again once it has ended: policy of the pod, policy and rules of the container.

use crate::pod::{
    Container, ContainerKind, ExitCodeOperator, Pod, PodSpec, RestartAction, RestartPolicy,
    RestartRule,
};
use crate::runtime::{ContainerRecord, NamespaceMode, PodRuntime, RunState};
use crate::status::{ContainerStatus, PodStatus};

/// Type of the condition that marks a pod whose containers are all being made anew in place.
pub const ALL_CONTAINERS_RESTARTING: &str = "AllContainersRestarting";

/// The first of the container's rules that speaks of that exit code.
pub fn matching_rule(container: &Container, code: i32) -> Option<&RestartRule> {
    container.restart_policy_rules.iter().find(|rule| {
        rule.exit_codes.as_ref().is_some_and(|codes| {
            let listed = codes.values.contains(&code);
            match codes.operator {
                ExitCodeOperator::In => listed,
                ExitCodeOperator::NotIn => !listed,
            }
        })
    })
}

/// Whether a container that ended with that code runs again. Its own policy and rules go before the pod's; a matching rule goes first.
pub fn restarts_after(spec: &PodSpec, container: &Container, code: i32) -> bool {
    let policy = match container.restart_policy {
        // Both actions run it again; they differ in what happens to the other containers.
        Some(_) if matching_rule(container, code).is_some() => return true,
        Some(own) => own,
        None => spec.restart(),
    };
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => code != 0,
        RestartPolicy::Never => false,
    }
}

/// Whether there is an exit code after which that container runs again.
pub fn is_restartable(spec: &PodSpec, container: &Container) -> bool {
    match container.restart_policy {
        Some(own) => {
            let restarting = |r: &RestartRule| r.action == RestartAction::Restart;
            container.restart_policy_rules.iter().any(restarting) || own != RestartPolicy::Never
        }
        None => spec.restart() != RestartPolicy::Never,
    }
}

/// Whether the container should run although its newest record says it does not. A deleted pod restarts nothing.
pub fn should_restart(pod: &Pod, container: &Container, runtime: &PodRuntime) -> bool {
    if pod.is_deleted() {
        return false;
    }
    let Some(record) = runtime.newest(&container.name) else {
        return true;
    };
    match record.state {
        RunState::Running => false,
        RunState::Created | RunState::Unknown => true,
        RunState::Exited => restarts_after(&pod.spec, container, record.exit_code()),
    }
}

/// Whether an init container's newest record means that it has not done its work (OOM kills count, whatever the code).
pub fn init_failed(state: RunState, code: i32, reason: &str) -> bool {
    reason == "OOMKilled" || state == RunState::Unknown || (state == RunState::Exited && code != 0)
}

fn init_and_apps(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.all()
        .filter(|(kind, _, _)| *kind != ContainerKind::Ephemeral)
        .map(|(_, _, c)| c)
}

fn restarts_all(container: &Container, code: i32) -> bool {
    matching_rule(container, code)
        .is_some_and(|rule| rule.action == RestartAction::RestartAllContainers)
}

/// Whether a record is the end that makes all containers of its pod start anew.
pub fn triggers_restart_of_all(container: &Container, record: &ContainerRecord) -> bool {
    record.state == RunState::Exited && restarts_all(container, record.exit_code())
}

/// Whether some rule of the pod can make all its containers start anew.
pub fn all_could_restart(spec: &PodSpec) -> bool {
    init_and_apps(spec)
        .flat_map(|c| &c.restart_policy_rules)
        .any(|rule| rule.action == RestartAction::RestartAllContainers)
}

/// Whether all containers of the pod start anew now: it is marked so, or one ended with a code that asks for it.
pub fn all_should_restart(
    pod: &Pod,
    runtime: Option<&PodRuntime>,
    status: Option<&PodStatus>,
) -> bool {
    let marked = status.is_some_and(|s| {
        let is_marked = |c: &crate::status::Condition| {
            c.kind == ALL_CONTAINERS_RESTARTING && c.status == "True"
        };
        s.conditions.iter().any(is_marked)
    });
    if marked {
        return true;
    }
    init_and_apps(&pod.spec).any(|container| {
        if let Some(runtime) = runtime {
            let Some(record) = runtime.newest(&container.name) else {
                return false;
            };
            if record.state != RunState::Exited {
                return false;
            }
            if restarts_all(container, record.exit_code()) {
                return true;
            }
        }
        let Some(status) = status else {
            return false;
        };
        let known = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
            .find(|s| s.name == container.name);
        let ended = known.and_then(|s| s.state.terminated.as_ref());
        ended.is_some_and(|t| restarts_all(container, t.exit_code))
    })
}

/// Whether no record of any init or app container is left: the restart of all has come to its second half.
pub fn all_are_removed(pod: &Pod, runtime: &PodRuntime) -> bool {
    init_and_apps(&pod.spec).all(|c| runtime.newest(&c.name).is_none())
}

/// Whether any app container is running or has run, as its status tells.
pub fn any_app_started(spec: &PodSpec, statuses: &[ContainerStatus]) -> bool {
    let is_app = |s: &ContainerStatus| spec.containers.iter().any(|c| c.name == s.name);
    statuses
        .iter()
        .any(|s| is_app(s) && (s.state.running.is_some() || s.state.terminated.is_some()))
}

/// Whether any app container was ever made, as the runtime tells; then all init containers have done their work.
pub fn any_app_created(spec: &PodSpec, runtime: &PodRuntime) -> bool {
    spec.containers.iter().any(|c| {
        runtime
            .newest(&c.name)
            .is_some_and(|r| r.state != RunState::Unknown)
    })
}

/// Whether the pod needs another sandbox: none is there, more than one is ready, the newest is not, it is on another network
/// than the pod asks for, or it has no address although it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxNeed<'a> {
    /// Whether another one must be made.
    pub changed: bool,
    /// Attempt of the one to be made, or of the one that is good.
    pub attempt: u32,
    /// The newest one, where it is good or must be ended.
    pub newest: Option<&'a crate::ids::SandboxId>,
}

/// See [`SandboxNeed`].
pub fn sandbox_need<'a>(pod: &Pod, runtime: &'a PodRuntime) -> SandboxNeed<'a> {
    let Some(newest) = runtime.sandboxes.first() else {
        return SandboxNeed {
            changed: true,
            attempt: 0,
            newest: None,
        };
    };
    let wanted = if pod.spec.host_network {
        NamespaceMode::Node
    } else {
        NamespaceMode::Pod
    };
    let ready = runtime.sandboxes.iter().filter(|s| s.ready).count();
    let moved = newest.network != wanted;
    let no_address = !pod.spec.host_network && newest.ip.as_deref() == Some("");
    let unfit = ready > 1 || !newest.ready;
    let changed = unfit || moved || no_address;
    SandboxNeed {
        changed,
        attempt: newest.attempt.saturating_add(u32::from(changed)),
        newest: (unfit || !moved).then_some(&newest.id),
    }
}

#[cfg(test)]
mod tests;
