//! What all verbs share: options, facts, programs, the state, and what happens when a supervisor speaks unasked.

use crate::cgroup::{self, Hasten, Layout};
use crate::exit;
use crate::failure::At;
use crate::intents::{self, Begun, Intent};
use crate::options::HostOptions;
use crate::paths::Paths;
use crate::quarantine::set_aside;
use crate::records::{self, EndedFile};
use crate::state::{Link, State};
use crate::supervisor::{Answer, AskError, Asker, Client, Keep, Notices};
use pod_driver::host::{HostErrorKind, HostEvent, HostResult, LogNews};
use pod_model::ids::{ContainerId, PodRef, PodUid, SandboxId};
use pod_model::runtime::Exit;
use pod_oci::NodeFacts;
use pod_sys::pidfd::{self, Outcome};
use pod_wire::supervisor::{Descriptor, Event, ExitRecord, RequestBody};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{Notify, mpsc};

/// So many supervisors in a row may die over one request.
const ASKED: u32 = 5;

/// The one node that a host works on.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) options: HostOptions,
    /// This daemon, as supervisors know it.
    pub(crate) asker: Arc<Asker>,
    pub(crate) paths: Paths,
    pub(crate) layout: Layout,
    pub(crate) facts: NodeFacts,
    /// Sealed copy of podwright-launch.
    pub(crate) launch: OwnedFd,
    /// Root file system of all pause containers.
    pub(crate) pause_root: PathBuf,
    /// Counts execs, for their names.
    pub(crate) execs: AtomicU64,
    hasten: Hasten,
    pub(crate) events: mpsc::UnboundedSender<HostEvent>,
    /// Sandboxes whose connection has ended; a task looks after each.
    pub(crate) losses: mpsc::UnboundedSender<Loss>,
    /// Told whenever the search for a supervisor has come to its end.
    pub(crate) linked: Notify,
    /// Records that could not be trusted, until somebody asks.
    damaged: Mutex<Vec<(Option<PodRef>, String)>>,
    state: Mutex<State>,
}

/// A sandbox whose connection has ended without having been closed by this side.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) pod: PodUid,
    pub(crate) sandbox: SandboxId,
}

/// Parts of a [`Node`] that are found out when it is opened.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) paths: Paths,
    pub(crate) layout: Layout,
    pub(crate) facts: NodeFacts,
    pub(crate) launch: OwnedFd,
    pub(crate) pause_root: PathBuf,
}

impl Node {
    pub(crate) fn new(
        options: HostOptions,
        found: Found,
        events: mpsc::UnboundedSender<HostEvent>,
        losses: mpsc::UnboundedSender<Loss>,
    ) -> Arc<Self> {
        Arc::new(Self {
            asker: Arc::new(Asker::new(options.generation)),
            options,
            paths: found.paths,
            layout: found.layout,
            facts: found.facts,
            launch: found.launch,
            pause_root: found.pause_root,
            execs: AtomicU64::new(0),
            hasten: Hasten::default(),
            events,
            losses,
            linked: Notify::new(),
            damaged: Mutex::default(),
            state: Mutex::default(),
        })
    }

    /// The state. Never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process is about to be moved into a cgroup: has the kernel begin what it would wait for. In a tokio runtime.
    pub(crate) fn hasten(self: &Arc<Self>) {
        let node = Arc::clone(self);
        // Nobody waits for it.
        tokio::task::spawn_blocking(move || {
            node.hasten.wait(&node.layout, &node.options.cgroup_root)
        });
    }

    /// Writes down that an operation begins.
    pub(crate) fn begin(&self, intent: &Intent) -> HostResult<Begun> {
        let folder = self.paths.intents();
        let written = intents::begin(&folder, intent);
        written.at_path(
            HostErrorKind::Other,
            "operation: noting its begin in",
            &folder,
        )
    }

    /// An operation's next step.
    pub(crate) fn step(&self, kind: HostErrorKind, step: &str) -> HostResult<()> {
        self.options.steps.at(kind, step)
    }

    /// Moves a file away that cannot be trusted; says where it is now.
    pub(crate) fn set_aside(&self, path: &Path) -> String {
        match set_aside(self.paths.run(), path) {
            Ok(kept) => format!("kept as {}", kept.display()),
            Err(e) => format!("it could not be set aside: {e}"),
        }
    }

    /// A record of a pod's sandbox could not be trusted.
    pub(crate) fn note_damage(&self, pod: Option<PodRef>, message: String) {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        damaged.push((pod, message));
    }

