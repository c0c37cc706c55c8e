//! Where the cgroup hierarchies of this node are mounted.

use pod_model::ids::{CgroupPath, HostPath};
use pod_oci::{CgroupLayout, Hierarchy};
use rustix::fs::statfs;
use std::io;
use std::path::{Path, PathBuf};

/// Where libcontainer and cgroups-rs look, and so do we.
const ROOT: &str = "/sys/fs/cgroup";

/// `CGROUP2_SUPER_MAGIC` (linux/magic.h).
const CGROUP2: i64 = 0x6367_7270;

/// Version 1 controllers that libcontainer puts a container into, where they are mounted.
const CONTROLLERS: [&str; 12] = [
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "hugetlb",
    "memory",
    "pids",
    "perf_event",
    "blkio",
    "net_prio",
    "net_cls",
    "freezer",
];

/// The cgroup hierarchies of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// For pod-oci.
    pub(crate) oci: CgroupLayout,
    /// Mount points that hold containers, each once.
    pub(crate) mounts: Vec<PathBuf>,
    /// Other cgroup mounts, in which cgroups-rs makes folders too (such as `name=systemd`).
    pub(crate) others: Vec<PathBuf>,
}

impl Layout {
    /// Every folder of that cgroup that a container is put into.
    pub(crate) fn folders(&self, cgroup: &CgroupPath) -> Vec<PathBuf> {
        let at = |m: &PathBuf| m.join(cgroup.relative());
        self.mounts.iter().map(at).collect()
    }

    /// Those, and those that are only made and removed.
    pub(crate) fn all_folders(&self, cgroup: &CgroupPath) -> Vec<PathBuf> {
        let at = |m: &PathBuf| m.join(cgroup.relative());
        self.mounts.iter().chain(&self.others).map(at).collect()
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.oci == CgroupLayout::V2
    }

    /// Mount point of a version 1 controller.
    pub(crate) fn controller(&self, name: &str) -> Option<&Path> {
        match &self.oci {
            CgroupLayout::V2 => None,
            CgroupLayout::V1(list) => list
                .iter()
                .find(|h| h.controller == name)
                .map(|h| h.mount.as_path()),
        }
    }
}

/// Looks at this node.
pub(crate) fn detect() -> io::Result<Layout> {
    if statfs(ROOT)?.f_type == CGROUP2 {
        return Ok(Layout {
            oci: CgroupLayout::V2,
            mounts: vec![PathBuf::from(ROOT)],
            others: Vec::new(),
        });
    }
    let found = parse(&std::fs::read_to_string("/proc/self/mountinfo")?);
    if found.mounts.is_empty() {
        let text = "no cgroup controllers are mounted below /sys/fs/cgroup";
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(found)
}

/// Reads a mountinfo of a node with version 1 controllers (proc_pid_mountinfo(5)).
fn parse(mountinfo: &str) -> Layout {
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    let mut mounts: Vec<PathBuf> = Vec::new();
    let mut others: Vec<PathBuf> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else {
            continue;
        };
        let Some(point) = mount.split(' ').nth(4).map(PathBuf::from) else {
            continue;
        };
        let mut words = file_system.split(' ');
        if words.next() != Some("cgroup") || !point.starts_with(ROOT) {
            continue;
        }
        let options = words.nth(1).unwrap_or_default();
        let named: Vec<&str> = options
            .split(',')
            .filter(|o| CONTROLLERS.contains(o))
            .collect();
        if named.is_empty() {
            others.push(point);
            continue;
        }
        for controller in named {
            if !hierarchies.iter().any(|h| h.controller == controller) {
                hierarchies.push(Hierarchy {
                    controller: controller.to_owned(),
                    mount: HostPath::new(point.clone()),
                });
            }
        }
        if !mounts.contains(&point) {
            mounts.push(point);
        }
    }
    Layout {
        oci: CgroupLayout::V1(hierarchies),
        mounts,
        others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
35 30 0:31 / /elsewhere/memory rw,relatime - cgroup cgroup rw,memory
36 30 0:32 / /sys/fs/cgroup/rdma rw,relatime - cgroup cgroup rw,rdma
";

    #[test]
    fn controllers_that_share_a_hierarchy_are_one_mount_and_two_names() {
        let layout = parse(HYBRID);
        assert_eq!(
            layout.mounts,
            [
                PathBuf::from("/sys/fs/cgroup/cpu,cpuacct"),
                PathBuf::from("/sys/fs/cgroup/memory")
            ]
        );
        let shared = Some(Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(layout.controller("cpuacct"), shared);
        assert_eq!(layout.controller("cpu"), shared);
        assert_eq!(layout.controller("hugetlb"), None);
        assert_eq!(layout.others.len(), 2);
    }

    #[test]
    fn this_node_has_a_layout_that_is_really_there() {
        let layout = detect().unwrap();
        for mount in layout.mounts {
            assert!(mount.join("cgroup.procs").exists(), "{}", mount.display());
        }
    }
}
