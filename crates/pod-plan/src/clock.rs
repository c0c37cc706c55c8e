//! The wall clock is set while a pod lives: what was noted by the old reading is moved with it, so that every wait, back-off and deadline
//! lasts as long as it would have lasted.
//!
//! The rules compare wall-clock times, because that is what records and statuses hold. The driver tells when the clock was set and by how much;
//! a pod's whole past is then moved by that, as if the clock had been right before.

use crate::memory::{Memory, Readiness};
use jiff::{SignedDuration, Timestamp};
use pod_model::runtime::PodRuntime;
use pod_model::status::{ContainerState, PodStatus};
use std::collections::BTreeMap;

/// How far the times of the runtime's records are to be moved, by what they say: the records themselves stay as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved(BTreeMap<Timestamp, SignedDuration>);

impl Moved {
    /// Moves the times of what was observed at `now`. `set`: by how much the clock was set since the last time.
    ///
    /// A time that is seen for the first time may be of before or after that; it is taken for what brings it nearer to now. One that is
    /// in the future was written before the clock was set back, and before this began to look: it counts as now.
    pub fn apply(&mut self, runtime: &mut PodRuntime, set: Option<SignedDuration>, now: Timestamp) {
        let set = set.unwrap_or_default();
        let mut seen = BTreeMap::new();
        for time in times(runtime) {
            let distance = |by| now.duration_since(moved(*time, by)).abs();
            let by = match self.0.get(time) {
                Some(by) => by.saturating_add(set),
                None if distance(set) < distance(SignedDuration::ZERO) => set,
                None => SignedDuration::ZERO,
            };
            let by = by.min(now.duration_since(*time));
            seen.insert(*time, by);
            *time = moved(*time, by);
        }
        self.0 = seen;
    }
}

fn times(runtime: &mut PodRuntime) -> impl Iterator<Item = &mut Timestamp> {
    let sandboxes = runtime.sandboxes.iter_mut().map(|s| &mut s.created_at);
    let containers = runtime.containers.iter_mut().flat_map(|c| {
        let ended = c.exit.as_mut().map(|e| &mut e.finished_at);
        [Some(&mut c.created_at), Some(&mut c.started_at), ended]
    });
    sandboxes
        .map(Some)
        .chain(containers)
        .flatten()
        .filter_map(Option::as_mut)
}

/// That time, moved; where it would leave the calendar, its end.
pub fn moved(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(time)
}

fn move_in(time: &mut Option<Timestamp>, by: SignedDuration) {
    *time = time.map(|t| moved(t, by));
}

impl Memory {
    /// The wall clock was set by that much.
    pub fn clock_was_set(&mut self, by: SignedDuration) {
        move_status(&mut self.status, by);
        for updated in self.back_off.times() {
            *updated = moved(*updated, by);
        }
        for error in self.start_errors.values_mut() {
            error.at = moved(error.at, by);
        }
        for stopping in self.stopping.values_mut() {
            stopping.deadline = moved(stopping.deadline, by);
        }
        for until in self.held.values_mut() {
            *until = moved(*until, by);
        }
        for overdue in self.overdue.values_mut() {
            overdue.at = moved(overdue.at, by);
        }
        move_in(&mut self.ending, by);
        for readiness in [&mut self.pod, &mut self.volumes, &mut self.sandbox] {
            if let Readiness::Failed { at, .. } = readiness {
                *at = moved(*at, by);
            }
        }
    }
}

fn move_status(status: &mut PodStatus, by: SignedDuration) {
    move_in(&mut status.start_time, by);
    for condition in &mut status.conditions {
        move_in(&mut condition.last_transition_time, by);
        move_in(&mut condition.last_probe_time, by);
    }
    let lists = [
        &mut status.init_container_statuses,
        &mut status.container_statuses,
        &mut status.ephemeral_container_statuses,
    ];
    for container in lists.into_iter().flatten() {
        move_state(&mut container.state, by);
        move_state(&mut container.last_state, by);
    }
}