    /// What was noted since this was asked last.
    pub(crate) fn take_damaged(&self) -> Vec<(Option<PodRef>, String)> {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut damaged)
    }

    /// Tells the driver; without one nobody needs to know.
    pub(crate) fn tell(&self, event: HostEvent) {
        let _ = self.events.send(event);
    }

    /// The connection to a sandbox's supervisor; where it has just ended, the next one, or its successor's, once that is there.
    ///
    /// # Errors
    /// [`AskError::Lost`]: there is no supervisor, and no such sandbox perhaps. [`AskError::Away`].
    pub(crate) async fn client(
        &self,
        pod: &PodUid,
        sandbox: &SandboxId,
    ) -> Result<Arc<Client>, AskError> {
        loop {
            let mut linked = pin!(self.linked.notified());
            // Counted from here on: what is told between the look and the wait is not missed.
            linked.as_mut().enable();
            match self.state().sandbox(pod, sandbox).map(|s| &s.link) {
                Some(Link::Searching) => {}
                Some(Link::Open(client)) => return Ok(Arc::clone(client)),
                Some(Link::Away(cause)) => return Err(AskError::Away(cause.clone())),
                Some(Link::Gone) | None => return Err(AskError::Lost),
            }
            linked.await;
        }
    }

    /// Asks a sandbox's supervisor, and its successor where it dies over it. For what may be asked twice.
    pub(crate) async fn ask(
        &self,
        pod: &PodUid,
        sandbox: &SandboxId,
        request: RequestBody,
    ) -> Result<Answer, AskError> {
        for _ in 0..ASKED {
            let client = self.client(pod, sandbox).await?;
            match client.ask(request.clone(), Vec::new()).await {
                // Entered as lost already; of one that never answered anything nobody looks for a successor here.
                Err(AskError::Lost) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
        let cause = format!("{ASKED} connections in a row have ended over this request");
        Err(AskError::Away(cause))
    }

    /// What a sandbox's supervisor says unasked comes here.
    pub(crate) fn link(self: &Arc<Self>, pod: &PodUid, sandbox: &SandboxId) -> Listener {
        Listener {
            node: Arc::downgrade(self),
            pod: pod.clone(),
            sandbox: sandbox.clone(),
        }
    }

    /// A container ended, as its supervisor recorded it.
    pub(crate) fn container_ended(&self, pod: &PodUid, record: &ExitRecord) {
        let id = ContainerId::new(record.id.as_str());
        let (config, log) = {
            let state = self.state();
            let Some(container) = state.container(pod, &id) else {
                return;
            };
            if container.has_ended() {
                return;
            }
            (container.config.clone(), container.log.clone())
        };
        if record.dropped_lines > 0 {
            self.log_news(pod, &id, LogNews::Lost(record.dropped_lines));
        }
        let exit = exit::known(&self.paths, pod, &config, &log, record);
        let started_at = record.started_at.as_ref().and_then(|t| t.parse().ok());
        self.enter_end(pod, &id, exit, started_at);
    }

    fn log_news(&self, pod: &PodUid, id: &ContainerId, news: LogNews) {
        let name = self
            .state()
            .container(pod, id)
            .map(|c| c.config.name.clone());
        if let Some(name) = name {
            self.tell(HostEvent::Log {
                pod: pod.clone(),
                name,
                news,
            });
        }
    }

    /// Enters how a container ended, writes it down and tells it.
    pub(crate) fn enter_end(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        exit: Exit,
        started_at: Option<jiff::Timestamp>,
    ) {
        let mut state = self.state();
        let Some(container) = state.container_mut(pod, id) else {
            return;
        };
        if !container.end(exit.clone(), started_at) {
            return;
        }
        let file = EndedFile {
            started_at: container.record.started_at,
            exit: exit.clone(),
        };
        let (path, name) = (container.dir.ended(), container.config.name.clone());
        drop(state);
        // It is read only when a later daemon finds no better record: the supervisor's own is written already.
        let _ = records::save(&path, &file);
        self.tell(HostEvent::ContainerExited {
            pod: pod.clone(),
            id: id.clone(),
            name,
            exit,
        });
    }

    fn pause_ended(&self, pod: &PodUid, sandbox: &SandboxId, record: &ExitRecord) {
        let mut state = self.state();
        let Some(found) = state.sandbox_mut(pod, sandbox) else {
            return;
        };
        let expected = found.ending || !found.ready;
        found.ready = false;
        found.held = None;
        drop(state);
        if !expected {
            self.tell(HostEvent::SandboxLost {
                pod: pod.clone(),
                id: sandbox.clone(),
                cause: format!("its pause process ended with code {}", record.code),
            });
        }
    }

    /// A supervisor is dead: what it watched is killed, since nobody would know of its end, and entered as unknown where nobody knows.
    /// Blocks while things die.
    pub(crate) fn bury(&self, pod: &PodUid, sandbox: &SandboxId, cause: &str) {
        let mut cgroups = Vec::new();
        let mut left = Vec::new();
        {
            let mut state = self.state();
            let Some(found) = state.sandbox_mut(pod, sandbox) else {
                return;
            };
            found.ready = false;
            found.link = Link::Gone;
            found.keep = Keep::default();
            found.held = None;
            cgroups.extend(found.config.cgroup_parent.child(sandbox.as_str()));
            let parent = found.config.cgroup_parent.clone();
            let containers = state.pod(pod).map(|p| p.containers.as_slice());
            for container in containers.unwrap_or_default() {
                if container.config.sandbox == *sandbox {
                    cgroups.extend(parent.child(container.config.id.as_str()));
                    if !container.has_ended() {
                        let handle = container.pidfd.clone();
                        let id = container.config.id.clone();
                        left.push((id, container.pid, handle, container.dir.clone()));
                    }
                }
            }
        }
        // Before the killing: what ended by itself ended as it did.
        let before: Vec<Result<ExitRecord, String>> = left
            .iter()
            .map(|(id, pid, handle, dir)| match exit::recorded(dir) {
                Ok(known) => known
                    .or_else(|| outcome(id, *pid, handle.as_deref()))
                    .ok_or_else(|| cause.to_owned()),
                Err(e) => Err(format!("its exit record cannot be read: {e}")),
            })
            .collect();
        for cgroup in &cgroups {
            // A failure is met again, and told, when the container or the pod is removed.
            let _ = cgroup::remove(&self.layout, &self.options.cgroup_root, cgroup);
        }
        for ((id, _, _, _), record) in left.iter().zip(before) {
            match record {
                Ok(record) => self.container_ended(pod, &record),
                Err(cause) => self.enter_end(pod, id, exit::unknown(&cause), None),
            }
        }
    }
}

fn outcome(id: &ContainerId, pid: i32, handle: Option<&OwnedFd>) -> Option<ExitRecord> {
    match pidfd::outcome(handle?, pid) {
        Ok(Outcome::Exited(status)) => Some(ExitRecord {
            id: id.to_string(),
            code: status.code,
            signal: status.signal,
            unknown: false,
            oom: false,
            started_at: None,
            finished_at: jiff::Timestamp::now().to_string(),
            dropped_lines: 0,
        }),
        _ => None,
    }
}

/// Ties a supervisor's connection to its sandbox.
#[derive(Debug)]
pub(crate) struct Listener {
    node: Weak<Node>,
    pod: PodUid,
    sandbox: SandboxId,
}

impl Notices for Listener {
    fn event(&self, event: Event, fds: Vec<OwnedFd>) {
        let Some(node) = self.node.upgrade() else {
            return;
        };
        match event {
            Event::Made { id, descriptors } => {
                let keep = Keep::new(&descriptors, fds, Descriptor::Process);
                let mut state = node.state();
                if self.sandbox == id.as_str() {
                    if let Some(found) = state.sandbox_mut(&self.pod, &self.sandbox) {
                        found.keep = keep;
                    }
                } else if let Some(found) = state.container_mut(&self.pod, &ContainerId::new(id)) {
                    found.keep(keep);
                }
            }
            Event::Exited(record) if self.sandbox == record.id.as_str() => {
                node.pause_ended(&self.pod, &self.sandbox, &record);
            }
            Event::Exited(record) => node.container_ended(&self.pod, &record),
            Event::Log {
                id,
                cause,
                dropped_lines,
            } => node.log_news(
                &self.pod,
                &ContainerId::new(id),
                match cause {
                    Some(cause) => LogNews::Dropping(cause),
                    None => LogNews::Resumed(dropped_lines),
                },
            ),
            Event::ExecExited { id, exec, code } => {
                let mut state = node.state();
                let container = state.container_mut(&self.pod, &ContainerId::new(id));
                if let Some(waiting) = container.and_then(|c| c.execs.remove(&exec)) {
                    // Who waits may have given up.
                    let _ = waiting.told.send(code);
                }
            }
        }
    }

    fn lost(&self) {
        let Some(node) = self.node.upgrade() else {
            return;
        };
        let loss = Loss {
            pod: self.pod.clone(),
            sandbox: self.sandbox.clone(),
        };
        if let Some(found) = node.state().sandbox_mut(&loss.pod, &loss.sandbox) {
            match (&found.link, found.ending) {
                // It has ended as it was asked to, and all of it is taken away.
                (Link::Gone, true) => {}
                (_, true) => found.link = Link::ending(),
                (_, false) => found.link = Link::Searching,
            }
        }
        let _ = node.losses.send(loss);
    }
}
