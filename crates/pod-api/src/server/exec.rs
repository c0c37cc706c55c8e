//! exec over WebSocket, as `v5.channel.k8s.io` has it: binary messages whose first byte names the channel.

use super::listing;
use crate::backend::{ApiResult, Backend};
use crate::channel::{self, CLOSE, ERROR, PROTOCOLS, RESIZE, STDERR, STDIN, STDOUT, TerminalSize};
use crate::error::{ApiError, Cause, Reason, Status, StatusDetails};
use crate::fd::AsyncStream;
use crate::feed::Key;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use pod_driver::host::{ExecSession, ExecStreams};
use pod_model::config::ExecConfig;
use pod_model::ids::PodRef;
use pod_model::pod::Pod;
use pod_model::status::Phase;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How long output is waited for that others hold open after the process itself has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Bytes of output in one message.
const PIECE: usize = 32 * 1024;

#[derive(Debug, Default, PartialEq, Eq)]
struct ExecQuery {
    container: String,
    command: Vec<String>,
    stdin: bool,
    tty: bool,
    /// Of a debugging session: what it is about, and with whose files.
    target: String,
    image: Option<String>,
}

impl ExecQuery {
    fn read(pairs: Vec<(String, String)>) -> Self {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "container" => query.container = value,
                "command" => query.command.push(value),
                "stdin" => query.stdin = listing::is_true(&value),
                "tty" => query.tty = listing::is_true(&value),
                "target" => query.target = value,
                "image" => query.image = Some(value),
                _ => {}
            }
        }
        query
    }
}

pub(super) async fn exec<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let query = asked(query)?;
    let record = listing::find(node.pods(), "pods", &Key::new(namespace, name))?.value;
    let container = choose(&record.pod, &query.container)?;
    let upgrade = upgradable(upgrade)?;
    begin(node, &record.pod.reference(), &container, query, upgrade).await
}

/// A process where the files, volumes, environment and user are those of a container that has ended.
pub(super) async fn debug<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let query = asked(query)?;
    let record = listing::find(node.pods(), "pods", &Key::new(namespace, name))?.value;
    let pod = record.pod.reference();
    if record.pod.spec.find(&query.target).is_none() {
        return Err(ApiError::bad_request(format!(
            "container {} is not valid for pod {}",
            query.target, pod.name
        )));
    }
    let upgrade = upgradable(upgrade)?;
    let container = node
        .debug(&pod, &query.target, query.image.as_deref())
        .await?;
    begin(node, &pod, &container, query, upgrade).await
}

fn asked(query: Result<Query<Vec<(String, String)>>, QueryRejection>) -> ApiResult<ExecQuery> {
    let Query(pairs) = query?;
    let query = ExecQuery::read(pairs);
    if query.command.is_empty() {
        return Err(ApiError::bad_request(
            "you must specify at least 1 command for the container",
        ));
    }
    Ok(query)
}

fn upgradable(
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<WebSocketUpgrade> {
    let upgrade = upgrade
        .map_err(|e| ApiError::bad_request(format!("exec needs a WebSocket: {}", e.body_text())))?;
    let upgrade = upgrade.protocols(PROTOCOLS);
    if upgrade.selected_protocol().is_none() {
        return Err(ApiError::bad_request(format!(
            "unable to upgrade: the client speaks none of {}",
            PROTOCOLS.join(", ")
        )));
    }
    Ok(upgrade)
}

async fn begin<B: Backend>(
    node: Arc<B>,
    pod: &PodRef,
    container: &str,
    query: ExecQuery,
    upgrade: WebSocketUpgrade,
) -> ApiResult<Response> {
    let config = ExecConfig {
        command: query.command,
        tty: query.tty,
        stdin: query.stdin,
    };
    let session = node.exec(pod, container, &config).await?;
    Ok(upgrade.on_upgrade(move |socket| serve(socket, session, node)))
}

/// The container that is meant, if it runs.
fn choose(pod: &Pod, name: &str) -> ApiResult<String> {
    let phase = pod.status.as_ref().and_then(|s| s.phase);
    if let Some(phase) = phase.filter(|p| p.is_terminal()) {
        return Err(ApiError::bad_request(format!(
            "cannot exec into a container in a completed pod; current phase is {}",
            Phase::as_str(phase)
        )));
    }
    if name.is_empty() {
        return match pod.spec.containers.as_slice() {
            [only] => Ok(only.name.to_string()),
            _ => Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {}",
                pod.metadata.name
            ))),
        };
    }
    if pod.spec.find(name).is_none() {
        return Err(ApiError::bad_request(format!(
            "container {name} is not valid for pod {}",
            pod.metadata.name
        )));
    }
    let status = pod.status.as_ref();
    let running = status.is_some_and(|s| {
        let all = s
            .init_container_statuses
            .iter()
            .chain(&s.container_statuses)
            .chain(&s.ephemeral_container_statuses);
        let mut named = all.filter(|c| c.name == name);
        named.any(|c| c.state.running.is_some())
    });
    if running {
        Ok(name.to_owned())
    } else {
        Err(ApiError::internal(format!(
            "unable to upgrade connection: container not found (\"{name}\")"
        )))
    }
}

/// The process's ends of this side, ready for async use.
struct Ends {
    stdin: Option<Arc<AsyncStream>>,
    outputs: Vec<(u8, Arc<AsyncStream>)>,
    terminal: Option<Arc<AsyncStream>>,
}

