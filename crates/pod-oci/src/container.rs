//! The spec of a container.

use crate::facts::{ContainerPaths, Expected, Facts, NodeFacts, OciError, SandboxPaths};
use crate::{apparmor, capability, devices, mounts, namespaces, process, resources, seccomp, user};
use oci_spec::runtime::{Linux, LinuxDevice, Process, Root, Spec, User};
use pod_model::config::{ContainerConfig, ImageFacts, SandboxConfig};
use std::path::{Path, PathBuf};

/// Version of the OCI runtime specification that the specs are written for.
pub(crate) const OCI_VERSION: &str = "1.2.0";

/// Folder of the bundle on which the root file system is mounted.
pub(crate) const ROOTFS: &str = "rootfs";

/// What Kubernetes 1.36 masks in every container.
pub(crate) const MASKED_IN_PROC: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
];
const MASKED_IN_SYS: [&str; 2] = ["/sys/firmware", "/sys/devices/virtual/powercap"];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Makes the spec of a container in a running sandbox, and says what it means.
///
/// `oomScoreAdj` and rlimits are absent: libcontainer's create fails where the node may not set them, and it would change its caller;
/// the launcher writes oom_score_adj. `noNewPrivileges` is true or absent: false with a seccomp filter makes create fail.
pub fn spec(
    container: &ContainerConfig,
    sandbox: &SandboxConfig,
    image: &ImageFacts,
    node: &NodeFacts,
    paths: &SandboxPaths,
    own: &ContainerPaths,
) -> Result<(Spec, Facts), OciError> {
    let security = &container.security;
    let pod = format!(
        "{}_{}({})",
        sandbox.pod.name, sandbox.pod.namespace, sandbox.pod.uid
    );
    user::verify_non_root(security, &image.user, &pod, container.name.as_str())?;
    let ids = user::resolve(security, image)?;
    let cgroup = sandbox
        .cgroup_parent
        .child(container.id.as_str())
        .map_err(|e| OciError::Cgroup {
            id: container.id.to_string(),
            cause: e.to_string(),
        })?;
    let (sets, mut clamped) = capability::sets(security, ids.uid, node.bounding)?;
    let filter = seccomp::filter(
        &security.seccomp,
        security.privileged,
        own.seccomp_profile.as_deref(),
        sets,
        node.machine,
    )?;
    let (list, whose) = namespaces::of_container(container, sandbox, &node.cgroup, paths, own)?;
    let mounts = mounts::of_container(container, sandbox, node, paths, own, &cgroup)?;
    let cwd = process::working_dir(container, image)?;
    let env = process::environment(container, image, sandbox.hostname.as_deref(), &ids.home)?;
    let (masked, read_only) = covered(security.privileged || security.unmasked_proc, node);

    let mut user = User::default();
    user.set_uid(ids.uid)
        .set_gid(ids.gid)
        .set_additional_gids(Some(ids.groups.clone()));
    let mut first = Process::default();
    first
        .set_terminal(Some(container.tty))
        .set_user(user)
        .set_args(Some(process::arguments(container, image)?))
        .set_env(Some(env))
        .set_cwd(cwd.clone())
        .set_capabilities(Some(sets.to_spec()))
        .set_no_new_privileges(security.no_new_privileges.then_some(true))
        .set_apparmor_profile(apparmor::profile(security, &node.app_armor)?)
        .set_rlimits(None)
        .set_oom_score_adj(None);
    let mut linux = empty_linux();
    linux
        .set_namespaces(Some(list))
        .set_resources(Some(resources::of(
            &container.resources,
            security.privileged,
            node,
            &mut clamped,
        )))
        .set_cgroups_path(Some(PathBuf::from(cgroup.as_str())))
        .set_devices(some_devices(security.privileged, node, &mounts.list))
        .set_masked_paths(Some(texts(&masked)))
        .set_readonly_paths(Some(texts(&read_only)))
        .set_rootfs_propagation(Some(mounts.propagation.to_owned()));
    let filtered = filter.is_some();
    linux.set_seccomp(filter);
    let spec = assemble(first, mounts.list, linux, None, security.read_only_rootfs);

    let expected = Expected {
        cap_inheritable: 0,
        cap_permitted: sets.effective,
        cap_effective: sets.effective,
        cap_bounding: sets.bounding,
        cap_ambient: 0,
        seccomp: filtered,
        no_new_privileges: security.no_new_privileges,
        uid: ids.uid,
        gid: ids.gid,
        groups: ids.groups.clone(),
        namespaces: whose,
        masked,
        read_only,
        read_only_rootfs: security.read_only_rootfs,
        cgroup: cgroup.as_str().to_owned(),
        cwd: cwd.clone(),
    };
    let mut make_dirs = mounts.make_dirs;
    if !under_a_mount(&cwd, &spec) {
        make_dirs.push(cwd);
    }
    let facts = Facts {
        uid: ids.uid,
        gid: ids.gid,
        groups: ids.groups,
        clamped,
        make_dirs,
        make_files: mounts.make_files,
        expected,
    };
    Ok((spec, facts))
}

