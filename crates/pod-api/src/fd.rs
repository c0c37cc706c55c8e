//! A pipe's or terminal's end for async reading and writing.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::unix::AsyncFd;

/// The end; may be read and written by different tasks at once.
#[derive(Debug)]
pub struct AsyncStream(AsyncFd<OwnedFd>);

impl AsyncStream {
    /// Makes it non-blocking. Not for regular files: they are always ready.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = fcntl_getfl(&fd)?;
        fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        Ok(Self(owned(fd)?))
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        self.0.get_ref()
    }

    /// Reads what is there, waits if nothing is; 0 = the end.
    pub async fn read(&self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(self.0.get_ref(), &mut *out) {
                Ok(n) => return Ok(n),
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Writes all of it, waiting for room.
    pub async fn write_all(&self, data: &[u8]) -> io::Result<()> {
        let mut rest = data;
        while !rest.is_empty() {
            let mut ready = self.0.writable().await?;
            match rustix::io::write(self.0.get_ref(), rest) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

/// Registers a descriptor with the runtime.
#[expect(
    deprecated,
    reason = "unsound only for types whose descriptor changes or closes early; an OwnedFd does neither, and what replaces it is unsafe"
)]
pub(crate) fn owned(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(fd)
}
