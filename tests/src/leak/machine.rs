//! What belongs to the machine and not to one node, compared from when the first case begins to when the last one ends.

use super::{Snapshot, again};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug)]
struct State {
    live: BTreeSet<String>,
    before: Option<Snapshot>,
}

static STATE: Mutex<State> = Mutex::new(State {
    live: BTreeSet::new(),
    before: None,
});

fn state() -> MutexGuard<'static, State> {
    // A case that failed leaves a set and a snapshot, both whole.
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Words of the cases of this process that have begun and not ended.
pub(super) fn live() -> BTreeSet<String> {
    state().live.clone()
}

/// One case's share of the machine: from here on its word is known to all others.
#[derive(Debug)]
pub struct Machine {
    word: String,
}

impl Machine {
    /// A case begins: whatever is on the machine now, without any node of this process, is no leak of it.
    pub fn enter(word: &str) -> Self {
        if state().live.is_empty() {
            let now = Snapshot::take(&[word]);
            let mut state = state();
            // Another case may have begun meanwhile; then its snapshot is as good.
            if state.live.is_empty() {
                state.before = Some(now);
            }
        }
        state().live.insert(word.to_owned());
        Self {
            word: word.to_owned(),
        }
    }

    /// The case ends. What it, or any other that ran with it, has changed on the machine; nothing while others still run.
    pub fn leave(self, patience: Duration) -> Vec<String> {
        let before = {
            let mut state = state();
            state.live.remove(&self.word);
            match state.live.is_empty() {
                true => state.before.take(),
                false => None,
            }
        };
        let Some(before) = before else {
            return Vec::new();
        };
        let mut alone = true;
        let changes = again(patience, || {
            let now = Snapshot::take(&[&self.word]);
            alone = now.is_alone() && before.is_alone();
            match alone {
                true => now.changes_of_the_machine(&before),
                false => Vec::new(),
            }
        });
        if !alone {
            eprintln!("other nodes run on this machine: what names no node is not compared");
        }
        changes
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let mut state = state();
        state.live.remove(&self.word);
    }
}
