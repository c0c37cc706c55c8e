//! The image store as its users see it: one object over one folder, to be shared between threads.

use crate::digest::{Digest, is_hex64};
use crate::disk::{Disk, Stamp};
use crate::facts;
use crate::failure::StoreError;
use crate::images::{self, Freed};
use crate::import::{self, ImportError, ImportOptions, Imported, Origin};
use crate::index::{Index, Row};
use crate::limits::Limits;
use crate::progress::OnProgress;
use crate::reference::{Reference, ReferenceError};
use crate::remove::{self, RemoveError, Removed};
use crate::source::SourceError;
use pod_model::config::ImageFacts;
use pod_model::ids::{ImageId, ImageName};
use std::collections::HashMap;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Images on disk. All methods block; none of them may be called from a task that others wait for, except [`Store::facts`]
/// of a name that was looked up before, which is one stat(2).
#[derive(Debug)]
pub struct Store {
    disk: Disk,
    limits: Limits,
    seen: Mutex<Seen>,
}

/// What was read already.
#[derive(Debug, Default)]
struct Seen {
    /// The index as it was at that stamp.
    index: Option<(Stamp, Arc<Vec<Row>>)>,
    /// Facts and size by digest of the manifest. They never change; they go when the index changes, for a layer may be gone.
    facts: HashMap<Digest, (Arc<ImageFacts>, u64)>,
}

/// An image that was found by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What a container needs of it.
    pub facts: Arc<ImageFacts>,
    /// Bytes of its blobs.
    pub size: u64,
    /// Digest of its manifest.
    pub digest: Digest,
}

/// One line of the list of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// `None` for an image whose name now means another one.
    pub name: Option<Reference>,
    /// Digest of its config.
    pub id: Digest,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes of its blobs.
    pub size: u64,
    /// When it was built, as its config says (RFC 3339); not checked.
    pub created: Option<String>,
    /// How many layers it has.
    pub layers: usize,
}

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The text is no image name.
    #[error("couldn't parse image name {name:?}")]
    Name {
        /// As it was written.
        name: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// No image of that name was imported.
    #[error(
        "image {name:?} is not in the store; import it with: podwright image import PATH --name {name}"
    )]
    NotFound {
        /// As it was written.
        name: String,
    },
    /// It is there, but cannot be read.
    #[error("image {name:?} cannot be used")]
    Store {
        /// As it was written.
        name: String,
        /// Why.
        source: StoreError,
    },
}

