//! Why a pod is where it is, in words: which container holds it up, what that one waits for, how it ended last, when it is tried again.
//!
//! ```text
//! pod ──▶ focus: the container that holds it up ──▶ (its last log lines are fetched) ──▶ Explanation ──▶ text, JSON
//! ```

mod focus;
mod text;

pub use focus::{Focus, Standing, focus};

use crate::duration::since;
use jiff::Timestamp;
use pod_model::asked::keeps_failed;
use pod_model::event::{Event, EventKind};
use pod_model::pod::{Container, Pod};
use pod_model::runtime::{ContainerRecord, PodRuntime, RunState};
use pod_model::status::{Phase, PodStatus};
use serde::{Deserialize, Serialize};

/// What the node's own plan says of the pod now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanFacts {
    /// When it looks again at the latest.
    pub wake_at: Option<Timestamp>,
    /// Why the plan is as it is.
    pub why: Vec<String>,
}

/// Everything that an explanation is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The pod with its status.
    pub pod: &'a Pod,
    /// What the runtime recorded of it.
    pub runtime: &'a PodRuntime,
    /// What its plan says.
    pub plan: &'a PlanFacts,
    /// Its events.
    pub events: &'a [Event],
    /// The last lines that the container in [`Focus`] wrote.
    pub last_lines: &'a [String],
    /// The time of asking.
    pub now: Timestamp,
}

/// Why a pod is where it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `namespace/name`.
    pub pod: String,
    /// The word in the column STATUS.
    pub status: String,
    /// One sentence.
    pub summary: String,
    /// The container that holds the pod up, or has ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<About>,
    /// When the node looks at it again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// What the node's plan says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// Conditions that are not true, each with its reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ready: Vec<String>,
    /// The latest warnings, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What a user can do next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub try_next: Vec<String>,
}

/// The container in question.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Its name.
    pub name: String,
    /// `init container`, `sidecar`, `container`.
    pub kind: String,
    /// The k-th of its list, from 1.
    pub position: usize,
    /// How many there are in that list.
    pub of: usize,
    /// Its state in words.
    pub state: String,
    /// What it waits for.
    pub waiting_on: String,
    /// How often it was started again.
    pub restarts: i32,
    /// How its newest ended attempt ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<LastExit>,
    /// The last lines that it wrote.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastExit {
    /// Which attempt, from 0.
    pub attempt: u32,
    /// Exit code.
    pub code: i32,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether the kernel killed something in it for memory.
    pub out_of_memory: bool,
    /// The reason as the status has it.
    pub reason: String,
    /// Its termination message.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// How many warnings are shown.
const WARNINGS: usize = 3;

/// Explains.
pub fn explain(facts: Facts<'_>) -> Explanation {
    let Facts { pod, plan, now, .. } = facts;
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let focus = focus(pod);
    let container = focus.as_ref().map(|f| about(facts, f));
    let over = status.phase.is_some_and(Phase::is_terminal);
    let word = crate::pod_row::pod_row(pod, now).status;
    Explanation {
        pod: format!("{}/{}", pod.metadata.namespace, pod.metadata.name),
        status: word,
        summary: summary(facts, status, focus.as_ref(), container.as_ref()),
        try_next: try_next(pod, focus.as_ref(), over),
        container,
        next_at: plan.wake_at.filter(|at| !over && *at > now),
        why: if over { Vec::new() } else { plan.why.clone() },
        not_ready: if over { Vec::new() } else { not_ready(status) },
        warnings: warnings(facts),
    }
}

