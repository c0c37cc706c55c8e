//! Files of ConfigMaps, Secrets and the like, written so that a reader sees all of an old or all of a new set (the kubelet's AtomicWriter).
//!
//! ```text
//! volume/..2026_11_22_17_00_00.123456789/   the files themselves, a new folder for each change
//! volume/..data      ─▶ ..2026_11_22_17_00_00.123456789    replaced by renaming ..data_tmp over it: the one moment of change
//! volume/name        ─▶ ..data/name                         one link for each first part of a path
//! ```
//!
//! Every step goes by descriptor and follows no link: what a container has planted in its volume is never written through (CVE-2025-9566).

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use pod_model::config::FileContent;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, fchmod, mkdirat, openat, readlinkat, renameat, statat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// Makes the volume hold exactly `files`. `stamp` names the new folder (`..<stamp>`); `finish` is run on it before it is shown.
/// Says whether anything had to change.
pub(crate) fn write(
    volume: &Path,
    files: &BTreeMap<String, FileContent>,
    stamp: &str,
    finish: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<bool> {
    let mut wanted = BTreeMap::new();
    for (path, content) in files {
        wanted.insert(checked(path)?, content);
    }
    let root = open_folder(rustix::fs::CWD, volume)?;
    let before = current(&root)?;
    let same = before.as_ref().is_some_and(|name| {
        open_folder(&root, Path::new(name)).is_ok_and(|folder| holds(&folder, &wanted))
    });
    if !same {
        let name = format!("..{stamp}");
        let folder = fill(&root, &name, &wanted);
        let folder = folder.inspect_err(|_| drop(remove(&root, Path::new(&name))))?;
        finish(&volume.join(&name)).inspect_err(|_| drop(remove(&root, Path::new(&name))))?;
        drop(folder);
        match unlinkat(&root, DATA_NEW, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => remove(&root, Path::new(DATA_NEW))?,
            Err(e) => return Err(e.into()),
        }
        symlinkat(name.as_str(), &root, DATA_NEW)?;
        if renameat(&root, DATA_NEW, &root, DATA).is_err() {
            // Something that is no link stands there.
            remove(&root, Path::new(DATA))?;
            renameat(&root, DATA_NEW, &root, DATA)?;
        }
    }
    let shown = show(&root, &wanted)?;
    sweep(&root, &shown)?;
    Ok(!same)
}

/// A path of a file: relative, without `..`, and not beginning with `..`, which is how the folders are named.
fn checked(path: &str) -> io::Result<PathBuf> {
    let bad = |why: &str| {
        let text = format!("file {path:?} of the volume: {why}");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    let mut out = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            _ => return bad("must be relative, without \"..\""),
        }
    }
    if out.as_os_str().is_empty() || path.contains('\0') {
        return bad("must name something");
    }
    if path.starts_with("..") {
        return bad("must not begin with \"..\"");
    }
    Ok(out)
}

