//! A second chance that the user asks for: a pod that has failed goes on at the container that failed, and what succeeded stays done.
//!
//! ```text
//!  waiting for a back-off ─▶ its delays are void: it is started at once, where it is
//!  failed, or --from INIT ─▶ everything ends ─▶ another sandbox ─▶ what succeeded is skipped, the rest begins as in a new pod
//! ```
//!
//! What succeeded is known from the status, which survives a reboot; the runtime's records need not be there any more. A sandbox that is lost
//! later is a loss like any other: then all init containers run again.

use crate::back_off::BackOffKey;
use crate::events::PodEvent;
use crate::memory::{ID_PREFIX, Memory, Readiness, Retry, Stage};
use crate::observed::Observed;
use pod_model::container_status::ProbeResult;
use pod_model::event::EventKind;
use pod_model::ids::{ContainerId, ContainerName, ImageId, SandboxId};
use pod_model::pod::{Container, Pod, RestartPolicy};
use pod_model::runtime::{ContainerRecord, Exit, PodRuntime, RunState};
use pod_model::status::{ContainerState, ContainerStatus, Phase, PodStatus, Waiting};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a second chance does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retried {
    /// Where the pod goes on: an init container, or all app containers that have not succeeded.
    pub from: Vec<ContainerName>,
    /// What is not run again.
    pub skipped: Vec<ContainerName>,
    /// Whether it goes on in another sandbox.
    pub new_sandbox: bool,
}

/// Why there is no second chance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    /// It is being deleted.
    #[error("pod {0:?} is being deleted")]
    Deleted(String),
    /// Nothing has failed.
    #[error(
        "nothing of pod {pod:?} has failed (it is {phase}); name an init container with --from to begin again there"
    )]
    NothingFailed {
        /// Its name.
        pod: String,
        /// Its phase.
        phase: &'static str,
    },
    /// There is no such init container.
    #[error("pod {pod:?} has no init container \"{name}\"; it has: {all}")]
    NoInit {
        /// Its name.
        pod: String,
        /// What was asked for.
        name: ContainerName,
        /// Those that it has.
        all: String,
    },
    /// An earlier one has not done its work.
    #[error(
        "init container \"{before}\", which comes before \"{name}\", has not succeeded yet; begin there"
    )]
    NotYet {
        /// What was asked for.
        name: ContainerName,
        /// The first one that has not succeeded.
        before: ContainerName,
    },
}

impl Memory {
    /// Gives the pod a second chance: at the init container `from`, else at what has failed. What waits for a back-off is started at once.
    ///
    /// # Errors
    /// See [`RetryError`]; then nothing is changed.
    pub fn retry(
        &mut self,
        pod: &Pod,
        from: Option<&ContainerName>,
    ) -> Result<(Retried, PodEvent), RetryError> {
        if pod.is_deleted() {
            return Err(RetryError::Deleted(pod.metadata.name.to_string()));
        }
        let retried = match from {
            Some(name) => self.retried_from(pod, name)?,
            None => self.retried(pod)?,
        };
        self.forget_failures(pod);
        if retried.new_sandbox {
            self.retry = Some(Retry {
                skip: retried.skipped.iter().cloned().collect(),
                stage: Stage::Asked,
            });
            self.ending = None;
            self.given_up = None;
            self.start_again.clear();
            let status = &mut self.status;
            status.phase = Some(Phase::Pending);
            status.reason.clear();
            status.message.clear();
            // `activeDeadlineSeconds` count anew, and so does the way to Initialized.
            status.start_time = None;
            status.conditions.retain(|c| c.kind != "Initialized");
        }
        let event = PodEvent::of_pod(EventKind::Normal, "Retrying", retried.text());
        Ok((retried, event))
    }

    fn retried_from(&self, pod: &Pod, name: &ContainerName) -> Result<Retried, RetryError> {
        let inits = &pod.spec.init_containers;
        let Some(place) = inits.iter().position(|c| c.name == *name) else {
            return Err(RetryError::NoInit {
                pod: pod.metadata.name.to_string(),
                name: name.clone(),
                all: names(inits.iter().map(|c| &c.name)),
            });
        };
        let before = inits.iter().take(place).filter(|c| !c.is_sidecar());
        for container in before.clone() {
            if !self.is_done(container) {
                return Err(RetryError::NotYet {
                    name: name.clone(),
                    before: container.name.clone(),
                });
            }
        }
        Ok(Retried {
            from: vec![name.clone()],
            skipped: before.map(|c| c.name.clone()).collect(),
            new_sandbox: true,
        })
    }

