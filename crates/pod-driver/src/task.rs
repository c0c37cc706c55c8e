//! One task a pod. It alone changes the pod: verbs and exits enter one queue, no lock guards its state.
//!
//! ```text
//!          ┌──────────────── queue: delete, fact ────────────────┐
//!          ▼                                                     │
//!   observe ──▶ plan ──▶ tell (status, events) ──▶ steps? ──none─┤
//!      ▲                                              │          └─▶ wait for the queue or `wake_at`
//!      └───────── execute in order, note each end ◀───┘
//! ```
//!
//! The task chooses nothing: what a step is and what its end means is pod-plan's.

use crate::clock::Watch;
use crate::execute::execute;
use crate::hooks;
use crate::host::Host;
use crate::prober::{Shown, probe};
use crate::queue::{Handle, Message};
use crate::world::{Clock, Journal, Outside, WorldOf};
use jiff::{SignedDuration, Timestamp};
use pod_model::ids::{ContainerId, ContainerName, PodRef};
use pod_model::pod::{ContainerKind, Pod};
use pod_model::status::PodStatus;
use pod_plan::clock::{Moved, moved};
use pod_plan::events::{self, PodEvent};
use pod_plan::memory::{Memory, Noted};
use pod_plan::observed::{Deletion, Observed};
use pod_plan::plan::plan;
use pod_plan::probes::{Findings, Prober};
use pod_plan::step::Step;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How long a step may take before the facts that its plan was made from are too old for the next one.
const OLD: Duration = Duration::from_secs(1);

/// What a task begins with.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// What an earlier task of the same pod left; `None` for a new pod.
    pub memory: Option<Memory>,
    /// Restart counts as the log files tell, where neither record nor memory has one.
    pub log_attempts: BTreeMap<ContainerName, u32>,
}

/// Makes a pod's task, to be spawned, and the handle to it.
pub fn pod_task<X: Outside>(
    world: WorldOf<X>,
    pod: Pod,
    begin: Begin,
) -> (Handle, impl Future<Output = ()> + Send) {
    let (sender, queue) = mpsc::unbounded_channel();
    let deletion = pod.metadata.deletion_timestamp.map(|at| Deletion {
        // The clock may have been set back since.
        at: at.min(world.clock.now()),
        grace_seconds: grace(&pod, pod.metadata.deletion_grace_period_seconds),
    });
    let prober = match &begin.memory {
        None => Prober::new(&pod),
        Some(memory) => Prober::found_again(&pod, &memory.status, world.clock.now()),
    };
    let memory = begin.memory.map(|mut memory| {
        memory.after_restart();
        memory
    });
    let memory = memory.unwrap_or_default();
    let told = memory.status.clone();
    let kept = memory.clone();
    let findings = prober.as_ref().map(Prober::findings).unwrap_or_default();
    let (shown, show) = watch::channel(Shown::default());
    let weak = sender.downgrade();
    let clock = Watch::new(&*world.clock);
    let mut task = Task::<X> {
        world,
        reference: pod.reference(),
        pod,
        deletion,
        memory,
        log_attempts: begin.log_attempts,
        told,
        kept,
        findings,
        watch: clock,
        moved: Moved::default(),
        set: None,
        shown,
        beside: JoinSet::new(),
        sender: weak.clone(),
        queue,
    };
    let probing = prober.map(|prober| {
        let pod = Arc::new(task.pod.clone());
        probe::<X>(task.world.clone(), pod, prober, show, weak)
    });
    let run = async move {
        if let Some(probing) = probing {
            task.beside.spawn(probing);
        }
        task.run().await;
    };
    (Handle::new(sender), run)
}

fn grace(pod: &Pod, asked: Option<i64>) -> u64 {
    let seconds = asked
        .or(pod.spec.termination_grace_period_seconds)
        .unwrap_or(30);
    u64::try_from(seconds).unwrap_or(1)
}

