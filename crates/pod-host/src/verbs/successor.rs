//! A supervisor that is not there any more, and the one that takes its place.
//!
//! ```text
//! connect ── nobody listens ──▶ whoever still holds the folder's lock is ended, and a successor is started: it gets what we hold of the
//!    │  │                       containers, adopts them, and says what it found ── none can be had (five tries) ──▶ Nobody
//!    │  └── neither can be found out, for want of descriptors, memory, … ──▶ Away
//!    └── its state is asked for ── no answer ──▶ Away: it serves a newer daemon, or hangs
//! ```

use crate::failure::blocking;
use crate::node_state::Node;
use crate::paths::SandboxDir;
use crate::state::Held;
use crate::supervisor::{self, AskError, Client, LAST_WORDS};
use pod_model::ids::{PodUid, SandboxId};
use pod_wire::supervisor::{self as wire, Descriptor, ReplyBody, RequestBody};
use rustix::io::Errno;
use std::fs;
use std::io;
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
    /// It serves us, this is what it knows, and these are the namespaces of its pause process unless that has ended.
    Lives(Arc<Client>, Vec<wire::ContainerState>, Option<Held>),
    /// It may live, and cannot be spoken with now, for this reason.
    Away(String),
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
    let search = node.state().sandbox(pod, id).map(|s| Arc::clone(&s.search));
    let _turn = match &search {
        Some(search) => Some(search.lock().await),
        None => None,
    };
    let mut away = String::new();
    let mut failed = 0;
    for _ in 0..TRIES {
        let answer = match pod_sys::socket::connect(&dir.socket()) {
            Ok(socket) => ask_state(node, socket, pod, id).await,
            Err(e) if nobody_listens(&e) => {
                match dir.supervised().try_exists() {
                    // Without it there is nothing to take over.
                    Ok(false) => return Found::Nobody,
                    Ok(true) => {}
                    Err(e) => return Found::Away(e.to_string()),
                }
                let answer = succeed(node, dir, pod, id).await;
                failed += u32::from(matches!(answer, Err(NoAnswer::Ended)));
                answer
            }
            Err(e) => Err(NoAnswer::Unknown(e.to_string())),
        };
        match answer {
            Ok((client, states)) => match pause(&states) {
                Ok(held) => return Found::Lives(client, states, held),
                Err(e) => away = format!("its pause process cannot be looked at: {e}"),
            },
            Err(NoAnswer::Ended) if failed >= SUCCESSORS => return Found::Nobody,
            Err(NoAnswer::Silent) => {
                return Found::Away(format!(
                    "it lives and has not answered for {} s",
                    ANSWER.as_secs()
                ));
            }
            // One that is just dying may still be connected to, for as long as the kernel takes to close its descriptors.
            Err(NoAnswer::Ended) => {
                away = "it lives and does not answer (does a newer node daemon run?)".to_owned();
            }
            Err(NoAnswer::Unknown(cause)) => away = cause,
        }
        tokio::time::sleep(PAUSE).await;
    }
    Found::Away(away)
}

/// Only the connection, for a sandbox that is about to end.
///
/// # Errors
/// [`AskError::Lost`]: there is no supervisor. [`AskError::Away`].
pub(crate) async fn link(
    node: &Arc<Node>,
    dir: &SandboxDir,
    pod: &PodUid,
    id: &SandboxId,
) -> Result<Arc<Client>, AskError> {
    match find(node, dir, pod, id).await {
        Found::Lives(client, ..) => Ok(client),
        Found::Away(cause) => Err(AskError::Away(cause)),
        Found::Nobody => Err(AskError::Lost),
    }
}

/// Namespaces of the pause process; `None` where it has ended.
fn pause(states: &[wire::ContainerState]) -> io::Result<Option<Held>> {
    let Some(pause) = states.iter().find(|s| s.pause && s.exit.is_none()) else {
        return Ok(None);
    };
    let opened = pod_sys::pidfd::open(pause.pid).and_then(|handle| Held::open(pause.pid, &handle));
    match opened {
        Ok(held) => Ok(Some(held)),
        Err(e) if passes(&e) => Err(e),
        Err(_) => Ok(None),
    }
}

/// Why a supervisor has not told its state.
enum NoAnswer {
    /// It has ended the connection, or could not be started.
    Ended,
    /// It has said nothing for as long as [`ANSWER`].
    Silent,
    /// It was not asked: this process, or the machine, lacks something for it.
    Unknown(String),
}