    /// Whether an init container has succeeded, or is skipped by a second chance because it has.
    fn is_done(&self, init: &Container) -> bool {
        let skipped = |r: &Retry| r.skip.contains(&init.name);
        succeeded(&self.status, init) || self.retry.as_ref().is_some_and(skipped)
    }

    fn retried(&self, pod: &Pod) -> Result<Retried, RetryError> {
        let phase = self.status.phase.unwrap_or(Phase::Pending);
        let new_sandbox = phase == Phase::Failed;
        let waits = !self.start_errors.is_empty()
            || [&self.pod, &self.volumes, &self.sandbox]
                .iter()
                .any(|r| matches!(r, Readiness::Failed { .. }));
        let spec = &pod.spec;
        let plain = || spec.init_containers.iter().filter(|c| !c.is_sidecar());
        let open = plain().find(|c| !self.is_done(c));
        let failed = |c: &Container| {
            let state = state_of(&self.status, &c.name);
            let ended = state.and_then(|s| s.terminated.as_ref());
            ended.is_some_and(|t| t.exit_code != 0)
        };
        if !new_sandbox
            && (phase.is_terminal() || !(waits || spec.all().any(|(_, _, c)| failed(c))))
        {
            return Err(RetryError::NothingFailed {
                pod: pod.metadata.name.to_string(),
                phase: phase.as_str(),
            });
        }
        let done = plain().take_while(|c| open.is_none_or(|o| o.name != c.name));
        let mut skipped: Vec<ContainerName> = done.map(|c| c.name.clone()).collect();
        if let Some(open) = open {
            return Ok(Retried {
                from: vec![open.name.clone()],
                skipped,
                new_sandbox,
            });
        }
        // Under Always a container that ended well runs again all the same.
        let once = |c: &Container| {
            c.restart_policy.unwrap_or(spec.restart()) != RestartPolicy::Always
                && succeeded(&self.status, c)
        };
        let (done, rest): (Vec<&Container>, Vec<&Container>) =
            spec.containers.iter().partition(|c| once(c));
        skipped.extend(done.iter().map(|c| c.name.clone()));
        Ok(Retried {
            from: rest.iter().map(|c| c.name.clone()).collect(),
            skipped,
            new_sandbox,
        })
    }

    /// What failed may be tried at once.
    fn forget_failures(&mut self, pod: &Pod) {
        for (_, _, container) in pod.spec.all() {
            self.back_off
                .forget(&BackOffKey::for_restart(pod, container));
            self.back_off
                .forget(&BackOffKey::for_image(pod, &container.image));
        }
        self.start_errors.retain(|_, e| e.unhooked.is_some());
        self.held.clear();
        self.pod = Readiness::Unknown;
        self.volumes = Readiness::Unknown;
        self.sandbox = Readiness::Unknown;
    }

    /// Brings a second chance up to what is there now. `changed`: the pod needs another sandbox.
    pub(crate) fn go_on_with_retry(&mut self, runtime: &PodRuntime, changed: bool) {
        let Some(retry) = &mut self.retry else {
            return;
        };
        let newest = runtime.sandboxes.first();
        match &retry.stage {
            Stage::Asked => retry.stage = Stage::Leaving(newest.map(|s| s.id.clone())),
            Stage::Leaving(left) => {
                let other = newest.filter(|s| Some(&s.id) != left.as_ref());
                if let Some(sandbox) = other {
                    retry.stage = Stage::In(sandbox.id.clone());
                }
            }
            Stage::In(_) => {}
        }
        let Stage::In(own) = &retry.stage else {
            return forget_ends(&mut self.status, &retry.skip);
        };
        if changed || newest.is_none_or(|s| s.id != *own) {
            // Lost like any other: all init containers run again.
            self.retry = None;
        }
    }

    /// What a second chance must leave as it is while everything else ends; `None`: nothing is to be left for one now.
    pub(crate) fn leaving_for_retry(&self) -> Option<&BTreeSet<ContainerName>> {
        let retry = self.retry.as_ref()?;
        (!matches!(retry.stage, Stage::In(_))).then_some(&retry.skip)
    }
}

