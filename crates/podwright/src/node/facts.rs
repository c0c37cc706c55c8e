//! What this node is: its name, addresses, memory and resolver, read once when the daemon starts.

use super::Places;
use anyhow::Result;
use pod_model::common::ResourceList;
use pod_model::ids::{CgroupPath, HostPath};
use pod_model::node::{CgroupVersion, NodeFacts};
use pod_model::quantity::Quantity;
use std::fs;
use std::path::Path;

/// Reads the facts. What cannot be read is left empty; nothing here is needed to start a pod.
pub fn read(places: &Places, cgroup_v2: bool) -> Result<NodeFacts> {
    let memory_capacity = memory_capacity();
    Ok(NodeFacts {
        name: name().into(),
        ips: addresses(),
        memory_capacity,
        allocatable: allocatable(memory_capacity)?,
        resolv_conf: resolv_conf(),
        hosts: fs::read_to_string("/etc/hosts").unwrap_or_default(),
        cluster_dns: Vec::new(),
        cluster_domain: "cluster.local".to_owned(),
        page_sizes: page_sizes(),
        cgroup_version: if cgroup_v2 {
            CgroupVersion::V2
        } else {
            CgroupVersion::V1
        },
        swap_controller: swap_controller(&places.cgroup_root, cgroup_v2),
        recursive_read_only: kernel_at_least(5, 12),
        seccomp_default: false,
        seccomp_root: HostPath::new(places.root.join("seccomp")),
        cgroup_root: places.cgroup_root.clone(),
        log_root: HostPath::new(places.logs.clone()),
    })
}

/// All processors and all memory: podwright reserves nothing for the node.
fn allocatable(memory: i64) -> Result<ResourceList> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let quantity = |text: String| {
        text.parse::<Quantity>()
            .map_err(|e| anyhow::anyhow!("{text}: {e}"))
    };
    Ok(ResourceList::from([
        ("cpu".to_owned(), quantity(processors.to_string())?),
        ("memory".to_owned(), quantity(memory.to_string())?),
    ]))
}

/// The node's resolver. systemd-resolved listens on a loopback address that no pod reaches, so its own list of servers is taken instead.
fn resolv_conf() -> Option<String> {
    let text = fs::read_to_string("/etc/resolv.conf").ok()?;
    if text.lines().any(|l| l.trim() == "nameserver 127.0.0.53") {
        return fs::read_to_string("/run/systemd/resolve/resolv.conf")
            .ok()
            .or(Some(text));
    }
    Some(text)
}

fn kernel_at_least(major: u32, minor: u32) -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release
        .split(['.', '-'])
        .map(|n| n.trim().parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// Whether memory cgroups count swap too (a boot parameter on v1).
fn swap_controller(cgroup_root: &CgroupPath, cgroup_v2: bool) -> bool {
    let base = Path::new("/sys/fs/cgroup");
    let file = if cgroup_v2 {
        base.join(cgroup_root.relative()).join("memory.swap.max")
    } else {
        base.join("memory/memory.memsw.limit_in_bytes")
    };
    file.exists()
}

fn name() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = text.trim();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_lowercase()
    }
}

/// Memory of the machine in bytes (`MemTotal`).
fn memory_capacity() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = line
        .and_then(|l| l.split_whitespace().next())
        .and_then(|n| n.parse::<i64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

/// Huge page sizes that the kernel knows, in bytes.
fn page_sizes() -> Vec<i64> {
    let folder = Path::new("/sys/kernel/mm/hugepages");
    let mut sizes: Vec<i64> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| {
            e.file_name()
                .to_str()?
                .strip_prefix("hugepages-")?
                .strip_suffix("kB")?
                .parse::<i64>()
                .ok()
        })
        .map(|kib| kib * 1024)
        .collect();
    sizes.sort_unstable();
    sizes
}

/// Addresses of this node but loopback and link-local ones, IPv4 first.
fn addresses() -> Vec<String> {
    let mut found: Vec<std::net::IpAddr> = nix::ifaddrs::getifaddrs()
        .into_iter()
        .flatten()
        .filter_map(|i| {
            let address = i.address?;
            let v4 = address
                .as_sockaddr_in()
                .map(|a| std::net::IpAddr::V4(a.ip()));
            v4.or_else(|| {
                address
                    .as_sockaddr_in6()
                    .map(|a| std::net::IpAddr::V6(a.ip()))
            })
        })
        .filter(|ip| match ip {
            std::net::IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            std::net::IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
        })
        .collect();
    found.sort();
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}
