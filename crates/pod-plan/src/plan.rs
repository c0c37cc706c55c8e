//! Decides what to do next for one pod.
//!
//! ```text
//!                    ┌────────────────────────── sandbox lost, no address, other network ──────────────────┐
//!                    ▼                                                                                     │
//!  new ─▶ EnsurePod, PrepareVolumes, RunSandbox ─▶ init containers, one after the other ─▶ apps ───────────┤
//!                    │                                  │ exit ≠ 0: again after its back-off ▲│            │
//!                    │                                  └────────────────────────────────────┘│            │
//!                    ▼              phase Succeeded or Failed, deadline, deletion             ▼            │
//!                  StopContainer (apps and init at once, sidecars in turn) ─▶ all ended ─▶ StopSandbox ────┘
//!                                                                                               │
//!                                                  deleted: RemovePod ◀── status is final ◀─────┘
//! ```
//!
//! A plan holds what can be done now. What has to wait for an exit or for a time is not in it: the next plan, made when that has
//! come, is. Everything that a later plan must know and no fact tells stands in [`Memory`].

use crate::actions::{PodActions, Sight, pod_actions};
use crate::draft::{Draft, End};
use crate::ending::{all_ended, end_all};
use crate::events::{self, PodEvent};
use crate::housekeeping::{forget, hold_back, note_starts, tidy};
pub use crate::memory::ID_PREFIX;
use crate::memory::{Memory, Readiness, retry_at};
use crate::observed::Observed;
use crate::resize;
use crate::retry::{self, forget_ends};
use crate::sight::definition_changed;
use crate::starts::kill_and_start;
use crate::step::Step;
use crate::termination::grace_seconds;
use crate::timeouts;
use crate::whole;
use jiff::{SignedDuration, Timestamp};
use pod_model::asked::restarts_on_init_image_change;
use pod_model::container_status::WaitingFor;
use pod_model::ids::ContainerName;
use pod_model::pod::{Container, Pod, RestartPolicy};
use pod_model::pod_status::{StatusFacts, cut_messages, finalize, pod_status};
use pod_model::restart::{ALL_CONTAINERS_RESTARTING, sandbox_need};
use pod_model::runtime::{ContainerRecord, PodRuntime, RunState};
use pod_model::status::{Phase, PodStatus};
use std::collections::{BTreeMap, BTreeSet};

const DEADLINE_REASON: &str = "DeadlineExceeded";
const DEADLINE_MESSAGE: &str = "Pod was active on the node longer than the specified deadline";

/// What to do now, and what is known besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// To be executed in this order. Each is idempotent; [`Memory::done`] or [`Memory::failed`] is told of each one's end.
    pub steps: Vec<Step>,
    /// When to plan again at the latest, if no fact changes before. A time that has come means: at once, after `steps`.
    /// `None`: nothing here depends on time.
    pub wake_at: Option<Timestamp>,
    /// The pod's status as of now, before `steps`. The same value stands in `memory`.
    pub status: PodStatus,
    /// What these decisions say to the user, in this order; those that come from doing are made by [`Memory`] and [`crate::events`].
    pub events: Vec<PodEvent>,
    /// Why it is so, a short sentence each; for `explain` and for logs.
    pub why: Vec<String>,
    /// What the next plan must know: put it into [`crate::observed::Observed::memory`] before the first step is executed.
    pub memory: Memory,
}

/// Decides what to do next. Pure: the same facts give the same plan.
pub fn plan(pod: &Pod, observed: &Observed, now: Timestamp) -> Plan {
    let marked;
    let pod = match observed.deletion {
        Some(deletion) if !pod.is_deleted() => {
            let mut deleted = pod.clone();
            deleted.metadata.deletion_timestamp = Some(deletion.at);
            marked = deleted;
            &marked
        }
        _ => pod,
    };
    let mut memory = observed.memory.clone();
    note_starts(&mut memory, &observed.runtime);
    let granted = grant(pod, observed, &mut memory);
    let pod = memory.sizes.granted_pod(pod);
    let mut draft = Draft::new(&pod, observed, memory, now);
    draft.events.extend(granted);
    if draft.memory.pod != Readiness::Ready {
        // That is what is written with the pod's cgroup.
        let cgroup = &mut draft.memory.sizes.cgroup;
        cgroup.get_or_insert_with(|| resize::full(&pod));
    }
    forget(&mut draft);
    let changed = sandbox_need(draft.pod, &observed.runtime).changed;
    draft.memory.go_on_with_retry(&observed.runtime, changed);
    update_status(&mut draft);
    if is_over(&draft) {
        end(&mut draft);
    } else {
        go_on(&mut draft);
    }
    hold_back(&mut draft);
    Plan {
        status: draft.memory.status.clone(),
        steps: draft.steps,
        wake_at: draft.wake_at,
        events: draft.events,
        why: draft.why,
        memory: draft.memory,
    }
}

