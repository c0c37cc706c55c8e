//! When a daemon that was started on demand has nothing left to do: no pod unfinished, and no client for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Counts clients.
#[derive(Clone, Debug)]
pub struct Idle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clients: AtomicUsize,
    changed: Notify,
}

/// One client's connection: counted until dropped.
#[derive(Debug)]
pub struct Client(Arc<Inner>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_one();
    }
}

impl Idle {
    /// No client yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            clients: AtomicUsize::new(0),
            changed: Notify::new(),
        }))
    }

    /// What counts a client when it comes.
    pub fn clients(&self) -> impl Fn() -> Client + Clone + Send + Sync + 'static {
        let inner = Arc::clone(&self.0);
        move || {
            inner.clients.fetch_add(1, Ordering::SeqCst);
            inner.changed.notify_one();
            Client(Arc::clone(&inner))
        }
    }

    /// Looks again: a pod may have finished.
    pub fn look(&self) {
        self.0.changed.notify_one();
    }

    /// Comes back once no client is connected.
    pub async fn left_alone(&self) {
        loop {
            let changed = self.0.changed.notified();
            if self.0.clients.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Comes back once nothing was left to do for that long; never without a time.
    pub async fn over(&self, quiet: Option<Duration>, busy: impl Fn() -> bool) {
        let Some(quiet) = quiet else {
            return std::future::pending().await;
        };
        loop {
            let changed = self.0.changed.notified();
            if self.0.clients.load(Ordering::SeqCst) > 0 || busy() {
                changed.await;
                continue;
            }
            if tokio::time::timeout(quiet, changed).await.is_err() {
                return;
            }
        }
    }
}