fn move_state(state: &mut ContainerState, by: SignedDuration) {
    if let Some(running) = &mut state.running {
        move_in(&mut running.started_at, by);
    }
    if let Some(ended) = &mut state.terminated {
        move_in(&mut ended.started_at, by);
        move_in(&mut ended.finished_at, by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::back_off::{BackOffKey, Delays};
    use pod_model::runtime::{NamespaceMode, Sandbox};
    use pod_model::status::{ContainerStatus, Running, Terminated};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn observed(second: i64) -> PodRuntime {
        PodRuntime {
            sandboxes: vec![Sandbox {
                id: "s".into(),
                ready: true,
                attempt: 0,
                ip: None,
                network: NamespaceMode::Pod,
                created_at: Some(at(second)),
            }],
            containers: Vec::new(),
        }
    }

    fn seen(moved: &mut Moved, written: i64, set: Option<i64>, now: i64) -> i64 {
        let mut runtime = observed(written);
        moved.apply(&mut runtime, set.map(SignedDuration::from_secs), at(now));
        runtime.sandboxes[0].created_at.unwrap().as_second()
    }

    #[test]
    fn what_was_known_before_the_clock_was_set_is_moved_and_stays_so() {
        for hour in [3600, -3600] {
            let mut moved = Moved::default();
            assert_eq!(seen(&mut moved, 10_000, None, 10_005), 10_000);
            let now = 10_010 + hour;
            assert_eq!(
                seen(&mut moved, 10_000, Some(hour), now),
                10_000 + hour,
                "{hour}"
            );
            assert_eq!(seen(&mut moved, 10_000, None, now + 5), 10_000 + hour);
            // Back again.
            assert_eq!(seen(&mut moved, 10_000, Some(-hour), 10_020), 10_000);
        }
    }

    #[test]
    fn what_is_seen_first_when_the_clock_was_set_is_taken_for_what_is_nearer() {
        for hour in [3600, -3600] {
            let now = 10_010 + hour;
            let mut moved = Moved::default();
            let before = seen(&mut moved, 10_008, Some(hour), now);
            assert_eq!(before, 10_008 + hour, "written before it was set");
            let mut moved = Moved::default();
            let after = seen(&mut moved, 10_009 + hour, Some(hour), now);
            assert_eq!(after, 10_009 + hour, "written after it was set");
        }
    }

    #[test]
    fn what_is_as_near_moved_as_unmoved_stays_as_it_was_written() {
        let mut moved = Moved::default();
        assert_eq!(seen(&mut moved, 10_000, Some(20), 10_010), 10_000);
    }

    #[test]
    fn a_time_in_the_future_counts_as_now() {
        let mut moved = Moved::default();
        assert_eq!(seen(&mut moved, 13_600, None, 10_000), 10_000);
        assert_eq!(seen(&mut moved, 13_600, None, 10_007), 10_000, "it stays");
    }

    #[test]
    fn a_back_off_lasts_as_long_as_before() {
        let delays = Delays {
            initial_seconds: 10,
            max_seconds: 300,
        };
        let key = BackOffKey::new("k");
        for hour in [3600, -3600] {
            let mut memory = Memory::default();
            let next = memory.back_off.next(&key, delays, at(10_000), at(10_000));
            memory.back_off.enter(next);
            let left = |memory: &Memory, now| {
                let until = memory.back_off.busy_until(&key, delays, at(now));
                until.map(|u| u.as_second() - now)
            };
            assert_eq!(left(&memory, 10_004), Some(6));
            memory.clock_was_set(SignedDuration::from_secs(hour));
            assert_eq!(left(&memory, 10_004 + hour), Some(6), "{hour}");
            assert_eq!(left(&memory, 10_010 + hour), None, "{hour}");
        }
    }

    #[test]
    fn deadlines_and_the_start_of_the_pod_are_moved() {
        let mut memory = Memory {
            ending: Some(at(5)),
            ..Memory::default()
        };
        memory.status.start_time = Some(at(3));
        memory.held.insert("step".to_owned(), at(20));
        let ran = |from, to| Terminated {
            started_at: Some(at(from)),
            finished_at: Some(at(to)),
            ..Terminated::default()
        };
        let state = |running, terminated| ContainerState {
            running,
            terminated,
            ..ContainerState::default()
        };
        let runs = Running {
            started_at: Some(at(12)),
        };
        memory.status.container_statuses.push(ContainerStatus {
            state: state(Some(runs), None),
            last_state: state(None, Some(ran(7, 9))),
            ..ContainerStatus::default()
        });
        memory.clock_was_set(SignedDuration::from_secs(100));
        assert_eq!(memory.ending, Some(at(105)));
        assert_eq!(memory.status.start_time, Some(at(103)));
        assert_eq!(memory.held["step"], at(120));
        let status = &memory.status.container_statuses[0];
        let since = status.state.running.as_ref().unwrap().started_at;
        assert_eq!(since, Some(at(112)));
        assert_eq!(status.last_state.terminated, Some(ran(107, 109)));
    }
}
