//! Emptying and removing a cgroup with all below it, in every hierarchy. It ends: what cannot be killed in time stays, and is said.

use super::layout::{Layout, detect};
use super::pod::own_leaf;
use pod_driver::host::{HostError, HostErrorKind};
use pod_model::ids::CgroupPath;
use pod_sys::pidfd;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pauses between rounds, in ms; together about two seconds.
const PAUSES: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 300, 500, 1000];

/// cgroups nested deeper than this are not looked into.
const DEEPEST: usize = 32;

const SIGKILL: i32 = 9;

/// Kills everything in `cgroup` and below until nothing is left, for about two seconds at most. Says how many processes are left.
///
/// # Errors
/// What is in a cgroup cannot be read, in all that time: it is not empty for that.
fn kill(layout: &Layout, root: &CgroupPath, cgroup: &CgroupPath) -> Result<usize, String> {
    if !cgroup.is_within(root) || cgroup == root {
        return Ok(0);
    }
    let folders = layout.all_folders(cgroup);
    for pause in PAUSES {
        let (trees, unread) = trees(&folders);
        let (left, unknown) = processes(&trees);
        if left.is_empty() && unread.is_none() && unknown.is_none() {
            return Ok(0);
        }
        round(&trees);
        std::thread::sleep(Duration::from_millis(pause));
    }
    let (trees, unread) = trees(&folders);
    let (left, unknown) = processes(&trees);
    match unread.or(unknown) {
        Some(cause) if left.is_empty() => Err(cause),
        _ => Ok(left.len()),
    }
}

/// Kills what is in `cgroup`, then removes it with all below it. Not there is removed.
pub(crate) fn remove(
    layout: &Layout,
    root: &CgroupPath,
    cgroup: &CgroupPath,
) -> Result<(), HostError> {
    let fail = |cause: String| Err(HostError::new(HostErrorKind::Other, cause));
    if !cgroup.is_within(root) || cgroup == root {
        return fail(format!(
            "cgroup {cgroup}: not below this node's root {root}"
        ));
    }
    let left = match kill(layout, root, cgroup) {
        Ok(left) => left,
        Err(cause) => return fail(cause),
    };
    if left > 0 {
        return fail(format!(
            "cgroup {cgroup}: {left} processes do not die (in uninterruptible sleep?); ask again later"
        ));
    }
    let mut left = None;
    for pause in PAUSES {
        left = remove_folders(layout, cgroup).err();
        if left.is_none() {
            break;
        }
        // The kernel may hold one for a moment after its last process has ended.
        std::thread::sleep(Duration::from_millis(pause));
    }
    left.map_or(Ok(()), fail)
}

/// Removes `root` with all below it, where no process is in any of it but in the node's own leaf: what is there is a helper that nobody
/// knows of any more.
pub(crate) fn remove_empty(root: &CgroupPath) -> Result<(), HostError> {
    let fail = |cause: String| Err(HostError::new(HostErrorKind::Other, cause));
    let layout = match detect() {
        Ok(layout) => layout,
        Err(error) => return fail(format!("control groups: {error}")),
    };
    if let Err(cause) = kill(&layout, root, &own_leaf(root)?) {
        return fail(cause);
    }
    let mut last = Ok(());
    for pause in PAUSES {
        last = remove_folders(&layout, root);
        if last.is_ok() {
            break;
        }
        // A cgroup whose child or last process has just gone is busy for a moment more.
        std::thread::sleep(Duration::from_millis(pause));
    }
    last.or_else(fail)
}

