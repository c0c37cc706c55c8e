//! That a process has come into the namespaces it should be in, and into no others.
//!
//! The node's procfs is kept open across the join: the container's own /proc is made by the container, and knows this process
//! under another number or not at all.

use crate::failure::{AtStep, Failure};
use pod_sys::mount;
use pod_sys::namespace::{Identities, identities};
use pod_sys::weakened;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, openat};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

const STEP: &str = "namespaces";

/// The node's procfs, and the namespaces of a container's init.
pub(crate) struct Handles {
    proc: OwnedFd,
    init: Identities,
}

impl Handles {
    /// Notes the namespaces of the process behind `init`, whose pid is `pid`.
    pub(crate) fn take(init: &OwnedFd, pid: i32) -> Result<Self, Failure> {
        let proc = mount::folder(Path::new("/proc")).at(STEP, "opening /proc")?;
        let found = identities(&proc, &pid.to_string());
        // It is still running: so the number has meant it all the while.
        if (number(init)? != pid || has_ended(init)?) && !weakened::is("s38") {
            return Err(Failure::new(STEP, "the container has ended"));
        }
        let handles = Self {
            init: found.at(STEP, "reading the namespaces of the container's init")?,
            proc,
        };
        let own =
            identities(&handles.proc, "self").at(STEP, "reading the namespaces of this process")?;
        if handles.init.get("user") != own.get("user") {
            return Err(Failure::new(
                STEP,
                "containers with a user namespace of their own are not supported yet",
            ));
        }
        Ok(handles)
    }

    /// Whether this process, after the join and a fork, is where the container's init was.
    pub(crate) fn check_self(&self) -> Result<(), Failure> {
        let own =
            identities(&self.proc, "self").at(STEP, "reading the namespaces of this process")?;
        for (kind, identity) in &self.init {
            if own.get(kind) != Some(identity) {
                return Err(Failure::new(
                    STEP,
                    format!("joining led into another {kind} namespace than the container's"),
                ));
            }
        }
        Ok(())
    }

    /// The folder of a process in the node's procfs.
    pub(crate) fn process(&self, pid: i32) -> Result<OwnedFd, Failure> {
        mount::open_beneath(
            &self.proc,
            Path::new(&pid.to_string()),
            OFlags::PATH | OFlags::DIRECTORY,
        )
        .at(STEP, format!("opening /proc/{pid}"))
    }

    /// Asks the kernel to change to an AppArmor profile at the next exec of this process. Written to the node's procfs, which
    /// nothing in the container can have replaced.
    pub(crate) fn apparmor_at_exec(&self, profile: &str) -> Result<(), Failure> {
        let doing = || format!("asking for the profile {profile:?}");
        let open = |path| {
            openat(
                &self.proc,
                path,
                OFlags::WRONLY | OFlags::CLOEXEC,
                Mode::empty(),
            )
        };
        // The second is where it was before Linux 5.8.
        let file = open("self/attr/apparmor/exec")
            .or_else(|_| open("self/attr/exec"))
            .at("apparmor", doing())?;
        File::from(file)
            .write_all(format!("exec {profile}").as_bytes())
            .at("apparmor", doing())
    }
}

/// The number of the process behind a pidfd, in this process's PID namespace. -1 once it has been reaped.
#[expect(
    clippy::disallowed_methods,
    reason = "/proc is the node's own here: no container can put a link there"
)]
fn number(pidfd: &OwnedFd) -> Result<i32, Failure> {
    let doing = "reading the container's pidfd";
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))
        .at(STEP, doing)?;
    let number = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    number
        .ok_or_else(|| Failure::new(STEP, "the container's descriptor is not a pidfd"))?
        .trim()
        .parse()
        .at(STEP, doing)
}

/// Whether the process behind a pidfd has ended, reaped or not.
pub(crate) fn has_ended(pidfd: &OwnedFd) -> Result<bool, Failure> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now))
        .at(STEP, "asking whether the container has ended")?;
    Ok(ready > 0)
}
