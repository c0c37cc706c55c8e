//! A watch as a response that goes on: one JSON object a line.

use super::selection::{Selection, Served, WatchStart};
use crate::error::{ApiError, Reason};
use crate::feed::{Change, ChangeKind, Feed, Watch};
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

struct State<T> {
    watch: Watch<T>,
    selection: Selection,
    ready: VecDeque<String>,
    over: bool,
    until: Option<Instant>,
}

/// The answer to a watch.
pub(super) fn watch_response<T: Served>(
    feed: &Arc<Feed<T>>,
    selection: Selection,
    start: WatchStart,
) -> Response {
    let mut ready = VecDeque::new();
    let since = match start.since {
        Some(since) => since,
        None => {
            let (all, version) = feed.list();
            for (key, object) in &all {
                if selection.takes(key, &*object.value) {
                    ready.push_back(line("ADDED", object.value.value(key, object.version)));
                }
            }
            if start.bookmark {
                ready.push_back(line("BOOKMARK", bookmark(version)));
            }
            version
        }
    };
    let state = State {
        watch: feed.watch(since),
        selection,
        ready,
        over: false,
        until: start
            .timeout
            .map(|s| Instant::now() + Duration::from_secs(s)),
    };
    let lines = stream::unfold(state, next);
    let headers = [(CONTENT_TYPE, "application/json")];
    (headers, Body::from_stream(lines)).into_response()
}

async fn next<T: Served>(mut state: State<T>) -> Option<(Result<String, Infallible>, State<T>)> {
    loop {
        if let Some(line) = state.ready.pop_front() {
            return Some((Ok(line), state));
        }
        if state.over {
            return None;
        }
        let changes = match state.until {
            Some(until) => tokio::time::timeout_at(until, state.watch.next())
                .await
                .ok()?,
            None => state.watch.next().await,
        };
        match changes {
            Ok(changes) => {
                let lines = changes.iter().filter_map(|c| told(&state.selection, c));
                state.ready.extend(lines);
            }
            Err(expired) => {
                let error = ApiError::new(Reason::Expired, expired.to_string());
                state
                    .ready
                    .push_back(line("ERROR", json!(error.to_status())));
                state.over = true;
            }
        }
    }
}

/// What a watch with that selection says of a change: an object that stops to match is gone for it, one that begins to is new.
fn told<T: Served>(selection: &Selection, change: &Change<T>) -> Option<String> {
    let object = &*change.object.value;
    let now = change.kind != ChangeKind::Deleted && selection.takes(&change.key, object);
    let before = match (change.kind, &change.before) {
        (ChangeKind::Added, _) => false,
        (ChangeKind::Deleted, _) => selection.takes(&change.key, object),
        (ChangeKind::Modified, Some(before)) => selection.takes(&change.key, &**before),
        (ChangeKind::Modified, None) => now,
    };
    let kind = match (before, now) {
        (false, false) => return None,
        (false, true) => "ADDED",
        (true, true) => "MODIFIED",
        (true, false) => "DELETED",
    };
    Some(line(kind, object.value(&change.key, change.object.version)))
}

fn bookmark(version: u64) -> Value {
    json!({"metadata": {
        "resourceVersion": version.to_string(),
        "annotations": {"k8s.io/initial-events-end": "true"},
    }})
}

fn line(kind: &str, object: Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}
