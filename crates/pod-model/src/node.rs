//! What a pod may need to know of the node that it runs on.

use crate::common::ResourceList;
use crate::ids::{CgroupPath, HostPath, NodeName};
use serde::{Deserialize, Serialize};

/// Which cgroup hierarchy holds the resource controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupVersion {
    /// One hierarchy a controller (hybrid layouts included).
    V1,
    /// The unified hierarchy.
    V2,
}

/// Facts about the node, gathered once by the node daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// Its name.
    pub name: NodeName,
    /// Its addresses, the main one first.
    pub ips: Vec<String>,
    /// All of its memory in bytes.
    pub memory_capacity: i64,
    /// What pods may use of it.
    pub allocatable: ResourceList,
    /// Text of its resolv.conf; `None` where the node gives pods none (kubelet `resolvConf: ""`).
    pub resolv_conf: Option<String>,
    /// Text of its /etc/hosts, for pods in its network namespace.
    pub hosts: String,
    /// Name servers of the cluster; empty where there is no cluster DNS.
    pub cluster_dns: Vec<String>,
    /// DNS name of the cluster, such as `cluster.local`; "" where there is none.
    pub cluster_domain: String,
    /// Sizes in bytes of the huge pages that it has.
    pub page_sizes: Vec<i64>,
    /// Which cgroup version it runs.
    pub cgroup_version: CgroupVersion,
    /// Whether its cgroups can limit swap.
    pub swap_controller: bool,
    /// Whether it can make a mount and all below it read-only (Linux 5.12).
    pub recursive_read_only: bool,
    /// Whether containers that name no seccomp profile get the default one.
    pub seccomp_default: bool,
    /// Folder of the seccomp profiles that pods name by `localhostProfile`.
    pub seccomp_root: HostPath,
    /// Where pods' cgroups begin, such as `/podwright`.
    pub cgroup_root: CgroupPath,
    /// Where pods' logs go, such as `/var/log/pods`.
    pub log_root: HostPath,
}
