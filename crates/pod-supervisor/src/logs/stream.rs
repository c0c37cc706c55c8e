//! One container's log: two streams, each through its spool, into one file, with the journal kept.

use super::entries::{self, Raw, Stamp};
use super::file::LogFile;
use super::journal::{Journal, Mark, Pending};
use super::spool::{self, CHUNK, Read, Spool};
use crate::identity::lacks;
use crate::records::now;
use pod_wire::supervisor::Log as Settings;
use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// Entries are written once they have so many bytes, and whenever nothing more is to be made. More than the longest entry.
const BATCH: usize = 32 << 10;

/// So many bytes of a stream wait while the log cannot take them (a full disk); lines that come then are dropped and counted.
const KEPT: u64 = 256 << 10;

/// Suffixes of the files beside the container's state.
const FILES: [&str; 3] = ["out", "err", "mark"];

/// Which stream of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Stdout,
    Stderr,
}

impl Which {
    fn index(self) -> usize {
        match self {
            Self::Stdout => 0,
            Self::Stderr => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Buffers that all logs of a supervisor share while they work.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Bytes of a stream.
    pub(crate) raw: Vec<u8>,
    /// Entries made of them.
    out: Vec<u8>,
}

/// What a user should know of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Lines are being dropped, because of this.
    Dropping(String),
    /// No longer. So many were dropped in all.
    Over,
}

/// The log of one container.
#[derive(Debug)]
pub(crate) struct Log {
    file: LogFile,
    journal: Option<Journal>,
    spools: [Spool; 2],
    dropped: u64,
    skipping: [bool; 2],
    /// Why the last write failed: it is tried again later, not at each line.
    stuck: Option<String>,
    /// Lines were dropped since it got stuck, and somebody was told.
    told: bool,
    trouble: Option<Trouble>,
}

impl Log {
    /// A new log. `base`: path of its files beside the state, without suffix.
    pub(crate) fn open(settings: Settings, base: &Path) -> io::Result<Self> {
        let file = LogFile::open(settings)?;
        forget(base);
        let [out, err, mark] = FILES.map(|f| with(base, f));
        // Without a journal it is still a log.
        let journal = Journal::make(&mark).ok();
        Ok(Self::on(file, journal, [Spool::new(out), Spool::new(err)]))
    }

    /// The log of a predecessor that was killed at whatever moment.
    pub(crate) fn adopt(
        settings: Settings,
        base: &Path,
        scratch: &mut Scratch,
    ) -> io::Result<Self> {
        let [out, err, mark] = FILES.map(|f| with(base, f));
        let (journal, mark) = match Journal::open(&mark) {
            Ok((journal, mark)) => (Some(journal), mark.unwrap_or_default()),
            // Without its mark lines would come twice.
            Err(e) if lacks(&e) => return Err(e),
            Err(_) => (None, Mark::default()),
        };
        let [at_out, at_err] = mark.at;
        let spools = [Spool::adopt(out, at_out)?, Spool::adopt(err, at_err)?];
        let file = LogFile::open(settings.clone())?;
        let mut log = Self {
            dropped: mark.dropped,
            skipping: mark.skipping,
            ..Self::on(file, journal, spools)
        };
        if let Some(pending) = &mark.pending {
            log.finish(&settings, &mark, pending, scratch);
        }
        log.commit();
        // What was read and not begun to be written: the container may print nothing for a long time.
        for which in [Which::Stdout, Which::Stderr] {
            log.pass(which, false, scratch);
        }
        Ok(log)
    }

    fn on(file: LogFile, journal: Option<Journal>, spools: [Spool; 2]) -> Self {
        Self {
            file,
            journal,
            spools,
            dropped: 0,
            skipping: [false; 2],
            stuck: None,
            told: false,
            trouble: None,
        }
    }

