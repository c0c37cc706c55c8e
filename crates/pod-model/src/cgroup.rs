//! Values of a pod's cgroup and of its containers' cgroups, from what they ask for.

use crate::common::{ResourceList, Resources};
use crate::config::{ContainerResources, PodCgroup};
use crate::cpu::{MIN_SHARES, QUOTA_PERIOD, milli_cpu_to_quota, milli_cpu_to_shares};
use crate::ids::ContainerName;
use crate::node::{CgroupVersion, NodeFacts};
use crate::oom::oom_score_adj;
use crate::pod::{Container, Pod};
use crate::qos::qos_class;
use crate::quantity::Quantity;
use crate::resources::{
    Aggregate, CPU, HUGE_PAGES, MEMORY, Options, Side, aggregate, amount, has_pod_level_resources,
    pod_limits, pod_requests,
};
use crate::status::QosClass;
use std::collections::BTreeMap;

/// How a node applies what pods ask for. The default is the kubelet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodCgroupPolicy {
    /// Whether cpu limits are enforced (`cpuCFSQuota`).
    pub enforce_cpu_limits: bool,
    /// Period of cpu quotas in µs.
    pub cpu_period: u64,
    /// Whether v2 protects requested memory: `memory.min` of Guaranteed pods, `memory.low` of the others.
    pub reserve_memory: bool,
}

impl Default for PodCgroupPolicy {
    fn default() -> Self {
        Self {
            enforce_cpu_limits: true,
            cpu_period: QUOTA_PERIOD.unsigned_abs(),
            reserve_memory: false,
        }
    }
}

/// Values of the pod-level cgroup.
///
/// It is as large as the pod's largest moment and stays so: for a Guaranteed pod shares, quota and memory; for a Burstable one shares, and
/// quota or memory only where every container has such a limit; for a BestEffort one the least shares. Page sizes that the pod does
/// not name are not in it: [`limit_other_page_sizes`].
pub fn pod_cgroup(pod: &Pod, policy: &PodCgroupPolicy) -> PodCgroup {
    let options = Options::default();
    let requests = pod_requests(pod, &options);
    let limits = pod_limits(pod, &options);
    let class = qos_class(pod);
    let quota = if policy.enforce_cpu_limits {
        let period = i64::try_from(policy.cpu_period).unwrap_or(QUOTA_PERIOD);
        milli_cpu_to_quota(amount(&limits, CPU).milli_value(), period)
    } else {
        -1
    };
    let declared =
        |name: &str| class == QosClass::Guaranteed || without_limit(pod, name).is_empty();
    let mut values = PodCgroup {
        cpu_shares: Some(milli_cpu_to_shares(amount(&requests, CPU).milli_value())),
        huge_page_limit: huge_page_limits(&requests),
        ..PodCgroup::default()
    };
    if class == QosClass::BestEffort {
        values.cpu_shares = Some(MIN_SHARES);
    } else {
        if declared(CPU) {
            values.cpu_quota = Some(quota);
            values.cpu_period = Some(policy.cpu_period);
        }
        if declared(MEMORY) {
            values.memory = Some(amount(&limits, MEMORY).value());
        }
    }
    let memory_request = amount(&requests, MEMORY).value();
    if policy.reserve_memory && memory_request > 0 {
        let file = if class == QosClass::Guaranteed {
            "memory.min"
        } else {
            "memory.low"
        };
        values
            .unified
            .insert(file.to_owned(), memory_request.to_string());
    }
    values
}

/// The containers that have no limit of that resource (`cpu` or `memory`), so that the pod's limit is not applied to the pod as a whole.
/// Empty if `spec.resources` has one. A sidecar before an init container lends it its limit.
pub fn without_limit(pod: &Pod, name: &str) -> Vec<ContainerName> {
    let pod_level = pod
        .spec
        .resources
        .as_ref()
        .filter(|_| has_pod_level_resources(pod))
        .is_some_and(|r| !amount(&r.limits, name).is_zero());
    if pod_level {
        return Vec::new();
    }
    let Aggregate { uses, .. } = aggregate(pod, Side::Limits, &Options::default());
    uses.iter()
        .filter(|u| amount(&u.counted, name).is_zero())
        .map(|u| u.container.name.clone())
        .collect()
}

/// Limit in bytes of each page size in bytes that the list names; two spellings of one size are added. A size that cannot be read
/// counts as 0, which no node has.
pub fn huge_page_limits(list: &ResourceList) -> BTreeMap<i64, i64> {
    let mut limits = BTreeMap::new();
    for (name, quantity) in list {
        if name.starts_with(HUGE_PAGES) {
            let limit: &mut i64 = limits.entry(page_size(name).unwrap_or(0)).or_default();
            *limit = limit.saturating_add(quantity.value());
        }
    }
    limits
}

