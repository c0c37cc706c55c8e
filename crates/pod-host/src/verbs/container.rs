//! Containers: start, stop, remove.
//!
//! ```text
//! start:  prepare (snapshot, message file, mounts, bundle, record) ─▶ launch (create, verify, start: one round trip) ─▶ Running
//! ```
//!
//! Prepared is a value of its own: what is made ahead of time is launched later by the same second half.

use crate::apparmor;
use crate::bundle::{self, Kind};
use crate::exit;
use crate::failure::{At, blocking, no_container, no_sandbox};
use crate::intents::{Container, Intent};
use crate::node_state::Node;
use crate::paths::ContainerDir;
use crate::records::{self, ContainerFile};
use crate::signal;
use crate::state::{ContainerState, Held, Link};
use crate::supervisor::{AskError, Client, Keep};
use crate::verbs::mounts;
use jiff::Timestamp;
use pod_driver::host::{HostError, HostErrorKind, HostResult};
use pod_model::config::{AppArmor, ContainerConfig, ImageFacts, SandboxConfig, Seccomp};
use pod_model::ids::{ContainerId, HostPath, PodRef, PodUid};
use pod_model::runtime::{ContainerRecord, RunState};
use pod_model::status::LinuxUser;
use pod_oci::{ContainerPaths, OciError, SandboxPaths, spec};
use pod_wire::launch::Rootfs;
use pod_wire::supervisor::{CreateContainer, Descriptor, Failure, Log, ReplyBody, RequestBody};
use rustix::fs::{Mode, OFlags};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

const CREATE: HostErrorKind = HostErrorKind::Create;

/// Most bytes of a seccomp profile that are read.
const PROFILE_BYTES: u64 = 1 << 20;

/// So often the files of a container are removed where something of them is left.
const SWEEPS: u32 = 3;

/// Everything of a container that can be made before its process is.
#[derive(Debug)]
pub(crate) struct Prepared {
    request: CreateContainer,
    file: ContainerFile,
    dir: ContainerDir,
    log: PathBuf,
}

/// Starts a container.
pub(crate) async fn start(
    node: &Arc<Node>,
    pod: &PodRef,
    config: &ContainerConfig,
    image: &ImageFacts,
) -> HostResult<()> {
    start_on(node, pod, config, image, None).await
}

/// Starts a container, with `files` on what another attempt has left of its root file system. Nothing else may use that meanwhile.
pub(crate) async fn start_on(
    node: &Arc<Node>,
    pod: &PodRef,
    config: &ContainerConfig,
    image: &ImageFacts,
    files: Option<&ContainerId>,
) -> HostResult<()> {
    if let Err(away @ AskError::Away(_)) = node.client(&pod.uid, &config.sandbox).await {
        return Err(HostError::new(CREATE, away.to_string()));
    }
    let (client, sandbox, held, target) = {
        let state = node.state();
        if let Some(known) = state.container(&pod.uid, &config.id) {
            return match known.record.state {
                RunState::Running | RunState::Exited => Ok(()),
                RunState::Created | RunState::Unknown => Err(HostError::new(
                    CREATE,
                    format!("container {}: it is being started already", config.id),
                )),
            };
        }
        let found = state.sandbox(&pod.uid, &config.sandbox);
        let found = found.ok_or_else(|| no_sandbox(&config.sandbox))?;
        let (Link::Open(client), Some(held), true) = (&found.link, &found.held, found.ready) else {
            return Err(HostError::new(
                CREATE,
                format!("sandbox {} does not run", config.sandbox),
            ));
        };
        let target = config.pid_target.as_ref();
        let target = target.map(|id| target_of(state.container(&pod.uid, id), id));
        (
            Arc::clone(client),
            found.config.clone(),
            Arc::clone(held),
            target.transpose()?,
        )
    };
    node.hasten();
    let of = named(&pod.uid, config);
    let begun = node.begin(&Intent::Start(of.clone()))?;
    let prepared = {
        let (node, pod) = (Arc::clone(node), pod.clone());
        let (config, image) = (config.clone(), image.clone());
        let files = files.unwrap_or(&config.id).clone();
        // The descriptors live in it until the launcher has used their paths.
        let held = Arc::clone(&held);
        blocking(move || {
            let made = prepare(
                &node,
                &pod,
                &config,
                &sandbox,
                &image,
                On {
                    held: &held,
                    target: target.as_ref(),
                    files: &files,
                },
            );
            made.map(|p| (p, target)).inspect_err(|_| undo(&node, &of))
        })
        .await
    };
    let result = match prepared {
        Ok(Ok((prepared, target))) => {
            let result = launch(node, &pod.uid, &client, prepared).await;
            drop((held, target));
            result
        }
        Ok(Err(e)) | Err(e) => Err(e),
    };
    if !node.options.steps.has_crashed() {
        begun.over();
    }
    result
}