struct Task<X: Outside> {
    world: WorldOf<X>,
    reference: PodRef,
    pod: Pod,
    deletion: Option<Deletion>,
    memory: Memory,
    log_attempts: BTreeMap<ContainerName, u32>,
    told: PodStatus,
    /// As it was when it was told last.
    kept: Memory,
    findings: Findings,
    watch: Watch,
    moved: Moved,
    /// By how much the clock was set since the runtime was observed last.
    set: Option<SignedDuration>,
    shown: watch::Sender<Shown>,
    /// Prober and preStop hooks; they end with the task.
    beside: JoinSet<()>,
    sender: mpsc::WeakUnboundedSender<Message>,
    queue: mpsc::UnboundedReceiver<Message>,
}

impl<X: Outside> Task<X> {
    async fn run(mut self) {
        loop {
            while let Ok(message) = self.queue.try_recv() {
                self.take(message);
            }
            let mut runtime = self.world.host.observe(&self.reference.uid).await;
            let now = self.now();
            self.moved.apply(&mut runtime, self.set.take(), now);
            let observed = Observed {
                probes: self.findings.results(&runtime),
                runtime,
                deletion: self.deletion,
                host_ips: self.world.node.ips.clone(),
                log_attempts: self.log_attempts.clone(),
                allocatable: self.world.node.allocatable.clone(),
                limits: self.world.limits,
                memory: std::mem::take(&mut self.memory),
            };
            let plan = plan(&self.pod, &observed, now);
            self.memory = plan.memory;
            self.tell(plan.events);
            if plan.steps.is_empty() {
                let sleep = plan.wake_at.map(|at| at.duration_since(now));
                if !self.wait(sleep).await {
                    return;
                }
                continue;
            }
            for step in &plan.steps {
                if self.step(step).await.is_break() {
                    break;
                }
                if *step == Step::RemovePod {
                    self.world.journal.removed(&self.reference);
                    return;
                }
            }
        }
    }

