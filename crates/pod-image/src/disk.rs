//! The store's folders and files: where each lies, how one is written so that a killed process leaves none half made, and the lock.
//!
//! ```text
//! ROOT/images/            an OCI image layout: oci-layout, index.json, blobs/sha256/<hex>
//! ROOT/images/.lock       held by flock(2) by whoever changes the store
//! ROOT/images/.reserve    given up when the disk is full, so that removing an image still works
//! ROOT/layers/<chain id>/ one unpacked layer
//! .tmp-…                  in both folders: work of a process that runs, or rubbish of one that died
//! ```

use crate::digest::Digest;
use crate::failure::{At, StoreError};
use crate::weakened::weakened;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const TEMPORARY: &str = ".tmp-";
const RESERVE: &str = ".reserve";
/// Room for an index of some 500 images.
const RESERVE_BYTES: usize = 256 << 10;
/// Files and folders up to which a tree is written out one by one.
const SYNC_ONE_BY_ONE: usize = 512;
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const EMPTY_INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// Places of the store on disk.
#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
}

/// The right to change the store; ends when dropped, or with the process.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Tells one version of a file from every other: it is only ever replaced, never written in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Disk {
    /// Makes what is missing, and takes away what a killed process left.
    pub(crate) fn open(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).at("find", root)?;
        let disk = Self { root };
        for folder in [
            disk.root.clone(),
            disk.images(),
            disk.layers(),
            disk.blobs(),
        ] {
            private_folder(&folder, folder != disk.root)?;
        }
        // Whoever holds the lock has swept already, and an import may hold it for minutes.
        if let Some(lock) = disk.try_lock()? {
            disk.sweep()?;
            disk.set_up(&lock)?;
        } else if !is_there(&disk.index())? {
            let lock = disk.lock(&mut || {})?;
            disk.set_up(&lock)?;
        }
        Ok(disk)
    }

    fn set_up(&self, lock: &Lock) -> Result<(), StoreError> {
        for (name, content) in [("oci-layout", LAYOUT), ("index.json", EMPTY_INDEX)] {
            if !is_there(&self.images().join(name))? {
                self.write(lock, &self.images(), name, content)?;
            }
        }
        self.keep_reserve();
        Ok(())
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("images/blobs/sha256")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("images/index.json")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(crate) fn layer(&self, chain: &Digest) -> PathBuf {
        self.layers().join(chain.hex())
    }

    /// Waits for whoever changes the store, in this process or another; `waiting` is called once if there is one.
    pub(crate) fn lock(&self, waiting: &mut dyn FnMut()) -> Result<Lock, StoreError> {
        if let Some(lock) = self.try_lock()? {
            return Ok(lock);
        }
        waiting();
        let (file, path) = self.lock_file()?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(rustix::io::Errno::INTR) => {}
                done => {
                    done.at("lock", &path)?;
                    return Ok(Lock { _file: file });
                }
            }
        }
    }

    fn try_lock(&self) -> Result<Option<Lock>, StoreError> {
        let (file, path) = self.lock_file()?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            done => {
                done.at("lock", &path)?;
                Ok(Some(Lock { _file: file }))
            }
        }
    }

    fn lock_file(&self) -> Result<(File, PathBuf), StoreError> {
        let path = self.images().join(".lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).at("open", &path)?;
        Ok((file, path))
    }

    /// Removes temporary files and folders. Only for a holder of the lock: no other process has any then.
    pub(crate) fn sweep(&self) -> Result<(), StoreError> {
        for folder in [self.images(), self.layers()] {
            for entry in fs::read_dir(&folder).at("read", &folder)? {
                let entry = entry.at("read", &folder)?;
                if !entry
                    .file_name()
                    .as_encoded_bytes()
                    .starts_with(TEMPORARY.as_bytes())
                {
                    continue;
                }
                let path = entry.path();
                let kind = entry.file_type().at("look at", &path)?;
                let removed = match kind.is_dir() {
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                };
                removed.at("remove", &path)?;
            }
        }
        Ok(())
    }

    /// A folder of the store's own for work that is not done; removed when dropped.
    pub(crate) fn temporary(
        &self,
        _: &Lock,
        folder: &Path,
    ) -> Result<tempfile::TempDir, StoreError> {
        tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(folder)
            .at("make a temporary folder in", folder)
    }

    /// A file of the store's own for work that is not done; removed when dropped.
    pub(crate) fn temporary_file(&self, _: &Lock) -> Result<tempfile::NamedTempFile, StoreError> {
        let folder = self.images();
        tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempfile_in(&folder)
            .at("make a temporary file in", &folder)
    }

    /// Writes a file whole: temporary name, fsync, rename, fsync of the folder.
    pub(crate) fn write(
        &self,
        lock: &Lock,
        folder: &Path,
        name: &str,
        content: &[u8],
    ) -> Result<(), StoreError> {
        let path = folder.join(name);
        let mut file = self.temporary_file(lock)?;
        file.write_all(content).at("write", &path)?;
        self.put(file, &path)
    }

    /// Moves a finished temporary file to its place, durably.
    pub(crate) fn put(&self, file: tempfile::NamedTempFile, path: &Path) -> Result<(), StoreError> {
        file.as_file().sync_all().at("write", path)?;
        file.persist(path).map_err(|e| e.error).at("write", path)?;
        sync_folder_of(path)
    }

    /// Replaces the index. On a full disk the reserve is given up for it, so that images can still be removed.
    pub(crate) fn write_index(&self, lock: &Lock, content: &[u8]) -> Result<(), StoreError> {
        match self.write(lock, &self.images(), "index.json", content) {
            Err(e) if e.is_disk_full() => {
                let reserve = self.images().join(RESERVE);
                match fs::remove_file(&reserve) {
                    Ok(()) => self.write(lock, &self.images(), "index.json", content),
                    Err(_) => Err(e),
                }
            }
            done => done,
        }
    }

    /// Makes the reserve where it is missing and there is room.
    pub(crate) fn keep_reserve(&self) {
        let path = self.images().join(RESERVE);
        let whole = fs::metadata(&path).is_ok_and(|m| m.len() == RESERVE_BYTES as u64);
        if !whole && fs::write(&path, vec![0xff; RESERVE_BYTES]).is_err() {
            // Not enough room for a reserve: half of one would only be in the way.
            let _ = fs::remove_file(&path);
        }
    }

    /// Removes an unpacked layer: out of sight in one step, then file by file.
    pub(crate) fn remove_layer(&self, lock: &Lock, hex: &str) -> Result<(), StoreError> {
        let path = self.layers().join(hex);
        let aside = match self.temporary(lock, &self.layers()) {
            Ok(aside) => aside,
            // No room even for an empty folder: remove it in place. A reader of the index cannot meet it any more.
            Err(e) if e.is_disk_full() => return fs::remove_dir_all(&path).at("remove", &path),
            Err(e) => return Err(e),
        };
        let gone = aside.path().join("layer");
        fs::rename(&path, &gone).at("remove", &path)?;
        aside.close().at("remove", &path)
    }

    /// Version of the index as it is now.
    pub(crate) fn index_stamp(&self) -> Result<Stamp, StoreError> {
        let path = self.index();
        let meta = fs::metadata(&path).at("look at", &path)?;
        Ok(Stamp {
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// fsync of the folder that holds `path`, so that its name survives a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder)
        .and_then(|f| f.sync_all())
        .at("write", folder)
}

/// Writes a finished tree out to disk, so that the name it gets next means something after a power cut.
///
/// Few files are written out one by one: syncfs(2) would wait for all that other programs have written to the same disk as well.
pub(crate) fn sync_tree(folder: &Path) -> Result<(), StoreError> {
    let mut files = vec![folder.to_owned()];
    let mut folders = vec![folder.to_owned()];
    while let Some(path) = folders.pop() {
        for entry in fs::read_dir(&path).at("read", &path)? {
            let entry = entry.at("read", &path)?;
            let kind = entry.file_type().at("look at", &entry.path())?;
            if kind.is_dir() {
                folders.push(entry.path());
            }
            // Nothing else may be opened: these are files of an image. Folders carry the names of the rest.
            if kind.is_dir() || kind.is_file() {
                files.push(entry.path());
            }
        }
        if files.len() > SYNC_ONE_BY_ONE {
            let file = File::open(folder).at("open", folder)?;
            return rustix::fs::syncfs(&file).at("write", folder);
        }
    }
    for path in files {
        let file = File::open(&path).at("open", &path)?;
        file.sync_all().at("write", &path)?;
    }
    Ok(())
}

/// A folder that only its owner may enter: layers hold setuid files and device nodes.
fn private_folder(path: &Path, enforce: bool) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.at("make the folder", path)?;
    let mode = fs::metadata(path).at("look at", path)?.permissions().mode() & 0o7777;
    if enforce && mode != 0o700 && !weakened("s15") {
        fs::set_permissions(path, Permissions::from_mode(0o700)).at("set the mode of", path)?;
    }
    Ok(())
}

/// Whether there is something. That this cannot be found out now is an error: what is there must not be made anew, nor taken for rubbish.
pub(crate) fn is_there(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().at("look for", path)
}

/// Reads a file of the store that must be small.
pub(crate) fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    use std::io::Read;
    let file = File::open(path).at("open", path)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .at("read", path)?;
    if bytes.len() as u64 > limit {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
            problem: format!("it is longer than {limit} bytes"),
        });
    }
    Ok(bytes)
}
