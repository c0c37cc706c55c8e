//! Finding everything again after the node daemon has ended in whatever way. No container notices.
//!
//! ```text
//! each sandboxes/<id>:  record? ── none ──▶ taken away
//!                         │
//!                         ▼
//!                   supervisor answers? ── yes ──▶ its state and the records: as if nothing had been
//!                         │
//!                         nobody there ──▶ what is left is killed; ends come from records, else they are unknown
//! ```
//!
//! The same happens to one sandbox when its connection ends while the daemon runs. A supervisor that lives but does not take us serves a newer
//! daemon: then nothing is touched.

use crate::exit;
use crate::failure::{At, blocking};
use crate::node_state::{Loss, Node};
use crate::paths::SandboxDir;
use crate::records::{self, ContainerFile, EndedFile, SandboxFile};
use crate::state::{ContainerState, SandboxState};
use crate::supervisor::Client;
use crate::verbs::{container, sandbox};
use pod_driver::host::{HostError, HostErrorKind, HostEvent, HostResult};
use pod_model::config::SandboxConfig;
use pod_model::ids::{PodUid, SandboxId};
use pod_wire::supervisor::{self as wire, ReplyBody, RequestBody};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

const OTHER: HostErrorKind = HostErrorKind::Other;

/// A supervisor that lives answers at once; one that does not in this time is treated as dead, or it would hold up the whole node.
const ANSWER: Duration = Duration::from_secs(10);

/// How often a supervisor that does not answer is asked, and how long is waited between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

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
    match relink(node, dir, &pod, &id).await? {
        Linked::Yes => Ok(()),
        Linked::Refused => Err(HostError::new(
            OTHER,
            "its supervisor lives but does not answer; left alone (does a newer node daemon run?)",
        )),
        Linked::Dead => {
            let work = Arc::clone(node);
            let cause = "its supervisor was found dead, so how the container ended is not known";
            blocking(move || work.bury(&pod, &id, cause)).await
        }
    }
}

/// Looks after sandboxes whose connections end, as long as the host is there.
pub(crate) async fn look_after(node: Weak<Node>, mut losses: mpsc::UnboundedReceiver<Loss>) {
    while let Some(loss) = losses.recv().await {
        let Some(node) = node.upgrade() else { return };
        tokio::spawn(async move { lost(&node, loss).await });
    }
}

async fn lost(node: &Arc<Node>, loss: Loss) {
    let Loss { pod, sandbox: id } = loss;
    let dir = match node.state().sandbox(&pod, &id) {
        Some(found) if !found.ending => found.dir.clone(),
        _ => return,
    };
    // Ends of exec'd processes may have been told meanwhile: who waits learns that nobody knows.
    node.state()
        .enter(&pod)
        .containers
        .iter_mut()
        .for_each(|c| {
            if c.config.sandbox == id {
                c.execs.clear();
            }
        });
    // A failure to link again is a new loss, or one container's own that its next verb meets.
    let linked = relink(node, &dir, &pod, &id).await;
    if !matches!(linked, Ok(Linked::Dead)) {
        return;
    }
    let cause = "its supervisor died";
    let (work, of, sandbox) = (Arc::clone(node), pod.clone(), id.clone());
    let buried = blocking(move || {
        let unknown = format!("{cause}, so how the container ended is not known");
        work.bury(&of, &sandbox, &unknown);
    });
    // It only fails when the runtime ends.
    let _ = buried.await;
    node.tell(HostEvent::SandboxLost {
        pod,
        id,
        cause: cause.to_owned(),
    });
}

/// What came of connecting to a sandbox's supervisor.
enum Linked {
    /// It serves us, and what it says is entered.
    Yes,
    /// It lives and does not take us.
    Refused,
    /// Nobody is there.
    Dead,
}

async fn relink(
    node: &Arc<Node>,
    dir: &SandboxDir,
    pod: &PodUid,
    id: &SandboxId,
) -> HostResult<Linked> {
    let mut tries = TRIES;
    let (client, states) = loop {
        let Ok(socket) = pod_sys::socket::connect(&dir.socket()) else {
            return Ok(Linked::Dead);
        };
        if let Some(answer) = ask_state(node, socket, pod, id).await {
            break answer;
        }
        // One that is just dying may still be connected to, for as long as the kernel takes to close its descriptors.
        tries -= 1;
        if tries == 0 {
            return Ok(Linked::Refused);
        }
        tokio::time::sleep(PAUSE).await;
    };
    let pause = states.iter().find(|s| s.pause && s.exit.is_none());
    let held = pause.and_then(|s| {
        let handle = pod_sys::pidfd::open(s.pid).ok()?;
        sandbox::open_namespaces(s.pid, &handle).ok()
    });
    if let Some(found) = node.state().sandbox_mut(pod, id) {
        found.ready = held.is_some();
        found.held = held.map(Arc::new);
        found.client = Some(client);
    }
    adopt(node, pod, id, states).await?;
    Ok(Linked::Yes)
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
        node.enter_end(
            pod,
            &id,
            exit::unknown("the node daemon ended before it was created"),
            None,
        );
        container::remove(node, pod, &id, false).await?;
    }
    Ok(())
}

async fn ask_state(
    node: &Arc<Node>,
    socket: UnixStream,
    pod: &PodUid,
    id: &SandboxId,
) -> Option<(Arc<Client>, Vec<wire::ContainerState>)> {
    // Told of its end only once it serves us: one that refuses us is no loss.
    let client = Client::new(socket, node.options.generation, node.link(pod, id)).ok()?;
    let asked = client.ask(RequestBody::State, Vec::new());
    let answer = tokio::time::timeout(ANSWER, asked).await.ok()?.ok()?;
    match answer.body {
        ReplyBody::State(states) => Some((Arc::new(client), states)),
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

fn restored(dir: &SandboxDir, sandbox: &SandboxConfig, file: ContainerFile) -> ContainerState {
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
        pod.sandboxes
            .sort_by_key(|s| std::cmp::Reverse((s.created_at, s.config.attempt)));
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
