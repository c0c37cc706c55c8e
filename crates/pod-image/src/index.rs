//! The list of images: `index.json` of the layout, one entry a name.
//!
//! `org.opencontainers.image.ref.name` is the full name, so that `skopeo inspect oci:ROOT/images:docker.io/library/busybox:latest`
//! and `umoci unpack --image ROOT/images:docker.io/library/busybox:latest` find it. An image that lost its name to another keeps an entry
//! without one: its layers may be in use.

use crate::digest::Digest;
use crate::disk::{Disk, Lock, read_small};
use crate::failure::StoreError;
use crate::manifest;
use crate::reference::Reference;
use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, ImageIndex};
use std::collections::HashMap;

/// Full name, as containerd writes it.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Digest of the multi-platform index that the image was picked from: a name may be pinned to that one.
const PICKED_FROM: &str = "io.podwright.image.index-digest";
const MAX_BYTES: u64 = 64 << 20;

/// All entries.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    document: ImageIndex,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// `None` for an image whose name now means another one.
    pub name: Option<Reference>,
    /// Of the manifest.
    pub digest: Digest,
    pub manifest_size: u64,
    pub picked_from: Option<Digest>,
}

impl Row {
    /// Whether the name means this image.
    pub(crate) fn answers_to(&self, wanted: &Reference) -> bool {
        let Some(name) = &self.name else {
            return false;
        };
        match wanted.digest() {
            // As Docker has it: with a digest, the tag says nothing.
            Some(digest) => {
                name.same_repository(wanted)
                    && (self.digest == *digest || self.picked_from.as_ref() == Some(digest))
            }
            None => name == wanted,
        }
    }
}

impl Index {
    pub(crate) fn load(disk: &Disk) -> Result<Self, StoreError> {
        let path = disk.index();
        let bytes = read_small(&path, MAX_BYTES)?;
        match manifest::read_index(&bytes, None) {
            Ok(document) => Ok(Self { document }),
            Err(problem) => Err(StoreError::Damaged { path, problem }),
        }
    }

    pub(crate) fn store(&self, disk: &Disk, lock: &Lock) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(&self.document).map_err(|e| StoreError::Damaged {
            path: disk.index(),
            problem: e.to_string(),
        })?;
        disk.write_index(lock, &bytes)
    }

    /// Every image of this store. Entries that another program put here and that are no image manifests are left alone.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.document.manifests().iter().filter_map(row).collect()
    }

    /// All descriptors, whatever they are.
    pub(crate) fn descriptors(&self) -> &[Descriptor] {
        self.document.manifests()
    }

    /// Gives the image these names, taking them from whatever had them.
    pub(crate) fn add(
        &mut self,
        mut descriptor: Descriptor,
        names: &[Reference],
        picked_from: Option<&Digest>,
    ) {
        let digest = descriptor.digest().clone();
        let mut entries = self.document.manifests().clone();
        let mut lost: Vec<Descriptor> = Vec::new();
        entries.retain(|entry| {
            let named = row(entry).and_then(|r| r.name);
            let unnamed_self = named.is_none() && *entry.digest() == digest;
            let taken = named.is_some_and(|name| names.contains(&name));
            if taken && *entry.digest() != digest {
                lost.push(entry.clone());
            }
            !taken && !unnamed_self
        });
        for mut entry in lost {
            if !entries.iter().any(|e| e.digest() == entry.digest()) {
                entry.set_annotations(None);
                entries.push(entry);
            }
        }
        for name in names {
            let full = name.to_string();
            let mut annotations = HashMap::from([
                (ANNOTATION_REF_NAME.to_owned(), full.clone()),
                (CONTAINERD_NAME.to_owned(), full),
            ]);
            if let Some(from) = picked_from {
                annotations.insert(PICKED_FROM.to_owned(), from.to_string());
            }
            descriptor.set_annotations(Some(annotations));
            entries.push(descriptor.clone());
        }
        self.document.set_manifests(entries);
    }

    /// Drops the entries that `drop` picks.
    pub(crate) fn remove(&mut self, mut drop: impl FnMut(&Row) -> bool) {
        let mut entries = self.document.manifests().clone();
        entries.retain(|entry| !row(entry).is_some_and(|r| drop(&r)));
        self.document.set_manifests(entries);
    }
}

fn row(entry: &Descriptor) -> Option<Row> {
    if manifest::kind_of(entry) != manifest::DocumentKind::Manifest {
        return None;
    }
    let annotation = |key: &str| entry.annotations().as_ref()?.get(key);
    let name = annotation(CONTAINERD_NAME).or_else(|| annotation(ANNOTATION_REF_NAME));
    Some(Row {
        name: name.and_then(|n| Reference::parse(n).ok()),
        digest: manifest::digest_of(entry).ok()?,
        manifest_size: entry.size(),
        picked_from: annotation(PICKED_FROM).and_then(|d| Digest::parse(d).ok()),
    })
}
