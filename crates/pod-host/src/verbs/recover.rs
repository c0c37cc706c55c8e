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
use crate::state::{ContainerState, Held, Link, SandboxState};
use crate::supervisor::{self, AskError, Client, Keep};
use crate::verbs::successor::{self, Found};
use crate::verbs::{container, damage, sandbox, settle};
use pod_driver::host::{HostError, HostErrorKind, HostEvent, HostResult};
use pod_model::config::SandboxConfig;
use pod_model::ids::{ContainerId, PodUid, SandboxId};
use pod_wire::supervisor::{self as wire, RequestBody};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
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
    // All is read before anything is touched: what cannot be read now is not there for nobody.
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.at_path(OTHER, "recovery: reading", &folder)?;
        let dir = SandboxDir::new(entry.path());
        found.push((kept(&dir)?, dir));
    }
    for (kept, dir) in found {
        let node = Arc::clone(node);
        all.spawn(async move { one(&node, &dir, kept).await.map_err(|e| (dir, e)) });
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

/// What is written down of a sandbox.
enum Kept {
    /// Nothing: it was made a moment before the daemon ended, and nothing was started in it. Or its record was removed by somebody.
    Nothing,
    /// A file of it, and what is wrong with that.
    Damaged(PathBuf, String),
    Whole(Box<SandboxFile>, Containers),
}

type Containers = Vec<(ContainerFile, Option<EndedFile>)>;

/// Reads all of it.
///
/// # Errors
/// A part of it cannot be read now. Whoever went on would end what he does not know.
fn kept(dir: &SandboxDir) -> HostResult<Kept> {
    match read(dir) {
        Ok(Some((record, containers))) => Ok(Kept::Whole(Box::new(record), containers)),
        Ok(None) => Ok(Kept::Nothing),
        Err((path, e)) if records::is_damage(&e) => Ok(Kept::Damaged(path, e.to_string())),
        Err((path, e)) => Err(e).at_path(OTHER, "recovery: reading", &path),
    }
}

fn read(dir: &SandboxDir) -> Result<Option<(SandboxFile, Containers)>, (PathBuf, io::Error)> {
    fn load<T: DeserializeOwned>(path: PathBuf) -> Result<Option<T>, (PathBuf, io::Error)> {
        records::load(&path).map_err(|e| (path, e))
    }
    let record = load(dir.record())?;
    let mut containers = Vec::new();
    let folders = dir.every_container();
    for container in folders.map_err(|e| (dir.containers(), e))? {
        let ended = load(container.ended())?;
        let record = load(container.record())?;
        containers.extend(record.map(|record| (record, ended)));
    }
    Ok(record.map(|record| (record, containers)))
}

async fn one(node: &Arc<Node>, dir: &SandboxDir, kept: Kept) -> HostResult<()> {
    let (record, containers) = match kept {
        Kept::Whole(record, containers) => (record, containers),
        Kept::Damaged(file, cause) => return damage::end(node, dir, &file, &cause).await,
        Kept::Nothing => {
            let dir = dir.clone();
            return blocking(move || {
                let lock = dir.lock();
                let step = "recovery: ending the supervisor that holds";
                supervisor::end_holder(&lock).at_path(OTHER, step, &lock)?;
                sandbox::clear(dir.path())
            })
            .await?;
        }
    };
    let (pod, id) = (record.config.pod.uid.clone(), record.config.id.clone());
    // Known before anything is asked: what happens meanwhile is told at once.
    {
        let mut state = node.state();
        let known = state.enter(&pod);
        for (file, ended) in containers {
            let restored = restored(dir, &record.config, file, ended);
            known.containers.push(restored);
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
        Found::Lives(client, states, held) => adopt(node, &pod, &id, client, states, held).await,
        Found::Away(cause) => {
            let text = AskError::Away(cause.clone()).to_string();
            presume(node, &pod, &id, cause);
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

/// Until its supervisor can be spoken with, a sandbox is what is written down of it: it runs, with all in it that has no end.
fn presume(node: &Node, pod: &PodUid, id: &SandboxId, cause: String) {
    let mut state = node.state();
    if let Some(found) = state.sandbox_mut(pod, id) {
        found.link = Link::Away(cause);
        found.ready = true;
    }
    let containers = state.enter(pod).containers.iter_mut();
    for container in containers.filter(|c| c.config.sandbox == *id) {
        container.started(None);
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
        Found::Lives(client, states, held) => {
            // A failure is one container's own, that its next verb meets.
            let _ = adopt(node, pod, id, client, states, held).await;
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
    held: Option<Held>,
) -> HostResult<()> {
    let strangers = enter(node, pod, id, &states);
    enter_pause(node, pod, id, &client, held);
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
    keep: Option<Keep>,
) -> bool {
    let mut state = node.state();
    if said.pause {
        if let (Some(found), Some(keep)) = (state.sandbox_mut(pod, sandbox), keep) {
            found.keep = keep;
        }
        return true;
    }
    let Some(found) = state.container_mut(pod, &said.id.as_str().into()) else {
        return false;
    };
    if let Some(keep) = keep {
        found.keep(keep);
    }
    true
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
    held: Option<Held>,
) {
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

fn restored(
    dir: &SandboxDir,
    sandbox: &SandboxConfig,
    file: ContainerFile,
    ended: Option<EndedFile>,
) -> ContainerState {
    let log = container::log_file(sandbox, &file.config);
    let container_dir = dir.container(file.config.id.as_str());
    let mut out = container::container_state(file, container_dir, log);
    if let Some(ended) = ended {
        out.end(ended.exit, ended.started_at);
    }
    out
}

/// Names of all containers that have a folder.
fn with_folders(sandboxes: &Path) -> io::Result<BTreeSet<OsString>> {
    let mut known = BTreeSet::new();
    for sandbox in fs::read_dir(sandboxes)? {
        let containers = SandboxDir::new(sandbox?.path()).every_container()?;
        known.extend(
            containers
                .iter()
                .filter_map(|c| Some(c.path().file_name()?.to_owned())),
        );
    }
    Ok(known)
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
    // Also those of a sandbox that could not be found again: something of it may run.
    let Ok(known) = with_folders(&node.paths.sandboxes()) else {
        return;
    };
    let entries = fs::read_dir(node.paths.snapshots()).into_iter().flatten();
    for entry in entries.flatten() {
        let named = entry.file_name();
        if !known.contains(&named) {
            // Tried again at the next start.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
