//! Takes names and images out of the store.

use crate::digest::{Digest, is_hex64};
use crate::disk::Disk;
use crate::failure::StoreError;
use crate::images::{self, Freed};
use crate::index::{Index, Row};
use crate::limits::Limits;
use crate::reference::{Reference, ReferenceError};
use pod_model::ids::ImageId;

/// Digits of an id that are enough to mean it.
const SHORTEST_ID: usize = 6;

/// Why an image was not removed. The store is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The store's own files failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is neither a name nor an id.
    #[error("couldn't parse image name {name:?}")]
    Name {
        /// As it was written.
        name: String,
        /// What is wrong.
        source: ReferenceError,
    },
    /// It is not there.
    #[error("image {name:?} is not in the store; see `podwright image ls`")]
    NotFound {
        /// As it was written.
        name: String,
    },
    /// The beginning of an id fits several images.
    #[error("{name:?} is the beginning of several image ids: {}; write more digits", ids.join(", "))]
    Ambiguous {
        /// As it was written.
        name: String,
        /// Those that it fits.
        ids: Vec<String>,
    },
    /// Containers use it.
    #[error(
        "image {name:?} ({id}) is in use; delete the pods that use it first (`podwright get pods -A`)"
    )]
    InUse {
        /// As it was written.
        name: String,
        /// Digest of its config.
        id: String,
    },
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that are gone.
    pub names: Vec<Reference>,
    /// Images that are gone, by id.
    pub images: Vec<Digest>,
    /// What that freed.
    pub freed: Freed,
}

/// An entry with the id of its image, unless that is damaged.
struct Known {
    row: Row,
    id: Option<Digest>,
}

/// Removes a name, or an image with all its names if `text` is an id or the beginning of one.
pub(crate) fn remove(
    disk: &Disk,
    limits: &Limits,
    text: &str,
    in_use: &[ImageId],
) -> Result<Removed, RemoveError> {
    let lock = disk.lock(&mut || {})?;
    disk.sweep()?;
    let mut index = Index::load(disk)?;
    let known = known(disk, limits, &index)?;
    let doomed = find(&known, text)?;
    let stays = |k: &Known| !doomed.contains(&k.row);
    let mut removed = Removed::default();
    for gone in known.iter().filter(|k| !stays(k)) {
        let still_named = known
            .iter()
            .any(|other| stays(other) && other.row.digest == gone.row.digest);
        removed.names.extend(gone.row.name.clone());
        let Some(id) = gone.id.as_ref().filter(|_| !still_named) else {
            continue;
        };
        // Another manifest of the same config has the same layers.
        let elsewhere = known.iter().any(|k| stays(k) && k.id.as_ref() == Some(id));
        if !elsewhere && in_use.iter().any(|used| *used == *id.as_str()) {
            return Err(RemoveError::InUse {
                name: text.to_owned(),
                id: id.to_string(),
            });
        }
        if !removed.images.contains(id) {
            removed.images.push(id.clone());
        }
    }
    index.remove(|row| doomed.contains(row));
    index.store(disk, &lock)?;
    removed.freed = images::collect(disk, &lock, &index, limits)?;
    disk.keep_reserve();
    Ok(removed)
}

/// Every entry.
fn known(disk: &Disk, limits: &Limits, index: &Index) -> Result<Vec<Known>, StoreError> {
    let rows = index.rows().into_iter();
    let known = rows.map(|row| {
        let id = images::id(disk, &row.digest, limits)?;
        Ok(Known { row, id })
    });
    known.collect()
}

/// Removes every image that has lost its name to another and is not in use.
pub(crate) fn prune(
    disk: &Disk,
    limits: &Limits,
    in_use: &[ImageId],
) -> Result<Removed, RemoveError> {
    let lock = disk.lock(&mut || {})?;
    disk.sweep()?;
    let mut index = Index::load(disk)?;
    let used = |id: &Digest| in_use.iter().any(|used| *used == *id.as_str());
    let mut doomed = known(disk, limits, &index)?;
    doomed.retain(|k| k.row.name.is_none() && !k.id.as_ref().is_some_and(used));
    if !doomed.is_empty() {
        index.remove(|row| doomed.iter().any(|k| k.row == *row));
        index.store(disk, &lock)?;
    }
    let mut removed = Removed {
        images: doomed.into_iter().filter_map(|k| k.id).collect(),
        ..Removed::default()
    };
    removed.freed = images::collect(disk, &lock, &index, limits)?;
    disk.keep_reserve();
    Ok(removed)
}

/// The entries that a text means: a whole id, a name, or the beginning of an id, tried in this order.
fn find(known: &[Known], text: &str) -> Result<Vec<Row>, RemoveError> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let of = |keep: &dyn Fn(&Known) -> bool| -> Vec<Row> {
        let kept = known.iter().filter(|k| keep(k));
        kept.map(|k| k.row.clone()).collect()
    };
    if is_hex64(digits) {
        let fits = |d: &Digest| d.hex() == digits;
        let found = of(&|k| k.id.as_ref().is_some_and(fits) || fits(&k.row.digest));
        return some(found, text);
    }
    let parsed = Reference::parse(text);
    if let Ok(reference) = &parsed {
        let found = of(&|k| k.row.answers_to(reference));
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && digits.len() >= SHORTEST_ID {
        let begins = |k: &Known| k.id.as_ref().is_some_and(|id| id.hex().starts_with(digits));
        let mut ids: Vec<String> = known
            .iter()
            .filter(|k| begins(k))
            .filter_map(|k| k.id.as_ref().map(ToString::to_string))
            .collect();
        ids.sort();
        ids.dedup();
        if ids.len() > 1 {
            let name = text.to_owned();
            return Err(RemoveError::Ambiguous { name, ids });
        }
        return some(of(&begins), text);
    }
    match parsed {
        Ok(_) => some(Vec::new(), text),
        Err(source) => Err(RemoveError::Name {
            name: text.to_owned(),
            source,
        }),
    }
}

fn some(found: Vec<Row>, text: &str) -> Result<Vec<Row>, RemoveError> {
    match found.is_empty() {
        true => Err(RemoveError::NotFound {
            name: text.to_owned(),
        }),
        false => Ok(found),
    }
}
