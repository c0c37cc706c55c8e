//! Status of a pod as a whole.
//!
//! Made in three strokes, so that each can be checked by itself: [`draft`] gives container statuses and phase, [`apply_probes`] fills
//! in `started` and `ready`, [`complete`] adds the conditions that follow from them.

use crate::conditions;
use crate::container_status::{
    Facts, ProbeResults, Probed, STATUS_UNKNOWN, WaitingFor, apply_probes, container_statuses,
};
use crate::ids::ContainerName;
use crate::phase::phase;
use crate::pod::{ContainerKind, Pod};
use crate::qos::qos_class;
use crate::restart;
use crate::runtime::PodRuntime;
use crate::status::{Condition, ContainerState, ContainerStatus, Ip, Phase, PodStatus, Terminated};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// What a pod's status is made from.
#[derive(Clone, Copy, Debug)]
pub struct StatusFacts<'a> {
    /// The pod; its `status` is not looked at.
    pub pod: &'a Pod,
    /// The status that the outside has of the pod: its terminal phase binds, and its conditions of foreign types are kept.
    pub told: Option<&'a PodStatus>,
    /// What the runtime reports.
    pub runtime: &'a PodRuntime,
    /// Why containers are not started, by name.
    pub waiting: &'a BTreeMap<ContainerName, WaitingFor>,
    /// The status that was computed before.
    pub previous: &'a PodStatus,
    /// Addresses of the pod's sandbox.
    pub pod_ips: &'a [String],
    /// Addresses of the node.
    pub host_ips: &'a [String],
    /// What stands before an id in `containerID`, such as `podwright://`.
    pub id_prefix: &'a str,
    /// Nothing of the pod will be started again.
    pub over: bool,
    /// The pod was ended from outside: phase Failed with this reason and message.
    pub evicted: Option<(&'a str, &'a str)>,
}

/// The whole status; times of conditions are kept where a condition's status did not change, and are `now` where it did.
pub fn pod_status(facts: StatusFacts<'_>, results: &ProbeResults, now: Timestamp) -> PodStatus {
    let mut status = draft(facts);
    apply_probes(
        &facts.pod.spec,
        &mut status,
        &Probed::of(&facts.pod.spec),
        results,
    );
    complete(facts, &mut status);
    stamp(&mut status, facts.previous, now);
    status
}

/// Container statuses, phase, reason and message, addresses.
pub fn draft(facts: StatusFacts<'_>) -> PodStatus {
    let StatusFacts {
        pod,
        runtime,
        previous,
        ..
    } = facts;
    let of = Facts {
        pod,
        runtime,
        waiting: facts.waiting,
        id_prefix: facts.id_prefix,
        restarting: restart::all_should_restart(pod, Some(runtime), Some(previous)),
    };
    let list = |kind, old| container_statuses(of, kind, pod.spec.list(kind), old);
    let mut status = PodStatus {
        init_container_statuses: list(ContainerKind::Init, &previous.init_container_statuses),
        container_statuses: list(ContainerKind::App, &previous.container_statuses),
        ephemeral_container_statuses: list(
            ContainerKind::Ephemeral,
            &previous.ephemeral_container_statuses,
        ),
        qos_class: Some(qos_class(pod)),
        start_time: previous.start_time,
        observed_generation: pod.metadata.generation.filter(|g| *g != 0),
        nominated_node_name: previous.nominated_node_name.clone(),
        ..PodStatus::default()
    };
    addresses(facts, &mut status);
    let new = phase(
        pod,
        &init_and_apps(&status),
        facts.over,
        app_in_newest_sandbox(pod, runtime),
    );
    choose_phase(facts, new, &mut status);
    status
}

/// Adds the conditions.
pub fn complete(facts: StatusFacts<'_>, status: &mut PodStatus) {
    let StatusFacts { pod, previous, .. } = facts;
    let phase = status.phase.unwrap_or(Phase::Pending);
    let all = init_and_apps(status);
    let known = Some(all.as_slice());
    let told = facts.told.iter().flat_map(|s| &s.conditions);
    let mut list: Vec<Condition> = told.filter(|c| !is_own(&c.kind)).cloned().collect();
    // Set once from outside, never computed anew.
    if let Some(disruption) = find(&previous.conditions, DISRUPTION) {
        match list.iter_mut().find(|c| c.kind == DISRUPTION) {
            Some(place) => *place = disruption.clone(),
            None => list.push(disruption.clone()),
        }
    }
    list.push(conditions::ready_to_start_containers(pod, facts.runtime));
    list.push(conditions::initialized(
        pod,
        &previous.conditions,
        known,
        phase,
    ));
    let ready = conditions::ready(pod, &list, known, phase);
    list.push(ready);
    list.push(conditions::containers_ready(pod, known, phase));
    list.push(conditions::scheduled(pod));
    if restart::all_could_restart(&pod.spec) {
        list.push(conditions::all_containers_restarting(
            pod,
            previous,
            facts.runtime,
            phase,
        ));
    }
    status.conditions = list;
}

