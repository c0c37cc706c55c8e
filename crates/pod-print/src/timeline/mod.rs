//! The life of a pod as bars over time: its sandboxes, every attempt of every container, and every gap in which nothing ran.

mod svg;
mod text;

use jiff::Timestamp;
use pod_model::pod::{Container, ContainerKind, Pod};
use pod_model::runtime::{ContainerRecord, PodRuntime, RunState};
use serde::Serialize;

/// A gap shorter than this, in milliseconds, is the work of starting the next container, not a wait.
const SHORTEST_GAP: i64 = 1;

/// Everything that is known of when something of a pod ran. Times are exact to what the runtime recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// `namespace/name`.
    pub pod: String,
    /// When the pod's acceptance; the first thing of it, if that is not known.
    pub from: Timestamp,
    /// Now; when the last container ended, if nothing runs and nothing will.
    pub to: Timestamp,
    /// Sandboxes, then containers in the order of the spec, each with its attempts in order.
    pub bars: Vec<Bar>,
    /// Times in which no container ran, in order. Of times in which an attempt ran that is not recorded any more none is told.
    pub gaps: Vec<Gap>,
    /// Attempts before these, of sandboxes and containers, of which there is no record any more.
    pub forgotten: u32,
}

/// One attempt of a sandbox or container.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bar {
    /// What it is.
    pub lane: Lane,
    /// Name of the container; `pause` for a sandbox.
    pub name: String,
    /// The n-th, from 0.
    pub attempt: u32,
    /// When it was started.
    pub from: Timestamp,
    /// When it ended; `None` while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// How it went.
    pub outcome: Outcome,
    /// The same in words: `Running`, `Completed`, `Error (3)`, `OOMKilled (137)`.
    pub result: String,
    /// Milliseconds from the end of the attempt before to the start of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<i64>,
}

/// What kind of thing has the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The pod's namespaces and the pause process that holds them.
    Sandbox,
    /// An init container that runs to completion.
    Init,
    /// An init container that stays.
    Sidecar,
    /// An app container.
    App,
    /// An ephemeral container.
    Ephemeral,
}

impl Lane {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Sandbox => "sandbox",
            Lane::Init => "init",
            Lane::Sidecar => "sidecar",
            Lane::App => "app",
            Lane::Ephemeral => "ephemeral",
        }
    }

    fn of(kind: ContainerKind, container: &Container) -> Self {
        match kind {
            ContainerKind::Init if container.is_sidecar() => Lane::Sidecar,
            ContainerKind::Init => Lane::Init,
            ContainerKind::App => Lane::App,
            ContainerKind::Ephemeral => Lane::Ephemeral,
        }
    }
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It still runs.
    Running,
    /// It ended with code 0, or as a sandbox that was no longer needed.
    Succeeded,
    /// It ended otherwise.
    Failed,
    /// Nobody can tell how it ended.
    Unknown,
}

/// A time in which no container ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Its length in milliseconds.
    pub ms: i64,
    /// What ended before it: `fetch #0`; `the pod's acceptance`.
    pub after: String,
    /// What was started after it; `None` where nothing has been yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

impl Timeline {
    /// The timeline of that pod at `now`, from what the runtime recorded of it. `pod.metadata.creation_timestamp` is its begin.
    pub fn of(pod: &Pod, runtime: &PodRuntime, now: Timestamp) -> Self {
        let mut bars = sandboxes(runtime, now);
        for (kind, _, container) in pod.spec.all() {
            let lane = Lane::of(kind, container);
            let mut records: Vec<&ContainerRecord> = runtime
                .containers
                .iter()
                .filter(|r| r.name == container.name)
                .collect();
            records.sort_by_key(|r| r.attempt);
            let mut before = None;
            for record in records {
                let Some(bar) = bar(lane, record, before) else {
                    continue;
                };
                before = bar.to.map(|end| (bar.attempt, end));
                bars.push(bar);
            }
        }
        let ended = !bars.iter().any(|b| b.to.is_none())
            && pod
                .status
                .as_ref()
                .and_then(|s| s.phase)
                .is_some_and(|p| p.is_terminal());
        let last = bars.iter().filter_map(|b| b.to).max();
        let to = last.filter(|_| ended).unwrap_or(now);
        let first = bars.iter().map(|b| b.from).min().unwrap_or(to);
        let from = pod
            .metadata
            .creation_timestamp
            .map_or(first, |created| created.min(first));
        let (holes, forgotten) = holes(&bars, from);
        let mut gaps = gaps(&bars, from, to);
        gaps.retain(|g| {
            !holes
                .iter()
                .any(|(start, end)| g.from < *end && *start < g.to)
        });
        Self {
            pod: format!("{}/{}", pod.metadata.namespace, pod.metadata.name),
            from,
            to: to.max(from),
            bars,
            gaps,
            forgotten,
        }
    }

    /// Milliseconds from begin to end.
    pub fn length_ms(&self) -> i64 {
        millis(self.from, self.to)
    }
}

