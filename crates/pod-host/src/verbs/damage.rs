//! A record that cannot be trusted: nobody acts on half a truth. The one sandbox that it is about is ended, whatever of it runs is found by
//! its cgroups, and the record is kept in quarantine. Its pod goes on as one whose sandbox was lost; the others do not notice.

use crate::cgroup;
use crate::failure::{At, blocking};
use crate::intents::{self, Intent};
use crate::node_state::Node;
use crate::paths::SandboxDir;
use crate::records::{self, ContainerFile, SandboxFile};
use crate::supervisor::{self, Client, Notices};
use crate::verbs::sandbox;
use pod_driver::host::{HostErrorKind, HostResult};
use pod_model::ids::{CgroupPath, PodRef};
use pod_wire::supervisor::{Event, RequestBody};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the supervisor may take to end everything; after that the cgroups are emptied under it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends the sandbox in `dir` because of a damaged file of it; gives the note for the log.
pub(crate) async fn end(
    node: &Arc<Node>,
    dir: &SandboxDir,
    file: &Path,
    cause: &str,
) -> HostResult<()> {
    shut_down(node, dir).await;
    let (work, of, damaged, cause) = (
        Arc::clone(node),
        dir.clone(),
        file.to_owned(),
        cause.to_owned(),
    );
    let ended = blocking(move || {
        let other = HostErrorKind::Other;
        let containers = of.every_container();
        let containers = containers.at_path(other, "damaged sandbox: listing", &of.containers())?;
        let folders = containers.iter().map(|c| c.path()).chain([of.path()]);
        let names = folders.filter_map(|f| f.file_name()?.to_str().map(String::from));
        let names: Vec<String> = names.collect();
        let lock = of.lock();
        supervisor::end_holder(&lock).at_path(
            other,
            "damaged sandbox: ending the supervisor that holds",
            &lock,
        )?;
        let root = &work.options.cgroup_root;
        let leaves = cgroup::find(&work.layout, root, &names)?;
        let pod = pod_of(&work, &of, &leaves);
        // A failure is met again, and told, when the pod is removed.
        for leaf in &leaves {
            let _ = cgroup::remove(&work.layout, root, leaf);
        }
        let kept = work.set_aside(&damaged);
        let message = format!(
            "record {} is damaged ({cause}); {kept}; what ran in its sandbox was ended",
            damaged.display()
        );
        sandbox::clear(of.path()).map(|()| (pod, message))
    });
    let (pod, message) = ended.await??;
    node.note_damage(pod, message);
    Ok(())
}

/// Nobody listens to what it says meanwhile.
struct Deaf;

impl Notices for Deaf {
    fn event(&self, _: Event, _: Vec<OwnedFd>) {}

    fn lost(&self) {}
}

async fn shut_down(node: &Arc<Node>, dir: &SandboxDir) {
    let Ok(socket) = pod_sys::socket::connect(&dir.socket()) else {
        return;
    };
    let Ok(client) = Client::new(socket, &node.asker, Deaf) else {
        return;
    };
    let asked = client.ask(RequestBody::Shutdown, Vec::new());
    // Whatever it answers, the cgroups are looked at next.
    let _ = tokio::time::timeout(PATIENCE, asked).await;
}

/// Whose sandbox it is: its own record says so, or that of one of its containers, whichever is whole; else the pod whose cgroup it was in.
fn pod_of(node: &Node, dir: &SandboxDir, leaves: &[CgroupPath]) -> Option<PodRef> {
    if let Ok(Some(file)) = records::load::<SandboxFile>(&dir.record()) {
        return Some(file.config.pod);
    }
    let mut containers = dir.every_container().ok()?.into_iter();
    let said = containers.find_map(|c| records::load::<ContainerFile>(&c.record()).ok().flatten());
    if let Some(file) = said {
        return Some(file.pod);
    }
    let (begun, _) = intents::left(&node.paths.intents()).ok()?;
    begun.into_iter().find_map(|intent| match intent {
        Intent::Pod { pod, cgroup } if leaves.iter().any(|l| l.is_within(&cgroup)) => Some(pod),
        _ => None,
    })
}
