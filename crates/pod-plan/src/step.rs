//! What a plan is made of: verbs for the driver.

use crate::back_off::Next;
use crate::sizes::Resource;
use pod_model::config::PodCgroup;
use pod_model::ids::{ContainerId, ContainerName, SandboxId};
use pod_model::pod::ContainerKind;
use serde::{Deserialize, Serialize};

/// One verb for the driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Make the pod-level cgroup and the pod's data folders.
    EnsurePod,
    /// Make all volumes of the pod.
    PrepareVolumes,
    /// Make a sandbox with a new id, attach it to the network and note its address.
    RunSandbox {
        /// The n-th sandbox of the pod, from 0.
        attempt: u32,
    },
    /// Ensure the container's image as its pull policy asks, then make and start the container with a new id.
    StartContainer {
        /// Which list of the spec it stands in.
        kind: ContainerKind,
        /// Where in that list.
        index: usize,
        /// Its name, for messages.
        name: ContainerName,
        /// The ready sandbox it belongs in.
        sandbox: SandboxId,
        /// The n-th start of this container, from 0 (`restartCount`).
        attempt: u32,
        /// What this start does to the back-off table; the memory enters it when it is told of the end.
        back_off: Option<Next>,
    },
    /// Write these values to the pod's own cgroup; no other file of it. Memory that is in use is never taken away: then it fails.
    ResizePod {
        /// Which resource they are of.
        what: Resource,
        /// What to write; -1 = no limit.
        values: PodCgroup,
    },
    /// Write what was granted to a running container's cgroup; with memory likewise.
    ResizeContainer {
        /// Which attempt.
        id: ContainerId,
        /// Its name.
        name: ContainerName,
        /// Which list of the spec it stands in.
        kind: ContainerKind,
        /// Where in that list.
        index: usize,
        /// Which resource.
        what: Resource,
    },
    /// Begin the preStop hook of a container that is to end; [`crate::memory::Memory::hook_ended`] is told of its end.
    PreStop {
        /// Which attempt.
        id: ContainerId,
        /// Its name.
        name: ContainerName,
        /// Which list of the spec it stands in.
        kind: ContainerKind,
        /// Where in that list.
        index: usize,
    },
    /// Ask a container to end; its end comes as an exit.
    StopContainer {
        /// Which attempt.
        id: ContainerId,
        /// Its name.
        name: ContainerName,
        /// From the stop signal to SIGKILL, in milliseconds; 0 = SIGKILL at once, and no preStop hook.
        grace_ms: u64,
        /// What the event says (`Stopping container x`, or the reason of the kill).
        message: String,
    },
    /// Forget an ended attempt of a container.
    RemoveContainer {
        /// Which attempt.
        id: ContainerId,
        /// Its name.
        name: ContainerName,
        /// Its log files too.
        logs: bool,
    },
    /// End a sandbox and take it off the network. Nothing of its containers runs any more when this is planned, unless its pause process died.
    StopSandbox {
        /// Which one.
        id: SandboxId,
    },
    /// Forget a stopped sandbox that no container record needs.
    RemoveSandbox {
        /// Which one.
        id: SandboxId,
    },
    /// Remove everything of the pod, volumes and logs too, then forget it: the last step of a deleted pod.
    RemovePod,
}

impl Step {
    /// A short name of the step that is the same each time it is planned for the same thing.
    pub fn label(&self) -> String {
        match self {
            Step::EnsurePod => "ensure pod".to_owned(),
            Step::PrepareVolumes => "prepare volumes".to_owned(),
            Step::RunSandbox { attempt } => format!("run sandbox {attempt}"),
            Step::StartContainer { name, attempt, .. } => format!("start {name} {attempt}"),
            Step::ResizePod { what, .. } => format!("resize pod's {what}"),
            Step::ResizeContainer { name, what, .. } => format!("resize {what} of {name}"),
            Step::PreStop { id, .. } => format!("pre-stop hook of {id}"),
            Step::StopContainer { id, .. } => format!("stop {id}"),
            Step::RemoveContainer { id, .. } => format!("remove {id}"),
            Step::StopSandbox { id } => format!("stop sandbox {id}"),
            Step::RemoveSandbox { id } => format!("remove sandbox {id}"),
            Step::RemovePod => "remove pod".to_owned(),
        }
    }
}