/// Grants what the spec asks for, where the node has it. A pod that has ended, or is to, has no use for more.
fn grant(pod: &Pod, observed: &Observed, memory: &mut Memory) -> Vec<PodEvent> {
    if pod.is_deleted() || is_terminal(&memory.status) {
        return Vec::new();
    }
    memory.sizes.grant(pod, &observed.allocatable)
}

/// Whether nothing of the pod will be started any more.
fn is_over(draft: &Draft<'_>) -> bool {
    draft.pod.is_deleted() || is_terminal(&draft.memory.status)
}

fn is_terminal(status: &PodStatus) -> bool {
    status.phase.is_some_and(Phase::is_terminal)
}

/// Whether a container is shown as one that is still to start.
fn some_wait(status: &PodStatus) -> bool {
    let mut all = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses);
    all.any(|s| s.state.waiting.is_some())
}

/// Facts with what time limits of init containers made of their ends.
fn with_timeouts(draft: &Draft<'_>) -> PodRuntime {
    let mut runtime = draft.observed.runtime.clone();
    timeouts::seen(&draft.memory, &mut runtime);
    runtime
}

/// Facts as seen by status or decision: a container that was ended to be started again, whatever its policy says, is not seen as
/// ended but in that state; as made and not started where the start, or the hook that belongs to it, has failed.
fn seen_as(draft: &Draft<'_>, state: RunState) -> PodRuntime {
    let mut runtime = with_timeouts(draft);
    retry::seen(&draft.memory, draft.pod, draft.observed, &mut runtime);
    for record in &mut runtime.containers {
        if is_unhooked(&draft.memory, record) {
            record.state = RunState::Created;
        }
    }
    for name in &draft.memory.start_again {
        let newest = runtime.containers.iter_mut().find(|r| r.name == *name);
        if let Some(record) = newest.filter(|r| r.state == RunState::Exited) {
            let failed = draft.memory.start_errors.contains_key(name);
            record.state = if failed { RunState::Created } else { state };
            record.exit = None;
        }
    }
    runtime
}

/// Computes the status as of now.
fn update_status(draft: &mut Draft<'_>) {
    let (pod, observed, now) = (draft.pod, draft.observed, draft.now);
    let previous = draft.memory.status.clone();
    let was_over = pod.is_deleted() || is_terminal(&previous);
    let over = was_over && all_ended(draft);
    let runtime = match was_over {
        true => with_timeouts(draft),
        false => seen_as(draft, RunState::Running),
    };
    let waiting: BTreeMap<_, _> = draft
        .memory
        .start_errors
        .iter()
        .map(|(name, error)| {
            let why = WaitingFor {
                reason: error.reason.clone(),
                message: error.message.clone(),
            };
            (name.clone(), why)
        })
        .collect();
    let late = !is_terminal(&previous) && exceeded(draft, &previous);
    let given_up = draft.memory.given_up.clone();
    let evicted = match &given_up {
        _ if late => Some((DEADLINE_REASON, DEADLINE_MESSAGE)),
        Some((reason, message)) => Some((reason.as_str(), message.as_str())),
        None => None,
    };
    let facts = StatusFacts {
        pod,
        told: Some(&previous),
        runtime: &runtime,
        waiting: &waiting,
        previous: &previous,
        pod_ips: &pod_ips(&runtime, &previous),
        host_ips: &observed.host_ips,
        id_prefix: ID_PREFIX,
        over,
        evicted: evicted.filter(|_| !is_terminal(&previous)),
    };
    let mut status = pod_status(facts, &observed.probes, now);
    if over {
        finalize(pod, &mut status);
    }
    cut_messages(pod, &mut status);
    draft.memory.sizes.show(&mut status, &previous, now);
    whole::show(&draft.memory.sizes, pod, &mut status);
    if late {
        draft
            .events
            .push(events::deadline_exceeded(DEADLINE_MESSAGE));
    }
    draft.memory.status = status;
}

