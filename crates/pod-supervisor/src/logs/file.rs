//! One log file: entries are gathered, written in few calls, and rotated so that none is lost or torn.

use super::split::Tag;
use pod_wire::supervisor::Log;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Entries are written once so many bytes have gathered, and whenever nothing more is to read.
const BATCH: usize = 32 << 10;

/// So many bytes are kept while the file cannot take them (a full disk); what comes then is dropped and counted.
const KEPT: usize = 256 << 10;

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct LogFile {
    settings: Log,
    file: File,
    size: u64,
    waiting: Vec<u8>,
    /// The last write failed: try again later, not at each entry.
    stuck: bool,
    dropped: u64,
}

impl LogFile {
    /// Opens the log for appending; made with mode 0640 when missing. A symlink, a FIFO or a folder there is refused.
    pub(crate) fn open(settings: Log) -> io::Result<Self> {
        let file = open(&settings.path, false)?;
        let size = file.metadata()?.len();
        Ok(Self {
            settings,
            file,
            size,
            waiting: Vec::new(),
            stuck: false,
            dropped: 0,
        })
    }

    /// Adds an entry, whose text comes in two parts.
    pub(crate) fn add(&mut self, time: &str, stream: &str, tag: Tag, a: &[u8], b: &[u8]) {
        let length = time.len() + stream.len() + a.len() + b.len() + 5;
        if self.is_full_with(length) && !self.stuck {
            self.flush();
            if self.waiting.is_empty() && self.is_full_with(length) && self.size > 0 {
                self.rotate();
            }
        }
        if self.stuck && self.waiting.len() + length > KEPT {
            self.dropped += 1;
            return;
        }
        let tag: &[u8] = match tag {
            Tag::Partial => b" P ",
            Tag::Full => b" F ",
        };
        for part in [time.as_bytes(), b" ", stream.as_bytes(), tag, a, b, b"\n"] {
            self.waiting.extend_from_slice(part);
        }
        if self.waiting.len() >= BATCH && !self.stuck {
            self.flush();
        }
    }

    fn is_full_with(&self, more: usize) -> bool {
        let after = self.size + (self.waiting.len() + more) as u64;
        self.settings.max_bytes > 0 && after > self.settings.max_bytes
    }

    /// Writes what waits. What could not be written stays, and [`Self::is_stuck`] says so.
    pub(crate) fn flush(&mut self) {
        let (written, failed) = write(&mut self.file, &self.waiting);
        // An entry ends with the only line break in it: what was written of a torn one is taken back.
        let whole = self
            .waiting
            .get(..written)
            .and_then(|w| w.iter().rposition(|b| *b == b'\n'))
            .map_or(0, |at| at + 1);
        if whole < written && self.file.set_len(self.size + whole as u64).is_err() {
            // It cannot be taken back: the rest of the entry follows where its beginning ended.
            self.size += written as u64;
            self.waiting.drain(..written);
        } else {
            self.size += whole as u64;
            self.waiting.drain(..whole);
        }
        self.stuck = failed;
        if self.waiting.is_empty() && self.waiting.capacity() > BATCH / 4 {
            self.waiting = Vec::new();
        }
    }

    /// Whether entries wait that the file could not take.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Opens the file anew: something else has moved it away.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        self.flush();
        self.file = open(&self.settings.path, false)?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.settings.path
    }

    /// Writes what waits for the last time; what the file does not take counts as dropped. Gives that count.
    pub(crate) fn close(mut self) -> u64 {
        self.flush();
        let lost = self.waiting.iter().filter(|b| **b == b'\n').count();
        self.dropped + lost as u64
    }

    /// `x.log` becomes `x.log.1`, that `x.log.2`, and so on; the oldest goes. When any of it fails, the current file goes on growing:
    /// better a file too long than a line lost.
    fn rotate(&mut self) {
        let path = self.settings.path.clone();
        let fresh = numbered(&path, "new");
        // Left over from a supervisor that died here.
        let _ = std::fs::remove_file(&fresh);
        let Ok(file) = open(&fresh, true) else {
            return;
        };
        for n in (1..self.settings.max_files.saturating_sub(1)).rev() {
            let (from, to) = (numbered(&path, n), numbered(&path, n + 1));
            // A gap in the row is no error.
            let _ = std::fs::rename(from, to);
        }
        if self.settings.max_files > 1 && std::fs::rename(&path, numbered(&path, 1)).is_err() {
            let _ = std::fs::remove_file(&fresh);
            return;
        }
        if std::fs::rename(&fresh, &path).is_ok() {
            self.file = file;
            self.size = 0;
        }
    }
}

/// Writes as much as can be; says how much, and whether the rest failed.
fn write(file: &mut File, bytes: &[u8]) -> (usize, bool) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|r| !r.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, true),
            Ok(n) => written += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (written, true),
        }
    }
    (written, false)
}

fn open(path: &Path, fresh: bool) -> io::Result<File> {
    // O_NONBLOCK: opening a FIFO must not wait for a reader; it means nothing for a regular file.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .create_new(fresh)
        .mode(0o640)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is no regular file",
        ));
    }
    Ok(file)
}

fn numbered(path: &Path, suffix: impl std::fmt::Display) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests;
