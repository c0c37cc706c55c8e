//! The terminal of a created container: libcontainer opens it inside and sends its master to a socket by path.

use crate::failure::{AtStep, Failure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

const STEP: &str = "terminal";

/// A socket in the bundle that waits for one terminal.
pub(crate) struct Console {
    path: PathBuf,
    listener: UnixListener,
}

impl Console {
    /// Listens in the bundle.
    pub(crate) fn listen(bundle: &Path) -> Result<Self, Failure> {
        let path = bundle.join("console.sock");
        let listener =
            pod_sys::socket::bind(&path).at(STEP, format!("binding {}", path.display()))?;
        Ok(Self { path, listener })
    }

    /// Where to send it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the terminal that has been sent, and gives its other end to `uid` (libcontainer leaves it to root).
    pub(crate) fn receive(self, uid: u32) -> Result<OwnedFd, Failure> {
        let soon = Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        let ready = poll(
            &mut [PollFd::new(&self.listener, PollFlags::IN)],
            Some(&soon),
        )
        .at(STEP, "waiting for it")?;
        if ready == 0 {
            return Err(Failure::new(STEP, "none was sent"));
        }
        let (socket, _) = self.listener.accept().at(STEP, "accepting it")?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0_u8; 64];
        recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut text)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
        .at(STEP, "receiving it")?;
        let master = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let master = master.ok_or_else(|| Failure::new(STEP, "no descriptor was sent"))?;
        crate::terminal::give_to(&master, uid)?;
        Ok(master)
    }
}

impl Drop for Console {
    #[expect(
        clippy::disallowed_methods,
        reason = "the socket lies in the bundle, which no container sees"
    )]
    fn drop(&mut self) {
        // What is left over is removed with the bundle.
        let _ = std::fs::remove_file(&self.path);
    }
}