/// Records as a pod with a second chance has them: what it skips has ended well, once the sidecar before it is up (then those before that were)
/// or something after it has begun; what it is about to run again has never run.
pub(crate) fn seen(memory: &Memory, pod: &Pod, observed: &Observed, runtime: &mut PodRuntime) {
    let Some(retry) = &memory.retry else {
        return;
    };
    let Stage::In(sandbox) = &retry.stage else {
        runtime.containers.retain(|r| retry.skip.contains(&r.name));
        return;
    };
    let up = |c: &Container| {
        let newest = observed.runtime.newest(&c.name);
        let runs = newest.is_some_and(|r| r.state == RunState::Running && r.sandbox == *sandbox);
        let probe = observed.probes.startup.get(&c.name);
        runs && (c.startup_probe.is_none() || probe == Some(&ProbeResult::Success))
    };
    let begun = |c: &Container| {
        let mut records = observed.runtime.containers.iter();
        records.any(|r| r.name == c.name && r.sandbox == *sandbox)
    };
    let inits = &pod.spec.init_containers;
    let mut open = true;
    let mut hidden = BTreeSet::new();
    for (index, container) in inits.iter().enumerate() {
        if container.is_sidecar() {
            open = up(container);
            continue;
        }
        let mut later = inits.iter().skip(index + 1).chain(&pod.spec.containers);
        if !open && !later.any(begun) {
            hidden.insert(&container.name);
        }
    }
    runtime
        .containers
        .retain(|r| !(hidden.contains(&r.name) && retry.skip.contains(&r.name)));
    for name in retry.skip.iter().filter(|name| !hidden.contains(name)) {
        if runtime.newest(name).is_none()
            && let Some(status) = status_of(&memory.status, name)
        {
            runtime.containers.push(record(status, sandbox));
        }
    }
}

/// A record as it was before it was lost.
fn record(status: &ContainerStatus, sandbox: &SandboxId) -> ContainerRecord {
    let id = status.container_id.strip_prefix(ID_PREFIX);
    let ended = status.state.terminated.as_ref();
    ContainerRecord {
        id: ContainerId::new(id.unwrap_or(status.name.as_str())),
        name: status.name.clone(),
        sandbox: sandbox.clone(),
        state: RunState::Exited,
        attempt: u32::try_from(status.restart_count).unwrap_or(0),
        hash: None,
        image: status.image.clone(),
        image_id: ImageId::new(status.image_id.clone()),
        created_at: ended.and_then(|t| t.started_at),
        started_at: ended.and_then(|t| t.started_at),
        exit: Some(Exit {
            code: 0,
            signal: None,
            reason: ended.map_or_else(String::new, |t| t.reason.clone()),
            message: ended.map_or_else(String::new, |t| t.message.clone()),
            finished_at: ended.and_then(|t| t.finished_at),
        }),
        user: status.user.clone().and_then(|u| u.linux),
        clamped: Vec::new(),
    }
}

/// What containers did before must not count any more: they begin anew. Those named in `but` stay as they are.
pub(crate) fn forget_ends(status: &mut PodStatus, but: &BTreeSet<ContainerName>) {
    let inits = status.init_container_statuses.iter_mut();
    let all = inits.chain(&mut status.container_statuses);
    for container in all.filter(|c| !but.contains(&c.name)) {
        container.state = ContainerState {
            waiting: Some(Waiting {
                reason: "PodInitializing".to_owned(),
                message: String::new(),
            }),
            ..ContainerState::default()
        };
        container.last_state = ContainerState::default();
        container.container_id.clear();
    }
}

fn status_of<'a>(status: &'a PodStatus, name: &ContainerName) -> Option<&'a ContainerStatus> {
    let inits = status.init_container_statuses.iter();
    let mut all = inits.chain(&status.container_statuses);
    all.find(|s| s.name == *name)
}

fn state_of<'a>(status: &'a PodStatus, name: &ContainerName) -> Option<&'a ContainerState> {
    status_of(status, name).map(|s| &s.state)
}

fn succeeded(status: &PodStatus, container: &Container) -> bool {
    let ended = state_of(status, &container.name).and_then(|s| s.terminated.as_ref());
    ended.is_some_and(|t| t.exit_code == 0 && t.reason != "OOMKilled")
}

fn names<'a>(list: impl Iterator<Item = &'a ContainerName>) -> String {
    let texts: Vec<&str> = list.map(ContainerName::as_str).collect();
    match texts.is_empty() {
        true => "none".to_owned(),
        false => texts.join(", "),
    }
}

impl Retried {
    /// In words: where it goes on, and what is skipped.
    pub fn text(&self) -> String {
        format!(
            "Goes on at {}; skipped: {}",
            names(self.from.iter()),
            names(self.skipped.iter())
        )
    }
}

#[cfg(test)]
mod tests;
