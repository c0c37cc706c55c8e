//! One line of a log file: `<RFC 3339 time> stdout|stderr F|P <text>`.

use super::options::Stream;
use jiff::Timestamp;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// When the text was written, as it stands in the file.
    pub(super) time: &'a str,
    /// Where the container wrote it.
    pub(super) stream: Stream,
    /// Whether the line goes on in the next record of that stream (tag `P`).
    pub(super) partial: bool,
    /// The text, without line break.
    pub(super) text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Reads a line without its line break. `None` for what is not one (a line cut off by a crash).
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |b| *b == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let stream = match parts.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        // Further tags may follow after colons; the first one is that of the line.
        let tag = parts.next()?.split(|b| *b == b':').next()?;
        let partial = match tag {
            b"P" => true,
            b"F" => false,
            _ => return None,
        };
        Some(Self {
            time,
            stream,
            partial,
            text: parts.next().unwrap_or_default(),
        })
    }

    /// The time as a point in time.
    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        self.time.parse().ok()
    }
}
