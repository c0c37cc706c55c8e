//! Brings an image into the store: choose it in its source, verify and place its blobs, unpack its layers, write its names down.
//!
//! Nothing is visible before the last step, which replaces the index. A process that is killed before leaves blobs, layers that are whole,
//! and temporary files, all of which the next holder of the lock can use or remove.

use crate::choose::{self, ChooseError, Chosen};
use crate::digest::{Digest, Hashing};
use crate::disk::{Disk, Lock, sync_folder_of, sync_tree};
use crate::failure::{At, StoreError};
use crate::images;
use crate::index::Index;
use crate::layer::{LayerError, unpack_blob};
use crate::limits::Limits;
use crate::manifest::{self, Image, Layer};
use crate::merged::Stack;
use crate::progress::{OnProgress, Phase, Reporter};
use crate::reference::Reference;
use crate::source::{Source, SourceError};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What to import, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Which image, where the source holds several: a tag or a name in it.
    pub tag: Option<String>,
    /// Name for the image; wins over those that the source gives it.
    pub name: Option<Reference>,
}

/// An image that is in the store now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Digest of its config.
    pub id: Digest,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Every name that this import gave it.
    pub names: Vec<Reference>,
    /// Bytes of its blobs.
    pub size: u64,
    /// Layers that were unpacked now; the others were there.
    pub unpacked: usize,
    /// Layers that it has.
    pub layers: usize,
}

/// Why an image was not imported. The store is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store's own files failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source cannot be read.
    #[error("cannot import {from}")]
    Source {
        /// What was to be imported.
        from: String,
        /// Why.
        source: SourceError,
    },
    /// The source does not say which image is meant.
    #[error("cannot import {from}")]
    Choose {
        /// What was to be imported.
        from: String,
        /// Why.
        source: ChooseError,
    },
    /// A part of the image is missing, or is not what the image says.
    #[error("cannot import {from}: {what} is damaged: {problem}; make or copy the image again")]
    Damaged {
        /// What was to be imported.
        from: String,
        /// Which part.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The image is whole, but cannot run here.
    #[error("cannot import {from}: {problem}; this node is {node}")]
    Unfit {
        /// What was to be imported.
        from: String,
        /// What is in the way.
        problem: String,
        /// Platform of this node.
        node: String,
    },
    /// A layer cannot be unpacked.
    #[error("cannot import {from}: layer {number} of {of} ({digest})")]
    Layer {
        /// What was to be imported.
        from: String,
        /// Counted from 1, lowest first.
        number: usize,
        /// How many there are.
        of: usize,
        /// Of its blob.
        digest: Digest,
        /// Why.
        source: LayerError,
    },
}

/// Where the image comes from.
pub(crate) enum Origin<'a> {
    Path(PathBuf),
    Stream(&'a mut dyn Read),
}

impl Origin<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Stream(_) => "the image".into(),
        }
    }
}

/// Imports one image.
pub(crate) fn import(
    disk: &Disk,
    limits: &Limits,
    from: Origin<'_>,
    options: &ImportOptions,
    on_progress: OnProgress<'_>,
) -> Result<Imported, ImportError> {
    let mut reporter = Reporter::new(on_progress);
    let lock = disk.lock(&mut || reporter.begin(Phase::Waiting, None))?;
    disk.sweep()?;
    disk.keep_reserve();
    let work = Work {
        disk,
        lock: &lock,
        limits,
        shown: from.shown(),
    };
    let done = work.run(from, options, &mut reporter);
    if done.is_err()
        && let Ok(index) = Index::load(disk)
    {
        // What was placed before the failure is of no use. If this fails too, the next collection does it.
        let _ = images::collect(disk, &lock, &index, limits);
    }
    done
}

/// What every step of one import needs.
struct Work<'a> {
    disk: &'a Disk,
    lock: &'a Lock,
    limits: &'a Limits,
    shown: String,
}

