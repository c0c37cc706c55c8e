//! Processes started in running containers.

use crate::failure::{At, no_container, no_sandbox};
use crate::node_state::Node;
use crate::state::Waiting;
use crate::supervisor::{AskError, Keep};
use pod_driver::host::{ExecSession, ExecStreams, HostError, HostErrorKind, HostResult};
use pod_model::config::ExecConfig;
use pod_model::ids::{ContainerId, PodUid};
use pod_model::runtime::RunState;
use pod_wire::supervisor::{Descriptor, ReplyBody, RequestBody};
use rustix::fs::fchown;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Gid, Signal, Uid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

const OTHER: HostErrorKind = HostErrorKind::Other;
const SIGKILL: i32 = Signal::KILL.as_raw();

/// Starts a process.
pub(crate) async fn start(
    node: &Arc<Node>,
    pod: &PodUid,
    id: &ContainerId,
    config: &ExecConfig,
) -> HostResult<ExecSession> {
    let sandbox = {
        let state = node.state();
        let found = state.container(pod, id).ok_or_else(|| no_container(id))?;
        found.config.sandbox.clone()
    };
    // Before anything is entered: a successor of a dead supervisor is told only what that one knew.
    let client = node.client(pod, &sandbox).await;
    let number = node.execs.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}", node.options.generation);
    let (ended, exit) = oneshot::channel();
    let user = {
        let mut state = node.state();
        let found = state
            .container_mut(pod, id)
            .ok_or_else(|| no_container(id))?;
        if found.record.state != RunState::Running {
            let text = format!("container not found (\"{}\")", found.config.name);
            return Err(HostError::new(HostErrorKind::NotFound, text));
        }
        // Before it is asked for: its end may be told before its start is answered.
        let waiting = Waiting {
            told: ended,
            keep: Keep::default(),
        };
        found.execs.insert(name.clone(), waiting);
        found.record.user.clone().unwrap_or_default()
    };
    let result = async {
        let (ours, theirs) = match config.tty {
            true => (None, Vec::new()),
            false => {
                node.step(OTHER, "exec: pipes")?;
                let (ours, theirs) =
                    pipes(config.stdin, user.uid, user.gid).at(OTHER, "exec: making its pipes")?;
                (Some(ours), theirs)
            }
        };
        let request = RequestBody::Exec {
            id: id.to_string(),
            exec: name.clone(),
            command: config.command.clone(),
            tty: config.tty,
        };
        node.step(OTHER, "exec: process")?;
        let answer = match client {
            Ok(client) => client.ask(request, theirs).await,
            Err(e) => Err(e),
        };
        let answer = answer.map_err(|e| failed(&e))?;
        let named: &[Descriptor] = match &answer.body {
            ReplyBody::Execed { descriptors, .. } => descriptors,
            _ => &[],
        };
        let keep = Keep::new(named, answer.fds, Descriptor::Terminal);
        let terminal = keep.copy(Descriptor::Terminal);
        let mut state = node.state();
        let found = state.container_mut(pod, id);
        // Its end may have been told already.
        if let Some(waiting) = found.and_then(|c| c.execs.get_mut(&name)) {
            waiting.keep = keep;
        }
        match (ours, terminal) {
            (Some(streams), _) => Ok(streams),
            (None, Some(master)) => Ok(ExecStreams::Terminal(master)),
            (None, None) => Err(HostError::new(
                OTHER,
                "exec: the supervisor sent no terminal",
            )),
        }
    };
    match result.await {
        Ok(streams) => Ok(ExecSession {
            name,
            streams,
            exit,
        }),
        Err(e) => {
            if let Some(found) = node.state().container_mut(pod, id) {
                found.execs.remove(&name);
            }
            Err(e)
        }
    }
}

/// Kills an exec'd process; one that has ended is as good as killed.
pub(crate) async fn kill(
    node: &Node,
    pod: &PodUid,
    id: &ContainerId,
    name: &str,
) -> HostResult<()> {
    let sandbox = {
        let state = node.state();
        let found = state.container(pod, id).ok_or_else(|| no_container(id))?;
        found.config.sandbox.clone()
    };
    let request = RequestBody::SignalExec {
        id: id.to_string(),
        exec: name.to_owned(),
        signal: SIGKILL,
    };
    match node.ask(pod, &sandbox, request).await {
        // Its supervisor's end kills what it watched.
        Ok(_) | Err(AskError::Lost) => Ok(()),
        Err(AskError::Failed(failure)) if failure.not_found => Ok(()),
        Err(error) => Err(HostError::new(OTHER, format!("exec: killing it: {error}"))),
    }
}

/// A socket in the network namespace that a container uses. A thread enters it, opens the socket and ends, so that nothing else of this
/// process is ever in there.
pub(crate) async fn socket(
    node: &Node,
    pod: &PodUid,
    id: &ContainerId,
    v6: bool,
) -> HostResult<OwnedFd> {
    let held = {
        let state = node.state();
        let found = state.container(pod, id).ok_or_else(|| no_container(id))?;
        let sandbox = state.sandbox(pod, &found.config.sandbox);
        let held = sandbox.and_then(|s| s.held.clone());
        held.ok_or_else(|| no_sandbox(&found.config.sandbox))?
    };
    let family = if v6 {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let (sender, opened) = oneshot::channel();
    let work = move || {
        let open = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(held.net.as_fd(), kind)?;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            socket_with(family, SocketType::STREAM, flags, None)
        };
        // Nobody waits for it any more where this fails.
        let _ = sender.send(open());
    };
    std::thread::Builder::new()
        .name("netns".to_owned())
        .spawn(work)
        .at(OTHER, "socket: starting a thread")?;
    let socket = opened.await.at(OTHER, "socket: opening it")?;
    socket.at(OTHER, "socket: opening it in the pod's network namespace")
}

fn failed(error: &AskError) -> HostError {
    match error {
        AskError::Failed(f) if f.not_found => {
            HostError::new(HostErrorKind::NotFound, f.cause.clone())
        }
        AskError::Failed(f) => HostError::new(HostErrorKind::Start, f.cause.clone()),
        AskError::Lost | AskError::Away(_) => HostError::new(OTHER, format!("exec: {error}")),
    }
}

/// Our ends, and theirs as standard input, output and error. Theirs belong to the container's user, who could else not open
/// `/dev/stderr`.
fn pipes(stdin: bool, uid: i64, gid: i64) -> io::Result<(ExecStreams, Vec<OwnedFd>)> {
    let (stdout, their_stdout) = io::pipe()?;
    let (stderr, their_stderr) = io::pipe()?;
    let (ours, their_stdin): (Option<OwnedFd>, OwnedFd) = match stdin {
        true => {
            let (read, write) = io::pipe()?;
            (Some(write.into()), read.into())
        }
        false => (None, File::open("/dev/null")?.into()),
    };
    let owner = |id: i64| u32::try_from(id).ok();
    let (uid, gid) = (owner(uid).map(Uid::from_raw), owner(gid).map(Gid::from_raw));
    let mut owned = vec![their_stdout.as_fd(), their_stderr.as_fd()];
    if stdin {
        owned.push(their_stdin.as_fd());
    }
    for fd in owned {
        fchown(fd, uid, gid)?;
    }
    let streams = ExecStreams::Pipes {
        stdin: ours,
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    let theirs = vec![their_stdin, their_stdout.into(), their_stderr.into()];
    Ok((streams, theirs))
}
