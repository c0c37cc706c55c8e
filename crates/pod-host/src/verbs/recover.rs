//! Finding everything again after the node daemon has ended in whatever way. No container notices.
//!
//! ```text
//! each sandboxes/<id>:  record? ── none ──▶ taken away
//!                         │
//!                         ▼
//!                   supervisor answers? ── yes ──▶ its state and the records: as if nothing had been
//!                         │
//!                         no ──▶ what is left is killed; ends come from records, else they are unknown
//! ```

use crate::failure::{At, blocking};
use crate::exit;
use crate::node_state::Node;
use crate::paths::SandboxDir;
use crate::records::{self, ContainerFile, EndedFile, SandboxFile};
use crate::state::{ContainerState, SandboxState};
use crate::supervisor::Client;
use crate::verbs::{container, sandbox};
use pod_driver::host::{HostErrorKind, HostResult};
use pod_model::config::SandboxConfig;
use pod_model::ids::{PodUid, SandboxId};
use pod_wire::supervisor::{self as wire, ReplyBody, RequestBody};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const OTHER: HostErrorKind = HostErrorKind::Other;

/// A supervisor that lives answers at once; one that does not in this time is treated as dead, or it would hold up the whole node.
const ANSWER: Duration = Duration::from_secs(10);

/// Finds every sandbox again. What went wrong with single ones is given as notes: the rest of the node works on.
pub(crate) async fn all(node: &Arc<Node>) -> HostResult<Vec<String>> {
    let folder = node.paths.sandboxes();
    let entries = fs::read_dir(&folder).at_path(OTHER, "recovery: reading", &folder)?;
    let mut notes = Vec::new();
    for entry in entries.flatten() {
        let dir = SandboxDir::new(entry.path());
        if let Err(e) = one(node, &dir).await {
            notes.push(format!("{}: {}", dir.path().display(), e.message));
        }
    }
    sort(node);
    let node = Arc::clone(node);
    blocking(move || sweep_snapshots(&node)).await?;
    Ok(notes)
}

async fn one(node: &Arc<Node>, dir: &SandboxDir) -> HostResult<()> {
    let record = match records::load::<SandboxFile>(&dir.record()) {
        Ok(Some(record)) => record,
        // Made a moment before the daemon ended: nothing was started in it.
        Ok(None) => {
            let path = dir.path().to_owned();
            return blocking(move || sandbox::clear(&path)).await?;
        }
        Err(e) => return Err(e).at_path(OTHER, "reading", &dir.record()),
    };
    let (pod, id) = (record.config.pod.uid.clone(), record.config.id.clone());
    // Known before anything is asked: what happens meanwhile is told at once.
    {
        let mut state = node.state();
        let known = state.enter(&pod);
        for file in container_files(dir) {
            known.containers.push(restored(dir, &record.config, file));
        }
        known.sandboxes.push(SandboxState {
            config: record.config,
            created_at: record.created_at,
            dir: dir.clone(),
            ready: false,
            ip: record.ip,
            client: None,
            held: None,
            ending: false,
        });
    }
    let Some((client, states)) = connect(node, dir, &pod, &id).await else {
        let work = Arc::clone(node);
        let cause = "its supervisor was found dead, so how the container ended is not known";
        return blocking(move || work.bury(&pod, &id, cause)).await;
    };
    let pause = states.iter().find(|s| s.pause && s.exit.is_none());
    let held = pause.and_then(|s| {
        let handle = pod_sys::pidfd::open(s.pid).ok()?;
        sandbox::open_namespaces(s.pid, &handle).ok()
    });
    if let Some(found) = node.state().sandbox_mut(&pod, &id) {
        found.ready = held.is_some();
        found.held = held.map(Arc::new);
        found.client = Some(client);
    }
    adopt(node, &pod, &id, states).await
}

