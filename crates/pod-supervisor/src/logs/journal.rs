//! The journal of a log: how far it is written, and what is about to be.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes of one mark in the file.
const SLOT: usize = 128;

/// Length of a time as entries have it.
const TIME: usize = 30;

/// Everything that is settled about a log, and the one write that may be half done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Inode of the log file.
    pub(crate) inode: u64,
    /// Bytes in it.
    pub(crate) size: u64,
    /// Of each spool, up to where its bytes are in the log (or dropped).
    pub(crate) at: [u64; 2],
    /// Lines dropped so far.
    pub(crate) dropped: u64,
    /// Of each stream, whether what comes next belongs to a line whose beginning was dropped.
    pub(crate) skipping: [bool; 2],
    /// Entries that are being appended.
    pub(crate) pending: Option<Pending>,
}

/// Entries made of the bytes of one spool from [`Mark::at`] up to `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Which stream: 0 or 1.
    pub(crate) stream: usize,
    pub(crate) to: u64,
    /// The last of them is a line without its break.
    pub(crate) ended: bool,
    pub(crate) time: String,
}

/// The file: two slots written in turn, so that one is whole whatever happens to the other.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Open while marks are being written.
    file: Option<File>,
    sequence: u64,
}

impl Journal {
    /// Makes a new one; its room is taken now, so that a full disk does not matter later.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        let file = open(path, true)?;
        file.write_all_at(&[0; 2 * SLOT], 0)?;
        Ok(Self::on(path, file, 0))
    }

    /// Opens one that a predecessor has written, with its last mark.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Option<Mark>)> {
        let file = open(path, false)?;
        let mut best = None;
        for slot in 0..2 {
            let mut bytes = [0; SLOT];
            // One that is cut short holds no mark.
            let read = file.read_exact_at(&mut bytes, slot * SLOT as u64);
            let found = read.ok().and_then(|()| decode(&bytes));
            if let Some((sequence, mark)) = found
                && best.as_ref().is_none_or(|(s, _)| sequence > *s)
            {
                best = Some((sequence, mark));
            }
        }
        let (sequence, mark) = best.unzip();
        let sequence = sequence.unwrap_or(0);
        Ok((Self::on(path, file, sequence), mark))
    }

    fn on(path: &Path, file: File, sequence: u64) -> Self {
        Self {
            path: path.to_owned(),
            file: Some(file),
            sequence,
        }
    }

    /// Writes a mark. A failure costs only exactness after this process was killed.
    pub(crate) fn write(&mut self, mark: &Mark) {
        self.sequence += 1;
        let bytes = encode(self.sequence, mark);
        if self.file.is_none() {
            self.file = open(&self.path, false).ok();
        }
        if let Some(file) = &self.file {
            let _ = file.write_all_at(&bytes, (self.sequence % 2) * SLOT as u64);
        }
    }

    /// Closes the file until the next mark.
    pub(crate) fn rest(&mut self) {
        self.file = None;
    }
}

fn open(path: &Path, fresh: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(fresh)
        .mode(0o600)
        .open(path)
}

fn encode(sequence: u64, mark: &Mark) -> Vec<u8> {
    let [out, err] = mark.at;
    let (to, time) = match &mark.pending {
        Some(p) => (p.to, p.time.as_str()),
        None => (0, ""),
    };
    let [skip_out, skip_err] = mark.skipping;
    let pending = mark.pending.as_ref();
    let flags = [
        skip_out,
        skip_err,
        pending.is_some(),
        pending.is_some_and(|p| p.stream == 1),
        pending.is_some_and(|p| p.ended),
    ];
    let mut bytes = Vec::with_capacity(SLOT);
    for number in [sequence, mark.inode, mark.size, out, err, mark.dropped, to] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend(flags.map(u8::from));
    bytes.extend(time.bytes().take(TIME));
    bytes.resize(SLOT - 4, 0);
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; SLOT]) -> Option<(u64, Mark)> {
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let mut rest = body;
    let mut number = || -> Option<u64> {
        let (first, others) = rest.split_first_chunk::<8>()?;
        rest = others;
        Some(u64::from_le_bytes(*first))
    };
    let (sequence, inode, size) = (number()?, number()?, number()?);
    let (out, err, dropped, to) = (number()?, number()?, number()?, number()?);
    let (flags, rest) = rest.split_first_chunk::<5>()?;
    let [skip_out, skip_err, pending, stream, ended] = flags.map(|f| f != 0);
    let time = std::str::from_utf8(rest.get(..TIME)?).ok()?;
    let mark = Mark {
        inode,
        size,
        at: [out, err],
        dropped,
        skipping: [skip_out, skip_err],
        pending: pending.then(|| Pending {
            stream: usize::from(stream),
            to,
            ended,
            time: time.trim_end_matches('\0').to_owned(),
        }),
    };
    // An empty slot is all zeros, and no mark has number 0.
    (sequence > 0).then_some((sequence, mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(n: u64) -> Mark {
        Mark {
            inode: 7,
            size: 100 + n,
            at: [n, 2 * n],
            dropped: n / 2,
            skipping: [n.is_multiple_of(2), n % 2 == 1],
            pending: n.is_multiple_of(3).then(|| Pending {
                stream: (n % 2) as usize,
                to: n + 9,
                ended: n % 2 == 1,
                time: "2026-01-02T03:04:05.123456789Z".to_owned(),
            }),
        }
    }

    #[test]
    fn the_last_mark_is_found_and_one_that_is_torn_gives_way_to_the_one_before() {
        let path = std::env::temp_dir().join(format!("sup-journal-{}", std::process::id()));
        let mut journal = Journal::make(&path).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, None);
        for n in 1..10 {
            journal.write(&mark(n));
            let (_, found) = Journal::open(&path).unwrap();
            assert_eq!(found, Some(mark(n)));
        }
        let whole = std::fs::read(&path).unwrap();
        // Mark 9 stands in the second slot. Any one bit of it flipped, it is not believed.
        for bit in 0..SLOT * 8 {
            let mut bytes = whole.clone();
            bytes[SLOT + bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, Some(mark(8)), "bit {bit}");
        }
        for length in 0..SLOT {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, None, "{length} bytes");
        }
        std::fs::remove_file(path).unwrap();
    }
}
