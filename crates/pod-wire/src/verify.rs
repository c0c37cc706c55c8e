//! What a created container must look like in /proc before it is started.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Expectations, from the bundle that was asked for. The supervisor reads each back and kills the container on a mismatch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// Capability sets as bit masks (bit n = capability number n), as in /proc/PID/status.
    pub cap_inheritable: u64,
    /// Permitted set.
    pub cap_permitted: u64,
    /// Effective set.
    pub cap_effective: u64,
    /// Bounding set.
    pub cap_bounding: u64,
    /// Ambient set.
    pub cap_ambient: u64,
    /// Whether a seccomp filter is in force (mode 2).
    pub seccomp: bool,
    /// no_new_privs.
    pub no_new_privileges: bool,
    /// Real, effective, saved and file-system uid.
    pub uid: u32,
    /// Likewise the gid.
    pub gid: u32,
    /// Supplementary groups, as a set.
    pub groups: Vec<u32>,
    /// For each namespace kind (`net`, `ipc`, `uts`, `pid`, `mnt`, `cgroup`, `user`): whose it must be.
    pub namespaces: BTreeMap<String, NamespaceOf>,
    /// Paths inside the container that must be covered (by /dev/null or an empty tmpfs) if they exist.
    pub masked: Vec<PathBuf>,
    /// Paths inside the container that must be mounted read-only if they exist.
    pub read_only: Vec<PathBuf>,
    /// Whether `/` must be mounted read-only.
    pub read_only_rootfs: bool,
    /// The cgroup path, in every hierarchy that holds it.
    pub cgroup: String,
    /// Working directory inside the container.
    pub cwd: PathBuf,
}

/// Whose namespace a process must be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceOf {
    /// The node's: the supervisor's own.
    Node,
    /// The sandbox's: the pause process's.
    Sandbox,
    /// Neither the node's nor the sandbox's.
    Own,
}
