//! A set of objects that clients list and watch: every change gets the next resource version, and a watch continues from any version
//! that is still remembered.
//!
//! One [`Versions`] is shared by all feeds of a node, as the versions of one etcd are, so that any version orders any two changes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many changes a feed remembers.
const REMEMBERED: usize = 1024;

/// The counter that resource versions come from.
#[derive(Clone, Debug, Default)]
pub struct Versions(Arc<AtomicU64>);

impl Versions {
    /// Begins after `last`: a node that starts again gives the highest version that it ever gave, or a time in µs, so that no
    /// version means two things.
    pub fn after(last: u64) -> Self {
        Self(Arc::new(AtomicU64::new(last)))
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The version given last.
    pub fn last(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl Key {
    /// Both.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// One object and the version of its latest change.
#[derive(Debug)]
pub struct Versioned<T> {
    /// `metadata.resourceVersion`.
    pub version: u64,
    /// The object.
    pub value: Arc<T>,
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self {
            version: self.version,
            value: self.value.clone(),
        }
    }
}

/// What a watch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "names are those of the API's watch events")]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One change.
#[derive(Debug)]
pub struct Change<T> {
    /// What happened.
    pub kind: ChangeKind,
    /// Which object.
    pub key: Key,
    /// The object after the change; before it where it was deleted.
    pub object: Versioned<T>,
    /// The object before a modification: a watch with a selector tells `DELETED` when it stops to match.
    pub before: Option<Arc<T>>,
}

impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            key: self.key.clone(),
            object: self.object.clone(),
            before: self.before.clone(),
        }
    }
}

/// The changes asked for are forgotten: list again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Expired {
    /// The version to continue from.
    pub asked: u64,
    /// The oldest version that could be continued from.
    pub oldest: u64,
}

/// The set.
#[derive(Debug)]
pub struct Feed<T> {
    versions: Versions,
    inner: Mutex<Inner<T>>,
    latest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inner<T> {
    objects: BTreeMap<Key, Versioned<T>>,
    history: VecDeque<Change<T>>,
    forgotten: u64,
}

impl<T: Send + Sync + 'static> Feed<T> {
    /// An empty set.
    pub fn new(versions: Versions) -> Self {
        let start = versions.last();
        Self {
            versions,
            inner: Mutex::new(Inner {
                objects: BTreeMap::new(),
                history: VecDeque::new(),
                forgotten: start,
            }),
            latest: watch::Sender::new(start),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // The set is changed by single calls that cannot stop half way, so a panic elsewhere leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or replaces.
    pub fn put(&self, key: Key, value: T) -> Versioned<T> {
        let mut inner = self.lock();
        let object = Versioned {
            version: self.versions.next(),
            value: Arc::new(value),
        };
        let before = inner.objects.insert(key.clone(), object.clone());
        let kind = if before.is_some() {
            ChangeKind::Modified
        } else {
            ChangeKind::Added
        };
        let change = Change {
            kind,
            key,
            object: object.clone(),
            before: before.map(|b| b.value),
        };
        self.remember(&mut inner, change);
        object
    }

    /// Removes; gives what was there.
    pub fn remove(&self, key: &Key) -> Option<Arc<T>> {
        let mut inner = self.lock();
        let gone = inner.objects.remove(key)?;
        let change = Change {
            kind: ChangeKind::Deleted,
            key: key.clone(),
            object: Versioned {
                version: self.versions.next(),
                value: gone.value.clone(),
            },
            before: None,
        };
        self.remember(&mut inner, change);
        Some(gone.value)
    }

    fn remember(&self, inner: &mut Inner<T>, change: Change<T>) {
        let version = change.object.version;
        inner.history.push_back(change);
        while inner.history.len() > REMEMBERED {
            if let Some(old) = inner.history.pop_front() {
                inner.forgotten = old.object.version;
            }
        }
        self.latest.send_replace(version);
    }

    /// The object of that name.
    pub fn get(&self, key: &Key) -> Option<Versioned<T>> {
        self.lock().objects.get(key).cloned()
    }

    /// All objects by namespace and name, and the version to watch from.
    pub fn list(&self) -> (Vec<(Key, Versioned<T>)>, u64) {
        let inner = self.lock();
        let all = inner
            .objects
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        (all, self.versions.last())
    }

    /// Every change after `since`.
    pub fn watch(self: &Arc<Self>, since: u64) -> Watch<T> {
        Watch {
            feed: self.clone(),
            seen: since,
            latest: self.latest.subscribe(),
        }
    }

    fn after(&self, since: u64) -> Result<Vec<Change<T>>, Expired> {
        let inner = self.lock();
        if since < inner.forgotten {
            return Err(Expired {
                asked: since,
                oldest: inner.forgotten,
            });
        }
        let start = inner.history.partition_point(|c| c.object.version <= since);
        Ok(inner.history.iter().skip(start).cloned().collect())
    }
}

/// A watch in progress.
#[derive(Debug)]
pub struct Watch<T> {
    feed: Arc<Feed<T>>,
    seen: u64,
    latest: watch::Receiver<u64>,
}

impl<T: Send + Sync + 'static> Watch<T> {
    /// The next changes, at least one; waits for them. Safe to drop half way.
    pub async fn next(&mut self) -> Result<Vec<Change<T>>, Expired> {
        loop {
            self.latest.borrow_and_update();
            let changes = self.feed.after(self.seen)?;
            if let Some(last) = changes.last() {
                self.seen = last.object.version;
                return Ok(changes);
            }
            if self.latest.changed().await.is_err() {
                // The sender lives in the feed that this watch holds, so this is never reached; waiting is the harmless answer.
                std::future::pending::<()>().await;
            }
        }
    }
}