/// Whether `activeDeadlineSeconds` are over; if not, the plan is made again when they are.
fn exceeded(draft: &mut Draft<'_>, status: &PodStatus) -> bool {
    let Some(seconds) = draft.pod.spec.active_deadline_seconds else {
        return false;
    };
    let start = status.start_time.unwrap_or(draft.now);
    let Ok(end) = start.saturating_add(SignedDuration::from_secs(seconds)) else {
        return false;
    };
    if draft.now >= end {
        return status.start_time.is_some();
    }
    draft.wake(end);
    false
}

/// Addresses of the newest sandbox; those it had stay while it is being ended.
fn pod_ips(runtime: &PodRuntime, previous: &PodStatus) -> Vec<String> {
    let newest = runtime.sandboxes.first();
    match newest
        .and_then(|s| s.ip.clone())
        .filter(|ip| !ip.is_empty())
    {
        Some(ip) => vec![ip],
        None if newest.is_some_and(|s| s.ready) => Vec::new(),
        None => previous.pod_ips.iter().map(|i| i.ip.clone()).collect(),
    }
}

/// The pod is deleted, or has come to its end: everything stops; a deleted pod is removed then.
fn end(draft: &mut Draft<'_>) {
    let by_itself = is_terminal(&draft.memory.status) || draft.observed.deletion.is_none();
    if draft.memory.ending.is_none() && by_itself {
        draft.memory.ending = Some(draft.now);
    }
    // What was about to start again will not.
    draft.memory.start_again.clear();
    if !end_all(draft) {
        return;
    }
    if draft.observed.deletion.is_some() || draft.pod.is_deleted() {
        draft.step(Step::RemovePod, "the pod is deleted and nothing of it runs");
    } else {
        draft.why("the pod has ended; its records stay until it is deleted");
        // Its end was found out just now, without anything to stop: the next plan makes the status final.
        if !is_terminal(&draft.observed.memory.status) && some_wait(&draft.memory.status) {
            draft.wake(draft.now);
        }
    }
}

/// Brings the pod nearer to what its spec says.
fn go_on(draft: &mut Draft<'_>) {
    if !lay_ground(draft) {
        return;
    }
    let runtime = seen_as(draft, RunState::Created);
    let sight = Sight {
        pod: draft.pod,
        runtime: &runtime,
        probes: &draft.observed.probes,
    };
    let conditions = &draft.memory.status.conditions;
    let restart_all = conditions
        .iter()
        .any(|c| c.kind == ALL_CONTAINERS_RESTARTING && c.status == "True");
    let mut actions = pod_actions(sight, restart_all);
    let mut anew = draft.memory.leaving_for_retry().cloned();
    if let Some(skip) = &anew {
        begin_anew(draft, &mut actions, skip);
        draft.why("the pod gets a second chance in another sandbox");
    } else if !restart_all && init_image_changed(draft.pod, &runtime) {
        begin_anew(draft, &mut actions, &BTreeSet::new());
        draft.why("the image of an init container changed, and the pod asks to begin anew then");
        anew = Some(BTreeSet::new());
    }
    let size = resize::wanted(draft, &runtime, &actions);
    resize::restarts(draft, &runtime, &mut actions, &size);
    resize::grow(draft, &size);
    if actions.kill_pod {
        return kill_pod(draft, &actions, anew.as_ref());
    }
    draft.memory.ending = None;
    if restart_all {
        draft.memory.retry = None;
        return reset(draft, &actions);
    }
    if end_unhooked(draft) {
        return;
    }
    timeouts::end_late(draft);
    if let Some(sandbox) = actions.sandbox.clone() {
        kill_and_start(draft, &actions, &sandbox);
    }
    resize::settle(draft, &size);
    tidy(draft);
}

