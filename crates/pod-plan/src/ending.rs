//! Ends everything that runs, in order, then the sandboxes.
//!
//! All are told at once, and all preStop hooks run side by side. App containers and plain init containers get their stop signal when
//! their hook has ended. A sidecar waits besides for all app containers and for the sidecar after it, as long as its grace lasts; then
//! it has at least two seconds of its own.

use crate::draft::{Draft, End, after_ms};
use crate::step::Step;
use crate::termination::{SHORTEST_GRACE_SECONDS, grace_seconds, must_wait};
use jiff::Timestamp;
use pod_model::asked::{is_for_debugging, keeps_failed};
use pod_model::ids::ContainerName;
use pod_model::runtime::{ContainerRecord, RunState, Sandbox};
use pod_model::status::Phase;
use std::collections::BTreeSet;

/// Whether the pod has failed and is to be looked into: then its namespaces stay, and what looks into it, until it is deleted.
fn is_kept(draft: &Draft<'_>) -> bool {
    let deleted = draft.observed.deletion.is_some() || draft.pod.is_deleted();
    draft.memory.status.phase == Some(Phase::Failed) && !deleted && keeps_failed(draft.pod)
}

/// What runs of the pod and is to end with it.
fn running<'a>(draft: &Draft<'a>) -> Vec<&'a ContainerRecord> {
    let kept = is_kept(draft);
    let all = draft.observed.runtime.containers.iter();
    all.filter(|r| r.state == RunState::Running && !(kept && is_for_debugging(&r.name)))
        .collect()
}

/// Sandboxes that are to be stopped.
fn sandboxes_left<'a>(draft: &Draft<'a>) -> Vec<&'a Sandbox> {
    let kept = is_kept(draft);
    let stopped = &draft.memory.stopped;
    let mut all: Vec<&Sandbox> = draft.observed.runtime.sandboxes.iter().collect();
    if kept && all.first().is_some_and(|s| s.ready) {
        all.remove(0);
    }
    all.retain(|s| s.ready || !stopped.contains(&s.id));
    all
}

/// Whether nothing of the pod runs and no sandbox is left to be stopped.
pub(crate) fn all_ended(draft: &Draft<'_>) -> bool {
    running(draft).is_empty() && sandboxes_left(draft).is_empty()
}

/// Plans the end of what runs. `true` when there is nothing left to end.
pub(crate) fn end_all(draft: &mut Draft<'_>) -> bool {
    let running = running(draft);
    if !running.is_empty() {
        end_containers(draft, &running);
        return false;
    }
    let left = sandboxes_left(draft);
    for sandbox in &left {
        let id = sandbox.id.clone();
        let why = "nothing of the pod runs: its sandbox ends";
        draft.step(Step::StopSandbox { id }, why);
    }
    left.is_empty()
}

fn end_containers(draft: &mut Draft<'_>, running: &[&ContainerRecord]) {
    let names: BTreeSet<&ContainerName> = running.iter().map(|r| &r.name).collect();
    let at_once = draft
        .observed
        .deletion
        .is_some_and(|d| d.grace_seconds == 0);
    for record in running {
        if is_for_debugging(&record.name) {
            draft.stop(record, End::at_once(draft.now, ""));
            continue;
        }
        let message = format!("Stopping container {}", record.name);
        let end = End {
            deadline: deadline(draft, &record.name),
            at_once,
            turn: !must_wait(draft.pod, &record.name, &names),
            message: &message,
        };
        draft.stop(record, end);
    }
}

/// When the grace of a container is over: as the deletion says or as the pod's own end does, whichever comes first.
fn deadline(draft: &Draft<'_>, name: &ContainerName) -> Timestamp {
    let found = draft.pod.spec.find(name.as_str());
    let own = found.map_or(SHORTEST_GRACE_SECONDS, |(_, _, container)| {
        grace_seconds(draft.pod, container, None, None)
    });
    let after = |time, seconds: u64| after_ms(time, seconds.saturating_mul(1000));
    let by_deletion = draft
        .observed
        .deletion
        .map(|d| after(d.at, d.grace_seconds));
    let by_itself = draft.memory.ending.map(|since| after(since, own));
    let wishes = [by_deletion, by_itself];
    let first = wishes.into_iter().flatten().min();
    first.unwrap_or_else(|| after(draft.now, own))
}
