//! Ends everything that runs, in order, then the sandboxes.
//!
//! All are told at once, and all preStop hooks run side by side. App containers and plain init containers get their stop signal when
//! their hook has ended. A sidecar waits besides for all app containers and for the sidecar after it, as long as its grace lasts; then
//! it has at least two seconds of its own.

use crate::draft::{Draft, End, after_ms};
use crate::step::Step;
use crate::termination::{SHORTEST_GRACE_SECONDS, grace_seconds, must_wait};
use jiff::Timestamp;
use pod_model::ids::ContainerName;
use pod_model::runtime::{ContainerRecord, RunState};
use std::collections::BTreeSet;

/// Whether nothing of the pod runs and no sandbox is left to be stopped.
pub(crate) fn all_ended(draft: &Draft<'_>) -> bool {
    let runtime = &draft.observed.runtime;
    let running = |r: &ContainerRecord| r.state == RunState::Running;
    !runtime.containers.iter().any(running)
        && runtime
            .sandboxes
            .iter()
            .all(|s| !s.ready && draft.memory.stopped.contains(&s.id))
}

/// Plans the end of what runs. `true` when there is nothing left to end.
pub(crate) fn end_all(draft: &mut Draft<'_>) -> bool {
    let observed = draft.observed;
    let running: Vec<&ContainerRecord> = observed
        .runtime
        .containers
        .iter()
        .filter(|r| r.state == RunState::Running)
        .collect();
    if !running.is_empty() {
        end_containers(draft, &running);
        return false;
    }
    let mut left = false;
    for sandbox in &observed.runtime.sandboxes {
        if sandbox.ready || !draft.memory.stopped.contains(&sandbox.id) {
            left = true;
            let id = sandbox.id.clone();
            let why = "nothing of the pod runs: its sandbox ends";
            draft.step(Step::StopSandbox { id }, why);
        }
    }
    !left
}

fn end_containers(draft: &mut Draft<'_>, running: &[&ContainerRecord]) {
    let names: BTreeSet<&ContainerName> = running.iter().map(|r| &r.name).collect();
    let at_once = draft
        .observed
        .deletion
        .is_some_and(|d| d.grace_seconds == 0);
    for record in running {
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
