//! Which process is which, beyond its pid: by /proc.

use crate::verify::parse;
use pod_sys::pidfd;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A process until reboot: the same pid has another start time when it means another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// In clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub(crate) start_ticks: u64,
}

impl Identity {
    /// That of a process that is there, if only as a zombie.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let start_ticks = parse::start_ticks(&stat(pid)?)?;
        Some(Self { pid, start_ticks })
    }

    /// Opens it. `None`: it is gone.
    ///
    /// # Errors
    /// It cannot be looked at now: it is not gone for that.
    pub(crate) fn open(self) -> io::Result<Option<OwnedFd>> {
        let look = || {
            let fd = pidfd::open(self.pid)?;
            // Looked at after the pidfd was opened: what it means was there before this process could have taken over the pid.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
            Ok((parse::start_ticks(&stat) == Some(self.start_ticks)).then_some(fd))
        };
        match look() {
            Err(e) if !(lacks(&e) || Errno::from_io_error(&e) == Some(Errno::IO)) => Ok(None),
            looked => looked,
        }
    }
}

/// Whether this process, or the machine, has no room for one more thing that is open: another time it may have.
pub(crate) fn lacks(error: &io::Error) -> bool {
    let lack = [Errno::MFILE, Errno::NFILE, Errno::NOMEM];
    Errno::from_io_error(error).is_some_and(|e| lack.contains(&e))
}

/// This boot of the machine.
pub(crate) fn boot_id() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

/// The pid that a pidfd stands for. `None`: it is no pidfd, or its process has been reaped.
pub(crate) fn pid_of(pidfd: &OwnedFd) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    parse::pid_of(&text.unwrap_or_default())
}

/// `/proc/PID/stat`.
pub(crate) fn stat(pid: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// Every process that is there.
pub(crate) fn all() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_pid_with_another_start_time_is_another_process() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let own = Identity::of(child.id() as i32).unwrap();
        let fd = own.open().unwrap().unwrap();
        assert_eq!(pid_of(&fd), Some(own.pid));
        let other = Identity {
            start_ticks: own.start_ticks + 1,
            ..own
        };
        assert!(other.open().unwrap().is_none());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(own.open().unwrap().is_none());
        assert_eq!(pid_of(&fd), None);
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