/// Cgroups below `root` that have one of these names.
///
/// # Errors
/// A folder cannot be listed: what is below it would not be found.
pub(crate) fn find(
    layout: &Layout,
    root: &CgroupPath,
    names: &[String],
) -> Result<Vec<CgroupPath>, HostError> {
    let mut found = BTreeSet::new();
    for (mount, base) in layout.mounts.iter().zip(layout.folders(root)) {
        let (folders, unread) = trees(&[base]);
        if let Some(cause) = unread {
            return Err(HostError::new(HostErrorKind::Other, cause));
        }
        for folder in folders {
            let named = folder.file_name().and_then(|n| n.to_str());
            let wanted = named.is_some_and(|n| names.iter().any(|w| w == n));
            let path = folder.strip_prefix(mount).ok().and_then(Path::to_str);
            if let (true, Some(path)) = (wanted, path) {
                found.extend(CgroupPath::parse(&format!("/{path}")).ok());
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Pids of the processes in `cgroup` itself.
pub(crate) fn processes_of(layout: &Layout, cgroup: &CgroupPath) -> Vec<i32> {
    processes(&layout.folders(cgroup)).0.into_iter().collect()
}

/// All are tried; the last problem is given.
fn remove_folders(layout: &Layout, cgroup: &CgroupPath) -> Result<(), String> {
    let mut last = Ok(());
    for folder in layout.all_folders(cgroup) {
        // Deepest first.
        for below in trees(&[folder]).0.iter().rev() {
            match std::fs::remove_dir(below) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    last = Err(format!("cgroup folder {}: {e}", below.display()));
                }
                _ => {}
            }
        }
    }
    last
}

/// One round: held still by the freezer where there is one, so that nothing can fork away.
fn round(folders: &[PathBuf]) {
    for folder in folders {
        // cgroup2 (also the one of a hybrid node), from Linux 5.14 on.
        let _ = write(&folder.join("cgroup.kill"), "1");
    }
    let freezers: Vec<PathBuf> = folders
        .iter()
        .map(|f| f.join("freezer.state"))
        .filter(|f| f.exists())
        .collect();
    for freezer in &freezers {
        let _ = write(freezer, "FROZEN");
    }
    for pid in processes(folders).0 {
        if let Ok(handle) = pidfd::open(pid)
            // The pid may have changed hands since it was listed: it is killed only if it is still listed.
            && processes(folders).0.contains(&pid)
        {
            let _ = pidfd::send_signal(&handle, SIGKILL);
        }
    }
    for freezer in &freezers {
        // A frozen process does not die.
        let _ = write(freezer, "THAWED");
    }
}

/// Each folder and all below it, parents first; and why one of them could not be listed.
fn trees(folders: &[PathBuf]) -> (Vec<PathBuf>, Option<String>) {
    let mut out = Vec::new();
    let mut unread = None;
    let mut next: Vec<(PathBuf, usize)> = folders.iter().rev().map(|f| (f.clone(), 0)).collect();
    while let Some((at, depth)) = next.pop() {
        let listed = std::fs::read_dir(&at).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match listed {
            Ok(entries) if depth < DEEPEST => {
                let folders = entries
                    .iter()
                    .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
                next.extend(folders.map(|e| (e.path(), depth + 1)));
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                continue;
            }
            // It is there: who removes it must not take it for gone.
            Err(e) => unread = Some(format!("cgroup folder {}: {e}", at.display())),
        }
        out.push(at);
    }
    (out, unread)
}

/// What is in these folders themselves; and why one of them could not be read.
fn processes(folders: &[PathBuf]) -> (BTreeSet<i32>, Option<String>) {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let mut pids: BTreeSet<i32> = BTreeSet::new();
    let mut unread = None;
    for folder in folders {
        match std::fs::read_to_string(folder.join("cgroup.procs")) {
            Ok(list) => pids.extend(list.lines().filter_map(|p| p.parse::<i32>().ok())),
            Err(e) if holds_none(&e) => {}
            Err(e) => unread = Some(format!("cgroup folder {}: {e}", folder.display())),
        }
    }
    // 0 stands for a process of another PID namespace: no signal can be sent to it, and to 0 it would be our own group.
    pids.retain(|p| *p > 1 && *p != own);
    (pids, unread)
}

/// It is gone or going, or a threaded one, whose processes stand in the one above it.
fn holds_none(error: &std::io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NODEV, Errno::NOTDIR, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|e| gone.contains(&e))
}

fn write(path: &Path, value: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}
