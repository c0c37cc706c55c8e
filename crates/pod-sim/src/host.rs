//! A host in memory. It checks at every verb what must always hold, and fails, loses and kills as its script says.

use crate::script::{Run, Script};
use fastrand::Rng;
use jiff::Timestamp;
use pod_driver::host::{ExecSession, Host, HostError, HostErrorKind, HostResult, VolumeError};
use pod_driver::queue::{Handle, Message};
use pod_driver::world::Clock;
use pod_model::config::{
    ContainerConfig, ExecConfig, ImageFacts, PodCgroup, SandboxConfig, VolumeToPrepare,
};
use pod_model::ids::{CgroupPath, ContainerId, PodRef, PodUid, SandboxId};
use pod_model::pod::{Pod, RestartPolicy};
use pod_model::runtime::{ContainerRecord, Exit, NamespaceMode, PodRuntime, RunState, Sandbox};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The host of one pod.
#[derive(Clone, Debug)]
pub struct SimHost(Arc<Mutex<State>>, Arc<crate::clock::VirtualClock>);

#[derive(Debug)]
struct State {
    script: Script,
    rng: Rng,
    pod_made: bool,
    sandboxes: Vec<Sandbox>,
    containers: Vec<Live>,
    handle: Option<Handle>,
    deleted: bool,
    broken: Option<String>,
    log: Vec<String>,
}

#[derive(Debug)]
struct Live {
    record: ContainerRecord,
    run: Run,
    kill_at: Option<tokio::time::Instant>,
}

impl SimHost {
    /// A host that plays that script.
    pub fn new(script: Script, seed: u64, clock: Arc<crate::clock::VirtualClock>) -> Self {
        let state = State {
            script,
            rng: Rng::with_seed(seed ^ 0x5eed),
            pod_made: false,
            sandboxes: Vec::new(),
            containers: Vec::new(),
            handle: None,
            deleted: false,
            broken: None,
            log: Vec::new(),
        };
        Self(Arc::new(Mutex::new(state)), clock)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is told of exits.
    pub fn tell(&self, handle: Handle) {
        self.lock().handle = Some(handle);
    }

    /// From now on nothing may be started: deletion was asked for and taken.
    pub fn deletion_asked(&self) {
        self.lock().deleted = true;
    }

    /// The first thing that was wrong.
    pub fn broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// Every verb, in words.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// What is left of the pod.
    pub fn left(&self) -> Vec<String> {
        let state = self.lock();
        let containers = state
            .containers
            .iter()
            .map(|c| format!("container {}", c.record.name));
        let sandboxes = state.sandboxes.iter().map(|s| format!("sandbox {}", s.id));
        containers
            .chain(sandboxes)
            .chain(state.pod_made.then(|| "pod folders".to_owned()))
            .collect()
    }

    /// Loses the sandbox that runs: its pause process dies, and with it everything in it.
    pub fn lose_sandbox(&self) {
        let now = self.1.now();
        let mut state = self.lock();
        state.note("LOST the sandbox".to_owned());
        for sandbox in &mut state.sandboxes {
            sandbox.ready = false;
        }
        for live in &mut state.containers {
            if live.record.exit.is_none() {
                live.record.end(137, now);
            }
        }
        state.wake();
    }

    /// A verb begins: fails before its effect if the script says so.
    fn begin(&self, verb: String) -> HostResult<MutexGuard<'_, State>> {
        let mut state = self.lock();
        let fails = state.rng.u32(0..100) < state.script.fail_before;
        state.note(if fails {
            format!("{verb}: failed before")
        } else {
            verb
        });
        if fails {
            Err(HostError::new(
                HostErrorKind::Other,
                "simulated failure before",
            ))
        } else {
            Ok(state)
        }
    }
}

trait Ends {
    fn end(&mut self, code: i32, at: Timestamp);
}

impl Ends for ContainerRecord {
    fn end(&mut self, code: i32, at: Timestamp) {
        self.state = RunState::Exited;
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.exit = Some(Exit {
            code,
            signal: None,
            reason: reason.to_owned(),
            message: String::new(),
            finished_at: Some(at),
        });
    }
}

impl State {
    fn note(&mut self, line: String) {
        self.log.push(line);
    }

