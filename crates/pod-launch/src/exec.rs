//! The verb `exec`: one more process in a running container, with the container's own rights.
//!
//! libcontainer's way (its tenant builder) is not used: as shipped it drops the seccomp profile, does not join a user namespace,
//! and gives all capabilities of the caller where none are spelled out. Here every right is taken from the container's
//! `config.json`, in the order in which libcontainer gives them to the init.

use crate::failure::{AtStep, Done, Failure};
use crate::identity::{Handles, has_ended};
use crate::joined::{Child, Streams, become_process};
use crate::program::Program;
use crate::{cgroup, oom, preflight, terminal};
use libcontainer::oci_spec::runtime::{LinuxNamespaceType, Spec};
use pod_sys::child::{Forked, fork};
use pod_sys::{namespace, pidfd};
use pod_wire::launch::Exec;
use rustix::process::{Pid, WaitOptions, waitpid};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

const STEP: &str = "exec";

/// Starts the process; it runs when this returns.
pub(crate) fn exec(request: &Exec, fds: Vec<OwnedFd>) -> Result<Done, Failure> {
    let spec = preflight::load(&request.bundle)?;
    refuse_user_namespace(&spec)?;
    let process = preflight::process(&spec)?;
    preflight::check_node(process)?;
    let mut fds = fds.into_iter();
    let init = fds
        .next()
        .ok_or_else(|| Failure::new(STEP, "no pidfd of the container came along"))?;
    let extra: &[(&str, &str)] = if request.tty {
        &[("TERM", "xterm")]
    } else {
        &[]
    };
    let program = Program::other(process, &request.command, extra);
    let handles = Handles::take(&init, request.init_pid)?;
    let cgroups = open_cgroups(&request.cgroup_dirs)?;
    let oom_score_adj = oom::get(handles.process(request.init_pid)?)?;

    // From the join on, processes of the container may see this one, and must not get into it.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .at(STEP, "hiding from the container")?;
    let joined = namespace::join(&init);
    if joined.is_err() && has_ended(&init)? {
        return Err(Failure::new(STEP, "the container has ended"));
    }
    joined.at(STEP, "joining the container's namespaces")?;
    let (streams, master) = match request.tty {
        true => {
            let (master, slave) = terminal::open(process.user().uid())?;
            (Streams::Terminal(slave), Some(master))
        }
        false => (Streams::Given(three(fds)?), None),
    };
    let (outcome, error) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).at(STEP, "making a pipe")?;
    let child = Child {
        cgroups,
        streams,
        program,
        handles,
        error: File::from(error),
    };
    let pid = match fork().at(STEP, "forking")? {
        Forked::Child => {
            drop((outcome, master));
            become_process(&child, process, &spec)
        }
        Forked::Parent(pid) => pid,
    };
    // With its end here closed, the pipe ends where the child becomes the program.
    let Child { handles, error, .. } = child;
    drop(error);
    let result = finish(pid, &handles, oom_score_adj, outcome);
    let (pidfd, clamped) = result.inspect_err(|_| end(pid))?;
    Ok(Done {
        pid: pid.as_raw_nonzero().get(),
        pidfd,
        master,
        clamped,
    })
}

/// Waits until the child has become the program, or says why it could not.
fn finish(
    pid: Pid,
    handles: &Handles,
    wanted: i32,
    outcome: OwnedFd,
) -> Result<(OwnedFd, Vec<String>), Failure> {
    // Ours and not reaped: its pid means nobody else.
    let pidfd = pidfd::open(pid.as_raw_nonzero().get()).at(STEP, "opening its pidfd")?;
    let number = pid.as_raw_nonzero().get();
    let clamped = oom::set(handles.process(number)?, wanted)?;
    let mut text = String::new();
    File::from(outcome)
        .read_to_string(&mut text)
        .at(STEP, "waiting for the program to start")?;
    match text.is_empty() {
        true => Ok((pidfd, clamped.into_iter().collect())),
        false => Err(Failure::new(STEP, text)),
    }
}

/// Ends and reaps a child that did not become the program.
fn end(pid: Pid) {
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    let _ = waitpid(Some(pid), WaitOptions::empty());
}

fn refuse_user_namespace(spec: &Spec) -> Result<(), Failure> {
    let namespaces = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.namespaces().as_deref())
        .unwrap_or_default();
    match namespaces
        .iter()
        .any(|namespace| namespace.typ() == LinuxNamespaceType::User)
    {
        true => Err(Failure::new(
            STEP,
            "containers with a user namespace of their own are not supported yet",
        )),
        false => Ok(()),
    }
}

fn open_cgroups(folders: &[impl AsRef<Path>]) -> Result<Vec<File>, Failure> {
    folders
        .iter()
        .map(|folder| cgroup::open_for_joining(folder.as_ref()))
        .collect()
}

fn three(fds: impl Iterator<Item = OwnedFd>) -> Result<[OwnedFd; 3], Failure> {
    <[OwnedFd; 3]>::try_from(fds.collect::<Vec<_>>()).map_err(|fds| {
        Failure::new(
            STEP,
            format!(
                "{} descriptors came for the three standard streams",
                fds.len()
            ),
        )
    })
}
