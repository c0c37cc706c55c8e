//! Trees of files: a canary that nobody may touch, and listings.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tree of files beside a node's folders. Whatever happens to it (content, mode, owner, time, attribute, a name more or less) is
/// the doing of something that went where it must not.
#[derive(Debug)]
pub struct Canary {
    folder: PathBuf,
    before: BTreeSet<String>,
}

impl Canary {
    /// Makes the tree, which must not be there yet.
    pub fn make(folder: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(folder.join("open/deep"))?;
        for (name, mode) in [
            ("plain", 0o644),
            ("secret", 0o600),
            ("program", 0o4755),
            ("open/anyone", 0o666),
            ("open/deep/file", 0o640),
        ] {
            let path = folder.join(name);
            fs::write(&path, format!("the canary's {name}\n"))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        fs::set_permissions(folder.join("open"), fs::Permissions::from_mode(0o1777))?;
        symlink("plain", folder.join("link"))?;
        symlink("/nowhere", folder.join("dangling"))?;
        fs::hard_link(folder.join("plain"), folder.join("open/second-name"))?;
        let _made = Command::new("mkfifo").arg(folder.join("fifo")).status()?;
        // Not every file system has user attributes; then there is one thing less that could be touched.
        let _ = xattr::set(folder.join("plain"), "user.canary", b"sings");
        let before = prints(folder);
        Ok(Self {
            folder: folder.to_owned(),
            before,
        })
    }

    /// What is not as it was.
    pub fn changes(&self) -> Vec<String> {
        let now = prints(&self.folder);
        let came = now.difference(&self.before).map(|t| format!("is {t}"));
        let went = self.before.difference(&now).map(|t| format!("was {t}"));
        came.chain(went).map(|t| format!("canary {t}")).collect()
    }

    /// Takes the tree away.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn prints(folder: &Path) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = fingerprint(folder).into_iter().collect();
    let below = files(folder);
    all.extend(below.iter().filter_map(|f| fingerprint(&folder.join(f))));
    all
}

/// One file in one line: everything that can be known of it but when it was read last. Content is read of small files only: writing to
/// a large one changes its times, which nobody can set back (ctime).
pub(super) fn fingerprint(path: &Path) -> Option<String> {
    use std::hash::{DefaultHasher, Hasher};
    let m = fs::symlink_metadata(path).ok()?;
    let mut sum = DefaultHasher::new();
    if m.is_file() && m.size() <= 1 << 20 {
        sum.write(&fs::read(path).unwrap_or_default());
    } else if m.is_symlink() {
        sum.write(fs::read_link(path).ok()?.as_os_str().as_encoded_bytes());
    }
    let attributes = match m.file_type() {
        t if t.is_fifo() || t.is_symlink() => Vec::new(),
        _ => xattr::list(path)
            .into_iter()
            .flatten()
            .map(|name| format!("{name:?}={:?}", xattr::get(path, &name).ok().flatten()))
            .collect(),
    };
    Some(format!(
        "{} inode {} mode {:o} owner {}:{} links {} size {} device {} modified {}.{} changed {}.{} sum {:x} {}",
        path.display(),
        m.ino(),
        m.mode(),
        m.uid(),
        m.gid(),
        m.nlink(),
        m.size(),
        m.rdev(),
        m.mtime(),
        m.mtime_nsec(),
        m.ctime(),
        m.ctime_nsec(),
        sum.finish(),
        attributes.join(" "),
    ))
}

/// Every file below a folder, as sorted relative paths.
pub fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                open.push(path.clone());
            }
            if let Ok(relative) = path.strip_prefix(folder) {
                found.insert(relative.to_owned());
            }
        }
    }
    found
}
