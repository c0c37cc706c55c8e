//! List and watch over a feed, the same for every kind.

use super::selection::{Selection, Served, WatchStart};
use super::watching::watch_response;
use crate::backend::ApiResult;
use crate::error::ApiError;
use crate::feed::{Feed, Key, Versioned};
use crate::wire;
use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Query of list and watch.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListQuery {
    label_selector: String,
    field_selector: String,
    pub(super) watch: String,
    resource_version: String,
    timeout_seconds: Option<u64>,
    send_initial_events: String,
}

/// Answers list and watch.
pub(super) fn serve<T: Served>(
    feed: &Arc<Feed<T>>,
    list_kind: &str,
    namespace: Option<String>,
    query: &ListQuery,
) -> ApiResult<Response> {
    let selection = Selection::read::<T>(namespace, &query.label_selector, &query.field_selector)?;
    let version = match query.resource_version.as_str() {
        "" | "0" => None,
        text => Some(text.parse().map_err(|_| {
            ApiError::bad_request(format!("invalid resource version {text:?}: not a number"))
        })?),
    };
    if is_true(&query.watch) {
        let initial = is_true(&query.send_initial_events);
        let start = WatchStart {
            since: version.filter(|_| !initial),
            bookmark: initial,
            timeout: query.timeout_seconds,
        };
        return Ok(watch_response(feed, selection, start));
    }
    let (all, version) = feed.list();
    let items = all
        .iter()
        .filter(|(key, object)| selection.takes(key, &*object.value))
        .map(|(key, object)| object.value.value(key, object.version))
        .collect();
    Ok(Json(wire::list_value(list_kind, items, version)).into_response())
}

/// One object, or `NotFound`.
pub(super) fn find<T: Served>(
    feed: &Arc<Feed<T>>,
    resource: &str,
    key: &Key,
) -> ApiResult<Versioned<T>> {
    feed.get(key)
        .ok_or_else(|| ApiError::not_found(resource, &key.name))
}

/// `true` and `1`, as Kubernetes reads a boolean of a query.
pub(super) fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "True" | "TRUE")
}
