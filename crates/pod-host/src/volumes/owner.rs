//! fsGroup: the group that owns a volume, as the kubelet's `SetVolumeOwnership` gives it.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chownat, fchmod, fstat, openat, statat};
use rustix::process::Gid;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What a group may do with the files of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// 0660.
    ReadWrite,
    /// 0440.
    ReadOnly,
}

impl Access {
    fn bits(self) -> u32 {
        match self {
            Access::ReadWrite => 0o660,
            Access::ReadOnly => 0o440,
        }
    }
}

/// Gives everything in a volume to that group: owner stays, mode gains the bits of `access`, folders also the execute bits and set-gid.
/// With `on_root_mismatch`, a volume whose root is right already is left alone. Symbolic links are never followed.
pub(crate) fn apply(
    volume: &Path,
    group: u32,
    access: Access,
    on_root_mismatch: bool,
) -> io::Result<()> {
    let root = rustix::fs::open(
        volume,
        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if on_root_mismatch {
        let stat = fstat(&root)?;
        let wanted = folder_bits(access);
        if stat.st_gid == group && stat.st_mode & wanted == wanted {
            return Ok(());
        }
    }
    // The root last: with OnRootMismatch it is what tells that all of it was done.
    let mut next = vec![duplicate(&root)?];
    let mut folders = vec![root];
    while let Some(folder) = next.pop() {
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let below = openat(&folder, name, flags, Mode::empty())?;
                    give(&below, group, folder_bits(access))?;
                    next.push(below);
                }
                FileType::RegularFile => {
                    // O_PATH cannot be chmod'ed; non-blocking, as it may have become a FIFO.
                    let flags =
                        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                    let file = openat(&folder, name, flags, Mode::empty())?;
                    give(&file, group, access.bits())?;
                }
                _ => chownat(
                    &folder,
                    name,
                    None,
                    Some(Gid::from_raw(group)),
                    AtFlags::SYMLINK_NOFOLLOW,
                )?,
            }
        }
    }
    while let Some(folder) = folders.pop() {
        give(&folder, group, folder_bits(access))?;
    }
    Ok(())
}

fn folder_bits(access: Access) -> u32 {
    // Group and owner may enter; what is made inside belongs to the group too.
    access.bits() | 0o2110
}

/// chown clears set-gid, so the mode comes after it.
fn give(file: impl AsFd, group: u32, bits: u32) -> io::Result<()> {
    let mode = fstat(&file)?.st_mode & 0o7777;
    rustix::fs::fchown(&file, None, Some(Gid::from_raw(group)))?;
    Ok(fchmod(&file, Mode::from_raw_mode(mode | bits))?)
}

fn duplicate(folder: &OwnedFd) -> io::Result<OwnedFd> {
    folder.try_clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn mode(path: &Path) -> (u32, u32) {
        let meta = fs::symlink_metadata(path).unwrap();
        (meta.gid(), meta.permissions().mode() & 0o7777)
    }

    #[test]
    fn everything_in_a_volume_goes_to_the_group_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("v");
        fs::create_dir_all(volume.join("a/b")).unwrap();
        fs::write(volume.join("a/f"), "x").unwrap();
        fs::set_permissions(volume.join("a/f"), fs::Permissions::from_mode(0o600)).unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "x").unwrap();
        let before = mode(&outside);
        symlink(&outside, volume.join("link")).unwrap();
        let group = if rustix::process::geteuid().is_root() {
            4711
        } else {
            rustix::process::getegid().as_raw()
        };
        apply(&volume, group, Access::ReadWrite, false).unwrap();
        assert_eq!(mode(&volume.join("a/f")), (group, 0o660));
        for folder in ["", "a", "a/b"] {
            let (gid, bits) = mode(&volume.join(folder));
            assert_eq!((gid, bits & 0o2770), (group, 0o2770), "{folder:?}");
        }
        assert_eq!(mode(&outside), before);

        fs::set_permissions(volume.join("a/f"), fs::Permissions::from_mode(0o600)).unwrap();
        apply(&volume, group, Access::ReadWrite, true).unwrap();
        assert_eq!(mode(&volume.join("a/f")).1, 0o600, "root was right already");
        apply(&volume, group, Access::ReadOnly, false).unwrap();
        assert_eq!(mode(&volume.join("a/f")).1, 0o640);
    }
}
