//! Reads the log of one attempt from a chosen point on, across its rotated files.

use super::files::{Generation, generations};
use super::line::Record;
use super::options::{LogOptions, Stream};
use super::watch::FolderWatch;
use std::collections::VecDeque;
use std::fs::File;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::pin;
use tokio::sync::mpsc;

/// How much is read at once.
const PIECE: usize = 64 * 1024;
/// How much of one line is held back until it is whole.
const LONGEST_LINE: usize = 1024 * 1024;

/// Whose log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSource {
    /// The container's folder of logs.
    pub folder: PathBuf,
    /// Which attempt.
    pub attempt: u32,
}

/// A reader at its place in the log.
#[derive(Debug)]
pub struct LogReader {
    source: LogSource,
    current: Option<Generation>,
    /// Newer files than the current one, as far as they are known already; oldest first.
    newer: VecDeque<Generation>,
    /// Whether the current file has been rotated away: once read to its end it is done with.
    closed: bool,
    /// A line whose end has not been read yet.
    carry: Vec<u8>,
    lines: Lines,
}

impl LogReader {
    /// Goes to where the reading begins.
    pub fn open(source: LogSource, options: LogOptions) -> io::Result<Self> {
        let mut newer: VecDeque<Generation> = generations(&source.folder, source.attempt)?.into();
        if let Some(wanted) = options.tail {
            skip_to_tail(&mut newer, wanted, options.stream)?;
        }
        let current = newer.pop_front();
        let closed = !newer.is_empty();
        Ok(Self {
            source,
            current,
            newer,
            closed,
            carry: Vec::new(),
            lines: Lines::new(options),
        })
    }

    /// The next piece of output; `None` when there is no more of it now. Empty pieces happen.
    pub fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut space = vec![0; PIECE];
        loop {
            if self.lines.full() {
                return Ok(None);
            }
            let Some(current) = &mut self.current else {
                self.newer = generations(&self.source.folder, self.source.attempt)?.into();
                if !self.step() {
                    return Ok(None);
                }
                continue;
            };
            let n = current.file.read(&mut space)?;
            if n > 0 {
                let piece = space.get(..n).unwrap_or_default();
                return Ok(Some(self.take(piece)));
            }
            if self.closed {
                // What a crash cut off in the middle of a line is no record.
                self.carry.clear();
                if !self.step() {
                    return Ok(None);
                }
            } else if !self.rotated()? {
                return Ok(None);
            }
        }
    }

    /// What is left of lines that were never ended.
    pub fn rest(&mut self) -> Vec<u8> {
        self.lines.rest()
    }

    /// On to the next newer file.
    fn step(&mut self) -> bool {
        self.current = self.newer.pop_front();
        self.closed = !self.newer.is_empty();
        self.current.is_some()
    }

    /// Looks whether the current file is still the one that is written to. If not, it is read to its end once more: something may
    /// have been added between the last reading and the rotation.
    fn rotated(&mut self) -> io::Result<bool> {
        let Some(current) = &self.current else {
            return Ok(false);
        };
        let newest = self
            .source
            .folder
            .join(format!("{}.log", self.source.attempt));
        match std::fs::symlink_metadata(newest) {
            Ok(meta) if meta.ino() == current.inode => return Ok(false),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        }
        let mut all: VecDeque<Generation> =
            generations(&self.source.folder, self.source.attempt)?.into();
        if let Some(own) = all.iter().position(|g| g.inode == current.inode) {
            all.drain(..=own);
        }
        if all.is_empty() {
            return Ok(false);
        }
        self.newer = all;
        self.closed = true;
        Ok(true)
    }

    fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        self.carry.extend_from_slice(piece);
        let mut out = Vec::with_capacity(self.carry.len());
        let mut done = 0;
        for line in self.carry.split_inclusive(|b| *b == b'\n') {
            let Some(whole) = line.strip_suffix(b"\n") else {
                break;
            };
            done += line.len();
            if let Some(record) = Record::parse(whole) {
                self.lines.add(&record, &mut out);
            }
        }
        self.carry.drain(..done);
        self.lines.cut(&mut out);
        out
    }

    /// Sends everything, and goes on with what comes until `ended` says that nothing more can come, if the options say so.
    /// Ends early when nobody receives any more.
    pub async fn send(
        mut self,
        to: &mpsc::Sender<io::Result<Vec<u8>>>,
        ended: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let follow = self.lines.options.follow;
        // The watch begins before the first look, so that nothing falls between the two.
        let mut watch = match follow {
            true => FolderWatch::new(&self.source.folder)?,
            false => None,
        };
        let mut ended = pin!(ended);
        let mut over = !follow;
        loop {
            while let Some(piece) = self.read()? {
                if !piece.is_empty() && to.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
            if over || self.lines.full() {
                let rest = self.rest();
                if !rest.is_empty() {
                    let _ = to.send(Ok(rest)).await;
                }
                return Ok(());
            }
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = changed => result?,
                () = &mut ended => over = true,
                () = to.closed() => return Ok(()),
            }
        }
    }
}