/// Whether the image of an init container is another than it was made from, and the pod asks by its annotation to begin anew then.
/// Kubernetes itself goes on with such a pod, and has the new image used when the init container runs again for another reason.
fn init_image_changed(pod: &Pod, runtime: &PodRuntime) -> bool {
    let mut inits = pod.spec.init_containers.iter();
    restarts_on_init_image_change(pod)
        && inits.any(|c| {
            let newest = runtime.newest(&c.name).filter(|_| !c.is_sidecar());
            newest.is_some_and(|r| definition_changed(c, r))
        })
}

/// Everything ends, and all containers but those in `skip` start again in another sandbox, whatever their policy says.
fn begin_anew(draft: &mut Draft<'_>, actions: &mut PodActions, skip: &BTreeSet<ContainerName>) {
    if !actions.kill_pod {
        actions.attempt = actions.attempt.saturating_add(1);
    }
    actions.kill_pod = true;
    actions.create_sandbox = true;
    if draft.memory.ending.is_none() {
        let apps = draft.pod.spec.containers.iter();
        let names: Vec<_> = apps
            .map(|c| &c.name)
            .filter(|n| !skip.contains(*n))
            .collect();
        for name in names {
            match draft.observed.runtime.newest(name) {
                Some(record) => draft.memory.again_after(record),
                None => {
                    draft.memory.start_again.insert(name.clone());
                }
            }
        }
    }
}

/// Whether that attempt runs although its postStart hook failed.
fn is_unhooked(memory: &Memory, record: &ContainerRecord) -> bool {
    let error = memory.start_errors.get(&record.name);
    let attempt = error.and_then(|e| e.unhooked);
    record.state == RunState::Running && attempt == Some(record.attempt)
}

/// Ends what runs although its postStart hook failed; nothing else is begun before that is over. `false`: there is none.
fn end_unhooked(draft: &mut Draft<'_>) -> bool {
    let observed = draft.observed;
    let records = observed.runtime.containers.iter();
    let unhooked: Vec<&ContainerRecord> =
        records.filter(|r| is_unhooked(&draft.memory, r)).collect();
    for record in &unhooked {
        let found = draft.pod.spec.find(record.name.as_str());
        let seconds = found.map_or(0, |(_, _, c)| grace_seconds(draft.pod, c, None, None));
        let deadline = draft.after_ms(seconds.saturating_mul(1000));
        let end = End {
            deadline,
            at_once: false,
            turn: true,
            message: "FailedPostStartHook",
        };
        draft.stop(record, end);
    }
    !unhooked.is_empty()
}

/// Cgroup, folders and volumes come before everything else. `false` while one of them cannot be had.
///
/// Volumes that cannot be brought up to date (their ConfigMap is gone) hold up nobody whose sandbox runs: they were all there before it was
/// made, and a pod keeps what it has, as with a kubelet. Told and tried again it is all the same.
fn lay_ground(draft: &mut Draft<'_>) -> bool {
    let runs = draft.observed.runtime.sandboxes.iter().any(|s| s.ready);
    let parts = [
        (draft.memory.pod.clone(), Step::EnsurePod),
        (draft.memory.volumes.clone(), Step::PrepareVolumes),
    ];
    for (state, step) in parts {
        if step == Step::PrepareVolumes && draft.pod.spec.volumes.is_empty() {
            continue;
        }
        if !due(draft, &state, &step) {
            if step == Step::PrepareVolumes && runs {
                continue;
            }
            return false;
        }
        if state != Readiness::Ready {
            let label = step.label();
            draft.step(step, label);
        }
    }
    true
}

/// Whether something that failed may be tried again.
fn due(draft: &mut Draft<'_>, state: &Readiness, step: &Step) -> bool {
    let Readiness::Failed { problems, at } = state else {
        return true;
    };
    let again = retry_at(*at);
    if again <= draft.now {
        return true;
    }
    let what = step.label();
    let why = problems.join("; ");
    draft.why(format!(
        "{what} failed and is tried again at {again}: {why}"
    ));
    draft.wake(again);
    false
}

