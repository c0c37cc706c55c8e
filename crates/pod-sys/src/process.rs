//! This process and new ones: inherited descriptors, threads, and programs started from a descriptor.

use nix::sys::signal::SigSet;
use rustix::io::{FdFlags, fcntl_setfd};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Number that a started program finds its socket at.
pub const SOCKET_FD: RawFd = 3;

/// Takes over a descriptor that the parent has left open at that number, and makes it close-on-exec.
///
/// To be called at the start of a program only, once a number, before anything of it opens descriptors.
///
/// # Errors
/// `EBADF` when nothing is open there; `InvalidInput` for the standard streams.
pub fn inherited_fd(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: F_GETFD takes no pointer and changes nothing; a number that is not open gives EBADF.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and by the rule above nothing else in this process owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Closes every descriptor from 3 on but those kept. To be called at the start of a program, before anything of it opens descriptors
/// other than those kept.
///
/// # Errors
/// Those of `close_range` (Linux 5.9).
pub fn close_all_but(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut kept: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
        .collect();
    kept.sort_unstable();
    let mut from = 3;
    for number in kept {
        if number > from {
            close_range(from, number - 1, 0)?;
        }
        from = from.max(number + 1);
    }
    close_range(from, u32::MAX, 0)
}

fn close_range(first: u32, last: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: no memory is passed; by the callers' rule nobody owns a descriptor in the range (or it only becomes close-on-exec).
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this process has one thread only.
///
/// # Errors
/// When /proc cannot be read.
pub fn is_single_threaded() -> io::Result<bool> {
    Ok(std::fs::read_dir("/proc/self/task")?.take(2).count() == 1)
}

/// Makes this process the new parent of every descendant that loses its own.
///
/// # Errors
/// Those of `prctl`.
pub fn become_subreaper() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Starts the program in `program` (a descriptor, close-on-exec) with `socket` as its descriptor [`SOCKET_FD`], standard streams at
/// /dev/null, an empty environment, no other descriptor, no blocked signal, and `/` as its folder. Returns its pid.
///
/// # Errors
/// Those of `fork` and `execveat`.
pub fn spawn(program: BorrowedFd<'_>, name: &CStr, socket: BorrowedFd<'_>) -> io::Result<i32> {
    // The program is given by descriptor, not by name: the closure below replaces the process before Command would look a path up.
    let mut command = Command::new("/");
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    // Keeps the child's error pipe of Command off the number that the socket is to have.
    let _place = rustix::io::fcntl_dupfd_cloexec(socket, SOCKET_FD)?;
    let (program, socket, name) = (program.as_raw_fd(), socket.as_raw_fd(), name.to_owned());
    let start = move || exec_with_socket(program, &name, socket);
    // SAFETY: the closure makes only system calls (sigprocmask, fcntl, dup2, close_range, execveat): nothing that a fork could have left locked. The
    // two descriptors are borrowed until spawn has returned, so they are open in the child.
    unsafe { command.pre_exec(start) };
    // Dropping a Child neither kills nor reaps it.
    let child = command.spawn()?;
    i32::try_from(child.id()).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Has `command` start its program as leader of a new session with these descriptors at [`SOCKET_FD`] and the numbers after it, in this
/// order. The program takes them with [`inherited_fd`]. They are never inheritable in this process, so programs that other threads start
/// do not get them.
///
/// # Errors
/// Those of `fcntl`.
pub fn pass_descriptors(command: &mut Command, fds: Vec<OwnedFd>) -> io::Result<()> {
    // Occupies the numbers, so that the child's error pipe of Command is not where a descriptor is to be.
    let mut places = Vec::new();
    for fd in &fds {
        places.push(rustix::io::fcntl_dupfd_cloexec(fd, SOCKET_FD)?);
    }
    let past = SOCKET_FD + RawFd::try_from(fds.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut moved = Vec::new();
    for fd in &fds {
        moved.push(rustix::io::fcntl_dupfd_cloexec(fd, past)?);
    }
    let start = move || {
        let _held = &places;
        for (fd, number) in moved.iter().zip(SOCKET_FD..) {
            // SAFETY: both are plain numbers; what was at the target is a copy of ours or the parent's, and close-on-exec.
            if unsafe { libc::dup2(fd.as_raw_fd(), number) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        SigSet::empty().thread_set_mask()?;
        nix::unistd::setsid()?;
        Ok(())
    };
    // SAFETY: the closure makes only system calls (dup2, sigprocmask, setsid) and allocates nothing: no lock that a fork could have left taken.
    unsafe { command.pre_exec(start) };
    Ok(())
}

/// Puts the socket at its number and becomes the program. Returns only when that failed.
fn exec_with_socket(program: RawFd, name: &CStr, socket: RawFd) -> io::Result<()> {
    // A child inherits what its parent has blocked to read from a signalfd.
    SigSet::empty().thread_set_mask()?;
    let arguments = [name.as_ptr(), std::ptr::null()];
    let environment: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: both descriptors are open in this child (see `spawn`); the arrays end with null and outlive the call, as does `name`.
    unsafe {
        // Out of the way of the number that the socket is to have.
        let program = libc::fcntl(program, libc::F_DUPFD_CLOEXEC, SOCKET_FD + 1);
        if program < 0 {
            return Err(io::Error::last_os_error());
        }
        if socket == SOCKET_FD {
            if libc::fcntl(socket, libc::F_SETFD, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
        } else if libc::dup2(socket, SOCKET_FD) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::syscall(
            libc::SYS_close_range,
            SOCKET_FD + 1,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        libc::syscall(
            libc::SYS_execveat,
            program,
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Err(io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_spawned_program_has_an_empty_environment_and_only_its_socket() {
        // `yes` needs no argument and lives until it is killed.
        let program = File::open("/usr/bin/yes").unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        SigSet::all().thread_block().unwrap();
        let pid = spawn(program.as_fd(), c"first", theirs.as_fd()).unwrap();
        let proc = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
        assert_eq!(proc("environ"), "");
        assert_eq!(proc("cmdline"), "first\0");
        // Signals 1 to 31; glibc's own two real-time ones are ignored in whatever posix_spawn has started, such as this test.
        for line in proc("status").lines() {
            if let Some(("SigBlk" | "SigIgn", mask)) = line.split_once(":\t") {
                let mask = u64::from_str_radix(mask, 16).unwrap();
                assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
            }
        }
        let link = |n: &str| std::fs::read_link(format!("/proc/{pid}/fd/{n}")).unwrap();
        let mut numbers: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        numbers.sort();
        assert_eq!(numbers, ["0", "1", "2", "3"]);
        assert!(
            ["0", "1", "2"]
                .iter()
                .all(|n| link(n) == std::path::Path::new("/dev/null"))
        );
        assert!(link("3").to_string_lossy().starts_with("socket:"));
        drop(ours);
        let fd = crate::pidfd::open(pid).unwrap();
        crate::pidfd::send_signal(&fd, libc::SIGKILL).unwrap();
        let pid = rustix::process::Pid::from_raw(pid);
        rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
    }

    #[test]
    fn a_command_passes_descriptors_at_known_numbers_as_leader_of_its_session() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut read, write) = std::io::pipe().unwrap();
        let mut command = Command::new("sh");
        // Field 6 of stat is the session.
        let script = "exec >&4; cut -d' ' -f6 /proc/$$/stat; ls -l /proc/$$/fd/3";
        command.args(["-c", script]);
        pass_descriptors(&mut command, vec![theirs.into(), write.into()]).unwrap();
        let mut child = command.spawn().unwrap();
        drop((command, ours));
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        let mut lines = text.lines();
        assert_eq!(lines.next().unwrap(), child.id().to_string());
        assert!(lines.next().unwrap().contains("socket:"), "{text}");
    }

    #[test]
    fn a_program_that_cannot_run_is_an_error_of_spawn() {
        let program = File::open("/etc/passwd").unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let error = spawn(program.as_fd(), c"passwd", theirs.as_fd()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EACCES));
        drop(theirs);
        let mut text = Vec::new();
        ours.read_to_end(&mut text).unwrap();
        assert!(text.is_empty(), "the error went to the socket");
    }
}
