//! What of a log is wanted.

use jiff::Timestamp;

/// One of a container's two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the two standard outputs")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Which lines, and how they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on while the container runs.
    pub follow: bool,
    /// Begin with the last so many lines.
    pub tail: Option<u64>,
    /// Only lines not older than this.
    pub since: Option<Timestamp>,
    /// Put the time before each line.
    pub timestamps: bool,
    /// End after so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only one of the two outputs.
    pub stream: Option<Stream>,
}
