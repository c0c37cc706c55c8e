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
    end(|pid, stat| is_left(pid, stat, of.pid));
}

/// Kills what a launcher of ours that is dead has forked and what is in no container yet. `launchers`: those that live.
pub(crate) fn end_orphans(launchers: &BTreeSet<i32>) {
    let own = std::process::id().cast_signed();
    end(|pid, stat| {
        !launchers.contains(&pid)
            && is_left(pid, stat, own)
            && parse::parent(stat).is_none_or(|p| !launchers.contains(&p))
    });
}

/// Kills every process of which this is true, until there is none: they may fork.
fn end(is_one: impl Fn(i32, &str) -> bool) {
    let is_one = |pid: i32| identity::stat(pid).is_some_and(|stat| is_one(pid, &stat));
    for _ in 0..ROUNDS {
        let mut any = false;
        for pid in identity::all() {
            if !is_one(pid) {
                continue;
            }
            let Ok(fd) = pidfd::open(pid) else { continue };
            // Looked at again: now it is the process that the descriptor means.
            if is_one(pid) && pidfd::send_signal(&fd, SIGKILL).is_ok() {
                any = true;
            }
        }
        if !any {
            return;
        }
        std::thread::yield_now();
    }
}

fn is_left(pid: i32, stat: &str, session: i32) -> bool {
    pid != session
        && parse::session_of_living(stat) == Some(session)
        && std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe.to_string_lossy().starts_with(LAUNCHER))
}

/// Kills processes of a container that were started in it from outside and are not known: each leads a session, is not older than the
/// launcher that may have started it, and its parent is neither a process of the container nor one of `parents`.
/// `known`: the container's own first process and the exec'd ones that are known; `parents`: launchers at work, and the pause process, which
/// inherits orphans where the pod shares its processes. (Where the node's pid namespace is used, an orphan of the container itself that made a
/// session in just this moment looks the same.)
pub(crate) fn end_strangers(
    cgroup_dirs: &[PathBuf],
    known: &BTreeSet<i32>,
    parents: &BTreeSet<i32>,
    since: u64,
) {
    let Some(dir) = cgroup_dirs.first() else {
        return;
    };
    let text = std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let inside: BTreeSet<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for pid in inside.iter().filter(|pid| !known.contains(pid)) {
        let is_stranger = || {
            identity::stat(*pid).is_some_and(|stat| {
                parse::session_of_living(&stat) == Some(*pid)
                    && parse::start_ticks(&stat).is_some_and(|t| t >= since)
                    && parse::parent(&stat)
                        .is_some_and(|p| !inside.contains(&p) && !parents.contains(&p))
            })
        };
        if is_stranger()
            && let Ok(fd) = pidfd::open(*pid)
            && is_stranger()
        {
            // It fails only when it has ended.
            let _ = pidfd::send_signal(&fd, SIGKILL);
        }
    }
}
