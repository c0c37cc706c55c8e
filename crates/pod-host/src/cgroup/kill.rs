//! Emptying and removing a cgroup with all below it, in every hierarchy. It ends: what cannot be killed in time stays, and is said.

use super::layout::{Layout, detect};
use super::pod::own_leaf;
use pod_driver::host::{HostError, HostErrorKind};
use pod_model::ids::CgroupPath;
use pod_sys::pidfd;
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
fn kill(layout: &Layout, root: &CgroupPath, cgroup: &CgroupPath) -> usize {
    if !cgroup.is_within(root) || cgroup == root {
        return 0;
    }
    let trees = || {
        let folders = layout.all_folders(cgroup);
        folders.iter().flat_map(|f| tree(f)).collect::<Vec<_>>()
    };
    for pause in PAUSES {
        let folders = trees();
        if processes(&folders).is_empty() {
            return 0;
        }
        round(&folders);
        std::thread::sleep(Duration::from_millis(pause));
    }
    processes(&trees()).len()
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
    let left = kill(layout, root, cgroup);
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
    kill(&layout, root, &own_leaf(root)?);
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
pub(crate) fn find(layout: &Layout, root: &CgroupPath, names: &[String]) -> Vec<CgroupPath> {
    let mut found = BTreeSet::new();
    for (mount, base) in layout.mounts.iter().zip(layout.folders(root)) {
        for folder in tree(&base) {
            let named = folder.file_name().and_then(|n| n.to_str());
            let wanted = named.is_some_and(|n| names.iter().any(|w| w == n));
            let path = folder.strip_prefix(mount).ok().and_then(Path::to_str);
            if let (true, Some(path)) = (wanted, path) {
                found.extend(CgroupPath::parse(&format!("/{path}")).ok());
            }
        }
    }
    found.into_iter().collect()
}

/// Pids of the processes in `cgroup` itself.
pub(crate) fn processes_of(layout: &Layout, cgroup: &CgroupPath) -> Vec<i32> {
    processes(&layout.folders(cgroup)).into_iter().collect()
}

/// All are tried; the last problem is given.
fn remove_folders(layout: &Layout, cgroup: &CgroupPath) -> Result<(), String> {
    let mut last = Ok(());
    for folder in layout.all_folders(cgroup) {
        // Deepest first.
        for below in tree(&folder).iter().rev() {
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
    for pid in processes(folders) {
        if let Ok(handle) = pidfd::open(pid)
            // The pid may have changed hands since it was listed: it is killed only if it is still listed.
            && processes(folders).contains(&pid)
        {
            let _ = pidfd::send_signal(&handle, SIGKILL);
        }
    }
    for freezer in &freezers {
        // A frozen process does not die.
        let _ = write(freezer, "THAWED");
    }
}

/// The folder and all below it, parents first.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut next = vec![(folder.to_owned(), 0)];
    while let Some((at, depth)) = next.pop() {
        let entries = match std::fs::read_dir(&at) {
            Ok(entries) => entries,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                continue;
            }
            // It is there: who removes it must not take it for gone.
            Err(_) => {
                out.push(at);
                continue;
            }
        };
        if depth < DEEPEST {
            let folders = entries
                .flatten()
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
            next.extend(folders.map(|e| (e.path(), depth + 1)));
        }
        out.push(at);
    }
    out
}

fn processes(folders: &[PathBuf]) -> BTreeSet<i32> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let lists = folders
        .iter()
        .filter_map(|f| std::fs::read_to_string(f.join("cgroup.procs")).ok());
    let pids: BTreeSet<i32> = lists
        .flat_map(|l| {
            l.lines()
                .filter_map(|p| p.parse().ok())
                .collect::<Vec<i32>>()
        })
        .collect();
    // 0 stands for a process of another PID namespace: no signal can be sent to it, and to 0 it would be our own group.
    pids.into_iter().filter(|p| *p > 1 && *p != own).collect()
}

fn write(path: &Path, value: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)?
        .write_all(value.as_bytes())
}
