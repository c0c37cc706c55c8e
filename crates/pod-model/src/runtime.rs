//! What the runtime half reports: facts about sandboxes and containers, as CRI has them. No word of plans.

use crate::ids::{ContainerId, ContainerName, ImageId, SandboxId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything that the runtime knows of one pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodRuntime {
    /// Newest first.
    pub sandboxes: Vec<Sandbox>,
    /// The newest attempt of a name comes before its older ones.
    pub containers: Vec<ContainerRecord>,
}

impl PodRuntime {
    /// The newest record of that container.
    pub fn newest(&self, name: &ContainerName) -> Option<&ContainerRecord> {
        self.containers.iter().find(|c| c.name == *name)
    }
}

/// One sandbox: the namespaces of a pod and the pause process that holds them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its generated name.
    pub id: SandboxId,
    /// Whether its pause process lives.
    pub ready: bool,
    /// The n-th sandbox of its pod, from 0.
    pub attempt: u32,
    /// `None`: no network status at all, so an address is not missing. `Some("")`: the runtime reports no address.
    pub ip: Option<String>,
    /// Whose network namespace it uses.
    pub network: NamespaceMode,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// Whose namespace a sandbox or container uses (CRI `NamespaceMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceMode {
    /// One for the whole pod.
    Pod,
    /// One for each container.
    Container,
    /// The node's.
    Node,
}

/// State of one attempt of a container (CRI `ContainerState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// Made, its process waits for start.
    Created,
    /// Started.
    Running,
    /// Ended; `exit` says how.
    Exited,
    /// The runtime cannot tell.
    Unknown,
}

/// One attempt of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Its generated name.
    pub id: ContainerId,
    /// Its name in the pod.
    pub name: ContainerName,
    /// Which sandbox it belongs to.
    pub sandbox: SandboxId,
    /// State now.
    pub state: RunState,
    /// The n-th start of this container, from 0 (`restartCount`).
    pub attempt: u32,
    /// Hash of what it was made from ([`crate::config::spec_hash`]); `None` where it does not matter.
    pub hash: Option<u32>,
    /// Image as the user wrote it.
    pub image: String,
    /// What that name stood for.
    pub image_id: ImageId,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its process was started.
    pub started_at: Option<Timestamp>,
    /// How it ended; `Some` if and only if `state` is `Exited`.
    pub exit: Option<Exit>,
    /// The ids of its first process.
    pub user: Option<crate::status::LinuxUser>,
    /// What the node could not give it and gave less of (`oom_score_adj -998: clamped to 0`).
    pub clamped: Vec<String>,
}

impl ContainerRecord {
    /// Its exit code; 0 while it has none.
    pub fn exit_code(&self) -> i32 {
        self.exit.as_ref().map_or(0, |e| e.code)
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The process's own code; 128+n for signal n; 255 where nobody can know (`ContainerStatusUnknown`).
    pub code: i32,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    pub reason: String,
    /// Termination message (file, or end of the log), or the cause of a start error.
    pub message: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
