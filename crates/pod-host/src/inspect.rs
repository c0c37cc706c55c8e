//! What can be said of the runtime half from outside, and taking away what a daemon that has ended leaves.

use crate::cgroup;
use crate::host::NodeHost;
use pod_driver::host::HostResult;
use pod_model::ids::{CgroupPath, PodUid};
use pod_model::runtime::RunState;
use pod_model::stats::{ContainerStats, PodStats};

/// One process that podwright runs beside containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperProcess {
    /// Its pid.
    pub pid: i32,
    /// `supervisor` or `pause`.
    pub role: &'static str,
    /// Whose pause process it is.
    pub pod: Option<PodUid>,
}

impl NodeHost {
    /// Whether the unified hierarchy holds the controllers.
    pub fn is_cgroup_v2(&self) -> bool {
        self.node().layout.is_v2()
    }

    /// `v1`, `hybrid` (v1 controllers beside a unified mount without any) or `v2`.
    pub fn cgroup_layout(&self) -> &'static str {
        if self.is_cgroup_v2() {
            "v2"
        } else if std::path::Path::new("/sys/fs/cgroup/unified/cgroup.procs").exists() {
            "hybrid"
        } else {
            "v1"
        }
    }

    /// What a pod and its running containers use now, as their cgroups say.
    pub fn stats(&self, pod: &PodUid) -> PodStats {
        let node = self.node();
        let state = node.state();
        let Some(found) = state.pod(pod) else {
            return PodStats::default();
        };
        let sandbox = found.sandboxes.first();
        let parent = sandbox
            .map(|s| &s.config.cgroup_parent)
            .or_else(|| found.whole.as_ref().map(|w| &w.cgroup));
        let Some(parent) = parent else {
            return PodStats::default();
        };
        let running = found.runtime().containers;
        let running = running.iter().filter(|c| c.state == RunState::Running);
        let containers = running.filter_map(|c| {
            let cgroup = parent.child(c.id.as_str()).ok()?;
            let usage = cgroup::usage(&node.layout, &cgroup)?;
            Some(ContainerStats {
                name: c.name.to_string(),
                usage,
            })
        });
        PodStats {
            containers: containers.collect(),
            pod: cgroup::usage(&node.layout, parent),
        }
    }

    /// Supervisors and pause processes that run, as the cgroups have them.
    pub fn processes(&self) -> Vec<HelperProcess> {
        let node = self.node();
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let system = cgroup::own_leaf(&node.options.cgroup_root);
        let beside = system
            .map(|leaf| cgroup::processes_of(&node.layout, &leaf))
            .unwrap_or_default();
        let supervisors = beside.into_iter().filter(|pid| *pid != own);
        let mut found: Vec<HelperProcess> = supervisors
            .map(|pid| HelperProcess {
                pid,
                role: "supervisor",
                pod: None,
            })
            .collect();
        let state = node.state();
        for (uid, pod) in state.pods() {
            for sandbox in pod.sandboxes.iter().filter(|s| s.ready) {
                let leaf = sandbox
                    .config
                    .cgroup_parent
                    .child(sandbox.config.id.as_str());
                let pids = leaf
                    .map(|leaf| cgroup::processes_of(&node.layout, &leaf))
                    .unwrap_or_default();
                found.extend(pids.into_iter().map(|pid| HelperProcess {
                    pid,
                    role: "pause",
                    pod: Some(uid.clone()),
                }));
            }
        }
        found
    }
}

/// Ends helpers that nobody knows of any more, and removes the node's cgroups where no process is in them: the last thing of a reset, after
/// the daemon has ended.
///
/// # Errors
/// A folder still has processes, or cannot be removed.
pub fn remove_empty_cgroups(root: &CgroupPath) -> HostResult<()> {
    cgroup::remove_empty(root)
}
