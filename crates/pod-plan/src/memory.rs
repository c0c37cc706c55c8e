//! What one plan leaves for the next, and how the ends of steps are entered into it.
//!
//! The driver owns the value, keeps it beside the pod's record so that it survives a restart of the node daemon, and changes it
//! only through the functions here.

use crate::back_off::{BackOffKey, BackOffTable, Limits};
use crate::events::{self, PodEvent};
use crate::failure::Failure;
use crate::sizes::Sizes;
use crate::step::Step;
use jiff::{SignedDuration, Timestamp};
use pod_model::ids::{ContainerId, ContainerName, ImageName, SandboxId};
use pod_model::pod::{ContainerKind, Pod};
use pod_model::runtime::ContainerRecord;
use pod_model::status::PodStatus;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// From a failure to the next try where no back-off table says otherwise, in seconds (the kubelet's pace after a failed sync).
pub const RETRY_SECONDS: i64 = 10;

/// When something that failed then is tried again.
pub(crate) fn retry_at(failed: Timestamp) -> Timestamp {
    failed
        .saturating_add(SignedDuration::from_secs(RETRY_SECONDS))
        .unwrap_or(failed)
}

/// What stands before an id in `containerID`.
pub const ID_PREFIX: &str = "podwright://";

/// What a plan remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The status that was computed last; holds `startTime` and the times at which conditions changed.
    pub status: PodStatus,
    /// Back-off of restarts and of image pulls.
    pub back_off: BackOffTable,
    /// Why a container could not be started the last time, or is not started now.
    pub start_errors: BTreeMap<ContainerName, StartError>,
    /// Attempts that were asked to end.
    pub stopping: BTreeMap<ContainerId, Stopping>,
    /// Containers that must start again whatever their restart policy says, because they were ended for that.
    pub start_again: BTreeSet<ContainerName>,
    /// Which attempt of such a container was ended: a later one, however it ended, is the start that was wanted.
    pub replaced: BTreeMap<ContainerName, u32>,
    /// Highest attempt that was ever begun, or may have been, by container: answers and records may be lost, numbers never come twice.
    pub attempts: BTreeMap<ContainerName, u32>,
    /// When it was decided to end everything, for another reason than deletion.
    pub ending: Option<Timestamp>,
    /// Sandboxes that were stopped.
    pub stopped: BTreeSet<SandboxId>,
    /// Why the pod can never go on, where neither phase nor policy tells: reason and message of its status.
    pub given_up: Option<(String, String)>,
    /// How much cpu and memory it has.
    pub sizes: Sizes,
    /// A second chance that the user gave the pod.
    pub retry: Option<Retry>,
    /// Attempts of init containers that took too long.
    pub overdue: BTreeMap<ContainerId, Overdue>,
    /// Steps that failed and when they are tried again, by [`Step::label`].
    pub held: BTreeMap<String, Timestamp>,
    /// Whether cgroup and data folders are there.
    pub pod: Readiness,
    /// Whether all volumes are there.
    pub volumes: Readiness,
    /// Whether the last sandbox could be made.
    pub sandbox: Readiness,
}

/// Whether something that a pod needs is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readiness {
    /// Not tried yet, or not since the node daemon started.
    #[default]
    Unknown,
    /// It is.
    Ready,
    /// It could not be made.
    Failed {
        /// Why; all problems.
        problems: Vec<String>,
        /// When that was found.
        at: Timestamp,
    },
}

/// An attempt that took too long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// When its time was over.
    pub at: Timestamp,
    /// How long it had, for people.
    pub limit: String,
}

/// A second chance that was given, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Containers that are not run again, because they have succeeded.
    pub skip: BTreeSet<ContainerName>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a second chance is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Asked for.
    Asked,
    /// Everything ends; the sandbox that was there, if any, is left.
    Leaving(Option<SandboxId>),
    /// It goes on in this sandbox.
    In(SandboxId),
}

/// Why a container is not running although it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartError {
    /// Waiting reason, such as `ErrImagePull` or `CrashLoopBackOff`.
    pub reason: String,
    /// Waiting message.
    pub message: String,
    /// When it was found.
    pub at: Timestamp,
    /// The attempt whose postStart hook failed: it runs, and must end.
    #[serde(default)]
    pub unhooked: Option<u32>,
}

