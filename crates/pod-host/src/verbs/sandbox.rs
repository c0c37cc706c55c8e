//! Sandboxes: run, stop, remove.
//!
//! ```text
//! run:   folder, record, shm, files ─▶ bundle ─▶ supervisor ─▶ pause process ─▶ its namespaces held     (any failure undoes all of it)
//! stop:  supervisor ends everything and itself ─▶ shm unmounted            remove: folder and what is left of its containers
//! ```

use crate::bundle::{self, Kind};
use crate::failure::{At, blocking, no_sandbox};
use crate::intents::Intent;
use crate::node_state::Node;
use crate::paths::SandboxDir;
use crate::records::{self, SandboxFile};
use crate::state::{Held, Link, SandboxState};
use crate::supervisor::{self, Answer, AskError, Client, Keep, LAST_WORDS};
use crate::verbs::{container, successor};
use crate::volumes::{mount_tmpfs, unmount_below};
use jiff::Timestamp;
use pod_driver::host::{HostError, HostErrorKind, HostResult};
use pod_model::config::{NetworkMode, SandboxConfig};
use pod_model::ids::{ContainerId, PodUid, SandboxId};
use pod_model::runtime::NamespaceMode;
use pod_oci::pause_spec;
use pod_wire::launch::Rootfs;
use pod_wire::supervisor::{CreateContainer, Descriptor, ReplyBody, RequestBody};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const KIND: HostErrorKind = HostErrorKind::Sandbox;

/// How long the end of a sandbox may take; the supervisor itself gives up killing after half a minute.
const LAST: Duration = Duration::from_secs(60);

/// Pauses in ms between tries to remove a folder into which somebody still writes.
const BUSY: [u64; 6] = [2, 10, 50, 100, 200, 500];

/// Runs a sandbox; gives its own network namespace.
pub(crate) async fn run(node: &Arc<Node>, config: &SandboxConfig) -> HostResult<Option<OwnedFd>> {
    let pod = &config.pod.uid;
    if let Some(found) = node.state().sandbox(pod, &config.id) {
        return match (&found.held, found.ready) {
            (Some(held), true) => network_of(&found.config, held),
            _ => Err(HostError::new(
                KIND,
                format!(
                    "sandbox {}: it is there but does not run; remove it first",
                    config.id
                ),
            )),
        };
    }
    node.hasten();
    let begun = node.begin(&Intent::Run {
        pod: pod.clone(),
        sandbox: config.id.clone(),
    })?;
    let made = {
        let (node, config) = (Arc::clone(node), config.clone());
        blocking(move || lay_out(&node, &config)).await?
    };
    let result = match made {
        Ok((record, request)) => begin(node, record, request).await,
        Err(e) => Err(e),
    };
    let undone = match result {
        Ok(held) => {
            begun.over();
            return network_of(config, &held);
        }
        Err(cause) => match undo(node, pod, &config.id).await {
            Ok(()) => Ok(cause),
            Err(e) => Err(HostError::new(
                cause.kind,
                format!(
                    "{}; and taking it away again failed: {}",
                    cause.message, e.message
                ),
            )),
        },
    };
    match undone {
        Ok(cause) => {
            if !node.options.steps.has_crashed() {
                begun.over();
            }
            Err(cause)
        }
        // What has begun stays noted: the pod's end, or the next daemon, takes it away.
        Err(both) => {
            node.state().enter(pod).half.push(config.id.clone());
            Err(both)
        }
    }
}

/// Files, mounts and the pause bundle.
fn lay_out(node: &Node, config: &SandboxConfig) -> HostResult<(SandboxFile, CreateContainer)> {
    let dir = node.paths.sandbox(&config.id);
    let record = SandboxFile {
        config: config.clone(),
        created_at: Timestamp::now(),
        ip: None,
    };
    let step = |name: &str| node.step(KIND, &format!("run: {name}"));
    step("folder")?;
    bundle::private_folder(&dir.containers()).at_path(KIND, "sandbox: making", dir.path())?;
    step("record")?;
    // First of all: from here on a later daemon finds it and can take it away.
    records::save(&dir.record(), &record).at_path(KIND, "sandbox: writing", &dir.record())?;
    bundle::private_folder(&dir.oci()).at_path(KIND, "sandbox: making", &dir.oci())?;
    if config.ipc != NamespaceMode::Node {
        let shm = dir.shm();
        step("shared memory")?;
        fs::create_dir_all(&shm).at_path(KIND, "sandbox: making", &shm)?;
        let options = format!("mode=1777,size={}", config.shm_size);
        mount_tmpfs(&shm, false, &options).at_path(KIND, "sandbox: mounting a tmpfs at", &shm)?;
    }
    step("files")?;
    let hostname = match &config.hostname {
        Some(name) => name.clone(),
        None => node_hostname(),
    };
    for (path, text) in [
        (dir.hosts(), &config.hosts),
        (dir.resolv_conf(), &config.resolv_conf),
        (dir.hostname(), &format!("{hostname}\n")),
    ] {
        readable_file(&path, text).at_path(KIND, "sandbox: writing", &path)?;
    }
    let (spec, facts) = pause_spec(config, &node.facts).at(KIND, "sandbox")?;
    let id = config.id.as_str();
    let cgroup = config.cgroup_parent.child(id).at(KIND, "sandbox: cgroup")?;
    let kind = Kind {
        pause: true,
        rootfs: Rootfs::Bind {
            folder: node.pause_root.clone(),
        },
        log: None,
        stdin: false,
        tty: false,
        oom_score_adj: config.oom_score_adj,
    };
    step("bundle")?;
    let request = bundle::write(node, &dir, id, &spec, &facts, &cgroup, kind).at_path(
        KIND,
        "sandbox: writing the pause bundle in",
        dir.path(),
    )?;
    Ok((record, request))
}

