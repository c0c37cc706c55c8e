//! Logs of a container: which attempt is meant, and when following it ends.

use super::listing;
use crate::backend::{ApiResult, Backend, PodRecord};
use crate::error::{ApiError, Reason};
use crate::feed::{Feed, Key};
use crate::log::{LogOptions, LogReader, LogSource, Stream, attempts};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use pod_model::pod::{ContainerKind, Pod};
use pod_model::status::{ContainerStatus, Phase};
use serde::Deserialize;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Query of logs: that of Kubernetes, and `attempt` and `allAttempts`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogQuery {
    container: String,
    follow: bool,
    previous: bool,
    timestamps: bool,
    since_seconds: Option<i64>,
    since_time: Option<Timestamp>,
    tail_lines: Option<u64>,
    limit_bytes: Option<u64>,
    stream: String,
    attempt: Option<u32>,
    all_attempts: bool,
}

impl LogQuery {
    fn options(&self) -> ApiResult<LogOptions> {
        if self.since_seconds.is_some() && self.since_time.is_some() {
            return Err(ApiError::bad_request(
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            ));
        }
        let since = match self.since_seconds {
            Some(seconds) if seconds < 1 => {
                return Err(ApiError::bad_request("sinceSeconds must be greater than 0"));
            }
            Some(seconds) => Timestamp::now()
                .checked_sub(SignedDuration::from_secs(seconds))
                .ok(),
            None => self.since_time,
        };
        let stream = match self.stream.as_str() {
            "" | "All" => None,
            "Stdout" => Some(Stream::Stdout),
            "Stderr" => Some(Stream::Stderr),
            other => {
                return Err(ApiError::bad_request(format!(
                    "stream {other:?}: supported values: \"All\", \"Stderr\", \"Stdout\""
                )));
            }
        };
        let asked = u8::from(self.previous)
            + u8::from(self.attempt.is_some())
            + u8::from(self.all_attempts);
        if asked > 1 {
            return Err(ApiError::bad_request(
                "at most one of `previous`, `attempt` and `allAttempts` may be specified",
            ));
        }
        Ok(LogOptions {
            follow: self.follow,
            tail: self.tail_lines,
            since,
            timestamps: self.timestamps,
            limit_bytes: self.limit_bytes,
            stream,
        })
    }
}