/// A container that is asked to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// When SIGKILL is due.
    pub deadline: Timestamp,
    /// Whether the wish has reached the runtime, as far as is known.
    pub asked: bool,
    /// How far its preStop hook is, which comes before that.
    #[serde(default)]
    pub hook: PreStop,
}

/// How far a preStop hook is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PreStop {
    /// To be run.
    Due,
    /// It runs.
    Running,
    /// It has ended, or there is none.
    #[default]
    Over,
}

/// What the end of a step means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noted {
    /// To be told to the user.
    pub events: Vec<PodEvent>,
    /// The rest of this plan's steps must not be executed: observe and plan again.
    pub stop: bool,
}

impl Noted {
    fn stop(event: PodEvent) -> Self {
        Self {
            events: vec![event],
            stop: true,
        }
    }
}

impl Memory {
    /// Enters that a step ended well, at `now`.
    pub fn done(&mut self, step: &Step, _now: Timestamp) {
        self.held.remove(&step.label());
        match step {
            Step::EnsurePod => self.pod = Readiness::Ready,
            Step::PrepareVolumes => self.volumes = Readiness::Ready,
            Step::RunSandbox { .. } => self.sandbox = Readiness::Ready,
            Step::StartContainer { name, attempt, .. } => {
                self.begun(step);
                self.used(name, *attempt);
                self.start_errors.remove(name);
                self.start_again.remove(name);
                self.sizes.started(name);
            }
            Step::RemoveContainer { id, .. } => {
                self.stopping.remove(id);
            }
            Step::StopSandbox { id } => {
                self.stopped.insert(id.clone());
            }
            Step::ResizePod { what, values } => self.sizes.pod_resized(values, *what),
            Step::ResizeContainer { name, what, .. } => self.sizes.resized(name, *what),
            Step::PreStop { id, .. } => {
                if let Some(stopping) = self.stopping.get_mut(id) {
                    stopping.hook = PreStop::Running;
                }
            }
            Step::StopContainer { id, .. } => {
                if let Some(stopping) = self.stopping.get_mut(id) {
                    stopping.asked = true;
                }
            }
            Step::RemoveSandbox { .. } | Step::RemovePod => {}
        }
    }

    /// Enters that a step failed, at `now`: events to tell, and whether the rest of the plan is void.
    pub fn failed(
        &mut self,
        pod: &Pod,
        step: &Step,
        failure: &Failure,
        limits: &Limits,
        now: Timestamp,
    ) -> Noted {
        if *failure == Failure::Interrupted {
            return Noted {
                stop: true,
                ..Noted::default()
            };
        }
        let problems = || Readiness::Failed {
            problems: failure.problems(),
            at: now,
        };
        match step {
            Step::EnsurePod => {
                self.pod = problems();
                let text = format!("unable to ensure pod container exists: {}", failure.text());
                Noted::stop(events::pod_warning("FailedCreatePodContainer", text))
            }
            Step::PrepareVolumes => {
                self.volumes = problems();
                let each = match failure {
                    Failure::Volumes(list) => list.as_slice(),
                    _ => &[],
                };
                Noted {
                    events: events::failed_mounts(each, &failure.text()),
                    stop: true,
                }
            }
            Step::RunSandbox { .. } => {
                self.sandbox = problems();
                let text = format!("Failed to create pod sandbox: {}", failure.text());
                Noted::stop(events::pod_warning("FailedCreatePodSandBox", text))
            }
            Step::StartContainer {
                kind,
                index,
                name,
                attempt,
                ..
            } => {
                self.begun(step);
                let Some(container) = pod.spec.list(*kind).get(*index) else {
                    return Noted::default();
                };
                let (reason, message) = failure.waiting();
                let mut unhooked = None;
                match failure {
                    // What could not be started may have left a record: its number is used.
                    Failure::Start(_) => self.used(name, *attempt),
                    Failure::PostStart(_) => {
                        self.used(name, *attempt);
                        unhooked = Some(*attempt);
                    }
                    // Nobody knows whether it began; its record may be lost before anybody looks.
                    Failure::Other(_) => {
                        self.used(name, *attempt);
                        self.sizes.started(name);
                    }
                    _ => {}
                }
                if matches!(failure, Failure::ImagePull(_)) {
                    let key = BackOffKey::for_image(pod, &container.image);
                    let next = self.back_off.next(&key, limits.image, now, now);
                    self.back_off.enter(next);
                }
                self.start_errors.insert(
                    name.clone(),
                    StartError {
                        reason: reason.to_owned(),
                        message,
                        at: now,
                        unhooked,
                    },
                );
                if unhooked.is_some() {
                    self.start_again.remove(name);
                }
                Noted {
                    events: failure.events(*kind, name, &container.image),
                    // An init container that cannot start holds up all that follow; a sidecar or an app does not.
                    stop: *kind == ContainerKind::Init && !container.is_sidecar(),
                }
            }
            Step::StopContainer { id, .. } => {
                if let Some(stopping) = self.stopping.get_mut(id) {
                    stopping.asked = false;
                }
                self.hold(step, now);
                Noted {
                    // The others must end all the same.
                    stop: false,
                    ..Noted::stop(failed_kill(failure))
                }
            }
            Step::StopSandbox { .. } => {
                self.hold(step, now);
                Noted::stop(failed_kill(failure))
            }
            Step::ResizePod { .. } | Step::ResizeContainer { .. } => {
                self.hold(step, now);
                // What is resized after it must not be; the next plan goes on with everything else.
                Noted::stop(self.sizes.failed(pod, &failure.text()))
            }
            Step::PreStop { id, .. } => {
                self.hook_ended(id);
                Noted::default()
            }
            // Upstream a collector removes these and tells only its log; here a deletion waits for them, so its user is told why.
            Step::RemoveContainer { .. } | Step::RemoveSandbox { .. } | Step::RemovePod => {
                self.hold(step, now);
                Noted::stop(failed_kill(failure))
            }
        }
    }

