//! The real cause of a failed create. libcontainer flattens errors on their way from the container's init to its caller
//! ("failed syscall"); what happened is only told to `tracing`, in the process where it happened. So errors are written to a memfd,
//! which the forked processes share with this one.

use std::fmt::{Debug, Write as _};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Collects what goes wrong in this process and those forked from it.
#[derive(Clone)]
pub(crate) struct Report(Arc<File>);

/// First letters of a line: an error of libcontainer, or of the program that the container is to run.
const ERROR: char = 'E';
const PROGRAM: char = 'P';

/// Longest line that is kept, in bytes.
const LINE: usize = 2048;

impl Report {
    /// An empty report that takes every error event from here on.
    pub(crate) fn start() -> io::Result<Self> {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let report = Self(Arc::new(rustix::fs::memfd_create("report", flags)?.into()));
        tracing::subscriber::set_global_default(report.clone()).map_err(io::Error::other)?;
        Ok(report)
    }

    /// Notes that the container's program cannot be run.
    pub(crate) fn program(&self, cause: &str) {
        self.line(PROGRAM, cause);
    }

    fn line(&self, kind: char, text: &str) {
        let mut line: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        line.truncate(line.floor_char_boundary_compat(LINE));
        // One write a line: processes share the position in the file, so that lines follow each other.
        let _ = (&*self.0).write_all(format!("{kind}{line}\n").as_bytes());
    }

    /// Why the program cannot be run, if that is what failed.
    pub(crate) fn program_error(&self) -> Option<String> {
        self.lines(PROGRAM).pop()
    }

    /// The errors in the order they happened, so the innermost first.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.lines(ERROR)
    }

    fn lines(&self, kind: char) -> Vec<String> {
        let mut text = String::new();
        let mut file = &*self.0;
        if file.rewind().is_err() || file.read_to_string(&mut text).is_err() {
            return Vec::new();
        }
        text.lines()
            .filter_map(|line| line.strip_prefix(kind))
            .map(str::to_owned)
            .collect()
    }
}

/// `str::floor_char_boundary`, which is newer than the oldest compiler that is supported.
trait FloorCharBoundary {
    fn floor_char_boundary_compat(&self, index: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_compat(&self, index: usize) -> usize {
        (0..=index.min(self.len()))
            .rev()
            .find(|i| self.is_char_boundary(*i))
            .unwrap_or(0)
    }
}

impl Subscriber for Report {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut words = Words::default();
        event.record(&mut words);
        self.line(ERROR, &words.finish());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The message of an event, then its fields.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Words {
    fn finish(self) -> String {
        if self.fields.is_empty() {
            self.message
        } else {
            format!("{} ({})", self.message, self.fields)
        }
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            let comma = if self.fields.is_empty() { "" } else { ", " };
            write!(self.fields, "{comma}{}: {value:?}", field.name())
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_kept_in_order_each_on_one_line_and_nothing_else_is() {
        let report = Report::start().unwrap();
        tracing::error!(err = ?std::io::ErrorKind::NotFound, "failed to {}\nx", "chdir");
        tracing::warn!("no");
        tracing::error!("then this");
        report.program("exec: \"x\": no");
        assert_eq!(
            report.errors(),
            ["failed to chdir x (err: NotFound)", "then this"]
        );
        assert_eq!(report.program_error().as_deref(), Some("exec: \"x\": no"));
    }

    #[test]
    fn a_long_line_is_cut_between_letters() {
        let long = "ä".repeat(10);
        assert_eq!(long.floor_char_boundary_compat(5), 4);
        assert_eq!("ab".floor_char_boundary_compat(5), 2);
    }
}
