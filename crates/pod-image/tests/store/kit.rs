//! Makes small images on the fly, in every form that an import takes.

use pod_image::{Digest, ImportError, ImportOptions, Imported, Reference, Store};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Unpacking needs root. As root these tests are never skipped.
pub(crate) fn root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: unpacking layers needs root");
    }
    is_root
}

/// How layers are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pack {
    Plain,
    Gzip,
    Zstd,
}

impl Pack {
    pub(crate) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => {
                let mut out =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(bytes).unwrap();
                out.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
        }
    }
}

/// A layer under construction.
pub(crate) struct Layer {
    tar: tar::Builder<Vec<u8>>,
}

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    pub(crate) fn new() -> Self {
        Self {
            tar: tar::Builder::new(Vec::new()),
        }
    }

    /// Any entry, its name written as it is, however bad.
    pub(crate) fn raw(
        mut self,
        kind: u8,
        name: &str,
        link: &str,
        data: &[u8],
        edit: impl FnOnce(&mut tar::Header),
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(data.len() as u64);
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        if name.len() < 100 {
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        } else {
            self = self.long(b'L', name);
        }
        if link.len() < 100 {
            header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        } else {
            self = self.long(b'K', link);
        }
        edit(&mut header);
        header.set_cksum();
        self.tar.append(&header, data).unwrap();
        self
    }

    fn long(mut self, kind: u8, text: &str) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(text.len() as u64 + 1);
        header.set_cksum();
        let data = [text.as_bytes(), b"\0"].concat();
        self.tar.append(&header, data.as_slice()).unwrap();
        self
    }

    /// Extended records for the entry that follows.
    pub(crate) fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            data.extend(format!("{length} {key}=").bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.tar.append(&header, data.as_slice()).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        self.raw(b'0', name, "", text.as_bytes(), |_| {})
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.raw(b'5', name, "", b"", |_| {})
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(b'2', name, target, b"", |_| {})
    }

    pub(crate) fn hardlink(self, name: &str, target: &str) -> Self {
        self.raw(b'1', name, target, b"", |_| {})
    }

    pub(crate) fn tar(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }
}

/// An image under construction.
pub(crate) struct Image {
    pub(crate) layers: Vec<Vec<u8>>,
    pub(crate) config: Value,
    pub(crate) pack: Pack,
}

impl Image {
    pub(crate) fn new(layers: Vec<Layer>) -> Self {
        Self {
            layers: layers.into_iter().map(Layer::tar).collect(),
            config: json!({}),
            pack: Pack::Gzip,
        }
    }

    pub(crate) fn packed(mut self, pack: Pack) -> Self {
        self.pack = pack;
        self
    }

    pub(crate) fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    pub(crate) fn config_json(&self) -> Vec<u8> {
        let diff_ids: Vec<String> = self
            .layers
            .iter()
            .map(|l| Digest::of(l).to_string())
            .collect();
        let arch = oci_spec::image::Arch::default().to_string();
        json!({
            "created": "2024-01-02T03:04:05Z",
            "architecture": arch,
            "os": "linux",
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
        .to_string()
        .into_bytes()
    }

    /// Blobs, and the descriptor of the manifest.
    pub(crate) fn oci(&self) -> (Vec<Vec<u8>>, Value) {
        let mut blobs = Vec::new();
        let kind = format!(
            "application/vnd.oci.image.layer.v1.tar{}",
            self.pack.suffix()
        );
        let mut layers = Vec::new();
        for layer in &self.layers {
            let blob = self.pack.pack(layer);
            layers.push(descriptor(&kind, &blob));
            blobs.push(blob);
        }
        let config = self.config_json();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers,
        })
        .to_string()
        .into_bytes();
        let own = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        blobs.extend([config, manifest]);
        (blobs, own)
    }

    pub(crate) fn id(&self) -> Digest {
        Digest::of(&self.config_json())
    }
}

pub(crate) fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": Digest::of(bytes).as_str(), "size": bytes.len()})
}

