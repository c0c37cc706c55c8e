//! A plan in the making.

use crate::events::{self, PodEvent};
use crate::memory::{Memory, PreStop, Stopping, retry_at};
use crate::observed::Observed;
use crate::step::Step;
use crate::termination::SHORTEST_GRACE_SECONDS;
use jiff::{SignedDuration, Timestamp};
use pod_model::pod::{ContainerKind, Pod};
use pod_model::runtime::{ContainerRecord, RunState};

/// A plan in the making, with the facts it is made from.
pub(crate) struct Draft<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) observed: &'a Observed,
    pub(crate) now: Timestamp,
    pub(crate) memory: Memory,
    pub(crate) steps: Vec<Step>,
    pub(crate) wake_at: Option<Timestamp>,
    pub(crate) events: Vec<PodEvent>,
    pub(crate) why: Vec<String>,
}

impl<'a> Draft<'a> {
    /// `memory`: as the plan begins with it, which may be more than was observed.
    pub(crate) fn new(
        pod: &'a Pod,
        observed: &'a Observed,
        memory: Memory,
        now: Timestamp,
    ) -> Self {
        Self {
            pod,
            observed,
            now,
            memory,
            steps: Vec::new(),
            wake_at: None,
            events: Vec::new(),
            why: Vec::new(),
        }
    }

    /// Plans again at that time, or sooner.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |w| w.min(at)));
    }

    pub(crate) fn why(&mut self, text: impl Into<String>) {
        self.why.push(text.into());
    }

    pub(crate) fn step(&mut self, step: Step, why: impl Into<String>) {
        self.steps.push(step);
        self.why(why);
    }

    /// A time that many milliseconds from now.
    pub(crate) fn after_ms(&self, ms: u64) -> Timestamp {
        after_ms(self.now, ms)
    }

    /// Brings a container nearer to its end: tells of it, runs its preStop hook, and asks it to end once that is over and its turn has
    /// come, or once its grace is. One that was asked and has outlived its time by far is asked again, to end at once: the first wish
    /// may have been lost with the process that had it.
    pub(crate) fn stop(&mut self, record: &ContainerRecord, end: End<'_>) {
        let before = self.memory.stopping.get(&record.id).cloned();
        let mut stopping = match before {
            Some(before) => before,
            None => self.begin_end(record, end),
        };
        let overdue = stopping.asked && retry_at(stopping.deadline) <= self.now;
        // Whatever the wish: one that is asked now has the shortest grace.
        let earliest = match end.at_once {
            true => self.now,
            false => end
                .deadline
                .max(self.after_ms(SHORTEST_GRACE_SECONDS * 1000)),
        };
        // Less than a second sooner is the same wish, rounded.
        let sooner = stopping.asked && after_ms(earliest, 999) < stopping.deadline;
        if sooner || !stopping.asked {
            stopping.deadline = stopping.deadline.min(end.deadline);
        }
        let over = end.at_once || stopping.deadline <= self.now;
        if stopping.hook == PreStop::Due {
            self.run_hook(record, &mut stopping, over);
        }
        if stopping.hook != PreStop::Over && !over {
            self.why(format!("the preStop hook of {} runs", record.name));
            self.wake(stopping.deadline);
        } else if !end.turn && !over {
            self.why(format!(
                "container {} waits for its turn to end",
                record.name
            ));
            self.wake(stopping.deadline);
        } else if stopping.asked && !overdue && !sooner {
            self.why(format!("container {} is ending", record.name));
            self.wake(retry_at(stopping.deadline));
        } else {
            let left = stopping.deadline.duration_since(self.now).as_millis();
            let grace_ms = match overdue || end.at_once {
                true => 0,
                false => u64::try_from(left)
                    .unwrap_or(0)
                    .max(SHORTEST_GRACE_SECONDS * 1000),
            };
            stopping.deadline = self.after_ms(grace_ms);
            // Until the step is done; a plan may be broken off before it.
            stopping.asked = false;
            self.wake(retry_at(stopping.deadline));
            let message = end.message;
            self.step(
                Step::StopContainer {
                    id: record.id.clone(),
                    name: record.name.clone(),
                    grace_ms,
                    message: message.to_owned(),
                },
                format!("end container {}: {message}", record.name),
            );
        }
        self.memory.stopping.insert(record.id.clone(), stopping);
    }

    fn begin_end(&mut self, record: &ContainerRecord, end: End<'_>) -> Stopping {
        let found = self.pod.spec.find(record.name.as_str());
        if !end.message.is_empty() {
            let kind = found.map_or(ContainerKind::App, |(kind, _, _)| kind);
            self.events
                .push(events::killing(kind, &record.name, end.message));
        }
        let hook = found.and_then(|(_, _, c)| c.lifecycle.as_ref()?.pre_stop.as_ref());
        let runs = record.state == RunState::Running;
        let due = hook.is_some() && runs && !end.at_once && end.deadline > self.now;
        Stopping {
            deadline: end.deadline,
            asked: false,
            hook: if due { PreStop::Due } else { PreStop::Over },
        }
    }

    fn run_hook(&mut self, record: &ContainerRecord, stopping: &mut Stopping, over: bool) {
        let found = self.pod.spec.find(record.name.as_str());
        let Some((kind, index, _)) = found.filter(|_| !over) else {
            stopping.hook = PreStop::Over;
            return;
        };
        let step = Step::PreStop {
            id: record.id.clone(),
            name: record.name.clone(),
            kind,
            index,
        };
        self.step(step, format!("container {} is told to end", record.name));
    }
}

/// How a container is to end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    /// When its grace is over. What is asked then still has the shortest grace.
    pub(crate) deadline: Timestamp,
    /// Without hook and without grace.
    pub(crate) at_once: bool,
    /// Whether its turn has come.
    pub(crate) turn: bool,
    /// What the event says; "" = there is none.
    pub(crate) message: &'a str,
}

impl<'a> End<'a> {
    /// Now, without hook and without grace.
    pub(crate) fn at_once(now: Timestamp, message: &'a str) -> Self {
        Self {
            deadline: now,
            at_once: true,
            turn: true,
            message,
        }
    }
}

/// A time that many milliseconds later.
pub(crate) fn after_ms(time: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    time.saturating_add(SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
