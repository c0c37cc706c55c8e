//! The verbs of a host: some time passes, the effect comes or fails, and some time later the answer.

use super::{Live, SimHost};
use crate::rules::Begun;
use crate::script::Run;
use pod_driver::actions::{Actions, Target};
use pod_driver::host::{ExecSession, Host, HostError, HostErrorKind, HostResult, VolumeError};
use pod_driver::world::Clock;
use pod_model::config::{
    ContainerConfig, ContainerResources, ExecConfig, ImageFacts, PodCgroup, SandboxConfig,
    VolumeToPrepare,
};
use pod_model::ids::{CgroupPath, ContainerId, PodRef, PodUid, SandboxId};
use pod_model::pod::ContainerKind;
use pod_model::runtime::{ContainerRecord, NamespaceMode, PodRuntime, RunState, Sandbox};
use pod_plan::action::{Action, Purpose};
use pod_plan::probes::Outcome;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How soon after a stop signal an obedient container ends.
const OBEYS_WITHIN: Duration = Duration::from_millis(50);

impl SimHost {
    /// A hook has come to its end.
    fn hooked(&self, target: &Target, good: bool) -> Outcome {
        let mut state = self.lock();
        let mut all = state.containers.iter();
        let runs = all.any(|c| c.record.id == target.id && c.record.exit.is_none());
        state.note(format!("hook of {:.4}: {good}, runs: {runs}", target.id));
        match good && runs {
            true => Outcome::Success,
            false => Outcome::Failure("simulated".to_owned()),
        }
    }
}

impl Actions for SimHost {
    /// Probes answer as the run's script says; the command tells which probe it is.
    async fn act(
        &self,
        target: &Target,
        action: &Action,
        _: Purpose,
        limit: Option<Duration>,
    ) -> Outcome {
        let Action::Exec { command } = action else {
            return Outcome::Error("not simulated".to_owned());
        };
        if let [hook, takes, ends] = command.as_slice() {
            for live in &mut self.lock().containers {
                live.asked |= hook == "preStop" && live.record.id == target.id;
            }
            tokio::time::sleep(Duration::from_millis(takes.parse().unwrap_or(0))).await;
            return self.hooked(target, ends == "good");
        }
        let (odd, takes) = {
            let mut state = self.lock();
            (
                state.rng.u32(0..40),
                Duration::from_millis(state.rng.u64(0..300)),
            )
        };
        match odd {
            0 => return Outcome::Error("simulated".to_owned()),
            1 => {
                tokio::time::sleep(limit.unwrap_or_default()).await;
                return Outcome::Failure("timed out".to_owned());
            }
            _ => tokio::time::sleep(takes).await,
        }
        let mut state = self.lock();
        let found = state
            .containers
            .iter_mut()
            .find(|c| c.record.id == target.id);
        let Some(live) = found.filter(|c| c.record.exit.is_none()) else {
            return Outcome::Failure("it does not run".to_owned());
        };
        let age = live.began.elapsed();
        let good = match command.first().map(String::as_str) {
            Some("startup") => age >= live.run.up_after,
            Some("liveness") => live.run.sick_after.is_none_or(|sick| age < sick),
            _ => (age.as_millis() / live.run.turns.as_millis().max(1)).is_multiple_of(2),
        };
        let is_startup = command.first().is_some_and(|c| c == "startup");
        live.up |= is_startup && good;
        let line = format!("{} {command:?} {good}", live.record.name);
        let name = live.record.name.to_string();
        if is_startup && good {
            state.ledger.up(&name);
        }
        state.note(line);
        match good {
            true => Outcome::Success,
            false => Outcome::Failure("simulated".to_owned()),
        }
    }
}