/// The page size in bytes of a resource `hugepages-…`.
fn page_size(resource: &str) -> Option<i64> {
    let size: Quantity = resource.strip_prefix(HUGE_PAGES)?.parse().ok()?;
    Some(size.value())
}

/// Adds a limit of 0 for every page size of the node that is not in it, and leaves out sizes that the node does not have: there is
/// no file to write them to.
pub fn limit_other_page_sizes(limits: &mut BTreeMap<i64, i64>, page_sizes: &[i64]) {
    limits.retain(|size, _| page_sizes.contains(size));
    for size in page_sizes {
        limits.entry(*size).or_insert(0);
    }
}

/// Limit in bytes of every page size of the node for a container: its own limits, else the pod's, else 0.
pub fn container_huge_page_limits(
    pod: &Pod,
    resources: &Resources,
    page_sizes: &[i64],
) -> BTreeMap<i64, i64> {
    let pod_level = pod.spec.resources.as_ref().map(|r| &r.limits);
    let mut named: BTreeMap<i64, i64> = BTreeMap::new();
    for (name, quantity) in pod_level.into_iter().chain([&resources.limits]).flatten() {
        if let Some(size) = page_size(name) {
            named.insert(size, quantity.value());
        }
    }
    page_sizes
        .iter()
        .map(|size| (*size, named.get(size).copied().unwrap_or(0)))
        .collect()
}

/// How a node makes a container's cgroup values. The default is the kubelet's on cgroup v2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerCgroupPolicy {
    /// Which version's files are meant.
    pub cgroup_version: CgroupVersion,
    /// Whether cpu limits are enforced (`cpuCFSQuota`).
    pub enforce_cpu_limits: bool,
    /// Period of cpu quotas in µs.
    pub cpu_period: i64,
    /// The container owns its cpus: no quota (-1).
    pub exclusive_cpus: bool,
    /// When memory runs out, kill one process and not the whole container (v2; v1 always does).
    pub single_process_oom_kill: bool,
}

impl ContainerCgroupPolicy {
    /// The kubelet's on that cgroup version.
    pub fn new(cgroup_version: CgroupVersion) -> Self {
        Self {
            cgroup_version,
            enforce_cpu_limits: true,
            cpu_period: QUOTA_PERIOD,
            exclusive_cpus: false,
            single_process_oom_kill: cgroup_version == CgroupVersion::V1,
        }
    }
}

/// Cpu and memory values of a container's cgroup. A request that is absent is as large as the limit; one of zero is none.
pub fn cpu_and_memory(
    cpu_request: Option<&Quantity>,
    cpu_limit: &Quantity,
    memory_limit: &Quantity,
    policy: &ContainerCgroupPolicy,
) -> ContainerResources {
    let mut values = ContainerResources {
        cpu_shares: Some(milli_cpu_to_shares(
            cpu_request.unwrap_or(cpu_limit).milli_value(),
        )),
        memory_limit: Some(memory_limit.value()).filter(|bytes| *bytes != 0),
        ..ContainerResources::default()
    };
    if policy.enforce_cpu_limits {
        let quota = if policy.exclusive_cpus {
            -1
        } else {
            milli_cpu_to_quota(cpu_limit.milli_value(), policy.cpu_period)
        };
        values.cpu_quota = Some(quota).filter(|quota| *quota != 0);
        values.cpu_period = u64::try_from(policy.cpu_period).ok();
    }
    if policy.cgroup_version == CgroupVersion::V2 && !policy.single_process_oom_kill {
        values
            .unified
            .insert("memory.oom.group".to_owned(), "1".to_owned());
    }
    values
}

/// The cpu and memory limit that a container's cgroup gets: its own, else the pod's.
pub fn limit_of(pod: &Pod, container: &Container, name: &str) -> Quantity {
    let own = amount(&container.resources.limits, name);
    match &pod.spec.resources {
        Some(resources) if own.is_zero() && has_pod_level_resources(pod) => {
            amount(&resources.limits, name)
        }
        _ => own,
    }
}

/// All values of a container's own cgroup.
pub fn container_resources(
    pod: &Pod,
    container: &Container,
    node: &NodeFacts,
) -> ContainerResources {
    let policy = ContainerCgroupPolicy::new(node.cgroup_version);
    let mut values = cpu_and_memory(
        container.resources.requests.get(CPU),
        &limit_of(pod, container, CPU),
        &limit_of(pod, container, MEMORY),
        &policy,
    );
    values.huge_page_limit =
        container_huge_page_limits(pod, &container.resources, &node.page_sizes);
    values.oom_score_adj = oom_score_adj(pod, container, node.memory_capacity);
    if node.swap_controller && node.cgroup_version == CgroupVersion::V2 {
        values
            .unified
            .insert("memory.swap.max".to_owned(), "0".to_owned());
    }
    values
}

#[cfg(test)]
mod tests;