    /// Finishes a write that may have been cut off: makes the same entries again, and appends what is not there.
    fn finish(
        &mut self,
        settings: &Settings,
        mark: &Mark,
        pending: &Pending,
        scratch: &mut Scratch,
    ) {
        let which = match pending.stream {
            0 => Which::Stdout,
            _ => Which::Stderr,
        };
        let Some(spool) = self.spools.get_mut(which.index()) else {
            return;
        };
        let length = usize::try_from(pending.to.saturating_sub(spool.at())).unwrap_or(usize::MAX);
        if spool.peek(&mut scratch.raw, length.min(CHUNK)).is_err() {
            return;
        }
        scratch.out.clear();
        let raw = Raw {
            bytes: &scratch.raw,
            ended: pending.ended,
        };
        let stamp = Stamp {
            time: &pending.time,
            stream: which.name(),
        };
        let taken = entries::make(raw, stamp, usize::MAX, &mut scratch.out);
        // It may have been renamed since, by us or by somebody else.
        let mut renamed = match self.file.inode() == mark.inode {
            true => None,
            false => LogFile::renamed(settings, mark.inode),
        };
        let is_there = renamed.is_some() || self.file.inode() == mark.inode;
        let file = renamed.as_mut().unwrap_or(&mut self.file);
        let there = match is_there {
            true => file.read_from(mark.size, scratch.out.len() as u64 + 1),
            false => Ok(Vec::new()),
        };
        let there = there.unwrap_or_default();
        let rest = match scratch.out.strip_prefix(there.as_slice()) {
            Some(rest) => rest,
            None if there.starts_with(&scratch.out) => &[],
            // Somebody else has changed it: all of it once more is better than not at all.
            None => &scratch.out,
        };
        let (_, failed) = file.append(rest);
        match failed {
            None => spool.settle(taken),
            Some(_) => {
                // Nothing of it counts as written: it is taken back, and tried again later.
                let size = file.size().min(mark.size);
                let _ = file.cut(size);
            }
        }
    }

    /// Takes what a stream gives, once, towards the log.
    pub(crate) fn fill(
        &mut self,
        which: Which,
        source: BorrowedFd<'_>,
        scratch: &mut Scratch,
    ) -> Read {
        let n = which.index();
        let (Some(spool), Some(skipping)) = (self.spools.get_mut(n), self.skipping.get_mut(n))
        else {
            return Read::Ended;
        };
        let full = self.stuck.is_some() && spool.left() >= KEPT;
        if !full && !*skipping {
            return spool.fill(source, &mut scratch.raw);
        }
        if full && spool.cut_to_line(&mut scratch.raw).unwrap_or(false) {
            *skipping = true;
        }
        let read = spool::read(source, &mut scratch.raw);
        let bytes = match read {
            Read::Some(n) => scratch.raw.get(..n).unwrap_or_default(),
            Read::Nothing => return read,
            Read::Ended => {
                self.dropped += u64::from(std::mem::take(skipping));
                return read;
            }
        };
        if full {
            self.dropped += breaks(bytes);
            *skipping = bytes.last().is_some_and(|b| *b != b'\n');
            if !self.told {
                self.told = true;
                self.trouble = self.stuck.clone().map(Trouble::Dropping);
            }
        } else if let Some(at) = bytes.iter().position(|b| *b == b'\n') {
            self.dropped += 1;
            *skipping = false;
            spool.append(bytes.get(at + 1..).unwrap_or_default());
        }
        self.commit();
        read
    }

    /// Writes what a stream has brought. `ended`: nothing more will come, so a line without its break is written too.
    pub(crate) fn pass(&mut self, which: Which, ended: bool, scratch: &mut Scratch) {
        let mut wrote = false;
        while self.stuck.is_none() && self.batch(which, ended, scratch) {
            wrote = true;
        }
        if wrote {
            self.commit();
            for spool in &mut self.spools {
                spool.give_back();
            }
        }
    }