/// Puts the parts together; nothing of oci-spec's own defaults is left in.
pub(crate) fn assemble(
    process: Process,
    mounts: Vec<oci_spec::runtime::Mount>,
    linux: Linux,
    hostname: Option<String>,
    read_only: bool,
) -> Spec {
    let mut root = Root::default();
    root.set_path(PathBuf::from(ROOTFS))
        .set_readonly(Some(read_only));
    let mut spec = Spec::default();
    spec.set_version(OCI_VERSION.to_owned())
        .set_root(Some(root))
        .set_mounts(Some(mounts))
        .set_process(Some(process))
        .set_hostname(hostname)
        .set_annotations(None)
        .set_linux(Some(linux));
    spec
}

/// A `linux` part that asks for nothing.
pub(crate) fn empty_linux() -> Linux {
    let mut linux = Linux::default();
    linux
        .set_uid_mappings(None)
        .set_gid_mappings(None)
        .set_sysctl(None)
        .set_resources(None)
        .set_cgroups_path(None)
        .set_namespaces(None)
        .set_devices(None)
        .set_seccomp(None)
        .set_rootfs_propagation(None)
        .set_masked_paths(None)
        .set_readonly_paths(None)
        .set_mount_label(None)
        .set_personality(None);
    linux
}

fn covered(unmasked: bool, node: &NodeFacts) -> (Vec<PathBuf>, Vec<PathBuf>) {
    if unmasked {
        return (Vec::new(), Vec::new());
    }
    let masked = MASKED_IN_PROC.iter().chain(&MASKED_IN_SYS);
    let thermal = node.thermal_throttle.iter().cloned();
    (
        masked.map(PathBuf::from).chain(thermal).collect(),
        READ_ONLY.iter().map(PathBuf::from).collect(),
    )
}

/// A privileged container has the node's devices, but not where something is mounted in /dev: it takes their place, and what lies in a
/// volume is not ours to make nodes in.
fn some_devices(
    privileged: bool,
    node: &NodeFacts,
    mounts: &[oci_spec::runtime::Mount],
) -> Option<Vec<LinuxDevice>> {
    let covered = |device: &LinuxDevice| {
        mounts.iter().any(|m| {
            m.destination() != Path::new("/dev") && device.path().starts_with(m.destination())
        })
    };
    privileged.then(|| {
        let mut nodes = devices::nodes(&node.devices);
        nodes.retain(|device| !covered(device));
        nodes
    })
}

fn under_a_mount(path: &Path, spec: &Spec) -> bool {
    let below = |m: &oci_spec::runtime::Mount| path.starts_with(m.destination());
    path == Path::new("/") || spec.mounts().iter().flatten().any(below)
}

pub(crate) fn texts(paths: &[PathBuf]) -> Vec<String> {
    paths
        .iter()
        .map(|p| p.to_string_lossy().into_owned())
        .collect()
}