/// Brings the containers of a living sandbox up to what its supervisor says.
async fn adopt(
    node: &Arc<Node>,
    pod: &PodUid,
    sandbox: &SandboxId,
    states: Vec<wire::ContainerState>,
) -> HostResult<()> {
    let mut strangers: BTreeSet<_> = {
        let state = node.state();
        let containers = state.pod(pod).map(|p| p.containers.as_slice());
        let of_it = containers.unwrap_or_default().iter();
        let of_it = of_it.filter(|c| c.config.sandbox == *sandbox && !c.has_ended());
        of_it.map(|c| c.config.id.clone()).collect()
    };
    for said in states {
        let id = said.id.as_str().into();
        strangers.remove(&id);
        {
            let mut state = node.state();
            let Some(found) = state.container_mut(pod, &id) else {
                continue;
            };
            found.pid = said.pid;
            found.record.clamped.extend(said.clamped);
            if let Some(at) = &said.started_at {
                found.started(at.parse().ok());
            }
            if said.exit.is_none() {
                found.pidfd = pod_sys::pidfd::open(said.pid).ok().map(Arc::new);
            }
        }
        if let Some(record) = said.exit {
            node.container_ended(pod, &record);
        }
    }
    // Written down, but never made: the daemon ended in between. Nothing of them runs.
    for id in strangers {
        node.enter_end(pod, &id, exit::unknown("the node daemon ended before it was created"), None);
        container::remove(node, pod, &id, false).await?;
    }
    Ok(())
}

async fn connect(
    node: &Arc<Node>,
    dir: &SandboxDir,
    pod: &PodUid,
    id: &SandboxId,
) -> Option<(Arc<Client>, Vec<wire::ContainerState>)> {
    let socket = pod_sys::socket::connect(&dir.socket()).ok()?;
    let link = node.link(pod, id);
    let client = Arc::new(Client::new(socket, node.options.generation, link).ok()?);
    let asked = client.ask(RequestBody::State, Vec::new());
    let answer = tokio::time::timeout(ANSWER, asked).await.ok()?.ok()?;
    match answer.body {
        ReplyBody::State(states) => Some((client, states)),
        _ => None,
    }
}

fn container_files(dir: &SandboxDir) -> Vec<ContainerFile> {
    let entries = fs::read_dir(dir.containers()).into_iter().flatten();
    let records = entries.flatten().map(|e| e.path().join("record.json"));
    records
        .filter_map(|path: PathBuf| records::load(&path).ok().flatten())
        .collect()
}

fn restored(
    dir: &SandboxDir,
    sandbox: &SandboxConfig,
    file: ContainerFile,
) -> ContainerState {
    let log = container::log_file(sandbox, &file.config);
    let container_dir = dir.container(file.config.id.as_str());
    let ended: Option<EndedFile> = records::load(&container_dir.ended()).ok().flatten();
    let mut out = container::container_state(file, container_dir, log);
    if let Some(ended) = ended {
        out.end(ended.exit, ended.started_at);
    }
    out
}

/// Newest first, as everybody expects it.
fn sort(node: &Node) {
    let mut state = node.state();
    let uids: Vec<_> = state.pods().map(|(uid, _)| uid.clone()).collect();
    for uid in uids {
        let pod = state.enter(&uid);
        pod.sandboxes.sort_by_key(|s| std::cmp::Reverse((s.created_at, s.config.attempt)));
        pod.containers
            .sort_by_key(|c| std::cmp::Reverse((c.record.created_at, c.config.attempt)));
    }
}

/// Removes snapshots of containers that nobody knows: left by a daemon that ended in between, or by a reboot.
fn sweep_snapshots(node: &Node) {
    let known: BTreeSet<String> = {
        let state = node.state();
        let containers = state.pods().flat_map(|(_, p)| &p.containers);
        containers.map(|c| c.config.id.to_string()).collect()
    };
    let entries = fs::read_dir(node.paths.snapshots()).into_iter().flatten();
    for entry in entries.flatten() {
        let named = entry.file_name();
        if !named.to_str().is_some_and(|n| known.contains(n)) {
            // Tried again at the next start.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
