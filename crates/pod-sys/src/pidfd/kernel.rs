//! The three calls that no crate wraps safely, or not for real-time signals.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Sends a signal by number, also a real-time one; 0 only checks that the process is there.
///
/// # Errors
/// `ESRCH` when it has ended and been reaped; `EINVAL` for a number that is no signal.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed, so open, for the whole call; a null siginfo is allowed; the kernel writes no memory here.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            fd,
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Pid of the oldest child that has ended and not been reaped; it stays so.
///
/// # Errors
/// Those of `waitid`; having no child is `None`.
pub fn peek_ended_child() -> io::Result<Option<i32>> {
    // SAFETY: siginfo_t is plain data, for which all zeros is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a live siginfo_t that the kernel may write during the call.
    if unsafe { libc::waitid(libc::P_ALL, 0, &mut info, options) } != 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: waitid succeeded, so it filled the fields of a SIGCHLD, or left them 0 when no child has ended.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then_some(pid))
}

/// Wait status of a process that has been reaped. `None`: the kernel does not say (before 6.15).
pub(super) fn exit_info(pidfd: BorrowedFd<'_>) -> Option<i32> {
    // SAFETY: pidfd_info is plain data, for which all zeros is a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the descriptor is open; the request's number holds this struct's size, so the kernel writes no more than it has.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &mut info) };
    let filled = info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0;
    (result == 0 && filled).then_some(info.exit_code)
}
