//! What has to change for a pod to be as its spec says, seen from its runtime records alone: `computePodActions` of the kubelet.
//!
//! Back-off, order of steps and what was asked for already are not looked at here; [`crate::plan`] does that.

use crate::init_actions::init_actions;
pub use crate::sight::{Kill, KillReason, PodActions, Reset, Sight};
use crate::sight::{definition_changed, unknown};
use pod_model::pod::{Container, ContainerKind, RestartPolicy};
use pod_model::restart::{any_app_created, sandbox_need, should_restart, triggers_restart_of_all};
use pod_model::runtime::{ContainerRecord, RunState};

/// What has to change. `restart_all`: the pod is marked for a restart of all its containers in place.
pub fn pod_actions(sight: Sight<'_>, restart_all: bool) -> PodActions {
    let Sight { pod, runtime, .. } = sight;
    let need = sandbox_need(pod, runtime);
    let mut actions = PodActions {
        kill_pod: need.changed,
        create_sandbox: need.changed,
        attempt: need.attempt,
        sandbox: need.newest.cloned(),
        ..PodActions::default()
    };
    if restart_all {
        actions.to_reset = resets(sight);
        return actions;
    }
    if need.changed {
        return with_new_sandbox(sight, actions);
    }
    // Ephemeral containers may start before the pod is initialized, and never start again.
    let ephemeral = pod.spec.ephemeral_containers.iter().enumerate();
    let new = ephemeral.filter(|(_, c)| sight.newest(c).is_none());
    actions.ephemeral_to_start = new.map(|(i, _)| i).collect();
    let initialized = init_actions(sight, &mut actions);
    if initialized && !actions.kill_pod {
        apps(sight, &mut actions);
    }
    actions
}

/// Everything ends and starts from the beginning, unless the pod has run to its end already.
fn with_new_sandbox(sight: Sight<'_>, mut actions: PodActions) -> PodActions {
    let Sight { pod, runtime, .. } = sight;
    let never = pod.spec.restart() == RestartPolicy::Never;
    if never && actions.attempt != 0 && !runtime.containers.is_empty() {
        actions.create_sandbox = false;
        return actions;
    }
    let is_done = |c: &Container| {
        let once = c.restart_policy.unwrap_or(pod.spec.restart()) == RestartPolicy::OnFailure;
        let succeeded = |r: &ContainerRecord| r.state == RunState::Exited && r.exit_code() == 0;
        once && sight.newest(c).is_some_and(succeeded)
    };
    let apps = pod.spec.containers.iter().enumerate();
    let start: Vec<usize> = apps.filter(|(_, c)| !is_done(c)).map(|(i, _)| i).collect();
    if start.is_empty() && any_app_created(&pod.spec, runtime) {
        actions.create_sandbox = false;
    } else if pod.spec.init_containers.is_empty() {
        actions.apps_to_start = start;
    } else {
        actions.init_to_start = vec![0];
    }
    actions
}

/// Apps first, then init containers; in both those that asked for the restart come after the others.
fn resets(sight: Sight<'_>) -> Vec<Reset> {
    let of = |kind| {
        let (mut sources, mut targets) = (Vec::new(), Vec::new());
        for container in sight.pod.spec.list(kind) {
            let records = sight.runtime.containers.iter();
            for record in records.filter(|r| r.name == container.name) {
                let reset = Reset {
                    id: record.id.clone(),
                    name: record.name.clone(),
                    kill: record.state != RunState::Exited,
                };
                match triggers_restart_of_all(container, record) {
                    true => sources.push(reset),
                    false => targets.push(reset),
                }
            }
        }
        (sources, targets)
    };
    let (init_sources, init_targets) = of(ContainerKind::Init);
    let (app_sources, app_targets) = of(ContainerKind::App);
    [app_targets, init_targets, app_sources, init_sources].concat()
}

/// App containers of an initialized pod.
fn apps(sight: Sight<'_>, actions: &mut PodActions) {
    let pod = sight.pod;
    let mut kept = 0_usize;
    for (index, container) in pod.spec.containers.iter().enumerate() {
        let Some(record) = sight
            .newest(container)
            .filter(|r| r.state == RunState::Running)
        else {
            start_if_wanted(sight, index, container, actions);
            continue;
        };
        let Some((mut message, reason)) = unfit(sight, container, record, "Container") else {
            kept += 1;
            continue;
        };
        // A changed definition starts again whatever the policy says; rules need an exit code, so they are not asked.
        let policy = container.restart_policy.unwrap_or(pod.spec.restart());
        if reason.is_none() || policy != RestartPolicy::Never {
            message.push_str(", will be restarted");
            actions.apps_to_start.push(index);
        }
        actions.to_kill.push(Kill {
            id: record.id.clone(),
            name: record.name.clone(),
            reason,
            message,
        });
    }
    if kept == 0 && actions.apps_to_start.is_empty() {
        actions.kill_pod = true;
        // Sidecars do not keep a pod alive.
        actions.init_to_start.clear();
    }
}

fn start_if_wanted(
    sight: Sight<'_>,
    index: usize,
    container: &Container,
    actions: &mut PodActions,
) {
    if !should_restart(sight.pod, container, sight.runtime) {
        return;
    }
    actions.apps_to_start.push(index);
    if let Some(record) = sight
        .newest(container)
        .filter(|r| r.state == RunState::Unknown)
    {
        let message = "Container is in \"unknown\" state, try killing it before restart";
        actions.to_kill.push(unknown(record, message));
    }
}

/// Why a running container must not go on: it was made from another definition, or a probe gave it up.
fn unfit(
    sight: Sight<'_>,
    container: &Container,
    record: &ContainerRecord,
    what: &str,
) -> Option<(String, Option<KillReason>)> {
    let name = &container.name;
    if definition_changed(container, record) {
        Some((format!("{what} {name} definition changed"), None))
    } else if sight.failed(|p| &p.liveness, container) {
        let text = format!("{what} {name} failed liveness probe");
        Some((text, Some(KillReason::LivenessProbe)))
    } else if sight.failed(|p| &p.startup, container) {
        let text = format!("{what} {name} failed startup probe");
        Some((text, Some(KillReason::StartupProbe)))
    } else {
        None
    }
}
