//! All that is known of the node's pods now, in memory: what [`observe`](pod_driver::host::Host::observe) answers from.
//!
//! Verbs and supervisors' events change it under one lock, held for no longer than that; no lock is held while anything is waited for.

use crate::paths::{ContainerDir, SandboxDir};
use crate::supervisor::{Client, Keep, called};
use jiff::Timestamp;
use pod_model::config::{ContainerConfig, NetworkMode, SandboxConfig};
use pod_model::ids::{CgroupPath, ContainerId, PodRef, PodUid, SandboxId};
use pod_model::runtime::{ContainerRecord, Exit, NamespaceMode, PodRuntime, RunState, Sandbox};
use pod_wire::supervisor::Descriptor;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct State {
    pods: BTreeMap<PodUid, PodState>,
}

/// A pod of which there is something, and its cgroup.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) pod: PodRef,
    pub(crate) cgroup: CgroupPath,
}

/// One pod.
#[derive(Debug, Default)]
pub(crate) struct PodState {
    /// Known once anything was made of it.
    pub(crate) whole: Option<Whole>,
    /// Newest first.
    pub(crate) sandboxes: Vec<SandboxState>,
    /// Newest first.
    pub(crate) containers: Vec<ContainerState>,
    /// Removals that are still at work.
    pub(crate) cleanups: Vec<JoinHandle<()>>,
    /// Sandboxes that did not come to be and could not be taken away: tried again with the pod's end.
    pub(crate) half: Vec<SandboxId>,
}

/// One sandbox.
#[derive(Debug)]
pub(crate) struct SandboxState {
    pub(crate) config: SandboxConfig,
    pub(crate) created_at: Timestamp,
    pub(crate) dir: SandboxDir,
    /// Whether its pause process runs.
    pub(crate) ready: bool,
    pub(crate) ip: Option<String>,
    pub(crate) link: Link,
    /// Held by who looks for its supervisor: two who put successors there would end each other's.
    pub(crate) search: Arc<tokio::sync::Mutex<()>>,
    /// Since when its supervisor serves us, where it was found again.
    pub(crate) linked_at: Option<Instant>,
    /// Of its pause process, for a successor of its supervisor.
    pub(crate) keep: Keep,
    pub(crate) held: Option<Arc<Held>>,
    /// Its end was asked for: that its supervisor goes is no loss.
    pub(crate) ending: bool,
}

/// The way to a sandbox's supervisor.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    /// There is no supervisor.
    Gone,
    /// It serves us.
    Open(Arc<Client>),
    /// The connection has ended, and it, or a successor, is being looked for: whoever needs one waits.
    Searching,
    /// It lives and cannot be spoken with, for this reason; it is looked for on and on.
    Away(String),
}

impl Link {
    /// Of a sandbox whose end was asked for: whoever ends it looks for its supervisor anew.
    pub(crate) fn ending() -> Self {
        Self::Away("its end was asked for".to_owned())
    }
}

/// Namespaces of a running pause process. Held open, they mean these and no others, whatever becomes of its pid.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) net: OwnedFd,
    pub(crate) ipc: OwnedFd,
    pub(crate) uts: OwnedFd,
    pub(crate) pid: OwnedFd,
}

impl Held {
    /// Opens the namespaces of a process that lives when they are open.
    pub(crate) fn open(pid: i32, handle: &OwnedFd) -> io::Result<Self> {
        let open = |kind: &str| -> io::Result<OwnedFd> {
            Ok(fs::File::open(format!("/proc/{pid}/ns/{kind}"))?.into())
        };
        let held = Self {
            net: open("net")?,
            ipc: open("ipc")?,
            uts: open("uts")?,
            pid: open("pid")?,
        };
        // Still there: so the pid meant it all the time.
        pod_sys::pidfd::send_signal(handle, 0)?;
        Ok(held)
    }
}

/// One container.
#[derive(Debug)]
pub(crate) struct ContainerState {
    pub(crate) config: ContainerConfig,
    pub(crate) record: ContainerRecord,
    pub(crate) dir: ContainerDir,
    pub(crate) log: PathBuf,
    pub(crate) stop_signal: i32,
    pub(crate) pid: i32,
    /// Tells how it ended if its supervisor no longer can.
    pub(crate) pidfd: Option<Arc<OwnedFd>>,
    /// The rest of what a successor of its supervisor needs.
    pub(crate) keep: Keep,
    /// Its start has been asked for and not been answered: who asked finds out what became of it.
    pub(crate) starting: bool,
    /// Who waits for the end of an exec'd process, by the exec's name.
    pub(crate) execs: BTreeMap<String, Waiting>,
}