/// Everything ends, the sandbox too; then comes another one, where the pod may go on. `anew`: apps, too, begin there like new ones, but for
/// containers of these names.
fn kill_pod(draft: &mut Draft<'_>, actions: &PodActions, anew: Option<&BTreeSet<ContainerName>>) {
    let observed = draft.observed;
    let runtime = &observed.runtime;
    if draft.memory.ending.is_none() && !all_ended(draft) {
        draft.memory.ending = Some(draft.now);
        if actions.create_sandbox {
            draft.events.push(events::sandbox_changed());
            remember_running(draft, actions);
        }
    }
    if !end_all(draft) {
        return;
    }
    if !actions.create_sandbox {
        give_up(draft);
        return;
    }
    // Init containers begin anew in a new sandbox, so what they did before must not count.
    let spec = &draft.pod.spec;
    let apps = spec.containers.iter().filter(|_| anew.is_some());
    if let Some(skip) = anew {
        // Without records they start like new ones, once the init containers have done their work.
        draft.memory.start_again.clear();
        forget_ends(&mut draft.memory.status, skip);
    }
    let skipped = |c: &Container| anew.is_some_and(|skip| skip.contains(&c.name));
    let begins = spec.init_containers.iter().chain(apps);
    for container in begins.filter(|c| !skipped(c)) {
        for record in runtime
            .containers
            .iter()
            .filter(|r| r.name == container.name)
        {
            draft.step(
                Step::RemoveContainer {
                    id: record.id.clone(),
                    name: record.name.clone(),
                    logs: false,
                },
                format!("container {} begins anew", container.name),
            );
        }
    }
    let step = Step::RunSandbox {
        attempt: actions.attempt,
    };
    let state = draft.memory.sandbox.clone();
    if due(draft, &state, &step) {
        draft.step(step, "the pod needs a sandbox");
    }
}

/// Without init containers, apps that run now start again at once in the new sandbox, however they end in the old one.
fn remember_running(draft: &mut Draft<'_>, actions: &PodActions) {
    let pod = draft.pod;
    let runtime = &draft.observed.runtime;
    let apps = actions.apps_to_start.iter();
    for container in apps.filter_map(|i| pod.spec.containers.get(*i)) {
        let newest = runtime.newest(&container.name);
        if let Some(record) = newest.filter(|r| r.state == RunState::Running) {
            draft.memory.again_after(record);
        }
    }
}

/// Everything has ended and nothing may start, but the phase does not tell so. Kubernetes leaves such a pod pending for ever; here it fails.
fn give_up(draft: &mut Draft<'_>) {
    let policy = match draft.pod.spec.restart() {
        RestartPolicy::Always => "Always",
        RestartPolicy::OnFailure => "OnFailure",
        RestartPolicy::Never => "Never",
    };
    let message =
        format!("The sandbox has ended and restartPolicy {policy} lets nothing start again");
    draft.why(message.clone());
    draft.memory.given_up = Some(("SandboxLost".to_owned(), message));
    draft.wake(draft.now);
}

/// All containers end at once and are removed, so that the pod begins anew in the same sandbox.
fn reset(draft: &mut Draft<'_>, actions: &PodActions) {
    let observed = draft.observed;
    let mut left = false;
    for reset in actions.to_reset.iter().filter(|r| r.kill) {
        let record = observed
            .runtime
            .containers
            .iter()
            .find(|r| r.id == reset.id);
        let Some(record) = record else {
            continue;
        };
        let asked = draft.memory.stopping.get(&record.id);
        let never_tells = record.state != RunState::Running;
        if never_tells && asked.is_some_and(|s| s.deadline <= draft.now) {
            continue;
        }
        left |= record.state != RunState::Exited;
        let message = format!("Stopping container {}", record.name);
        draft.stop(record, End::at_once(draft.now, &message));
    }
    if left {
        return;
    }
    for reset in &actions.to_reset {
        draft.memory.start_errors.remove(&reset.name);
        draft.step(
            Step::RemoveContainer {
                id: reset.id.clone(),
                name: reset.name.clone(),
                logs: false,
            },
            format!("container {} begins anew with all others", reset.name),
        );
    }
}

#[cfg(test)]
mod tests;
