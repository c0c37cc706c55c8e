//! Tells a caller how far an import is.

/// What an import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Another process or thread changes the store; this one waits for it.
    Waiting,
    /// An archive is read and written out.
    Reading,
    /// Blobs are checked against their digests and put in their places.
    Verifying,
    /// Layers are unpacked.
    Unpacking,
    /// All is written to disk and the names are given.
    Finishing,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of this phase done.
    pub done: u64,
    /// Bytes of this phase in all, where that is known.
    pub total: Option<u64>,
}

/// Receives progress: at the begin of each phase and every MiB.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress);

const STEP: u64 = 1 << 20;

/// Thins out what is told.
pub(crate) struct Reporter<'a> {
    tell: OnProgress<'a>,
    phase: Phase,
    told: u64,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(tell: OnProgress<'a>) -> Self {
        Self {
            tell,
            phase: Phase::Waiting,
            told: 0,
        }
    }

    pub(crate) fn begin(&mut self, phase: Phase, total: Option<u64>) {
        self.phase = phase;
        self.told = 0;
        (self.tell)(Progress {
            phase,
            done: 0,
            total,
        });
    }

    pub(crate) fn at(&mut self, done: u64, total: Option<u64>) {
        let finished = total == Some(done) && done > self.told;
        if done < self.told.saturating_add(STEP) && !finished {
            return;
        }
        self.told = done;
        (self.tell)(Progress {
            phase: self.phase,
            done,
            total,
        });
    }
}
