//! Launcher processes: started from the sealed memfd, one an operation.

use crate::identity::Identity;
use pod_sys::pidfd::{self, Outcome};
use pod_sys::process;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a launcher waits for work before it is let go: init containers that end at once follow each other within it, and what
/// is idle for longer holds no memory for the next start.
pub(crate) const AHEAD: Duration = Duration::from_secs(1);

/// One launcher process and our end of its socket.
#[derive(Debug)]
pub(crate) struct Launcher {
    pub(crate) pid: i32,
    /// When it was started, in clock ticks since boot: what it starts is not older.
    pub(crate) start_ticks: u64,
    pub(crate) pidfd: OwnedFd,
    pub(crate) socket: UnixStream,
}

/// Starts launchers.
#[derive(Debug)]
pub(crate) struct Launchers {
    program: OwnedFd,
    /// Whether one waits for a while where more work is likely: it saves an exec on the next create.
    keep_one_ahead: bool,
    ahead: Option<Launcher>,
}

impl Launchers {
    pub(crate) fn new(program: OwnedFd, keep_one_ahead: bool) -> Self {
        Self {
            program,
            keep_one_ahead,
            ahead: None,
        }
    }

    /// The one that waits, or a new one.
    pub(crate) fn take(&mut self) -> io::Result<Launcher> {
        if let Some(launcher) = self.ahead.take()
            && let Ok(Outcome::Running) = pidfd::outcome(&launcher.pidfd, launcher.pid)
        {
            return Ok(launcher);
        }
        // None waited, or it ended while it did, and is reaped now.
        self.start()
    }

    /// Starts the next one if one is to wait ahead; says whether one waits now. A failure is told when one is needed.
    pub(crate) fn prepare(&mut self) -> bool {
        if self.keep_one_ahead && self.ahead.is_none() {
            self.ahead = self.start().ok();
        }
        self.ahead.is_some()
    }

    /// The process of the one that waits.
    pub(crate) fn waiting(&self) -> Option<i32> {
        self.ahead.as_ref().map(|l| l.pid)
    }

    /// Lets the waiting one go; it ends when its socket closes.
    pub(crate) fn let_go(&mut self) {
        self.ahead = None;
    }

    /// Lets the waiting one go, and has none wait any more.
    pub(crate) fn drop_ahead(&mut self) {
        self.keep_one_ahead = false;
        self.let_go();
    }

    fn start(&self) -> io::Result<Launcher> {
        let (ours, theirs) = UnixStream::pair()?;
        let pid = process::spawn(self.program.as_fd(), c"podwright-launch", theirs.as_fd())?;
        // Nothing reaps between these two lines: the pid is still its.
        let pidfd = pidfd::open(pid)?;
        ours.set_nonblocking(true)?;
        Ok(Launcher {
            pid,
            start_ticks: Identity::of(pid).map_or(0, |i| i.start_ticks),
            pidfd,
            socket: ours,
        })
    }
}
