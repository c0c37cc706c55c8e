//! The steps of operations, where a test can break each of them.

use pod_driver::host::{HostError, HostErrorKind};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What becomes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is done.
    None,
    /// It fails: the operation undoes what it has made, every undo twice.
    Fail,
    /// The daemon ends: nothing is undone, by this operation or a later one.
    Crash,
}

type Judge = dyn Fn(&str) -> Fault + Send + Sync;

/// Asked before each step of each operation. On a node that nobody tests there is nobody to ask.
#[derive(Clone, Default)]
pub struct Steps {
    judge: Option<Arc<Judge>>,
    crashed: Arc<AtomicBool>,
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Steps")
            .field("crashed", &self.crashed)
            .finish_non_exhaustive()
    }
}

impl Steps {
    /// Steps of a test: `judge` is given `<operation>: <step>`.
    pub fn judged(judge: impl Fn(&str) -> Fault + Send + Sync + 'static) -> Self {
        Self {
            judge: Some(Arc::new(judge)),
            crashed: Arc::default(),
        }
    }

    /// A step is about to be done.
    pub(crate) fn at(&self, kind: HostErrorKind, step: &str) -> Result<(), HostError> {
        let Some(judge) = &self.judge else {
            return Ok(());
        };
        match judge(step) {
            Fault::None if !self.has_crashed() => Ok(()),
            Fault::Crash => {
                self.crashed.store(true, Ordering::SeqCst);
                Err(HostError::new(kind, format!("{step}: crashed")))
            }
            _ => Err(HostError::new(kind, format!("{step}: broken by a test"))),
        }
    }

    /// How often an undo is run: it may be cut off and run again, so a test runs it twice.
    pub(crate) fn undos(&self) -> usize {
        match (&self.judge, self.has_crashed()) {
            (_, true) => 0,
            (None, _) => 1,
            (Some(_), _) => 2,
        }
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }
}
