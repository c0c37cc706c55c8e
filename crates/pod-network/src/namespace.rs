//! Work in another network namespace, and speaking rtnetlink: always in a thread of its own, so that no other work ever runs in there.

use crate::error::NetworkError;
use nix::sched::{CloneFlags, setns};
use rtnetlink::Handle;
use std::future::Future;
use std::os::fd::BorrowedFd;

/// Does work in a thread of its own, which ends with it.
pub(crate) fn in_thread<T: Send>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send,
) -> Result<T, NetworkError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work)
            .map_err(NetworkError::Thread)?;
        thread.join().unwrap_or(Err(NetworkError::Died))
    })
}

/// Moves the calling thread into a network namespace, for good.
pub(crate) fn enter(namespace: BorrowedFd<'_>) -> Result<(), NetworkError> {
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|e| NetworkError::Enter(e.into()))
}

/// A runtime for one conversation with the kernel.
pub(crate) fn block_on<T>(
    work: impl Future<Output = Result<T, NetworkError>>,
) -> Result<T, NetworkError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(NetworkError::Speak)?;
    runtime.block_on(work)
}

/// A conversation with the kernel about the network namespace that the calling thread is in now. In a tokio runtime.
pub(crate) fn speak() -> Result<Handle, NetworkError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(NetworkError::Speak)?;
    tokio::spawn(connection);
    Ok(handle)
}
