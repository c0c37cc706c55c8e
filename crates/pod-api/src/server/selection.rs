//! Which objects of a feed a request means, and what can be asked of each kind.

use crate::backend::{ApiResult, ConfigRecord, PodRecord, ServiceRecord};
use crate::error::ApiError;
use crate::feed::Key;
use crate::selector::{FieldSelector, LabelSelector};
use crate::wire;
use pod_model::event::Event;
use pod_model::status::Phase;
use serde_json::Value;
use std::collections::BTreeMap;

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
            "type" => {
                let kind = self.object.get("type").and_then(Value::as_str);
                kind.unwrap_or_default().to_owned()
            }
            _ => metadata_field(key, name),
        }
    }
}

impl Served for ServiceRecord {
    const FIELDS: &'static [&'static str] = &[
        "metadata.name",
        "metadata.namespace",
        "spec.clusterIP",
        "spec.type",
    ];

    fn value(&self, _: &Key, version: u64) -> Value {
        wire::service_value(self, version)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        self.service.labels.clone()
    }

    fn field(&self, key: &Key, name: &str) -> String {
        match name {
            "spec.clusterIP" => match self.service.address.ip() {
                Some(ip) => ip.to_string(),
                None => "None".to_owned(),
            },
            "spec.type" => "ClusterIP".to_owned(),
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
    pub(super) fn read<T: Served>(
        namespace: Option<String>,
        labels: &str,
        fields: &str,
    ) -> ApiResult<Self> {
        let wrong = |e: crate::selector::SelectorError| ApiError::bad_request(e.to_string());
        Ok(Self {
            namespace,
            labels: LabelSelector::parse(labels).map_err(wrong)?,
            fields: FieldSelector::parse(fields, T::FIELDS).map_err(wrong)?,
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
