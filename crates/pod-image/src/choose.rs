//! Chooses the one image that is meant among those that a source holds, and finds its names.

use crate::digest::Digest;
use crate::index::CONTAINERD_NAME;
use crate::layer::Compression;
use crate::limits::Limits;
use crate::manifest::{self, DocumentKind, digest_of};
use crate::reference::{Reference, ReferenceError};
use crate::source::{Source, SourceError};
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, ImageManifest, ImageManifestBuilder, MediaType, Sha256Digest,
};
use serde::Deserialize;
use std::io::Read;
use std::str::FromStr;

/// Indexes within indexes.
const MAX_NESTING: usize = 4;

/// Why no image of a source can be taken.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// Several images, and no tag was given.
    #[error("it holds several images; add one of their tags as PATH:TAG: {}", tags.join(", "))]
    Ambiguous {
        /// Those that it holds.
        tags: Vec<String>,
    },
    /// No image of that tag.
    #[error("it holds no image with the tag {tag:?}; it holds: {}", tags.join(", "))]
    NoSuchTag {
        /// The one that was wanted.
        tag: String,
        /// Those that it holds.
        tags: Vec<String>,
    },
    /// The image has no name.
    #[error("the image carries no name{}; give it one with --name, such as --name busybox", tag.as_ref().map(|t| format!(" (only the tag {t:?})")).unwrap_or_default())]
    NoName {
        /// A tag that is no name.
        tag: Option<String>,
    },
    /// The name that the source gives the image is none.
    #[error("the image calls itself {name:?}, which is no name; give it another with --name")]
    BadName {
        /// As the source has it.
        name: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// A document of the source is missing, or is not what it should be.
    #[error("{what} is damaged: {problem}; make or copy the image again")]
    Damaged {
        /// Which one.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No image for this node.
    #[error("{problem}; this node is {}", manifest::this_platform())]
    Platform {
        /// What there is instead.
        problem: String,
    },
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// One image of a source: its documents, verified, and where its layers are.
pub(crate) struct Chosen {
    labels: Vec<Label>,
    /// Of the manifest, as it will stand in the store's index.
    pub descriptor: Descriptor,
    pub digest: Digest,
    pub picked_from: Option<Digest>,
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    /// Names of the layers' files in the source, lowest first.
    pub layer_files: Vec<String>,
}

/// What a source calls an image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    /// Tag or name, as a user of the source would write it.
    short: Option<String>,
    /// Full name.
    full: Option<String>,
}

/// One image of a source that was not read yet.
struct Candidate {
    labels: Vec<Label>,
    what: What,
}

enum What {
    Oci(Box<Descriptor>),
    Docker(DockerEntry),
}

/// One entry of a docker-archive's `manifest.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Label {
    fn shown(&self) -> Option<&String> {
        self.full.as_ref().or(self.short.as_ref())
    }

    /// The tag may be written in any form that names this image.
    fn answers_to(&self, tag: &str) -> bool {
        let both = [self.short.as_deref(), self.full.as_deref()];
        let wanted = Reference::parse(tag).ok();
        both.into_iter().flatten().any(|label| {
            let parsed = Reference::parse(label).ok();
            label == tag
                || (parsed.is_some() && parsed == wanted)
                || (label.contains(':') && parsed.is_some_and(|p| p.tag() == Some(tag)))
        })
    }

    fn name(&self) -> Result<Reference, ChooseError> {
        let parse = |name: &String| {
            Reference::parse(name).map_err(|source| ChooseError::BadName {
                name: name.clone(),
                source,
            })
        };
        match (&self.full, &self.short) {
            (Some(full), _) => parse(full),
            (None, Some(short)) if !is_version(short) => parse(short),
            (None, short) => Err(ChooseError::NoName { tag: short.clone() }),
        }
    }
}

/// Whether a lone word is a tag rather than the name of an image.
fn is_version(word: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let lone = !word.contains(['/', ':', '@']);
    lone && (word == "latest" || digit(word) || word.strip_prefix('v').is_some_and(digit))
}

impl Chosen {
    /// The names that the source gives it.
    pub(crate) fn names(&self) -> Result<Vec<Reference>, ChooseError> {
        let mut names = Vec::new();
        for label in &self.labels {
            let name = label.name()?.stored_name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(ChooseError::NoName { tag: None });
        }
        Ok(names)
    }
}

