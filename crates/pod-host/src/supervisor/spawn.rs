//! Starting a supervisor: a session and a life of its own; it outlives the node daemon.

use pod_sys::process;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};

/// File in a sandbox's folder for what a supervisor says before its protocol is up.
pub(crate) const LAST_WORDS: &str = "supervisor.err";

/// One at a time: between the two lines that make descriptors inheritable and close them again, no other child may be started with them.
static STARTING: Mutex<()> = Mutex::new(());

/// A supervisor that runs.
#[derive(Debug)]
pub(crate) struct Started {
    /// The first connection to it.
    pub(crate) socket: UnixStream,
    /// To be left to itself, or ended: see there.
    pub(crate) child: Running,
}

/// The process of a supervisor. (Not one of tokio's: where that cannot watch a process it has started, it gives an error, and nobody knows
/// the process.)
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Has it reaped whenever it ends; how it ended says nothing. In a tokio runtime.
    pub(crate) fn leave(mut self) {
        match signal(SignalKind::child()) {
            Ok(mut children) => {
                tokio::spawn(async move {
                    // Listened for from before the first look on; `None`: the runtime ends.
                    while let Ok(None) = self.0.try_wait() {
                        if children.recv().await.is_none() {
                            break;
                        }
                    }
                });
            }
            // A thread waits. Without that too it is reaped by whoever reaps after this daemon.
            Err(_) => {
                let waits = std::thread::Builder::new().name("reaper".to_owned());
                let _ = waits.spawn(move || self.0.wait());
            }
        }
    }

    /// Ends it: it does not speak with us, and nobody else would know of it. It may be killed at any moment. `true`: it had ended itself,
    /// and has touched nothing, since it could not look at what it was to adopt.
    pub(crate) fn end(mut self) -> bool {
        let _ = self.0.kill();
        let ended = self.0.wait();
        ended.is_ok_and(|status| status.code() == Some(pod_wire::NOT_NOW))
    }
}

/// Starts a supervisor for the sandbox in `dir`, with an empty environment and nothing open but the two descriptors that it is given.
pub(crate) fn start(
    program: &Path,
    dir: &Path,
    launch: BorrowedFd<'_>,
    launcher_ahead: bool,
) -> io::Result<Started> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = command(program, dir, launcher_ahead)?;
    let guard = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let launch = inheritable(launch)?;
    let theirs = inheritable(theirs.as_fd())?;
    command
        .arg("--launch-fd")
        .arg(launch.as_raw_fd().to_string());
    command.arg("--node-fd").arg(theirs.as_raw_fd().to_string());
    let child = Running(command.spawn()?);
    drop((launch, theirs));
    drop(guard);
    Ok(Started {
        socket: ours,
        child,
    })
}

/// Starts a successor of a supervisor that is dead, in the same folder. `held`: what it gets of the predecessor's processes, by name.
pub(crate) fn succeed(
    program: &Path,
    dir: &Path,
    launch: BorrowedFd<'_>,
    launcher_ahead: bool,
    held: Vec<(String, OwnedFd)>,
) -> io::Result<Started> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = command(program, dir, launcher_ahead)?;
    command
        .arg("--adopt")
        .arg("--launch-fd")
        .arg(process::SOCKET_FD.to_string())
        .arg("--node-fd")
        .arg((process::SOCKET_FD + 1).to_string());
    let mut fds = vec![launch.try_clone_to_owned()?, theirs.into()];
    for (name, fd) in held {
        command.arg("--held").arg(name);
        fds.push(fd);
    }
    process::pass_descriptors(&mut command, fds)?;
    let child = Running(command.spawn()?);
    Ok(Started {
        socket: ours,
        child,
    })
}

/// What every start has in common. A supervisor makes a session of its own, so that Ctrl-C is not for it.
fn command(program: &Path, dir: &Path, launcher_ahead: bool) -> io::Result<Command> {
    let mut command = Command::new(program);
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(last_words(dir)?)
        .current_dir("/")
        .arg("--dir")
        .arg(dir);
    if launcher_ahead {
        command.arg("--launcher-ahead");
    }
    Ok(command)
}

/// Where it says why it could not begin.
fn last_words(dir: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(dir.join(LAST_WORDS))
}

fn inheritable(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let copy = fcntl_dupfd_cloexec(fd, 3)?;
    fcntl_setfd(&copy, FdFlags::empty())?;
    Ok(copy)
}
