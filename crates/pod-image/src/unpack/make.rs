//! Makes one entry in a folder that is already open: by its name alone, following no link.

use crate::dirs::{self, os};
use crate::limits::Limits;
use crate::tape::{CopyFault, Entry, Kind, Sparse, Tape, TapeError};
use rustix::fs::{self, AtFlags, FileType, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};

/// What went wrong with an entry whose name is added later.
pub(super) enum Fault {
    Refused(String),
    Failed(&'static str, io::Error),
    Tape(TapeError),
}

impl From<CopyFault> for Fault {
    fn from(fault: CopyFault) -> Self {
        match fault {
            CopyFault::Read(e) => Self::Tape(e),
            CopyFault::Write(e) => Self::Failed("write it", e),
        }
    }
}

pub(super) fn refuse<T>(problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Refused(problem.into()))
}

pub(super) trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, Fault> {
        self.map_err(|e| Fault::Failed(step, e.into()))
    }
}

pub(super) fn file_is(stat: &Stat, kind: FileType) -> bool {
    dirs::file_type(stat) == kind
}

pub(super) fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanos: i64| Timespec {
        tv_sec: seconds,
        tv_nsec: nanos,
    };
    Timestamps {
        last_access: time(
            stat.st_atime,
            i64::try_from(stat.st_atime_nsec).unwrap_or(0),
        ),
        last_modification: time(
            stat.st_mtime,
            i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ),
    }
}

