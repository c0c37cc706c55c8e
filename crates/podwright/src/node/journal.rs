//! Where pods' tasks tell what becomes of them: into the feeds that clients watch, and onto disk a little later.

use super::idle::Idle;
use super::records::{Later, Records};
use jiff::Timestamp;
use pod_api::backend::PodRecord;
use pod_api::events::EventLog;
use pod_api::feed::{Feed, Key};
use pod_driver::world::Journal;
use pod_model::ids::{PodRef, PodUid};
use pod_model::pod::Pod;
use pod_model::status::{Phase, PodStatus};
use pod_plan::events::PodEvent;
use pod_plan::memory::Memory;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// The journal of this daemon.
#[derive(Debug)]
pub struct NodeJournal {
    /// All pods.
    pub pods: Arc<Feed<PodRecord>>,
    /// All events.
    pub events: EventLog,
    /// Who is to look whether the daemon is idle now.
    pub idle: Idle,
    /// Records of pods.
    pub records: Records,
    /// The writer.
    pub later: Later,
    /// Who takes a pod that is gone off the list of tasks.
    pub gone: UnboundedSender<PodUid>,
}

impl Journal for NodeJournal {
    fn status(&self, pod: &PodRef, status: &PodStatus, memory: &Memory) {
        let key = Key::new(pod.namespace.as_str(), pod.name.as_str());
        if let Some(record) = self.pods.get(&key) {
            let now = Pod {
                status: Some(status.clone()),
                ..Pod::clone(&record.value.pod)
            };
            self.pods.put(
                key,
                PodRecord {
                    pod: Arc::new(now),
                    ..PodRecord::clone(&record.value)
                },
            );
        }
        self.later.keep(&pod.uid, memory);
        if status.phase.is_some_and(Phase::is_terminal) {
            self.idle.look();
        }
    }

    fn event(&self, pod: &PodRef, event: PodEvent, at: Timestamp) {
        self.events.record(event.at(pod.clone(), at));
    }

    fn removed(&self, pod: &PodRef) {
        // Before the name is free for another pod: a daemon that is killed now must not find two pods of one name.
        if let Err(error) = self.records.forget_record(&pod.uid) {
            eprintln!("{error:#}");
        }
        let key = Key::new(pod.namespace.as_str(), pod.name.as_str());
        let of_it = self.pods.get(&key);
        if of_it.is_some_and(|r| r.value.pod.metadata.uid == pod.uid) {
            self.pods.remove(&key);
        }
        self.later.forget(&pod.uid);
        // The daemon that listens is ending when nobody takes it.
        let _ = self.gone.send(pod.uid.clone());
    }
}
