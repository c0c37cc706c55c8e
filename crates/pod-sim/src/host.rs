//! A host in memory. It checks at every verb what must always hold, and fails, loses and kills as its script says.

use crate::rules::{Ledger, Started};
use crate::script::{Run, Script};
use fastrand::Rng;
use jiff::Timestamp;
use pod_driver::actions::{Actions, Target};
use pod_driver::host::{ExecSession, Host, HostError, HostErrorKind, HostResult, VolumeError};
use pod_driver::queue::{Handle, Message};
use pod_driver::world::Clock;
use pod_model::config::{
    ContainerConfig, ExecConfig, ImageFacts, PodCgroup, SandboxConfig, VolumeToPrepare,
};
use pod_model::ids::{CgroupPath, ContainerId, PodRef, PodUid, SandboxId};
use pod_model::runtime::{ContainerRecord, Exit, NamespaceMode, PodRuntime, RunState, Sandbox};
use pod_model::status::{ContainerStatus, PodStatus};
use pod_plan::action::{Action, Purpose};
use pod_plan::probes::Outcome;
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
    /// Since when deletion is asked for.
    going: Option<tokio::time::Instant>,
    /// Something was ending before that, so grace may have begun earlier.
    ending_before: bool,
    /// Deletion was taken: nothing may start.
    deleted: bool,
    ledger: Ledger,
    broken: Option<String>,
    log: Vec<String>,
}

#[derive(Debug)]
struct Live {
    record: ContainerRecord,
    run: Run,
    began: tokio::time::Instant,
    /// Its startup probe has succeeded, or it has none.
    up: bool,
    kill_at: Option<tokio::time::Instant>,
    /// It was asked to end, whether the wish arrived or not.
    asked: bool,
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
            going: None,
            ending_before: false,
            deleted: false,
            ledger: Ledger::default(),
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

    /// Deletion is asked for now.
    pub fn deletion_begins(&self) {
        let mut state = self.lock();
        state.going = Some(tokio::time::Instant::now());
        state.ending_before = state.containers.iter().any(|c| c.asked);
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
        let State {
            containers, ledger, ..
        } = &mut *state;
        for live in containers.iter_mut().filter(|c| c.record.exit.is_none()) {
            live.record.end(137, now);
            let name = live.record.name.as_str();
            ledger.end(name, 137, false, tokio::time::Instant::now());
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

    /// Tells the task that something has happened: late, and perhaps twice.
    fn wake(&mut self) {
        let Some(handle) = self.handle.clone() else {
            return;
        };
        let most = u64::try_from(self.script.hears_late.as_millis()).unwrap_or(0);
        let times = 1 + u32::from(most > 0 && self.rng.bool());
        for _ in 0..times {
            let late = Duration::from_millis(self.rng.u64(0..=most));
            let handle = handle.clone();
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                handle.send(Message::Fact);
            });
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

    /// What must hold when a container is started.
    fn check_start(&mut self, config: &ContainerConfig) {
        let now = tokio::time::Instant::now();
        let running = |name: &str| {
            let mut all = self.containers.iter();
            all.any(|c| c.record.name == name && c.record.exit.is_none())
        };
        let started = Started {
            pod: &self.script.pod,
            name: config.name.as_str(),
            attempt: config.attempt,
            sandbox: &config.sandbox,
            sandbox_ready: self
                .sandboxes
                .iter()
                .any(|s| s.id == config.sandbox && s.ready),
            deleted: self.deleted,
            running: &running,
            now,
        };
        let wrong = self.ledger.start(&started);
        for text in wrong {
            self.wrong(text);
        }
    }

    /// A sidecar ends after the apps and after the sidecars that follow it, as long as there is grace.
    fn check_stop(&mut self, id: &ContainerId) {
        let Some(going) = self.going else {
            return;
        };
        let spec = &self.script.pod.spec;
        // What ended before by its deadline has had its grace from then on.
        if spec.active_deadline_seconds.is_some() {
            return;
        }
        let own = spec.termination_grace_period_seconds.unwrap_or(30);
        let grace = self.script.grace.min(u64::try_from(own).unwrap_or(0));
        let over = going + Duration::from_secs(grace) - ROUNDED;
        let Some(live) = self.containers.iter().find(|c| c.record.id == *id) else {
            return;
        };
        if self.ending_before
            || live.kill_at.is_some()
            || tokio::time::Instant::now() >= over
            || grace == 0
        {
            return;
        }
        let running: Vec<&str> = self
            .containers
            .iter()
            .filter(|c| c.record.exit.is_none())
            .map(|c| c.record.name.as_str())
            .collect();
        let name = live.record.name.to_string();
        if let Some(text) = crate::rules::out_of_turn(&self.script.pod, &name, &running) {
            self.wrong(text);
        }
    }
}

/// Times that are less apart count as one.
const ROUNDED: Duration = Duration::from_millis(5);

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
        let (name, asked) = (live.record.name.to_string(), live.asked);
        state
            .ledger
            .end(&name, code, asked, tokio::time::Instant::now());
        state.note(line);
        state.wake();
    }

