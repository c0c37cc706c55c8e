//! Reads a tar stream entry by entry, with bounds.
//!
//! Header fields are read by the `tar` crate. Its own iterator is not used: it reads extended headers into memory whatever
//! their size (a bomb), and splits their records at line breaks, which binary values such as file capabilities may hold.

use crate::limits::Limits;
use crate::weakened::weakened;
use std::io::{self, Read, Write};

const BLOCK: usize = 512;
const BLOCK_U64: u64 = 512;
const COPY: usize = 128 << 10;
/// Extended attributes of one entry; the kernel itself lists no more than 64 KiB of their names.
const MAX_XATTRS: usize = 256;

/// Why a tar stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// The stream ends too early.
    #[error("it ends in the middle of {within}: the archive was cut off; make or copy it again")]
    Truncated {
        /// Entry or header.
        within: String,
    },
    /// A block that should be a header is none.
    #[error("byte {offset} is no tar header: {problem}")]
    Header {
        /// From the start of the stream.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// It asks for more than an import may use.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// The stream itself failed.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One entry; its content is read from the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub kind: Kind,
    /// Bytes of content; of a sparse file, those that are not holes.
    pub size: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    pub device: (u32, u32),
    pub xattrs: Vec<(String, Vec<u8>)>,
    pub sparse: Option<Sparse>,
}

/// Where the content of a sparse file lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// Offset and length of each piece.
    pub pieces: Vec<(u64, u64)>,
    /// Bytes with the holes.
    pub real_size: u64,
}

/// What extended headers said of the entry that follows.
#[derive(Clone, Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(String, Vec<u8>)>,
    bytes: u64,
}

/// A tar stream that is being read.
pub(crate) struct Tape<R> {
    inner: R,
    offset: u64,
    /// Content of the current entry that was not read yet.
    left: u64,
    /// Filler after it.
    pad: u64,
    entries: u64,
    max_entries: u64,
    max_header: u64,
    within: String,
}

impl<R: Read> Tape<R> {
    /// `max_entries` bounds the number of entries, headers of any kind included.
    pub(crate) fn new(inner: R, limits: &Limits, max_entries: u64) -> Self {
        Self {
            inner,
            offset: 0,
            left: 0,
            pad: 0,
            entries: 0,
            max_entries,
            max_header: limits.header_bytes,
            within: "its first header".into(),
        }
    }

