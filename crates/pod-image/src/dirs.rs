//! Files by folder descriptor: every step takes one name, and no symlink is ever followed.

use crate::weakened::weakened;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Marks a folder of an overlayfs layer that hides the folders of its name below (kernel doc, overlayfs "whiteouts and opaque directories").
const OPAQUE: &str = "trusted.overlay.opaque";

/// One name in a folder cannot lead out of it, through a link of any kind, or onto another file system.
fn stay() -> ResolveFlags {
    ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV
}

/// Opens a folder of the store by its path.
pub(crate) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(fs::open(path, flags, Mode::empty())?)
}

/// Opens a folder within a folder.
pub(crate) fn open_child(dir: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if weakened("s25-links") {
        return fs::openat(dir, name, flags, Mode::empty());
    }
    fs::openat2(dir, name, flags | OFlags::NOFOLLOW, Mode::empty(), stay())
}

/// Opens a regular file for reading. A pipe or device of that name neither blocks nor acts.
pub(crate) fn open_regular(dir: impl AsFd, name: &OsStr) -> io::Result<Option<File>> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if !matches!(stat(&dir, name)?, Some(s) if file_type(&s) == FileType::RegularFile) {
        return Ok(None);
    }
    let fd = fs::openat2(&dir, name, flags, Mode::empty(), stay())?;
    let regular = file_type(&fs::fstat(&fd)?) == FileType::RegularFile;
    Ok(regular.then(|| File::from(fd)))
}

/// Makes a new regular file; fails where the name exists.
pub(crate) fn create_file(dir: impl AsFd, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat2(dir, name, flags, Mode::RUSR | Mode::WUSR, stay()).map(File::from)
}

/// What the name stands for itself; `None` if there is nothing.
pub(crate) fn stat(dir: impl AsFd, name: &OsStr) -> Result<Option<Stat>, Errno> {
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// A character device 0:0, by which overlayfs hides a name of the layers below.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether the folder hides the folders of its name below.
pub(crate) fn is_opaque(dir: impl AsFd) -> io::Result<bool> {
    let mut value = [0_u8; 4];
    match fs::fgetxattr(dir, OPAQUE, value.as_mut_slice()) {
        Ok(1) => Ok(value.starts_with(b"y")),
        Ok(_) => Ok(false),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

pub(crate) fn make_opaque(dir: impl AsFd) -> Result<(), Errno> {
    fs::fsetxattr(dir, OPAQUE, b"y", XattrFlags::empty())
}

/// Removes a folder within a folder, and all in it.
pub(crate) fn remove_tree(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // The standard library walks by descriptors and follows no link; it only has no door that takes one.
    let base = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string());
    std::fs::remove_dir_all(base.join(name))
}

/// Bytes as a file name.
pub(crate) fn os(name: &[u8]) -> &OsStr {
    OsStr::from_bytes(name)
}
