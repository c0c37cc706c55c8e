//! Sub paths of volumes, and whatever else is bound by descriptor: resolved inside the volume as if it were the root, so that no link that
//! a container has planted leads out (CVE-2017-1002101, CVE-2021-25741).

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use super::between::between;
use super::mounts::unmount_one;
use pod_sys::mount::open_in_root;
use rustix::fs::{FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Why a sub path cannot be used.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It could not be opened as it is.
    Prepare(io::Error),
    /// It was missing and could not be made.
    Create(io::Error),
}

/// Opens a volume of the pod itself.
pub(crate) fn open_volume(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens `sub` below the volume behind `root` (a descriptor without rights, to be bound). What is missing is made as folders with the mode
/// of the volume's own root folder.
pub(crate) fn open(root: &OwnedFd, sub: &str) -> Result<OwnedFd, Problem> {
    let parts = parts(sub).map_err(Problem::Prepare)?;
    let whole: PathBuf = parts.iter().collect();
    match open_in_root(root, &whole, OFlags::PATH) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        other => return other.map_err(Problem::Prepare),
    }
    make(root, &parts).map_err(Problem::Create)?;
    between("all made and opened");
    open_in_root(root, &whole, OFlags::PATH).map_err(Problem::Prepare)
}

/// Puts what `source` stands for at `target`, with all that is mounted below it. Says whether it is a folder.
pub(crate) fn place(source: impl AsFd, target: &Path) -> io::Result<bool> {
    let kind = FileType::from_raw_mode(fstat(&source)?.st_mode);
    let folder = kind == FileType::Directory;
    // What an earlier attempt of the container was given.
    unmount_one(target)?;
    prepare_target(target, folder)?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(source, "", clone)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&tree, "", rustix::fs::CWD, target, flags)?;
    Ok(folder)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the target lies in the folder of the pod's records, which no container sees"
)]
fn prepare_target(target: &Path, folder: bool) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() == folder => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir(target)?,
        Ok(_) => fs::remove_file(target)?,
        Err(_) => {}
    }
    if folder {
        fs::create_dir(target)
    } else {
        fs::File::create_new(target).map(|_| ())
    }
}

fn parts(sub: &str) -> io::Result<Vec<&std::ffi::OsStr>> {
    let bad = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    let mut out = Vec::new();
    for part in Path::new(sub).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => return bad("a sub path must not hold .."),
            Component::RootDir | Component::Prefix(_) => {
                return bad("a sub path must be relative");
            }
        }
    }
    if sub.contains('\0') || out.is_empty() {
        return bad("a sub path must name something");
    }
    Ok(out)
}