/// Finds the image that is meant.
pub(crate) fn choose(
    source: &Source,
    tag: Option<&str>,
    limits: &Limits,
) -> Result<Chosen, ChooseError> {
    let docker = match source.has("manifest.json") {
        true => docker_entries(source, limits)?,
        false => Vec::new(),
    };
    // The newer form of docker save is both; its OCI part says more.
    let candidates = match source.has("index.json") {
        true => oci_candidates(source, limits, &docker)?,
        false => docker.into_iter().map(docker_candidate).collect(),
    };
    let candidate = select(candidates, tag)?;
    match candidate.what {
        What::Oci(descriptor) => read_oci(source, candidate.labels, *descriptor, limits),
        What::Docker(entry) => read_docker(source, candidate.labels, &entry, limits),
    }
}

fn select(mut candidates: Vec<Candidate>, tag: Option<&str>) -> Result<Candidate, ChooseError> {
    let tags: Vec<String> = candidates
        .iter()
        .flat_map(|c| c.labels.iter().filter_map(Label::shown).cloned())
        .collect();
    if let Some(tag) = tag {
        for candidate in &mut candidates {
            candidate.labels.retain(|label| label.answers_to(tag));
        }
        candidates.retain(|c| !c.labels.is_empty());
        if candidates.is_empty() {
            let tag = tag.to_owned();
            return Err(ChooseError::NoSuchTag { tag, tags });
        }
    }
    if candidates.len() > 1 {
        // A layout may list one image for several platforms without an index around them.
        let ours = |c: &Candidate| match &c.what {
            What::Oci(d) => d.platform().as_ref().is_some_and(manifest::is_ours),
            What::Docker(_) => false,
        };
        if candidates.iter().filter(|c| ours(c)).count() == 1 && all_of_one_name(&candidates) {
            candidates.retain(ours);
        }
    }
    if candidates.len() > 1 {
        return Err(ChooseError::Ambiguous { tags });
    }
    candidates.pop().ok_or_else(|| ChooseError::Damaged {
        what: "its list of images".into(),
        problem: "it holds no image".into(),
    })
}

fn all_of_one_name(candidates: &[Candidate]) -> bool {
    let mut labels = candidates.iter().map(|c| &c.labels);
    let first = labels.next();
    labels.all(|other| Some(other) == first)
}

fn damaged(what: &str, problem: impl Into<String>) -> ChooseError {
    ChooseError::Damaged {
        what: what.to_owned(),
        problem: problem.into(),
    }
}

fn oci_candidates(
    source: &Source,
    limits: &Limits,
    docker: &[DockerEntry],
) -> Result<Vec<Candidate>, ChooseError> {
    let bytes = source
        .read("index.json", limits.document_bytes)?
        .unwrap_or_default();
    let index = manifest::read_index(&bytes, None).map_err(|e| damaged("index.json", e))?;
    let mut candidates: Vec<Candidate> = Vec::new();
    let images = index
        .manifests()
        .iter()
        .filter(|d| manifest::kind_of(d) != DocumentKind::Other);
    for descriptor in images {
        let annotation = |key: &str| descriptor.annotations().as_ref()?.get(key).cloned();
        let label = Label {
            short: annotation(ANNOTATION_REF_NAME),
            full: annotation(CONTAINERD_NAME),
        };
        let same = |c: &&mut Candidate| matches!(&c.what, What::Oci(d) if d.digest() == descriptor.digest());
        let label = label.shown().is_some().then_some(label);
        match candidates.iter_mut().find(same) {
            Some(known) => known.labels.extend(label),
            None => candidates.push(Candidate {
                labels: label.into_iter().collect(),
                what: What::Oci(Box::new(descriptor.clone())),
            }),
        }
    }
    // Some writers of the double form name the image only in manifest.json.
    if let ([only], [entry]) = (candidates.as_mut_slice(), docker)
        && only.labels.iter().all(|label| label.full.is_none())
    {
        let named = docker_candidate(entry.clone()).labels;
        if !named.is_empty() {
            only.labels = named;
        }
    }
    Ok(candidates)
}

fn docker_entries(source: &Source, limits: &Limits) -> Result<Vec<DockerEntry>, ChooseError> {
    let bytes = source
        .read("manifest.json", limits.document_bytes)?
        .unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|e| damaged("manifest.json", e.to_string()))
}

fn docker_candidate(entry: DockerEntry) -> Candidate {
    let tags = entry.repo_tags.clone().unwrap_or_default();
    Candidate {
        labels: tags
            .into_iter()
            .map(|tag| Label {
                short: None,
                full: Some(tag),
            })
            .collect(),
        what: What::Docker(entry),
    }
}