/// The effects of verbs.
impl SimHost {
    /// A container starts, where its sandbox still runs.
    fn started(&self, config: &ContainerConfig) -> HostResult<()> {
        let now = self.1.now();
        let mut state = self.begin(format!("start {} attempt {}", config.name, config.attempt))?;
        let mut all = state.sandboxes.iter();
        if !all.any(|s| s.id == config.sandbox && s.ready) {
            let text = "the sandbox does not run";
            return Err(HostError::new(HostErrorKind::Create, text));
        }
        let spec = &state.script.pod.spec;
        let found = spec.find(config.name.as_str()).map(|(kind, _, c)| {
            let (app, probed) = (kind == ContainerKind::App, c.startup_probe.is_some());
            (app, probed)
        });
        let (app, probed) = found.unwrap_or_default();
        let begun = Begun {
            name: config.name.as_str(),
            attempt: config.attempt,
            sandbox: &config.sandbox,
            app,
        };
        state.ledger.begun(&begun, tokio::time::Instant::now());
        let number = usize::try_from(config.attempt).unwrap_or(usize::MAX);
        let runs = state.script.runs.get(config.name.as_str());
        let runs = runs.cloned().unwrap_or_default();
        let run = runs.get(number).or(runs.last()).copied().unwrap_or(Run {
            lasts: None,
            code: 0,
            obeys: true,
            up_after: Duration::ZERO,
            sick_after: None,
            turns: Duration::MAX,
        });
        let record = ContainerRecord {
            id: config.id.clone(),
            name: config.name.clone(),
            sandbox: config.sandbox.clone(),
            state: RunState::Running,
            attempt: config.attempt,
            hash: Some(config.hash),
            image: config.image.to_string(),
            image_id: config.image_id.clone(),
            created_at: Some(now),
            started_at: Some(now),
            exit: None,
            user: None,
            clamped: Vec::new(),
        };
        if !probed {
            state.ledger.up(config.name.as_str());
        }
        state.containers.push(Live {
            record,
            run,
            began: tokio::time::Instant::now(),
            up: !probed,
            kill_at: None,
            asked: false,
            memory: config.resources.memory_limit.filter(|m| *m > 0),
        });
        state.check_sizes();
        let answer = state.done();
        drop(state);
        self.play(config.id.clone(), run);
        answer
    }

    /// A container is asked to end, and killed when its grace is over.
    fn asked_to_end(&self, id: &ContainerId, grace_ms: u64) -> HostResult<()> {
        let mut state = self.begin(format!("stop container {id:.4} within {grace_ms} ms"))?;
        let kill_at = tokio::time::Instant::now() + Duration::from_millis(grace_ms);
        let mut all = state.containers.iter_mut();
        let Some(live) = all.find(|c| c.record.id == *id && c.record.exit.is_none()) else {
            return Ok(());
        };
        let sooner = live.kill_at.is_none_or(|before| kill_at < before);
        live.kill_at = Some(live.kill_at.map_or(kill_at, |b| b.min(kill_at)));
        let obeys = live.run.obeys && grace_ms > 0;
        let answer = state.done();
        drop(state);
        if sooner {
            let (host, id) = (self.clone(), id.clone());
            tokio::spawn(async move {
                if obeys {
                    tokio::time::sleep(OBEYS_WITHIN).await;
                    host.end(&id, 143, true);
                } else {
                    tokio::time::sleep_until(kill_at).await;
                    host.end(&id, 137, true);
                }
            });
        }
        answer
    }
}

impl Host for SimHost {
    async fn ensure_pod(&self, _: &PodRef, _: &CgroupPath, values: &PodCgroup) -> HostResult<()> {
        self.slowly(|| {
            let mut state = self.begin("ensure pod".to_owned())?;
            state.pod_made = true;
            state.pod_memory = values.memory;
            state.done()
        })
        .await
    }

    async fn prepare_volumes(
        &self,
        _: &PodRef,
        _: &[VolumeToPrepare],
    ) -> Result<(), Vec<VolumeError>> {
        let failed = |e: HostError| {
            vec![VolumeError {
                volume: "v".to_owned(),
                cause: e.message,
            }]
        };
        self.slowly(|| {
            let mut state = self.begin("prepare volumes".to_owned()).map_err(failed)?;
            if !state.pod_made {
                state.wrong("volumes were prepared before the pod's folders".to_owned());
            }
            state.done().map_err(failed)
        })
        .await
    }

    async fn run_sandbox(&self, config: &SandboxConfig) -> HostResult<Option<OwnedFd>> {
        self.lock().check_sandbox();
        self.slowly(|| {
            let now = self.1.now();
            let mut state = self.begin(format!("run sandbox {}", config.attempt))?;
            let lost = state.rng.u32(0..100) < state.script.fail_after;
            if lost {
                // The contract: a verb that fails leaves nothing behind that its undo would not take care of; here nothing at all.
                return Err(HostError::new(HostErrorKind::Sandbox, "simulated failure"));
            }
            let sandbox = Sandbox {
                id: config.id.clone(),
                ready: true,
                attempt: config.attempt,
                ip: None,
                network: NamespaceMode::Pod,
                created_at: Some(now),
            };
            state.sandboxes.insert(0, sandbox);
            Ok(None)
        })
        .await
    }

