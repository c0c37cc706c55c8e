//! A world that a plan can be played in: virtual time, containers that do what a script says, and a driver that does what it is told.
//!
//! Whatever is played, the world itself watches the laws of a pod's life, and panics where one is broken.

#![allow(
    dead_code,
    reason = "each test binary plays with another part of the world"
)]

pub(crate) mod lives;

use jiff::{SignedDuration, Timestamp};
use pod_model::asked::keeps_failed;
use pod_model::config::spec_hash;
use pod_model::ids::{ContainerId, ImageId, SandboxId};
use pod_model::pod::{ContainerKind, Pod};
use pod_model::runtime::{ContainerRecord, Exit, NamespaceMode, RunState, Sandbox};
use pod_model::status::{ContainerStatus, Phase, PodStatus};
use pod_plan::failure::Failure;
use pod_plan::observed::{Deletion, Observed};
use pod_plan::plan::{Plan, plan};
use pod_plan::step::Step;
use std::collections::BTreeMap;

/// What one attempt of a container does.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    /// Why it cannot be started, if so.
    pub(crate) fails: Option<Failure>,
    /// How long it runs by itself; `None` = for ever.
    pub(crate) runs_ms: Option<u64>,
    /// Its exit code then.
    pub(crate) code: i32,
    /// What it does at the stop signal: how long it takes, and its exit code; `None` = it ignores it.
    pub(crate) stops: Option<(u64, i32)>,
}

impl Behaviour {
    pub(crate) fn exits(after_ms: u64, code: i32) -> Self {
        Self {
            runs_ms: Some(after_ms),
            code,
            ..Self::forever()
        }
    }

    pub(crate) fn forever() -> Self {
        Self {
            fails: None,
            runs_ms: None,
            code: 0,
            stops: Some((100, 143)),
        }
    }

    pub(crate) fn deaf() -> Self {
        Self {
            stops: None,
            ..Self::forever()
        }
    }

    pub(crate) fn cannot(failure: Failure) -> Self {
        Self {
            fails: Some(failure),
            ..Self::forever()
        }
    }
}

type Script = Box<dyn Fn(&str, u32) -> Behaviour>;

pub(crate) struct World {
    pub(crate) pod: Pod,
    pub(crate) observed: Observed,
    pub(crate) now: Timestamp,
    pub(crate) removed: bool,
    /// Every step that was executed, with the second it was.
    pub(crate) log: Vec<(f64, String)>,
    /// Every event, with its second.
    pub(crate) events: Vec<(f64, String, String)>,
    /// Every status that differs from the one before, with its second.
    pub(crate) statuses: Vec<(f64, PodStatus)>,
    script: Script,
    due: BTreeMap<ContainerId, (Timestamp, i32)>,
    hooks: BTreeMap<ContainerId, Timestamp>,
    made: u32,
    idle_plans: u32,
    /// Whether the pod began in good order; a pod found with an app beside a running init container did not.
    pub(crate) orderly: bool,
    /// Whether records of containers that have ended may be missing, so that one cannot tell who has done their work.
    pub(crate) forgetful: bool,
    /// Steps that fail, by label, and how often still.
    pub(crate) faults: BTreeMap<String, u32>,
}

pub(crate) fn pod(json: serde_json::Value) -> Pod {
    serde_json::from_value(json).expect("a pod")
}

fn start_of_time() -> Timestamp {
    Timestamp::from_second(1_767_225_600).expect("a time")
}

impl World {
    pub(crate) fn new(pod: Pod, script: impl Fn(&str, u32) -> Behaviour + 'static) -> Self {
        Self {
            pod,
            observed: Observed::default(),
            now: start_of_time(),
            removed: false,
            log: Vec::new(),
            events: Vec::new(),
            statuses: Vec::new(),
            script: Box::new(script),
            due: BTreeMap::new(),
            hooks: BTreeMap::new(),
            made: 0,
            idle_plans: 0,
            orderly: true,
            forgetful: false,
            faults: BTreeMap::new(),
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.now.duration_since(start_of_time()).as_secs_f64()
    }

    pub(crate) fn status(&self) -> &PodStatus {
        &self.observed.memory.status
    }

    pub(crate) fn phase(&self) -> Phase {
        self.status().phase.expect("a phase")
    }

    pub(crate) fn container(&self, name: &str) -> &ContainerStatus {
        let status = self.status();
        let all = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses);
        all.into_iter()
            .find(|s| s.name == name)
            .expect("a container status")
    }

