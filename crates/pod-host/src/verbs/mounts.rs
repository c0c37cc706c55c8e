//! What each volume mount of a container stands for on this node, now.

use crate::failure::At;
use crate::paths::Paths;
use crate::volumes::{
    Problem, check_propagation, open_host_path, open_sub_path, open_volume, place,
};
use pod_driver::host::{HostError, HostErrorKind, HostResult};
use pod_model::config::{ContainerConfig, Mount, MountSource};
use pod_model::ids::{HostPath, PodUid};
use pod_model::volume::HostPathType;
use pod_oci::ResolvedMount;
use rustix::fs::{FileType, fstat};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

const KIND: HostErrorKind = HostErrorKind::Config;

/// Resolves all mounts of a container, in their order.
pub(crate) fn resolve(
    paths: &Paths,
    uid: &PodUid,
    config: &ContainerConfig,
) -> HostResult<Vec<ResolvedMount>> {
    let mounts = config.mounts.iter().enumerate();
    mounts
        .map(|(index, mount)| one(paths, uid, config, index, mount))
        .collect()
}

fn one(
    paths: &Paths,
    uid: &PodUid,
    config: &ContainerConfig,
    index: usize,
    mount: &Mount,
) -> HostResult<ResolvedMount> {
    let place_at = || paths.sub_path(uid, &mount.volume, &config.name, index);
    let sub = mount.sub_path.as_deref().filter(|s| !s.is_empty());
    let (path, root, as_it_is) = match &mount.source {
        MountSource::Prepared => {
            let path = prepared(paths, uid, config, mount)?;
            let root = open_volume(&path).at(KIND, volume(mount))?;
            (path, root, true)
        }
        MountSource::Host(path, kind) => {
            let path = path.as_path().to_owned();
            let root = open_host_path(&path, *kind).at(KIND, volume(mount))?;
            check_propagation(mount.propagation, &path).at(KIND, volume(mount))?;
            // A type was checked on what was opened: that, and not whatever the path means later, is mounted.
            (path, root, *kind == HostPathType::Unset)
        }
    };
    let source = match sub {
        None if as_it_is => {
            let folder = is_folder(&root).at(KIND, volume(mount))?;
            let source = HostPath::new(path);
            return Ok(ResolvedMount { source, folder });
        }
        None => root,
        Some(sub) => open_sub_path(&root, sub).map_err(|e| sub_path_error(mount, config, &e))?,
    };
    let target = place_at();
    let folder = place(&source, &target).map_err(|e| match sub {
        Some(_) => sub_path_error(mount, config, &Problem::Prepare(e)),
        None => HostError::new(KIND, format!("{}: {e}", volume(mount))),
    })?;
    let source = HostPath::new(target);
    Ok(ResolvedMount { source, folder })
}

/// Where the pod's own volume of that name was prepared.
fn prepared(
    paths: &Paths,
    uid: &PodUid,
    config: &ContainerConfig,
    mount: &Mount,
) -> HostResult<PathBuf> {
    let places = [
        paths.empty_dir(uid, &mount.volume),
        paths.files(uid, &mount.volume),
    ];
    let found = places.into_iter().find(|p| p.is_dir());
    found.ok_or_else(|| {
        HostError::new(
            KIND,
            format!(
                "cannot find volume \"{}\" to mount into container \"{}\"",
                mount.volume, config.name
            ),
        )
    })
}

/// The kubelet's texts, with the cause that the kubelet keeps to itself.
fn sub_path_error(mount: &Mount, config: &ContainerConfig, problem: &Problem) -> HostError {
    let (step, cause) = match problem {
        Problem::Prepare(cause) => ("prepare subPath", cause),
        Problem::Create(cause) => ("create subPath directory", cause),
    };
    HostError::new(
        KIND,
        format!(
            "failed to {step} for volumeMount \"{}\" of container \"{}\": {cause}",
            mount.volume, config.name
        ),
    )
}

fn is_folder(fd: &OwnedFd) -> std::io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Directory)
}

fn volume(mount: &Mount) -> String {
    format!("volume \"{}\"", mount.volume)
}
