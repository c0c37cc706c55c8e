//! List and watch over a feed, the same for every kind.

use super::watching::watch_response;
use crate::backend::{ApiResult, ConfigRecord, PodRecord};
use crate::error::ApiError;
use crate::feed::{Feed, Key, Versioned};
use crate::selector::{FieldSelector, LabelSelector};
use crate::wire;
use axum::Json;
use axum::response::{IntoResponse, Response};
use pod_model::event::Event;
use pod_model::status::Phase;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
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

/// A kind of object that a feed holds.
pub(super) trait Served: Send + Sync + 'static {
    /// Fields that it can be selected by.
    const FIELDS: &'static [&'static str];
    /// The object as JSON.
    fn value(&self, key: &Key, version: u64) -> Value;
    /// Its labels.
    fn labels(&self) -> BTreeMap<String, String>;
    /// One of [`Served::FIELDS`].
    fn field(&self, key: &Key, name: &str) -> String;
}

impl Served for PodRecord {
    const FIELDS: &'static [&'static str] = &[
        "metadata.name",
        "metadata.namespace",
        "spec.nodeName",
        "spec.restartPolicy",
        "status.phase",
        "status.podIP",
    ];

    fn value(&self, _: &Key, version: u64) -> Value {
        wire::pod_value(self, version)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        self.pod.metadata.labels.clone()
    }

    fn field(&self, key: &Key, name: &str) -> String {
        let status = self.pod.status.as_ref();
        match name {
            "spec.nodeName" => self.node.clone(),
            "spec.restartPolicy" => format!("{:?}", self.pod.spec.restart()),
            "status.phase" => status
                .and_then(|s| s.phase)
                .map_or("Pending", Phase::as_str)
                .to_owned(),
            "status.podIP" => status.map(|s| s.pod_ip.clone()).unwrap_or_default(),
            _ => metadata_field(key, name),
        }
    }
}

impl Served for Event {
    const FIELDS: &'static [&'static str] = &[
        "metadata.name",
        "metadata.namespace",
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.fieldPath",
        "reason",
        "source",
        "type",
    ];

    fn value(&self, key: &Key, version: u64) -> Value {
        wire::event_value(key, self, version)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn field(&self, key: &Key, name: &str) -> String {
        match name {
            "involvedObject.kind" => "Pod".to_owned(),
            "involvedObject.namespace" => self.pod.namespace.to_string(),
            "involvedObject.name" => self.pod.name.to_string(),
            "involvedObject.uid" => self.pod.uid.to_string(),
            "involvedObject.fieldPath" => self.field_path.clone(),
            "reason" => self.reason.clone(),
            "source" => self.component.clone(),
            "type" => self.kind.as_str().to_owned(),
            _ => metadata_field(key, name),
        }
    }
}

impl Served for ConfigRecord {
    const FIELDS: &'static [&'static str] = &["metadata.name", "metadata.namespace", "type"];

    fn value(&self, _: &Key, version: u64) -> Value {
        wire::config_value(self, version)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.object.pointer("/metadata/labels");
        serde_json::from_value(labels.cloned().unwrap_or_default()).unwrap_or_default()
    }

    fn field(&self, key: &Key, name: &str) -> String {
        match name {
            "type" => self.object["type"].as_str().unwrap_or_default().to_owned(),
            _ => metadata_field(key, name),
        }
    }
}

fn metadata_field(key: &Key, name: &str) -> String {
    match name {
        "metadata.name" => key.name.clone(),
        "metadata.namespace" => key.namespace.clone(),
        _ => String::new(),
    }
}

/// Which objects a request means.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    namespace: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    fn read<T: Served>(namespace: Option<String>, query: &ListQuery) -> ApiResult<Self> {
        let wrong = |e: crate::selector::SelectorError| ApiError::bad_request(e.to_string());
        Ok(Self {
            namespace,
            labels: LabelSelector::parse(&query.label_selector).map_err(wrong)?,
            fields: FieldSelector::parse(&query.field_selector, T::FIELDS).map_err(wrong)?,
        })
    }

    pub(super) fn takes<T: Served>(&self, key: &Key, object: &T) -> bool {
        self.namespace.as_ref().is_none_or(|n| *n == key.namespace)
            && self.labels.matches(&object.labels())
            && self.fields.matches(|name| object.field(key, name))
    }
}

/// How a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WatchStart {
    /// Continue after this version; `None` = first every object as it is now.
    pub(super) since: Option<u64>,
    /// Tell by a bookmark when every object has been told.
    pub(super) bookmark: bool,
    /// End after so many seconds.
    pub(super) timeout: Option<u64>,
}

/// Answers list and watch.
pub(super) fn serve<T: Served>(
    feed: &Arc<Feed<T>>,
    list_kind: &str,
    namespace: Option<String>,
    query: &ListQuery,
) -> ApiResult<Response> {
    let selection = Selection::read::<T>(namespace, query)?;
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
