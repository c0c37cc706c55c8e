//! What a process does between fork and exec.

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use rustix::process::Pid;
use std::io;

/// Who is running after a fork.
#[derive(Clone, Copy, Debug)]
pub enum Forked {
    /// The process that called, with its child's pid.
    Parent(Pid),
    /// The child.
    Child,
}

/// Marks every descriptor from `first` on as closed by the next exec.
///
/// # Errors
/// Those of `close_range`.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: takes no pointer and closes nothing now; every descriptor keeps its owner until the exec ends them all.
    match unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this process has one thread only. Needs no /proc: for a process between two mount namespaces.
fn is_single_threaded() -> bool {
    // Asking to stop sharing with other threads of the process does nothing where there are none, and is refused where there are.
    unshare(CloneFlags::CLONE_THREAD).is_ok()
}

/// Forks a process that has one thread.
///
/// # Errors
/// Those of `fork`; `Unsupported` in a process with several threads, whose locks the child might find taken for ever.
pub fn fork() -> io::Result<Forked> {
    if !is_single_threaded() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "fork in a process with several threads",
        ));
    }
    // SAFETY: the process has one thread, this one, so that no lock and no allocator state is held by another at this moment.
    match unsafe { nix::unistd::fork()? } {
        nix::unistd::ForkResult::Parent { child } => match Pid::from_raw(child.as_raw()) {
            Some(child) => Ok(Forked::Parent(child)),
            None => Err(io::Error::other("fork gave no pid")),
        },
        nix::unistd::ForkResult::Child => Ok(Forked::Child),
    }
}

/// Gives every signal its default disposition and blocks none, as a program may expect that was started by init.
///
/// # Errors
/// Those of `sigprocmask`.
pub fn reset_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the default disposition runs no code of this program. Signals whose disposition cannot be set are refused.
        let _ = unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(SigSet::empty().thread_set_mask()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_told_from_one_without_and_may_not_fork() {
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        assert!(!is_single_threaded());
        assert_eq!(fork().unwrap_err().kind(), io::ErrorKind::Unsupported);
        drop(end);
        assert!(other.join().unwrap().is_err());
    }
}