fn summary(
    facts: Facts<'_>,
    status: &PodStatus,
    focus: Option<&Focus<'_>>,
    about: Option<&About>,
) -> String {
    let of = about.map(|a| {
        let which = format!("{} {:?}", a.kind, a.name);
        match a.of {
            1 => which,
            n => format!("{which} ({} of {n})", a.position),
        }
    });
    if facts.pod.is_deleted() {
        return match still_runs(facts).len() {
            0 => "it is being deleted; nothing of it runs any more".to_owned(),
            1 => "it is being deleted; one container still runs".to_owned(),
            n => format!("it is being deleted; {n} containers still run"),
        };
    }
    match (status.phase, of) {
        (Some(Phase::Succeeded), _) => "it has succeeded: every container ended well".to_owned(),
        (Some(Phase::Failed), of) => {
            let reason = match status.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason}: {})", status.message),
            };
            match (of, about) {
                (Some(of), Some(about)) => format!("it has failed{reason}: {of} {}", about.state),
                _ => format!("it has failed{reason}"),
            }
        }
        (_, None) => "it runs, and everything of it is ready".to_owned(),
        (_, Some(of)) => {
            let state = about.map_or("", |a| a.state.as_str());
            match focus.map(|f| f.standing) {
                Some(Standing::Init) => format!("it is initialising: {of} {state}"),
                _ => format!("it is not ready: {of} {state}"),
            }
        }
    }
}

/// Names of the containers that the host has running.
fn still_runs(facts: Facts<'_>) -> Vec<&str> {
    let all = facts.runtime.containers.iter();
    let running = all.filter(|c| c.state == RunState::Running);
    running.map(|c| c.name.as_str()).collect()
}

fn about(facts: Facts<'_>, focus: &Focus<'_>) -> About {
    let container = focus.container;
    let last = facts
        .runtime
        .containers
        .iter()
        .find(|c| c.name == container.name && c.state == RunState::Exited);
    About {
        name: container.name.to_string(),
        kind: focus.kind().to_owned(),
        position: focus.position,
        of: focus.of,
        state: focus.state(facts.now),
        waiting_on: waiting_on(facts, focus, container),
        restarts: focus.status.map_or(0, |s| s.restart_count),
        last_exit: last.and_then(|record| last_exit(record, focus)),
        last_lines: facts.last_lines.to_vec(),
    }
}

/// The host's record, in the words of the status where that tells of the same attempt: one that took too long has failed, whatever it
/// returned.
fn last_exit(record: &ContainerRecord, focus: &Focus<'_>) -> Option<LastExit> {
    let exit = record.exit.as_ref()?;
    let told = focus
        .status
        .into_iter()
        .flat_map(|s| [&s.state.terminated, &s.last_state.terminated])
        .flatten()
        .find(|t| !t.reason.is_empty() && t.container_id.ends_with(record.id.as_str()));
    Some(LastExit {
        attempt: record.attempt,
        code: told.map_or(exit.code, |t| t.exit_code),
        signal: exit.signal,
        out_of_memory: exit.reason == "OOMKilled",
        reason: told.map_or_else(|| exit.reason.clone(), |t| t.reason.clone()),
        message: exit.message.trim().to_owned(),
        at: exit.finished_at,
    })
}

fn waiting_on(facts: Facts<'_>, focus: &Focus<'_>, container: &Container) -> String {
    if facts.pod.is_deleted() {
        return match still_runs(facts).as_slice() {
            [] => "the removal of what is left of it".to_owned(),
            [one] => format!("the end of container {one:?}"),
            several => format!("the end of the containers {}", several.join(", ")),
        };
    }
    let state = focus.status.map(|s| &s.state);
    let waiting = state.and_then(|s| s.waiting.as_ref());
    let reason = waiting.map_or("", |w| w.reason.as_str());
    let image = container.image.as_str();
    match reason {
        "CrashLoopBackOff" => {
            return "the end of its back-off, then it is started again".to_owned();
        }
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" => {
            return format!("image {image:?}, which is not in the store");
        }
        "InvalidImageName" => return format!("a valid image name instead of {image:?}"),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            return waiting.map_or_else(String::new, |w| w.message.clone());
        }
        _ => {}
    }
    if state.is_some_and(|s| s.running.is_some()) {
        return running_waits_on(focus, container);
    }
    if state.is_some_and(|s| s.terminated.is_some()) {
        return "nothing: it is not started again".to_owned();
    }
    let ready = facts.runtime.sandboxes.first().is_some_and(|s| s.ready);
    if ready {
        "its own start".to_owned()
    } else {
        "the sandbox and the volumes of the pod".to_owned()
    }
}

