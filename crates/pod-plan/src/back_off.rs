//! Back-off of restarts and image pulls: a table of delays that double, as a value.
//!
//! A restart after an exit is refused until `finished_at + delay`; the first one is immediate. An entry that was not updated for twice
//! the longest delay counts as absent (`client-go/util/flowcontrol/backoff.go`, `doBackOff` of kuberuntime).

use jiff::{SignedDuration, Timestamp};
use pod_model::ids::ImageName;
use pod_model::pod::{Container, Pod};
use pod_model::runtime::{PodRuntime, RunState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// First and longest delay, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays {
    /// First delay.
    pub initial_seconds: u32,
    /// Longest delay.
    pub max_seconds: u32,
}

/// Delays of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Of restarts.
    pub restart: Delays,
    /// Of image pulls.
    pub image: Delays,
}

impl Delays {
    /// Of restarts, as a node is configured: `max_seconds` replaces the longest delay, and the first one where that would be longer.
    /// `reduced`: the shorter delays of the alpha feature ReduceDefaultCrashLoopBackOffDecay.
    pub fn of_restarts(max_seconds: Option<u32>, reduced: bool) -> Self {
        let (initial, max) = if reduced { (1, 60) } else { (10, 300) };
        let max_seconds = max_seconds.unwrap_or(max);
        Self {
            initial_seconds: initial.min(max_seconds),
            max_seconds,
        }
    }
}

impl Default for Limits {
    /// 10 s doubling to 300 s for both, as Kubernetes has them.
    fn default() -> Self {
        let delays = Delays {
            initial_seconds: 10,
            max_seconds: 300,
        };
        Self {
            restart: delays,
            image: delays,
        }
    }
}

/// What a delay belongs to: the pod's uid, the kind of work and what it is done with. A changed image or changed resources make another key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackOffKey(String);

/// One delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The delay now, in seconds.
    pub seconds: u32,
    /// When it was entered.
    pub updated: Timestamp,
}

/// Delays by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackOffTable(BTreeMap<BackOffKey, Entry>);

/// A change of the table that a start brings about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Whose delay.
    pub key: BackOffKey,
    /// The delay from now on.
    pub entry: Entry,
}

impl BackOffKey {
    /// Any text; see `for_restart` and `for_image`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl BackOffTable {
    fn live(&self, key: &BackOffKey, delays: Delays, since: Timestamp) -> Option<Entry> {
        let entry = *self.0.get(key)?;
        let age = since.duration_since(entry.updated);
        (age <= SignedDuration::from_secs(2 * i64::from(delays.max_seconds))).then_some(entry)
    }

    /// The delay of that key, 0 where it has none.
    pub fn seconds(&self, key: &BackOffKey) -> u32 {
        self.0.get(key).map_or(0, |e| e.seconds)
    }

    /// When work that failed at `since` may be tried again, if that is later than `now`.
    pub fn refused_until(
        &self,
        key: &BackOffKey,
        delays: Delays,
        since: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let entry = self.live(key, delays, since)?;
        let until = since
            .saturating_add(SignedDuration::from_secs(i64::from(entry.seconds)))
            .ok()?;
        (now < until).then_some(until)
    }

    /// When work may be tried again whose delay counts from the time it was entered (image pulls), if that is later than `now`.
    pub fn busy_until(
        &self,
        key: &BackOffKey,
        delays: Delays,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let entry = self.live(key, delays, now)?;
        self.refused_until(key, delays, entry.updated, now)
    }

    /// The entry that one more try at `now`, after a failure at `since`, brings about: twice the delay, or the first one.
    pub fn next(&self, key: &BackOffKey, delays: Delays, since: Timestamp, now: Timestamp) -> Next {
        let seconds = match self.live(key, delays, since) {
            Some(entry) => entry.seconds.saturating_mul(2).min(delays.max_seconds),
            None => delays.initial_seconds,
        };
        Next {
            key: key.clone(),
            entry: Entry {
                seconds,
                updated: now,
            },
        }
    }

    /// Enters a change.
    pub fn enter(&mut self, next: Next) {
        self.0.insert(next.key, next.entry);
    }

    /// When each entry was updated.
    pub(crate) fn times(&mut self) -> impl Iterator<Item = &mut Timestamp> {
        self.0.values_mut().map(|entry| &mut entry.updated)
    }

    /// Forgets a delay.
    pub fn forget(&mut self, key: &BackOffKey) {
        self.0.remove(key);
    }
}

impl BackOffKey {
    /// Restarts of one container: a changed image or changed resources are another key, so they start without delay.
    pub fn for_restart(pod: &Pod, container: &Container) -> Self {
        Self(format!(
            "restart {} {} {} {:?}",
            pod.metadata.uid, container.name, container.image, container.resources
        ))
    }

