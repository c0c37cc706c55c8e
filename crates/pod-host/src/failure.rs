//! Errors of this crate: thing, step and cause in one sentence, with the kind that the driver acts on.

use pod_driver::host::{HostError, HostErrorKind};
use pod_model::ids::{ContainerId, SandboxId};
use std::fmt::Display;
use std::path::Path;

/// Puts words before a cause.
pub(crate) trait At<T> {
    /// `what` (thing and step), then the cause.
    fn at(self, kind: HostErrorKind, what: impl Display) -> Result<T, HostError>;

    /// Likewise, with the path that it was about.
    fn at_path(self, kind: HostErrorKind, what: &str, path: &Path) -> Result<T, HostError>;
}

impl<T, E: Display> At<T> for Result<T, E> {
    fn at(self, kind: HostErrorKind, what: impl Display) -> Result<T, HostError> {
        self.map_err(|e| HostError::new(kind, format!("{what}: {e}")))
    }

    fn at_path(self, kind: HostErrorKind, what: &str, path: &Path) -> Result<T, HostError> {
        self.map_err(|e| HostError::new(kind, format!("{what} {}: {e}", path.display())))
    }
}

/// Runs work that blocks on a thread made for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HostError> {
    tokio::task::spawn_blocking(work)
        .await
        .at(HostErrorKind::Other, "work on the node was broken off")
}

/// There is no sandbox of that id.
pub(crate) fn no_sandbox(id: &SandboxId) -> HostError {
    HostError::new(HostErrorKind::NotFound, format!("there is no sandbox {id}"))
}

/// There is no container of that id.
pub(crate) fn no_container(id: &ContainerId) -> HostError {
    HostError::new(
        HostErrorKind::NotFound,
        format!("there is no container {id}"),
    )
}