    async fn set_address(&self, _: &PodUid, _: &SandboxId, _: Option<String>) -> HostResult<()> {
        Ok(())
    }

    async fn stop_sandbox(&self, _: &PodUid, id: &SandboxId) -> HostResult<()> {
        self.lock().check_stop_of_sandbox(id);
        self.slowly(|| {
            let now = self.1.now();
            let mut state = self.begin(format!("stop sandbox {id:.4}"))?;
            for sandbox in state.sandboxes.iter_mut().filter(|s| s.id == *id) {
                sandbox.ready = false;
            }
            state.end_all(now, |record| record.sandbox == *id);
            state.done()
        })
        .await
    }

    async fn remove_sandbox(&self, _: &PodUid, id: &SandboxId) -> HostResult<()> {
        self.slowly(|| {
            let mut state = self.begin(format!("remove sandbox {id:.4}"))?;
            if state.sandboxes.iter().any(|s| s.id == *id && s.ready) {
                state.wrong("a ready sandbox was removed".to_owned());
            }
            state.sandboxes.retain(|s| s.id != *id);
            state.containers.retain(|c| c.record.sandbox != *id);
            state.done()
        })
        .await
    }

    async fn start_container(
        &self,
        _: &PodRef,
        config: &ContainerConfig,
        _: &ImageFacts,
    ) -> HostResult<()> {
        self.lock().check_start(config);
        self.slowly(|| self.started(config)).await
    }

    async fn stop_container(&self, _: &PodUid, id: &ContainerId, grace_ms: u64) -> HostResult<()> {
        self.lock().check_stop(id);
        self.slowly(|| self.asked_to_end(id, grace_ms)).await
    }

    async fn remove_container(&self, _: &PodUid, id: &ContainerId, _: bool) -> HostResult<()> {
        self.slowly(|| {
            let mut state = self.begin(format!("remove container {id:.4}"))?;
            let mut all = state.containers.iter();
            if all.any(|c| c.record.id == *id && c.record.exit.is_none()) {
                state.wrong("a running container was removed".to_owned());
            }
            state.containers.retain(|c| c.record.id != *id);
            state.done()
        })
        .await
    }

    async fn resize_pod(&self, _: &PodUid, _: &CgroupPath, values: &PodCgroup) -> HostResult<()> {
        self.slowly(|| {
            let mut state = self.begin("resize the pod".to_owned())?;
            state.resize_pod(values);
            state.done()
        })
        .await
    }

    async fn resize_container(
        &self,
        _: &PodUid,
        id: &ContainerId,
        values: &ContainerResources,
    ) -> HostResult<()> {
        self.slowly(|| {
            let mut state = self.begin(format!("resize {id:.4}"))?;
            state.resize_container(id, values);
            state.done()
        })
        .await
    }

    async fn exec(&self, _: &PodUid, _: &ContainerId, _: &ExecConfig) -> HostResult<ExecSession> {
        Err(HostError::new(HostErrorKind::Other, "not simulated"))
    }

    async fn kill_exec(&self, _: &PodUid, _: &ContainerId, _: &str) -> HostResult<()> {
        Ok(())
    }

    async fn socket(&self, _: &PodUid, _: &ContainerId, _: bool) -> HostResult<OwnedFd> {
        Err(HostError::new(HostErrorKind::Other, "not simulated"))
    }

    fn resize(&self, _: &OwnedFd, _: u16, _: u16) -> HostResult<()> {
        Ok(())
    }

    async fn observe(&self, _: &PodUid) -> PodRuntime {
        let state = self.lock();
        let mut containers: Vec<ContainerRecord> = state
            .containers
            .iter()
            .rev()
            .map(|c| c.record.clone())
            .collect();
        containers.sort_by_key(|c| std::cmp::Reverse(c.attempt));
        PodRuntime {
            sandboxes: state.sandboxes.clone(),
            containers,
        }
    }

    async fn remove_pod(&self, _: &PodRef, _: &CgroupPath) -> HostResult<()> {
        self.slowly(|| {
            let mut state = self.begin("remove pod".to_owned())?;
            if state.containers.iter().any(|c| c.record.exit.is_none()) {
                state.wrong("the pod was removed while a container runs".to_owned());
            }
            state.sandboxes.clear();
            state.containers.clear();
            state.pod_made = false;
            state.done()
        })
        .await
    }
}