fn blob_file(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Reads a document of a layout, and checks it against what refers to it.
fn read_document(
    source: &Source,
    descriptor: &Descriptor,
    what: &str,
    limits: &Limits,
) -> Result<(Digest, Vec<u8>), ChooseError> {
    let digest = digest_of(descriptor).map_err(|e| damaged(what, e))?;
    let Some(bytes) = source.read(&blob_file(&digest), limits.document_bytes)? else {
        return Err(damaged(
            what,
            format!("{digest} is missing from the source"),
        ));
    };
    if bytes.len() as u64 != descriptor.size() {
        let (is, wanted) = (bytes.len(), descriptor.size());
        return Err(damaged(
            what,
            format!("{digest} is {is} bytes long, not {wanted}"),
        ));
    }
    let found = Digest::of(&bytes);
    if found != digest {
        return Err(damaged(what, format!("{digest} has the digest {found}")));
    }
    Ok((digest, bytes))
}

fn read_oci(
    source: &Source,
    labels: Vec<Label>,
    mut descriptor: Descriptor,
    limits: &Limits,
) -> Result<Chosen, ChooseError> {
    let mut picked_from = None;
    for _ in 0..MAX_NESTING {
        if manifest::kind_of(&descriptor) != DocumentKind::Index {
            break;
        }
        let (digest, bytes) = read_document(source, &descriptor, "its index", limits)?;
        let index = manifest::read_index(&bytes, Some(descriptor.media_type()))
            .map_err(|e| damaged("its index", e))?;
        let picked = manifest::pick(&index).map_err(|problem| ChooseError::Platform { problem })?;
        descriptor = picked.clone();
        picked_from = picked_from.or(Some(digest));
    }
    if manifest::kind_of(&descriptor) != DocumentKind::Manifest {
        return Err(damaged("its index", "it leads to no image"));
    }
    let (digest, bytes) = read_document(source, &descriptor, "its manifest", limits)?;
    let parsed = manifest::read_manifest(&bytes, Some(descriptor.media_type()))
        .map_err(|e| damaged("its manifest", e))?;
    let (_, config) = read_document(source, parsed.config(), "its config", limits)?;
    let layer_files = parsed
        .layers()
        .iter()
        .map(|layer| Ok(blob_file(&digest_of(layer)?)))
        .collect::<Result<_, String>>()
        .map_err(|e| damaged("its manifest", e))?;
    let mut own = Descriptor::new(
        descriptor.media_type().clone(),
        descriptor.size(),
        descriptor.digest().clone(),
    );
    own.set_platform(descriptor.platform().clone());
    Ok(Chosen {
        labels,
        descriptor: own,
        digest,
        picked_from,
        manifest: bytes,
        config,
        layer_files,
    })
}

/// A docker-archive has no OCI manifest; one is made for it. Its layers and config stay as they are, and so does its id.
fn read_docker(
    source: &Source,
    labels: Vec<Label>,
    entry: &DockerEntry,
    limits: &Limits,
) -> Result<Chosen, ChooseError> {
    let Some(config) = source.read(&entry.config, limits.document_bytes)? else {
        let problem = format!("it refers to {:?}, which is missing", entry.config);
        return Err(damaged("manifest.json", problem));
    };
    let mut layers = Vec::new();
    for file in &entry.layers {
        let missing = || {
            damaged(
                "manifest.json",
                format!(
                    "it refers to {file:?}, which is missing: the archive may have been cut off"
                ),
            )
        };
        let spooled = source.spooled(file).ok_or_else(missing)?;
        let (digest, size) = (spooled.digest.clone(), spooled.size);
        let (opened, _) = source.open(file)?.ok_or_else(missing)?;
        let mut start = Vec::new();
        opened
            .take(6)
            .read_to_end(&mut start)
            .map_err(|source| SourceError::Read {
                path: file.into(),
                source,
            })?;
        let media_type = match Compression::of(&start) {
            Compression::Gzip => MediaType::ImageLayerGzip,
            Compression::Zstd => MediaType::ImageLayerZstd,
            _ => MediaType::ImageLayer,
        };
        layers.push(descriptor(media_type, size, &digest)?);
    }
    let config_digest = Digest::of(&config);
    let config_size = config.len() as u64;
    let manifest: ImageManifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(
            MediaType::ImageConfig,
            config_size,
            &config_digest,
        )?)
        .layers(layers)
        .build()
        .map_err(|e| damaged("manifest.json", e.to_string()))?;
    let bytes =
        serde_json::to_vec(&manifest).map_err(|e| damaged("manifest.json", e.to_string()))?;
    let digest = Digest::of(&bytes);
    Ok(Chosen {
        labels,
        descriptor: descriptor(MediaType::ImageManifest, bytes.len() as u64, &digest)?,
        digest,
        picked_from: None,
        manifest: bytes,
        config,
        layer_files: entry.layers.clone(),
    })
}

fn descriptor(kind: MediaType, size: u64, digest: &Digest) -> Result<Descriptor, ChooseError> {
    let digest =
        Sha256Digest::from_str(digest.hex()).map_err(|e| damaged("its digest", e.to_string()))?;
    Ok(Descriptor::new(kind, size, digest))
}
