//! How calls may fail: a full or broken disk, no descriptor, no memory, no process, something busy.

/// Errors, and the calls that may give them. (A failed allocation of a Rust program ends it, as the kernel's own killer would: mmap and brk
/// are points of kills, not of errors.)
const POSSIBLE: [(&str, &[&str]); 6] = [
    (
        "ENOSPC",
        &[
            "open",
            "openat",
            "openat2",
            "mkdir",
            "mkdirat",
            "write",
            "pwrite64",
            "writev",
            "rename",
            "renameat2",
            "symlinkat",
            "fallocate",
            "ftruncate",
            "fsync",
            "fdatasync",
        ],
    ),
    (
        "EIO",
        &[
            "open",
            "openat",
            "openat2",
            "read",
            "pread64",
            "write",
            "pwrite64",
            "fsync",
            "fdatasync",
            "getdents64",
            "newfstatat",
            "statx",
            "rename",
            "unlink",
            "unlinkat",
            "rmdir",
        ],
    ),
    (
        "EMFILE",
        &[
            "open",
            "openat",
            "openat2",
            "socket",
            "socketpair",
            "pipe2",
            "accept4",
            "epoll_create1",
            "dup",
            "pidfd_open",
            "timerfd_create",
            "signalfd4",
            "eventfd2",
            "open_tree",
            "fsopen",
            "fsmount",
        ],
    ),
    (
        "ENOMEM",
        &[
            "clone",
            "clone3",
            "fork",
            "vfork",
            "mount",
            "fsconfig",
            "fsmount",
            "epoll_ctl",
            "setns",
            "unshare",
            "sendmsg",
            "socketpair",
            "pipe2",
        ],
    ),
    ("EAGAIN", &["clone", "clone3", "fork", "vfork"]),
    (
        "EBUSY",
        &["rmdir", "umount2", "mount", "move_mount", "unlinkat"],
    ),
];

/// The ways in which a call may fail.
pub(super) fn of(name: &str) -> impl Iterator<Item = &'static str> {
    let possible = POSSIBLE
        .iter()
        .filter(move |(_, calls)| calls.contains(&name));
    possible
        .map(|(errno, _)| *errno)
        .collect::<Vec<_>>()
        .into_iter()
}
