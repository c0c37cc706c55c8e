//! Starts containers, each when its back-off allows it.

use crate::actions::{Kill, PodActions};
use crate::back_off::{BackOffKey, Next, Verdict, may_start};
use crate::draft::{Draft, End};
use crate::events;
use crate::failure::POST_START;
use crate::memory::{StartError, retry_at};
use crate::step::Step;
use crate::termination::{SHORTEST_GRACE_SECONDS, grace_seconds};
use jiff::Timestamp;
use pod_model::ids::{ContainerName, SandboxId};
use pod_model::pod::{Container, ContainerKind};
use pod_model::runtime::{ContainerRecord, RunState};
use std::collections::BTreeSet;

const CRASH: &str = "CrashLoopBackOff";
const PULL_FAILED: &str = "ErrImagePull";
const PULL_BACK_OFF: &str = "ImagePullBackOff";

/// Ends single containers and starts what shall run. Ephemeral containers come first, then init containers in order, then apps. A plain
/// init container that cannot be started now holds up all that follow; a sidecar or an app holds up nothing.
pub(crate) fn kill_and_start(draft: &mut Draft<'_>, actions: &PodActions, sandbox: &SandboxId) {
    let ending = kills(draft, actions);
    for index in &actions.ephemeral_to_start {
        start(draft, ContainerKind::Ephemeral, *index, sandbox, &ending);
    }
    for index in &actions.init_to_start {
        let begun = start(draft, ContainerKind::Init, *index, sandbox, &ending);
        let inits = &draft.pod.spec.init_containers;
        if !begun && !inits.get(*index).is_some_and(Container::is_sidecar) {
            return;
        }
    }
    for index in &actions.apps_to_start {
        start(draft, ContainerKind::App, *index, sandbox, &ending);
    }
}

/// Ends what shall not go on. Gives the names of those that have not ended yet.
fn kills(draft: &mut Draft<'_>, actions: &PodActions) -> BTreeSet<ContainerName> {
    let observed = draft.observed;
    let mut ending = BTreeSet::new();
    for kill in &actions.to_kill {
        let record = observed.runtime.containers.iter().find(|r| r.id == kill.id);
        let Some(record) = record else {
            continue;
        };
        if starts(draft, actions, kill) {
            draft.memory.again_after(record);
        }
        let asked = draft.memory.stopping.get(&record.id);
        if record.state == RunState::Unknown && asked.is_some_and(|s| s.deadline <= draft.now) {
            // Nobody will ever tell that it ended; its time is over.
            continue;
        }
        let found = draft.pod.spec.find(kill.name.as_str());
        let seconds = found.map_or(SHORTEST_GRACE_SECONDS, |(_, _, container)| {
            grace_seconds(draft.pod, container, kill.reason, None)
        });
        let deadline = draft.after_ms(seconds.saturating_mul(1000));
        let end = End {
            deadline,
            at_once: false,
            turn: true,
            message: &kill.message,
        };
        draft.stop(record, end);
        if record.state == RunState::Unknown {
            let deadline = draft.memory.stopping.get(&record.id).map(|s| s.deadline);
            draft.wake(deadline.unwrap_or(draft.now));
        }
        ending.insert(kill.name.clone());
    }
    ending
}

/// Whether what is killed is started again.
fn starts(draft: &Draft<'_>, actions: &PodActions, kill: &Kill) -> bool {
    let named = |list: &[Container], indexes: &[usize]| {
        let mut containers = indexes.iter().filter_map(|i| list.get(*i));
        containers.any(|c| c.name == kill.name)
    };
    let spec = &draft.pod.spec;
    named(&spec.init_containers, &actions.init_to_start)
        || named(&spec.containers, &actions.apps_to_start)
}

/// Plans a start, if it may be now. `false` when it may not.
fn start(
    draft: &mut Draft<'_>,
    kind: ContainerKind,
    index: usize,
    sandbox: &SandboxId,
    ending: &BTreeSet<ContainerName>,
) -> bool {
    let pod = draft.pod;
    let Some(container) = pod.spec.list(kind).get(index) else {
        return false;
    };
    let name = &container.name;
    if ending.contains(name) {
        draft.why(format!("container {name} starts again when it has ended"));
        return false;
    }
    let Some(back_off) = restart_allowed(draft, kind, container) else {
        return false;
    };
    if !pull_allowed(draft, kind, container) || !retry_allowed(draft, container) {
        return false;
    }
    let observed = draft.observed;
    let newest = observed.runtime.newest(name);
    let attempt = next_attempt(draft, name, newest);
    draft.step(
        Step::StartContainer {
            kind,
            index,
            name: name.clone(),
            sandbox: sandbox.clone(),
            attempt,
            back_off,
        },
        format!("start container {name}, attempt {attempt}"),
    );
    if let Some(made) = newest.filter(|r| r.state == RunState::Created) {
        // Made, never started, and now of no use. It goes after the new one stands, so that its end is never the newest record.
        draft.stop(made, End::at_once(draft.now, ""));
    }
    true
}