impl Ends {
    fn new(streams: ExecStreams) -> io::Result<Self> {
        let open = |fd: OwnedFd| Ok::<_, io::Error>(Arc::new(AsyncStream::new(fd)?));
        Ok(match streams {
            ExecStreams::Terminal(fd) => {
                let terminal = open(fd)?;
                Self {
                    stdin: Some(terminal.clone()),
                    outputs: vec![(STDOUT, terminal.clone())],
                    terminal: Some(terminal),
                }
            }
            ExecStreams::Pipes {
                stdin,
                stdout,
                stderr,
            } => Self {
                stdin: stdin.map(open).transpose()?,
                outputs: vec![(STDOUT, open(stdout)?), (STDERR, open(stderr)?)],
                terminal: None,
            },
        })
    }
}

async fn serve<B: Backend>(socket: WebSocket, session: ExecSession, node: Arc<B>) {
    let (mut to, from) = socket.split();
    let ends = match Ends::new(session.streams) {
        Ok(ends) => ends,
        Err(error) => {
            finish(&mut to, failure(&format!("open the streams: {error}"))).await;
            return;
        }
    };
    let (pieces_to, pieces) = mpsc::channel(4);
    for (channel, output) in ends.outputs {
        tokio::spawn(forward(channel, output, pieces_to.clone()));
    }
    drop(pieces_to);
    let incoming = tokio::spawn(receive(from, ends.stdin, ends.terminal, node));
    let status = pump(&mut to, pieces, session.exit, incoming).await;
    if let Some(status) = status {
        finish(&mut to, status).await;
    }
}

/// Sends output until the process has ended and its output has, too. `None`: the client is gone.
async fn pump(
    to: &mut SplitSink<WebSocket, Message>,
    mut pieces: mpsc::Receiver<Vec<u8>>,
    mut exit: oneshot::Receiver<i32>,
    mut incoming: tokio::task::JoinHandle<()>,
) -> Option<Status> {
    let mut ended: Option<(Status, Instant)> = None;
    let mut drained = false;
    loop {
        if drained && let Some((status, _)) = ended {
            incoming.abort();
            return Some(status);
        }
        let last_words = async {
            match &ended {
                Some((_, until)) => tokio::time::sleep_until(*until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            piece = pieces.recv(), if !drained => match piece {
                Some(piece) => {
                    if to.send(Message::Binary(piece.into())).await.is_err() {
                        incoming.abort();
                        return None;
                    }
                }
                None => drained = true,
            },
            code = &mut exit, if ended.is_none() => {
                let status = match code {
                    Ok(code) => exit_status(code),
                    Err(_) => failure("nobody knows how the process ended: its supervisor is gone"),
                };
                // From its end on, however much others still write.
                ended = Some((status, Instant::now() + LAST_WORDS));
            }
            () = last_words => drained = true,
            _ = &mut incoming => return None,
        }
    }
}

/// Reads one output to its end.
async fn forward(channel: u8, output: Arc<AsyncStream>, to: mpsc::Sender<Vec<u8>>) {
    let mut piece = vec![0; PIECE];
    // An error is the end, too: a terminal answers EIO once its last user has gone.
    while let Ok(n @ 1..) = output.read(&mut piece).await {
        let mut message = Vec::with_capacity(n + 1);
        message.push(channel);
        message.extend_from_slice(piece.get(..n).unwrap_or_default());
        if to.send(message).await.is_err() {
            return;
        }
    }
}

/// Takes what the client sends, until it goes.
async fn receive<B: Backend>(
    mut from: SplitStream<WebSocket>,
    mut stdin: Option<Arc<AsyncStream>>,
    terminal: Option<Arc<AsyncStream>>,
    node: Arc<B>,
) {
    while let Some(Ok(message)) = from.next().await {
        let Message::Binary(bytes) = message else {
            if let Message::Close(_) = message {
                return;
            }
            continue;
        };
        match channel::split(&bytes) {
            Some((STDIN, data)) => {
                if let Some(input) = &stdin
                    && input.write_all(data).await.is_err()
                {
                    stdin = None;
                }
            }
            Some((RESIZE, data)) => {
                if let Some(terminal) = &terminal
                    && let Ok(size) = serde_json::from_slice::<TerminalSize>(data)
                {
                    // A size that cannot be set is no reason to end the session.
                    let _ = node.resize(terminal.fd(), size.width, size.height);
                }
            }
            // A terminal has no end of input of its own: the client sends ^D.
            Some((CLOSE, [STDIN])) => stdin = None,
            _ => {}
        }
    }
}

async fn finish(to: &mut SplitSink<WebSocket, Message>, status: Status) {
    let mut message = vec![ERROR];
    message.extend(serde_json::to_vec(&status).unwrap_or_default());
    // A client that is gone needs no status.
    let _ = to.send(Message::Binary(Bytes::from(message))).await;
    let _ = to.send(Message::Close(None)).await;
    let _ = to.close().await;
}

/// How Kubernetes tells an exit code.
fn exit_status(code: i32) -> Status {
    if code == 0 {
        return Status::success();
    }
    Status {
        status: "Failure".to_owned(),
        message: format!("command terminated with non-zero exit code: exit status {code}"),
        reason: channel::NON_ZERO_EXIT_CODE.to_owned(),
        details: Some(StatusDetails {
            causes: vec![Cause {
                reason: channel::EXIT_CODE.to_owned(),
                message: code.to_string(),
                field: String::new(),
            }],
        }),
        code: 500,
        ..Status::success()
    }
}

fn failure(message: &str) -> Status {
    ApiError::new(Reason::InternalError, message).to_status()
}