    fn wake(&self) {
        if let Some(handle) = &self.handle {
            handle.send(Message::Fact);
        }
    }

    fn wrong(&mut self, what: String) {
        self.log.push(format!("WRONG: {what}"));
        self.broken.get_or_insert(what);
    }

    /// A verb that was done: still answers with a failure if the script says so.
    fn done(&mut self) -> HostResult<()> {
        if self.rng.u32(0..100) < self.script.fail_after {
            self.note("  … and its answer was lost".to_owned());
            return Err(HostError::new(
                HostErrorKind::Other,
                "simulated failure after",
            ));
        }
        Ok(())
    }

    fn newest_ok(&self, name: &str) -> bool {
        let newest = self.containers.iter().rev().find(|c| c.record.name == name);
        newest.is_some_and(|c| c.record.exit.as_ref().is_some_and(|e| e.code == 0))
    }

    /// What must hold when a container is started.
    fn check_start(&mut self, pod: &Pod, config: &ContainerConfig) {
        let name = config.name.as_str();
        let mut wrong = Vec::new();
        if self.deleted {
            wrong.push(format!("{name} was started after the deletion"));
        }
        if !self
            .sandboxes
            .iter()
            .any(|s| s.id == config.sandbox && s.ready)
        {
            wrong.push(format!("{name} was started in a sandbox that is not ready"));
        }
        let running = |n: &str| {
            self.containers
                .iter()
                .any(|c| c.record.name == n && c.record.exit.is_none())
        };
        if running(name) {
            wrong.push(format!("{name} was started while it runs"));
        }
        let inits = pod.spec.init_containers.iter();
        let before: Vec<_> = inits.take_while(|c| c.name != name).collect();
        let apps_ran = pod
            .spec
            .containers
            .iter()
            .any(|c| self.containers.iter().any(|l| l.record.name == c.name));
        for init in before {
            if running(init.name.as_str()) {
                wrong.push(format!(
                    "{name} was started while init container {} runs",
                    init.name
                ));
            }
            if !apps_ran && !self.newest_ok(init.name.as_str()) {
                wrong.push(format!(
                    "{name} was started before init container {} succeeded",
                    init.name
                ));
            }
        }
        let before_it = self
            .containers
            .iter()
            .rev()
            .find(|c| c.record.name == name)
            .map(|c| c.record.clone());
        if let Some(last) = before_it {
            if config.attempt <= last.attempt {
                wrong.push(format!(
                    "{name} got attempt {} after {}",
                    config.attempt, last.attempt
                ));
            }
            let failed = last.exit.as_ref().is_some_and(|e| e.code != 0);
            let same_sandbox = last.sandbox == config.sandbox;
            if same_sandbox && pod.spec.restart() == RestartPolicy::Never {
                wrong.push(format!("{name} was started again under Never"));
            }
            if same_sandbox && !failed && pod.spec.restart() == RestartPolicy::OnFailure {
                wrong.push(format!(
                    "{name} was started again after success under OnFailure"
                ));
            }
        }
        for text in wrong {
            self.wrong(text);
        }
    }
}

/// How soon after a stop signal an obedient container ends.
const OBEYS_WITHIN: Duration = Duration::from_millis(50);

impl SimHost {
    /// Plays a container's run in the background: its own end, or the end that a stop asks for.
    fn play(&self, id: ContainerId, run: Run) {
        let host = self.clone();
        tokio::spawn(async move {
            match run.lasts {
                Some(time) => tokio::time::sleep(time).await,
                None => return,
            }
            host.end(&id, run.code);
        });
    }

    fn end(&self, id: &ContainerId, code: i32) {
        let now = self.1.now();
        let mut state = self.lock();
        let Some(live) = state
            .containers
            .iter_mut()
            .find(|c| c.record.id == *id && c.record.exit.is_none())
        else {
            return;
        };
        live.record.end(code, now);
        let line = format!("{} ended with {code}", live.record.name);
        state.note(line);
        state.wake();
    }
}

impl Host for SimHost {
    async fn ensure_pod(&self, _: &PodRef, _: &CgroupPath, _: &PodCgroup) -> HostResult<()> {
        let mut state = self.begin("ensure pod".to_owned())?;
        state.pod_made = true;
        state.done()
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
        let mut state = self.begin("prepare volumes".to_owned()).map_err(failed)?;
        if !state.pod_made {
            state.wrong("volumes were prepared before the pod's folders".to_owned());
        }
        state.done().map_err(failed)
    }

