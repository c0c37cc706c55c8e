//! What belongs to a pod as a whole: its cgroup, its volumes, its folders; and its removal.

use crate::bundle::private_folder;
use crate::cgroup;
use crate::failure::{At, blocking};
use crate::intents::{self, Intent};
use crate::node_state::Node;
use crate::state::Whole;
use crate::verbs::{container, sandbox};
use crate::volumes::{self, unmount_below};
use pod_driver::host::{HostError, HostErrorKind, HostResult, VolumeError};
use pod_model::config::{PodCgroup, VolumeToPrepare};
use pod_model::ids::{CgroupPath, PodRef, PodUid, SandboxId};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const OTHER: HostErrorKind = HostErrorKind::Other;

/// Makes the pod's cgroup and folders.
pub(crate) async fn ensure(
    node: &Arc<Node>,
    pod: &PodRef,
    cgroup: &CgroupPath,
    values: &PodCgroup,
) -> HostResult<()> {
    let folder = node.paths.pod(&pod.uid);
    let whole = Whole {
        pod: pod.clone(),
        cgroup: cgroup.clone(),
    };
    if !matches!(node.state().pod(&pod.uid), Some(p) if p.whole.is_some()) {
        // It stays until the last thing of the pod is gone.
        drop(node.begin(&intent(pod, cgroup))?);
        node.state().enter(&pod.uid).whole = Some(whole);
    }
    let (work, cgroup, values) = (Arc::clone(node), cgroup.clone(), values.clone());
    blocking(move || {
        work.step(OTHER, "ensure: folder")?;
        private_folder(&folder).at_path(OTHER, "pod: making", &folder)?;
        work.step(OTHER, "ensure: cgroup")?;
        cgroup::ensure(&work.layout, &work.options.cgroup_root, &cgroup, &values)?;
        work.step(OTHER, "ensure: answer")
    })
    .await?
}

fn intent(pod: &PodRef, cgroup: &CgroupPath) -> Intent {
    Intent::Pod {
        pod: pod.clone(),
        cgroup: cgroup.clone(),
    }
}

/// Makes or updates the pod's volumes; all are tried.
pub(crate) async fn prepare_volumes(
    node: &Arc<Node>,
    pod: &PodRef,
    list: &[VolumeToPrepare],
) -> Result<(), Vec<VolumeError>> {
    let (work, uid, list) = (Arc::clone(node), pod.uid.clone(), list.to_vec());
    let problems = blocking(move || {
        let errors = list.iter().filter_map(|volume| {
            let step = work.step(OTHER, "volumes: volume").map_err(|e| e.message);
            let made = step.and_then(|()| volumes::prepare(&work.paths, &uid, volume));
            made.err().map(|cause| VolumeError {
                volume: volume.name.to_string(),
                cause,
            })
        });
        errors.collect::<Vec<_>>()
    });
    match problems.await {
        Ok(problems) if problems.is_empty() => Ok(()),
        Ok(problems) => Err(problems),
        Err(e) => Err(vec![VolumeError {
            volume: String::new(),
            cause: e.message,
        }]),
    }
}

/// Removes everything of a pod. All is tried; what is left is said, and asked again, taken up again.
pub(crate) async fn remove(node: &Arc<Node>, pod: &PodRef, cgroup: &CgroupPath) -> HostResult<()> {
    let uid = &pod.uid;
    let mut problems: Vec<String> = Vec::new();
    let mut note = |result: HostResult<()>| problems.extend(result.err().map(|e| e.message));
    let (sandboxes, mut logs) = {
        let state = node.state();
        let known = state.pod(uid);
        let sandboxes = known.map(|p| p.sandboxes.as_slice()).unwrap_or_default();
        let ids: Vec<_> = sandboxes.iter().map(|s| s.config.id.clone()).collect();
        let logs: Vec<PathBuf> = sandboxes
            .iter()
            .map(|s| s.config.log_directory.as_path().to_owned())
            .collect();
        (ids, logs)
    };
    for id in &sandboxes {
        note(sandbox::stop(node, uid, id).await);
        note(sandbox::remove(node, uid, id).await);
    }
    let containers: Vec<_> = {
        let state = node.state();
        let known = state.pod(uid).map(|p| p.containers.as_slice());
        let known = known.unwrap_or_default();
        known.iter().map(|c| c.config.id.clone()).collect()
    };
    for id in &containers {
        note(container::remove(node, uid, id, true).await);
    }
    let half = std::mem::take(&mut node.state().enter(uid).half);
    for id in half {
        note(finish_undo(node, uid, id).await);
    }
    let cleanups = {
        let mut state = node.state();
        std::mem::take(&mut state.enter(uid).cleanups)
    };
    for cleanup in cleanups {
        note(cleanup.await.at(OTHER, "removing a container's files"));
    }
    logs.push(node.options.log_root.join(pod.log_folder()));
    let (work, folder, own) = (Arc::clone(node), node.paths.pod(uid), cgroup.clone());
    let cgroup = own.clone();
    let rest = blocking(move || {
        let mut left = Vec::new();
        if let Err(e) = work.step(OTHER, "remove pod: cgroup, folder and logs") {
            return vec![e];
        }
        left.extend(cgroup::remove(&work.layout, &work.options.cgroup_root, &cgroup).err());
        left.extend(cgroup::weigh_class(&work.layout, &work.options.cgroup_root, &cgroup).err());
        let unmounted =
            unmount_below(&folder).at_path(OTHER, "pod: unmounting what is in", &folder);
        let safe = unmounted.is_ok();
        left.extend(unmounted.err());
        // Never delete through a mount that is still there: what is behind it may not be the pod's.
        if safe {
            left.extend(remove_tree(&folder).err());
        }
        let below_root =
            |l: &&PathBuf| l.starts_with(&work.options.log_root) && **l != work.options.log_root;
        left.extend(
            logs.iter()
                .filter(below_root)
                .filter_map(|l| remove_tree(l).err()),
        );
        left
    });
    match rest.await {
        Ok(left) => problems.extend(left.into_iter().map(|e: HostError| e.message)),
        Err(e) => problems.push(e.message),
    }
    problems.extend(
        node.step(OTHER, "remove pod: state")
            .err()
            .map(|e| e.message),
    );
    if problems.is_empty() {
        intents::begun(&node.paths.intents(), &intent(pod, &own)).over();
        node.state().forget_pod(uid);
        return Ok(());
    }
    Err(HostError::new(
        OTHER,
        format!(
            "pod {}/{}: not all of it could be removed: {}",
            pod.namespace,
            pod.name,
            problems.join("; ")
        ),
    ))
}

/// Takes away what is left of a sandbox that did not come to be; if that fails once more it is remembered on.
async fn finish_undo(node: &Arc<Node>, uid: &PodUid, id: SandboxId) -> HostResult<()> {
    if let Err(error) = sandbox::undo(node, uid, &id).await {
        node.state().enter(uid).half.push(id);
        return Err(error);
    }
    let intent = Intent::Run {
        pod: uid.clone(),
        sandbox: id,
    };
    intents::begun(&node.paths.intents(), &intent).over();
    Ok(())
}

fn remove_tree(path: &Path) -> HostResult<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(e).at_path(OTHER, "pod: removing", path)
        }
        _ => Ok(()),
    }
}