    /// An image of that name has come into the store: what waited for it need not wait any longer.
    pub fn image_arrived(&mut self, pod: &Pod, image: &ImageName) {
        self.back_off.forget(&BackOffKey::for_image(pod, image));
        for (_, _, container) in pod.spec.all() {
            if container.image == *image {
                self.start_errors.remove(&container.name);
            }
        }
    }

    /// What a volume is made from (a ConfigMap, a Secret) has changed: volumes that failed are tried again at once, and those that
    /// are there get the new content.
    pub fn sources_changed(&mut self) {
        self.volumes = Readiness::Unknown;
        self.start_errors
            .retain(|_, e| e.reason != "CreateContainerConfigError");
    }

    /// Whether this must be kept although the status tells nothing new: what a later plan could not find out from facts.
    pub fn differs_unseen(&self, kept: &Memory) -> bool {
        self.overdue != kept.overdue || self.retry != kept.retry || self.sizes != kept.sizes
    }

    /// That attempt is ended so that another one starts, whatever the restart policy says.
    pub(crate) fn again_after(&mut self, record: &ContainerRecord) {
        self.start_again.insert(record.name.clone());
        self.replaced.insert(record.name.clone(), record.attempt);
    }

    /// A preStop hook has ended, one way or the other.
    pub fn hook_ended(&mut self, id: &ContainerId) {
        if let Some(stopping) = self.stopping.get_mut(id) {
            stopping.hook = PreStop::Over;
        }
    }

    /// To be called once when the node daemon has found the pod again: what may have been lost meanwhile is made again.
    pub fn after_restart(&mut self) {
        self.pod = Readiness::Unknown;
        self.volumes = Readiness::Unknown;
        self.sandbox = Readiness::Unknown;
        for stopping in self.stopping.values_mut() {
            stopping.asked = false;
            if stopping.hook == PreStop::Running {
                stopping.hook = PreStop::Due;
            }
        }
    }

    /// That number is never given again.
    fn used(&mut self, name: &ContainerName, attempt: u32) {
        self.attempts.insert(name.clone(), attempt);
    }

    fn begun(&mut self, step: &Step) {
        if let Step::StartContainer {
            back_off: Some(next),
            ..
        } = step
        {
            self.back_off.enter(next.clone());
        }
    }

    fn hold(&mut self, step: &Step, now: Timestamp) {
        self.held.insert(step.label(), retry_at(now));
    }
}

fn failed_kill(failure: &Failure) -> PodEvent {
    let text = format!("error killing pod: {}", failure.text());
    events::pod_warning("FailedKillPod", text)
}
