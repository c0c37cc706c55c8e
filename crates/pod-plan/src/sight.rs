//! What a decision about a pod's containers looks at, and what it is made of.

use pod_model::config::spec_hash;
use pod_model::container_status::{ProbeResult, ProbeResults};
use pod_model::ids::{ContainerId, ContainerName, SandboxId};
use pod_model::pod::{Container, Pod};
use pod_model::runtime::{ContainerRecord, PodRuntime};
use std::collections::BTreeMap;

/// What has to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodActions {
    /// End everything, the sandbox too.
    pub kill_pod: bool,
    /// Then make a sandbox.
    pub create_sandbox: bool,
    /// Attempt of the sandbox to make, or of the one that is good.
    pub attempt: u32,
    /// The sandbox that is there, unless it is on the wrong network.
    pub sandbox: Option<SandboxId>,
    /// Indexes of init containers to start, in order of the spec.
    pub init_to_start: Vec<usize>,
    /// Indexes of app containers to start.
    pub apps_to_start: Vec<usize>,
    /// Indexes of ephemeral containers to start.
    pub ephemeral_to_start: Vec<usize>,
    /// Containers to end; those that stand in a list above too start again.
    pub to_kill: Vec<Kill>,
    /// Records to remove for a restart of all containers, in this order.
    pub to_reset: Vec<Reset>,
}

/// A container to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Which attempt.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// Why, where that changes its grace.
    pub reason: Option<KillReason>,
    /// What the event says.
    pub message: String,
}

/// Why a container is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KillReason {
    /// Its startup probe failed.
    StartupProbe,
    /// Its liveness probe failed.
    LivenessProbe,
    /// Nobody can tell whether it runs.
    Unknown,
}

/// A record to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Which attempt.
    pub id: ContainerId,
    /// Its name.
    pub name: ContainerName,
    /// It has not ended yet: at once, without grace.
    pub kill: bool,
}

/// The facts of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// What the runtime reports.
    pub runtime: &'a PodRuntime,
    /// What the probes report.
    pub probes: &'a ProbeResults,
}

impl<'a> Sight<'a> {
    pub(crate) fn newest(&self, container: &Container) -> Option<&'a ContainerRecord> {
        self.runtime.newest(&container.name)
    }

    pub(crate) fn failed(
        self,
        which: fn(&ProbeResults) -> &BTreeMap<ContainerName, ProbeResult>,
        container: &Container,
    ) -> bool {
        which(self.probes).get(&container.name) == Some(&ProbeResult::Failure)
    }
}

/// A container to end because nobody can tell whether it runs.
pub(crate) fn unknown(record: &ContainerRecord, message: &str) -> Kill {
    Kill {
        id: record.id.clone(),
        name: record.name.clone(),
        reason: Some(KillReason::Unknown),
        message: message.to_owned(),
    }
}

/// Whether a container was made from another definition than it has now.
pub(crate) fn definition_changed(container: &Container, record: &ContainerRecord) -> bool {
    record
        .hash
        .is_some_and(|h| h != spec_hash(&container.name, &container.image))
}
