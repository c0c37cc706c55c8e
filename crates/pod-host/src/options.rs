//! What a host is opened with.

use crate::steps::Steps;
use pod_model::ids::CgroupPath;
use std::path::PathBuf;

/// Where a host works, and with which programs.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// What survives a reboot, such as `/var/lib/podwright`. Used by one host at a time: the caller holds the lock.
    pub root: PathBuf,
    /// What does not, such as `/run/podwright`; a tmpfs.
    pub run: PathBuf,
    /// Nothing outside this cgroup is ever touched.
    pub cgroup_root: CgroupPath,
    /// Where pods' logs go, such as `/var/log/pods`.
    pub log_root: PathBuf,
    /// The programs.
    pub programs: Programs,
    /// Grows with every start of the node daemon: supervisors refuse older ones.
    pub generation: u64,
    /// Whether a supervisor has the next launcher wait for a second after a create or an exit: starts are faster, idle pods cost nothing.
    pub launcher_ahead: bool,
    /// How long container logs grow.
    pub logs: LogLimits,
    /// For tests: what becomes of each step. A real node has [`Steps::default`].
    pub steps: Steps,
}

/// The programs that a host starts.
#[derive(Clone, Debug)]
pub struct Programs {
    /// podwright-supervisor.
    pub supervisor: PathBuf,
    /// podwright-launch: copied once into sealed memory.
    pub launch: PathBuf,
    /// podwright-pause: copied once into a root file system of its own.
    pub pause: PathBuf,
}

/// How long container logs grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// A file is rotated before it passes this many bytes.
    pub max_bytes: u64,
    /// So many files are kept, the current one included.
    pub max_files: u32,
}

impl Default for LogLimits {
    /// The kubelet's: 10 MiB, 5 files.
    fn default() -> Self {
        Self {
            max_bytes: 10 << 20,
            max_files: 5,
        }
    }
}