/// Files of an OCI layout by name.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// A layout of these images under these tags.
pub(crate) fn layout(images: &[(&Image, Option<&str>)]) -> Files {
    let mut files = vec![(
        "oci-layout".to_owned(),
        br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec(),
    )];
    let mut manifests = Vec::new();
    for (image, tag) in images {
        let (blobs, mut own) = image.oci();
        for blob in blobs {
            files.push((format!("blobs/sha256/{}", Digest::of(&blob).hex()), blob));
        }
        if let Some(tag) = tag {
            own["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        }
        manifests.push(own);
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    files.push(("index.json".into(), index.to_string().into_bytes()));
    files
}

/// What `docker save` writes.
pub(crate) fn docker(images: &[(&Image, &[&str])]) -> Files {
    let mut files = Files::new();
    let mut entries = Vec::new();
    for (image, tags) in images {
        let mut layers = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", Digest::of(layer).hex());
            files.push((name.clone(), image.pack.pack(layer)));
            layers.push(name);
        }
        let config = image.config_json();
        let name = format!("{}.json", Digest::of(&config).hex());
        files.push((name.clone(), config));
        entries.push(json!({"Config": name, "RepoTags": tags, "Layers": layers}));
    }
    files.push((
        "manifest.json".into(),
        json!(entries).to_string().into_bytes(),
    ));
    files
}

pub(crate) fn archive(files: &Files) -> Vec<u8> {
    let mut layer = Layer::new();
    for (name, data) in files {
        layer = layer.raw(b'0', name, "", data, |_| {});
    }
    layer.tar()
}

pub(crate) fn write(folder: &Path, files: &Files) {
    for (name, data) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, data).unwrap();
    }
}

/// A store of its own, gone at the end.
pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}

impl Rig {
    /// In memory, so that a busy disk slows no test down.
    pub(crate) fn new() -> Self {
        Self::with_limits(pod_image::Limits::default())
    }

    pub(crate) fn with_limits(limits: pod_image::Limits) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() && root() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Self::in_folder(folder.unwrap(), limits)
    }

    pub(crate) fn on_disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::in_folder(folder, pod_image::Limits::default())
    }

    fn in_folder(folder: tempfile::TempDir, limits: pod_image::Limits) -> Self {
        let store = Store::with_limits(&folder.path().join("root"), limits).unwrap();
        Self { folder, store }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Imports from a stream under a name.
    pub(crate) fn import(
        &self,
        files: &Files,
        name: Option<&str>,
    ) -> Result<Imported, ImportError> {
        self.import_bytes(&archive(files), name)
    }

    pub(crate) fn import_bytes(
        &self,
        bytes: &[u8],
        name: Option<&str>,
    ) -> Result<Imported, ImportError> {
        let options = ImportOptions {
            tag: None,
            name: name.map(|n| Reference::parse(n).unwrap()),
        };
        let mut bytes = bytes;
        self.store.import_stream(&mut bytes, &options, &mut |_| {})
    }

    /// Imports an image of these layers, and says where its topmost layer lies.
    pub(crate) fn layers(&self, layers: Vec<Layer>) -> Result<Vec<PathBuf>, ImportError> {
        let image = Image::new(layers);
        self.import(&layout(&[(&image, None)]), Some("test"))?;
        Ok(self.folders("test"))
    }

    /// Layers of an image, topmost first.
    pub(crate) fn folders(&self, name: &str) -> Vec<PathBuf> {
        let found = self.store.facts(&name.into()).unwrap();
        let layers = found.facts.layers.iter();
        layers.map(|l| l.as_path().to_owned()).collect()
    }

    /// All that lies in the store and is no image: names of blobs, layers, temporary files.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["root/layers", "root/images/blobs/sha256", "root/images"] {
            for entry in std::fs::read_dir(self.path(folder)).unwrap() {
                names.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        names.retain(|n| {
            !["blobs", "index.json", "oci-layout", ".lock", ".reserve"].contains(&n.as_str())
        });
        names
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
