//! Images with more in them than busybox: made as `docker save` writes them, for cases about hostile images.

use crate::Node;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::Path;

/// One more layer for the busybox image.
pub struct Layer {
    tar: tar::Builder<Vec<u8>>,
}

impl Default for Layer {
    fn default() -> Self {
        Self {
            tar: tar::Builder::new(Vec::new()),
        }
    }
}

impl Layer {
    /// Any entry: its kind as tar has it, its name and link as they are, and whatever else `edit` does to the header.
    pub fn entry(
        mut self,
        kind: u8,
        name: &str,
        link: &str,
        data: &[u8],
        edit: impl FnOnce(&mut tar::Header),
    ) -> Self {
        assert!(name.len() < 100 && link.len() < 100, "names of old tar");
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(data.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        edit(&mut header);
        header.set_cksum();
        self.tar.append(&header, data).expect("an entry");
        self
    }

    /// A file that anybody may run.
    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(b'0', name, "", data, |_| {})
    }

    /// A symbolic link.
    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, b"", |_| {})
    }
}

/// Imports busybox with this layer on top and this image config under a name.
pub fn import(node: &Node, name: &str, layer: Layer, config: Value) {
    let base = crate::node::image();
    let blob = |digest: &Value| {
        let hex = digest.as_str().and_then(|d| d.strip_prefix("sha256:"));
        fs::read(base.join("blobs/sha256").join(hex.expect("a digest"))).expect("a blob")
    };
    let read = |bytes: Vec<u8>| -> Value { serde_json::from_slice(&bytes).expect("JSON") };
    let index = read(fs::read(base.join("index.json")).expect("index.json"));
    let manifest = read(blob(&index["manifests"][0]["digest"]));
    let old = read(blob(&manifest["config"]["digest"]));
    let layer = layer.tar.into_inner().expect("a layer");
    let mut diff_ids = old["rootfs"]["diff_ids"]
        .as_array()
        .expect("a list")
        .clone();
    let hash: String = Sha256::digest(&layer)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    diff_ids.push(json!(format!("sha256:{hash}")));
    let mut merged = old["config"].clone();
    for (key, value) in config.as_object().into_iter().flatten() {
        merged[key] = value.clone();
    }
    let config = json!({
        "architecture": old["architecture"], "os": "linux", "config": merged,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let list = json!([{"Config": "config.json", "RepoTags": [format!("{name}:latest")], "Layers": ["base", "layer.tar"]}]);
    let mut all = Layer::default();
    for (name, data) in [
        ("manifest.json", list.to_string().into_bytes()),
        ("config.json", config.to_string().into_bytes()),
        ("base", blob(&manifest["layers"][0]["digest"])),
        ("layer.tar", layer),
    ] {
        all = all.file(name, &data);
    }
    let path = node.folder().join(format!("{name}.tar"));
    let mut file = fs::File::create(&path).expect("an archive");
    file.write_all(&all.tar.into_inner().expect("an archive"))
        .expect("an archive");
    let path = path.display().to_string();
    node.run(&["image", "import", &path, "--name", name]).ok();
    fs::remove_file(Path::new(&path)).expect("it is there");
}
