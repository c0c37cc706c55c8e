//! The sandboxes of a node as a network sees them, so that it finds its part of them again after a restart.

use crate::host::NodeHost;
use pod_model::config::NetworkMode;
use pod_model::ids::{PodUid, SandboxId};
use std::os::fd::OwnedFd;

/// A sandbox and its network namespace.
#[derive(Debug)]
pub struct SandboxNetwork {
    /// Whose.
    pub pod: PodUid,
    /// Which.
    pub id: SandboxId,
    /// What it was made with.
    pub mode: NetworkMode,
    /// The address that was noted for it.
    pub address: Option<String>,
    /// Its namespace; `None` when nothing of it runs.
    pub namespace: Option<OwnedFd>,
}

impl NodeHost {
    /// Every sandbox that is known, also those that have ended and are not removed yet.
    pub fn networks(&self) -> Vec<SandboxNetwork> {
        let state = self.node().state();
        let sandboxes = state.pods().flat_map(|(_, pod)| &pod.sandboxes);
        sandboxes
            .map(|s| SandboxNetwork {
                pod: s.config.pod.uid.clone(),
                id: s.config.id.clone(),
                mode: s.config.network,
                address: s.ip.clone(),
                namespace: s.held.as_ref().and_then(|h| h.net.try_clone().ok()),
            })
            .collect()
    }
}
