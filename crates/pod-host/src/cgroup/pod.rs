//! The pod-level cgroup, by cgroups-rs, and the leaf that the node daemon itself lives in.

use super::classes::weigh_class;
use super::layout::Layout;
use crate::failure::At;
use cgroups_rs::Manager;
use cgroups_rs::fs::{Cgroup, hierarchies};
use cgroups_rs::manager::FsManager;
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};
use pod_driver::host::{HostError, HostErrorKind};
use pod_model::config::PodCgroup;
use pod_model::ids::CgroupPath;
use pod_oci::page_size_name;
use std::path::Path;

/// Leaf below the cgroup root for the daemon and its supervisors: version 2 allows no process in a cgroup that has children with
/// controllers, and none of ours may count as a pod's.
const SYSTEM: &str = "podwright-system";

/// Makes the pod's cgroup in every hierarchy and writes its values. Written again, they are the same.
pub(crate) fn ensure(
    layout: &Layout,
    root: &CgroupPath,
    cgroup: &CgroupPath,
    values: &PodCgroup,
) -> Result<(), HostError> {
    let other = HostErrorKind::Other;
    if !cgroup.is_within(root) || cgroup == root {
        return Err(HostError::new(
            other,
            format!("cgroup {cgroup}: not below this node's cgroup root {root}"),
        ));
    }
    let name = relative(cgroup)?;
    let making = || format!("cgroup {cgroup}: making it");
    if layout.folders(cgroup).iter().any(|f| !f.is_dir()) {
        Cgroup::new(hierarchies::auto(), name).at(other, making())?;
    }
    let mut manager = FsManager::new(name).at(other, making())?;
    let setting = || format!("cgroup {cgroup}: writing its values");
    manager
        .set(&resources(layout, values))
        .at(other, setting())?;
    for (file, value) in files(layout, values) {
        for folder in layout.folders(cgroup) {
            let path = folder.join(&file);
            if path.exists() {
                write(&path, &value).at_path(other, "cgroup: writing", &path)?;
            }
        }
    }
    weigh_class(layout, root, cgroup)
}

/// The cgroup of the node daemon and the supervisors.
pub(crate) fn own_leaf(root: &CgroupPath) -> Result<CgroupPath, HostError> {
    root.child(SYSTEM)
        .at(HostErrorKind::Other, "cgroup of the node daemon")
}

/// Moves this process into its own leaf, once, so that neither it nor what it starts is ever in a pod's cgroup.
pub(crate) fn leave_pods_alone(layout: &Layout, root: &CgroupPath) -> Result<(), HostError> {
    let other = HostErrorKind::Other;
    let leaf = own_leaf(root)?;
    if layout.is_v2() {
        // Without controllers yet: where this process itself is in `root`, they can be handed down only after it has left.
        for folder in layout.folders(&leaf) {
            std::fs::create_dir_all(&folder).at_path(other, "cgroup: making", &folder)?;
        }
    } else {
        Cgroup::new(hierarchies::auto(), relative(&leaf)?)
            .at(other, format!("cgroup {leaf}: making it"))?;
    }
    let pid = rustix::process::getpid().as_raw_nonzero().to_string();
    for folder in layout.folders(&leaf) {
        let path = folder.join("cgroup.procs");
        write(&path, &pid).at_path(other, "cgroup: moving the node daemon to", &path)?;
    }
    if layout.is_v2() {
        for mount in &layout.mounts {
            hand_down(mount, root)?;
        }
    }
    Ok(())
}

/// Controllers without which a pod's limits would silently not hold.
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

/// Version 2: gives the children of `root` their controllers, from the top of the hierarchy down. The kernel refuses it where processes are in
/// a cgroup on the way (cgroups(7), "no internal processes").
fn hand_down(mount: &Path, root: &CgroupPath) -> Result<(), HostError> {
    let fail = |cause: String| Err(HostError::new(HostErrorKind::Other, cause));
    let mut folder = mount.to_owned();
    let names = root.relative().components();
    for name in std::iter::once(None).chain(names.map(Some)) {
        if let Some(name) = name {
            folder.push(name);
        }
        let file = folder.join("cgroup.subtree_control");
        let given = std::fs::read_to_string(&file).at_path(
            HostErrorKind::Other,
            "cgroup: reading",
            &file,
        )?;
        let missing = NEEDED
            .iter()
            .filter(|c| !given.split_whitespace().any(|g| g == **c));
        for controller in missing {
            let Err(error) = write(&file, &format!("+{controller}")) else {
                continue;
            };
            let inside = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            let inside: Vec<&str> = inside.lines().collect();
            return if folder != mount && !inside.is_empty() {
                fail(format!(
                    "cgroup root {root}: {} has processes in it ({}), and cgroup v2 allows none where children have controllers: \
                     move them to a cgroup of their own, or name another one with --cgroup-root",
                    folder.display(),
                    inside.join(", ")
                ))
            } else {
                fail(format!(
                    "cgroup root {root}: {}: turning the controller {controller} on: {error}; without it limits of pods would not hold",
                    file.display()
                ))
            };
        }
    }
    Ok(())
}

/// What FsManager writes. Shares are given as version 1 has them: it makes the linear weight of them that the kubelet writes for pods.
/// On version 2 the memory limit is ours to write: FsManager would write memory.swap.max with it, which may not even be there.
fn resources(layout: &Layout, values: &PodCgroup) -> LinuxResources {
    let mut out = LinuxResources::default();
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(values.cpu_shares)
        .set_quota(values.cpu_quota)
        .set_period(values.cpu_period);
    if cpu != LinuxCpu::default() {
        out.set_cpu(Some(cpu));
    }
    if let (Some(limit), false) = (values.memory, layout.is_v2()) {
        let mut memory = LinuxMemory::default();
        memory.set_limit(Some(limit));
        out.set_memory(Some(memory));
    }
    out
}

/// Files that are ours to write, with their values. A file that a hierarchy does not have is not written there.
fn files(layout: &Layout, values: &PodCgroup) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (size, limit) in &values.huge_page_limit {
        let ending = if layout.is_v2() {
            "max"
        } else {
            "limit_in_bytes"
        };
        let file = format!("hugetlb.{}.{ending}", page_size_name(*size));
        out.push((file, limit.to_string()));
    }
    if layout.is_v2() {
        if let Some(limit) = values.memory {
            out.push(("memory.max".to_owned(), limit.to_string()));
        }
        out.extend(values.unified.clone());
    }
    out.retain(|(file, _)| !file.contains('/'));
    out
}

fn relative(cgroup: &CgroupPath) -> Result<&str, HostError> {
    let text = cgroup.relative().to_str().filter(|t| !t.is_empty());
    text.ok_or_else(|| HostError::new(HostErrorKind::Other, format!("cgroup {cgroup}: no path")))
}

fn write(path: &Path, value: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(value.as_bytes())
}