/// The folder that `..data` points to, if it is one of ours.
fn current(root: &OwnedFd) -> io::Result<Option<OsString>> {
    match readlinkat(root, DATA, Vec::new()) {
        Ok(target) => {
            let target = OsString::from_vec(target.into_bytes());
            let ours = target.to_str().is_some_and(is_stamp);
            Ok(ours.then_some(target))
        }
        Err(Errno::NOENT | Errno::INVAL) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn is_stamp(name: &str) -> bool {
    name.len() > 2
        && name.starts_with("..")
        && !name.contains('/')
        && name != DATA
        && name != DATA_NEW
}

/// Whether a folder holds these files and nothing else, with these modes (bits that a group has gained do not count).
fn holds(folder: &OwnedFd, wanted: &BTreeMap<PathBuf, &FileContent>) -> bool {
    let count = count_files(folder);
    count.is_ok_and(|n| n == wanted.len())
        && wanted
            .iter()
            .all(|(path, content)| matches(folder, path, content).unwrap_or(false))
}

fn matches(folder: &OwnedFd, path: &Path, content: &FileContent) -> io::Result<bool> {
    let file = pod_sys::mount::open_beneath(folder, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let stat = rustix::fs::fstat(&file)?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    let mode = content.mode & 0o777;
    if !regular || size != content.data.len() as u64 || stat.st_mode & mode != mode {
        return Ok(false);
    }
    let mut data = Vec::with_capacity(content.data.len());
    std::fs::File::from(file)
        .take(size + 1)
        .read_to_end(&mut data)?;
    Ok(data == content.data)
}

fn count_files(folder: &OwnedFd) -> io::Result<usize> {
    let mut count = 0;
    let mut next = vec![folder.try_clone()?];
    while let Some(at) = next.pop() {
        for entry in Dir::read_from(&at)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = statat(&at, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let name = Path::new(std::ffi::OsStr::new(
                    entry.file_name().to_str().unwrap_or(""),
                ));
                next.push(open_folder(&at, name)?);
            } else {
                count += 1;
            }
        }
    }
    Ok(count)
}

fn fill(
    root: &OwnedFd,
    name: &str,
    wanted: &BTreeMap<PathBuf, &FileContent>,
) -> io::Result<OwnedFd> {
    mkdirat(root, name, Mode::from_raw_mode(0o755))?;
    let folder = open_folder(root, Path::new(name))?;
    fchmod(&folder, Mode::from_raw_mode(0o755))?;
    for (path, content) in wanted {
        let mut at = folder.try_clone()?;
        for part in path.parent().into_iter().flat_map(Path::components) {
            let part = Path::new(part.as_os_str());
            match mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            at = open_folder(&at, part)?;
            fchmod(&at, Mode::from_raw_mode(0o755))?;
        }
        let last = path.file_name().unwrap_or_default();
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&at, last, flags, Mode::from_raw_mode(0o600))?;
        let mut file = std::fs::File::from(file);
        file.write_all(&content.data)?;
        fchmod(&file, Mode::from_raw_mode(content.mode & 0o7777))?;
    }
    Ok(folder)
}

/// Makes the links that users see; gives their names.
fn show(
    root: &OwnedFd,
    wanted: &BTreeMap<PathBuf, &FileContent>,
) -> io::Result<BTreeSet<OsString>> {
    let firsts: BTreeSet<OsString> = wanted
        .keys()
        .filter_map(|p| p.components().next())
        .map(|c| c.as_os_str().to_owned())
        .collect();
    for name in &firsts {
        if pod_sys::weakened::is("s22") {
            // As a writer would that trusts what it finds.
            let there = openat(root, name.as_os_str(), OFlags::WRONLY, Mode::empty());
            if let (Ok(file), Some(content)) = (there, wanted.get(Path::new(name))) {
                std::fs::File::from(file).write_all(&content.data)?;
            }
        }
        let target = Path::new(DATA).join(name);
        let there = readlinkat(root, name.as_os_str(), Vec::new());
        if there.is_ok_and(|t| t.to_bytes() == target.as_os_str().as_encoded_bytes()) {
            continue;
        }
        remove(root, Path::new(name))?;
        symlinkat(&target, root, name.as_os_str())?;
    }
    Ok(firsts)
}

/// Removes links to files that are no more, and folders that `..data` does not point to.
fn sweep(root: &OwnedFd, shown: &BTreeSet<OsString>) -> io::Result<()> {
    let current = current(root)?;
    let mut old = Vec::new();
    for entry in Dir::read_from(root)? {
        let entry = entry?;
        let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
        let kept = name == "." || name == ".." || name == DATA || Some(&name) == current.as_ref();
        if !kept && !shown.contains(&name) {
            old.push(name);
        }
    }
    old.iter()
        .try_for_each(|name| remove(root, Path::new(name)))
}

/// Removes an entry of a folder, whatever it is; not there is removed.
fn remove(folder: &OwnedFd, name: &Path) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(e) => return Err(e.into()),
    }
    let below = open_folder(folder, name)?;
    for entry in Dir::read_from(&below)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
        remove(&below, Path::new(&name))?;
    }
    Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

