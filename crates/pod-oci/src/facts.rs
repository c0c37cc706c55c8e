//! What a spec is made from besides the configs (facts of node, sandbox and container), and what comes out besides the spec.

use pod_model::ids::HostPath;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What this node is and may do; the same for every container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Which cgroup version its containers live in.
    pub cgroup: CgroupLayout,
    /// The node daemon's own bounding set (`CapBnd` of /proc/self/status): nothing beyond it can be granted.
    pub bounding: u64,
    /// Whether the hugetlb controller is there.
    pub hugetlb: bool,
    /// Whether swap is accounted, so that memory and swap together can be limited.
    pub swap: bool,
    /// `/sys/devices/system/cpu/cpuN/thermal_throttle` of every cpu that has it: masked as Kubernetes 1.36 asks.
    pub thermal_throttle: Vec<PathBuf>,
    /// Device nodes below /dev, given to privileged containers.
    pub devices: Vec<HostDevice>,
    /// Which architecture's system calls the default filter speaks of.
    pub machine: Machine,
    /// Whether AppArmor profiles can be applied.
    pub app_armor: AppArmorSupport,
}

/// Whether the node can apply AppArmor profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppArmorSupport {
    /// It can, and the default one is loaded.
    Ready,
    /// It cannot, for this reason.
    Missing(String),
}

/// How control groups are mounted on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupLayout {
    /// Version 1 (hybrid included: its version 2 tree holds no controllers).
    V1(Vec<Hierarchy>),
    /// Version 2.
    V2,
}

/// One version 1 controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// The controller's name, such as `memory`.
    pub controller: String,
    /// Where its hierarchy is mounted.
    pub mount: HostPath,
}

/// A device node of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostDevice {
    /// Its path below /dev.
    pub path: PathBuf,
    /// Block device, else character device.
    pub block: bool,
    /// Major number.
    pub major: i64,
    /// Minor number.
    pub minor: i64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Architecture of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "names are those of the architectures")]
pub enum Machine {
    X86_64,
    Aarch64,
}

/// Where a running sandbox's parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxPaths {
    /// The pause process's network namespace, as a path that setns can open.
    pub net: HostPath,
    /// Likewise IPC.
    pub ipc: HostPath,
    /// Likewise UTS.
    pub uts: HostPath,
    /// Likewise PID.
    pub pid: HostPath,
    /// Folder of the shared /dev/shm.
    pub shm: HostPath,
    /// File for /etc/hosts.
    pub hosts: HostPath,
    /// File for /etc/hostname.
    pub hostname: HostPath,
    /// File for /etc/resolv.conf.
    pub resolv_conf: HostPath,
}

/// Where one container's parts are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerPaths {
    /// What each of the config's mounts stands for, in the same order.
    pub volumes: Vec<ResolvedMount>,
    /// Its termination message file.
    pub termination_file: Option<HostPath>,
    /// Text of its Localhost seccomp profile.
    pub seccomp_profile: Option<String>,
    /// PID namespace of the container that it joins.
    pub pid_target: Option<HostPath>,
}

/// What a mount's source turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedMount {
    /// Path that can be bound.
    pub source: HostPath,
    /// Whether it is a folder.
    pub folder: bool,
}

/// What a spec says in other words: for the launcher, the verification and the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Uid of the first process.
    pub uid: u32,
    /// Its gid.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
    /// What the node cannot give, each in words for the status.
    pub clamped: Vec<String>,
    /// Folders to have in the root file system before anything is mounted.
    pub make_dirs: Vec<PathBuf>,
    /// Empty files to have likewise.
    pub make_files: Vec<PathBuf>,
    /// What the created process must look like.
    pub expected: Expected,
}

