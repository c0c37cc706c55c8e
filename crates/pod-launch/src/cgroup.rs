//! The container's cgroup: a path that libcontainer may be trusted with, and nobody in it yet.
//!
//! When a create fails, libcontainer kills every process in the cgroup of that path, in every hierarchy. An empty path or `/` is
//! the whole machine.

use crate::failure::{AtStep, Failure};
use rustix::fs::{OFlags, statfs};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// Where the hierarchies are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP2: u64 = 0x6367_7270;

/// Whether a cgroup path is absolute, plain, and at least two levels deep (a container in a pod).
pub(crate) fn check_path(path: &Path) -> Result<(), String> {
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return Err(format!("{path:?} is not an absolute path"));
    }
    let names: Vec<Component<'_>> = parts.collect();
    if names
        .iter()
        .any(|part| !matches!(part, Component::Normal(_)))
    {
        return Err(format!("{path:?} has \"..\" in it"));
    }
    // Components leave "." and doubled slashes out: what they name must be what is written.
    let written: PathBuf = std::iter::once(Component::RootDir)
        .chain(names.iter().copied())
        .collect();
    if written.as_os_str() != path.as_os_str() {
        return Err(format!("{path:?} has an empty part or \".\" in it"));
    }
    if names.len() < 2 {
        return Err(format!(
            "{path:?} must have a pod's and a container's name in it"
        ));
    }
    Ok(())
}

/// Whether the node has one cgroup hierarchy of version 2, and libcontainer uses it (else version 1, also on hybrid hosts).
pub(crate) fn is_unified() -> Result<bool, Failure> {
    Ok(statfs(ROOT).at("cgroup", ROOT)?.f_type as u64 == CGROUP2)
}

/// The folder of a cgroup on a node with version 2.
pub(crate) fn open_unified(path: &Path) -> Result<OwnedFd, Failure> {
    let doing = || format!("opening the cgroup {}", path.display());
    let root = pod_sys::mount::folder(Path::new(ROOT)).at("cgroup", doing())?;
    let relative = path.strip_prefix("/").unwrap_or(path);
    pod_sys::mount::open_beneath(root, relative, OFlags::RDONLY | OFlags::DIRECTORY)
        .at("cgroup", doing())
}

/// Refuses a cgroup that has processes already, in any hierarchy: it is not this container's. And one that is frozen, or would be below one
/// that is: what joins it does not come to run.
#[expect(
    clippy::disallowed_methods,
    reason = "the cgroup hierarchies are the kernel's: no container can put a link there"
)]
pub(crate) fn check_free(path: &Path) -> Result<(), Failure> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let hierarchies: Vec<PathBuf> = if is_unified()? {
        vec![ROOT.into()]
    } else {
        let entries = std::fs::read_dir(ROOT).at("cgroup", ROOT)?;
        entries.flatten().map(|entry| entry.path()).collect()
    };
    for hierarchy in hierarchies {
        let folder = hierarchy.join(relative);
        match std::fs::read(folder.join("cgroup.procs")) {
            Ok(text) if !text.is_empty() => {
                let cause = format!(
                    "{} has processes in it that are not this container's",
                    folder.display()
                );
                return Err(Failure::new("cgroup", cause));
            }
            // It is not there in this hierarchy, or is no hierarchy.
            Ok(_) | Err(_) => {}
        }
        let nearest = folder.ancestors().find(|above| above.is_dir());
        if let Some(frozen) = nearest.filter(|above| is_frozen(above)) {
            let cause = format!("{} is frozen: thaw it first", frozen.display());
            return Err(Failure::new("cgroup", cause));
        }
    }
    Ok(())
}

/// Whether a cgroup, or one above it, is frozen: by version 1, or by version 2.
#[expect(
    clippy::disallowed_methods,
    reason = "the cgroup hierarchies are the kernel's: no container can put a link there"
)]
fn is_frozen(folder: &Path) -> bool {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
    matches!(read("freezer.state").trim(), "FROZEN" | "FREEZING")
        || read("cgroup.events").lines().any(|line| line == "frozen 1")
}

/// Opens the file by which a process with one thread joins a cgroup: it writes `0`.
///
/// Version 1 has `tasks`, which moves a thread. That takes no lock of the whole node, where `cgroup.procs` waits for about 5 ms until
/// every processor has passed through the scheduler (an RCU grace period). Version 2 has nothing like it for other cgroups.
#[expect(
    clippy::disallowed_methods,
    reason = "the cgroup hierarchies are the kernel's: no container can put a link there"
)]
pub(crate) fn open_for_joining(folder: &Path) -> Result<File, Failure> {
    let open = |name| File::options().write(true).open(folder.join(name));
    match open("tasks") {
        Err(error) if error.kind() == ErrorKind::NotFound => open("cgroup.procs"),
        other => other,
    }
    .at("cgroup", format!("opening {} to join it", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s30_a_cgroup_path_is_absolute_plain_and_two_levels_deep() {
        for good in ["/podwright/pod1", "/podwright/pod1/app", "/a-b/c.d"] {
            assert_eq!(check_path(Path::new(good)), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/",
            "//",
            "podwright/a",
            "/podwright",
            "/podwright/",
            "/a/../b",
            "/a//b",
            "/a/./b",
            "/a/b/",
            "/..",
        ] {
            assert!(check_path(Path::new(bad)).is_err(), "{bad:?}");
        }
    }
}
