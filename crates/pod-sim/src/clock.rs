//! The clock of the simulation: tokio's virtual time.

use jiff::Timestamp;
use pod_driver::world::{Clock, Ids};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Wall time that follows tokio's virtual time from a fixed beginning.
#[derive(Debug)]
pub struct VirtualClock {
    began: tokio::time::Instant,
    ids: AtomicU64,
}

impl VirtualClock {
    /// Begins now, at 2026-01-01.
    pub fn new() -> Self {
        Self {
            began: tokio::time::Instant::now(),
            ids: AtomicU64::new(0),
        }
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        const BEGINNING: i64 = 1_767_225_600;
        let beginning = Timestamp::from_second(BEGINNING).unwrap_or(Timestamp::UNIX_EPOCH);
        beginning
            .saturating_add(self.began.elapsed())
            .unwrap_or(Timestamp::MAX)
    }

    fn steady(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Ids for VirtualClock {
    fn fresh(&self) -> String {
        format!("{:064x}", self.ids.fetch_add(1, Ordering::SeqCst))
    }
}