/// The names from which all places of a container follow.
fn named(pod: &PodUid, config: &ContainerConfig) -> Container {
    Container {
        pod: pod.clone(),
        sandbox: config.sandbox.clone(),
        id: config.id.clone(),
        name: config.name.clone(),
    }
}

/// Undoes a start of which no process is left.
fn undo(node: &Node, of: &Container) {
    for _ in 0..node.options.steps.undos() {
        sweep(node, of);
    }
}

fn target_of(found: Option<&ContainerState>, id: &ContainerId) -> HostResult<OwnedFd> {
    let gone = || {
        HostError::new(
            HostErrorKind::Config,
            format!("target container {id} does not run"),
        )
    };
    let found = found.filter(|c| c.record.state == RunState::Running);
    let found = found.ok_or_else(gone)?;
    let file = fs::File::open(format!("/proc/{}/ns/pid", found.pid)).map_err(|_| gone())?;
    let alive = found
        .pidfd
        .as_ref()
        .is_some_and(|h| pod_sys::pidfd::send_signal(h, 0).is_ok());
    alive.then(|| file.into()).ok_or_else(gone)
}

/// What a container is started on.
struct On<'a> {
    /// The pod's namespaces.
    held: &'a Held,
    /// The process namespace of another container.
    target: Option<&'a OwnedFd>,
    /// The attempt whose layer of the root file system it gets: its own, or what another one left.
    files: &'a ContainerId,
}

/// The first half of a start: files only.
fn prepare(
    node: &Node,
    pod: &PodRef,
    config: &ContainerConfig,
    sandbox: &SandboxConfig,
    image: &ImageFacts,
    on: On<'_>,
) -> HostResult<Prepared> {
    let On {
        held,
        target,
        files,
    } = on;
    let paths = &node.paths;
    let sandbox_dir = paths.sandbox(&config.sandbox);
    let by_descriptor = |fd: &OwnedFd| {
        let own = rustix::process::getpid().as_raw_nonzero();
        HostPath::new(format!("/proc/{own}/fd/{}", fd.as_raw_fd()))
    };
    let shared = SandboxPaths {
        net: by_descriptor(&held.net),
        ipc: by_descriptor(&held.ipc),
        uts: by_descriptor(&held.uts),
        pid: by_descriptor(&held.pid),
        shm: HostPath::new(sandbox_dir.shm()),
        hosts: HostPath::new(sandbox_dir.hosts()),
        hostname: HostPath::new(sandbox_dir.hostname()),
        resolv_conf: HostPath::new(sandbox_dir.resolv_conf()),
    };
    let step = |name: &str| node.step(CREATE, &format!("start: {name}"));
    step("mounts")?;
    let own = ContainerPaths {
        volumes: mounts::resolve(paths, &pod.uid, config)?,
        termination_file: message_file(node, &pod.uid, config)?,
        seccomp_profile: profile(&config.security.seccomp)?,
        pid_target: target.map(by_descriptor),
    };
    app_armor(config)?;
    let (spec, facts) =
        spec(config, sandbox, image, &node.facts, &shared, &own).map_err(|e| oci_error(&e))?;
    step("log folder")?;
    let log = log_path(sandbox, config)?;
    let id = config.id.as_str();
    let snapshot = paths.snapshot(files.as_str());
    step("snapshot")?;
    for part in ["upper", "work"] {
        let path = snapshot.join(part);
        fs::create_dir_all(&path).at_path(CREATE, "snapshot: making", &path)?;
    }
    let cgroup = sandbox.cgroup_parent.child(id).at(CREATE, "cgroup")?;
    let kind = Kind {
        pause: false,
        rootfs: Rootfs::Overlay {
            lower: image
                .layers
                .iter()
                .map(|l| l.as_path().to_owned())
                .collect(),
            upper: snapshot.join("upper"),
            work: snapshot.join("work"),
        },
        log: Some(Log {
            path: log.clone(),
            max_bytes: node.options.logs.max_bytes,
            max_files: node.options.logs.max_files,
        }),
        stdin: config.stdin,
        tty: config.tty,
        oom_score_adj: config.resources.oom_score_adj,
    };
    let dir = sandbox_dir.container(id);
    step("bundle")?;
    let request = bundle::write(node, &sandbox_dir, id, &spec, &facts, &cgroup, kind).at_path(
        CREATE,
        "bundle: writing",
        dir.path(),
    )?;
    let file = ContainerFile {
        pod: pod.clone(),
        config: config.clone(),
        created_at: Timestamp::now(),
        user: LinuxUser {
            uid: i64::from(facts.uid),
            gid: i64::from(facts.gid),
            supplemental_groups: facts.groups.iter().map(|g| i64::from(*g)).collect(),
        },
        stop_signal: signal::number(&image.stop_signal),
        clamped: facts.clamped,
    };
    step("record")?;
    records::save(&dir.record(), &file).at_path(CREATE, "record: writing", &dir.record())?;
    step("prepared")?;
    Ok(Prepared {
        request,
        file,
        dir,
        log,
    })
}

