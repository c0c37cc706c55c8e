//! Reads OCI and Docker manifests, indexes and image configs, and checks that they fit each other.

use crate::digest::{Digest, chain_id};
use crate::limits::Limits;
use crate::weakened::weakened;
use oci_spec::image::{
    Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os, Platform,
};

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// What a descriptor of an index stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentKind {
    Index,
    Manifest,
    /// Signatures, build caches and other things that are no image.
    Other,
}

pub(crate) fn kind_of(descriptor: &Descriptor) -> DocumentKind {
    match descriptor.media_type() {
        MediaType::ImageIndex => DocumentKind::Index,
        MediaType::ImageManifest if descriptor.artifact_type().is_none() => DocumentKind::Manifest,
        MediaType::Other(other) if other == DOCKER_LIST => DocumentKind::Index,
        MediaType::Other(other) if other == DOCKER_MANIFEST => DocumentKind::Manifest,
        _ => DocumentKind::Other,
    }
}

/// Digest of a descriptor, in the one algorithm that the store knows.
pub(crate) fn digest_of(descriptor: &Descriptor) -> Result<Digest, String> {
    Digest::parse(descriptor.digest().as_ref()).map_err(|e| e.to_string())
}

/// Reads an index whose descriptor says that it is one.
pub(crate) fn read_index(bytes: &[u8], said: Option<&MediaType>) -> Result<ImageIndex, String> {
    check_unambiguous(bytes, said, &["layers", "config", "fsLayers"])?;
    let index: ImageIndex = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    check_schema(index.schema_version())?;
    Ok(index)
}

/// Reads a manifest whose descriptor says that it is one.
pub(crate) fn read_manifest(
    bytes: &[u8],
    said: Option<&MediaType>,
) -> Result<ImageManifest, String> {
    check_unambiguous(bytes, said, &["manifests", "fsLayers"])?;
    let manifest: ImageManifest = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    check_schema(manifest.schema_version())?;
    Ok(manifest)
}

/// A document that could be read as two things would be one thing to a scanner and another to us (GHSA-5j5w-g665-5m35).
fn check_unambiguous(
    bytes: &[u8],
    said: Option<&MediaType>,
    foreign: &[&str],
) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    for key in foreign {
        if value.get(key).is_some() && !weakened("s26-ambiguity") {
            return Err(format!(
                "it holds {key:?}, which belongs to another kind of document"
            ));
        }
    }
    let own = value.get("mediaType").and_then(|v| v.as_str());
    match (own, said) {
        (Some(own), Some(said)) if own != said.as_ref() => Err(format!(
            "it calls itself {own:?}, but is referred to as {:?}",
            said.as_ref()
        )),
        _ => Ok(()),
    }
}

fn check_schema(version: u32) -> Result<(), String> {
    match version {
        2 => Ok(()),
        other => Err(format!("its schemaVersion is {other}; only 2 is supported")),
    }
}

/// One layer of an image, from its manifest and config together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub blob: Digest,
    pub size: u64,
    pub diff_id: Digest,
    pub chain: Digest,
}

/// An image whose manifest and config fit each other.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Digest of its config.
    pub id: Digest,
    /// Lowest first.
    pub layers: Vec<Layer>,
    pub config: ImageConfiguration,
    /// Bytes of manifest, config and layers.
    pub size: u64,
}

impl Image {
    /// Puts manifest and config together.
    pub(crate) fn new(
        manifest: &ImageManifest,
        manifest_size: u64,
        config: &[u8],
        limits: &Limits,
    ) -> Result<Self, String> {
        let id = digest_of(manifest.config())?;
        let parsed: ImageConfiguration =
            serde_json::from_slice(config).map_err(|e| format!("its config: {e}"))?;
        let diff_ids = parsed.rootfs().diff_ids();
        let descriptors = manifest.layers();
        if diff_ids.len() != descriptors.len() {
            return Err(format!(
                "its manifest has {} layers, its config {}",
                descriptors.len(),
                diff_ids.len()
            ));
        }
        if descriptors.is_empty() {
            return Err("it has no layers, so a container would have no files at all".into());
        }
        if descriptors.len() > limits.layers {
            return Err(format!(
                "it has {} layers; at most {} can be mounted: build it again with fewer",
                descriptors.len(),
                limits.layers
            ));
        }
        let mut size = manifest_size.saturating_add(config.len() as u64);
        let mut layers: Vec<Layer> = Vec::new();
        for (descriptor, diff_id) in descriptors.iter().zip(diff_ids) {
            check_layer_type(descriptor)?;
            let diff_id = Digest::parse(diff_id).map_err(|e| e.to_string())?;
            let chain = chain_id(layers.last().map(|below| &below.chain), &diff_id);
            size = size.saturating_add(descriptor.size());
            layers.push(Layer {
                blob: digest_of(descriptor)?,
                size: descriptor.size(),
                diff_id,
                chain,
            });
        }
        Ok(Self {
            id,
            layers,
            config: parsed,
            size,
        })
    }

    /// Says if the image is for another kind of machine.
    pub(crate) fn check_platform(&self) -> Result<(), String> {
        let (os, arch) = (self.config.os(), self.config.architecture());
        let unsaid = |text: &str| text.is_empty();
        let os_fits = *os == Os::Linux || unsaid(&os.to_string());
        let arch_fits = *arch == Arch::default() || unsaid(&arch.to_string());
        if os_fits && arch_fits {
            return Ok(());
        }
        Err(format!("it is made for {os}/{arch}"))
    }
}

fn check_layer_type(descriptor: &Descriptor) -> Result<(), String> {
    let text = descriptor.media_type().as_ref();
    let known = text.starts_with("application/vnd.oci.image.layer.v1.tar")
        || text.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
        || text.starts_with(DOCKER_LAYER)
        || text.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar");
    if text.contains("encrypted") {
        return Err("its layers are encrypted; decrypt it first".into());
    }
    if known {
        return Ok(());
    }
    Err(format!(
        "a layer is of type {text:?}, which is no file system: this is an artifact, not an image"
    ))
}

/// This node's platform as OCI writes it.
pub(crate) fn this_platform() -> String {
    format!("linux/{}", Arch::default())
}

/// Picks the entry for this node from a multi-platform index.
pub(crate) fn pick(index: &ImageIndex) -> Result<&Descriptor, String> {
    let images = || {
        index
            .manifests()
            .iter()
            .filter(|d| kind_of(d) != DocumentKind::Other)
    };
    let fits = |d: &&Descriptor| d.platform().as_ref().is_some_and(is_ours);
    if let Some(found) = images().find(fits) {
        return Ok(found);
    }
    let mut unsaid = images().filter(|d| d.platform().is_none());
    if let (Some(only), None) = (unsaid.next(), unsaid.next()) {
        return Ok(only);
    }
    let there: Vec<String> = images()
        .filter_map(|d| d.platform().as_ref())
        .filter(|p| p.os().to_string() != "unknown")
        .map(shown)
        .collect();
    Err(if there.is_empty() {
        "it holds no image".into()
    } else {
        format!("it is made for {}", there.join(", "))
    })
}

/// Whether a platform is this node's.
pub(crate) fn is_ours(platform: &Platform) -> bool {
    *platform.os() == Os::Linux && *platform.architecture() == Arch::default()
}

fn shown(platform: &Platform) -> String {
    let variant = platform.variant().as_ref().map(|v| format!("/{v}"));
    format!(
        "{}/{}{}",
        platform.os(),
        platform.architecture(),
        variant.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests;
