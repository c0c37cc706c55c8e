//! What is counted, and the one line at the end.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Kills that hit.
    pub kills: u64,
    /// Everything that was left, was there twice, hung, or was shown and was not so.
    pub leaks: u64,
    /// Exit codes other than the container's own.
    pub wrong: u64,
    /// Ends that nobody could know: the supervisor and the daemon died at once, or the kernel does not tell.
    pub by_rule: u64,
    /// Ends told as unknown that somebody could have known.
    pub otherwise: u64,
    /// The longest time from the start of a new daemon to its first answer.
    pub recovery: Duration,
}

impl Tally {
    /// Notes what went wrong, on standard error at once.
    pub fn leak(&mut self, what: &str, text: &str) {
        self.leaks += 1;
        eprintln!("\r{what}: {text}");
    }

    /// Adds what another run counted.
    pub fn add(&mut self, other: &Tally) {
        self.kills += other.kills;
        self.leaks += other.leaks;
        self.wrong += other.wrong;
        self.by_rule += other.by_rule;
        self.otherwise += other.otherwise;
        self.recovery = self.recovery.max(other.recovery);
    }

    /// Whether nothing was lost.
    pub fn is_clean(&self) -> bool {
        self.leaks == 0 && self.wrong == 0 && self.otherwise == 0
    }

    /// Shows how far it is: on a terminal in one line, else now and then.
    pub fn progress(&self, done: usize, of: usize) {
        let mut err = std::io::stderr();
        if err.is_terminal() {
            let _ = write!(err, "\r{done}/{of}: {self}\x1b[K");
        } else if done.is_multiple_of(50) || done == of {
            let _ = writeln!(err, "{done}/{of}: {self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills: {} leaks, {} wrong exit codes, {} unknown by rule, {} unknown otherwise, recovery at most {:.2} s",
            self.kills,
            self.leaks,
            self.wrong,
            self.by_rule,
            self.otherwise,
            self.recovery.as_secs_f64()
        )
    }
}