/// The second half: the process.
async fn launch(
    node: &Arc<Node>,
    pod: &PodUid,
    client: &Client,
    prepared: Prepared,
) -> HostResult<()> {
    let Prepared {
        request,
        file,
        dir,
        log,
    } = prepared;
    let (id, config) = (file.config.id.clone(), file.config.clone());
    // Known before it is asked for: its end may be told before its start is answered.
    let mut container = container_state(file, dir, log);
    container.starting = true;
    node.state().enter(pod).containers.insert(0, container);
    let answer = match node.step(CREATE, "start: process") {
        Ok(()) => {
            client
                .ask(RequestBody::CreateAndStart(request), Vec::new())
                .await
        }
        Err(e) => Err(AskError::Failed(Failure {
            step: "create".to_owned(),
            cause: e.message,
            not_found: false,
        })),
    };
    match answer {
        Ok(answer) => {
            let mut state = node.state();
            let Some(found) = state.container_mut(pod, &id) else {
                return Ok(());
            };
            if let ReplyBody::Started {
                pid,
                started_at,
                clamped,
                descriptors,
            } = answer.body
            {
                found.pid = pid;
                found.starting = false;
                found.record.clamped.extend(clamped);
                found.started(started_at.parse().ok());
                found.keep(Keep::new(&descriptors, answer.fds, Descriptor::Process));
            }
            Ok(())
        }
        Err(AskError::Failed(failure)) if failure.step == "start" => {
            node.enter_end(pod, &id, exit::not_started(&failure.cause), None);
            Err(HostError::new(HostErrorKind::Start, failure.cause))
        }
        Err(error) => {
            if matches!(error, AskError::Lost) && outlived(node, pod, &config).await {
                return Ok(());
            }
            let text = error.to_string();
            node.state()
                .enter(pod)
                .containers
                .retain(|c| c.config.id != id);
            let node = Arc::clone(node);
            let of = named(pod, &config);
            blocking(move || undo(&node, &of)).await?;
            Err(HostError::new(CREATE, text))
        }
    }
}

/// Whether a container that was being started when its supervisor died was started all the same.
async fn outlived(node: &Arc<Node>, pod: &PodUid, config: &ContainerConfig) -> bool {
    // Whatever comes of that, the state says how it is now.
    let _ = node.client(pod, &config.sandbox).await;
    let mut state = node.state();
    let Some(found) = state.container_mut(pod, &config.id) else {
        return false;
    };
    found.starting = false;
    matches!(found.record.state, RunState::Running | RunState::Exited)
}