    pub(crate) fn condition(&self, kind: &str) -> (String, String, String) {
        let list = &self.status().conditions;
        let c = list.iter().find(|c| c.kind == kind).expect("a condition");
        (c.status.clone(), c.reason.clone(), c.message.clone())
    }

    pub(crate) fn delete(&mut self, grace_seconds: u64) {
        let now = self.now;
        self.observed.deletion = Some(match self.observed.deletion {
            Some(before) => before.shorten(now, grace_seconds),
            None => Deletion {
                at: now,
                grace_seconds,
            },
        });
    }

    /// The pause process dies, and with it nothing else.
    pub(crate) fn lose_sandbox(&mut self) {
        if let Some(sandbox) = self.observed.runtime.sandboxes.first_mut() {
            sandbox.ready = false;
        }
    }

    /// The node daemon ends and finds the pod again.
    pub(crate) fn restart_daemon(&mut self) {
        let text = serde_json::to_string(&self.observed.memory).expect("memory as text");
        self.observed.memory = serde_json::from_str(&text).expect("memory from text");
        self.observed.memory.after_restart();
    }

    /// Plans and executes once; when there is nothing to do, lets time pass until there may be. `false` at rest.
    pub(crate) fn turn(&mut self) -> bool {
        assert!(!self.removed, "the pod is gone");
        let Plan {
            steps,
            wake_at,
            status,
            events,
            why,
            memory,
        } = plan(&self.pod, &self.observed, self.now);
        assert_eq!(status, memory.status);
        self.check_phase(&status);
        let last = self.statuses.last().map(|(_, s)| s);
        if last != Some(&status) {
            self.statuses.push((self.seconds(), status));
        }
        self.observed.memory = memory;
        self.tell(events);
        assert!(
            steps.is_empty() || !why.is_empty(),
            "steps without a reason: {steps:?}"
        );
        if !steps.is_empty() {
            self.idle_plans = 0;
            for step in &steps {
                if self.execute(step) {
                    break;
                }
            }
            return true;
        }
        if wake_at.is_none_or(|at| at > self.now) {
            self.check_idle();
        }
        let exit = self.due.values().map(|(at, _)| *at).min();
        let hook = self.hooks.values().min().copied();
        let Some(next) = exit.into_iter().chain(wake_at).chain(hook).min() else {
            self.check_rest();
            return false;
        };
        if next > self.now {
            self.idle_plans = 0;
            self.now = next;
        }
        self.idle_plans += 1;
        assert!(
            self.idle_plans < 5,
            "plans again and again without a step: {why:?}"
        );
        self.let_exit();
        true
    }

    /// Plays until the time has come (in seconds from the start), or the pod rests or is gone.
    pub(crate) fn play_until(&mut self, seconds: f64) {
        let end = start_of_time() + SignedDuration::from_secs_f64(seconds);
        for _ in 0..100_000 {
            if self.removed {
                return;
            }
            let before = self.now;
            let facts = self.observed.clone();
            let due = self.due.clone();
            if !self.turn() {
                self.now = self.now.max(end);
                return;
            }
            if self.now > end {
                // That would have been later: undo it, and wait at the end.
                assert!(before <= end);
                self.observed = facts;
                self.due = due;
                self.now = end;
                self.refresh();
                return;
            }
        }
        panic!(
            "never comes to an end; last: {:?}",
            self.log.iter().rev().take(10).collect::<Vec<_>>()
        );
    }

    /// The status as of now, without anything being done.
    fn refresh(&mut self) {
        let plan = plan(&self.pod, &self.observed, self.now);
        assert!(
            plan.steps.is_empty(),
            "at {}: {:?}",
            self.seconds(),
            plan.steps
        );
        self.observed.memory = plan.memory;
    }