impl Work<'_> {
    fn run(
        &self,
        from: Origin<'_>,
        options: &ImportOptions,
        reporter: &mut Reporter<'_>,
    ) -> Result<Imported, ImportError> {
        let (disk, lock, limits) = (self.disk, self.lock, self.limits);
        reporter.begin(Phase::Reading, None);
        let source = match from {
            Origin::Path(path) => Source::from_path(disk, lock, &path, limits, &mut |n, total| {
                reporter.at(n, total)
            }),
            Origin::Stream(stream) => {
                Source::from_stream(disk, lock, stream, limits, &mut |n| reporter.at(n, None))
            }
        };
        let source = source.map_err(|e| self.source(e))?;
        let choose = |source| ImportError::Choose {
            from: self.shown.clone(),
            source,
        };
        let chosen = choose::choose(&source, options.tag.as_deref(), limits).map_err(choose)?;
        let names = match &options.name {
            Some(name) => vec![name.stored_name()],
            None => chosen.names().map_err(choose)?,
        };
        let image = self.image(&chosen)?;
        self.check_promise(options.name.as_ref(), &chosen)?;
        self.place(&source, &chosen, &image, reporter)?;
        let unpacked = self.unpack(&image, reporter)?;
        reporter.begin(Phase::Finishing, None);
        let mut index = Index::load(disk)?;
        let before = index.rows();
        index.add(
            chosen.descriptor.clone(),
            &names,
            chosen.picked_from.as_ref(),
        );
        if index.rows() != before {
            index.store(disk, lock)?;
        }
        Ok(Imported {
            id: image.id,
            digest: chosen.digest,
            names,
            size: image.size,
            unpacked,
            layers: image.layers.len(),
        })
    }

    fn source(&self, source: SourceError) -> ImportError {
        match source {
            SourceError::Store(e) => e.into(),
            source => ImportError::Source {
                from: self.shown.clone(),
                source,
            },
        }
    }

    fn damaged(&self, what: &str, problem: impl Into<String>) -> ImportError {
        ImportError::Damaged {
            from: self.shown.clone(),
            what: what.to_owned(),
            problem: problem.into(),
        }
    }

    fn unfit(&self, problem: String) -> ImportError {
        ImportError::Unfit {
            from: self.shown.clone(),
            problem,
            node: manifest::this_platform(),
        }
    }

    fn image(&self, chosen: &Chosen) -> Result<Image, ImportError> {
        let manifest =
            manifest::read_manifest(&chosen.manifest, Some(chosen.descriptor.media_type()))
                .map_err(|e| self.damaged("its manifest", e))?;
        let size = chosen.manifest.len() as u64;
        let image =
            Image::new(&manifest, size, &chosen.config, self.limits).map_err(|e| self.unfit(e))?;
        image.check_platform().map_err(|e| self.unfit(e))?;
        Ok(image)
    }

    /// A name with a digest is a promise about the content.
    fn check_promise(&self, name: Option<&Reference>, chosen: &Chosen) -> Result<(), ImportError> {
        let Some(promised) = name.and_then(Reference::digest) else {
            return Ok(());
        };
        if chosen.digest == *promised || chosen.picked_from.as_ref() == Some(promised) {
            return Ok(());
        }
        Err(self.unfit(format!(
            "the image has the digest {}, not the {promised} of the name that it shall have",
            chosen.digest
        )))
    }

    /// Verifies every blob and puts it in its place; the manifest last.
    fn place(
        &self,
        source: &Source,
        chosen: &Chosen,
        image: &Image,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), ImportError> {
        let total = image.layers.iter().map(|l| l.size).sum();
        reporter.begin(Phase::Verifying, Some(total));
        let mut done = 0;
        for (layer, file) in image.layers.iter().zip(&chosen.layer_files) {
            self.place_layer(source, layer, file, &mut |n| {
                reporter.at(done + n, Some(total))
            })?;
            done += layer.size;
        }
        for (digest, bytes) in [
            (&image.id, &chosen.config),
            (&chosen.digest, &chosen.manifest),
        ] {
            if !self.has_blob(digest, bytes.len() as u64) {
                let blobs = self.disk.blobs();
                self.disk.write(self.lock, &blobs, digest.hex(), bytes)?;
            }
        }
        Ok(())
    }

    fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        // A blob gets its name only when it is whole and verified.
        fs::metadata(self.disk.blob(digest)).is_ok_and(|m| m.is_file() && m.len() == size)
    }

    fn place_layer(
        &self,
        source: &Source,
        layer: &Layer,
        file: &str,
        seen: &mut dyn FnMut(u64),
    ) -> Result<(), ImportError> {
        let place = self.disk.blob(&layer.blob);
        let what = format!("layer {}", layer.blob);
        let check = |digest: &Digest, size: u64| {
            if size != layer.size {
                let wanted = layer.size;
                return Err(self.damaged(&what, format!("it is {size} bytes long, not {wanted}")));
            }
            if *digest != layer.blob {
                return Err(self.damaged(&what, format!("its digest is {digest}")));
            }
            Ok(())
        };
        if self.has_blob(&layer.blob, layer.size) {
            return Ok(());
        }
        if let Some(spooled) = source.spooled(file) {
            check(&spooled.digest, spooled.size)?;
            let open = fs::File::open(&spooled.path).at("open", &spooled.path)?;
            open.sync_all().at("write", &place)?;
            fs::rename(&spooled.path, &place).at("write", &place)?;
            return Ok(sync_folder_of(&place)?);
        }
        let opened = source.open(file).map_err(|e| self.source(e))?;
        let Some((from, size)) = opened else {
            return Err(self.damaged(&what, "it is missing from the source"));
        };
        if size != layer.size {
            check(&layer.blob, size)?;
        }
        let mut temporary = self.disk.temporary_file(self.lock)?;
        let mut from = Hashing::new(from);
        self.copy(&mut from, temporary.as_file_mut(), file, &place, seen)?;
        let (digest, size, _) = from.finish();
        check(&digest, size)?;
        Ok(self.disk.put(temporary, &place)?)
    }

    /// Copies, telling a source that cannot be read from a store that cannot be written.
    fn copy(
        &self,
        from: &mut impl Read,
        to: &mut impl io::Write,
        file: &str,
        place: &Path,
        seen: &mut dyn FnMut(u64),
    ) -> Result<(), ImportError> {
        let mut buffer = vec![0; 128 << 10];
        let mut done = 0;
        loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    let path = PathBuf::from(file);
                    return Err(self.source(SourceError::Read { path, source }));
                }
            };
            to.write_all(buffer.get(..n).unwrap_or_default())
                .at("write", place)?;
            done += n as u64;
            seen(done);
        }
    }

    /// Unpacks the layers that are not unpacked yet, and gives them their names together once all is on disk.
    fn unpack(&self, image: &Image, reporter: &mut Reporter<'_>) -> Result<usize, ImportError> {
        let disk = self.disk;
        let missing = |layer: &&Layer| !disk.layer(&layer.chain).is_dir();
        let total: u64 = image.layers.iter().filter(missing).map(|l| l.size).sum();
        reporter.begin(Phase::Unpacking, Some(total));
        let layers = disk.layers();
        let work = disk.temporary(self.lock, &layers)?;
        let mut below = Stack::empty();
        let mut fresh: Vec<(PathBuf, PathBuf)> = Vec::new();
        let mut done = 0;
        for (number, layer) in (1..).zip(&image.layers) {
            let place = disk.layer(&layer.chain);
            let mut folder = place.clone();
            if missing(&layer) {
                folder = work.path().join(layer.chain.hex());
                let result = self.unpack_one(layer, &folder, &below, &mut |n| {
                    reporter.at(done + n, Some(total))
                });
                result.map_err(|e| self.layer_error(e, number, image, layer))?;
                done += layer.size;
                fresh.push((folder.clone(), place));
            }
            let root = crate::dirs::open_folder(&folder).at("open", &folder)?;
            below.push(root).at("look at", &folder)?;
        }
        if !fresh.is_empty() {
            reporter.begin(Phase::Finishing, None);
            sync_tree(work.path())?;
            for (folder, place) in &fresh {
                fs::rename(folder, place).at("name the layer", place)?;
            }
            sync_folder_of(&layers.join("."))?;
        }
        Ok(fresh.len())
    }

    fn unpack_one(
        &self,
        layer: &Layer,
        folder: &Path,
        below: &Stack,
        seen: &mut dyn FnMut(u64),
    ) -> Result<(), Failure> {
        fs::create_dir(folder).at("make the folder", folder)?;
        // What a root file system has unless its entry ./ says otherwise.
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder, mode).at("set the mode of", folder)?;
        let root = crate::dirs::open_folder(folder).at("open", folder)?;
        let path = self.disk.blob(&layer.blob);
        let blob = fs::File::open(&path).at("open", &path)?;
        unpack_blob(blob, &layer.diff_id, root, below, self.limits, seen)?;
        Ok(())
    }

    fn layer_error(
        &self,
        failure: Failure,
        number: usize,
        image: &Image,
        layer: &Layer,
    ) -> ImportError {
        match failure {
            Failure::Store(e) => e.into(),
            Failure::Layer(source) => match source.into_full_disk() {
                Ok(source) => StoreError::DiskFull {
                    step: "unpack a layer into",
                    path: self.disk.layers(),
                    source,
                }
                .into(),
                Err(source) => ImportError::Layer {
                    from: self.shown.clone(),
                    number,
                    of: image.layers.len(),
                    digest: layer.blob.clone(),
                    source,
                },
            },
        }
    }
}

/// What can fail while one layer is unpacked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Layer(#[from] LayerError),
}
