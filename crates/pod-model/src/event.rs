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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_repeats_another_only_where_all_that_is_told_is_the_same() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = Event {
            pod: PodRef {
                namespace: "ns".into(),
                name: "p".into(),
                uid: "u".into(),
            },
            field_path: "spec.containers{a}".to_owned(),
            kind: EventKind::Normal,
            reason: "Pulled".to_owned(),
            message: "m".to_owned(),
            component: "kubelet".to_owned(),
            first: at(1),
            last: at(1),
            count: 1,
        };
        let later = Event {
            last: at(9),
            first: at(9),
            count: 4,
            ..first.clone()
        };
        assert!(first.repeats(&later), "times and counts do not matter");
        let changes: [fn(&mut Event); 6] = [
            |e| e.pod.uid = "v".into(),
            |e| e.field_path.clear(),
            |e| e.kind = EventKind::Warning,
            |e| e.reason.clear(),
            |e| e.message.clear(),
            |e| e.component.clear(),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut other = first.clone();
            change(&mut other);
            assert!(!first.repeats(&other), "change {index}");
        }
        assert_eq!(
            (EventKind::Normal.as_str(), EventKind::Warning.as_str()),
            ("Normal", "Warning")
        );
    }
}