    async fn run_sandbox(&self, config: &SandboxConfig) -> HostResult<Option<OwnedFd>> {
        let now = self.1.now();
        let mut state = self.begin(format!("run sandbox {}", config.attempt))?;
        if state.deleted {
            state.wrong("a sandbox was made after the deletion".to_owned());
        }
        if state.sandboxes.iter().any(|s| s.ready) {
            state.wrong("a second sandbox was made".to_owned());
        }
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
    }

    async fn set_address(&self, _: &PodUid, _: &SandboxId, _: Option<String>) -> HostResult<()> {
        Ok(())
    }

    async fn stop_sandbox(&self, _: &PodUid, id: &SandboxId) -> HostResult<()> {
        let now = self.1.now();
        let mut state = self.begin(format!("stop sandbox {id:.4}"))?;
        let State {
            sandboxes,
            containers,
            ..
        } = &mut *state;
        for sandbox in sandboxes.iter_mut().filter(|s| s.id == *id) {
            sandbox.ready = false;
        }
        for live in containers
            .iter_mut()
            .filter(|c| c.record.sandbox == *id && c.record.exit.is_none())
        {
            live.record.end(137, now);
        }
        state.done()
    }

    async fn remove_sandbox(&self, _: &PodUid, id: &SandboxId) -> HostResult<()> {
        let mut state = self.begin(format!("remove sandbox {id:.4}"))?;
        if state.sandboxes.iter().any(|s| s.id == *id && s.ready) {
            state.wrong("a ready sandbox was removed".to_owned());
        }
        state.sandboxes.retain(|s| s.id != *id);
        state.containers.retain(|c| c.record.sandbox != *id);
        state.done()
    }

    async fn start_container(
        &self,
        _: &PodRef,
        config: &ContainerConfig,
        _: &ImageFacts,
    ) -> HostResult<()> {
        let now = self.1.now();
        let mut state = self.begin(format!("start {} attempt {}", config.name, config.attempt))?;
        let pod = state.script.pod.clone();
        state.check_start(&pod, config);
        let number = usize::try_from(config.attempt).unwrap_or(usize::MAX);
        let runs = state
            .script
            .runs
            .get(config.name.as_str())
            .cloned()
            .unwrap_or_default();
        let run = runs.get(number).or(runs.last()).copied().unwrap_or(Run {
            lasts: None,
            code: 0,
            obeys: true,
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
        state.containers.push(Live {
            record,
            run,
            kill_at: None,
        });
        let answer = state.done();
        drop(state);
        self.play(config.id.clone(), run);
        answer
    }

    async fn stop_container(&self, _: &PodUid, id: &ContainerId, grace_ms: u64) -> HostResult<()> {
        let mut state = self.begin(format!("stop container {id:.4} within {grace_ms} ms"))?;
        let kill_at = tokio::time::Instant::now() + Duration::from_millis(grace_ms);
        let Some(live) = state
            .containers
            .iter_mut()
            .find(|c| c.record.id == *id && c.record.exit.is_none())
        else {
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
                    host.end(&id, 143);
                } else {
                    tokio::time::sleep_until(kill_at).await;
                    host.end(&id, 137);
                }
            });
        }
        answer
    }

    async fn remove_container(&self, _: &PodUid, id: &ContainerId, _: bool) -> HostResult<()> {
        let mut state = self.begin(format!("remove container {id:.4}"))?;
        if state
            .containers
            .iter()
            .any(|c| c.record.id == *id && c.record.exit.is_none())
        {
            state.wrong("a running container was removed".to_owned());
        }
        state.containers.retain(|c| c.record.id != *id);
        state.done()
    }

    async fn exec(&self, _: &PodUid, _: &ContainerId, _: &ExecConfig) -> HostResult<ExecSession> {
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
        let mut state = self.begin("remove pod".to_owned())?;
        if state.containers.iter().any(|c| c.record.exit.is_none()) {
            state.wrong("the pod was removed while a container runs".to_owned());
        }
        state.sandboxes.clear();
        state.containers.clear();
        state.pod_made = false;
        state.done()
    }
}
