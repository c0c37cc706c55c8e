//! fsGroup: the group that owns a volume, as the kubelet's `SetVolumeOwnership` gives it.

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use pod_sys::mount::open_beneath;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, chownat, fstat, openat};
use rustix::io::Errno;
use rustix::process::Gid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
/// With `on_root_mismatch`, a volume whose root is right already is left alone.
///
/// Containers may be running in it: no symbolic link is ever followed, nothing but folders is opened (a device node could act on that),
/// and however many or deep the folders are, few descriptors are open at a time.
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
    // From the root, so that none of them needs to stay open. A path longer than the kernel takes is an error.
    let mut next = vec![PathBuf::from(".")];
    while let Some(place) = next.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let folder = match open_beneath(&root, &place, flags) {
            Err(e) if is_gone(&e) => continue,
            other => other?,
        };
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match give_entry(&folder, name, group, access) {
                Ok(true) => next.push(place.join(std::ffi::OsStr::from_bytes(name.to_bytes()))),
                Ok(false) => {}
                Err(e) if is_gone(&e) => {}
                Err(e) => return Err(e),
            }
        }
        // The root last of all: with OnRootMismatch it is what tells that all of it was done.
        if place != Path::new(".") {
            give(&folder, group, folder_bits(access))?;
        }
    }
    give(&root, group, folder_bits(access))
}

/// Gives one entry of a folder to the group, but not a folder itself: whether it is one.
fn give_entry(
    folder: &OwnedFd,
    name: &std::ffi::CStr,
    group: u32,
    access: Access,
) -> io::Result<bool> {
    // Without rights: opening a device or a pipe this way does nothing to it.
    let mut flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, !pod_sys::weakened::is("s22-owner"));
    let found = openat(folder, name, flags, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&found)?.st_mode) {
        FileType::Directory => Ok(true),
        FileType::RegularFile => give(&found, group, access.bits()).map(|()| false),
        _ => {
            let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
            chownat(&found, "", None, Some(Gid::from_raw(group)), flags)?;
            Ok(false)
        }
    }
}

/// Removed, or replaced by something else, since it was listed.
fn is_gone(error: &io::Error) -> bool {
    let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP];
    gone.iter()
        .any(|e| error.raw_os_error() == Some(e.raw_os_error()))
}

fn folder_bits(access: Access) -> u32 {
    // Group and owner may enter; what is made inside belongs to the group too.
    access.bits() | 0o2110
}

/// chown clears set-gid, so the mode comes after it. `file` may be a descriptor without rights.
fn give(file: impl AsFd, group: u32, bits: u32) -> io::Result<()> {
    let file = file.as_fd();
    let mode = fstat(file)?.st_mode & 0o7777;
    chownat(
        file,
        "",
        None,
        Some(Gid::from_raw(group)),
        AtFlags::EMPTY_PATH,
    )?;
    // The one way to change the mode of what is behind such a descriptor on every kernel.
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::chmod(itself, Mode::from_raw_mode(mode | bits))?)
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
    fn s22_everything_in_a_volume_goes_to_the_group_and_links_are_not_followed() {
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

    #[test]
    fn s22_a_device_or_a_pipe_in_a_volume_is_given_away_without_being_opened() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let node = |name: &str, kind, device| {
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, at(name), kind, mode, device).unwrap();
        };
        node("pipe", FileType::Fifo, 0);
        if rustix::process::geteuid().is_root() {
            // No driver has this number: to open it would be an error.
            let device = rustix::fs::makedev(60, 250);
            node("device", FileType::CharacterDevice, device);
        }
        let group = rustix::process::getegid().as_raw();
        apply(dir.path(), group, Access::ReadWrite, false).unwrap();
        assert_eq!(mode(&at("pipe")), (group, 0o600), "its mode stays");
    }

    #[test]
    fn s22_many_and_deep_folders_take_few_descriptors() {
        const INSIDE: &str = "PODWRIGHT_FEW_DESCRIPTORS";
        if std::env::var_os(INSIDE).is_none() {
            // The limit is the whole process's: this test again, in a process of its own.
            let name = "volumes::owner::tests::s22_many_and_deep_folders_take_few_descriptors";
            let done = std::process::Command::new("prlimit")
                .arg("--nofile=64")
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", name])
                .env(INSIDE, "1")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        for n in 0..300 {
            fs::create_dir(dir.path().join(n.to_string())).unwrap();
        }
        let deep = dir.path().join("d/".repeat(300));
        fs::create_dir_all(&deep).unwrap();
        let group = rustix::process::getegid().as_raw();
        apply(dir.path(), group, Access::ReadWrite, false).unwrap();
        assert_eq!(mode(&deep).1 & 0o2070, 0o2070);
    }
}