type States = Result<(Arc<Client>, Vec<wire::ContainerState>), NoAnswer>;

/// Nobody has the socket open: not that we could not look.
fn nobody_listens(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
    kinds.contains(&error.kind())
}

/// Whether what failed may go well another time, with nothing mended.
fn passes(error: &io::Error) -> bool {
    let lack = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::NOBUFS,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::IO,
    ];
    Errno::from_io_error(error).is_some_and(|e| lack.contains(&e))
        || error.kind() == io::ErrorKind::TimedOut
}

/// One try to put a successor in the place of a supervisor that nobody can connect to.
async fn succeed(node: &Arc<Node>, dir: &SandboxDir, pod: &PodUid, id: &SandboxId) -> States {
    let held = held(node, pod, id).map_err(|e| NoAnswer::Unknown(e.to_string()))?;
    let (work, at) = (Arc::clone(node), dir.clone());
    let started = blocking(move || {
        // One may live all the same, with its socket's name gone.
        supervisor::end_holder(&at.lock())?;
        supervisor::succeed(
            &work.options.programs.supervisor,
            at.path(),
            work.launch.as_fd(),
            work.options.launcher_ahead,
            held,
        )
    });
    let started = match started.await {
        Ok(Ok(started)) => started,
        Ok(Err(e)) if passes(&e) => return Err(NoAnswer::Unknown(e.to_string())),
        Ok(Err(_)) | Err(_) => return Err(NoAnswer::Ended),
    };
    match ask_state(node, started.socket, pod, id).await {
        Ok(found) => {
            started.child.leave();
            Ok(found)
        }
        Err(why) => {
            // It only fails when the runtime ends.
            let not_now = blocking(move || started.child.end()).await;
            let words = || fs::read_to_string(dir.path().join(LAST_WORDS)).unwrap_or_default();
            Err(match why {
                NoAnswer::Unknown(cause) => NoAnswer::Unknown(cause),
                _ if not_now.is_ok_and(|not_now| not_now) => {
                    NoAnswer::Unknown(format!("no successor can adopt it now: {}", words().trim()))
                }
                NoAnswer::Ended | NoAnswer::Silent => NoAnswer::Ended,
            })
        }
    }
}

/// Copies of everything that we hold of a sandbox's processes, each by its name for a successor.
fn held(node: &Node, pod: &PodUid, id: &SandboxId) -> io::Result<Vec<(String, OwnedFd)>> {
    let state = node.state();
    let pause = state.sandbox(pod, id).map(|s| s.keep.copies(id.as_str()));
    let mut all = pause.transpose()?.unwrap_or_default();
    let containers = state.pod(pod).map(|p| p.containers.as_slice());
    let containers = containers.unwrap_or_default().iter();
    for container in containers.filter(|c| c.config.sandbox == *id && !c.has_ended()) {
        all.extend(container.kept()?);
    }
    Ok(all)
}

async fn ask_state(node: &Arc<Node>, socket: UnixStream, pod: &PodUid, id: &SandboxId) -> States {
    // Told of its end only once it serves us: one that refuses us is no loss.
    let client = Client::new(socket, &node.asker, node.link(pod, id))
        .map_err(|e| NoAnswer::Unknown(e.to_string()))?;
    let asked = client.ask(RequestBody::State, Vec::new());
    let answer = tokio::time::timeout(ANSWER, asked).await;
    let answer = answer.map_err(|_| NoAnswer::Silent)?;
    match answer.map_err(|_| NoAnswer::Ended)?.body {
        ReplyBody::State(states) => Ok((Arc::new(client), states)),
        _ => Err(NoAnswer::Ended),
    }
}

/// Asks for what is to be held of a process, for a later successor. A supervisor of protocol version 1 has nothing to give. `None`: there is
/// no answer, and what is held already is all there is.
pub(crate) async fn hold(
    client: &Client,
    id: &str,
    exec: Option<String>,
) -> Option<supervisor::Keep> {
    let request = RequestBody::Hold {
        id: id.to_owned(),
        exec,
    };
    let answer = client.ask(request, Vec::new()).await.ok()?;
    match &answer.body {
        ReplyBody::Held { descriptors } => {
            let first = Descriptor::Process;
            Some(supervisor::Keep::new(descriptors, answer.fds, first))
        }
        _ => None,
    }
}
