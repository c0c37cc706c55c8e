//! Processes by descriptor: open, signal, and how they ended, whoever their parent is.

mod kernel;

pub use kernel::{peek_ended_child, send_signal};

use kernel::exit_info;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Exit code; 128+n for signal n.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Status {
    /// From a wait status as `wait(2)` and field 52 of `/proc/PID/stat` have it.
    pub fn from_wait(raw: i32) -> Self {
        match raw & 0x7f {
            0 => Self {
                code: (raw >> 8) & 0xff,
                signal: None,
            },
            signal => Self::from_signal(signal),
        }
    }

    fn from_signal(signal: i32) -> Self {
        Self {
            code: 128 + signal,
            signal: Some(signal),
        }
    }
}

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    Running,
    /// It has ended like this.
    Exited(Status),
    /// It has ended, and the kernel does not say how: somebody else has reaped it, and the kernel is older than 6.15.
    Unknown,
}

/// Opens a pidfd of a process; close-on-exec.
///
/// # Errors
/// `ESRCH` when there is no such process (any more).
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Reaps a child. `None`: it has not ended.
///
/// # Errors
/// `ECHILD` when the process is no child of this one, or has been reaped already.
pub fn wait(pidfd: impl AsFd) -> io::Result<Option<Status>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options)?;
    Ok(
        status.map(|s| match (s.exit_status(), s.terminating_signal()) {
            (Some(code), _) => Status { code, signal: None },
            (None, Some(signal)) => Status::from_signal(signal),
            (None, None) => Status {
                code: 255,
                signal: None,
            },
        }),
    )
}

/// How a process ended, by whichever way is open to the caller: reaping a child; a zombie's `/proc/PID/stat`; `PIDFD_GET_INFO` after
/// somebody else has reaped it (Linux 6.15, on a pidfd opened before). `pid` is the process's pid in the caller's pid namespace.
///
/// # Errors
/// Those of `poll` and `waitid` other than `ECHILD`.
pub fn outcome(pidfd: impl AsFd, pid: i32) -> io::Result<Outcome> {
    match wait(&pidfd) {
        Ok(Some(status)) => return Ok(Outcome::Exited(status)),
        Ok(None) => return Ok(Outcome::Running),
        Err(e) if e.raw_os_error() == Some(libc::ECHILD) => {}
        Err(e) => return Err(e),
    }
    let ended = events(pidfd.as_fd())?;
    if !ended.intersects(PollFlags::IN | PollFlags::HUP) {
        return Ok(Outcome::Running);
    }
    if !ended.contains(PollFlags::HUP) {
        let status = zombie_status(pid);
        // Still a zombie after the read: the pid cannot have been given to another process in between.
        if let Some(status) = status
            && !events(pidfd.as_fd())?.contains(PollFlags::HUP)
        {
            return Ok(Outcome::Exited(status));
        }
    }
    // Between the moment when somebody has begun to reap it and the one when the kernel keeps its status, /proc still shows it.
    let end = Instant::now() + REAPING;
    loop {
        let reaped = !std::path::Path::new(&format!("/proc/{pid}")).exists();
        if let Some(raw) = exit_info(pidfd.as_fd()) {
            return Ok(Outcome::Exited(Status::from_wait(raw)));
        }
        if reaped || Instant::now() > end {
            return Ok(Outcome::Unknown);
        }
        // Its end as a zombie wakes whoever waits for it (Linux 6.9); before, it is looked for.
        let mut gone = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::empty())];
        poll(&mut gone, Some(&LOOK))?;
    }
}

/// How long a process that is being reaped is waited for. It takes microseconds, but who reaps it may have to wait for a processor; and by
/// then its pid may mean another one.
const REAPING: Duration = Duration::from_secs(2);

/// How long is waited between two looks.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// Reaps that child if it has ended, whatever its status.
pub fn reap(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Its status is nobody's business: a process that lost its parent. An error means that it is gone already.
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

fn events(pidfd: BorrowedFd<'_>) -> io::Result<PollFlags> {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default()))?;
    let [fd] = fds;
    Ok(fd.revents())
}

/// Exit status of a zombie: field 52 of its stat line (proc_pid_stat(5)).
fn zombie_status(pid: i32) -> Option<Status> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, may hold anything; the last parenthesis ends it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    if fields.next()? != "Z" {
        return None;
    }
    fields.nth(48)?.parse().ok().map(Status::from_wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn shell(script: &str) -> (std::process::Child, OwnedFd) {
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let fd = open(child.id() as i32).unwrap();
        (child, fd)
    }

    fn block(fd: &OwnedFd) {
        poll(&mut [PollFd::new(fd, PollFlags::IN)], None).unwrap();
    }

    #[test]
    fn a_child_that_exits_or_is_killed_says_so_when_reaped() {
        let cases = [
            ("exit 37", 37, None),
            ("kill -9 $$", 137, Some(9)),
            ("kill -35 $$", 163, Some(35)),
        ];
        for (script, code, signal) in cases {
            let (child, fd) = shell(&format!("read x; {script}"));
            let pid = child.id() as i32;
            assert_eq!(outcome(&fd, pid).unwrap(), Outcome::Running);
            drop(child);
            block(&fd);
            let status = Status { code, signal };
            assert_eq!(
                outcome(&fd, pid).unwrap(),
                Outcome::Exited(status),
                "{script}"
            );
        }
    }

    #[test]
    fn a_zombie_of_somebody_else_and_a_reaped_process_still_tell_their_status() {
        let (child, fd) = shell("read x; exit 5");
        let pid = child.id() as i32;
        drop(child);
        block(&fd);
        assert_eq!(
            zombie_status(pid),
            Some(Status {
                code: 5,
                signal: None
            })
        );
        reap(pid);
        let told = outcome(&fd, pid).unwrap();
        let known = Outcome::Exited(Status {
            code: 5,
            signal: None,
        });
        assert!(told == known || told == Outcome::Unknown, "{told:?}");
        let newest_kernel = exit_info(fd.as_fd()).is_some();
        assert_eq!(told == known, newest_kernel);
        assert_eq!(
            send_signal(&fd, 0).unwrap_err().raw_os_error(),
            Some(libc::ESRCH)
        );
    }
}
