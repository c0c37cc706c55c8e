//! Where an import reads from: an OCI layout folder as it lies, or an archive that is first written out into the store.

use crate::digest::{Digest, Hashing};
use crate::disk::{Disk, Lock};
use crate::failure::{At, StoreError, store_error};
use crate::layer::{Counting, Meter, decompress};
use crate::limits::Limits;
use crate::merged::names;
use crate::tape::{CopyFault, Kind, Tape, TapeError};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Hops of links within an archive (`layer.tar` of docker-archives).
const MAX_HOPS: usize = 16;
const NOT_AN_IMAGE: &str =
    "it holds neither index.json (OCI layout) nor manifest.json (docker-archive)";

/// Why the source of an import cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing at that path.
    #[error("there is no file or folder {}", path.display())]
    NotFound {
        /// As it was given, with the tag if there was one.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is no image in a form that is known.
    #[error(
        "this is no image: {problem}; an image comes from `podman save`, `docker save`, `skopeo copy … oci:DIR:TAG` or umoci"
    )]
    NotAnImage {
        /// What is missing.
        problem: String,
    },
    /// The archive is damaged.
    #[error("the archive cannot be read")]
    Tape(#[from] TapeError),
    /// The archive's compression cannot be undone.
    #[error("the archive cannot be decompressed")]
    Compression(#[source] io::Error),
    /// The store's own part failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Files of an image by name, such as `index.json` and `blobs/sha256/…`.
pub(crate) enum Source {
    Layout(PathBuf),
    Spool(Spool),
}

/// Files of an archive, written to a temporary folder of the store and hashed on the way.
pub(crate) struct Spool {
    /// Holds the files until it is dropped.
    _folder: tempfile::TempDir,
    items: BTreeMap<Vec<u8>, Item>,
    /// The one folder that holds everything, where the archive was made from outside of it.
    prefix: Vec<u8>,
}

enum Item {
    File(SpooledFile),
    Link(Vec<u8>),
}

/// A file that was written out.
#[derive(Clone, Debug)]
pub(crate) struct SpooledFile {
    pub path: PathBuf,
    pub digest: Digest,
    pub size: u64,
}

impl Source {
    /// Opens a path: a folder is used as it lies, a file is read as an archive.
    pub(crate) fn from_path(
        disk: &Disk,
        lock: &Lock,
        path: &Path,
        limits: &Limits,
        seen: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Self, SourceError> {
        let fail = |source| SourceError::Read {
            path: path.to_owned(),
            source,
        };
        if path.is_dir() {
            if !path.join("index.json").is_file() {
                return Err(SourceError::NotAnImage {
                    problem: format!("the folder {} holds no index.json", path.display()),
                });
            }
            return Ok(Self::Layout(path.to_owned()));
        }
        let file = File::open(path).map_err(fail)?;
        let meta = file.metadata().map_err(fail)?;
        // A named pipe, as `<(podman save …)` gives, has no length.
        let total = meta.is_file().then_some(meta.len());
        Self::from_stream(disk, lock, file, limits, &mut |n| seen(n, total))
    }

    /// Reads an archive to its end.
    pub(crate) fn from_stream(
        disk: &Disk,
        lock: &Lock,
        stream: impl Read,
        limits: &Limits,
        seen: &mut dyn FnMut(u64),
    ) -> Result<Self, SourceError> {
        let (stream, packed) = Counting::new(stream);
        let stream = decompress(stream).map_err(SourceError::Compression)?;
        let stream = Meter::new(stream, Rc::clone(&packed), limits.archive_bytes, limits);
        let mut tape = Tape::new(stream, limits, limits.archive_entries);
        let folder = disk.temporary(lock, &disk.images())?;
        let mut items = BTreeMap::new();
        let mut number = 0_u64;
        loop {
            let entry = match tape.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(TapeError::Header { offset: 0, .. }) => {
                    return Err(SourceError::NotAnImage {
                        problem: "it is no tar archive".into(),
                    });
                }
                Err(e) => return Err(e.into()),
            };
            let Some(name) = archive_name(&entry.path) else {
                return Err(SourceError::NotAnImage {
                    problem: format!(
                        "the archive holds the name {:?}",
                        String::from_utf8_lossy(&entry.path)
                    ),
                });
            };
            let item = match entry.kind {
                Kind::File => {
                    number += 1;
                    let path = folder.path().join(number.to_string());
                    Item::File(spool_file(&mut tape, path)?)
                }
                Kind::Symlink => {
                    let parent = name.iter().rposition(|b| *b == b'/').unwrap_or(0);
                    let base = name.get(..parent).unwrap_or_default();
                    match lexical(base, &entry.link) {
                        Some(target) => Item::Link(target),
                        None => continue,
                    }
                }
                Kind::HardLink => match archive_name(&entry.link) {
                    Some(target) => Item::Link(target),
                    None => continue,
                },
                _ => continue,
            };
            items.insert(name, item);
            seen(packed.get());
        }
        tape.drain()?;
        let mut spool = Spool {
            _folder: folder,
            items,
            prefix: Vec::new(),
        };
        spool.find_prefix()?;
        Ok(Self::Spool(spool))
    }

    /// Opens a file of the image; `None` if there is none of that name. The number is its size in bytes.
    pub(crate) fn open(&self, name: &str) -> Result<Option<(File, u64)>, SourceError> {
        let path = match self {
            Self::Layout(folder) => folder.join(name),
            Self::Spool(spool) => match spool.find(name) {
                Some(file) => file.path.clone(),
                None => return Ok(None),
            },
        };
        let fail = |source| SourceError::Read {
            path: path.clone(),
            source,
        };
        let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        let mut options = OpenOptions::new();
        // A named pipe in a layout must not hold the import up.
        let file = match options.read(true).custom_flags(nonblock).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() {
            return Err(fail(io::Error::other("it is no regular file")));
        }
        Ok(Some((file, meta.len())))
    }

    /// Reads a small file whole; `None` if there is none of that name.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let Some((file, _)) = self.open(name)? else {
            return Ok(None);
        };
        let fail = |source| SourceError::Read {
            path: PathBuf::from(name),
            source,
        };
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > limit {
            let longer = io::Error::other(format!("it is longer than {limit} bytes"));
            return Err(fail(longer));
        }
        Ok(Some(bytes))
    }

    /// The file as it was written out, if this is an archive.
    pub(crate) fn spooled(&self, name: &str) -> Option<&SpooledFile> {
        match self {
            Self::Layout(_) => None,
            Self::Spool(spool) => spool.find(name),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Layout(folder) => folder.join(name).is_file(),
            Self::Spool(spool) => spool.find(name).is_some(),
        }
    }
}

