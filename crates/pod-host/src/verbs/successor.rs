//! A supervisor that is not there any more, and the one that takes its place.
//!
//! ```text
//! connect ── refused ──▶ a successor is started: it gets what we hold of the containers, adopts them, and says what it found
//!    │                        └── none can be had (five tries) ──▶ Dead
//!    └── its state is asked for ── no answer ──▶ Refused: it serves a newer daemon
//! ```

use crate::failure::blocking;
use crate::node_state::Node;
use crate::paths::SandboxDir;
use crate::supervisor::{self, Client};
use pod_model::ids::{PodUid, SandboxId};
use pod_wire::supervisor::{self as wire, Descriptor, ReplyBody, RequestBody};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// A supervisor that lives answers at once; one that does not in this time is treated as dead, or it would hold up the whole node.
const ANSWER: Duration = Duration::from_secs(10);

/// How often a supervisor that does not answer is asked, and how long is waited between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// Successors started in a row without one that answers.
const SUCCESSORS: u32 = 5;

/// What came of looking for a sandbox's supervisor.
pub(crate) enum Found {
    /// It serves us, and this is what it knows.
    Lives(Arc<Client>, Vec<wire::ContainerState>),
    /// It lives and does not take us.
    Refuses,
    /// Nobody is there, and nobody could be put there.
    Nobody,
}

/// Finds the supervisor of a sandbox, or puts a successor in its place.
pub(crate) async fn find(
    node: &Arc<Node>,
    dir: &SandboxDir,
    pod: &PodUid,
    id: &SandboxId,
) -> Found {
    for _ in 0..TRIES {
        let Ok(socket) = pod_sys::socket::connect(&dir.socket()) else {
            return succeed(node, dir, pod, id).await;
        };
        if let Some((client, states)) = ask_state(node, socket, pod, id).await {
            return Found::Lives(client, states);
        }
        // One that is just dying may still be connected to, for as long as the kernel takes to close its descriptors.
        tokio::time::sleep(PAUSE).await;
    }
    Found::Refuses
}

/// Only the connection, for a sandbox that is about to end.
pub(crate) async fn link(
    node: &Arc<Node>,
    dir: &SandboxDir,
    pod: &PodUid,
    id: &SandboxId,
) -> Option<Arc<Client>> {
    match find(node, dir, pod, id).await {
        Found::Lives(client, _) => Some(client),
        Found::Refuses | Found::Nobody => None,
    }
}

async fn succeed(node: &Arc<Node>, dir: &SandboxDir, pod: &PodUid, id: &SandboxId) -> Found {
    // Without it there is nothing to take over.
    if matches!(dir.supervised().try_exists(), Ok(false)) {
        return Found::Nobody;
    }
    for _ in 0..SUCCESSORS {
        let held = held(node, pod, id);
        let (work, at) = (Arc::clone(node), dir.clone());
        let started = blocking(move || {
            supervisor::succeed(
                &work.options.programs.supervisor,
                at.path(),
                work.launch.as_fd(),
                work.options.launcher_ahead,
                held,
            )
        });
        let Ok(Ok(started)) = started.await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if let Some((client, states)) = ask_state(node, started.socket, pod, id).await {
            started.child.leave();
            return Found::Lives(client, states);
        }
        // It only fails when the runtime ends.
        let _ = blocking(move || started.child.end()).await;
    }
    Found::Nobody
}

/// Copies of everything that we hold of a sandbox's processes, each by its name for a successor.
fn held(node: &Node, pod: &PodUid, id: &SandboxId) -> Vec<(String, OwnedFd)> {
    let state = node.state();
    let pause = state.sandbox(pod, id).map(|s| s.keep.copies(id.as_str()));
    let containers = state.pod(pod).map(|p| p.containers.as_slice());
    let containers = containers.unwrap_or_default().iter();
    let of_it = containers.filter(|c| c.config.sandbox == *id && !c.has_ended());
    let of_it = of_it.flat_map(crate::state::ContainerState::kept);
    pause.unwrap_or_default().into_iter().chain(of_it).collect()
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

/// Asks for what is to be held of a process, for a later successor. A supervisor of protocol version 1 has nothing to give.
pub(crate) async fn hold(
    client: &Client,
    id: &str,
    exec: Option<String>,
) -> crate::supervisor::Keep {
    let request = RequestBody::Hold {
        id: id.to_owned(),
        exec,
    };
    match client.ask(request, Vec::new()).await {
        Ok(answer) => match &answer.body {
            ReplyBody::Held { descriptors } => {
                supervisor::Keep::new(descriptors, answer.fds, Descriptor::Process)
            }
            _ => supervisor::Keep::default(),
        },
        Err(_) => supervisor::Keep::default(),
    }
}