/// Who waits for the end of an exec'd process, and what a successor of its supervisor needs of it.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) told: oneshot::Sender<i32>,
    pub(crate) keep: Keep,
}

impl State {
    pub(crate) fn pod(&self, uid: &PodUid) -> Option<&PodState> {
        self.pods.get(uid)
    }

    /// The pod, made if it was not known.
    pub(crate) fn enter(&mut self, uid: &PodUid) -> &mut PodState {
        self.pods.entry(uid.clone()).or_default()
    }

    pub(crate) fn forget_pod(&mut self, uid: &PodUid) -> Option<PodState> {
        self.pods.remove(uid)
    }

    pub(crate) fn pods(&self) -> impl Iterator<Item = (&PodUid, &PodState)> {
        self.pods.iter()
    }

    pub(crate) fn sandbox(&self, uid: &PodUid, id: &SandboxId) -> Option<&SandboxState> {
        let pod = self.pods.get(uid)?;
        pod.sandboxes.iter().find(|s| s.config.id == *id)
    }

    pub(crate) fn sandbox_mut(
        &mut self,
        uid: &PodUid,
        id: &SandboxId,
    ) -> Option<&mut SandboxState> {
        let pod = self.pods.get_mut(uid)?;
        pod.sandboxes.iter_mut().find(|s| s.config.id == *id)
    }

    pub(crate) fn container(&self, uid: &PodUid, id: &ContainerId) -> Option<&ContainerState> {
        let pod = self.pods.get(uid)?;
        pod.containers.iter().find(|c| c.config.id == *id)
    }

    pub(crate) fn container_mut(
        &mut self,
        uid: &PodUid,
        id: &ContainerId,
    ) -> Option<&mut ContainerState> {
        let pod = self.pods.get_mut(uid)?;
        pod.containers.iter_mut().find(|c| c.config.id == *id)
    }
}

impl PodState {
    pub(crate) fn runtime(&self) -> PodRuntime {
        PodRuntime {
            sandboxes: self.sandboxes.iter().map(SandboxState::fact).collect(),
            containers: self.containers.iter().map(|c| c.record.clone()).collect(),
        }
    }
}

impl SandboxState {
    fn fact(&self) -> Sandbox {
        Sandbox {
            id: self.config.id.clone(),
            ready: self.ready,
            attempt: self.config.attempt,
            ip: self.ip.clone(),
            network: match self.config.network {
                NetworkMode::Host => NamespaceMode::Node,
                _ => NamespaceMode::Pod,
            },
            created_at: Some(self.created_at),
        }
    }
}

impl ContainerState {
    /// Copies of what a successor of its supervisor needs.
    ///
    /// # Errors
    /// Those of [`Keep::copies`].
    pub(crate) fn kept(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let id = self.config.id.as_str();
        let mut all = self.keep.copies(id)?;
        if let Some(pidfd) = &self.pidfd {
            all.push((called(id, Descriptor::Process), pidfd.try_clone()?));
        }
        for (name, waiting) in &self.execs {
            all.extend(waiting.keep.copies(&format!("{id}/{name}"))?);
        }
        Ok(all)
    }

    /// Enters what came with the answer to its start.
    pub(crate) fn keep(&mut self, mut keep: Keep) {
        if !self.has_ended() {
            self.pidfd = keep.take(Descriptor::Process).map(Arc::new);
            self.keep = keep;
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.record.state == RunState::Exited
    }

    /// Enters its end, once. `false`: it had one.
    pub(crate) fn end(&mut self, exit: Exit, started_at: Option<Timestamp>) -> bool {
        if self.has_ended() {
            return false;
        }
        self.record.state = RunState::Exited;
        self.record.started_at = self.record.started_at.or(started_at);
        self.record.exit = Some(exit);
        self.pidfd = None;
        self.keep = Keep::default();
        // Who waits for an exec in it is told by the channel's end that nobody will know.
        self.execs.clear();
        true
    }

    /// Enters that it was started; its end may have come before.
    pub(crate) fn started(&mut self, started_at: Option<Timestamp>) {
        self.record.started_at = self.record.started_at.or(started_at);
        if !self.has_ended() {
            self.record.state = RunState::Running;
        }
    }
}
