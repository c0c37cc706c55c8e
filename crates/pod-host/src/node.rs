//! What this node is and may do, read once.

use crate::apparmor;
use crate::cgroup::Layout;
use pod_model::ids::CgroupPath;
use pod_oci::{HostDevice, Machine, NodeFacts};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Gathers the facts. `cgroup_root` must exist already: which controllers it has is read from it.
pub(crate) fn gather(layout: &Layout, cgroup_root: &CgroupPath) -> io::Result<NodeFacts> {
    let root = cgroup_root.relative();
    let (hugetlb, swap) = if layout.is_v2() {
        let at = Path::new("/sys/fs/cgroup").join(root);
        let controllers = fs::read_to_string(at.join("cgroup.controllers")).unwrap_or_default();
        let hugetlb = controllers.split_whitespace().any(|c| c == "hugetlb");
        (hugetlb, at.join("memory.swap.max").exists())
    } else {
        let memory = layout.controller("memory");
        let swap = memory.is_some_and(|m| m.join("memory.memsw.limit_in_bytes").exists());
        (layout.controller("hugetlb").is_some(), swap)
    };
    Ok(NodeFacts {
        cgroup: layout.oci.clone(),
        bounding: bounding(&fs::read_to_string("/proc/self/status")?)?,
        hugetlb,
        swap,
        thermal_throttle: thermal(Path::new("/sys/devices/system/cpu")),
        devices: devices(Path::new("/dev")),
        machine: machine()?,
        app_armor: apparmor::ready(),
    })
}

fn machine() -> io::Result<Machine> {
    match std::env::consts::ARCH {
        "x86_64" => Ok(Machine::X86_64),
        "aarch64" => Ok(Machine::Aarch64),
        other => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("{other}: podwright knows x86_64 and aarch64"),
        )),
    }
}

fn bounding(status: &str) -> io::Result<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("CapBnd:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/self/status: no CapBnd"))
}

fn thermal(cpus: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(cpus) else {
        return Vec::new();
    };
    let is_cpu = |name: &str| {
        name.strip_prefix("cpu")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut out: Vec<PathBuf> = entries
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(is_cpu))
        .map(|e| e.path().join("thermal_throttle"))
        .filter(|p| p.exists())
        .collect();
    out.sort();
    out
}

/// Device nodes below /dev for privileged containers, as containerd finds them: no pseudo terminals, no shm, mqueue or console.
fn devices(dev: &Path) -> Vec<HostDevice> {
    const LEFT_OUT: [&str; 6] = ["pts", "shm", "fd", "mqueue", "console", "ptmx"];
    let mut out = Vec::new();
    let mut next = vec![dev.to_owned()];
    while let Some(folder) = next.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let left_out = folder == dev && LEFT_OUT.iter().any(|n| entry.file_name() == *n);
            let Ok(meta) = entry.metadata() else { continue };
            let kind = meta.file_type();
            if left_out {
                continue;
            }
            if kind.is_dir() {
                next.push(path);
            } else if kind.is_char_device() || kind.is_block_device() {
                out.push(HostDevice {
                    path,
                    block: kind.is_block_device(),
                    major: i64::from(rustix::fs::major(meta.rdev())),
                    minor: i64::from(rustix::fs::minor(meta.rdev())),
                    mode: meta.permissions().mode() & 0o7777,
                    uid: meta.uid(),
                    gid: meta.gid(),
                });
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounding_set_is_read_as_the_kernel_writes_it() {
        let status = "Name:\tx\nCapEff:\t0000000000000001\nCapBnd:\t000001fffeffffff\n";
        assert_eq!(bounding(status).unwrap(), 0x1ff_feff_ffff);
        assert!(bounding("Name:\tx\n").is_err());
    }

    #[test]
    fn device_nodes_are_found_and_terminals_left_out() {
        let found = devices(Path::new("/dev"));
        assert!(
            found
                .iter()
                .any(|d| d.path == Path::new("/dev/null") && !d.block)
        );
        assert!(!found.iter().any(|d| d.path.starts_with("/dev/pts")));
    }
}