    /// The user was told that a container is being ended.
    pub fn told_of_end(&self, name: &str) {
        for live in &mut self.lock().containers {
            live.asked |= live.record.name == name;
        }
    }

    /// The daemon was killed: what it remembered of back-offs since its last word may be lost.
    pub fn daemon_died(&self) {
        let mut state = self.lock();
        state.note("the daemon was killed".to_owned());
        state.ledger.forget_back_offs();
    }

    /// Loses the record of the container that ended first.
    pub fn forget_a_record(&self) {
        let mut state = self.lock();
        let mut ended = state.containers.iter();
        let Some(place) = ended.position(|c| c.record.exit.is_some()) else {
            return;
        };
        let live = state.containers.remove(place);
        state.note(format!("LOST the record of {}", live.record.name));
        state.ledger.lost(live.record.name.as_str());
        state.wake();
    }

    /// What that status says of containers and is not so.
    pub fn lies(&self, status: &PodStatus, before: &PodStatus) -> Vec<String> {
        let state = self.lock();
        let every = |s: &PodStatus| {
            let lists = [&s.init_container_statuses, &s.container_statuses];
            lists.into_iter().flatten().cloned().collect::<Vec<_>>()
        };
        let old = every(before);
        let told = every(status);
        let each = told.iter().filter_map(|s| {
            let old = old.iter().find(|o| o.name == s.name);
            state.lie(s, old)
        });
        each.collect()
    }
}

impl State {
    fn lie(&self, status: &ContainerStatus, old: Option<&ContainerStatus>) -> Option<String> {
        let name = &status.name;
        if old.is_some_and(|o| o.restart_count > status.restart_count) {
            return Some(format!("the restart count of {name} went down"));
        }
        let id = status
            .container_id
            .strip_prefix(pod_plan::plan::ID_PREFIX)?;
        let live = self.containers.iter().find(|c| c.record.id == id)?;
        let running = status.state.running.is_some();
        // A pod that is going is not asked whether it has started.
        if status.ready && running && !live.up && self.going.is_none() {
            return Some(format!("{name} was said to be ready before it was up"));
        }
        let exit = live.record.exit.as_ref();
        let told = status.state.terminated.as_ref()?;
        match exit {
            // What cannot be told in the end is said to be unknown.
            _ if told.reason == "ContainerStatusUnknown" => None,
            None => Some(format!("{name} was said to have ended and runs")),
            Some(exit) if exit.code != told.exit_code => Some(format!(
                "{name} was said to have ended with {} and ended with {}",
                told.exit_code, exit.code
            )),
            Some(_) => None,
        }
    }
}

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
            ledger,
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
            let name = live.record.name.as_str();
            ledger.end(name, 137, false, tokio::time::Instant::now());
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
        if !state
            .sandboxes
            .iter()
            .any(|s| s.id == config.sandbox && s.ready)
        {
            let text = "the sandbox does not run";
            return Err(HostError::new(HostErrorKind::Create, text));
        }
        state.check_start(config);
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
            up_after: Duration::ZERO,
            sick_after: None,
            turns: Duration::MAX,
        });
        let found = state.script.pod.spec.find(config.name.as_str());
        let probed = found.is_some_and(|(_, _, c)| c.startup_probe.is_some());
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
        });
        let answer = state.done();
        drop(state);
        self.play(config.id.clone(), run);
        answer
    }

    async fn stop_container(&self, _: &PodUid, id: &ContainerId, grace_ms: u64) -> HostResult<()> {
        for live in &mut self.lock().containers {
            live.asked |= live.record.id == *id;
        }
        let mut state = self.begin(format!("stop container {id:.4} within {grace_ms} ms"))?;
        state.check_stop(id);
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