/// What a created process must look like in /proc before it may start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Capability sets, bit n = capability n.
    pub cap_inheritable: u64,
    /// Permitted set.
    pub cap_permitted: u64,
    /// Effective set.
    pub cap_effective: u64,
    /// Bounding set.
    pub cap_bounding: u64,
    /// Ambient set.
    pub cap_ambient: u64,
    /// Whether a system call filter is in force.
    pub seccomp: bool,
    /// no_new_privs.
    pub no_new_privileges: bool,
    /// Uid.
    pub uid: u32,
    /// Gid.
    pub gid: u32,
    /// Supplementary groups, as a set.
    pub groups: Vec<u32>,
    /// For each kind of namespace, whose it must be.
    pub namespaces: BTreeMap<&'static str, NamespaceOf>,
    /// Paths that must be covered if they exist.
    pub masked: Vec<PathBuf>,
    /// Paths that must be read-only mounts if they exist.
    pub read_only: Vec<PathBuf>,
    /// Whether `/` must be read-only.
    pub read_only_rootfs: bool,
    /// Its cgroup.
    pub cgroup: String,
    /// Working directory.
    pub cwd: PathBuf,
}

/// Whose namespace a process is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamespaceOf {
    /// The node's.
    Node,
    /// The pause process's.
    Sandbox,
    /// Neither of the two.
    Own,
}

/// Why no spec can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what the fields are")]
pub enum OciError {
    #[error("no command specified: neither the container nor its image names a program")]
    NoCommand,
    #[error("image user {user:?}: {problem}")]
    User { user: String, problem: String },
    #[error("runAsGroup {group} needs runAsUser: set both or neither")]
    GroupWithoutUser { group: u32 },
    #[error(
        "container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})"
    )]
    RunAsUserIsRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})"
    )]
    ImageRunsAsRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: \"{pod}\", container: {container})"
    )]
    ImageUserNotNumeric {
        user: String,
        pod: String,
        container: String,
    },
    #[error(
        "container has runAsNonRoot and image has an invalid user id ({uid}). (Must be 1-(2147483647)): must be between 0 and 2147483647, inclusive (pod: \"{pod}\", container: {container})"
    )]
    ImageUidInvalid {
        uid: i64,
        pod: String,
        container: String,
    },
    #[error("unknown capability {name:?}: names are those of capabilities(7) without CAP_, or ALL")]
    UnknownCapability { name: String },
    #[error("environment variable {name:?}: {problem}")]
    Env { name: String, problem: &'static str },
    #[error("argument {text:?} holds a NUL byte, which no program can be given")]
    NulInArgument { text: String },
    #[error("workingDir {path:?}: {problem}")]
    WorkingDir { path: String, problem: &'static str },
    #[error("volumeMount {volume:?} at {target:?}: {problem}")]
    MountTarget {
        volume: String,
        target: PathBuf,
        problem: &'static str,
    },
    #[error(
        "volumeMounts of one container ask for different mount propagation ({first} at {first_target:?}, {second} at {second_target:?}): give them the same mountPropagation, or use two containers"
    )]
    MixedPropagation {
        first: &'static str,
        first_target: PathBuf,
        second: &'static str,
        second_target: PathBuf,
    },
    #[error(
        "volumeMount {volume:?}: mountPropagation Bidirectional is for privileged containers only"
    )]
    BidirectionalUnprivileged { volume: String },
    #[error(
        "volumeMount {volume:?}: recursiveReadOnly needs readOnly: true and no mount propagation"
    )]
    RecursiveReadOnly { volume: String },
    #[error("seccomp profile {path:?}: {cause}")]
    SeccompProfile { path: PathBuf, cause: String },
    #[error("Cannot enforce AppArmor: {cause}")]
    AppArmor { cause: String },
    #[error("cgroup of container {id:?}: {cause}")]
    Cgroup { id: String, cause: String },
    #[error("{what} of the container was not resolved before its spec was asked for")]
    NotResolved { what: String },
    #[error("sysctl {name:?}: {problem}")]
    Sysctl { name: String, problem: &'static str },
    #[error("hostname {name:?}: {problem}")]
    Hostname { name: String, problem: &'static str },
}
