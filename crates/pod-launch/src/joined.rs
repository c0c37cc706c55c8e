//! A process in a container's namespaces, on its way to become a program there: it takes on what the container may do, in the order
//! in which libcontainer does that for the init, and says through a pipe what it could not.

use crate::failure::{AtStep, Failure};
use crate::identity::Handles;
use crate::panics;
use crate::program::Program;
use libcontainer::oci_spec::runtime::{Process, Spec};
use libcontainer::syscall::Syscall;
use libcontainer::syscall::syscall::create_syscall;
use libcontainer::{capabilities, seccomp};
use nix::unistd::{Gid, Uid, setgroups, setsid};
use pod_sys::weakened;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{chdir, getcwd, ioctl_tiocsctty, umask};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

const STEP: &str = "exec";

/// What was opened before the container was joined.
pub(crate) struct Child {
    /// The files by which it joins every cgroup that it must be in.
    pub(crate) cgroups: Vec<File>,
    /// Its standard streams.
    pub(crate) streams: Streams,
    /// What it becomes.
    pub(crate) program: Program,
    /// The node's procfs, and the namespaces that it must be in.
    pub(crate) handles: Handles,
    /// Where it says what failed; closed by the exec.
    pub(crate) error: File,
}

/// Standard streams of a process.
pub(crate) enum Streams {
    /// Three descriptors.
    Given([OwnedFd; 3]),
    /// A terminal that becomes its controlling one.
    Terminal(OwnedFd),
}

/// Becomes the program, or ends with the reason in the pipe.
pub(crate) fn become_process(child: &Child, process: &Process, spec: &Spec) -> ! {
    if let Ok(error) = child.error.try_clone() {
        panics::tell_to(move |cause| {
            let _ = (&error).write_all(cause.as_bytes());
        });
    }
    let text = match take_on(child, process, spec) {
        Ok(()) => child.program.run().to_string(),
        // The step is known where the text is read.
        Err(failure) if failure.step == STEP => failure.cause,
        Err(failure) => failure.to_string(),
    };
    let _ = (&child.error).write_all(text.as_bytes());
    std::process::exit(127)
}

fn take_on(child: &Child, process: &Process, spec: &Spec) -> Result<(), Failure> {
    for mut cgroup in &child.cgroups {
        // 0 is the writing process.
        cgroup
            .write_all(b"0")
            .at(STEP, "joining the container's cgroup")?;
    }
    child.handles.check_self()?;
    setsid().at(STEP, "making a session")?;
    connect(&child.streams)?;
    pod_sys::child::reset_signals().at(STEP, "resetting signals")?;
    let syscall = create_syscall();
    for limit in process.rlimits().iter().flatten() {
        syscall
            .set_rlimit(limit)
            .at(STEP, format!("setting {:?}", limit.typ()))?;
    }
    if process.no_new_privileges() == Some(true) {
        rustix::thread::set_no_new_privs(true).at(STEP, "setting no_new_privs")?;
    }
    if let Some(profile) = process
        .apparmor_profile()
        .as_deref()
        .filter(|profile| !profile.is_empty())
    {
        child.handles.apparmor_at_exec(profile)?;
    }
    umask(Mode::from_raw_mode(process.user().umask().unwrap_or(0o022)));
    let cwd = process.cwd();
    let go = || {
        chdir(cwd).at(
            STEP,
            format!("going to the working directory {}", cwd.display()),
        )
    };
    // As root first: the user need not be allowed in on the way. Where root may not (a FUSE or NFS mount), the user may.
    let later = match chdir(cwd) {
        Ok(()) => false,
        Err(Errno::PERM | Errno::ACCESS) => true,
        Err(_) => return go(),
    };
    take_ids(process, syscall.as_ref())?;
    pod_sys::child::close_on_exec_from(3).at(STEP, "marking descriptors")?;
    let profile = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.seccomp().as_ref());
    let filter = || match profile {
        Some(_) if weakened::is("s33") => Ok(()),
        Some(profile) => seccomp::initialize_seccomp(profile)
            .map(drop)
            .at(STEP, "loading the seccomp profile"),
        None => Ok(()),
    };
    // Without no_new_privs a filter takes CAP_SYS_ADMIN; with it, it comes as late as can be.
    let early = process.no_new_privileges().is_none();
    if early {
        filter()?;
    }
    if !weakened::is("s04") {
        take_capabilities(process, syscall.as_ref())?;
    }
    if later {
        go()?;
    }
    let inside = getcwd(Vec::new()).at(STEP, "checking the working directory")?;
    if !inside.as_bytes().starts_with(b"/") {
        return Err(Failure::new(
            STEP,
            "the working directory is not inside the container",
        ));
    }
    if early { Ok(()) } else { filter() }
}

fn connect(streams: &Streams) -> Result<(), Failure> {
    let [stdin, stdout, stderr] = match streams {
        Streams::Given([stdin, stdout, stderr]) => [stdin, stdout, stderr],
        Streams::Terminal(terminal) => {
            ioctl_tiocsctty(terminal).at(STEP, "taking the terminal")?;
            [terminal, terminal, terminal]
        }
    };
    dup2_stdin(stdin).at(STEP, "connecting stdin")?;
    dup2_stdout(stdout).at(STEP, "connecting stdout")?;
    dup2_stderr(stderr).at(STEP, "connecting stderr")
}

fn take_ids(process: &Process, syscall: &dyn Syscall) -> Result<(), Failure> {
    let user = process.user();
    let groups: Vec<Gid> = user
        .additional_gids()
        .iter()
        .flatten()
        .map(|gid| Gid::from_raw(*gid))
        .collect();
    setgroups(&groups).at(STEP, "setting the supplementary groups")?;
    // Keeps the capabilities over the change of ids.
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    syscall
        .set_id(uid, gid)
        .at(STEP, format!("becoming {}:{}", user.uid(), user.gid()))
}

fn take_capabilities(process: &Process, syscall: &dyn Syscall) -> Result<(), Failure> {
    let wanted = process.capabilities().as_ref();
    let wanted =
        wanted.ok_or_else(|| Failure::new(STEP, "config.json: process.capabilities: missing"))?;
    capabilities::reset_effective(syscall).at(STEP, "taking back effective capabilities")?;
    capabilities::drop_privileges(wanted, syscall).at(STEP, "dropping capabilities")
}
