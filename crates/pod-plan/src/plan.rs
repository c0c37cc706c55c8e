//! Decides what to do next for one pod.

use crate::events::PodEvent;
use crate::memory::{Memory, Readiness};
use crate::observed::Observed;
use crate::step::Step;
use jiff::Timestamp;
use pod_model::pod::Pod;
use pod_model::status::PodStatus;

/// What to do now, and what is known besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// To be executed in this order. Each is idempotent; [`Memory::done`] or [`Memory::failed`] is told of each one's end.
    pub steps: Vec<Step>,
    /// When to plan again at the latest, if no fact changes before. A time that has come means: at once, after `steps`.
    /// `None`: nothing here depends on time.
    pub wake_at: Option<Timestamp>,
    /// The pod's status as of now, before `steps`. The same value stands in `memory`.
    pub status: PodStatus,
    /// What these decisions say to the user, in this order; those that come from doing are made by [`Memory`] and [`crate::events`].
    pub events: Vec<PodEvent>,
    /// Why it is so, a short sentence each; for `explain` and for logs.
    pub why: Vec<String>,
    /// What the next plan must know: put it into [`crate::observed::Observed::memory`] before the first step is executed.
    pub memory: Memory,
}

/// Decides what to do next. Pure: the same facts give the same plan.
pub fn plan(pod: &Pod, observed: &Observed, now: Timestamp) -> Plan {
    let mut memory = observed.memory.clone();
    memory.status.start_time.get_or_insert(now);
    let mut steps = Vec::new();
    if memory.pod != Readiness::Ready {
        steps.push(Step::EnsurePod);
    }
    if memory.volumes != Readiness::Ready && !pod.spec.volumes.is_empty() {
        steps.push(Step::PrepareVolumes);
    }
    if observed.runtime.sandboxes.is_empty() {
        steps.push(Step::RunSandbox { attempt: 0 });
    }
    Plan {
        steps,
        wake_at: None,
        status: memory.status.clone(),
        events: Vec::new(),
        why: Vec::new(),
        memory,
    }
}
