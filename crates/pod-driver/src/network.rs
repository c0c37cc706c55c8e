//! What the driver needs of the network.

use pod_model::config::NetworkMode;
use pod_model::ids::SandboxId;
use std::future::Future;
use std::os::fd::OwnedFd;

/// Why a sandbox could not be attached to or taken off the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NetworkError(pub String);

/// The network, as the driver uses it.
pub trait Network: Send + Sync + 'static {
    /// Sets up the sandbox's own namespace (loopback, and whatever the mode has); gives its address, `None` if the mode has none.
    fn attach(
        &self,
        id: &SandboxId,
        mode: NetworkMode,
        namespace: OwnedFd,
    ) -> impl Future<Output = Result<Option<String>, NetworkError>> + Send;

    /// Gives back what `attach` took. May run twice, and when nothing was attached.
    fn detach(
        &self,
        id: &SandboxId,
        mode: NetworkMode,
    ) -> impl Future<Output = Result<(), NetworkError>> + Send;
}
