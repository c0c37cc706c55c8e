//! A container's cgroups: kill what is in them, count OOM kills, remove them. Never anything else's.
//!
//! v2 (and the cgroup2 mount of a hybrid node) has `cgroup.kill`. On v1 the freezer holds the processes still while each is killed.

use pod_sys::pidfd;
use rustix::fs::{CWD, Mode, OFlags, openat, statfs};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` (linux/magic.h).
const MAGIC: [i64; 2] = [0x0027_e0eb, 0x6367_7270];

/// cgroups nested deeper than this are not looked into.
const DEEPEST: usize = 32;

/// So many processes are held open at once: a cgroup may have more than this process may have descriptors.
const AT_ONCE: usize = 128;

/// Reads of `freezer.state` while it says FREEZING. It is bounded: a process in uninterruptible sleep may never freeze.
const FREEZE_READS: usize = 50;

/// Whether these may be a container's cgroup folders: absolute, climbing nowhere, and named after the container.
pub(crate) fn check(id: &str, dirs: &[PathBuf]) -> Result<(), String> {
    for dir in dirs {
        let plain = dir
            .components()
            .all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
        let named = dir
            .file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|n| n.contains(id));
        if !dir.is_absolute() || !plain || !named {
            return Err(format!(
                "cgroup folder {} is not one of container {id}: it must be absolute, without .., and its last part must hold the id",
                dir.display()
            ));
        }
    }
    Ok(())
}

/// One round of killing everything in these cgroups and those below. Says how many processes were found.
pub(crate) fn kill(dirs: &[PathBuf]) -> usize {
    let dirs: Vec<&Path> = dirs
        .iter()
        .map(PathBuf::as_path)
        .filter(|d| is_leaf(d))
        .collect();
    let found = dirs
        .iter()
        .map(|dir| processes(dir).len())
        .max()
        .unwrap_or(0);
    if found == 0 && !dirs.iter().any(|d| is_frozen(d)) {
        return 0;
    }
    for dir in &dirs {
        // There from Linux 5.14 on; without it the loop below does the work.
        let _ = write(&dir.join("cgroup.kill"), "1");
    }
    let freezers: Vec<PathBuf> = dirs
        .iter()
        .map(|d| d.join("freezer.state"))
        .filter(|f| f.exists())
        .collect();
    for freezer in &freezers {
        freeze(freezer);
    }
    for dir in &dirs {
        kill_listed(dir);
    }
    for freezer in &freezers {
        // Also thaws what somebody else had frozen: a frozen process does not die.
        let _ = write(freezer, "THAWED");
    }
    found
}

/// How many of its processes the kernel has killed for memory, over all these cgroups.
pub(crate) fn oom_kills(dirs: &[PathBuf]) -> u64 {
    let files = ["memory.events", "memory.oom_control"];
    dirs.iter()
        .flat_map(|dir| files.iter().map(|f| dir.join(f)))
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .map(|text| count_of(&text, "oom_kill"))
        .sum()
}

/// Removes the cgroups and everything below them, innermost first. Those that are gone are fine.
pub(crate) fn remove(dirs: &[PathBuf]) -> io::Result<()> {
    for dir in dirs {
        if dir.exists() && !is_leaf(dir) {
            let cause = format!("{} is not a cgroup below a hierarchy's root", dir.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, cause));
        }
        remove_tree(dir, DEEPEST)
            .map_err(|e| io::Error::new(e.kind(), format!("cgroup {}: {e}", dir.display())))?;
    }
    Ok(())
}

/// The number behind a key in a file of `key number` lines.
fn count_of(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, number)| number.trim().parse().ok())
        .unwrap_or(0)
}

/// Whether it is a cgroup, and not the root of a hierarchy.
fn is_leaf(dir: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened: Result<OwnedFd, _> = openat(CWD, dir, flags, Mode::empty());
    let Ok(fd) = opened else {
        return false;
    };
    let is_cgroup = rustix::fs::fstatfs(&fd).is_ok_and(|s| MAGIC.contains(&s.f_type));
    let parent = dir.parent().and_then(|p| {
        let magic = statfs(p).ok()?.f_type;
        let device = std::fs::metadata(p).ok()?.dev();
        Some((magic, device))
    });
    let device = rustix::fs::fstat(&fd).map(|s| s.st_dev).ok();
    is_cgroup && parent.is_some_and(|(m, d)| MAGIC.contains(&m) && Some(d) == device)
}

/// Every pid in a cgroup and below it, as its file lists them. 0 is a process outside our pid namespace.
fn processes(dir: &Path) -> BTreeSet<i32> {
    let mut pids = BTreeSet::new();
    for_each_below(dir, DEEPEST, &mut |dir| pids.extend(listed(dir)));
    let own = std::process::id().cast_signed();
    pids.retain(|pid| *pid > 1 && *pid != own);
    pids
}

fn listed(dir: &Path) -> Vec<i32> {
    std::fs::read_to_string(dir.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}

fn kill_listed(dir: &Path) {
    let found: Vec<i32> = processes(dir).into_iter().collect();
    for some in found.chunks(AT_ONCE) {
        let held: Vec<(i32, OwnedFd)> = some
            .iter()
            .filter_map(|pid| Some((*pid, pidfd::open(*pid).ok()?)))
            .collect();
        // Listed again after its pidfd was opened: so the pidfd is of a process in this cgroup, not of one that took over its pid.
        let still = processes(dir);
        for (pid, fd) in held {
            if still.contains(&pid) {
                // It fails only when the process has ended.
                let _ = pidfd::send_signal(&fd, rustix::process::Signal::KILL.as_raw());
            }
        }
    }
}

/// Whether it is frozen, or its parents: what joins it does not come to run.
pub(crate) fn is_frozen(dir: &Path) -> bool {
    let read = |file: &str| std::fs::read_to_string(dir.join(file));
    read("freezer.state").is_ok_and(|s| s.trim() != "THAWED")
        || read("cgroup.events").is_ok_and(|text| count_of(&text, "frozen") == 1)
}

fn freeze(file: &Path) {
    if write(file, "FROZEN").is_err() {
        return;
    }
    for _ in 0..FREEZE_READS {
        match std::fs::read_to_string(file) {
            Ok(state) if state.trim() == "FREEZING" => std::thread::yield_now(),
            _ => return,
        }
    }
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(file)?
        .write_all(text.as_bytes())
}

fn for_each_below(dir: &Path, depth: usize, act: &mut impl FnMut(&Path)) {
    for below in children(dir) {
        if depth > 0 {
            for_each_below(&below, depth - 1, act);
        }
    }
    act(dir);
}

fn remove_tree(dir: &Path, depth: usize) -> io::Result<()> {
    for below in children(dir) {
        if depth > 0 {
            remove_tree(&below, depth - 1)?;
        }
    }
    match std::fs::remove_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .map(|e| e.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_folder_must_be_absolute_and_named_after_its_container() {
        let ok = ["/sys/fs/cgroup/pids/p/c1", "/sys/fs/cgroup/p/cri-c1.scope"];
        for path in ok {
            assert_eq!(check("c1", &[path.into()]), Ok(()), "{path}");
        }
        for path in [
            "",
            "/",
            "c1",
            "/sys/fs/cgroup/../c1",
            "/sys/fs/cgroup",
            "/c1/other",
            "/a/c1/..",
        ] {
            assert!(check("c1", &[path.into()]).is_err(), "{path} was taken");
        }
    }

    #[test]
    fn what_is_no_cgroup_or_a_hierarchys_root_is_never_killed_or_removed() {
        let folder = std::env::temp_dir().join(format!("sup-cgroup-{}-c1", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        assert_eq!(kill(std::slice::from_ref(&folder)), 0);
        assert!(remove(std::slice::from_ref(&folder)).is_err());
        assert!(folder.exists());
        std::fs::remove_dir_all(&folder).unwrap();
        for root in [
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/pids",
            "/sys/fs/cgroup/unified",
        ] {
            assert!(!is_leaf(Path::new(root)), "{root}");
        }
        assert!(remove(&[folder]).is_ok(), "what is gone is fine");
    }

    #[test]
    fn oom_kills_are_read_from_either_version() {
        assert_eq!(
            count_of("low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n", "oom_kill"),
            2
        );
        assert_eq!(
            count_of("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", "oom_kill"),
            1
        );
        assert_eq!(count_of("oom_kill_disable 1\n", "oom_kill"), 0);
    }
}
