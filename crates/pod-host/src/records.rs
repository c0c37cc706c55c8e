//! What is written down beside each sandbox and container, so that the next node daemon finds them again. JSON, mode 0600 (it holds the
//! containers' environment), in a folder of mode 0700 on a tmpfs: written without fsync.

use jiff::Timestamp;
use pod_model::config::{ContainerConfig, SandboxConfig};
use pod_model::ids::PodRef;
use pod_model::runtime::Exit;
use pod_model::status::LinuxUser;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SandboxFile {
    pub(crate) config: SandboxConfig,
    pub(crate) created_at: Timestamp,
    /// Its address, as the network gave it.
    pub(crate) ip: Option<String>,
}

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ContainerFile {
    pub(crate) pod: PodRef,
    pub(crate) config: ContainerConfig,
    pub(crate) created_at: Timestamp,
    pub(crate) user: LinuxUser,
    /// Signal number that asks it to end.
    pub(crate) stop_signal: i32,
    /// What the spec could not give it; what was clamped later is known to the supervisor.
    pub(crate) clamped: Vec<String>,
}

/// How a container ended, with reason and message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndedFile {
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) exit: Exit,
}

/// Writes a record at one stroke.
pub(crate) fn save(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    fs::rename(&fresh, path)
}

/// Reads a record. `None`: it is not there.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
