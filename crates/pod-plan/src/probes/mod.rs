//! Probes of a pod: when the next one is due, and what its outcome means. Pure: time and outcomes come in, runs and results go out.
//!
//! ```text
//!            new container: initial result (readiness Failure, liveness Success, startup Unknown)
//!                 │
//!   wait ──period, initialDelay, startup gate──▶ run ──outcome──▶ as often as its threshold? ──no──▶ wait
//!     ▲                                                               │ yes: the result is set
//!     └───────────────────────────────────────────────────────────────┤
//!                    liveness failed, or startup either way: on hold until there is another container
//! ```
//!
//! Rules and their oddities are those of `pkg/kubelet/prober/worker.go` of v1.36: a count of equal outcomes goes on over a restart of
//! the container, unless the probe was on hold. One thing is better here: a probe's period begins with its container, not with its
//! pod, so that the first run comes when `initialDelaySeconds` are over, not up to a period later.

mod worker;

use crate::events::PodEvent;
use crate::plan::ID_PREFIX;
use jiff::{SignedDuration, Timestamp};
use pod_model::container_status::{ProbeResult, ProbeResults};
use pod_model::event::EventKind;
use pod_model::ids::{ContainerId, ContainerName};
use pod_model::pod::{Container, ContainerKind, Pod, Probe};
use pod_model::runtime::{PodRuntime, RunState};
use pod_model::status::{ContainerStatus, Phase, PodStatus};
use std::collections::BTreeMap;
use worker::{Timing, Worker};

/// The three kinds of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// Whether the container has started; the others wait for it.
    Startup,
    /// Whether it must be restarted.
    Liveness,
    /// Whether it can serve.
    Readiness,
}

impl ProbeKind {
    const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    /// The container's probe of that kind.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// How one probe went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Success,
    /// Well, with something to say.
    Warning(String),
    /// Not well; the text goes into the event.
    Failure(String),
    /// It could not be done: it counts neither way.
    Error(String),
}

/// One probe to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which probe.
    pub kind: ProbeKind,
    /// Of which container.
    pub name: ContainerName,
    /// Of which attempt of it.
    pub id: ContainerId,
}

/// Newest results, each of the attempt that it was found on: what is known of one says nothing of the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(BTreeMap<(ContainerId, ProbeKind), ProbeResult>);

impl Findings {
    /// The results that speak of what runs now.
    pub fn results(&self, runtime: &PodRuntime) -> ProbeResults {
        let mut results = ProbeResults::default();
        for ((id, kind), result) in &self.0 {
            let record = runtime.containers.iter().find(|r| r.id == *id);
            let Some(record) = record.filter(|r| r.state == RunState::Running) else {
                continue;
            };
            let list = match kind {
                ProbeKind::Startup => &mut results.startup,
                ProbeKind::Liveness => &mut results.liveness,
                ProbeKind::Readiness => &mut results.readiness,
            };
            list.insert(record.name.clone(), *result);
        }
        results
    }
}

/// All probes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Prober {
    workers: BTreeMap<(ContainerName, ProbeKind), Worker>,
}

/// Containers that are probed: apps and sidecars.
fn probed(pod: &Pod) -> impl Iterator<Item = (ContainerKind, &Container)> {
    let all = pod.spec.all().map(|(kind, _, c)| (kind, c));
    all.filter(|(kind, c)| match kind {
        ContainerKind::Init => c.is_sidecar(),
        ContainerKind::App => true,
        ContainerKind::Ephemeral => false,
    })
}

impl Prober {
    /// The probes of that pod; `None` where it has none.
    pub fn new(pod: &Pod) -> Option<Self> {
        let workers: BTreeMap<_, _> = probed(pod)
            .flat_map(|(list, c)| ProbeKind::ALL.map(|kind| (list, c, kind)))
            .filter_map(|(list, c, kind)| {
                let timing = Timing::of(kind.of(c)?);
                Some(((c.name.clone(), kind), Worker::new(kind, list, timing)))
            })
            .collect();
        (!workers.is_empty()).then_some(Self { workers })
    }

