//! Volumes of a container: what is mounted where, and how.

use super::subpath::{SubPathError, sub_path};
use pod_model::config::{Mount, MountSource, Propagation};
use pod_model::ids::{HostPath, PodPath};
use pod_model::pod::{Container, MountPropagation, Pod, RecursiveReadOnly, VolumeMount};
use pod_model::volume::Volume;
use std::collections::BTreeMap;

/// Why a mount cannot be made. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// No such volume.
    #[error("cannot find volume {volume:?} to mount into container {container:?}")]
    NoVolume {
        /// Its name.
        volume: String,
        /// The container.
        container: String,
    },
    /// The path below the volume.
    #[error(transparent)]
    SubPath(#[from] SubPathError),
    /// `recursiveReadOnly`.
    #[error("failed to resolve recursive read-only mode: {0}")]
    RecursiveReadOnly(RecursiveReadOnlyError),
}

/// Why a mount cannot be read-only all the way down. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecursiveReadOnlyError {
    /// It is not read-only at all.
    #[error("volume {volume:?} requested recursive read-only mode, but it is not read-only")]
    Writable {
        /// Its volume.
        volume: String,
    },
    /// Mounts may come from outside.
    #[error(
        "volume {volume:?} requested recursive read-only mode, but it is not compatible with propagation \"{propagation:?}\""
    )]
    Propagation {
        /// Its volume.
        volume: String,
        /// `mountPropagation`.
        propagation: MountPropagation,
    },
    /// The kernel cannot.
    #[error(
        "volume {volume:?} requested recursive read-only mode, but it is not supported by the runtime"
    )]
    Unsupported {
        /// Its volume.
        volume: String,
    },
}

/// Whether a mount is read-only with all that is mounted below it.
pub fn recursive_read_only(
    mount: &VolumeMount,
    supported: bool,
) -> Result<bool, RecursiveReadOnlyError> {
    let volume = || mount.name.to_string();
    let mode = match mount.recursive_read_only {
        None | Some(RecursiveReadOnly::Disabled) => return Ok(false),
        Some(mode) => mode,
    };
    if !mount.read_only {
        return Err(RecursiveReadOnlyError::Writable { volume: volume() });
    }
    match mount.mount_propagation {
        None | Some(MountPropagation::None) => {}
        Some(propagation) => {
            return Err(RecursiveReadOnlyError::Propagation {
                volume: volume(),
                propagation,
            });
        }
    }
    if mode == RecursiveReadOnly::Enabled && !supported {
        return Err(RecursiveReadOnlyError::Unsupported { volume: volume() });
    }
    Ok(supported)
}

/// The container's mounts, those of shallow paths first. ConfigMaps, Secrets, the pod's own fields and projections are read-only.
pub fn mounts(
    pod: &Pod,
    container: &Container,
    env: &BTreeMap<String, String>,
    recursive_supported: bool,
) -> Result<Vec<Mount>, MountError> {
    let mut mounts = Vec::new();
    for mount in &container.volume_mounts {
        let volume = pod
            .spec
            .volumes
            .iter()
            .find(|v| v.name == mount.name)
            .ok_or_else(|| MountError::NoVolume {
                volume: mount.name.to_string(),
                container: container.name.to_string(),
            })?;
        let sub_path = sub_path(mount, env)?;
        let recursive_read_only = recursive_read_only(mount, recursive_supported)
            .map_err(MountError::RecursiveReadOnly)?;
        let source = match &volume.host_path {
            Some(host) => MountSource::Host(HostPath::new(&host.path), host.kind),
            None => MountSource::Prepared,
        };
        mounts.push(Mount {
            volume: mount.name.clone(),
            source,
            target: target(&mount.mount_path),
            sub_path,
            read_only: mount.read_only || is_read_only(volume),
            recursive_read_only,
            propagation: match mount.mount_propagation {
                None | Some(MountPropagation::None) => Propagation::Private,
                Some(MountPropagation::HostToContainer) => Propagation::Slave,
                Some(MountPropagation::Bidirectional) => Propagation::Shared,
            },
        });
    }
    mounts.sort_by_key(|m| m.target.depth());
    Ok(mounts)
}

fn target(path: &str) -> PodPath {
    if path.starts_with('/') {
        PodPath::new(path)
    } else {
        PodPath::new(format!("/{path}"))
    }
}

fn is_read_only(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}