/// A container as it stands before its process is there.
pub(crate) fn container_state(
    file: ContainerFile,
    dir: ContainerDir,
    log: PathBuf,
) -> ContainerState {
    let config = file.config;
    ContainerState {
        record: ContainerRecord {
            id: config.id.clone(),
            name: config.name.clone(),
            sandbox: config.sandbox.clone(),
            state: RunState::Created,
            attempt: config.attempt,
            hash: Some(config.hash),
            image: config.image.to_string(),
            image_id: config.image_id.clone(),
            created_at: Some(file.created_at),
            started_at: None,
            exit: None,
            user: Some(file.user),
            clamped: file.clamped,
        },
        config,
        dir,
        log,
        stop_signal: file.stop_signal,
        pid: 0,
        pidfd: None,
        keep: Keep::default(),
        starting: false,
        execs: BTreeMap::new(),
    }
}

/// Asks a container to end.
pub(crate) async fn stop(
    node: &Arc<Node>,
    pod: &PodUid,
    id: &ContainerId,
    grace_ms: u64,
) -> HostResult<()> {
    let (sandbox, signal) = {
        let state = node.state();
        let found = state.container(pod, id).ok_or_else(|| no_container(id))?;
        if found.has_ended() {
            return Ok(());
        }
        (found.config.sandbox.clone(), found.stop_signal)
    };
    let request = RequestBody::Stop {
        id: id.to_string(),
        signal,
        grace_ms,
    };
    match node.ask(pod, &sandbox, request).await {
        Ok(_) => Ok(()),
        // No successor could be had: then what it watched has been killed.
        Err(AskError::Lost) => Ok(()),
        Err(AskError::Failed(failure)) if failure.not_found => Err(no_container(id)),
        Err(e) => Err(HostError::new(
            HostErrorKind::Other,
            format!("container {id}: {e}"),
        )),
    }
}

/// Forgets an ended container. Its files go on a thread of their own; [`super::pod::remove`] waits for that.
pub(crate) async fn remove(
    node: &Arc<Node>,
    pod: &PodUid,
    id: &ContainerId,
    logs: bool,
) -> HostResult<()> {
    let (config, log) = {
        let state = node.state();
        let Some(found) = state.container(pod, id) else {
            return Ok(());
        };
        if !found.has_ended() {
            return Err(HostError::new(
                HostErrorKind::Other,
                format!("container {id} has not ended; stop it first"),
            ));
        }
        (found.config.clone(), found.log.clone())
    };
    let of = named(pod, &config);
    let intent = Intent::Remove {
        container: of.clone(),
        log: logs.then(|| log.clone()),
    };
    // On a full disk it goes all the same.
    let begun = node.begin(&intent).ok();
    node.step(HostErrorKind::Other, "remove: process")?;
    let request = RequestBody::Delete { id: id.to_string() };
    match node.ask(pod, &config.sandbox, request).await {
        // Without a supervisor, what it would have removed has been removed by who found it dead.
        Ok(_) | Err(AskError::Lost) => {}
        Err(AskError::Failed(failure)) if failure.not_found => {}
        Err(e) => {
            let text = format!("container {id}: removing it: {e}");
            return Err(HostError::new(HostErrorKind::Other, text));
        }
    }
    node.step(HostErrorKind::Other, "remove: files")?;
    let mut state = node.state();
    let known = state.enter(pod);
    known.containers.retain(|c| c.config.id != *id);
    known.cleanups.retain(|c| !c.is_finished());
    let node = Arc::clone(node);
    known.cleanups.push(tokio::task::spawn_blocking(move || {
        let mut all = true;
        for _ in 0..node.options.steps.undos() {
            all = sweep(&node, &of);
            if logs {
                remove_logs(&log);
            }
        }
        if let Some(begun) = begun.filter(|_| all && !node.options.steps.has_crashed()) {
            begun.over();
        }
    }));
    Ok(())
}