pub(super) async fn log<B: Backend>(
    State(node): State<Arc<B>>,
    Path((namespace, name)): Path<(String, String)>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> ApiResult<Response> {
    let Query(query) = query?;
    let key = Key::new(namespace, name);
    let record = listing::find(node.pods(), "pods", &key)?.value;
    let container = choose(&record.pod, &query.container)?;
    let options = query.options()?;
    let folder = node.log_directory(&record.pod.reference()).join(&container);
    let log = ContainerLog {
        feed: node.pods().clone(),
        key,
        uid: record.pod.metadata.uid.to_string(),
        container,
        folder,
        options,
    };
    let first = log.first_attempt(&record.pod, &query)?;
    // One piece waits while one is being sent: a client that does not read holds no more than that.
    let (to, from) = mpsc::channel(1);
    let every = query.all_attempts;
    tokio::spawn(async move {
        let result = match every {
            true => log.send_all(&to).await,
            false => log.send(first, &to).await,
        };
        if let Err(error) = result {
            // The client sees the answer break off, which is the only word left once it has begun.
            let _ = to.send(Err(error)).await;
        }
    });
    let pieces = stream::unfold(from, |mut from| async move {
        from.recv().await.map(|piece| (piece, from))
    });
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The container that is meant: the only one, unless it is named.
fn choose(pod: &Pod, name: &str) -> ApiResult<String> {
    let (spec, pod_name) = (&pod.spec, &pod.metadata.name);
    if !name.is_empty() {
        return match spec.find(name) {
            Some(_) => Ok(name.to_owned()),
            None => Err(ApiError::bad_request(format!(
                "container {name} is not valid for pod {pod_name}"
            ))),
        };
    }
    if let [only] = spec.containers.as_slice() {
        return Ok(only.name.to_string());
    }
    let names = |kind| {
        let all: Vec<&str> = spec.list(kind).iter().map(|c| c.name.as_str()).collect();
        all.join(" ")
    };
    let mut message = format!(
        "a container name must be specified for pod {pod_name}, choose one of: [{}]",
        names(ContainerKind::App)
    );
    if !spec.init_containers.is_empty() {
        message += &format!(
            " or one of the init containers: [{}]",
            names(ContainerKind::Init)
        );
    }
    Err(ApiError::bad_request(message))
}

fn status_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .chain(&status.ephemeral_container_statuses);
    all.into_iter().find(|s| s.name == container)
}

/// Which attempt's log a kubelet would show; its words where there is none.
fn attempt_of(
    status: Option<&ContainerStatus>,
    container: &str,
    pod: &str,
    previous: bool,
) -> Result<u32, String> {
    let Some(status) = status else {
        return Err(format!(
            "container \"{container}\" in pod \"{pod}\" is not available"
        ));
    };
    let count = u32::try_from(status.restart_count).unwrap_or(0);
    let (state, last) = (&status.state, &status.last_state);
    let present = state.running.is_some() || state.terminated.is_some();
    if previous {
        // While it waits to be started again, the newest attempt is the previous one.
        return match last.terminated {
            None => Err(format!(
                "previous terminated container \"{container}\" in pod \"{pod}\" not found"
            )),
            Some(_) if present => Ok(count.saturating_sub(1)),
            Some(_) => Ok(count),
        };
    }
    if present || last.terminated.is_some() {
        return Ok(count);
    }
    let reason = state.waiting.as_ref().map_or("", |w| w.reason.as_str());
    let why = match reason {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        "" => {
            return Err(format!(
                "container \"{container}\" in pod \"{pod}\" is waiting to start - no logs yet"
            ));
        }
        other => other,
    };
    Err(format!(
        "container \"{container}\" in pod \"{pod}\" is waiting to start: {why}"
    ))
}

/// One container's log while it is being sent.
struct ContainerLog {
    feed: Arc<Feed<PodRecord>>,
    key: Key,
    uid: String,
    container: String,
    folder: PathBuf,
    options: LogOptions,
}

impl ContainerLog {
    fn first_attempt(&self, pod: &Pod, query: &LogQuery) -> ApiResult<u32> {
        let (container, name) = (&self.container, pod.metadata.name.as_str());
        let there = attempts(&self.folder).map_err(|e| {
            ApiError::internal(format!("list the logs in {}: {e}", self.folder.display()))
        })?;
        if let Some(asked) = query.attempt {
            if there.contains(&asked) {
                return Ok(asked);
            }
            let known: Vec<String> = there.iter().map(u32::to_string).collect();
            return Err(ApiError::new(
                Reason::NotFound,
                match known.as_slice() {
                    [] => format!("container \"{container}\" in pod \"{name}\" has no logs yet"),
                    _ => format!(
                        "container \"{container}\" in pod \"{name}\" has no log of attempt {asked}; kept are: {}",
                        known.join(", ")
                    ),
                },
            ));
        }
        let status = status_of(pod, container);
        let attempt =
            attempt_of(status, container, name, query.previous).map_err(ApiError::bad_request)?;
        // One that was lost, with a reboot for instance, counts as restarted though no attempt followed: the newest log is its own.
        let lost = status.and_then(|s| s.state.terminated.as_ref());
        let lost = lost.is_some_and(|t| t.reason == "ContainerStatusUnknown");
        let newest = there.iter().copied().filter(|a| *a <= attempt).max();
        Ok(newest.filter(|_| lost).unwrap_or(attempt))
    }

    /// Sends one attempt.
    async fn send(&self, attempt: u32, to: &mpsc::Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
        let source = LogSource {
            folder: self.folder.clone(),
            attempt,
        };
        let reader = LogReader::open(source, self.options.clone())?;
        reader.send(to, self.ended(attempt)).await
    }

    /// Sends every attempt that is kept, and those to come if it follows.
    async fn send_all(&self, to: &mpsc::Sender<io::Result<Vec<u8>>>) -> io::Result<()> {
        let mut next = 0;
        let mut reached = None;
        loop {
            let there = attempts(&self.folder)?;
            let new: Vec<u32> = there.into_iter().filter(|n| *n >= next).collect();
            for attempt in &new {
                self.send(*attempt, to).await?;
                next = attempt + 1;
            }
            // An attempt whose program could not be started has no log: what comes next is the one after it.
            if let Some(reached) = reached {
                next = next.max(reached + 1);
            }
            if !self.options.follow {
                return Ok(());
            }
            tokio::select! {
                attempt = self.started(next) => match attempt {
                    Some(attempt) => reached = Some(attempt),
                    None => return Ok(()),
                },
                () = to.closed() => return Ok(()),
            }
        }
    }

    /// Comes back when that attempt runs no more.
    async fn ended(&self, attempt: u32) {
        self.until(|pod| {
            let running = pod
                .and_then(|pod| status_of(pod, &self.container))
                .filter(|s| {
                    s.state.running.is_some() && u32::try_from(s.restart_count) == Ok(attempt)
                });
            running.is_none().then_some(())
        })
        .await;
    }

    /// Comes back with the attempt when that one or a later one was begun, or with `None` when none can be any more.
    async fn started(&self, attempt: u32) -> Option<u32> {
        self.until(|pod| {
            let Some(pod) = pod else {
                return Some(None);
            };
            let status = status_of(pod, &self.container);
            let begun =
                status.filter(|s| s.state.running.is_some() || s.state.terminated.is_some());
            let number = begun.and_then(|s| u32::try_from(s.restart_count).ok());
            if let Some(number) = number.filter(|n| *n >= attempt) {
                return Some(Some(number));
            }
            let phase = pod.status.as_ref().and_then(|s| s.phase);
            (phase.is_some_and(Phase::is_terminal) || pod.is_deleted() || self.done_for_good(pod))
                .then_some(None)
        })
        .await
    }

    /// An init container that has succeeded runs again only with the whole pod.
    fn done_for_good(&self, pod: &Pod) -> bool {
        let plain_init = pod
            .spec
            .init_containers
            .iter()
            .any(|c| c.name == self.container.as_str() && !c.is_sidecar());
        let ended = status_of(pod, &self.container).and_then(|s| s.state.terminated.as_ref());
        plain_init && ended.is_some_and(|t| t.exit_code == 0)
    }

    /// Asks `look` now and after every change of the pod (`None`: it is gone), until it answers.
    async fn until<T>(&self, look: impl Fn(Option<&Pod>) -> Option<T>) -> T {
        let mut watch = self.feed.watch(self.feed.list().1);
        loop {
            let record = self.feed.get(&self.key);
            let pod = record.as_ref().map(|r| &*r.value.pod);
            if let Some(answer) = look(pod.filter(|p| p.metadata.uid == self.uid.as_str())) {
                return answer;
            }
            loop {
                match watch.next().await {
                    Ok(changes) if changes.iter().any(|c| c.key == self.key) => break,
                    Ok(_) => {}
                    // So much has happened that nobody remembers it: look, and watch from now on.
                    Err(_) => {
                        watch = self.feed.watch(self.feed.list().1);
                        break;
                    }
                }
            }
        }
    }
}