fn make(root: &OwnedFd, parts: &[&std::ffi::OsStr]) -> io::Result<()> {
    let mode = Mode::from_raw_mode(fstat(root)?.st_mode & 0o7777);
    let mut parent = open_in_root(root, Path::new("."), OFlags::PATH | OFlags::DIRECTORY)?;
    let mut so_far = PathBuf::new();
    for part in parts {
        so_far.push(part);
        match open_in_root(root, &so_far, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(found) => {
                parent = found;
                continue;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        between("missing and made");
        match mkdirat(&parent, *part, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        between("made and opened");
        // Ours, or what somebody has put there meanwhile: then it may be anything but a link.
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(&parent, *part, flags, Mode::empty())?;
        // Past the umask.
        fchmod(&made, mode)?;
        parent = made;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn path_of(fd: &OwnedFd) -> PathBuf {
        use std::os::fd::AsRawFd;
        fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
    }

    #[test]
    fn a_missing_sub_path_is_made_with_the_mode_of_the_volume() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let fd = open(&open_volume(dir.path()).unwrap(), "a/./b").unwrap();
        assert_eq!(path_of(&fd), dir.path().join("a/b"));
        for made in ["a", "a/b"] {
            let mode = fs::metadata(dir.path().join(made)).unwrap().mode() & 0o7777;
            assert_eq!(mode, 0o777, "{made}");
        }
        assert!(open(&open_volume(dir.path()).unwrap(), "a/b").is_ok());
    }

    #[test]
    fn s21_a_planted_link_never_leads_out_of_the_volume() {
        let dir = tempfile::tempdir().unwrap();
        let (volume, outside) = (dir.path().join("v"), dir.path().join("outside"));
        fs::create_dir_all(&volume).unwrap();
        fs::create_dir_all(outside.join("secret")).unwrap();
        symlink(&outside, volume.join("abs")).unwrap();
        symlink("../outside", volume.join("rel")).unwrap();
        symlink("/", volume.join("slash")).unwrap();
        symlink("/proc/self/root", volume.join("magic")).unwrap();
        for sub in [
            "abs/secret",
            "rel/secret",
            "slash/etc",
            "magic/etc",
            "abs",
            "rel/x/y",
        ] {
            if let Ok(fd) = open(&open_volume(&volume).unwrap(), sub) {
                let got = path_of(&fd);
                assert!(got.starts_with(&volume), "{sub}: {}", got.display());
            }
        }
        let left: Vec<_> = fs::read_dir(&outside).unwrap().collect();
        assert_eq!(left.len(), 1, "something was made outside");
    }

    #[test]
    fn a_link_that_stays_inside_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        let fd = open(&open_volume(dir.path()).unwrap(), "link").unwrap();
        assert_eq!(path_of(&fd), dir.path().join("real"));
    }

    #[test]
    fn s21_climbing_absolute_and_empty_sub_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["..", "a/../..", "/etc", "", ".", "a\0b"] {
            assert!(
                matches!(
                    open(&open_volume(dir.path()).unwrap(), sub),
                    Err(Problem::Prepare(_))
                ),
                "{sub:?}"
            );
        }
        fs::write(dir.path().join("file"), "x").unwrap();
        assert!(open(&open_volume(dir.path()).unwrap(), "file/x").is_err());
    }

    /// A volume that has a folder and a link out, and what lies outside.
    fn trap() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (volume, outside) = (dir.path().join("v"), dir.path().join("outside"));
        fs::create_dir_all(volume.join("x")).unwrap();
        fs::create_dir_all(outside.join("y")).unwrap();
        symlink(&outside, volume.join("link")).unwrap();
        (dir, volume, outside)
    }

    fn exchange(volume: &Path) {
        let (x, link) = (volume.join("x"), volume.join("link"));
        let cwd = rustix::fs::CWD;
        rustix::fs::renameat_with(cwd, &x, cwd, &link, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    }

    #[track_caller]
    fn assert_inside(opened: Result<OwnedFd, Problem>, volume: &Path, outside: &Path) {
        if let Ok(fd) = opened {
            let got = path_of(&fd);
            assert!(got.starts_with(volume), "{}", got.display());
        }
        let left: Vec<_> = fs::read_dir(outside).unwrap().collect();
        assert_eq!(left.len(), 1, "something was made outside");
        assert_eq!(
            fs::read_dir(outside.join("y")).unwrap().count(),
            0,
            "something was made outside"
        );
    }

    #[test]
    fn s21_a_folder_exchanged_with_a_link_between_check_and_use_leads_nowhere() {
        for point in ["missing and made", "made and opened", "all made and opened"] {
            for sub in ["x/y", "x/new", "x/new/deep", "x/y/new"] {
                let (_dir, volume, outside) = trap();
                let again = volume.clone();
                super::super::between::at(point, move || exchange(&again));
                assert_inside(open(&open_volume(&volume).unwrap(), sub), &volume, &outside);
            }
        }
        // What was made is itself replaced by a link before it is opened.
        let (_dir, volume, outside) = trap();
        let (again, target) = (volume.clone(), outside.clone());
        super::super::between::at("made and opened", move || {
            fs::remove_dir(again.join("x/new")).unwrap();
            symlink(target, again.join("x/new")).unwrap();
        });
        assert_inside(
            open(&open_volume(&volume).unwrap(), "x/new"),
            &volume,
            &outside,
        );
    }

    #[test]
    fn s21_a_folder_exchanged_with_a_link_over_and_over_leads_nowhere() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let set = std::env::var("PODWRIGHT_ROUNDS").ok();
        let rounds = set.and_then(|n| n.parse().ok()).unwrap_or(200);
        let (_dir, volume, outside) = trap();
        let root = open_volume(&volume).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    exchange(&volume);
                }
            });
            for n in 0..rounds {
                assert_inside(open(&root, &format!("x/new{n}/deep")), &volume, &outside);
                assert_inside(open(&root, "x/y"), &volume, &outside);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