/// Puts records together to lines.
#[derive(Debug)]
struct Lines {
    options: LogOptions,
    /// Lines of stdout and of stderr that are not whole yet.
    open: [Open; 2],
    sent: u64,
}

#[derive(Debug, Default)]
struct Open {
    text: Vec<u8>,
    begun: bool,
}

impl Lines {
    fn new(options: LogOptions) -> Self {
        Self {
            options,
            open: [Open::default(), Open::default()],
            sent: 0,
        }
    }

    fn add(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        if self.options.stream.is_some_and(|s| s != record.stream) {
            return;
        }
        if let Some(since) = self.options.since
            && record.timestamp().is_none_or(|t| t < since)
        {
            return;
        }
        let [stdout, stderr] = &mut self.open;
        let line = match record.stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        if self.options.timestamps && !line.begun {
            line.text.extend_from_slice(record.time.as_bytes());
            line.text.push(b' ');
        }
        line.begun = true;
        line.text.extend_from_slice(record.text);
        if !record.partial {
            line.text.push(b'\n');
            line.begun = false;
        }
        if !record.partial || line.text.len() > LONGEST_LINE {
            out.append(&mut line.text);
        }
    }

    fn rest(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        for line in &mut self.open {
            out.append(&mut line.text);
            line.begun = false;
        }
        self.cut(&mut out);
        out
    }

    fn cut(&mut self, out: &mut Vec<u8>) {
        if let Some(limit) = self.options.limit_bytes {
            let left = limit.saturating_sub(self.sent);
            out.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.sent += out.len() as u64;
    }

    fn full(&self) -> bool {
        self.options
            .limit_bytes
            .is_some_and(|most| self.sent >= most)
    }
}

/// Drops the files that lie before the last `wanted` lines, and goes to the first of these in the file that holds it.
fn skip_to_tail(
    files: &mut VecDeque<Generation>,
    wanted: u64,
    only: Option<Stream>,
) -> io::Result<()> {
    let mut wanted = wanted;
    let mut first = files.len();
    for (i, generation) in files.iter_mut().enumerate().rev() {
        first = i;
        let starts = last_lines(&generation.file, wanted, only)?;
        let found = starts.len() as u64;
        let to = match starts.front() {
            Some(offset) if found >= wanted => SeekFrom::Start(*offset),
            // All of it is wanted, and more from the file before.
            _ if wanted > 0 => SeekFrom::Start(0),
            _ => SeekFrom::End(0),
        };
        generation.file.seek(to)?;
        wanted = wanted.saturating_sub(found);
        if wanted == 0 {
            break;
        }
    }
    files.drain(..first);
    Ok(())
}

/// Where the last `wanted` lines of a file begin.
fn last_lines(file: &File, wanted: u64, only: Option<Stream>) -> io::Result<VecDeque<u64>> {
    let mut starts: VecDeque<u64> = VecDeque::new();
    if wanted == 0 {
        return Ok(starts);
    }
    let mut found = |start: u64| {
        if starts.len() as u64 == wanted {
            starts.pop_front();
        }
        starts.push_back(start);
    };
    let mut open: [Option<u64>; 2] = [None, None];
    let mut offset = 0_u64;
    let mut reader = BufReader::with_capacity(PIECE, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let n = reader.read_until(b'\n', &mut line)?;
        if n == 0 {
            break;
        }
        let start = offset;
        offset += n as u64;
        let whole = line.strip_suffix(b"\n");
        let Some(record) = whole.and_then(Record::parse) else {
            continue;
        };
        if only.is_some_and(|s| s != record.stream) {
            continue;
        }
        let [stdout, stderr] = &mut open;
        let slot = match record.stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        let begun = *slot.get_or_insert(start);
        if !record.partial {
            found(begun);
            *slot = None;
        }
    }
    for begun in open.into_iter().flatten() {
        found(begun);
    }
    Ok(starts)
}
