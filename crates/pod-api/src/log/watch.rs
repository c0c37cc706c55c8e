//! Tells when something in a folder of logs has changed: inotify, so nothing polls.

use crate::fd::owned;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// A watch on one folder.
#[derive(Debug)]
pub(super) struct FolderWatch(AsyncFd<OwnedFd>);

impl FolderWatch {
    /// From now on. `None` while the folder does not exist.
    pub(super) fn new(folder: &Path) -> io::Result<Option<Self>> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let what = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
        match inotify::add_watch(&fd, folder, what | WatchFlags::ONLYDIR) {
            Ok(_) => Ok(Some(Self(owned(fd)?))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Waits for the next change, and takes all that are there.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        let mut space = [0_u8; 4096];
        loop {
            match rustix::io::read(self.0.get_ref(), &mut space) {
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    ready.clear_ready();
                    return Ok(());
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}
