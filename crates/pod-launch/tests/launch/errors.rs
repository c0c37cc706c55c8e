//! Calls of the kernel that fail while a container is made: whatever fails, the launcher answers, and ends by itself.
//!
//! A `strace` makes one call after the other fail: of each name the first, the second, and so on, until one is not reached any more.

use crate::rig::{Rig, isolated};

/// Calls of a create, and how they may fail.
const FAILING: [(&str, &[&str]); 4] = [
    (
        "EIO",
        &[
            "openat",
            "openat2",
            "open",
            "read",
            "write",
            "fstat",
            "newfstatat",
            "statx",
            "getdents64",
            "readlinkat",
            "readlink",
            "fstatfs",
            "statfs",
        ],
    ),
    (
        "EMFILE",
        &[
            "openat",
            "openat2",
            "open",
            "socket",
            "socketpair",
            "dup",
            "fcntl",
            "memfd_create",
            "fsopen",
            "fsmount",
            "open_tree",
            "pidfd_open",
        ],
    ),
    (
        "ENOMEM",
        &[
            "clone", "clone3", "fork", "mount", "fsconfig", "setns", "unshare", "prctl",
        ],
    ),
    (
        "EPERM",
        &[
            "mount",
            "chdir",
            "setgroups",
            "sethostname",
            "capset",
            "seccomp",
            "fchownat",
            "mknodat",
            "pivot_root",
            "umount2",
        ],
    ),
];

/// Every so many-th count of a name is run: 1 in the long form (`PODWRIGHT_ROUNDS=2000`).
fn step() -> usize {
    let rounds = std::env::var("PODWRIGHT_ROUNDS").ok();
    match rounds.and_then(|n| n.parse::<usize>().ok()) {
        Some(2000..) => 1,
        _ => 23,
    }
}

#[test]
fn whatever_call_fails_the_launcher_answers_and_ends_by_itself() {
    isolated(
        "errors::whatever_call_fails_the_launcher_answers_and_ends_by_itself",
        |rig| {
            let (mut hit, mut refused) = (0, 0);
            for (errno, names) in FAILING {
                for name in names {
                    for count in (1..).step_by(step()) {
                        match one(rig, name, errno, count) {
                            None => break,
                            Some(failed) => {
                                hit += 1;
                                refused += usize::from(failed);
                            }
                        }
                    }
                }
            }
            eprintln!("{hit} calls failed, {refused} creates with them");
            assert!(
                refused > 10,
                "{hit} calls failed, {refused} creates with them"
            );
        },
    );
}

/// Makes a container while the `count`-th call of that name fails. `None`: it was not reached; else whether there is no container.
fn one(rig: &mut Rig, name: &str, errno: &str, count: usize) -> Option<bool> {
    let id = format!("{name}-{errno}-{count}");
    let plan = rig.plan(&id, &["true"]);
    let inject = format!("inject={name}:error={errno}:when={count}");
    let (result, trace) = rig.create_failing(plan, &inject);
    let reached = trace.contains("(INJECTED)");
    let failed = match result {
        Ok(container) => {
            rig.start(&container);
            rig.wait(container.pid);
            false
        }
        Err((step, cause)) => {
            assert!(!step.is_empty() && cause.len() > 3, "{id}: {step}: {cause}");
            if cause.contains("cannot go on") {
                eprintln!("{id}: {step}: {cause}");
            }
            true
        }
    };
    rig.forget(&id);
    reached.then_some(failed)
}