fn entry_times(entry: &Entry) -> Timestamps {
    let time = Timespec {
        tv_sec: entry.mtime.0,
        tv_nsec: i64::from(entry.mtime.1),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Hides a name of the layers below. What this layer itself puts there stays.
pub(super) fn whiteout(folder: &OwnedFd, hidden: &[u8]) -> Result<(), Fault> {
    if matches!(hidden, b"" | b"." | b"..") {
        return refuse("is a whiteout of no name");
    }
    match dirs::stat(folder, os(hidden)).step("look at what it hides")? {
        Some(stat) if file_is(&stat, FileType::Directory) => {
            let own = dirs::open_child(folder, os(hidden)).step("open the folder it hides")?;
            dirs::make_opaque(own).step("mark a folder as opaque")
        }
        Some(_) => Ok(()),
        None => fs::mknodat(
            folder,
            os(hidden),
            FileType::CharacterDevice,
            Mode::empty(),
            0,
        )
        .step("make a whiteout (it needs root)"),
    }
}

/// Takes away what an earlier entry of this layer put at this name.
pub(super) fn make_room(folder: &OwnedFd, name: &[u8]) -> Result<(), Fault> {
    match dirs::stat(folder, os(name)).step("look at it")? {
        None => Ok(()),
        Some(stat) if file_is(&stat, FileType::Directory) => {
            dirs::remove_tree(folder.as_fd(), os(name)).step("replace an earlier folder")
        }
        Some(_) => {
            fs::unlinkat(folder, os(name), AtFlags::empty()).step("replace an earlier entry")
        }
    }
}

pub(super) fn directory(folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Fault> {
    let before = dirs::stat(folder, os(name)).step("look at it")?;
    let own = match before {
        Some(stat) if file_is(&stat, FileType::Directory) => {
            dirs::open_child(folder, os(name)).step("open it")?
        }
        None => new_folder(folder, name, None)?,
        Some(_) => {
            // The earlier entry hid what lies below; so must the folder that takes its place.
            fs::unlinkat(folder, os(name), AtFlags::empty()).step("replace an earlier entry")?;
            let own = new_folder(folder, name, None)?;
            dirs::make_opaque(&own).step("mark it as opaque")?;
            own
        }
    };
    set_attributes(&own, entry)
}

/// Makes a folder as the layers below have it; else 0755 of root, as other unpackers do.
pub(super) fn new_folder(
    folder: &OwnedFd,
    name: &[u8],
    like: Option<&Stat>,
) -> Result<OwnedFd, Fault> {
    fs::mkdirat(folder, os(name), Mode::RWXU).step("make a folder")?;
    let own = dirs::open_child(folder, os(name)).step("open a folder")?;
    let mode = match like {
        Some(like) => {
            let (uid, gid) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
            fs::fchown(&own, Some(uid), Some(gid)).step("set the owner of a folder")?;
            Mode::from_raw_mode(like.st_mode & 0o7777)
        }
        None => Mode::from_raw_mode(0o755),
    };
    fs::fchmod(&own, mode).step("set the mode of a folder")?;
    if let Some(like) = like {
        fs::futimens(&own, &times(like)).step("set the times of a folder")?;
    }
    Ok(own)
}

pub(super) fn file<R: Read>(
    folder: &OwnedFd,
    name: &[u8],
    entry: &Entry,
    tape: &mut Tape<R>,
    limits: &Limits,
) -> Result<(), Fault> {
    let mut own = dirs::create_file(folder, os(name)).step("make the file")?;
    match &entry.sparse {
        None => drop(tape.copy_to(&mut own, u64::MAX)?),
        Some(sparse) => write_pieces(sparse, entry.size, tape, &mut own, limits)?,
    }
    set_attributes(&own, entry)
}

fn write_pieces<R: Read>(
    sparse: &Sparse,
    size: u64,
    tape: &mut Tape<R>,
    own: &mut std::fs::File,
    limits: &Limits,
) -> Result<(), Fault> {
    if sparse.real_size > limits.layer_bytes {
        let limit = limits.layer_bytes;
        return refuse(format!("is a sparse file of more than {limit} bytes"));
    }
    let mut end = 0;
    let mut total: u64 = 0;
    for (offset, length) in &sparse.pieces {
        let stop = offset.checked_add(*length);
        match stop {
            Some(stop) if *offset >= end && stop <= sparse.real_size => end = stop,
            _ => return refuse("is a sparse file whose map is out of order"),
        }
        own.seek(SeekFrom::Start(*offset)).step("write it")?;
        total += tape.copy_to(own, *length)?;
    }
    if total != size {
        return refuse("is a sparse file whose map does not fit its content");
    }
    own.set_len(sparse.real_size).step("write it")
}

pub(super) fn special(folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Fault> {
    let kind = match entry.kind {
        Kind::CharDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let device = match kind {
        FileType::Fifo => 0,
        _ => fs::makedev(entry.device.0, entry.device.1),
    };
    let mode = Mode::from_raw_mode(entry.mode);
    fs::mknodat(folder, os(name), kind, mode, device).step("make the device (it needs root)")?;
    own_by_name(folder, name, entry)?;
    // The umask took from the mode, and the change of owner its setuid bits. The node was made here, so it is no link.
    fs::chmodat(folder, os(name), mode, AtFlags::empty()).step("set its mode")?;
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    fs::utimensat(folder, os(name), &entry_times(entry), nofollow).step("set its times")
}

pub(super) fn own_by_name(folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), Fault> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    fs::chownat(folder, os(name), Some(uid), Some(gid), nofollow)
        .step("set its owner (it needs root)")?;
    fs::utimensat(folder, os(name), &entry_times(entry), nofollow).step("set its times")
}

/// Owner first (it clears setuid bits and file capabilities), then mode, then attributes, then times.
pub(super) fn set_attributes(own: impl AsFd, entry: &Entry) -> Result<(), Fault> {
    let own = own.as_fd();
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    fs::fchown(own, Some(uid), Some(gid)).step("set its owner (it needs root)")?;
    fs::fchmod(own, Mode::from_raw_mode(entry.mode)).step("set its mode")?;
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| may_set(name)) {
        match fs::fsetxattr(own, name.as_str(), value, XattrFlags::empty()) {
            // A file system without user attributes (tmpfs of older kernels) loses nothing a program relies on.
            Err(Errno::NOTSUP) if name.starts_with("user.") => {}
            done => done.step("set its extended attributes")?,
        }
    }
    fs::futimens(own, &entry_times(entry)).step("set its times")
}

/// File capabilities and users' own attributes. Never `trusted.` (overlayfs obeys it) nor `security.selinux` (the node's to say).
fn may_set(name: &str) -> bool {
    name == "security.capability"
        || (name.starts_with("user.") && !name.starts_with("user.overlay."))
}