    /// The next entry; `None` at the end mark, or where the stream ends between two entries.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, TapeError> {
        let mut extended = Extended::default();
        loop {
            self.skip_rest()?;
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            let header = tar::Header::from_byte_slice(&block);
            self.check_sum(header)?;
            self.entries += 1;
            if self.entries > self.max_entries && !weakened("s26-entries") {
                return Err(TapeError::Limit {
                    what: "the number of entries".into(),
                    limit: self.max_entries,
                });
            }
            let size = header
                .entry_size()
                .map_err(|e| self.bad(format!("size: {e}")))?;
            match header.as_bytes()[156] {
                b'x' => self.pax(size, &mut extended)?,
                // Global records hold comments in practice (git archive); names and sizes for all would make no sense.
                b'g' => drop(self.small(size, 0)?),
                b'L' => {
                    let text = self.small(size, extended.bytes)?;
                    extended.bytes += size;
                    extended.path = Some(until_nul(text));
                }
                b'K' => {
                    let text = self.small(size, extended.bytes)?;
                    extended.bytes += size;
                    extended.link = Some(until_nul(text));
                }
                _ => return self.entry(header, size, extended).map(Some),
            }
        }
    }

    /// Reads what is left of the stream after the end mark, and gives the stream back.
    pub(crate) fn drain(mut self) -> Result<R, TapeError> {
        self.skip_rest()?;
        io::copy(&mut self.inner, &mut io::sink()).map_err(TapeError::Read)?;
        Ok(self.inner)
    }

    fn entry(
        &mut self,
        header: &tar::Header,
        size: u64,
        extended: Extended,
    ) -> Result<Entry, TapeError> {
        let path = extended
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extended
            .link
            .or_else(|| header.link_name_bytes().map(|l| l.into_owned()))
            .unwrap_or_default();
        self.within = format!("{:?}", String::from_utf8_lossy(&path));
        let type_flag = header.as_bytes()[156];
        let kind = match type_flag {
            // Before ustar a folder was a file whose name ends in a slash.
            0 | b'0' if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::CharDevice,
            b'4' => Kind::BlockDevice,
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => {
                return Err(self.bad(format!(
                    "entry {} is of type {:?}, which is not supported",
                    self.within,
                    char::from(other)
                )));
            }
        };
        let size = match kind {
            Kind::File => extended.size.unwrap_or(size),
            // Some writers note a size on links; it counts for no content.
            Kind::HardLink | Kind::Symlink => 0,
            _ => size,
        };
        let sparse = match type_flag {
            b'S' => Some(self.sparse(header)?),
            _ => None,
        };
        let number = |what: &str, value: io::Result<u64>| -> Result<u64, TapeError> {
            value.map_err(|e| self.bad(format!("{what} of {}: {e}", self.within)))
        };
        let id = |what: &str, value: u64| -> Result<u32, TapeError> {
            match u32::try_from(value) {
                // chown takes the highest id for "leave it".
                Ok(id) if id != u32::MAX => Ok(id),
                _ => Err(self.bad(format!("{what} {value} of {} is too high", self.within))),
            }
        };
        let uid = match extended.uid {
            Some(uid) => uid,
            None => id("uid", number("uid", header.uid())?)?,
        };
        let gid = match extended.gid {
            Some(gid) => gid,
            None => id("gid", number("gid", header.gid())?)?,
        };
        let mode = number("mode", header.mode().map(u64::from))?;
        let mtime = match extended.mtime {
            Some(mtime) => mtime,
            None => {
                let seconds = number("mtime", header.mtime())?;
                (i64::try_from(seconds).unwrap_or(i64::MAX), 0)
            }
        };
        let device = match kind {
            Kind::CharDevice | Kind::BlockDevice => {
                let major = header.device_major().map(|n| u64::from(n.unwrap_or(0)));
                let minor = header.device_minor().map(|n| u64::from(n.unwrap_or(0)));
                let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
                (
                    narrow(number("device number", major)?),
                    narrow(number("device number", minor)?),
                )
            }
            _ => (0, 0),
        };
        self.left = size;
        self.pad = padding(size);
        Ok(Entry {
            path,
            link,
            kind,
            size,
            mode: u32::try_from(mode & 0o7777).unwrap_or(0),
            uid,
            gid,
            mtime,
            device,
            xattrs: extended.xattrs,
            sparse,
        })
    }

    /// Old GNU sparse files: the map begins in the header and goes on in blocks after it.
    fn sparse(&mut self, header: &tar::Header) -> Result<Sparse, TapeError> {
        let Some(gnu) = header.as_gnu() else {
            return Err(self.bad(format!("{} is sparse without a GNU header", self.within)));
        };
        let mut pieces = Vec::new();
        let mut take = |piece: &tar::GnuSparseHeader| -> io::Result<()> {
            if !piece.is_empty() {
                pieces.push((piece.offset()?, piece.length()?));
            }
            Ok(())
        };
        let wrong = |e: io::Error| format!("sparse map: {e}");
        let real_size = gnu.real_size().map_err(|e| self.bad(wrong(e)))?;
        for piece in &gnu.sparse {
            take(piece).map_err(|e| self.bad(wrong(e)))?;
        }
        let mut more = gnu.is_extended();
        let mut bytes = 0;
        while more {
            bytes += BLOCK_U64;
            self.check_header_bytes(bytes)?;
            let mut block = tar::GnuExtSparseHeader::new();
            let within = self.within.clone();
            fill(&mut self.inner, block.as_mut_bytes(), &within)?;
            self.offset += BLOCK_U64;
            for piece in block.sparse() {
                take(piece).map_err(|e| self.bad(wrong(e)))?;
            }
            more = block.is_extended();
        }
        Ok(Sparse { pieces, real_size })
    }

    fn pax(&mut self, size: u64, extended: &mut Extended) -> Result<(), TapeError> {
        let records = self.small(size, extended.bytes)?;
        extended.bytes += size;
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let Some((key, value, after)) = pax::record(rest) else {
                return Err(self.bad("an extended header has a record of wrong length".into()));
            };
            rest = after;
            self.pax_value(key, value, extended)?;
        }
        Ok(())
    }

    fn pax_value(
        &self,
        key: &[u8],
        value: &[u8],
        extended: &mut Extended,
    ) -> Result<(), TapeError> {
        let shown = || String::from_utf8_lossy(key).into_owned();
        let number = || -> Result<u64, TapeError> {
            std::str::from_utf8(value)
                .ok()
                .and_then(|v| v.parse().ok())
                .ok_or_else(|| self.bad(format!("extended header {} is no number", shown())))
        };
        let id = || -> Result<u32, TapeError> {
            match number().map(u32::try_from)? {
                Ok(id) if id != u32::MAX => Ok(id),
                _ => Err(self.bad(format!("extended header {} is too high", shown()))),
            }
        };
        match key {
            b"path" => extended.path = Some(value.to_vec()),
            b"linkpath" => extended.link = Some(value.to_vec()),
            b"size" => extended.size = Some(number()?),
            b"uid" => extended.uid = Some(id()?),
            b"gid" => extended.gid = Some(id()?),
            b"mtime" => {
                let time = pax::time(value)
                    .ok_or_else(|| self.bad("extended header mtime is no time".into()))?;
                extended.mtime = Some(time);
            }
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(self.bad(
                    "PAX sparse files are not supported; write the archive with --format=gnu or without --sparse"
                        .into(),
                ));
            }
            _ => {
                let name = key
                    .strip_prefix(b"SCHILY.xattr.")
                    .and_then(|k| std::str::from_utf8(k).ok());
                if let Some(name) = name {
                    // Each is compared with all before it.
                    if extended.xattrs.len() >= MAX_XATTRS && !weakened("s26-attributes") {
                        return Err(TapeError::Limit {
                            what: "the number of extended attributes of one entry".into(),
                            limit: MAX_XATTRS as u64,
                        });
                    }
                    extended.xattrs.retain(|(n, _)| n != name);
                    extended.xattrs.push((name.to_owned(), value.to_vec()));
                }
            }
        }
        Ok(())
    }

    /// Reads the content of an extended header.
    fn small(&mut self, size: u64, already: u64) -> Result<Vec<u8>, TapeError> {
        self.check_header_bytes(size.saturating_add(already))?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        fill(&mut self.inner, &mut bytes, "an extended header")?;
        self.offset += size;
        self.pad = padding(size);
        Ok(bytes)
    }

    fn check_header_bytes(&self, bytes: u64) -> Result<(), TapeError> {
        if bytes <= self.max_header || weakened("s26-headers") {
            return Ok(());
        }
        Err(TapeError::Limit {
            what: format!("the extended header before or of {} in bytes", self.within),
            limit: self.max_header,
        })
    }

    /// A header block; `None` at a block of zeros or at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TapeError> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            let Some(rest) = block.get_mut(have..) else {
                break;
            };
            match self.inner.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => {
                    return Err(TapeError::Truncated {
                        within: format!("the header after {}", self.within),
                    });
                }
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(read_error(e, &self.within)),
            }
        }
        self.offset += BLOCK_U64;
        Ok(block.iter().any(|b| *b != 0).then_some(block))
    }

    fn check_sum(&self, header: &tar::Header) -> Result<(), TapeError> {
        let bytes = header.as_bytes();
        let sum: u32 = bytes
            .iter()
            .enumerate()
            .map(|(i, b)| match i {
                // Its own field counts as spaces.
                148..156 => 32,
                _ => u32::from(*b),
            })
            .sum();
        match header.cksum() {
            Ok(noted) if noted == sum => Ok(()),
            _ => Err(self.bad("wrong checksum".into())),
        }
    }

    fn skip_rest(&mut self) -> Result<(), TapeError> {
        let (left, pad) = (self.left, self.pad);
        self.left = 0;
        self.pad = 0;
        let mut skip = |bytes: u64| {
            io::copy(&mut (&mut self.inner).take(bytes), &mut io::sink())
                .map_err(|e| read_error(e, &self.within))
        };
        let skipped = skip(left)?;
        // Some writers (umoci) leave out the filler after the last entry: then the next read finds the end.
        let filler = skip(pad)?;
        self.offset = self.offset.saturating_add(skipped + filler);
        if skipped == left {
            return Ok(());
        }
        Err(TapeError::Truncated {
            within: self.within.clone(),
        })
    }

    fn bad(&self, problem: String) -> TapeError {
        TapeError::Header {
            offset: self.offset.saturating_sub(BLOCK_U64),
            problem,
        }
    }
}

