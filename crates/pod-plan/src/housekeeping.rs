//! Keeps memory and records small.

use crate::draft::Draft;
use crate::memory::Memory;
use crate::resize::outgrows;
use crate::sizes::way;
use crate::step::Step;
use pod_model::ids::ContainerName;
use pod_model::pod::{Container, ContainerKind};
use pod_model::runtime::{ContainerRecord, PodRuntime, RunState};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// How many of the newest attempts of a container are kept besides its first one.
pub(crate) const ATTEMPTS_KEPT: usize = 20;

/// Enters starts whose answer was lost, before anything else is granted: they have what was granted until now. Records go, numbers never
/// come twice.
pub(crate) fn note_starts(memory: &mut Memory, runtime: &PodRuntime) {
    for record in &runtime.containers {
        let highest = memory.attempts.get(&record.name).copied();
        if highest.is_none_or(|n| n < record.attempt) {
            memory.attempts.insert(record.name.clone(), record.attempt);
            memory.sizes.started(&record.name);
        }
    }
}

/// Forgets what facts have overtaken.
pub(crate) fn forget(draft: &mut Draft<'_>) {
    let (observed, now) = (draft.observed, draft.now);
    let runtime = &observed.runtime;
    let memory = &mut draft.memory;
    // What runs and is not ending has started again, and so has what ended since; the answer to that, too, may have been lost.
    let (stopping, replaced) = (&memory.stopping, &memory.replaced);
    memory.start_again.retain(|name| {
        runtime.newest(name).is_none_or(|r| match r.state {
            RunState::Running => stopping.contains_key(&r.id),
            RunState::Exited => replaced.get(name).is_none_or(|old| r.attempt <= *old),
            RunState::Created | RunState::Unknown => true,
        })
    });
    let again = &memory.start_again;
    memory.replaced.retain(|name, _| again.contains(name));
    memory.held.retain(|_, until| *until > now);
    memory
        .stopped
        .retain(|id| runtime.sandboxes.iter().any(|s| s.id == *id));
    memory
        .overdue
        .retain(|id, _| runtime.containers.iter().any(|r| r.id == *id));
    memory.stopping.retain(|id, _| {
        let mut records = runtime.containers.iter();
        records.any(|r| r.id == *id && r.state != RunState::Exited)
    });
}

/// Removes attempts and sandboxes that nobody needs.
pub(crate) fn tidy(draft: &mut Draft<'_>) {
    let runtime = &draft.observed.runtime;
    let names: BTreeSet<&ContainerName> = runtime.containers.iter().map(|r| &r.name).collect();
    for name in names {
        let all = runtime.containers.iter().filter(|r| r.name == *name);
        let ended: Vec<&ContainerRecord> = all.filter(|r| r.state == RunState::Exited).collect();
        let first = ended.iter().map(|r| r.attempt).min();
        let old = ended.iter().skip(ATTEMPTS_KEPT);
        for record in old.filter(|r| Some(r.attempt) != first) {
            draft.step(
                Step::RemoveContainer {
                    id: record.id.clone(),
                    name: record.name.clone(),
                    logs: true,
                },
                format!("attempt {} of container {name} is too old", record.attempt),
            );
        }
    }
    for sandbox in runtime.sandboxes.iter().skip(1) {
        let id = sandbox.id.clone();
        if sandbox.ready || !draft.memory.stopped.contains(&id) {
            draft.step(Step::StopSandbox { id }, "a newer sandbox is in use");
        } else if !runtime.containers.iter().any(|r| r.sandbox == id) {
            draft.step(Step::RemoveSandbox { id }, "no record needs this sandbox");
        }
    }
}

/// Leaves out steps that failed a moment ago, and those that build on them.
pub(crate) fn hold_back(draft: &mut Draft<'_>) {
    let mut kept = Vec::new();
    // What is resized later builds on what was to be resized first.
    let mut waits = Vec::new();
    let mut larger = Vec::new();
    for step in std::mem::take(&mut draft.steps) {
        if let Step::StartContainer {
            kind, index, name, ..
        } = &step
        {
            let found = draft.pod.spec.list(*kind).get(*index);
            let held = |c: &Container| larger.iter().any(|what| outgrows(draft, c, *what));
            if let Some(container) = found.filter(|c| held(c)) {
                let plain = *kind == ContainerKind::Init && !container.is_sidecar();
                draft.why(format!("container {name} waits for a larger pod"));
                if plain {
                    break;
                }
                continue;
            }
        }
        let resized = match &step {
            Step::ResizePod { what, .. } | Step::ResizeContainer { what, .. } => Some(*what),
            _ => None,
        };
        if resized.is_some_and(|what| waits.contains(&what)) {
            continue;
        }
        let Some(until) = draft.memory.held.get(&step.label()).copied() else {
            kept.push(step);
            continue;
        };
        draft.wake(until);
        draft.why(format!(
            "{} failed and is tried again at {until}",
            step.label()
        ));
        match step {
            Step::StopContainer { id, .. } => {
                if let Some(stopping) = draft.memory.stopping.get_mut(&id) {
                    stopping.asked = false;
                }
            }
            Step::ResizePod { what, ref values } => {
                let known = draft.memory.sizes.least();
                let known = known.as_ref();
                if known.is_some_and(|known| way(known, values, what) == Some(Ordering::Greater)) {
                    larger.push(what);
                }
                waits.push(what);
            }
            Step::ResizeContainer { what, .. } => waits.push(what),
            _ => break,
        }
    }
    draft.steps = kept;
}

#[cfg(test)]
mod tests;