impl Spool {
    fn find(&self, name: &str) -> Option<&SpooledFile> {
        let mut name = [self.prefix.as_slice(), &joined(name.as_bytes())].concat();
        for _ in 0..MAX_HOPS {
            match self.items.get(&name)? {
                Item::File(file) => return Some(file),
                Item::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    fn find_prefix(&mut self) -> Result<(), SourceError> {
        let has = |name: &[u8]| self.items.contains_key(name);
        if has(b"index.json") || has(b"manifest.json") {
            return Ok(());
        }
        let first = |name: &[u8]| name.split(|b| *b == b'/').next().map(<[u8]>::to_vec);
        let mut tops = self.items.keys().filter_map(|name| first(name));
        if let Some(top) = tops.next()
            && tops.all(|other| other == top)
        {
            let prefix = [top.as_slice(), b"/"].concat();
            let index = [prefix.as_slice(), b"index.json"].concat();
            let manifest = [prefix.as_slice(), b"manifest.json"].concat();
            if has(&index) || has(&manifest) {
                self.prefix = prefix;
                return Ok(());
            }
        }
        let known = ["bin", "etc", "usr"].map(str::as_bytes);
        let is_rootfs = self
            .items
            .keys()
            .filter_map(|name| first(name))
            .any(|top| known.contains(&top.as_slice()));
        let problem = match (self.items.is_empty(), is_rootfs) {
            (true, _) => "the archive is empty".to_owned(),
            (_, true) => format!(
                "{NOT_AN_IMAGE}; it looks like a bare root file system, which `podman import` makes an image of"
            ),
            _ => NOT_AN_IMAGE.to_owned(),
        };
        Err(SourceError::NotAnImage { problem })
    }
}

fn spool_file<R: Read>(tape: &mut Tape<R>, path: PathBuf) -> Result<SpooledFile, SourceError> {
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .at("make", &path)?;
    let mut out = Hashing::new(file);
    match tape.copy_to(&mut out, u64::MAX) {
        Ok(_) => {}
        Err(CopyFault::Read(e)) => return Err(e.into()),
        Err(CopyFault::Write(e)) => return Err(store_error("write", &path, e).into()),
    }
    let (digest, size, _) = out.finish();
    Ok(SpooledFile { path, digest, size })
}

/// A name of an archive without `./` and doubled slashes; `None` if it climbs.
fn archive_name(path: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<Vec<u8>> = names(path).collect();
    let climbs = parts.iter().any(|part| part == b"..");
    (!climbs && !path.contains(&0)).then(|| parts.join(&b'/'))
}

fn joined(name: &[u8]) -> Vec<u8> {
    names(name).collect::<Vec<_>>().join(&b'/')
}

/// A relative link of an archive, taken apart as text; `None` if it leads out of the archive.
fn lexical(base: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    if target.starts_with(b"/") {
        return None;
    }
    let mut at: Vec<Vec<u8>> = names(base).collect();
    for part in names(target) {
        if part == b".." {
            at.pop()?;
        } else {
            at.push(part);
        }
    }
    Some(at.join(&b'/'))
}