fn open_folder(at: impl AsFd, name: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn files(list: &[(&str, &str, u32)]) -> BTreeMap<String, FileContent> {
        list.iter()
            .map(|(path, data, mode)| {
                let content = FileContent {
                    data: data.as_bytes().to_vec(),
                    mode: *mode,
                };
                ((*path).to_owned(), content)
            })
            .collect()
    }

    fn put(volume: &Path, list: &[(&str, &str, u32)], stamp: &str) -> io::Result<bool> {
        write(volume, &files(list), stamp, |_| Ok(()))
    }

    fn names(volume: &Path) -> Vec<String> {
        let mut out: Vec<String> = fs::read_dir(volume)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        out.sort();
        out
    }

    #[test]
    fn files_are_links_through_data_and_have_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let v = dir.path();
        assert!(put(v, &[("a", "1", 0o640), ("d/e/f", "2", 0o400)], "t1").unwrap());
        assert_eq!(names(v), ["..data", "..t1", "a", "d"]);
        assert_eq!(fs::read_link(v.join("..data")).unwrap(), Path::new("..t1"));
        assert_eq!(fs::read_link(v.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::read_to_string(v.join("d/e/f")).unwrap(), "2");
        assert_eq!(fs::metadata(v.join("a")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::metadata(v.join("..t1")).unwrap().mode() & 0o7777, 0o755);
    }

    #[test]
    fn the_same_files_again_change_nothing_and_new_ones_replace_all() {
        let dir = tempfile::tempdir().unwrap();
        let v = dir.path();
        put(v, &[("a", "1", 0o644), ("b", "2", 0o644)], "t1").unwrap();
        assert!(!put(v, &[("a", "1", 0o644), ("b", "2", 0o644)], "t2").unwrap());
        assert_eq!(names(v), ["..data", "..t1", "a", "b"]);
        assert!(put(v, &[("a", "9", 0o644), ("c", "3", 0o644)], "t3").unwrap());
        assert_eq!(names(v), ["..data", "..t3", "a", "c"]);
        assert_eq!(fs::read_to_string(v.join("a")).unwrap(), "9");
        assert!(put(v, &[], "t4").unwrap());
        assert_eq!(names(v), ["..data", "..t4"]);
    }

    #[test]
    fn a_changed_mode_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &[("a", "1", 0o400)], "t1").unwrap();
        assert!(put(dir.path(), &[("a", "1", 0o444)], "t2").unwrap());
    }

    #[test]
    fn s22_what_a_container_has_planted_is_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (v, canary) = (dir.path().join("v"), dir.path().join("canary"));
        fs::create_dir(&v).unwrap();
        fs::create_dir(&canary).unwrap();
        fs::write(canary.join("a"), "canary").unwrap();
        let unharmed = || {
            let left: Vec<_> = names(&canary);
            left == ["a"] && fs::read_to_string(canary.join("a")).unwrap() == "canary"
        };
        put(&v, &[("a", "1", 0o644)], "t1").unwrap();
        fs::remove_file(v.join("a")).unwrap();
        symlink(canary.join("a"), v.join("a")).unwrap();
        fs::remove_file(v.join("..data")).unwrap();
        symlink(&canary, v.join("..data")).unwrap();
        symlink(&canary, v.join("..data_tmp")).unwrap();
        put(&v, &[("a", "2", 0o644)], "t2").unwrap();
        assert!(unharmed());
        assert_eq!(fs::read_to_string(v.join("a")).unwrap(), "2");

        fs::remove_file(v.join("..data")).unwrap();
        fs::create_dir(v.join("..data")).unwrap();
        symlink(&canary, v.join("..data/x")).unwrap();
        fs::remove_file(v.join("a")).unwrap();
        fs::create_dir(v.join("a")).unwrap();
        symlink(&canary, v.join("a/x")).unwrap();
        put(&v, &[("a", "3", 0o644)], "t3").unwrap();
        assert!(unharmed());
        assert_eq!(names(&v), ["..data", "..t3", "a"]);
    }

    #[test]
    fn s22_names_that_are_exchanged_with_links_over_and_over_are_never_written_through() {
        use rustix::fs::{RenameFlags, renameat_with};
        use std::sync::atomic::{AtomicBool, Ordering};
        let set = std::env::var("PODWRIGHT_ROUNDS").ok();
        let rounds: usize = set.and_then(|n| n.parse().ok()).unwrap_or(100);
        let dir = tempfile::tempdir().unwrap();
        let (v, canary) = (dir.path().join("v"), dir.path().join("canary"));
        fs::create_dir_all(canary.join("d")).unwrap();
        fs::create_dir(&v).unwrap();
        for name in ["a", "d/e"] {
            fs::write(canary.join(name), "canary").unwrap();
        }
        let own = |name: &str| fs::metadata(canary.join(name)).unwrap();
        let before = [own("a"), own("d/e")].map(|m| (m.ino(), m.mtime_nsec(), m.ctime_nsec()));
        // Links out of the volume, which take the places of what is there.
        let traps = dir.path().join("traps");
        fs::create_dir(&traps).unwrap();
        let names_and_targets = [
            ("a", canary.join("a")),
            ("d", canary.join("d")),
            ("..data", canary.clone()),
            ("..data_tmp", canary.clone()),
        ];
        for (name, target) in &names_and_targets {
            symlink(target, traps.join(name)).unwrap();
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for (name, target) in &names_and_targets {
                        let (here, trap) = (v.join(name), traps.join(name));
                        let cwd = rustix::fs::CWD;
                        // What is not there yet is planted.
                        if renameat_with(cwd, &trap, cwd, &here, RenameFlags::EXCHANGE).is_err() {
                            let _ = symlink(target, &here);
                        }
                    }
                }
            });
            let mut written = 0;
            for n in 0..rounds {
                let (one, two) = (format!("one {n}"), format!("two {n}"));
                let list = [("a", one.as_str(), 0o644), ("d/e", two.as_str(), 0o600)];
                // It may fail, being raced; it may not reach out.
                written += usize::from(put(&v, &list, &format!("t{n}")).is_ok());
            }
            stop.store(true, Ordering::Relaxed);
            assert!(written > 0, "nothing was ever written");
        });
        let after = [own("a"), own("d/e")].map(|m| (m.ino(), m.mtime_nsec(), m.ctime_nsec()));
        assert_eq!(after, before);
        assert_eq!(
            (names(&canary), names(&canary.join("d"))),
            (vec!["a".to_owned(), "d".to_owned()], vec!["e".to_owned()])
        );
        // Left alone, it is as it should be.
        put(&v, &[("a", "last", 0o644)], "end").unwrap();
        assert_eq!(names(&v), ["..data", "..end", "a"]);
        assert_eq!(fs::read_to_string(v.join("a")).unwrap(), "last");
    }

    #[test]
    fn s22_paths_that_lead_elsewhere_are_refused_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["../x", "/x", "a/../../x", "..x", "..data", "", ".", "a\0b"] {
            assert!(
                put(dir.path(), &[(path, "1", 0o644)], "t1").is_err(),
                "{path:?}"
            );
        }
        assert!(names(dir.path()).is_empty());
        assert!(put(dir.path(), &[("a", "1", 0o644), ("a/b", "1", 0o644)], "t1").is_err());
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn what_cannot_be_finished_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &[("a", "1", 0o644)], "t1").unwrap();
        let failed = write(dir.path(), &files(&[("a", "2", 0o644)]), "t2", |_| {
            Err(io::Error::other("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "1");
        assert_eq!(names(dir.path()), ["..data", "..t1", "a"]);
    }
}
