//! One layer blob on its way into a folder: decompressed, metered, hashed, unpacked.

use crate::digest::{Digest, Hashing};
use crate::failure::is_full;
use crate::limits::Limits;
use crate::merged::Stack;
use crate::unpack::{UnpackError, unpack};
use crate::weakened::weakened;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::rc::Rc;

const BUFFER: usize = 128 << 10;

/// Why a layer is not what its image says.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// It cannot be read or unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// Its compression cannot be undone.
    #[error("it cannot be decompressed")]
    Compression(#[source] io::Error),
    /// Its content is another than the image's config promises.
    #[error(
        "it unpacks to {found}, but the image's config says {expected}: the image is damaged or was tampered with"
    )]
    DiffId {
        /// What it is.
        found: Digest,
        /// What it should be.
        expected: Digest,
    },
}

impl LayerError {
    /// The kernel's answer, if the disk is full; else the error as it is.
    pub(crate) fn into_full_disk(self) -> Result<io::Error, Self> {
        match self {
            Self::Unpack(UnpackError::Entry { source, .. }) if is_full(&source) => Ok(source),
            other => Err(other),
        }
    }
}

/// How a stream is compressed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    /// Known, not supported: its name.
    Foreign(&'static str),
}

impl Compression {
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', ..] => Self::Foreign("bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Foreign("xz"),
            _ => Self::None,
        }
    }
}

/// A stream with its compression undone.
pub(crate) fn decompress<'a, R: Read + 'a>(stream: R) -> io::Result<Box<dyn Read + 'a>> {
    let mut stream = BufReader::with_capacity(BUFFER, stream);
    let start = peek(&mut stream)?;
    Ok(match Compression::of(&start) {
        Compression::None => Box::new(io::Cursor::new(start).chain(stream)),
        Compression::Gzip => {
            let stream = BufReader::with_capacity(BUFFER, io::Cursor::new(start).chain(stream));
            Box::new(flate2::bufread::MultiGzDecoder::new(stream))
        }
        Compression::Zstd => {
            let stream = BufReader::with_capacity(BUFFER, io::Cursor::new(start).chain(stream));
            Box::new(zstd::stream::read::Decoder::with_buffer(stream)?)
        }
        Compression::Foreign(name) => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{name} compression is not supported; use gzip, zstd or none"),
            ));
        }
    })
}

/// The first bytes of a stream; fewer where it is shorter.
fn peek(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    stream.take(6).read_to_end(&mut start)?;
    Ok(start)
}

/// Counts what passes, and says how much has.
pub(crate) struct Counting<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R> Counting<R> {
    pub(crate) fn new(inner: R) -> (Self, Rc<Cell<u64>>) {
        let count = Rc::new(Cell::new(0));
        let reader = Self {
            inner,
            count: Rc::clone(&count),
        };
        (reader, count)
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.set(self.count.get().saturating_add(n as u64));
        Ok(n)
    }
}

/// Ends a decompressed stream with an error where it grows past its bounds.
pub(crate) struct Meter<R> {
    inner: R,
    out: u64,
    packed: Rc<Cell<u64>>,
    max: u64,
    ratio: u64,
    ratio_from: u64,
}

impl<R> Meter<R> {
    /// `packed` counts the compressed bytes that were read so far.
    pub(crate) fn new(inner: R, packed: Rc<Cell<u64>>, max: u64, limits: &Limits) -> Self {
        Self {
            inner,
            out: 0,
            packed,
            max,
            ratio: limits.ratio,
            ratio_from: limits.ratio_from,
        }
    }
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.out = self.out.saturating_add(n as u64);
        if self.out > self.max && !weakened("s26-bytes") {
            return Err(io::Error::other(format!(
                "it unpacks to more than the limit of {} bytes",
                self.max
            )));
        }
        let packed = self.packed.get();
        let bomb = self.out > self.ratio_from && self.out / self.ratio > packed;
        if bomb && !weakened("s26-ratio") {
            return Err(io::Error::other(format!(
                "{packed} bytes of it unpack to more than {} times as many: it looks like a decompression bomb",
                self.ratio
            )));
        }
        Ok(n)
    }
}

/// Unpacks a layer blob into the empty folder `root`, and checks that its content has the digest `diff_id`.
///
/// `seen` is told how many bytes of the blob were read so far.
pub(crate) fn unpack_blob(
    blob: File,
    diff_id: &Digest,
    root: OwnedFd,
    below: &Stack,
    limits: &Limits,
    seen: &mut dyn FnMut(u64),
) -> Result<(), LayerError> {
    let (blob, packed) = Counting::new(blob);
    let stream = decompress(blob).map_err(LayerError::Compression)?;
    let metered = Meter::new(stream, Rc::clone(&packed), limits.layer_bytes, limits);
    let told = Told {
        inner: metered,
        packed: Rc::clone(&packed),
        seen,
    };
    let stream = BufReader::with_capacity(BUFFER, Hashing::new(told));
    let stream = unpack(stream, root, below, limits)?;
    let (found, _, _) = stream.into_inner().finish();
    if found == *diff_id {
        return Ok(());
    }
    Err(LayerError::DiffId {
        found,
        expected: diff_id.clone(),
    })
}

/// Reports progress as a side effect of reading.
struct Told<'a, R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    seen: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        (self.seen)(self.packed.get());
        Ok(n)
    }
}
