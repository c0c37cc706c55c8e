//! Finding everything again after the node daemon has ended in whatever way. No container notices.
//!
//! ```text
//! each sandboxes/<id>:  record? ── none ──▶ taken away
//!                         │    └─ damaged ──▶ ended and set aside ([`damage`])
//!                         │
//!                         ▼
//!                   supervisor answers? ── yes ──▶ its state and the records: as if nothing had been
//!                         │
//!                         nobody there ──▶ a successor adopts what lives ([`successor`]); it answers as above
//!                         no successor ──▶ what is left is killed; ends come from records, else they are unknown
//! ```
//!
//! The same happens to one sandbox when its connection ends while the daemon runs; verbs on it wait so long. Of a supervisor that cannot be
//! spoken with (it serves a newer daemon; this one has no descriptor left) nothing is touched: it is looked for again and again.

use crate::cgroup;
use crate::exit;
use crate::failure::{At, blocking};
use crate::node_state::{Loss, Node};
use crate::paths::SandboxDir;
use crate::records::{self, ContainerFile, EndedFile, SandboxFile};
use crate::state::{ContainerState, Link, SandboxState};
use crate::supervisor::{self, AskError, Client, Keep};
use crate::verbs::successor::{self, Found};
use crate::verbs::{container, damage, sandbox, settle};
use pod_driver::host::{HostError, HostErrorKind, HostEvent, HostResult};
use pod_model::config::SandboxConfig;
use pod_model::ids::{ContainerId, PodUid, SandboxId};
use pod_wire::supervisor::{self as wire, RequestBody};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

const OTHER: HostErrorKind = HostErrorKind::Other;

/// One that served us for a shorter time than this may have died of what it found: then there is a rest before the next one.
const SHORT: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(100);

/// The longest rest between two looks for a supervisor that cannot be spoken with.
const LONGEST_REST: Duration = Duration::from_secs(5);

const SIGKILL: i32 = 9;

/// Finds every sandbox again. What went wrong with single ones is given as notes: the rest of the node works on.
pub(crate) async fn all(node: &Arc<Node>) -> HostResult<Vec<String>> {
    let folder = node.paths.sandboxes();
    let entries = fs::read_dir(&folder).at_path(OTHER, "recovery: reading", &folder)?;
    let mut notes = Vec::new();
    let mut all = JoinSet::new();
    for entry in entries.flatten() {
        let (node, dir) = (Arc::clone(node), SandboxDir::new(entry.path()));
        all.spawn(async move { one(&node, &dir).await.map_err(|e| (dir, e)) });
    }
    while let Some(found) = all.join_next().await {
        match found.at(OTHER, "recovery")? {
            Ok(()) => {}
            Err((dir, e)) => notes.push(format!("{}: {}", dir.path().display(), e.message)),
        }
    }
    notes.extend(settle::all(node).await?);
    for cleanup in cleanups(node) {
        // What is found is whole from here on: nothing of it goes away behind a new request.
        let _ = cleanup.await;
    }
    sort(node);
    let node = Arc::clone(node);
    blocking(move || sweep_snapshots(&node)).await?;
    Ok(notes)
}

/// The removals of files that recovery has begun.
fn cleanups(node: &Node) -> Vec<JoinHandle<()>> {
    let mut state = node.state();
    let uids: Vec<_> = state.pods().map(|(uid, _)| uid.clone()).collect();
    let taken = uids
        .iter()
        .map(|uid| std::mem::take(&mut state.enter(uid).cleanups));
    taken.flatten().collect()
}

