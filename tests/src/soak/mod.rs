//! Long runs that break a node on purpose and count what comes of it. `hack/soak` starts them, each in namespaces of its own.
//!
//! ```text
//! kills, syscalls, recovery ─▶ life (one pod from create to delete, killed in between) ─▶ processes, tally
//! ```

pub mod exits;
pub mod kills;
pub mod life;
pub mod processes;
pub mod recovery;
pub mod syscalls;
pub mod tally;
pub mod threats;
