//! hostPath: opened as its type asks, and checked on what was opened.

use super::between::between;
use pod_model::volume::HostPathType;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};

/// Opens a path of the node (a descriptor without rights, to be bound). What is missing is made where the type says so, and with no type as
/// a folder of mode 0755, as containerd does. The error is the text that the user sees.
pub(crate) fn open(path: &Path, kind: HostPathType) -> Result<OwnedFd, String> {
    if !path.is_absolute() || path.components().any(|c| c == Component::ParentDir) {
        return Err(format!(
            "hostPath {}: must be an absolute path without \"..\"",
            path.display()
        ));
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let fd = match (rustix::fs::open(path, flags, Mode::empty()), kind) {
        (Err(Errno::NOENT), HostPathType::Unset | HostPathType::DirectoryOrCreate) => {
            make_folder(path).and_then(|()| Ok(rustix::fs::open(path, flags, Mode::empty())?))
        }
        (Err(Errno::NOENT), HostPathType::FileOrCreate) => {
            make_file(path).and_then(|()| Ok(rustix::fs::open(path, flags, Mode::empty())?))
        }
        (other, _) => other.map_err(io::Error::from),
    };
    let wanted = wanted(kind);
    let fd = fd.map_err(|e| match (&wanted, e.kind()) {
        (Some((_, name)), io::ErrorKind::NotFound) => mismatch(path, name),
        _ => format!("hostPath {}: {e}", path.display()),
    })?;
    between("opened and checked");
    let Some((kind, name)) = wanted.filter(|_| !pod_sys::weakened::is("s23")) else {
        return Ok(fd);
    };
    let stat = fstat(&fd).map_err(|e| format!("hostPath {}: {e}", path.display()))?;
    match FileType::from_raw_mode(stat.st_mode) == kind {
        true => Ok(fd),
        false => Err(mismatch(path, name)),
    }
}

/// The kubelet's text.
fn mismatch(path: &Path, name: &str) -> String {
    format!(
        "hostPath type check failed: {} is not a {name}",
        path.display()
    )
}

fn wanted(kind: HostPathType) -> Option<(FileType, &'static str)> {
    match kind {
        HostPathType::Unset => None,
        HostPathType::Directory | HostPathType::DirectoryOrCreate => {
            Some((FileType::Directory, "directory"))
        }
        HostPathType::File | HostPathType::FileOrCreate => Some((FileType::RegularFile, "file")),
        HostPathType::Socket => Some((FileType::Socket, "socket file")),
        HostPathType::CharDevice => Some((FileType::CharacterDevice, "character device")),
        HostPathType::BlockDevice => Some((FileType::BlockDevice, "block device")),
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
}

/// Its parent folder is not made.
fn make_file(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o644);
    match options.open(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn s23_each_type_takes_its_kind_and_refuses_the_others_with_the_kubelets_text() {
        use HostPathType::{
            BlockDevice, CharDevice, Directory, DirectoryOrCreate, File, FileOrCreate, Socket,
            Unset,
        };
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("dir")).unwrap();
        fs::write(at("file"), "").unwrap();
        let _listener = UnixListener::bind(at("sock")).unwrap();
        let null = Path::new("/dev/null").to_owned();
        let table = [
            (at("dir"), Directory, Ok(())),
            (at("dir"), Unset, Ok(())),
            (at("file"), Unset, Ok(())),
            (at("dir"), DirectoryOrCreate, Ok(())),
            (at("file"), File, Ok(())),
            (at("file"), FileOrCreate, Ok(())),
            (at("sock"), Socket, Ok(())),
            (null.clone(), CharDevice, Ok(())),
            (at("file"), Directory, Err("directory")),
            (at("file"), DirectoryOrCreate, Err("directory")),
            (at("dir"), File, Err("file")),
            (at("dir"), FileOrCreate, Err("file")),
            (at("file"), Socket, Err("socket file")),
            (at("file"), CharDevice, Err("character device")),
            (null, BlockDevice, Err("block device")),
            (at("missing"), File, Err("file")),
            (at("missing"), Directory, Err("directory")),
        ];
        for (path, kind, want) in table {
            let got = open(&path, kind).map(|_| ());
            let want = want.map_err(|name| {
                format!(
                    "hostPath type check failed: {} is not a {name}",
                    path.display()
                )
            });
            assert_eq!(got, want, "{} {kind:?}", path.display());
        }
    }

    #[test]
    fn what_is_missing_is_made_only_where_the_type_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(open(&at("a/b"), HostPathType::DirectoryOrCreate).is_ok());
        assert!(open(&at("c/d"), HostPathType::Unset).is_ok());
        assert!(open(&at("f"), HostPathType::FileOrCreate).is_ok());
        assert!(open(&at("no/f"), HostPathType::FileOrCreate).is_err());
        assert!(at("a/b").is_dir() && at("c/d").is_dir() && at("f").is_file());
        assert!(!at("no").exists());
        assert!(open(&at("../x"), HostPathType::Unset).is_err());
    }

    #[test]
    fn s23_what_was_opened_is_checked_and_not_what_its_name_means_by_then() {
        use std::os::fd::AsRawFd;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        // (what is there at first, what it is replaced by, the type asked for, whether that is right)
        for (first, then, kind, good) in [
            ("file", "folder", HostPathType::Directory, false),
            ("folder", "link", HostPathType::Directory, true),
            ("folder", "file", HostPathType::File, false),
            ("file", "link", HostPathType::FileOrCreate, true),
        ] {
            fs::create_dir(at("folder")).unwrap();
            fs::write(at("file"), "x").unwrap();
            std::os::unix::fs::symlink("/etc", at("link")).unwrap();
            fs::rename(at(first), at("it")).unwrap();
            let (from, to, old) = (at(then), at("it"), at("old"));
            super::super::between::at("opened and checked", move || {
                fs::rename(&to, old).unwrap();
                fs::rename(from, to).unwrap();
            });
            let opened = open(&at("it"), kind);
            assert_eq!(opened.is_ok(), good, "{first} then {then}: {opened:?}");
            if let Ok(fd) = opened {
                // To be bound: what was checked, wherever its name leads by now.
                let place = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
                assert_eq!(place, at("old"));
            }
            for entry in fs::read_dir(dir.path()).unwrap().flatten() {
                let done = fs::remove_dir(entry.path()).or_else(|_| fs::remove_file(entry.path()));
                done.unwrap();
            }
        }
    }

    #[test]
    fn s23_a_path_that_is_exchanged_over_and_over_is_never_taken_for_what_it_is_not() {
        use rustix::fs::{RenameFlags, renameat_with};
        use std::os::fd::AsRawFd;
        use std::sync::atomic::{AtomicBool, Ordering};
        let set = std::env::var("PODWRIGHT_ROUNDS").ok();
        let rounds: usize = set.and_then(|n| n.parse().ok()).unwrap_or(500);
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("it")).unwrap();
        fs::write(at("file"), "x").unwrap();
        std::os::unix::fs::symlink("/dev/null", at("link")).unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let cwd = rustix::fs::CWD;
                while !stop.load(Ordering::Relaxed) {
                    for other in ["file", "link"] {
                        renameat_with(cwd, at("it"), cwd, at(other), RenameFlags::EXCHANGE)
                            .unwrap();
                    }
                }
            });
            let (mut taken, mut refused) = (0, 0);
            for n in 0..rounds {
                let (kind, wanted) = match n % 3 {
                    0 => (HostPathType::Directory, FileType::Directory),
                    1 => (HostPathType::FileOrCreate, FileType::RegularFile),
                    _ => (HostPathType::CharDevice, FileType::CharacterDevice),
                };
                match open(&at("it"), kind) {
                    Ok(fd) => {
                        let mode = fstat(&fd).unwrap().st_mode;
                        assert_eq!(FileType::from_raw_mode(mode), wanted, "{}", fd.as_raw_fd());
                        taken += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            stop.store(true, Ordering::Relaxed);
            assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
        });
    }
}
