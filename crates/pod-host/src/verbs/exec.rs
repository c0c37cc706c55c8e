//! Processes started in running containers.

use crate::failure::{At, no_container};
use crate::node_state::Node;
use crate::supervisor::AskError;
use pod_driver::host::{ExecSession, ExecStreams, HostError, HostErrorKind, HostResult};
use pod_model::config::ExecConfig;
use pod_model::ids::{ContainerId, PodUid};
use pod_model::runtime::RunState;
use pod_wire::supervisor::RequestBody;
use rustix::fs::fchown;
use rustix::process::{Gid, Uid};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

const OTHER: HostErrorKind = HostErrorKind::Other;

/// Starts a process.
pub(crate) async fn start(
    node: &Arc<Node>,
    pod: &PodUid,
    id: &ContainerId,
    config: &ExecConfig,
) -> HostResult<ExecSession> {
    let number = node.execs.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}", node.options.generation);
    let (ended, exit) = oneshot::channel();
    let (client, user) = {
        let mut state = node.state();
        let found = state
            .container_mut(pod, id)
            .ok_or_else(|| no_container(id))?;
        if found.record.state != RunState::Running {
            let text = format!("container not found (\"{}\")", found.config.name);
            return Err(HostError::new(HostErrorKind::NotFound, text));
        }
        // Before it is asked for: its end may be told before its start is answered.
        found.execs.insert(name.clone(), ended);
        let user = found.record.user.clone().unwrap_or_default();
        let sandbox = found.config.sandbox.clone();
        let client = state.sandbox(pod, &sandbox).and_then(|s| s.client.clone());
        (client, user)
    };
    let result = async {
        let (ours, theirs) = match config.tty {
            true => (None, Vec::new()),
            false => {
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
        let answer = match client {
            Some(client) => client.ask(request, theirs).await,
            None => Err(AskError::Lost),
        };
        let answer = answer.map_err(|e| failed(&e))?;
        match (ours, answer.fds.into_iter().next()) {
            (Some(streams), _) => Ok(streams),
            (None, Some(master)) => Ok(ExecStreams::Terminal(master)),
            (None, None) => Err(HostError::new(
                OTHER,
                "exec: the supervisor sent no terminal",
            )),
        }
    };
    match result.await {
        Ok(streams) => Ok(ExecSession { streams, exit }),
        Err(e) => {
            if let Some(found) = node.state().container_mut(pod, id) {
                found.execs.remove(&name);
            }
            Err(e)
        }
    }
}

fn failed(error: &AskError) -> HostError {
    match error {
        AskError::Failed(f) if f.not_found => {
            HostError::new(HostErrorKind::NotFound, f.cause.clone())
        }
        AskError::Failed(f) => HostError::new(HostErrorKind::Start, f.cause.clone()),
        AskError::Lost => HostError::new(OTHER, error.to_string()),
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
