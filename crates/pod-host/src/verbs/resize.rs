//! Other values for cgroups in which something runs.

use crate::cgroup;
use crate::failure::{blocking, no_container, no_sandbox};
use crate::node_state::Node;
use pod_driver::host::{HostError, HostErrorKind, HostResult};
use pod_model::cgroup_files::{CgroupFile, container_files, pod_files};
use pod_model::config::{ContainerResources, PodCgroup};
use pod_model::ids::{CgroupPath, ContainerId, PodUid};
use pod_model::node::CgroupVersion;
use std::sync::Arc;

const OTHER: HostErrorKind = HostErrorKind::Other;

fn version(node: &Node) -> CgroupVersion {
    match node.layout.is_v2() {
        true => CgroupVersion::V2,
        false => CgroupVersion::V1,
    }
}

/// Of the pod's own cgroup.
pub(crate) async fn pod(
    node: &Arc<Node>,
    pod: &PodUid,
    path: &CgroupPath,
    values: &PodCgroup,
) -> HostResult<()> {
    let ended = {
        let state = node.state();
        let Some(known) = state.pod(pod) else {
            return Err(HostError::new(OTHER, format!("pod {pod} is not there")));
        };
        let ended = known.containers.iter().filter(|c| c.has_ended());
        ended
            .filter_map(|c| path.child(c.config.id.as_str()).ok())
            .collect()
    };
    let files = pod_files(values, version(node));
    write(node, path.clone(), files, ended).await
}

/// Of a container's cgroup.
pub(crate) async fn container(
    node: &Arc<Node>,
    pod: &PodUid,
    id: &ContainerId,
    values: &ContainerResources,
) -> HostResult<()> {
    let path = {
        let state = node.state();
        let found = state.container(pod, id).filter(|c| !c.has_ended());
        let found = found.ok_or_else(|| no_container(id))?;
        let sandbox = state.sandbox(pod, &found.config.sandbox);
        let sandbox = sandbox.ok_or_else(|| no_sandbox(&found.config.sandbox))?;
        sandbox.config.cgroup_parent.child(id.as_str())
    };
    let path = path.map_err(|e| HostError::new(OTHER, format!("container {id}: {e}")))?;
    let files = container_files(values, version(node));
    write(node, path, files, Vec::new()).await?;
    let mut state = node.state();
    if let Some(found) = state.container_mut(pod, id) {
        let own = &mut found.config.resources;
        own.cpu_shares = values.cpu_shares.or(own.cpu_shares);
        own.cpu_quota = values.cpu_quota.or(own.cpu_quota);
        own.memory_limit = values.memory_limit.or(own.memory_limit);
    }
    Ok(())
}

/// `ended`: cgroups below it that hold nobody any more.
async fn write(
    node: &Arc<Node>,
    path: CgroupPath,
    files: Vec<CgroupFile>,
    ended: Vec<CgroupPath>,
) -> HostResult<()> {
    let node = Arc::clone(node);
    blocking(move || {
        node.step(OTHER, "resize: writing")?;
        cgroup::lift_quotas(&node.layout, &ended);
        cgroup::resize(&node.layout, &node.options.cgroup_root, &path, &files)?;
        cgroup::weigh_class(&node.layout, &node.options.cgroup_root, &path)
    })
    .await?
}