/// Supervisor and pause process.
async fn begin(
    node: &Arc<Node>,
    record: SandboxFile,
    request: CreateContainer,
) -> HostResult<Arc<Held>> {
    let (pod, id) = (record.config.pod.uid.clone(), record.config.id.clone());
    let dir = node.paths.sandbox(&id);
    node.step(KIND, "run: supervisor")?;
    let started = {
        let (node, dir) = (Arc::clone(node), dir.clone());
        let ahead = node.options.launcher_ahead;
        blocking(move || {
            let program = &node.options.programs.supervisor;
            supervisor::start(program, dir.path(), node.launch.as_fd(), ahead).at_path(
                KIND,
                "sandbox: starting the supervisor",
                program,
            )
        })
        .await??
    };
    let client = Client::new(started.socket, &node.asker, node.link(&pod, &id));
    let client = match client {
        Ok(client) => Arc::new(client),
        Err(e) => {
            blocking(move || started.child.end()).await?;
            return Err(e).at(KIND, "sandbox: speaking to the supervisor");
        }
    };
    started.child.leave();
    {
        let mut state = node.state();
        let sandbox = SandboxState {
            config: record.config,
            created_at: record.created_at,
            dir: dir.clone(),
            ready: false,
            ip: record.ip,
            link: Link::Open(Arc::clone(&client)),
            search: Arc::default(),
            linked_at: None,
            keep: Keep::default(),
            held: None,
            ending: false,
        };
        state.enter(&pod).sandboxes.insert(0, sandbox);
    }
    node.step(KIND, "run: pause process")?;
    let answer = client
        .ask(RequestBody::CreateAndStart(request), Vec::new())
        .await
        .map_err(|e| HostError::new(KIND, told(&e, &dir)))?;
    node.step(KIND, "run: namespaces")?;
    let held = Arc::new(hold(&answer).at(KIND, "sandbox: holding the namespaces")?);
    let Answer { body, fds } = answer;
    let keep = match &body {
        ReplyBody::Started { descriptors, .. } => Keep::new(descriptors, fds, Descriptor::Process),
        _ => Keep::default(),
    };
    let mut state = node.state();
    match state.sandbox_mut(&pod, &id) {
        Some(found) => {
            found.ready = true;
            found.keep = keep;
            found.held = Some(Arc::clone(&held));
            Ok(held)
        }
        None => Err(HostError::new(
            KIND,
            format!("sandbox {id}: it was removed meanwhile"),
        )),
    }
}

/// A supervisor that died at once has said why in a file.
fn told(error: &AskError, dir: &SandboxDir) -> String {
    let words = match error {
        AskError::Lost => fs::read_to_string(dir.path().join(LAST_WORDS)).unwrap_or_default(),
        AskError::Failed(_) | AskError::Away(_) => String::new(),
    };
    match words.trim() {
        "" => format!("sandbox: pause process: {error}"),
        words => format!("sandbox: pause process: {error}: {words}"),
    }
}

fn hold(answer: &Answer) -> io::Result<Held> {
    let (ReplyBody::Started { pid, .. }, Some(handle)) = (&answer.body, answer.fds.first()) else {
        return Err(io::Error::other(
            "the supervisor answered something else than a pid",
        ));
    };
    Held::open(*pid, handle)
}

fn network_of(config: &SandboxConfig, held: &Held) -> HostResult<Option<OwnedFd>> {
    match config.network {
        NetworkMode::Host => Ok(None),
        _ => {
            let copy = held.net.try_clone();
            copy.map(Some).at(KIND, "sandbox: network namespace")
        }
    }
}

/// Takes a sandbox away that was not made to its end.
pub(crate) async fn undo(node: &Arc<Node>, pod: &PodUid, id: &SandboxId) -> HostResult<()> {
    for _ in 0..node.options.steps.undos() {
        let known = node.state().sandbox(pod, id).is_some();
        if known {
            stop(node, pod, id).await?;
            remove(node, pod, id).await?;
        }
        let dir = node.paths.sandbox(id);
        blocking(move || clear(dir.path())).await??;
    }
    Ok(())
}