    /// The probes of a pod that was found again with that status: what was known of its containers still holds, and the next runs are
    /// spread over each probe's period, so that a node that starts does not do all of them at once.
    pub fn found_again(pod: &Pod, status: &PodStatus, now: Timestamp) -> Option<Self> {
        let mut prober = Self::new(pod)?;
        for ((name, _), worker) in &mut prober.workers {
            if let Some((id, status)) = current(status, name) {
                let spread = spread(&format!("{}{name}{:?}", pod.metadata.uid, worker.kind()));
                worker.found_again(id, status, spread, now);
            }
        }
        Some(prober)
    }

    /// Takes the pod's status in. `deleted`: it is going.
    pub fn see(&mut self, status: &PodStatus, deleted: bool) {
        let over = status.phase.is_some_and(Phase::is_terminal);
        for ((name, _), worker) in &mut self.workers {
            if over {
                worker.stop();
            } else if let Some((id, status)) = current(status, name) {
                worker.see(id, status, deleted);
            }
        }
    }

    /// The wall clock was set by that much.
    pub fn clock_was_set(&mut self, by: SignedDuration) {
        for worker in self.workers.values_mut() {
            worker.clock_was_set(by);
        }
    }

    /// The runs that are due, which count as begun then, and when to ask again if nothing else happens.
    pub fn due(&mut self, now: Timestamp) -> (Vec<Run>, Option<Timestamp>) {
        let mut runs = Vec::new();
        let mut wake = None;
        for ((name, kind), worker) in &mut self.workers {
            match worker.next() {
                Some((at, id)) if at <= now => {
                    runs.push(Run {
                        kind: *kind,
                        name: name.clone(),
                        id: id.clone(),
                    });
                    worker.begin(now);
                }
                Some((at, _)) => wake = Some(wake.map_or(at, |w: Timestamp| w.min(at))),
                None => {}
            }
        }
        (runs, wake)
    }

    /// Takes the outcome of a run in; gives what it says to the user.
    pub fn ended(&mut self, run: &Run, outcome: &Outcome) -> Option<PodEvent> {
        let worker = self.workers.get_mut(&(run.name.clone(), run.kind))?;
        if !worker.ended(&run.id, outcome) {
            return None;
        }
        let word = run.kind.word();
        let (reason, text) = match outcome {
            Outcome::Success => return None,
            Outcome::Warning(output) => ("ProbeWarning", format!("{word} probe warning: {output}")),
            Outcome::Failure(output) => ("Unhealthy", format!("{word} probe failed: {output}")),
            Outcome::Error(cause) => (
                "Unhealthy",
                format!("{word} probe errored and resulted in unknown state: {cause}"),
            ),
        };
        let list = worker.list();
        Some(PodEvent::of_container(
            list,
            &run.name,
            EventKind::Warning,
            reason,
            text,
        ))
    }

    /// Newest results.
    pub fn findings(&self) -> Findings {
        let known = self.workers.iter().filter_map(|((_, kind), worker)| {
            let (id, result) = worker.result()?;
            Some(((id.clone(), *kind), result))
        });
        Findings(known.collect())
    }
}

/// The attempt of a container that its status speaks of.
fn current<'a>(
    status: &'a PodStatus,
    name: &ContainerName,
) -> Option<(ContainerId, &'a ContainerStatus)> {
    let apps = status.container_statuses.iter();
    let found = apps
        .chain(&status.init_container_statuses)
        .find(|s| s.name == *name)?;
    let id = found.container_id.strip_prefix(ID_PREFIX)?;
    Some((ContainerId::new(id), found))
}

/// A share of one, the same for the same text (FNV-1a).
fn spread(text: &str) -> f64 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |h, b| {
        (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    f64::from(hash) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
