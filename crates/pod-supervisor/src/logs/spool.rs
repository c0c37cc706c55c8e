//! What came out of a pipe and is not in the log yet: a file beside the state, so that it outlives this process.
//!
//! Offsets only grow; what is behind them is given back to the file system by holes. Where the file takes nothing (a full /run), bytes
//! wait in memory instead: then a killed supervisor loses them, which is better than a container that hangs.

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// Moved at once, in bytes: what a pipe holds by default.
pub(crate) const CHUNK: usize = 64 << 10;

/// So many bytes behind the offset are kept before they are given back: a call for each little line would cost more than it saves.
const GIVEN_BACK: u64 = 16 << 10;

const PAGE: u64 = 4096;

/// What reading gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// So many bytes.
    Some(usize),
    /// There may be more later.
    Nothing,
    /// There never will.
    Ended,
}

/// Bytes of one stream between its pipe and its log.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    /// Opened when bytes come: most containers print on one stream only, and most are quiet for most of the time.
    file: Option<File>,
    /// Everything before it is settled.
    at: u64,
    /// Where the file ends.
    end: u64,
    /// What follows the file's end and could not be written to it.
    memory: Vec<u8>,
    given_back: u64,
}

impl Spool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            at: 0,
            end: 0,
            memory: Vec::new(),
            given_back: 0,
        }
    }

    /// Takes over the spool of a predecessor, whose bytes up to `at` are settled.
    pub(crate) fn adopt(path: PathBuf, at: u64) -> io::Result<Self> {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let length = match &file {
            Some(file) => file.metadata()?.len(),
            None => 0,
        };
        Ok(Self {
            file,
            at,
            end: length.max(at),
            given_back: at,
            ..Self::new(path)
        })
    }

    /// Everything before it is settled.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// How many bytes are not settled.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.at + self.memory.len() as u64
    }

    /// Moves what is in the source here, once. `buffer` is used where the kernel does not move it by itself.
    pub(crate) fn fill(&mut self, source: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> Read {
        if self.memory.is_empty()
            && let Some(read) = self.splice(source)
        {
            return read;
        }
        let read = read(source, buffer);
        if let Read::Some(n) = read {
            self.append(buffer.get(..n).unwrap_or_default());
        }
        read
    }

    /// `None`: it must be read instead: no pipe, or the file does not take it.
    fn splice(&mut self, source: BorrowedFd<'_>) -> Option<Read> {
        let mut to = self.end;
        let file = self.open().ok()?;
        let moved = loop {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            match splice(source, None, file, Some(&mut to), CHUNK, flags) {
                Err(Errno::INTR) => {}
                other => break other,
            }
        };
        match moved {
            Ok(0) => Some(Read::Ended),
            Ok(n) => {
                self.end += n as u64;
                Some(Read::Some(n))
            }
            Err(Errno::AGAIN) => Some(Read::Nothing),
            Err(_) => None,
        }
    }

    /// Adds bytes that were read.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let end = self.end;
        let written = self.memory.is_empty()
            && self
                .open()
                .is_ok_and(|file| file.write_all_at(bytes, end).is_ok());
        if written {
            self.end += bytes.len() as u64;
        } else {
            self.memory.extend_from_slice(bytes);
        }
    }

    /// The first bytes that are not settled, at most `most`.
    pub(crate) fn peek(&self, into: &mut Vec<u8>, most: usize) -> io::Result<()> {
        let in_file = usize::try_from(self.end - self.at)
            .unwrap_or(usize::MAX)
            .min(most);
        into.clear();
        into.resize(in_file, 0);
        if in_file > 0 {
            let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
            file.read_exact_at(into, self.at)?;
        }
        let rest = self.memory.len().min(most - in_file);
        into.extend_from_slice(self.memory.get(..rest).unwrap_or_default());
        Ok(())
    }

    /// The first `n` bytes are settled.
    pub(crate) fn settle(&mut self, n: usize) {
        self.at += n as u64;
        if self.at > self.end {
            let from_memory = usize::try_from(self.at - self.end).unwrap_or(usize::MAX);
            self.memory.drain(..from_memory.min(self.memory.len()));
            self.end = self.at;
            if self.memory.is_empty() {
                self.memory = Vec::new();
            }
        }
    }

    /// Takes away an unfinished line at the end, so that only whole lines are left. `false`: there was none to take away. Where all of it
    /// is one unfinished line, it gets a break instead.
    pub(crate) fn cut_to_line(&mut self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        self.peek(buffer, left)?;
        let keep = match buffer.iter().rposition(|b| *b == b'\n') {
            Some(at) if at + 1 == buffer.len() => return Ok(false),
            Some(at) => at + 1,
            None if buffer.is_empty() => return Ok(false),
            None => {
                self.append(b"\n");
                return Ok(true);
            }
        };
        let in_file = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        if keep < in_file {
            self.memory = Vec::new();
            self.end = self.at + keep as u64;
            if let Some(file) = &self.file {
                file.set_len(self.end)?;
            }
        } else {
            self.memory.truncate(keep - in_file);
        }
        Ok(true)
    }

    /// Gives room of settled bytes back. To be called once the journal has the offset.
    pub(crate) fn give_back(&mut self) {
        let to = self.at - self.at % PAGE;
        if to < self.given_back + GIVEN_BACK {
            return;
        }
        if let Some(file) = &self.file {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // Without it the file stays larger than it need be.
            let _ = fallocate(file, flags, self.given_back, to - self.given_back);
        }
        self.given_back = to;
    }

    /// Closes the file, if nothing waits in it.
    pub(crate) fn rest(&mut self) {
        if self.left() == 0 {
            self.file = None;
        }
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&self.path)?;
            self.file = Some(file);
        }
        self.file
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Reads once, into the whole of the buffer.
pub(crate) fn read(source: impl AsFd, buffer: &mut Vec<u8>) -> Read {
    buffer.resize(CHUNK, 0);
    loop {
        match rustix::io::read(source.as_fd(), buffer.as_mut_slice()) {
            Ok(0) => return Read::Ended,
            Ok(n) => return Read::Some(n),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Read::Nothing,
            // EIO: the last process has closed the terminal.
            Err(_) => return Read::Ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn place(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sup-spool-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn all(spool: &Spool) -> Vec<u8> {
        let mut bytes = Vec::new();
        spool.peek(&mut bytes, 1 << 20).unwrap();
        bytes
    }

    #[test]
    fn bytes_go_through_in_order_and_a_successor_finds_what_is_not_settled() {
        let path = place("order");
        let (read, mut write) = std::io::pipe().unwrap();
        let mut spool = Spool::new(path.clone());
        let mut buffer = Vec::new();
        for word in ["one ", "two ", "three"] {
            write.write_all(word.as_bytes()).unwrap();
            let got = spool.fill(read.as_fd(), &mut buffer);
            assert_eq!(got, Read::Some(word.len()));
        }
        assert_eq!(spool.fill(read.as_fd(), &mut buffer), Read::Nothing);
        spool.settle(4);
        assert_eq!(all(&spool), b"two three");
        let successor = Spool::adopt(path.clone(), spool.at()).unwrap();
        assert_eq!(all(&successor), b"two three");
        drop(write);
        assert_eq!(spool.fill(read.as_fd(), &mut buffer), Read::Ended);
        assert_eq!(Spool::adopt(path.clone(), 100).unwrap().left(), 0);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn room_of_settled_bytes_is_given_back() {
        use std::os::unix::fs::MetadataExt;
        let path = place("room");
        let mut spool = Spool::new(path.clone());
        for _ in 0..64 {
            spool.append(&[b'x'; CHUNK]);
            spool.settle(CHUNK);
            spool.give_back();
        }
        let about = std::fs::metadata(&path).unwrap();
        assert_eq!(about.len(), 64 * CHUNK as u64);
        assert!(about.blocks() * 512 <= CHUNK as u64, "{}", about.blocks());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn where_the_file_takes_nothing_memory_does_and_the_order_stays() {
        let (read, mut write) = std::io::pipe().unwrap();
        let mut spool = Spool::new("/dev/full".into());
        let mut buffer = Vec::new();
        write.write_all(b"first ").unwrap();
        assert_eq!(spool.fill(read.as_fd(), &mut buffer), Read::Some(6));
        write.write_all(b"second").unwrap();
        assert_eq!(spool.fill(read.as_fd(), &mut buffer), Read::Some(6));
        assert_eq!(all(&spool), b"first second");
        spool.settle(8);
        assert_eq!((all(&spool), spool.left()), (b"cond".to_vec(), 4));
        spool.settle(4);
        assert_eq!(spool.left(), 0);
    }

    #[test]
    fn an_unfinished_line_at_the_end_can_be_taken_away() {
        let path = place("cut");
        let mut spool = Spool::new(path.clone());
        let mut buffer = Vec::new();
        assert!(!spool.cut_to_line(&mut buffer).unwrap());
        spool.append(b"whole\nhalf");
        assert!(spool.cut_to_line(&mut buffer).unwrap());
        assert_eq!(all(&spool), b"whole\n");
        assert!(!spool.cut_to_line(&mut buffer).unwrap());
        spool.settle(6);
        spool.append(b"endless");
        assert!(spool.cut_to_line(&mut buffer).unwrap());
        assert_eq!(all(&spool), b"endless\n");
        spool.memory.extend_from_slice(b"more\nand");
        assert!(spool.cut_to_line(&mut buffer).unwrap());
        assert_eq!(all(&spool), b"endless\nmore\n");
        std::fs::remove_file(path).unwrap();
    }
}