/// Which end of a copy failed.
pub(crate) enum CopyFault {
    Read(TapeError),
    Write(io::Error),
}

impl<R: Read> Tape<R> {
    /// Copies up to `most` bytes of the current entry's content, and says how many there were.
    pub(crate) fn copy_to(&mut self, out: &mut impl Write, most: u64) -> Result<u64, CopyFault> {
        let mut buffer = vec![0; COPY.min(usize::try_from(self.left).unwrap_or(COPY))];
        let mut copied = 0;
        while copied < most && self.left > 0 {
            let want = self.left.min(most - copied);
            let want = usize::try_from(want).unwrap_or(COPY).min(buffer.len());
            let part = buffer.get_mut(..want).unwrap_or_default();
            let n = match self.inner.read(part) {
                Ok(0) => {
                    let within = self.within.clone();
                    return Err(CopyFault::Read(TapeError::Truncated { within }));
                }
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(CopyFault::Read(read_error(e, &self.within))),
            };
            self.left -= n as u64;
            self.offset += n as u64;
            copied += n as u64;
            out.write_all(part.get(..n).unwrap_or_default())
                .map_err(CopyFault::Write)?;
        }
        Ok(copied)
    }
}

fn fill(inner: &mut impl Read, bytes: &mut [u8], within: &str) -> Result<(), TapeError> {
    inner.read_exact(bytes).map_err(|e| read_error(e, within))
}

/// Decoders report a cut-off stream as an unexpected end of file.
fn read_error(error: io::Error, within: &str) -> TapeError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        TapeError::Truncated {
            within: within.to_owned(),
        }
    } else {
        TapeError::Read(error)
    }
}

fn padding(size: u64) -> u64 {
    (BLOCK_U64 - size % BLOCK_U64) % BLOCK_U64
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    if let Some(end) = text.iter().position(|b| *b == 0) {
        text.truncate(end);
    }
    text
}

mod pax;
#[cfg(test)]
mod tests;