    /// Pulls of one image for one pod.
    pub fn for_image(pod: &Pod, image: &ImageName) -> Self {
        Self(format!("image {} {image}", pod.metadata.uid))
    }
}

/// Whether a container may be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may; if it ended before, this is what the start does to the table.
    Go(Option<Next>),
    /// Not before that time.
    Wait {
        /// When it may.
        until: Timestamp,
        /// Waiting message, with the delay in words.
        message: String,
    },
}

/// Whether a container may be started at `now` (`doBackOff` of the kubelet): one that has never ended may at once.
pub fn may_start(
    table: &BackOffTable,
    delays: Delays,
    pod: &Pod,
    container: &Container,
    runtime: &PodRuntime,
    now: Timestamp,
) -> Verdict {
    let mut records = runtime.containers.iter();
    let ended = records.find(|r| r.name == container.name && r.state == RunState::Exited);
    let Some(ended) = ended else {
        return Verdict::Go(None);
    };
    let finished = ended.exit.as_ref().and_then(|e| e.finished_at);
    let since = finished.unwrap_or(now);
    let key = BackOffKey::for_restart(pod, container);
    match table.refused_until(&key, delays, since, now) {
        Some(until) => Verdict::Wait {
            until,
            message: format!(
                "back-off {} restarting failed container={} pod={}",
                go_duration(SignedDuration::from_secs(i64::from(table.seconds(&key)))),
                container.name,
                pod_text(pod)
            ),
        },
        None => Verdict::Go(Some(table.next(&key, delays, since, now))),
    }
}

/// A pod in messages: `name_namespace(uid)`.
pub fn pod_text(pod: &Pod) -> String {
    let m = &pod.metadata;
    format!("{}_{}({})", m.name, m.namespace, m.uid)
}

/// A duration as Go prints it: `10s`, `1m20s`, `5m0s`, `1.204s`, `350ms`.
pub fn go_duration(d: SignedDuration) -> String {
    let nanos = d.as_nanos().unsigned_abs();
    let sign = if d.is_negative() { "-" } else { "" };
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000_000_000 {
        let (unit, scale) = match nanos {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", decimal(nanos, scale));
    }
    let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
    let seconds = decimal(rest, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

/// `value / scale` with as many digits after the point as it needs; `scale` is a power of ten.
fn decimal(value: u128, scale: u128) -> String {
    let (whole, part) = (value / scale, value % scale);
    if part == 0 {
        return whole.to_string();
    }
    let digits = scale.ilog10() as usize;
    let text = format!("{part:0digits$}");
    format!("{whole}.{}", text.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_prints_them() {
        for (millis, text) in [
            (0, "0s"),
            (350, "350ms"),
            (1_204, "1.204s"),
            (10_000, "10s"),
            (80_000, "1m20s"),
            (300_000, "5m0s"),
            (3_600_500, "1h0m0.5s"),
            (-1_500, "-1.5s"),
        ] {
            assert_eq!(go_duration(SignedDuration::from_millis(millis)), text);
        }
        for (nanos, text) in [
            (1, "1ns"),
            (999, "999ns"),
            (1_000, "1µs"),
            (1_500, "1.5µs"),
            (1_000_000, "1ms"),
            (999_999_999, "999.999999ms"),
            (1_000_000_000, "1s"),
        ] {
            assert_eq!(go_duration(SignedDuration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn a_delay_doubles_to_its_longest_and_starts_over_after_twice_the_longest() {
        let delays = Limits::default().restart;
        let key = BackOffKey::new("k");
        let mut table = BackOffTable::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut seen = Vec::new();
        for wait in [0, 1, 1, 1, 1, 1, 1, 600, 601] {
            now += SignedDuration::from_secs(wait);
            table.enter(table.next(&key, delays, now, now));
            seen.push(table.seconds(&key));
        }
        assert_eq!(seen, [10, 20, 40, 80, 160, 300, 300, 300, 10]);
    }

    #[test]
    fn work_is_refused_until_the_delay_after_its_failure_is_over() {
        let delays = Limits::default().restart;
        let key = BackOffKey::new("k");
        let at = |s| Timestamp::from_second(s).unwrap();
        let mut table = BackOffTable::default();
        assert_eq!(table.refused_until(&key, delays, at(0), at(0)), None);
        table.enter(table.next(&key, delays, at(0), at(0)));
        for (since, now, until) in [
            (5, 5, Some(15)),
            (5, 14, Some(15)),
            (5, 15, None),
            (601, 601, None),
        ] {
            let got = table.refused_until(&key, delays, at(since), at(now));
            assert_eq!(got, until.map(at), "failed at {since}, now {now}");
        }
        table.forget(&key);
        assert_eq!(table.busy_until(&key, delays, at(1)), None);
    }
}