    async fn step(&mut self, step: &Step) -> std::ops::ControlFlow<()> {
        if let Step::PreStop {
            id, kind, index, ..
        } = step
        {
            self.pre_stop(id, *kind, *index);
        }
        let began = tokio::time::Instant::now();
        let sizes = &self.memory.sizes;
        let (pod, cgroup) = (sizes.granted_pod(&self.pod), sizes.cgroup.clone());
        let end = execute::<X>(&self.world, &pod, step, cgroup, &mut self.queue).await;
        // News makes the rest of the plan old: a deletion above all, after which nothing may be begun.
        let news = !end.messages.is_empty() || !self.queue.is_empty();
        for message in end.messages {
            self.take(message);
        }
        self.tell(end.events);
        let now = self.now();
        let noted = match &end.result {
            Ok(()) => {
                self.memory.done(step, now);
                Noted::default()
            }
            Err(failure) => self
                .memory
                .failed(&self.pod, step, failure, &self.world.limits, now),
        };
        self.tell(noted.events);
        // What took long has made the facts old.
        if noted.stop || news || began.elapsed() >= OLD {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    }

    /// Begins a preStop hook; a message tells of its end.
    fn pre_stop(&mut self, id: &ContainerId, kind: ContainerKind, index: usize) {
        while self.beside.try_join_next().is_some() {}
        let Some(container) = self.pod.spec.list(kind).get(index).cloned() else {
            return;
        };
        let hook = container.lifecycle.as_ref();
        let Some(hook) = hook.and_then(|l| l.pre_stop.clone()) else {
            return;
        };
        let (world, pod, id) = (self.world.clone(), self.pod.clone(), id.clone());
        let (sender, ip) = (self.sender.clone(), self.memory.status.pod_ip.clone());
        self.beside.spawn(async move {
            let done = hooks::run::<X>(&world, &pod, &container, &id, &ip, &hook).await;
            let event = done
                .err()
                .map(|_| events::pre_stop_failed(kind, &container.name));
            if let Some(sender) = sender.upgrade() {
                // A task that has ended needs it no more.
                let _ = sender.send(Message::HookEnded { id, event });
            }
        });
    }

    /// The time now, to compare with what is remembered: where the clock was set, that is moved first.
    fn now(&mut self) -> Timestamp {
        let (now, set) = self.watch.look(&*self.world.clock);
        if let Some(by) = set {
            self.memory.clock_was_set(by);
            if let Some(deletion) = &mut self.deletion {
                deletion.at = moved(deletion.at, by);
            }
            self.set = Some(self.set.unwrap_or_default().saturating_add(by));
        }
        now
    }

    /// Waits for a message or so long; `false` when no handle is left.
    async fn wait(&mut self, sleep: Option<SignedDuration>) -> bool {
        let sleep = sleep.map(|time| Duration::try_from(time).unwrap_or_default());
        let message = match sleep {
            None => self.queue.recv().await,
            Some(time) => match tokio::time::timeout(time, self.queue.recv()).await {
                Ok(message) => message,
                Err(_) => return true,
            },
        };
        match message {
            Some(message) => {
                self.take(message);
                true
            }
            None => false,
        }
    }

    fn take(&mut self, message: Message) {
        let now = self.now();
        match message {
            Message::Delete { at, grace_seconds } => self.take_deletion(at.min(now), grace_seconds),
            Message::Update(new) => {
                let metadata = &mut self.pod.metadata;
                metadata.labels = new.metadata.labels;
                metadata.annotations = new.metadata.annotations;
                metadata.generation = new.metadata.generation;
                self.pod.spec = new.spec;
                // Files and variables may show labels and annotations.
                self.memory.sources_changed();
            }
            Message::Sources => self.memory.sources_changed(),
            Message::Image(name) => self.memory.image_arrived(&self.pod, &name),
            Message::HookEnded { id, event } => {
                self.memory.hook_ended(&id);
                self.tell(event.into_iter().collect());
            }
            Message::Probed(findings) => self.findings = findings,
            Message::Fact => {}
            Message::Log(name, news) => self.tell(vec![events::log(&name, &news)]),
            Message::Retry { from, answer } => {
                let done = self.memory.retry(&self.pod, from.as_ref());
                let (told, event) = match done {
                    Ok((retried, event)) => (Ok(retried), Some(event)),
                    Err(error) => (Err(error), None),
                };
                // Known to everybody before who asked is answered.
                self.tell(event.into_iter().collect());
                answer.send(told);
            }
        }
    }

    fn take_deletion(&mut self, at: Timestamp, grace_seconds: Option<u64>) {
        let asked = grace(
            &self.pod,
            grace_seconds.map(|s| i64::try_from(s).unwrap_or(i64::MAX)),
        );
        self.deletion = Some(match self.deletion {
            None => Deletion {
                at,
                grace_seconds: asked,
            },
            Some(before) => before.shorten(at, asked),
        });
        self.pod.metadata.deletion_timestamp.get_or_insert(at);
        self.pod.metadata.deletion_grace_period_seconds = self
            .deletion
            .and_then(|d| i64::try_from(d.grace_seconds).ok());
    }

    fn tell(&mut self, events: Vec<PodEvent>) {
        if self.memory.status != self.told || self.memory.differs_unseen(&self.kept) {
            self.told = self.memory.status.clone();
            self.kept = self.memory.clone();
            self.world
                .journal
                .status(&self.reference, &self.told, &self.memory);
        }
        let deleted = self.deletion.is_some();
        self.shown.send_if_modified(|shown| {
            let news = shown.deleted != deleted || shown.status != self.told;
            if news {
                *shown = Shown {
                    status: self.told.clone(),
                    deleted,
                };
            }
            news
        });
        let now = self.world.clock.now();
        for event in events {
            self.world.journal.event(&self.reference, event, now);
        }
    }
}
