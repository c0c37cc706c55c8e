//! Events of a pod, in the meaning of `v1.Event`.

use crate::ids::PodRef;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something worth telling about a pod. The same thing again raises `count` and moves `last`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Which pod.
    pub pod: PodRef,
    /// Which container, such as `spec.initContainers{init-a}`; empty = the pod as a whole.
    pub field_path: String,
    /// Normal or Warning.
    pub kind: EventKind,
    /// One word, such as `Pulled`, `Started`, `BackOff`.
    pub reason: String,
    /// A sentence for a user.
    pub message: String,
    /// Who says so: `kubelet`, or `default-scheduler`.
    pub component: String,
    /// First time.
    pub first: Timestamp,
    /// Latest time.
    pub last: Timestamp,
    /// How many times.
    pub count: u32,
}

/// `type` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum EventKind {
    Normal,
    Warning,
}

impl EventKind {
    /// The name as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        }
    }
}

impl Event {
    /// Whether `other` tells the same thing about the same container, so that it only raises the count.
    pub fn repeats(&self, other: &Event) -> bool {
        self.pod == other.pod
            && self.field_path == other.field_path
            && self.kind == other.kind
            && self.reason == other.reason
            && self.message == other.message
            && self.component == other.component
    }
}