fn running_waits_on(focus: &Focus<'_>, container: &Container) -> String {
    let started = focus.status.and_then(|s| s.started).unwrap_or(true);
    match focus.standing {
        Standing::Init if !container.is_sidecar() => {
            "its own end with exit code 0; the next one starts then".to_owned()
        }
        _ if !started && container.startup_probe.is_some() => "its startup probe".to_owned(),
        _ if container.readiness_probe.is_some() => "its readiness probe".to_owned(),
        _ => "its start".to_owned(),
    }
}

fn not_ready(status: &PodStatus) -> Vec<String> {
    let false_ones = status.conditions.iter().filter(|c| c.status != "True");
    false_ones
        .map(|c| {
            let words: Vec<&str> = [c.reason.as_str(), c.message.as_str()]
                .into_iter()
                .filter(|w| !w.is_empty())
                .collect();
            match words.is_empty() {
                true => format!("{}={}", c.kind, c.status),
                false => format!("{}={}: {}", c.kind, c.status, words.join(": ")),
            }
        })
        .collect()
}

fn warnings(facts: Facts<'_>) -> Vec<String> {
    let mut all: Vec<&Event> = facts
        .events
        .iter()
        .filter(|e| e.kind == EventKind::Warning)
        .collect();
    all.sort_by_key(|e| e.last);
    let from = all.len().saturating_sub(WARNINGS);
    all.into_iter()
        .skip(from)
        .map(|e| {
            let times = if e.count > 1 {
                format!(" (x{})", e.count)
            } else {
                String::new()
            };
            let message = crate::events::message_with_field(e);
            let ago = since(Some(e.last), facts.now);
            format!("{ago} ago{times}: {}: {message}", e.reason)
        })
        .collect()
}

fn try_next(pod: &Pod, focus: Option<&Focus<'_>>, over: bool) -> Vec<String> {
    let Some(focus) = focus else {
        return Vec::new();
    };
    let (name, container) = (&pod.metadata.name, &focus.container.name);
    let namespace = match pod.metadata.namespace.as_str() {
        "default" => String::new(),
        other => format!(" -n {other}"),
    };
    let mut lines = Vec::new();
    let started = focus.status.is_some_and(|s| {
        s.state.running.is_some()
            || s.state.terminated.is_some()
            || s.last_state.terminated.is_some()
    });
    if started {
        let all = focus.status.is_some_and(|s| s.restart_count > 0);
        let all = if all { " --all-attempts" } else { "" };
        lines.push(format!(
            "podwright logs {name} -c {container}{namespace}{all}"
        ));
    }
    let running = focus.status.is_some_and(|s| s.state.running.is_some());
    if running && !over {
        lines.push(format!(
            "podwright exec -it {name} -c {container}{namespace} -- sh"
        ));
    }
    let failed = focus.status.is_some_and(|s| {
        let ends = [&s.state, &s.last_state];
        let mut ends = ends.into_iter().filter_map(|e| e.terminated.as_ref());
        !running && ends.any(|t| t.exit_code != 0)
    });
    if failed && (!over || keeps_failed(pod)) {
        lines.push(format!(
            "podwright debug {name} --target {container}{namespace}"
        ));
    }
    if failed {
        lines.push(format!("podwright retry {name}{namespace}"));
    }
    let waiting = focus.status.and_then(|s| s.state.waiting.as_ref());
    if waiting.is_some_and(|w| w.reason.contains("Image")) {
        let image = focus.container.image.as_str();
        lines.push(format!("podwright image import ARCHIVE --name {image}"));
    }
    lines
}

#[cfg(test)]
mod tests;
