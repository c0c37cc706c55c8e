//! Values of a container's own cgroup.

use crate::devices;
use crate::facts::{CgroupLayout, NodeFacts};
use oci_spec::runtime::{LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxResources};
use pod_model::config::ContainerResources;

/// Version 2 keys that say what version 1 does anyway, or has no word for: left out there without a note.
const ONLY_V2: [&str; 2] = ["memory.oom.group", "memory.swap.max"];

/// The resources for the spec; what the node cannot do is added to `clamped`.
///
/// pids is never set: a limit of 1 or 0 makes libcontainer's create fail, and Kubernetes sets it at pod level only.
pub(crate) fn of(
    asked: &ContainerResources,
    privileged: bool,
    node: &NodeFacts,
    clamped: &mut Vec<String>,
) -> LinuxResources {
    let mut out = LinuxResources::default();
    out.set_devices(Some(devices::rules(privileged)));
    let cpu = cpu(asked);
    if cpu != LinuxCpu::default() {
        out.set_cpu(Some(cpu));
    }
    if let Some(limit) = asked.memory_limit.filter(|l| *l != 0) {
        let mut memory = LinuxMemory::default();
        memory.set_limit(Some(limit));
        // The same limit for memory and swap together: no swap, as containerd does under the kubelet.
        if node.swap {
            memory.set_swap(Some(limit));
        }
        out.set_memory(Some(memory));
    }
    if node.hugetlb {
        let limits: Vec<LinuxHugepageLimit> = asked
            .huge_page_limit
            .iter()
            .map(|(size, limit)| huge_page(*size, *limit))
            .collect();
        if !limits.is_empty() {
            out.set_hugepage_limits(Some(limits));
        }
    } else if asked.huge_page_limit.values().any(|limit| *limit != 0) {
        clamped.push("huge page limits: not set, this node has no hugetlb controller".into());
    }
    match node.cgroup {
        CgroupLayout::V2 if !asked.unified.is_empty() => {
            out.set_unified(Some(asked.unified.clone().into_iter().collect()));
        }
        CgroupLayout::V2 => {}
        CgroupLayout::V1(_) => {
            let lost = asked
                .unified
                .keys()
                .filter(|key| !ONLY_V2.contains(&key.as_str()));
            clamped.extend(lost.map(|key| format!("{key}: not set, this node has cgroup v1")));
        }
    }
    out
}

fn cpu(asked: &ContainerResources) -> LinuxCpu {
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(asked.cpu_shares.filter(|n| *n != 0))
        .set_quota(asked.cpu_quota.filter(|n| *n != 0))
        .set_period(asked.cpu_period.filter(|n| *n != 0));
    cpu
}

fn huge_page(size: i64, limit: i64) -> LinuxHugepageLimit {
    let mut out = LinuxHugepageLimit::default();
    out.set_page_size(page_size_name(size)).set_limit(limit);
    out
}

/// A page size as the kernel names its files: `64KB`, `2MB`, `1GB`.
pub fn page_size_name(bytes: i64) -> String {
    const UNITS: [(i64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    UNITS
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes % unit == 0)
        .map_or_else(
            || format!("{bytes}B"),
            |(unit, name)| format!("{}{name}", bytes / unit),
        )
}
