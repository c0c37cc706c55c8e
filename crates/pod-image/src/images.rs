//! Reads images that are in the store: manifest and config of an index entry, and what nothing refers to any more.

use crate::digest::Digest;
use crate::disk::{Disk, Lock, is_there, read_small};
use crate::failure::{At, StoreError};
use crate::index::Index;
use crate::limits::Limits;
use crate::manifest::{self, DocumentKind, Image, digest_of};
use oci_spec::image::Descriptor;
use std::collections::BTreeSet;
use std::fs;

/// Reads manifest and config of an image by the digest of its manifest.
pub(crate) fn read(disk: &Disk, digest: &Digest, limits: &Limits) -> Result<Image, StoreError> {
    let path = disk.blob(digest);
    let damaged = |problem| StoreError::Damaged {
        path: path.clone(),
        problem,
    };
    let bytes = read_small(&path, limits.document_bytes)?;
    let manifest = manifest::read_manifest(&bytes, None).map_err(damaged)?;
    let config = digest_of(manifest.config()).map_err(damaged)?;
    let config = read_small(&disk.blob(&config), limits.document_bytes)?;
    Image::new(&manifest, bytes.len() as u64, &config, limits).map_err(damaged)
}

/// The id of an image; `None` where it is damaged, so that nobody can know it.
///
/// # Errors
/// It cannot be read now: whether it is in use cannot be told.
pub(crate) fn id(
    disk: &Disk,
    manifest: &Digest,
    limits: &Limits,
) -> Result<Option<Digest>, StoreError> {
    match read(disk, manifest, limits) {
        Ok(image) => Ok(Some(image.id)),
        Err(e) if e.is_damage() => Ok(None),
        Err(e) => Err(e),
    }
}

/// What a collection took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Blobs removed.
    pub blobs: usize,
    /// Unpacked layers removed.
    pub layers: usize,
    /// Bytes of the blobs. What unpacked layers took comes on top.
    pub bytes: u64,
}

/// Removes blobs and layers that no entry of the index leads to.
pub(crate) fn collect(
    disk: &Disk,
    lock: &Lock,
    index: &Index,
    limits: &Limits,
) -> Result<Freed, StoreError> {
    let mut keep = Keep::default();
    for descriptor in index.descriptors() {
        keep.add(disk, descriptor, limits, 0)?;
    }
    let mut freed = Freed::default();
    let layers = disk.layers();
    for entry in fs::read_dir(&layers).at("read", &layers)? {
        let name = entry.at("read", &layers)?.file_name();
        let name = name.to_string_lossy();
        if Digest::from_hex(&name).is_some_and(|chain| !keep.layers.contains(&chain)) {
            disk.remove_layer(lock, &name)?;
            freed.layers += 1;
        }
    }
    let blobs = disk.blobs();
    for entry in fs::read_dir(&blobs).at("read", &blobs)? {
        let entry = entry.at("read", &blobs)?;
        let name = entry.file_name();
        if Digest::from_hex(&name.to_string_lossy()).is_some_and(|blob| !keep.blobs.contains(&blob))
        {
            let path = entry.path();
            freed.bytes += entry.metadata().at("look at", &path)?.len();
            fs::remove_file(&path).at("remove", &path)?;
            freed.blobs += 1;
        }
    }
    Ok(freed)
}

/// What is still referred to.
#[derive(Default)]
struct Keep {
    blobs: BTreeSet<Digest>,
    layers: BTreeSet<Digest>,
}

impl Keep {
    /// Anything that cannot be read is an error: what it leads to must not be taken for rubbish.
    fn add(
        &mut self,
        disk: &Disk,
        descriptor: &Descriptor,
        limits: &Limits,
        depth: usize,
    ) -> Result<(), StoreError> {
        let Ok(digest) = digest_of(descriptor) else {
            return Ok(());
        };
        let path = disk.blob(&digest);
        if depth > 4 || !self.blobs.insert(digest) {
            return Ok(());
        }
        let damaged = |problem| StoreError::Damaged {
            path: path.clone(),
            problem,
        };
        match manifest::kind_of(descriptor) {
            DocumentKind::Other => {}
            DocumentKind::Index => {
                let bytes = read_small(&path, limits.document_bytes)?;
                let index = manifest::read_index(&bytes, None).map_err(damaged)?;
                for below in index.manifests() {
                    self.add(disk, below, limits, depth + 1)?;
                }
            }
            DocumentKind::Manifest => {
                if !is_there(&path)? {
                    // An entry for another platform, whose manifest was never copied.
                    return Ok(());
                }
                let bytes = read_small(&path, limits.document_bytes)?;
                let document = manifest::read_manifest(&bytes, None).map_err(damaged)?;
                let parts = document.layers().iter().chain([document.config()]);
                self.blobs.extend(parts.filter_map(|d| digest_of(d).ok()));
                let config = disk.blob(&digest_of(document.config()).map_err(damaged)?);
                if !is_there(&config)? {
                    return Ok(());
                }
                let config = read_small(&config, limits.document_bytes)?;
                if let Ok(image) = Image::new(&document, 0, &config, limits) {
                    self.layers
                        .extend(image.layers.into_iter().map(|l| l.chain));
                }
            }
        }
        Ok(())
    }
}