/// Removes the files of a container that has no process (any more); says whether all of them are gone. What fails once (an error of the disk, no
/// descriptor) mostly does not fail again at once; what still does is left for the removal of the pod, which reports it, or the next daemon.
pub(crate) fn sweep(node: &Node, of: &Container) -> bool {
    let dir = node.paths.sandbox(&of.sandbox);
    let id = of.id.as_str();
    let gone = |removed: io::Result<()>| match removed {
        Err(e) => e.kind() == io::ErrorKind::NotFound,
        Ok(()) => true,
    };
    let folders = [
        dir.container(id).path().to_owned(),
        dir.oci().join(id),
        node.paths.snapshot(id),
    ];
    let message = node.paths.message(&of.pod, &of.name, &of.id);
    let mut all = false;
    for _ in 0..SWEEPS {
        // Each is tried, whatever became of the one before it.
        all = gone(fs::remove_file(&message));
        for folder in &folders {
            all &= gone(fs::remove_dir_all(folder));
        }
        if all {
            break;
        }
    }
    all
}

/// A log and its rotated files.
pub(crate) fn remove_logs(log: &Path) {
    let (Some(folder), Some(name)) = (log.parent(), log.file_name().and_then(|n| n.to_str()))
    else {
        return;
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let rotated = |n: &str| {
            n == name
                || n.strip_prefix(name)
                    .and_then(|rest| rest.strip_prefix('.'))
                    .is_some_and(|rest| {
                        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())
                    })
        };
        if entry.file_name().to_str().is_some_and(rotated) {
            let _ = fs::remove_file(entry.path());
        }
    }
    // Only the last attempt's removal leaves it empty.
    let _ = fs::remove_dir(folder);
}

/// Where a container's log goes; its folder is made.
fn log_path(sandbox: &SandboxConfig, config: &ContainerConfig) -> HostResult<PathBuf> {
    let relative = Path::new(&config.log_path);
    let plain = relative
        .components()
        .all(|c| matches!(c, Component::Normal(_)));
    if !plain || relative.as_os_str().is_empty() {
        return Err(HostError::new(
            HostErrorKind::Config,
            format!(
                "log path {:?}: must be relative and without \"..\"",
                config.log_path
            ),
        ));
    }
    let path = log_file(sandbox, config);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at_path(CREATE, "log: making", folder)?;
    }
    Ok(path)
}

/// Path of a container's log.
pub(crate) fn log_file(sandbox: &SandboxConfig, config: &ContainerConfig) -> PathBuf {
    sandbox.log_directory.as_path().join(&config.log_path)
}

/// The termination message file, writable for whoever the container runs as.
fn message_file(
    node: &Node,
    pod: &PodUid,
    config: &ContainerConfig,
) -> HostResult<Option<HostPath>> {
    if config.termination_message_path.is_none() {
        return Ok(None);
    }
    let folder = node.paths.messages(pod, &config.name);
    let path = node.paths.message(pod, &config.name, &config.id);
    let made = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600))?;
        Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(0o666))?)
    };
    made().at_path(CREATE, "termination message: making", &path)?;
    Ok(Some(HostPath::new(path)))
}

/// A profile of the node must be loaded before a container may have it. Where the node has no AppArmor, the spec's maker says so.
fn app_armor(config: &ContainerConfig) -> HostResult<()> {
    let Some(AppArmor::Localhost(name)) = &config.security.app_armor else {
        return Ok(());
    };
    match apparmor::is_loaded(name) {
        Ok(false) => Err(HostError::new(
            CREATE,
            format!("apparmor profile not found {name}: load it on the node with apparmor_parser"),
        )),
        Ok(true) | Err(_) => Ok(()),
    }
}

fn profile(seccomp: &Seccomp) -> HostResult<Option<String>> {
    let Seccomp::Localhost(path) = seccomp else {
        return Ok(None);
    };
    let read = || -> io::Result<String> {
        use std::io::Read;
        let mut text = String::new();
        let file = fs::File::open(path.as_path())?;
        file.take(PROFILE_BYTES).read_to_string(&mut text)?;
        Ok(text)
    };
    read()
        .map(Some)
        .at_path(CREATE, "seccomp profile: reading", path.as_path())
}

/// What of it the user has to change the pod for, and what is the image's or the node's.
fn oci_error(error: &OciError) -> HostError {
    let kind = match error {
        OciError::NoCommand
        | OciError::SeccompProfile { .. }
        | OciError::AppArmor { .. }
        | OciError::Cgroup { .. }
        | OciError::NotResolved { .. }
        | OciError::UnknownCapability { .. } => CREATE,
        _ => HostErrorKind::Config,
    };
    HostError::new(kind, error.to_string())
}