    /// The law of a plan without steps: while the facts stay, the next one has no steps either and tells nothing, and what is known settles.
    fn check_idle(&self) {
        let again = plan(&self.pod, &self.observed, self.now);
        assert_eq!(again.steps, [], "the same facts, and now there is work");
        assert_eq!(again.events, [], "the same facts are told twice");
        // Conditions are made before the statuses of containers that are gone: as with a kubelet, the second look may see more.
        if self.orderly && !self.forgetful {
            let mut observed = self.observed.clone();
            observed.memory = again.memory;
            let third = plan(&self.pod, &observed, self.now);
            assert_eq!(
                third.memory, observed.memory,
                "the same facts, learned twice"
            );
        }
    }

    fn tell(&mut self, events: Vec<pod_plan::events::PodEvent>) {
        let at = self.seconds();
        let told = events.into_iter().map(|e| (at, e.reason, e.message));
        self.events.extend(told);
    }

    fn let_exit(&mut self) {
        let now = self.now;
        let memory = &mut self.observed.memory;
        self.hooks.retain(|id, at| {
            let over = *at <= now;
            if over {
                memory.hook_ended(id);
            }
            !over
        });
        let over: Vec<ContainerId> = self
            .due
            .iter()
            .filter(|(_, (at, _))| *at <= self.now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            if let Some((at, code)) = self.due.remove(&id) {
                self.end(&id, code, at);
            }
        }
    }

    fn end(&mut self, id: &ContainerId, code: i32, at: Timestamp) {
        self.due.remove(id);
        let mut all = self.observed.runtime.containers.iter_mut();
        if let Some(record) = all.find(|r| r.id == *id) {
            record.state = RunState::Exited;
            record.exit = Some(Exit {
                code,
                reason: if code == 0 { "Completed" } else { "Error" }.to_owned(),
                finished_at: Some(at),
                ..Exit::default()
            });
        }
    }

    /// Executes a step and enters its end. `true` if the rest of the plan is void.
    fn execute(&mut self, step: &Step) -> bool {
        let text = match step {
            Step::StartContainer { name, attempt, .. } => format!("start {name} {attempt}"),
            Step::StopContainer { name, grace_ms, .. } => format!("stop {name} {grace_ms}"),
            Step::RemoveContainer { name, id, .. } => format!("remove {name} {id}"),
            other => other.label(),
        };
        self.log.push((self.seconds(), text));
        let fault = self.faults.get_mut(&step.label()).filter(|n| **n > 0);
        let result = match fault {
            Some(times) => {
                *times -= 1;
                Err(Failure::Other("a fault".to_owned()))
            }
            None => self.carry_out(step),
        };
        match result {
            Ok(()) => {
                self.observed.memory.done(step, self.now);
                false
            }
            Err(failure) => {
                let limits = self.observed.limits;
                let memory = &mut self.observed.memory;
                let noted = memory.failed(&self.pod, step, &failure, &limits, self.now);
                self.tell(noted.events);
                noted.stop
            }
        }
    }

