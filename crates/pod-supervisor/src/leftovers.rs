//! Processes that a killed supervisor has left half-way: launchers and what they had forked, and exec'd processes that nobody knows.
//!
//! A launcher is in its supervisor's session, and so is all that it forks until that is in the container's cgroup: both what libcontainer
//! makes and our own exec join the cgroup first and make a session of their own after it.

use crate::identity::{self, Identity};
use crate::verify::parse;
use pod_sys::pidfd;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Rounds of looking for processes that may still fork.
const ROUNDS: usize = 50;

/// What a launcher's program is called, whatever it has forked.
const LAUNCHER: &str = "/memfd:podwright-launch";

const SIGKILL: i32 = 9;

/// Kills every launcher of a supervisor that is dead, with what it has forked.
pub(crate) fn end_launchers(of: Identity) {
    let leader = identity::stat(of.pid);
    let is_its_own = |stat: &String| parse::start_ticks(stat) == Some(of.start_ticks);
    if leader.as_ref().is_some_and(|stat| !is_its_own(stat)) {
        // The pid means another process now: then nothing of the session is left, or it could not.
        return;
    }
    for _ in 0..ROUNDS {
        let found = identity::all();
        let found = found.into_iter().filter(|pid| is_left(*pid, of.pid));
        let mut any = false;
        for pid in found {
            let Ok(fd) = pidfd::open(pid) else { continue };
            // Looked at again: now it is the process that the descriptor means.
            if is_left(pid, of.pid) && pidfd::send_signal(&fd, SIGKILL).is_ok() {
                any = true;
            }
        }
        if !any {
            return;
        }
        std::thread::yield_now();
    }
}

fn is_left(pid: i32, session: i32) -> bool {
    let of_session =
        identity::stat(pid).is_some_and(|stat| parse::session_of_living(&stat) == Some(session));
    of_session
        && std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe.to_string_lossy().starts_with(LAUNCHER))
}

/// Kills processes of a container that came from outside and are not known: those whose parent is no process of the container.
/// `known`: its own first process and the exec'd ones that are known.
pub(crate) fn end_strangers(cgroup_dirs: &[PathBuf], known: &BTreeSet<i32>, parents: &[i32]) {
    let Some(dir) = cgroup_dirs.first() else {
        return;
    };
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse::<i32>().ok());
    for pid in pids.filter(|pid| !known.contains(pid)) {
        let is_stranger = || {
            identity::stat(pid)
                .is_some_and(|s| parse::parent(&s).is_some_and(|p| parents.contains(&p)))
        };
        if is_stranger()
            && let Ok(fd) = pidfd::open(pid)
            && is_stranger()
        {
            // It fails only when it has ended.
            let _ = pidfd::send_signal(&fd, SIGKILL);
        }
    }
}
