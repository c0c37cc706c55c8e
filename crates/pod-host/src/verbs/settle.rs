//! What a killed daemon had begun: each operation is done or undone.

use crate::cgroup;
use crate::failure::{At, blocking};
use crate::intents::{self, Container, Intent};
use crate::node_state::Node;
use crate::state::Whole;
use crate::verbs::{container, sandbox};
use pod_driver::host::{HostErrorKind, HostResult};
use pod_model::ids::{PodUid, SandboxId};
use pod_model::runtime::RunState;
use std::path::PathBuf;
use std::sync::Arc;

/// Settles every operation that was cut off. After every sandbox has been found again. What went wrong is given as notes; it is tried
/// again at the next start.
pub(crate) async fn all(node: &Arc<Node>) -> HostResult<Vec<String>> {
    let folder = node.paths.intents();
    let (left, damaged) =
        intents::left(&folder).at_path(HostErrorKind::Other, "recovery: reading", &folder)?;
    let mut notes = Vec::new();
    for path in damaged {
        let kept = node.set_aside(&path);
        notes.push(format!("{} is damaged; {kept}", path.display()));
    }
    for intent in left {
        let begun = intents::begun(&folder, &intent);
        let settled = match intent {
            Intent::Pod { pod, cgroup } => {
                // It is for the daemon to say whether anybody still asks for it.
                let whole = Whole { pod, cgroup };
                let uid = whole.pod.uid.clone();
                node.state().enter(&uid).whole = Some(whole);
                continue;
            }
            Intent::Run { pod, sandbox } => run(node, &pod, &sandbox).await,
            Intent::Start(container) => start(node, container).await,
            Intent::Remove { container, log } => remove(node, container, log).await,
            Intent::End { pod, sandbox } => sandbox::remove(node, &pod, &sandbox).await,
        };
        match settled {
            Ok(()) => begun.over(),
            Err(e) => notes.push(format!("an operation that was cut off: {}", e.message)),
        }
    }
    Ok(notes)
}

async fn run(node: &Arc<Node>, pod: &PodUid, id: &SandboxId) -> HostResult<()> {
    let runs = node.state().sandbox(pod, id).is_some_and(|s| s.ready);
    match runs {
        true => Ok(()),
        false => sandbox::undo(node, pod, id).await,
    }
}

async fn start(node: &Arc<Node>, of: Container) -> HostResult<()> {
    let known = node
        .state()
        .container(&of.pod, &of.id)
        .is_some_and(|c| matches!(c.record.state, RunState::Running | RunState::Exited));
    if known {
        return Ok(());
    }
    undo_start(node, of).await
}

/// Takes away what a start has made that did not come to its end.
async fn undo_start(node: &Arc<Node>, of: Container) -> HostResult<()> {
    let leaf = {
        let mut state = node.state();
        let parent = state.sandbox(&of.pod, &of.sandbox);
        let parent = parent.map(|s| s.config.cgroup_parent.clone());
        state
            .enter(&of.pod)
            .containers
            .retain(|c| c.config.id != of.id);
        parent.and_then(|p| p.child(of.id.as_str()).ok())
    };
    let node = Arc::clone(node);
    blocking(move || {
        container::sweep(&node, &of);
        leaf.map_or(Ok(()), |leaf| {
            cgroup::remove(&node.layout, &node.options.cgroup_root, &leaf)
        })
    })
    .await?
}

async fn remove(node: &Arc<Node>, of: Container, log: Option<PathBuf>) -> HostResult<()> {
    if node.state().container(&of.pod, &of.id).is_some() {
        return container::remove(node, &of.pod, &of.id, log.is_some()).await;
    }
    let node = Arc::clone(node);
    blocking(move || {
        container::sweep(&node, &of);
        if let Some(log) = log {
            container::remove_logs(&log);
        }
    })
    .await
}
