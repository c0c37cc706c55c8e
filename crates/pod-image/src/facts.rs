//! What a container needs to know of an image, read from the store.

use crate::digest::Digest;
use crate::disk::Disk;
use crate::failure::{At, StoreError};
use crate::images;
use crate::limits::Limits;
use crate::merged::Stack;
use crate::weakened::weakened;
use pod_model::config::ImageFacts;
use pod_model::ids::{HostPath, ImageId};
use std::io::Read;
use std::path::PathBuf;

/// How much of /etc/passwd and /etc/group is read: names of an image must not fill the memory of the node.
const ACCOUNTS_MAX: u64 = 1 << 20;

/// Facts of an image and the bytes of its blobs.
pub(crate) fn read(
    disk: &Disk,
    manifest: &Digest,
    limits: &Limits,
) -> Result<(ImageFacts, u64), StoreError> {
    let image = images::read(disk, manifest, limits)?;
    let layers = image.layers.iter().rev();
    let folders: Vec<PathBuf> = layers.map(|layer| disk.layer(&layer.chain)).collect();
    for folder in &folders {
        let found = match std::fs::metadata(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).at("look at", folder)?,
            found => found.is_ok_and(|f| f.is_dir()),
        };
        if !found {
            return Err(StoreError::Damaged {
                path: folder.clone(),
                problem: "this unpacked layer is missing".into(),
            });
        }
    }
    let stack =
        Stack::open(&folders).map_err(|(path, e)| crate::failure::store_error("open", &path, e))?;
    // overlayfs does not look at the opaque mark of a layer's root: what it hides must not be mounted at all.
    let layers = folders.iter().take(stack.len()).cloned();
    let account =
        |path: &str| accounts(&stack, path).at("read the accounts of", &disk.blob(manifest));
    let config = image.config.config().clone().unwrap_or_default();
    let facts = ImageFacts {
        id: ImageId::new(image.id.as_str()),
        layers: layers.map(HostPath::new).collect(),
        entrypoint: config.entrypoint().clone().unwrap_or_default(),
        cmd: config.cmd().clone().unwrap_or_default(),
        env: config.env().clone().unwrap_or_default(),
        user: config.user().clone().unwrap_or_default(),
        working_dir: config.working_dir().clone().unwrap_or_default(),
        stop_signal: config.stop_signal().clone().unwrap_or_default(),
        passwd: account("etc/passwd")?,
        group: account("etc/group")?,
    };
    Ok((facts, image.size))
}

/// Text of a regular file of the image; "" if there is none. A longer one ends at its last whole line within the bound.
fn accounts(stack: &Stack, path: &str) -> std::io::Result<String> {
    let Some(file) = stack.file(path)? else {
        return Ok(String::new());
    };
    let mut bytes = Vec::new();
    let bound = if weakened("s19") {
        1 << 30
    } else {
        ACCOUNTS_MAX
    };
    file.take(bound + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bound {
        bytes.pop();
        let end = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        bytes.truncate(end);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
