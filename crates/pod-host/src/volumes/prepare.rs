//! Making one of a pod's volumes, or making it again as it should be.

use super::atomic;
use super::host_path;
use super::mounts::{is_mount_point, mount_tmpfs};
use super::owner::{self, Access};
use crate::paths::Paths;
use jiff::Timestamp;
use pod_model::config::{FileContent, PreparedVolume, VolumeToPrepare};
use pod_model::ids::PodUid;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Makes a volume. What is in it already stays (an emptyDir lives as long as its pod); files are brought up to date.
pub(crate) fn prepare(paths: &Paths, uid: &PodUid, volume: &VolumeToPrepare) -> Result<(), String> {
    let result = match &volume.kind {
        PreparedVolume::EmptyDir => empty_dir(&paths.empty_dir(uid, &volume.name), volume, None),
        PreparedVolume::MemoryEmptyDir { size } => {
            let options = match size {
                Some(bytes) => format!("mode=777,size={bytes}"),
                None => "mode=777".to_owned(),
            };
            empty_dir(&paths.empty_dir(uid, &volume.name), volume, Some(&options))
        }
        // Looked at again when it is bound: what is there may have changed by then.
        PreparedVolume::HostPath { path, kind } => {
            return host_path::open(path.as_path(), *kind).map(drop);
        }
        PreparedVolume::Files { in_memory, files } => {
            files_volume(&paths.files(uid, &volume.name), volume, *in_memory, files)
        }
    };
    result.map_err(|e| e.to_string())
}

fn empty_dir(path: &Path, volume: &VolumeToPrepare, tmpfs: Option<&str>) -> io::Result<()> {
    fs::create_dir_all(path).map_err(|e| at("making", path, &e))?;
    if let Some(options) = tmpfs
        && !is_mount_point(path)?
    {
        mount_tmpfs(path, true, options).map_err(|e| at("mounting a tmpfs at", path, &e))?;
    }
    // Exactly: past the umask. The group's bits are added below.
    let meta = fs::symlink_metadata(path)?;
    if volume.fs_group.is_none() || meta.permissions().mode() & 0o777 != 0o777 {
        let mode = fs::Permissions::from_mode(0o777 | (meta.permissions().mode() & 0o2000));
        fs::set_permissions(path, mode).map_err(|e| at("setting the mode of", path, &e))?;
    }
    if let Some(group) = volume.fs_group {
        owner::apply(path, group, Access::ReadWrite, volume.on_root_mismatch)
            .map_err(|e| at("giving to the pod's group", path, &e))?;
    }
    Ok(())
}

fn files_volume(
    path: &Path,
    volume: &VolumeToPrepare,
    in_memory: bool,
    files: &BTreeMap<String, FileContent>,
) -> io::Result<()> {
    fs::create_dir_all(path).map_err(|e| at("making", path, &e))?;
    if in_memory && !is_mount_point(path)? {
        mount_tmpfs(path, false, "mode=755").map_err(|e| at("mounting a tmpfs at", path, &e))?;
    }
    let stamp = Timestamp::now()
        .strftime("%Y_%m_%d_%H_%M_%S.%9f")
        .to_string();
    let finish = |folder: &Path| match volume.fs_group {
        Some(group) => owner::apply(folder, group, Access::ReadOnly, false),
        None => Ok(()),
    };
    atomic::write(path, files, &stamp, finish).map_err(|e| at("writing", path, &e))?;
    Ok(())
}

fn at(step: &str, path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{step} {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::volumes::mounts::unmount_below;
    use std::os::unix::fs::MetadataExt;

    fn volume(kind: PreparedVolume, fs_group: Option<u32>) -> VolumeToPrepare {
        VolumeToPrepare {
            name: "v".into(),
            kind,
            fs_group,
            on_root_mismatch: false,
        }
    }

    #[test]
    fn an_empty_dir_has_mode_0777_and_keeps_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().into(), dir.path().into());
        let v = volume(PreparedVolume::EmptyDir, None);
        prepare(&paths, &"u".into(), &v).unwrap();
        let path = paths.empty_dir(&"u".into(), &"v".into());
        fs::write(path.join("kept"), "x").unwrap();
        prepare(&paths, &"u".into(), &v).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o777);
        assert_eq!(fs::read_to_string(path.join("kept")).unwrap(), "x");
        if rustix::process::geteuid().is_root() {
            let v = volume(PreparedVolume::EmptyDir, Some(4711));
            prepare(&paths, &"u".into(), &v).unwrap();
            let meta = fs::metadata(&path).unwrap();
            assert_eq!((meta.gid(), meta.mode() & 0o7777), (4711, 0o2777));
        }
    }

    /// Privileged.
    #[test]
    fn volumes_in_memory_are_one_tmpfs_each_and_leave_no_mount() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root to mount");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().into(), dir.path().into());
        let uid: PodUid = "u".into();
        let memory = volume(
            PreparedVolume::MemoryEmptyDir {
                size: Some(1 << 20),
            },
            None,
        );
        let files = BTreeMap::from([(
            "k".to_owned(),
            FileContent {
                data: b"secret".to_vec(),
                mode: 0o400,
            },
        )]);
        let secret = VolumeToPrepare {
            name: "s".into(),
            ..volume(
                PreparedVolume::Files {
                    in_memory: true,
                    files,
                },
                None,
            )
        };
        for _ in 0..2 {
            prepare(&paths, &uid, &memory).unwrap();
            prepare(&paths, &uid, &secret).unwrap();
        }
        let at = paths.empty_dir(&uid, &"v".into());
        assert!(is_mount_point(&at).unwrap());
        assert_eq!(fs::metadata(&at).unwrap().mode() & 0o7777, 0o777);
        let stat = rustix::fs::statvfs(&at).unwrap();
        assert_eq!(stat.f_blocks * stat.f_frsize, 1 << 20);
        let secret_file = paths.files(&uid, &"s".into()).join("k");
        assert_eq!(fs::read_to_string(secret_file).unwrap(), "secret");
        unmount_below(dir.path()).unwrap();
        assert!(!is_mount_point(&at).unwrap());
        let left = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!left.contains(dir.path().to_str().unwrap()));
    }
}
