//! A plan in the making.

use crate::events::{self, PodEvent};
use crate::memory::{Memory, Stopping, retry_at};
use crate::observed::Observed;
use crate::step::Step;
use jiff::{SignedDuration, Timestamp};
use pod_model::pod::{ContainerKind, Pod};
use pod_model::runtime::ContainerRecord;

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
    pub(crate) fn new(pod: &'a Pod, observed: &'a Observed, now: Timestamp) -> Self {
        Self {
            pod,
            observed,
            now,
            memory: observed.memory.clone(),
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

    /// Asks a container to end within `grace_ms`, unless it was asked for as much before. One that has outlived its time
    /// by far is asked again, to end at once: the first wish may have been lost with the process that had it.
    pub(crate) fn stop(&mut self, record: &ContainerRecord, grace_ms: u64, message: &str) {
        let deadline = self.after_ms(grace_ms);
        let before = self.memory.stopping.get(&record.id).cloned();
        let overdue = before
            .as_ref()
            .is_some_and(|s| retry_at(s.deadline) <= self.now);
        if let Some(stopping) = &before {
            // Less than a second sooner is the same wish, rounded.
            let sooner = after_ms(deadline, 999) < stopping.deadline;
            if stopping.asked && !overdue && !sooner {
                self.why(format!("container {} is ending", record.name));
                self.wake(retry_at(stopping.deadline));
                return;
            }
        } else if !message.is_empty() {
            let found = self.pod.spec.find(record.name.as_str());
            let kind = found.map_or(ContainerKind::App, |(kind, _, _)| kind);
            self.events
                .push(events::killing(kind, &record.name, message));
        }
        let (grace_ms, deadline) = match overdue {
            true => (0, self.now),
            false => (grace_ms, deadline),
        };
        let stopping = Stopping {
            deadline,
            asked: true,
        };
        self.memory.stopping.insert(record.id.clone(), stopping);
        self.wake(retry_at(deadline));
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
}

/// A time that many milliseconds later.
pub(crate) fn after_ms(time: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    time.saturating_add(SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}