impl Store {
    /// Opens the store under `root`, and makes it where it is missing: `root/images` and `root/layers`, both 0700.
    /// What a killed process left half made is removed.
    ///
    /// # Errors
    /// A folder cannot be made or read, or the disk is full.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::with_limits(root, Limits::default())
    }

    /// As [`Store::open`], with other bounds for what an image may ask.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn with_limits(root: &Path, limits: Limits) -> Result<Self, StoreError> {
        Ok(Self {
            disk: Disk::open(root)?,
            limits,
            seen: Mutex::default(),
        })
    }

    /// Imports from `PATH` or `PATH:TAG`: an OCI layout folder, or a tar of one or a docker-archive, plain or compressed as a whole.
    /// The longest beginning of the text that exists is the path; a tag in `options` wins.
    ///
    /// # Errors
    /// See [`ImportError`]; the store is as it was.
    pub fn import_path(
        &self,
        path_and_tag: &Path,
        options: &ImportOptions,
        progress: OnProgress<'_>,
    ) -> Result<Imported, ImportError> {
        let mut options = options.clone();
        let Some((path, tag)) = split_tag(path_and_tag) else {
            let path = path_and_tag.to_owned();
            return Err(ImportError::Source {
                from: path.display().to_string(),
                source: SourceError::NotFound { path },
            });
        };
        options.tag = options.tag.or(tag);
        let from = Origin::Path(path);
        import::import(&self.disk, &self.limits, from, &options, progress)
    }

    /// Imports an archive from a stream, such as standard input.
    ///
    /// # Errors
    /// See [`ImportError`]; the store is as it was.
    pub fn import_stream(
        &self,
        stream: &mut dyn Read,
        options: &ImportOptions,
        progress: OnProgress<'_>,
    ) -> Result<Imported, ImportError> {
        let from = Origin::Stream(stream);
        import::import(&self.disk, &self.limits, from, options, progress)
    }

    /// What the name stands for. An id (`sha256:` and 64 digits, or the digits alone) is taken as well.
    ///
    /// # Errors
    /// See [`FactsError`].
    pub fn facts(&self, name: &ImageName) -> Result<Found, FactsError> {
        let text = name.as_str();
        let store = |source| FactsError::Store {
            name: text.to_owned(),
            source,
        };
        let not_found = || FactsError::NotFound {
            name: text.to_owned(),
        };
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let digest = if is_hex64(digits) {
            let rows = self.rows().map_err(store)?;
            let mut found = None;
            for row in rows.iter() {
                match self.facts_of(&row.digest) {
                    Ok((facts, _)) if facts.id.as_str().strip_prefix("sha256:") == Some(digits) => {
                        found = Some(row.digest.clone());
                        break;
                    }
                    Ok(_) => {}
                    Err(e) if e.is_damage() => {}
                    Err(e) => return Err(store(e)),
                }
            }
            found.ok_or_else(not_found)?
        } else {
            let wanted = Reference::parse(text).map_err(|source| FactsError::Name {
                name: text.to_owned(),
                source,
            })?;
            let rows = self.rows().map_err(store)?;
            let row = rows.iter().find(|row| row.answers_to(&wanted));
            row.map(|row| row.digest.clone()).ok_or_else(not_found)?
        };
        let (facts, size) = self.facts_of(&digest).map_err(store)?;
        Ok(Found {
            facts,
            size,
            digest,
        })
    }

    /// All images, sorted by name; those without a name last.
    ///
    /// # Errors
    /// The index or an image of it cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        for row in self.rows()?.iter() {
            let image = images::read(&self.disk, &row.digest, &self.limits);
            let image = image.map_err(|e| name_damage(e, row))?;
            listed.push(Listed {
                name: row.name.clone(),
                id: image.id,
                digest: row.digest.clone(),
                size: image.size,
                created: image.config.created().clone(),
                layers: image.layers.len(),
            });
        }
        listed.sort_by(|a, b| {
            let key = |l: &Listed| (l.name.is_none(), l.name.clone(), l.id.clone());
            key(a).cmp(&key(b))
        });
        Ok(listed)
    }

    /// Removes a name, or, by id or the first six or more digits of one, an image with all its names.
    /// Blobs and layers that nothing refers to any more go too. It works on a full disk.
    ///
    /// # Errors
    /// See [`RemoveError`]. With the last name of an image whose id is in `in_use`, nothing is removed.
    pub fn remove(&self, name_or_id: &str, in_use: &[ImageId]) -> Result<Removed, RemoveError> {
        remove::remove(&self.disk, &self.limits, name_or_id, in_use)
    }

    /// Removes all images without a name that are not in use, and all blobs and layers that nothing refers to.
    ///
    /// # Errors
    /// See [`RemoveError`].
    pub fn prune(&self, in_use: &[ImageId]) -> Result<Removed, RemoveError> {
        remove::prune(&self.disk, &self.limits, in_use)
    }

    /// Removes blobs and layers that nothing refers to, such as those of an import that was killed.
    ///
    /// # Errors
    /// A file cannot be read or removed.
    pub fn collect(&self) -> Result<Freed, StoreError> {
        let lock = self.disk.lock(&mut || {})?;
        self.disk.sweep()?;
        let index = Index::load(&self.disk)?;
        images::collect(&self.disk, &lock, &index, &self.limits)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A cache that a panicking thread left behind is still a cache.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> Result<Arc<Vec<Row>>, StoreError> {
        let stamp = self.disk.index_stamp()?;
        if let Some((known, rows)) = &self.seen().index
            && *known == stamp
        {
            return Ok(Arc::clone(rows));
        }
        // The stamp is from before: if the index is replaced meanwhile, the next look reads it again.
        let rows = Arc::new(Index::load(&self.disk)?.rows());
        let mut seen = self.seen();
        seen.facts.clear();
        seen.index = Some((stamp, Arc::clone(&rows)));
        Ok(rows)
    }

    fn facts_of(&self, digest: &Digest) -> Result<(Arc<ImageFacts>, u64), StoreError> {
        if let Some((facts, size)) = self.seen().facts.get(digest) {
            return Ok((Arc::clone(facts), *size));
        }
        let (facts, size) = facts::read(&self.disk, digest, &self.limits)?;
        let facts = Arc::new(facts);
        let known = (Arc::clone(&facts), size);
        self.seen().facts.insert(digest.clone(), known);
        Ok((facts, size))
    }
}

/// A list that cannot be made must say which image is in the way.
fn name_damage(error: StoreError, row: &Row) -> StoreError {
    match error {
        StoreError::Damaged { path, problem } => {
            let name = row.name.as_ref().map(Reference::familiar);
            let name = name.unwrap_or_else(|| row.digest.to_string());
            let problem = format!("{problem} (image {name})");
            StoreError::Damaged { path, problem }
        }
        other => other,
    }
}

/// Splits `PATH[:TAG]` where a beginning of it exists; the longest wins.
fn split_tag(text: &Path) -> Option<(PathBuf, Option<String>)> {
    if text.exists() {
        return Some((text.to_owned(), None));
    }
    let bytes = text.as_os_str().as_bytes();
    let colons = (0..bytes.len())
        .rev()
        .filter(|n| bytes.get(*n) == Some(&b':'));
    for colon in colons {
        let path = Path::new(crate::dirs::os(bytes.get(..colon)?));
        let tag = std::str::from_utf8(bytes.get(colon + 1..)?).ok()?;
        if path.exists() && !tag.is_empty() {
            return Some((path.to_owned(), Some(tag.to_owned())));
        }
    }
    None
}