    fn carry_out(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::EnsurePod
            | Step::PrepareVolumes
            | Step::ResizePod { .. }
            | Step::ResizeContainer { .. } => {}
            Step::RunSandbox { attempt } => self.run_sandbox(*attempt),
            Step::StartContainer {
                kind,
                index,
                sandbox,
                attempt,
                ..
            } => return self.start(*kind, *index, sandbox, *attempt),
            Step::PreStop { id, name, .. } => self.hook(id, name.as_str()),
            Step::StopContainer { id, grace_ms, .. } => self.stop(id, *grace_ms),
            Step::RemoveContainer { id, .. } => {
                let containers = &mut self.observed.runtime.containers;
                let record = containers.iter().find(|r| r.id == *id);
                assert!(
                    record.is_none_or(|r| r.state != RunState::Running),
                    "{id} is removed while it runs"
                );
                containers.retain(|r| r.id != *id);
            }
            Step::StopSandbox { id } => self.stop_sandbox(id),
            Step::RemoveSandbox { id } => {
                let runtime = &mut self.observed.runtime;
                assert!(runtime.sandboxes.iter().all(|s| s.id != *id || !s.ready));
                assert!(runtime.containers.iter().all(|r| r.sandbox != *id));
                runtime.sandboxes.retain(|s| s.id != *id);
            }
            Step::RemovePod => {
                assert!(self.observed.deletion.is_some(), "nobody deleted the pod");
                self.assert_stopped();
                self.removed = true;
            }
        }
        Ok(())
    }

    fn run_sandbox(&mut self, attempt: u32) {
        assert!(self.observed.deletion.is_none());
        let runtime = &mut self.observed.runtime;
        assert!(
            runtime.sandboxes.iter().all(|s| !s.ready),
            "two sandboxes at once"
        );
        self.made += 1;
        let network = match self.pod.spec.host_network {
            true => NamespaceMode::Node,
            false => NamespaceMode::Pod,
        };
        let sandbox = Sandbox {
            id: SandboxId::new(format!("s{}", self.made)),
            ready: true,
            attempt,
            ip: None,
            network,
            created_at: Some(self.now),
        };
        runtime.sandboxes.insert(0, sandbox);
    }

    fn start(
        &mut self,
        kind: ContainerKind,
        index: usize,
        sandbox: &SandboxId,
        attempt: u32,
    ) -> Result<(), Failure> {
        let container = self.pod.spec.list(kind)[index].clone();
        self.check_start(kind, index, sandbox, attempt);
        let behaviour = (self.script)(container.name.as_str(), attempt);
        // With a failed start hook the container runs all the same.
        let unhooked = matches!(behaviour.fails, Some(Failure::PostStart(_)));
        if let Some(failure) = behaviour.fails.clone().filter(|_| !unhooked) {
            return Err(failure);
        }
        self.made += 1;
        let id = ContainerId::new(format!("{}-{attempt}-{}", container.name, self.made));
        if let Some(after) = behaviour.runs_ms {
            let at = self.now + SignedDuration::from_millis(after as i64);
            self.due.insert(id.clone(), (at, behaviour.code));
        }
        let record = ContainerRecord {
            hash: Some(spec_hash(&container.name, &container.image)),
            name: container.name,
            id,
            sandbox: sandbox.clone(),
            state: RunState::Running,
            attempt,
            image: container.image.to_string(),
            image_id: ImageId::default(),
            created_at: Some(self.now),
            started_at: Some(self.now),
            exit: None,
            user: None,
            clamped: Vec::new(),
        };
        self.observed.runtime.containers.insert(0, record);
        behaviour.fails.map_or(Ok(()), Err)
    }

    /// A hook whose command is a number takes so many milliseconds.
    fn hook(&mut self, id: &ContainerId, name: &str) {
        let (_, _, container) = self.pod.spec.find(name).expect("a container");
        let hooks = container.lifecycle.as_ref().expect("hooks");
        let hook = hooks.pre_stop.as_ref().expect("a preStop hook");
        let ms: u64 = hook.exec.as_ref().expect("a command").command[0]
            .parse()
            .expect("a number");
        let at = self.now + SignedDuration::from_millis(ms as i64);
        self.hooks.insert(id.clone(), at);
    }

    fn stop(&mut self, id: &ContainerId, grace_ms: u64) {
        let all = self.observed.runtime.containers.iter();
        let Some(record) = all.into_iter().find(|r| r.id == *id).cloned() else {
            return;
        };
        match record.state {
            RunState::Running if grace_ms > 0 => {
                let behaviour = (self.script)(record.name.as_str(), record.attempt);
                let (after, code) = match behaviour.stops {
                    Some((ms, code)) if ms <= grace_ms => (ms, code),
                    _ => (grace_ms, 137),
                };
                let at = self.now + SignedDuration::from_millis(after as i64);
                let sooner = self.due.get(id).is_none_or(|(due, _)| at < *due);
                if sooner {
                    self.due.insert(id.clone(), (at, code));
                }
            }
            RunState::Exited => {}
            _ => self.end(id, 137, self.now),
        }
    }

    fn stop_sandbox(&mut self, id: &SandboxId) {
        let runtime = &mut self.observed.runtime;
        for sandbox in runtime.sandboxes.iter_mut().filter(|s| s.id == *id) {
            sandbox.ready = false;
        }
        let left: Vec<ContainerId> = runtime
            .containers
            .iter()
            .filter(|r| r.sandbox == *id && r.state != RunState::Exited)
            .map(|r| r.id.clone())
            .collect();
        for id in left {
            self.end(&id, 137, self.now);
        }
    }

    fn running(&self) -> impl Iterator<Item = &ContainerRecord> {
        let all = self.observed.runtime.containers.iter();
        all.filter(|r| r.state == RunState::Running)
    }

    fn assert_stopped(&self) {
        assert_eq!(self.running().count(), 0, "something runs still");
        let mut sandboxes = self.observed.runtime.sandboxes.iter();
        let deleted = self.observed.deletion.is_some();
        if self.phase() == Phase::Failed && keeps_failed(&self.pod) && !deleted {
            sandboxes.next();
        }
        assert!(sandboxes.all(|s| !s.ready), "a sandbox is left");
    }

    /// The laws of a start.
    fn check_start(&self, kind: ContainerKind, index: usize, sandbox: &SandboxId, attempt: u32) {
        let spec = &self.pod.spec;
        let runtime = &self.observed.runtime;
        let container = &spec.list(kind)[index];
        let name = &container.name;
        assert!(
            self.observed.deletion.is_none(),
            "{name} starts after deletion"
        );
        assert!(
            !self.phase().is_terminal(),
            "{name} starts in a pod that has ended"
        );
        let good = runtime.sandboxes.first().expect("a sandbox");
        assert!(
            good.ready && good.id == *sandbox,
            "{name} starts in another sandbox"
        );
        assert!(
            self.running().all(|r| r.name != *name),
            "{name} runs already"
        );
        let mut attempts = runtime.containers.iter().filter(|r| r.name == *name);
        assert!(
            attempts.all(|r| r.attempt < attempt),
            "attempt {attempt} of {name} is not new"
        );
        let plain = |r: &ContainerRecord| {
            let mut inits = spec.init_containers.iter();
            inits.any(|c| c.name == r.name && !c.is_sidecar())
        };
        if kind == ContainerKind::Ephemeral || container.is_sidecar() || !self.orderly {
            return;
        }
        assert!(
            !self.running().any(plain),
            "{name} starts while an init container runs"
        );
        self.check_inits_done(kind, index, sandbox);
    }

    /// The first start of an app in a sandbox, and every start of an init container, comes after the end of all init containers before it:
    /// there, and with success.
    fn check_inits_done(&self, kind: ContainerKind, index: usize, sandbox: &SandboxId) {
        let spec = &self.pod.spec;
        let here = |r: &&ContainerRecord| r.sandbox == *sandbox;
        let all = || self.observed.runtime.containers.iter().filter(here);
        let is_app = |r: &ContainerRecord| spec.containers.iter().any(|c| c.name == r.name);
        // A second chance skips what was done before.
        let skips = self.observed.memory.retry.is_some();
        if self.forgetful || skips || all().any(is_app) {
            return;
        }
        let before = match kind {
            ContainerKind::Init => index,
            _ => spec.init_containers.len(),
        };
        let inits = spec.init_containers.iter().take(before);
        for init in inits.filter(|c| !c.is_sidecar()) {
            let newest = all().find(|r| r.name == init.name);
            let code = newest.and_then(|r| r.exit.as_ref()).map(|e| e.code);
            assert_eq!(code, Some(0), "{} has not done its work", init.name);
        }
    }

    /// The laws of a phase: what is terminal stays so.
    fn check_phase(&self, new: &PodStatus) {
        let old = self.status();
        if let Some(phase) = old.phase.filter(|p| p.is_terminal()) {
            assert_eq!(new.phase, Some(phase), "a terminal phase changed");
        }
        assert!(new.phase.is_some() && new.start_time.is_some());
        if old.start_time.is_some() {
            assert_eq!(new.start_time, old.start_time);
        }
    }

    /// Rest is allowed only to a pod that has ended, or that waits for something that runs.
    fn check_rest(&self) {
        if self.phase().is_terminal() {
            self.assert_stopped();
        } else {
            assert!(
                self.running().next().is_some(),
                "the pod rests in phase {:?} and nothing runs",
                self.phase()
            );
        }
    }
}