fn next_attempt(draft: &Draft<'_>, name: &ContainerName, newest: Option<&ContainerRecord>) -> u32 {
    let recorded = newest.map(|r| r.attempt);
    let begun = draft.memory.attempts.get(name).copied();
    match recorded.max(begun) {
        Some(last) => last.saturating_add(1),
        None => draft.observed.log_attempts.get(name).copied().unwrap_or(0),
    }
}

/// Sets why a container waits. `true` if that is news, so that it must be told at once.
fn refuse(draft: &mut Draft<'_>, name: &ContainerName, reason: &str, message: String) -> bool {
    let errors = &mut draft.memory.start_errors;
    let known = errors.get(name);
    if known.is_some_and(|e| e.reason == reason && e.message == message) {
        return false;
    }
    let error = StartError {
        reason: reason.to_owned(),
        message,
        at: draft.now,
        unhooked: None,
    };
    errors.insert(name.clone(), error);
    // The status of this plan was made before; the next one tells it.
    draft.wake(draft.now);
    true
}

/// Restarts back off from the end of the attempt before. `None`: not now; else what the start does to the table.
fn restart_allowed(
    draft: &mut Draft<'_>,
    kind: ContainerKind,
    container: &Container,
) -> Option<Option<Next>> {
    let delays = draft.observed.limits.restart;
    let runtime = &draft.observed.runtime;
    let table = &draft.memory.back_off;
    match may_start(table, delays, draft.pod, container, runtime, draft.now) {
        Verdict::Go(next) => Some(next),
        Verdict::Wait { until, message } => {
            let name = &container.name;
            draft.why(format!("container {name} waits until {until}: {message}"));
            if refuse(draft, name, CRASH, message) {
                draft
                    .events
                    .push(events::crash_back_off(kind, name, draft.pod));
            }
            draft.wake(until);
            None
        }
    }
}

/// Pulls back off by image: a pull that failed for one container holds up the others of the same image.
fn pull_allowed(draft: &mut Draft<'_>, kind: ContainerKind, container: &Container) -> bool {
    let image = &container.image;
    let delays = draft.observed.limits.image;
    let key = BackOffKey::for_image(draft.pod, image);
    let Some(until) = draft.memory.back_off.busy_until(&key, delays, draft.now) else {
        return true;
    };
    let all = draft.pod.spec.all();
    let mut errors = all
        .filter(|(_, _, c)| c.image == *image)
        .filter_map(|(_, _, c)| draft.memory.start_errors.get(&c.name));
    let prefix = format!("Back-off pulling image {:?}", image.as_str());
    let message = errors.find_map(|e| match e.reason.as_str() {
        PULL_FAILED => Some(format!("{prefix}: {PULL_FAILED}: {}", e.message)),
        PULL_BACK_OFF => Some(e.message.clone()),
        _ => None,
    });
    let Some(message) = message else {
        return true;
    };
    let name = &container.name;
    draft.why(format!("container {name} waits until {until}: {message}"));
    if refuse(draft, name, PULL_BACK_OFF, message) {
        draft.events.push(events::pull_back_off(kind, name, image));
        draft
            .events
            .push(events::start_failed(kind, name, PULL_BACK_OFF));
    }
    draft.wake(until);
    false
}

/// What could not be made for another reason is tried again at the pace of failed syncs.
fn retry_allowed(draft: &mut Draft<'_>, container: &Container) -> bool {
    let name = &container.name;
    let Some(error) = draft.memory.start_errors.get(name) else {
        return true;
    };
    let left_a_record = || {
        let newest = draft.observed.runtime.newest(name);
        let ended = newest.filter(|r| r.state == RunState::Exited);
        ended.is_some_and(|r| draft.memory.attempts.get(name) == Some(&r.attempt))
    };
    let due: Timestamp = match error.reason.as_str() {
        CRASH | PULL_FAILED | PULL_BACK_OFF => return true,
        // Then the back-off of restarts has spoken already.
        "RunContainerError" | POST_START if left_a_record() => return true,
        _ => retry_at(error.at),
    };
    if due <= draft.now {
        return true;
    }
    let text = format!(
        "container {name} is tried again at {due}: {}",
        error.message
    );
    draft.why(text);
    draft.wake(due);
    false
}

#[cfg(test)]
mod tests;