    /// Makes and writes some entries. `false`: there were none.
    fn batch(&mut self, which: Which, ended: bool, scratch: &mut Scratch) -> bool {
        let Some(spool) = self.spools.get(which.index()) else {
            return false;
        };
        if spool.left() == 0 || spool.peek(&mut scratch.raw, CHUNK).is_err() {
            return false;
        }
        let (at, Scratch { raw, out }) = (spool.at(), scratch);
        let raw = Raw {
            ended: ended && raw.len() as u64 == spool.left(),
            bytes: raw,
        };
        let time = now();
        let stamp = Stamp {
            time: &time,
            stream: which.name(),
        };
        out.clear();
        let mut taken = entries::make(raw, stamp, BATCH.min(self.file.room()), out);
        if taken == 0 {
            if !entries::is_any(raw) {
                return false;
            }
            if self.file.size() > 0 {
                // A successor must not look for what is pending in the file that comes.
                self.commit();
                self.file.rotate();
            }
            taken = entries::make(raw, stamp, BATCH.min(self.file.room()), out);
            if taken == 0 {
                // It could not be rotated, or the entry alone passes the limit.
                taken = entries::make(raw, stamp, first_entry(raw, stamp), out);
            }
        }
        let pending = Pending {
            stream: which.index(),
            to: at + taken as u64,
            ended: raw.ended,
            time: time.clone(),
        };
        self.write_mark(Some(pending));
        let (written, failed) = self.file.append(out);
        if let Some(cause) = failed {
            let cause = format!("{}: {cause}", self.file.path().display());
            self.stuck = Some(cause);
            out.clear();
            taken = entries::make(raw, stamp, written, out);
        }
        if let Some(spool) = self.spools.get_mut(which.index()) {
            spool.settle(taken);
        }
        true
    }

    /// Says in the journal that nothing is half done.
    fn commit(&mut self) {
        self.write_mark(None);
    }

    fn write_mark(&mut self, pending: Option<Pending>) {
        let mark = Mark {
            inode: self.file.inode(),
            size: self.file.size(),
            at: self.spools.each_ref().map(Spool::at),
            dropped: self.dropped,
            skipping: self.skipping,
            pending,
        };
        if let Some(journal) = &mut self.journal {
            journal.write(&mark);
        }
    }

    /// Closes what is only needed while something is printed: many containers print little, and each would hold three descriptors.
    pub(crate) fn rest(&mut self) {
        for spool in &mut self.spools {
            spool.rest();
        }
        if let Some(journal) = &mut self.journal {
            journal.rest();
        }
    }

    /// Whether entries wait that the file could not take.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// Tries again what the file could not take.
    pub(crate) fn retry(&mut self, scratch: &mut Scratch) {
        self.stuck = None;
        for which in [Which::Stdout, Which::Stderr] {
            self.pass(which, false, scratch);
        }
        if self.stuck.is_none() && std::mem::take(&mut self.told) {
            self.trouble = Some(Trouble::Over);
        }
    }

    /// What a user should be told now.
    pub(crate) fn take_trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Opens the file anew: something else has moved it away.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        let reopened = self.file.reopen();
        self.commit();
        reopened
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Writes what waits for the last time; what the file does not take counts as dropped. Gives that count.
    pub(crate) fn close(mut self, scratch: &mut Scratch) -> u64 {
        self.stuck = None;
        for which in [Which::Stdout, Which::Stderr] {
            self.pass(which, true, scratch);
        }
        let mut lost = self.dropped + self.skipping.iter().filter(|s| **s).count() as u64;
        for spool in &self.spools {
            let left = usize::try_from(spool.left()).unwrap_or(usize::MAX);
            if spool.peek(&mut scratch.raw, left).is_ok() {
                lost += breaks(&scratch.raw);
                lost += u64::from(scratch.raw.last().is_some_and(|b| *b != b'\n'));
            }
        }
        lost
    }
}

/// Removes what a log has beside the state.
pub(crate) fn forget(base: &Path) {
    for suffix in FILES {
        // Mostly there is none.
        let _ = std::fs::remove_file(with(base, suffix));
    }
}

fn with(base: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(base);
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn breaks(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// Room for exactly the first entry.
fn first_entry(raw: Raw<'_>, stamp: Stamp<'_>) -> usize {
    let head = stamp.time.len() + stamp.stream.len() + 5;
    let window = raw.bytes.get(..=entries::LONGEST).unwrap_or(raw.bytes);
    let text = window.iter().position(|b| *b == b'\n');
    head + text.unwrap_or(window.len().min(entries::LONGEST))
}

#[cfg(test)]
mod tests;
