//! Namespaces: joining those of a process by its pidfd, and telling one from another.

use rustix::fs::{AtFlags, statat};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;

/// Kinds that are compared, by their names in `/proc/PID/ns`.
const KINDS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// Which namespace of each kind a process is in: device and inode number of the namespace file.
pub type Identities = BTreeMap<&'static str, (u64, u64)>;

/// Joins every namespace of the process behind `pidfd` but its user and time namespaces, at once or not at all. The PID
/// namespace is that of the children from here on; root and working directory become those of the mount namespace.
///
/// # Errors
/// Those of `setns`: `ESRCH` when the process has ended; `EINVAL` for a caller with several threads.
pub fn join(pidfd: impl AsFd) -> io::Result<()> {
    let kinds = ThreadNameSpaceType::CONTROL_GROUP
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::PROCESS_ID;
    Ok(move_into_thread_name_spaces(pidfd.as_fd(), kinds)?)
}

/// The namespaces of a process, given a handle of its folder in a procfs. For `self` in a procfs of another PID namespace than
/// one's own, that procfs still knows the caller by the number it has there.
///
/// # Errors
/// Those of `statx`: `ENOENT` or `ESRCH` when the process has ended.
pub fn identities(proc: impl AsFd, process: &str) -> io::Result<Identities> {
    let mut found = Identities::new();
    for kind in KINDS {
        let stat = statat(&proc, format!("{process}/ns/{kind}"), AtFlags::empty())?;
        found.insert(kind, (stat.st_dev, stat.st_ino));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::folder;
    use std::path::Path;

    #[test]
    fn a_process_and_its_child_are_in_the_same_namespaces() {
        let proc = folder(Path::new("/proc")).unwrap();
        let own = identities(&proc, "self").unwrap();
        assert_eq!(own.len(), KINDS.len());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let other = identities(&proc, &child.id().to_string());
        let _ = child.kill();
        let _ = child.wait();
        assert_eq!(other.unwrap(), own);
    }
}