async fn one(node: &Arc<Node>, dir: &SandboxDir) -> HostResult<()> {
    if let Some((file, cause)) = damage::found(dir) {
        return damage::end(node, dir, &file, &cause).await;
    }
    let record = match records::load::<SandboxFile>(&dir.record()) {
        Ok(Some(record)) => record,
        // Made a moment before the daemon ended: nothing was started in it. Or its record was removed by somebody.
        Ok(None) => {
            let dir = dir.clone();
            return blocking(move || {
                let lock = dir.lock();
                let step = "recovery: ending the supervisor that holds";
                supervisor::end_holder(&lock).at_path(OTHER, step, &lock)?;
                sandbox::clear(dir.path())
            })
            .await?;
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
            link: Link::Gone,
            search: Arc::default(),
            linked_at: None,
            keep: Keep::default(),
            held: None,
            ending: false,
        });
    }
    match successor::find(node, dir, &pod, &id).await {
        Found::Lives(client, states) => adopt(node, &pod, &id, client, states).await,
        Found::Away(cause) => {
            let text = AskError::Away(cause.clone()).to_string();
            if let Some(found) = node.state().sandbox_mut(&pod, &id) {
                found.link = Link::Away(cause);
            }
            let _ = node.losses.send(Loss { pod, sandbox: id });
            Err(HostError::new(OTHER, text))
        }
        Found::Nobody => {
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
        // One that a test has ended finds nothing again: the next one does.
        if node.options.steps.has_crashed() {
            return;
        }
        tokio::spawn(lost(Arc::downgrade(&node), loss));
    }
}

/// Looks for a supervisor until there is an end of it: it is found, or there is none, or its sandbox ends.
async fn lost(host: Weak<Node>, loss: Loss) {
    let mut rest = REST;
    while let Some(node) = host.upgrade() {
        if node.options.steps.has_crashed() || look(&node, &loss).await {
            node.linked.notify_waiters();
            return;
        }
        node.linked.notify_waiters();
        drop(node);
        tokio::time::sleep(rest).await;
        rest = (rest * 2).min(LONGEST_REST);
    }
}

/// Looks once. `false`: it cannot be said now.
async fn look(node: &Arc<Node>, loss: &Loss) -> bool {
    let Loss { pod, sandbox: id } = loss;
    let (dir, lived) = match node.state().sandbox_mut(pod, id) {
        Some(found) if !found.ending => (found.dir.clone(), found.linked_at.map(|at| at.elapsed())),
        // Who ends it takes what is left away.
        Some(found) => {
            if matches!(found.link, Link::Searching) {
                found.link = Link::ending();
            }
            return true;
        }
        None => return true,
    };
    if lived.is_some_and(|lived| lived < SHORT) {
        // One that dies of what it finds is not started over and over without a rest.
        tokio::time::sleep(REST).await;
    }
    match successor::find(node, &dir, pod, id).await {
        Found::Lives(client, states) => {
            // A failure is one container's own, that its next verb meets.
            let _ = adopt(node, pod, id, client, states).await;
            true
        }
        Found::Away(cause) => {
            if let Some(found) = node.state().sandbox_mut(pod, id) {
                found.link = Link::Away(cause);
            }
            false
        }
        Found::Nobody => {
            let cause = "its supervisor died, and no successor could be started";
            let (work, of, sandbox) = (Arc::clone(node), pod.clone(), id.clone());
            let buried = blocking(move || {
                let unknown = format!("{cause}, so how the container ended is not known");
                work.bury(&of, &sandbox, &unknown);
            });
            // It only fails when the runtime ends.
            let _ = buried.await;
            node.tell(HostEvent::SandboxLost {
                pod: pod.clone(),
                id: id.clone(),
                cause: cause.to_owned(),
            });
            true
        }
    }
}

/// Brings a sandbox up to what its supervisor says, and has that supervisor serve it.
async fn adopt(
    node: &Arc<Node>,
    pod: &PodUid,
    id: &SandboxId,
    client: Arc<Client>,
    states: Vec<wire::ContainerState>,
) -> HostResult<()> {
    let strangers = enter(node, pod, id, &states);
    enter_pause(node, pod, id, &client, &states);
    // From here on others may ask it.
    node.linked.notify_waiters();
    for said in states.iter().filter(|s| s.exit.is_none()) {
        let keep = successor::hold(&client, &said.id, None).await;
        if !enter_keep(node, pod, id, said, keep) {
            // Nobody knows it: its start was not answered, and who asked for it has given it up.
            let _ = client.ask(end(&said.id), Vec::new()).await;
        }
    }
    for said in states.iter().filter(|s| s.exit.is_some() && !s.pause) {
        let known = node
            .state()
            .container(pod, &said.id.as_str().into())
            .is_some();
        if !known {
            let id = said.id.clone();
            let _ = client.ask(RequestBody::Delete { id }, Vec::new()).await;
        }
    }
    for container in strangers {
        forget(node, pod, id, container).await?;
    }
    Ok(())
}

