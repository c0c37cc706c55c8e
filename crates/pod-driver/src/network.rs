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
    /// What a sandbox with a namespace of its own gets, and the address that it will have (`None` if the mode has none): kept for it
    /// until [`Network::detach`], and given before [`Network::attach`], for it stands in files that are made first. May run twice.
    fn reserve(
        &self,
        _id: &SandboxId,
    ) -> impl Future<Output = Result<(NetworkMode, Option<String>), NetworkError>> + Send {
        std::future::ready(Ok((NetworkMode::None, None)))
    }

    /// Sets up the sandbox's own namespace (loopback, and whatever the mode has); gives its address, `None` if the mode has none.
    fn attach(
        &self,
        id: &SandboxId,
        mode: NetworkMode,
        namespace: OwnedFd,
    ) -> impl Future<Output = Result<Option<String>, NetworkError>> + Send;

    /// Gives back what `reserve` and `attach` took. May run twice, and when nothing was attached.
    fn detach(&self, id: &SandboxId) -> impl Future<Output = Result<(), NetworkError>> + Send;
}
