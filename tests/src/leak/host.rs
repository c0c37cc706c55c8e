//! The rest of the machine: cgroups, IPC objects, loop devices, kernel parameters, names in `/`, `/etc` and `/dev`, podwright's programs.

use super::Snapshot;
use super::owner::Owners;
use super::processes::entries;
use super::tree;
use std::fs;
use std::path::{Path, PathBuf};

/// Notes all of it.
pub(super) fn look(owners: &Owners, all: &mut Snapshot) {
    cgroups(owners, all);
    ipc(owners, all);
    for device in entries(Path::new("/sys/block")) {
        let file = format!("/sys/block/{device}/loop/backing_file");
        if let Ok(file) = fs::read_to_string(file) {
            all.note(
                owners,
                "loop device",
                format!("{device} on {}", file.trim()),
            );
        }
    }
    parameters(Path::new("/proc/sys"), owners, all);
    for folder in ["/", "/etc", "/dev", "/run"] {
        for name in entries(Path::new(folder)) {
            all.note(owners, "host file", format!("{folder} has {name}"));
        }
    }
    let own = crate::node::dist();
    let programs = [
        "podwright",
        "podwright-supervisor",
        "podwright-launch",
        "podwright-pause",
    ];
    let files = programs.iter().map(|p| own.join(p));
    let etc = [
        "passwd",
        "group",
        "shadow",
        "hosts",
        "hostname",
        "resolv.conf",
        "ld.so.preload",
        "ld.so.cache",
    ];
    for file in files.chain(etc.iter().map(|n| Path::new("/etc").join(n))) {
        if let Some(print) = tree::fingerprint(&file) {
            all.note(owners, "host file", print);
        }
    }
}

/// Every cgroup of every hierarchy, but those below a root that another podwright has furnished.
fn cgroups(owners: &Owners, all: &mut Snapshot) {
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            let text = path.display().to_string();
            let folder = entry.file_type().is_ok_and(|t| t.is_dir());
            let others = || !owners.ours(&text) && path.join("podwright-system").exists();
            if folder && !others() {
                all.note(owners, "cgroup", text);
                open.push(path);
            }
        }
    }
}

fn ipc(owners: &Owners, all: &mut Snapshot) {
    for kind in ["shm", "sem", "msg"] {
        let table = fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let key_and_id: Vec<&str> = line.split_whitespace().take(2).collect();
            all.note(
                owners,
                "System V",
                format!("{kind} {}", key_and_id.join(" ")),
            );
        }
    }
    for (kind, folder) in [
        ("shared memory", "/dev/shm"),
        ("message queue", "/dev/mqueue"),
    ] {
        for name in entries(Path::new(folder)) {
            all.note(owners, kind, format!("{folder}/{name}"));
        }
    }
}

/// Kernel parameters that nothing but a hand changes.
fn parameters(folder: &Path, owners: &Owners, all: &mut Snapshot) {
    /// These change by themselves, or are no parameters.
    const MOVING: [&str; 16] = [
        "/proc/sys/fs/aio-nr",
        "/proc/sys/fs/binfmt_misc",
        "/proc/sys/fs/dentry-state",
        "/proc/sys/fs/file-nr",
        "/proc/sys/fs/inode-nr",
        "/proc/sys/fs/inode-state",
        "/proc/sys/fs/quota",
        "/proc/sys/kernel/keys",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/kernel/pty/nr",
        "/proc/sys/kernel/random",
        "/proc/sys/kernel/spl",
        "/proc/sys/kernel/sched_domain",
        "/proc/sys/net/netfilter/nf_conntrack_count",
        "/proc/sys/net/ipv6/conf",
        "/proc/sys/net/ipv4/conf",
    ];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if MOVING.iter().any(|m| path == Path::new(m)) {
            continue;
        }
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            parameters(&path, owners, all);
        } else if let Ok(value) = fs::read_to_string(&path) {
            all.note(
                owners,
                "kernel parameter",
                format!("{} = {}", path.display(), value.trim()),
            );
        }
    }
}
