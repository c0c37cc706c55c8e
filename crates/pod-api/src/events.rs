//! Keeps the events of a node: repeats are counted, old ones are forgotten.

use crate::feed::{Feed, Key, Versions};
use jiff::{SignedDuration, Timestamp};
use pod_model::event::Event;
use pod_model::ids::PodUid;
use std::sync::{Arc, Mutex, PoisonError};

/// How long an event is kept after it happened last: one hour, as an API server does.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// How many events are kept in all.
const MOST: usize = 4096;

/// All events of a node.
#[derive(Debug)]
pub struct EventLog {
    feed: Arc<Feed<Event>>,
    // One writer at a time: between finding the event that is repeated and putting it back nobody else may count it.
    writing: Mutex<()>,
}

impl EventLog {
    /// None yet.
    pub fn new(versions: Versions) -> Self {
        Self {
            feed: Arc::new(Feed::new(versions)),
            writing: Mutex::new(()),
        }
    }

    /// For listing and watching.
    pub fn feed(&self) -> &Arc<Feed<Event>> {
        &self.feed
    }

    /// Takes an event; one that is there already is counted once more.
    pub fn record(&self, event: Event) {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, _) = self.feed.list();
        let mut event = event;
        let mut key = None;
        let mut kept = all.len();
        let mut oldest: Option<(&Key, Timestamp)> = None;
        for (k, old) in &all {
            if old.value.repeats(&event) {
                event.count = old.value.count.saturating_add(event.count);
                event.first = old.value.first;
                key = Some(k.clone());
            } else if event.last.duration_since(old.value.last) > KEPT {
                self.feed.remove(k);
                kept -= 1;
            } else if oldest.is_none_or(|(_, t)| old.value.last < t) {
                oldest = Some((k, old.value.last));
            }
        }
        if kept >= MOST
            && key.is_none()
            && let Some((oldest, _)) = oldest
        {
            self.feed.remove(oldest);
        }
        let key = key.unwrap_or_else(|| self.name(&event));
        self.feed.put(key, event);
    }

    /// Forgets the events of a pod that is gone.
    pub fn forget(&self, pod: &PodUid) {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, event) in self.feed.list().0 {
            if event.value.pod.uid == *pod {
                self.feed.remove(&key);
            }
        }
    }

    /// `<pod>.<time in ns, hexadecimal>`, as client-go names events; moved on while it is taken.
    fn name(&self, event: &Event) -> Key {
        let mut time = event.first.as_nanosecond();
        loop {
            let key = Key::new(
                event.pod.namespace.as_str(),
                format!("{}.{time:x}", event.pod.name),
            );
            if self.feed.get(&key).is_none() {
                return key;
            }
            time += 1;
        }
    }
}
