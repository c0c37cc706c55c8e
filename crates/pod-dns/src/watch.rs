//! The zone file: read at the start and whenever a new one takes its place; its removal is the server's end.

use crate::zone::{FILE, Zone};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The folder of a zone file, watched. It is held open, so that it is read also by a process that may not look into the folders above it.
#[derive(Debug)]
pub struct Watch {
    folder: OwnedFd,
    changes: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Watches a folder. In a tokio runtime.
    ///
    /// # Errors
    /// Those of opening and watching it.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let what = WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::DELETE_SELF;
        inotify::add_watch(&changes, folder, what | WatchFlags::ONLYDIR)?;
        Ok(Self {
            folder: pod_sys::mount::folder(folder)?,
            changes: registered(changes)?,
        })
    }

    /// The zone as it is now; `None` once the file is gone.
    ///
    /// # Errors
    /// When it cannot be read, or does not hold a zone.
    pub fn read(&self) -> io::Result<Option<Zone>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match openat(&self.folder, FILE, flags, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let mut text = Vec::new();
        File::from(file).read_to_end(&mut text)?;
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// Waits until something has changed in the folder since the last call.
    ///
    /// # Errors
    /// When watching breaks.
    pub async fn changed(&self) -> io::Result<()> {
        let mut ready = self.changes.readable().await?;
        let mut space = [0_u8; 4096];
        loop {
            match rustix::io::read(self.changes.get_ref(), &mut space) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    ready.clear_ready();
                    return Ok(());
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "unsound only for types whose descriptor changes or closes early; an OwnedFd does neither, and what replaces it is unsafe"
)]
fn registered(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
