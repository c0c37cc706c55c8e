//! Attempts of init containers that take too long (`podwright.io/init-timeout`): they are ended, and count as failed whatever they return.

use crate::draft::{Draft, End};
use crate::events;
use crate::memory::{Memory, Overdue};
use crate::termination::grace_seconds;
use jiff::SignedDuration;
use pod_model::asked::init_timeout;
use pod_model::runtime::{PodRuntime, RunState};

/// Reason of an attempt that took too long.
pub const REASON: &str = "InitTimeout";

/// What stands for an exit code of 0 of such an attempt, so that nobody takes it for a success: the code that `timeout(1)` gives.
const CODE: i32 = 124;

/// Ends attempts whose time is over, and plans again when that of others will be.
pub(crate) fn end_late(draft: &mut Draft<'_>) {
    let (pod, observed) = (draft.pod, draft.observed);
    for container in pod.spec.init_containers.iter().filter(|c| !c.is_sidecar()) {
        let Some(limit) = init_timeout(pod, &container.name) else {
            continue;
        };
        let newest = observed.runtime.newest(&container.name);
        let Some(record) = newest.filter(|r| r.state == RunState::Running) else {
            continue;
        };
        let since = record.started_at.unwrap_or(draft.now);
        let Ok(over) = since.saturating_add(limit) else {
            continue;
        };
        if draft.now < over {
            draft.wake(over);
            continue;
        }
        if !draft.memory.overdue.contains_key(&record.id) {
            let overdue = Overdue {
                at: over,
                limit: text(limit),
            };
            draft
                .events
                .push(events::init_timeout(&container.name, &overdue.limit));
            draft.memory.overdue.insert(record.id.clone(), overdue);
        }
        let message = format!("Stopping container {}", container.name);
        let grace = grace_seconds(pod, container, None, None);
        let end = End {
            deadline: draft.after_ms(grace.saturating_mul(1000)),
            at_once: false,
            turn: true,
            message: &message,
        };
        draft.stop(record, end);
    }
}

/// As Kubernetes prints a duration.
fn text(limit: SignedDuration) -> String {
    crate::back_off::go_duration(limit)
}

/// Records with what their time limit made of their ends.
pub(crate) fn seen(memory: &Memory, runtime: &mut PodRuntime) {
    for record in &mut runtime.containers {
        let Some(overdue) = memory.overdue.get(&record.id) else {
            continue;
        };
        let Some(exit) = &mut record.exit else {
            continue;
        };
        // It came to its own end before that.
        if exit.finished_at.is_some_and(|at| at < overdue.at) {
            continue;
        }
        let own = match exit.code {
            0 => "; then it ended with exit code 0".to_owned(),
            _ => String::new(),
        };
        let said = match exit.message.is_empty() {
            true => String::new(),
            false => format!(": {}", exit.message),
        };
        exit.message = format!("did not end within {}{own}{said}", overdue.limit);
        REASON.clone_into(&mut exit.reason);
        if exit.code == 0 {
            exit.code = CODE;
        }
    }
}

#[cfg(test)]
mod tests;
