//! A host in memory. It checks at every verb what must always hold, and fails, loses and kills as its script says.

mod checks;
mod sizes;
mod verbs;

use crate::rules::Ledger;
use crate::script::{Run, Script};
use fastrand::Rng;
use jiff::Timestamp;
use pod_driver::host::{HostError, HostErrorKind, HostResult};
use pod_driver::queue::{Handle, Message};
use pod_driver::world::Clock;
use pod_model::ids::ContainerId;
use pod_model::runtime::{ContainerRecord, Exit, RunState, Sandbox};
use pod_model::status::PodStatus;
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
    /// Memory limit of the pod's own cgroup.
    pod_memory: Option<i64>,
    sandboxes: Vec<Sandbox>,
    containers: Vec<Live>,
    handle: Option<Handle>,
    /// When the sandbox was lost last.
    lost_at: Option<tokio::time::Instant>,
    /// Since when deletion is asked for.
    going: Option<tokio::time::Instant>,
    /// Something was ending before that, so grace may have begun earlier.
    ending_before: bool,
    /// Deletion was taken: nothing may start.
    deleted: bool,
    /// The user gave it a second chance.
    retried: bool,
    ledger: Ledger,
    broken: Option<String>,
    began: tokio::time::Instant,
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
    /// Its memory limit.
    memory: Option<i64>,
}

impl SimHost {
    /// A host that plays that script.
    pub fn new(script: Script, seed: u64, clock: Arc<crate::clock::VirtualClock>) -> Self {
        let state = State {
            script,
            rng: Rng::with_seed(seed ^ 0x5eed),
            pod_made: false,
            pod_memory: None,
            sandboxes: Vec::new(),
            containers: Vec::new(),
            handle: None,
            lost_at: None,
            going: None,
            ending_before: false,
            deleted: false,
            retried: false,
            ledger: Ledger::default(),
            broken: None,
            began: tokio::time::Instant::now(),
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
        let now = tokio::time::Instant::now();
        if state.apps_come_in_time() {
            for text in state.ledger.overdue(now) {
                state.wrong(text);
            }
        }
        state.check_settled();
        state.going = Some(now);
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
        state.lost_at = Some(tokio::time::Instant::now());
        for sandbox in &mut state.sandboxes {
            sandbox.ready = false;
        }
        state.end_all(now, |_| true);
        state.wake();
    }

    /// Does a verb: some time passes before its effect, and again before its answer.
    async fn slowly<T>(&self, verb: impl FnOnce() -> T) -> T {
        self.pass_time().await;
        let done = verb();
        self.pass_time().await;
        done
    }

    async fn pass_time(&self) {
        let most = {
            let mut state = self.lock();
            let most = u64::try_from(state.script.slow.as_millis()).unwrap_or(0);
            if most == 0 {
                0
            } else {
                state.rng.u64(0..=most)
            }
        };
        if most > 0 {
            tokio::time::sleep(Duration::from_millis(most)).await;
        }
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
        let at = self.began.elapsed().as_secs_f64();
        self.log.push(format!("{at:10.3} {line}"));
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
        self.note(format!("WRONG: {what}"));
        self.broken.get_or_insert(what);
    }

    /// Ends at once what runs of those records.
    fn end_all(&mut self, now: Timestamp, of: impl Fn(&ContainerRecord) -> bool) {
        for live in &mut self.containers {
            if live.record.exit.is_none() && of(&live.record) {
                live.record.end(137, now);
                let name = live.record.name.as_str();
                self.ledger
                    .end(name, 137, false, tokio::time::Instant::now());
            }
        }
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
}

impl SimHost {
    /// Plays a container's run in the background: its own end, or the end that a stop asks for.
    fn play(&self, id: ContainerId, run: Run) {
        let host = self.clone();
        tokio::spawn(async move {
            match run.lasts {
                Some(time) => tokio::time::sleep(time).await,
                None => return,
            }
            host.end(&id, run.code, false);
        });
    }

    /// A container ends: by itself, or because it was asked to.
    fn end(&self, id: &ContainerId, code: i32, by_stop: bool) {
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
        state.check_end(&name, by_stop && code == 137);
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