/// A sandbox has no recorded end: it is over when the next one was made, or else when the last container in it ended.
fn sandboxes(runtime: &PodRuntime, now: Timestamp) -> Vec<Bar> {
    let mut all: Vec<_> = runtime.sandboxes.iter().collect();
    all.sort_by_key(|s| s.attempt);
    let mut bars = Vec::new();
    for (i, sandbox) in all.iter().enumerate() {
        let Some(from) = sandbox.created_at else {
            continue;
        };
        let next = all.get(i + 1).and_then(|s| s.created_at);
        let of_it = runtime
            .containers
            .iter()
            .filter(|c| c.sandbox == sandbox.id);
        let last = of_it
            .filter_map(|c| c.exit.as_ref().and_then(|e| e.finished_at))
            .max();
        let to = (!sandbox.ready).then(|| last.or(next).unwrap_or(now).max(from));
        bars.push(Bar {
            lane: Lane::Sandbox,
            name: "pause".to_owned(),
            attempt: sandbox.attempt,
            from,
            to,
            outcome: match to {
                None => Outcome::Running,
                Some(_) => Outcome::Succeeded,
            },
            result: if to.is_none() { "Ready" } else { "Ended" }.to_owned(),
            waited_ms: None,
        });
    }
    bars
}

/// `before`: the attempt before it that is recorded, and its end.
fn bar(lane: Lane, record: &ContainerRecord, before: Option<(u32, Timestamp)>) -> Option<Bar> {
    let exit = record.exit.as_ref();
    let finished = exit.and_then(|e| e.finished_at);
    let from = record.started_at.or(record.created_at).or(finished)?;
    let (outcome, result) = match (record.state, exit) {
        (RunState::Running, _) => (Outcome::Running, "Running".to_owned()),
        (RunState::Created, _) => (Outcome::Running, "Created".to_owned()),
        (_, Some(exit)) if exit.reason == "ContainerStatusUnknown" => {
            (Outcome::Unknown, format!("{} ({})", exit.reason, exit.code))
        }
        (_, Some(exit)) if exit.code == 0 => (Outcome::Succeeded, exit.reason.clone()),
        (_, Some(exit)) => (Outcome::Failed, format!("{} ({})", exit.reason, exit.code)),
        (_, None) => (Outcome::Unknown, "Unknown".to_owned()),
    };
    let to = match outcome {
        Outcome::Running => None,
        _ => Some(finished.unwrap_or(from).max(from)),
    };
    Some(Bar {
        lane,
        name: record.name.to_string(),
        attempt: record.attempt,
        from,
        to,
        outcome,
        result,
        waited_ms: before
            .filter(|(attempt, _)| attempt.checked_add(1) == Some(record.attempt))
            .map(|(_, end)| millis(end, from)),
    })
}

/// When attempts ran that are not recorded any more (at the earliest, at the latest), and how many they are. A sandbox that is gone took the
/// records of what ran in it along.
fn holes(bars: &[Bar], from: Timestamp) -> (Vec<(Timestamp, Timestamp)>, u32) {
    let (mut holes, mut count) = (Vec::new(), 0);
    let mut last: Option<&Bar> = None;
    for bar in bars {
        let of_same = last.filter(|l| l.lane == bar.lane && l.name == bar.name);
        let next = of_same.map_or(0, |l| l.attempt.saturating_add(1));
        if let Some(missing) = bar.attempt.checked_sub(next).filter(|n| *n > 0) {
            let since = of_same.map_or(from, |l| l.to.unwrap_or(l.from));
            holes.push((since, bar.from));
            count += missing;
        }
        last = Some(bar);
    }
    (holes, count)
}

fn gaps(bars: &[Bar], from: Timestamp, to: Timestamp) -> Vec<Gap> {
    let mut runs: Vec<&Bar> = bars.iter().filter(|b| b.lane != Lane::Sandbox).collect();
    runs.sort_by_key(|b| b.from);
    let mut gaps = Vec::new();
    let mut free_since = Some((from, "the pod's acceptance".to_owned()));
    for bar in runs {
        let Some((since, after)) = free_since.take() else {
            break;
        };
        push_gap(&mut gaps, since, bar.from, &after, Some(name(bar)));
        free_since = match bar.to {
            // From here on something always runs.
            None => None,
            Some(end) if end >= since => Some((end, name(bar))),
            Some(_) => Some((since, after)),
        };
    }
    if let Some((since, after)) = free_since {
        push_gap(&mut gaps, since, to, &after, None);
    }
    gaps
}

fn push_gap(
    gaps: &mut Vec<Gap>,
    from: Timestamp,
    to: Timestamp,
    after: &str,
    before: Option<String>,
) {
    let ms = millis(from, to);
    if ms >= SHORTEST_GAP {
        gaps.push(Gap {
            from,
            to,
            ms,
            after: after.to_owned(),
            before,
        });
    }
}

fn name(bar: &Bar) -> String {
    format!("{} #{}", bar.name, bar.attempt)
}

fn millis(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis()).unwrap_or(i64::MAX)
}

/// A length of time as a person reads it: `7ms`, `1.23s`, `59.9s`, `2m10s`.
pub fn took(ms: i64) -> String {
    match ms {
        ..1000 => format!("{}ms", ms.max(0)),
        1000..10_000 => format!("{}.{:02}s", ms / 1000, ms % 1000 / 10),
        10_000..120_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        _ => crate::duration::human_duration(jiff::SignedDuration::from_millis(ms)),
    }
}

#[cfg(test)]
mod tests;