/// Makes the status of a pod final once nothing of it runs and nothing will: what started and has no end recorded has ended for
/// unknown reasons, and the phase is terminal.
pub fn finalize(pod: &Pod, status: &mut PodStatus) {
    let lost = || ContainerState {
        terminated: Some(Terminated {
            exit_code: 137,
            reason: STATUS_UNKNOWN.to_owned(),
            message: "The container could not be located when the pod was terminated".to_owned(),
            ..Terminated::default()
        }),
        ..ContainerState::default()
    };
    let end = |list: &mut [ContainerStatus]| {
        for status in list {
            if status.state.terminated.is_none() {
                status.state = lost();
            }
        }
    };
    if was_initialized(pod, status) {
        end(&mut status.container_statuses);
    }
    let has_begun =
        |s: &ContainerStatus| s.state.waiting.is_none() || s.last_state.terminated.is_some();
    let inits = &mut status.init_container_statuses;
    let begun = inits.iter().rposition(has_begun).map_or(1, |i| i + 1);
    end(inits.get_mut(..begun).unwrap_or_default());
    if !status.phase.is_some_and(Phase::is_terminal) {
        status.phase = Some(Phase::Failed);
    }
}

fn was_initialized(pod: &Pod, status: &PodStatus) -> bool {
    let Some(last) = pod.spec.init_containers.last() else {
        return true;
    };
    let app_began =
        |s: &ContainerStatus| s.last_state.terminated.is_some() || s.state.waiting.is_none();
    if status.container_statuses.iter().any(app_began) {
        return true;
    }
    let Some(known) = status
        .init_container_statuses
        .iter()
        .find(|s| s.name == last.name)
    else {
        return false;
    };
    if last.is_sidecar() {
        return known.state.running.is_some() && known.started == Some(true);
    }
    [&known.state, &known.last_state]
        .into_iter()
        .filter_map(|s| s.terminated.as_ref())
        .any(|t| t.exit_code == 0)
}

/// Most bytes of all termination messages of a pod together; each container has an equal share of them.
const MESSAGE_BYTES: usize = 12 << 10;

/// Cuts termination messages to their containers' shares, as the kubelet does before it tells a status.
pub fn cut_messages(pod: &Pod, status: &mut PodStatus) {
    let share = MESSAGE_BYTES / pod.spec.all().count().max(1);
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for status in lists.into_iter().flatten() {
        for state in [&mut status.state, &mut status.last_state] {
            if let Some(end) = &mut state.terminated {
                let cut = end.message.floor_char_boundary(share);
                end.message.truncate(cut);
            }
        }
    }
}

const DISRUPTION: &str = "DisruptionTarget";

/// Conditions that are computed here, so that older ones of the same type are void.
fn is_own(kind: &str) -> bool {
    [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
        "PodResizePending",
        "PodResizeInProgress",
        restart::ALL_CONTAINERS_RESTARTING,
    ]
    .contains(&kind)
}

fn find<'a>(list: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    list.iter().find(|c| c.kind == kind)
}

fn init_and_apps(status: &PodStatus) -> Vec<ContainerStatus> {
    let inits = status.init_container_statuses.iter();
    inits.chain(&status.container_statuses).cloned().collect()
}

/// Whether an app container was made in the sandbox that is in use.
fn app_in_newest_sandbox(pod: &Pod, runtime: &PodRuntime) -> bool {
    let Some(sandbox) = runtime.sandboxes.first() else {
        return false;
    };
    let is_app = |name: &ContainerName| pod.spec.containers.iter().any(|c| c.name == *name);
    let mut records = runtime.containers.iter();
    records.any(|r| r.sandbox == sandbox.id && is_app(&r.name))
}

/// A terminal phase never changes; reason and message stay as long as the phase does.
fn choose_phase(facts: StatusFacts<'_>, computed: Phase, status: &mut PodStatus) {
    let told = facts.told;
    let terminal = |s: &PodStatus| s.phase.filter(|p| p.is_terminal());
    let before = facts.previous;
    let mut phase = computed;
    if !phase.is_terminal() {
        let kept = terminal(before).or(told.and_then(terminal));
        phase = kept.unwrap_or(phase);
    }
    if Some(phase) == before.phase {
        let or_told = |own: &str, told: Option<&str>| match own.is_empty() {
            true => told.unwrap_or_default().to_owned(),
            false => own.to_owned(),
        };
        status.reason = or_told(&before.reason, told.map(|s| s.reason.as_str()));
        status.message = or_told(&before.message, told.map(|s| s.message.as_str()));
    }
    if let Some((reason, message)) = facts.evicted {
        phase = Phase::Failed;
        status.reason = reason.to_owned();
        status.message = message.to_owned();
    }
    status.phase = Some(told.and_then(terminal).unwrap_or(phase));
}

fn addresses(facts: StatusFacts<'_>, status: &mut PodStatus) {
    let ips = |list: &[String]| {
        list.iter()
            .map(|ip| Ip { ip: ip.clone() })
            .collect::<Vec<_>>()
    };
    status.host_ips = ips(facts.host_ips);
    status.pod_ips = match facts.pod.spec.host_network && facts.pod_ips.is_empty() {
        true => status.host_ips.clone(),
        false => ips(facts.pod_ips),
    };
    let first = |list: &[Ip]| list.first().map(|i| i.ip.clone()).unwrap_or_default();
    status.host_ip = first(&status.host_ips);
    status.pod_ip = first(&status.pod_ips);
}

/// Sets the time of each condition: the old one where its status is as it was.
pub fn stamp(status: &mut PodStatus, previous: &PodStatus, now: Timestamp) {
    for condition in &mut status.conditions {
        let same =
            find(&previous.conditions, &condition.kind).filter(|o| o.status == condition.status);
        condition.last_transition_time = match same {
            Some(old) => old.last_transition_time.or(Some(now)),
            None => Some(now),
        };
    }
    status.start_time = status.start_time.or(Some(now));
}

#[cfg(test)]
mod tests;
