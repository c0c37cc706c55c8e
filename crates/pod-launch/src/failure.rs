//! What an operation comes to: a process, or the step that failed and why.

use std::fmt::Display;
use std::os::fd::OwnedFd;

/// A process that was created or started.
pub(crate) struct Done {
    /// Its pid here.
    pub(crate) pid: i32,
    /// Its pidfd.
    pub(crate) pidfd: OwnedFd,
    /// Its terminal's other end.
    pub(crate) master: Option<OwnedFd>,
    /// What was clamped to the node's limits.
    pub(crate) clamped: Vec<String>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {cause}")]
pub(crate) struct Failure {
    /// Which step.
    pub(crate) step: &'static str,
    /// Why, in words for a user.
    pub(crate) cause: String,
}

impl Failure {
    /// A failure of that step.
    pub(crate) fn new(step: &'static str, cause: impl Into<String>) -> Self {
        Self {
            step,
            cause: cause.into(),
        }
    }
}

/// Says which step a result belongs to, and what was being done.
pub(crate) trait AtStep<T> {
    /// The value, or a failure of `step` while `doing`.
    fn at(self, step: &'static str, doing: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> AtStep<T> for Result<T, E> {
    fn at(self, step: &'static str, doing: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            cause: format!("{doing}: {}", plain(&error)),
        })
    }
}

/// An error in the words of the C library: `no such file or directory`, without the number that std appends.
pub(crate) fn plain(error: &impl Display) -> String {
    let text = error.to_string();
    let Some((words, _)) = text.split_once(" (os error ") else {
        return text;
    };
    // What the system says comes last; what comes before may be names.
    let (before, said) = words
        .rsplit_once(": ")
        .map_or(("", words), |(before, said)| (before, said));
    let mut letters = said.chars();
    let said: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_lowercase)
        .chain(letters)
        .collect();
    match before {
        "" => said,
        before => format!("{before}: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_error_is_told_in_lower_case_and_without_its_number() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(plain(&error), "no such file or directory");
        assert_eq!(plain(&"as it is"), "as it is");
        assert_eq!(
            plain(&format!("opening /A: {error}")),
            "opening /A: no such file or directory"
        );
    }
}