/// `false`: there is no such container.
fn enter_keep(
    node: &Node,
    pod: &PodUid,
    sandbox: &SandboxId,
    said: &wire::ContainerState,
    keep: Keep,
) -> bool {
    let mut state = node.state();
    if said.pause {
        if let Some(found) = state.sandbox_mut(pod, sandbox) {
            found.keep = keep;
        }
        return true;
    }
    match state.container_mut(pod, &said.id.as_str().into()) {
        Some(found) => {
            found.keep(keep);
            true
        }
        None => false,
    }
}

fn end(id: &str) -> RequestBody {
    RequestBody::Stop {
        id: id.to_owned(),
        signal: SIGKILL,
        grace_ms: 0,
    }
}

/// Enters what a supervisor knows of its containers; gives those that it does not know.
fn enter(
    node: &Node,
    pod: &PodUid,
    sandbox: &SandboxId,
    states: &[wire::ContainerState],
) -> BTreeSet<ContainerId> {
    let mut strangers: BTreeSet<ContainerId> = {
        let state = node.state();
        let containers = state.pod(pod).map(|p| p.containers.as_slice());
        let of_it = containers.unwrap_or_default().iter();
        let of_it = of_it.filter(|c| c.config.sandbox == *sandbox);
        let of_it = of_it.filter(|c| !c.has_ended() && !c.starting);
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
            if found.pid != said.pid {
                found.record.clamped.extend(said.clamped.iter().cloned());
            }
            found.pid = said.pid;
            if let Some(at) = &said.started_at {
                found.started(at.parse().ok());
            }
            if said.exit.is_none() && found.pidfd.is_none() {
                found.pidfd = pod_sys::pidfd::open(said.pid).ok().map(Arc::new);
            }
            // Ends of execs are told before the state is: who still waits for one that is not there learns that nobody knows.
            found.execs.retain(|name, _| said.execs.contains(name));
        }
        if let Some(record) = &said.exit {
            node.container_ended(pod, record);
        }
    }
    strangers
}

/// The sandbox as such: it is ready as long as its pause process lives.
fn enter_pause(
    node: &Node,
    pod: &PodUid,
    id: &SandboxId,
    client: &Arc<Client>,
    states: &[wire::ContainerState],
) {
    let pause = states.iter().find(|s| s.pause && s.exit.is_none());
    let held = pause.and_then(|s| {
        let handle = pod_sys::pidfd::open(s.pid).ok()?;
        sandbox::open_namespaces(s.pid, &handle).ok()
    });
    let ended = {
        let mut state = node.state();
        let Some(found) = state.sandbox_mut(pod, id) else {
            return;
        };
        let ended = found.ready && held.is_none() && !found.ending;
        found.ready = held.is_some();
        found.held = held.map(Arc::new);
        found.link = Link::Open(Arc::clone(client));
        found.linked_at = Some(Instant::now());
        ended
    };
    if ended {
        node.tell(HostEvent::SandboxLost {
            pod: pod.clone(),
            id: id.clone(),
            cause: "its pause process ended while its supervisor was dead".to_owned(),
        });
    }
}

/// A container that is written down, and that its supervisor does not know: it was never made, or the supervisor could not read its own
/// record of it. What runs of it is killed.
async fn forget(
    node: &Arc<Node>,
    pod: &PodUid,
    sandbox: &SandboxId,
    id: ContainerId,
) -> HostResult<()> {
    let (cgroup, unreadable) = {
        let state = node.state();
        let Some(found) = state.sandbox(pod, sandbox) else {
            return Ok(());
        };
        let aside = found.dir.supervised().join(format!("{id}.unreadable"));
        (found.config.cgroup_parent.child(id.as_str()), aside)
    };
    let cause = match unreadable.exists() {
        true => format!(
            "the supervisor's record of it was damaged (kept as {}), so what ran of it was killed",
            unreadable.display()
        ),
        false => "the node daemon ended before it was created".to_owned(),
    };
    if let Ok(cgroup) = cgroup {
        let work = Arc::clone(node);
        blocking(move || cgroup::remove(&work.layout, &work.options.cgroup_root, &cgroup))
            .await??;
    }
    node.enter_end(pod, &id, exit::unknown(&cause), None);
    container::remove(node, pod, &id, false).await
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
