//! One probe of one container.

use super::{Outcome, ProbeKind};
use crate::clock::moved;
use jiff::{SignedDuration, Timestamp};
use pod_model::container_status::ProbeResult;
use pod_model::ids::ContainerId;
use pod_model::pod::{ContainerKind, Probe};
use pod_model::status::ContainerStatus;

/// Times and thresholds of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    initial_delay: SignedDuration,
    period: SignedDuration,
    success: u32,
    failure: u32,
}

impl Timing {
    /// As the spec says; what is absent or senseless is as the defaults have it.
    pub(super) fn of(probe: &Probe) -> Self {
        let seconds = |value: Option<i32>, otherwise: i64| {
            let given = value.filter(|v| *v > 0).map(i64::from);
            SignedDuration::from_secs(given.unwrap_or(otherwise))
        };
        let count = |value: Option<i32>, otherwise| {
            let given = value.and_then(|v| u32::try_from(v).ok());
            given.filter(|v| *v > 0).unwrap_or(otherwise)
        };
        Self {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            success: count(probe.success_threshold, 1),
            failure: count(probe.failure_threshold, 3),
        }
    }
}

/// One probe of one container: what is known, and how often in a row it went the same way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Worker {
    kind: ProbeKind,
    list: ContainerKind,
    timing: Timing,
    container: Option<ContainerId>,
    result: Option<ProbeResult>,
    /// Since when the container runs; `None` = it does not.
    running_since: Option<Timestamp>,
    started: bool,
    last: Option<bool>,
    in_a_row: u32,
    /// Nothing to probe until there is another container.
    on_hold: bool,
    /// Nothing to probe any more.
    stopped: bool,
    /// The attempt that is being probed now.
    busy: bool,
    /// Not before that time.
    not_before: Option<Timestamp>,
}

impl Worker {
    pub(super) fn new(kind: ProbeKind, list: ContainerKind, timing: Timing) -> Self {
        Self {
            kind,
            list,
            timing,
            container: None,
            result: None,
            running_since: None,
            started: false,
            last: None,
            in_a_row: 0,
            on_hold: false,
            stopped: false,
            busy: false,
            not_before: None,
        }
    }

    pub(super) fn kind(&self) -> ProbeKind {
        self.kind
    }

    pub(super) fn list(&self) -> ContainerKind {
        self.list
    }

    fn initial(&self) -> ProbeResult {
        match self.kind {
            ProbeKind::Startup => ProbeResult::Unknown,
            ProbeKind::Liveness => ProbeResult::Success,
            ProbeKind::Readiness => ProbeResult::Failure,
        }
    }

    /// Takes over what an earlier prober had found. `spread`: which share of the period to wait.
    pub(super) fn found_again(
        &mut self,
        id: ContainerId,
        status: &ContainerStatus,
        spread: f64,
        now: Timestamp,
    ) {
        if status.state.running.is_none() {
            return;
        }
        let held = match self.kind {
            ProbeKind::Startup => status.started == Some(true),
            ProbeKind::Liveness => true,
            ProbeKind::Readiness => status.ready,
        };
        self.container = Some(id);
        self.result = Some(if held {
            ProbeResult::Success
        } else {
            self.initial()
        });
        self.on_hold = self.kind == ProbeKind::Startup && held;
        let wait = self.timing.period.mul_f64(spread);
        self.not_before = now.saturating_add(wait).ok();
    }

    pub(super) fn see(&mut self, id: ContainerId, status: &ContainerStatus, deleted: bool) {
        if self.container.as_ref() != Some(&id) {
            self.container = Some(id);
            self.result = Some(self.initial());
            self.on_hold = false;
            self.not_before = None;
            self.running_since = None;
            // A pod that had ended got a second chance.
            self.stopped = false;
        }
        self.started = status.started == Some(true);
        let running = status.state.running.as_ref();
        // Of one attempt that never changes but with the clock, which this is told by itself.
        let known = self.running_since;
        self.running_since =
            running.map(|r| known.unwrap_or(r.started_at.unwrap_or(Timestamp::UNIX_EPOCH)));
        if self.on_hold || self.stopped {
            return;
        }
        if running.is_none() {
            self.result = Some(ProbeResult::Failure);
        } else if deleted && self.kind != ProbeKind::Readiness {
            // A quiet end.
            self.result = Some(ProbeResult::Success);
            self.stopped = true;
        }
    }

    pub(super) fn clock_was_set(&mut self, by: SignedDuration) {
        self.not_before = self.not_before.map(|t| moved(t, by));
        self.running_since = self.running_since.map(|t| moved(t, by));
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// When it is due, and on which attempt; `None`: not before something changes.
    pub(super) fn next(&self) -> Option<(Timestamp, &ContainerId)> {
        let id = self.container.as_ref()?;
        let since = self.running_since?;
        let gate = self.started != (self.kind == ProbeKind::Startup);
        if self.busy || self.on_hold || self.stopped || !gate {
            return None;
        }
        let delayed = since.saturating_add(self.timing.initial_delay).ok()?;
        Some((self.not_before.map_or(delayed, |n| n.max(delayed)), id))
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.busy = true;
        self.not_before = now.saturating_add(self.timing.period).ok();
    }

    /// Takes an outcome in. `false`: it is of an attempt that is gone.
    pub(super) fn ended(&mut self, id: &ContainerId, outcome: &Outcome) -> bool {
        self.busy = false;
        if self.container.as_ref() != Some(id) || self.stopped {
            return false;
        }
        let good = match outcome {
            Outcome::Success | Outcome::Warning(_) => true,
            Outcome::Failure(_) => false,
            Outcome::Error(_) => return true,
        };
        if self.last == Some(good) {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            self.last = Some(good);
            self.in_a_row = 1;
        }
        let (threshold, result) = match good {
            true => (self.timing.success, ProbeResult::Success),
            false => (self.timing.failure, ProbeResult::Failure),
        };
        if self.in_a_row < threshold {
            return true;
        }
        self.result = Some(result);
        if self.kind == ProbeKind::Startup || (self.kind == ProbeKind::Liveness && !good) {
            self.on_hold = true;
            self.in_a_row = 0;
        }
        true
    }

    pub(super) fn result(&self) -> Option<(&ContainerId, ProbeResult)> {
        Some((self.container.as_ref()?, self.result?))
    }
}