/// Ends a sandbox: every process, the supervisor, the shared memory. Records stay.
pub(crate) async fn stop(node: &Arc<Node>, pod: &PodUid, id: &SandboxId) -> HostResult<()> {
    let dir = {
        let mut state = node.state();
        let Some(found) = state.sandbox_mut(pod, id) else {
            return Err(no_sandbox(id));
        };
        found.ending = true;
        found.dir.clone()
    };
    let mut answer = shut_down(node.client(pod, id).await, id).await?;
    if matches!(answer, Err(AskError::Lost | AskError::Away(_))) {
        // What one that died has left half-way its successor knows best how to take away.
        answer = shut_down(successor::link(node, &dir, pod, id).await, id).await?;
    }
    let told = |e: AskError| {
        let text = format!("sandbox {id}: ending it: {e}");
        HostError::new(HostErrorKind::Other, text)
    };
    let failed = match answer {
        Ok(_) | Err(AskError::Lost) => None,
        // It knows what runs: nothing is taken away under it.
        Err(e @ AskError::Away(_)) => return Err(told(e)),
        Err(e @ AskError::Failed(_)) => Some(told(e)),
    };
    let work = {
        let (node, pod, id) = (Arc::clone(node), pod.clone(), id.clone());
        // After a good end there is nothing left to kill and nothing unknown: this finds out.
        move || {
            node.bury(
                &pod,
                &id,
                "the sandbox was stopped while its supervisor was dead",
            );
            unmount_below(&dir.shm())
        }
    };
    blocking(work).await?.at(
        HostErrorKind::Other,
        format!("sandbox {id}: its shared memory"),
    )?;
    failed.map_or(Ok(()), Err)
}

/// Asks a supervisor to end everything, and itself.
async fn shut_down(
    client: Result<Arc<Client>, AskError>,
    id: &SandboxId,
) -> HostResult<Result<Answer, AskError>> {
    let client = match client {
        Ok(client) => client,
        Err(e) => return Ok(Err(e)),
    };
    let asked = client.ask(RequestBody::Shutdown, Vec::new());
    tokio::time::timeout(LAST, asked).await.map_err(|_| {
        let text = format!(
            "sandbox {id}: not ended within {} s: a process of it does not die (in uninterruptible sleep?); ask again later",
            LAST.as_secs()
        );
        HostError::new(HostErrorKind::Other, text)
    })
}

/// Forgets a stopped sandbox, and with it the containers that were in it.
pub(crate) async fn remove(node: &Arc<Node>, pod: &PodUid, id: &SandboxId) -> HostResult<()> {
    let intent = Intent::End {
        pod: pod.clone(),
        sandbox: id.clone(),
    };
    // On a full disk it goes all the same.
    let begun = node.begin(&intent).ok();
    let step = |name: &str| node.step(HostErrorKind::Other, &format!("end: {name}"));
    step("processes")?;
    let link = node.state().sandbox(pod, id).map(|s| s.link.clone());
    if !matches!(link, None | Some(Link::Gone)) {
        stop(node, pod, id).await?;
    }
    step("containers")?;
    let containers: Vec<ContainerId> = {
        let state = node.state();
        let containers = state.pod(pod).map(|p| p.containers.as_slice());
        let of_it = containers.unwrap_or_default().iter();
        let of_it = of_it.filter(|c| c.config.sandbox == *id);
        of_it.map(|c| c.config.id.clone()).collect()
    };
    for container in containers {
        container::remove(node, pod, &container, false).await?;
    }
    step("folder")?;
    for _ in 0..node.options.steps.undos() {
        let dir = node.paths.sandbox(id);
        blocking(move || clear(dir.path())).await??;
    }
    step("state")?;
    let mut state = node.state();
    state.enter(pod).sandboxes.retain(|s| s.config.id != *id);
    if let Some(begun) = begun {
        begun.over();
    }
    Ok(())
}

/// Takes a sandbox's folder away, with what is mounted in it.
pub(crate) fn clear(dir: &Path) -> HostResult<()> {
    let other = HostErrorKind::Other;
    unmount_below(dir).at_path(other, "sandbox: unmounting what is in", dir)?;
    let mut removed = fs::remove_dir_all(dir);
    for pause in BUSY {
        match &removed {
            // A supervisor that is just ending may still write something into it.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(Duration::from_millis(pause));
                removed = fs::remove_dir_all(dir);
            }
            _ => break,
        }
    }
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(e).at_path(other, "sandbox: removing", dir)
        }
        _ => Ok(()),
    }
}

/// Notes the address of a sandbox, also for a later daemon.
pub(crate) fn set_address(
    node: &Node,
    pod: &PodUid,
    id: &SandboxId,
    ip: Option<String>,
) -> HostResult<()> {
    let mut state = node.state();
    let Some(found) = state.sandbox_mut(pod, id) else {
        return Err(no_sandbox(id));
    };
    if found.ip == ip {
        return Ok(());
    }
    let record = SandboxFile {
        config: found.config.clone(),
        created_at: found.created_at,
        ip: ip.clone(),
    };
    found.ip = ip;
    let path = found.dir.record();
    drop(state);
    records::save(&path, &record).at_path(HostErrorKind::Other, "sandbox: writing", &path)
}

fn node_hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// A file that every user of a container may read.
fn readable_file(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o644))?;
    Ok(())
}
