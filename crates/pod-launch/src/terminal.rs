//! Pseudo terminals that belong to a container's own devpts, and not to anything that only looks like it.

use crate::failure::{AtStep, Failure};
use pod_sys::mount::{folder, open_in_root};
use pod_sys::weakened;
use rustix::fs::{FileType, Gid, OFlags, Uid, fchown, fstat, fstatfs, major, minor};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const STEP: &str = "terminal";

/// DEVPTS_SUPER_MAGIC of linux/magic.h.
const DEVPTS: u64 = 0x1cd1;
/// Device of a master: TTYAUX_MAJOR and the ptmx minor.
const PTMX: (u32, u32) = (5, 2);
/// First and last of the UNIX98_PTY_SLAVE_MAJOR numbers.
const SLAVES: std::ops::RangeInclusive<u32> = 136..=143;

/// Opens a new terminal in the devpts of the root that this process has now; its other end belongs to `uid`.
pub(crate) fn open(uid: u32) -> Result<(OwnedFd, OwnedFd), Failure> {
    let root = folder(Path::new("/")).at(STEP, "opening /")?;
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    // /dev/ptmx is a link to it in most containers, and in a hostile one to anything; this is where devpts has it.
    let master =
        open_in_root(&root, Path::new("dev/pts/ptmx"), flags).at(STEP, "opening /dev/pts/ptmx")?;
    let stat = fstat(&master).at(STEP, "checking /dev/pts/ptmx")?;
    let device = (major(stat.st_rdev), minor(stat.st_rdev));
    let real = is_devpts(&master)?
        && FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && device == PTMX;
    if !real && !weakened::is("s09") {
        return Err(Failure::new(
            STEP,
            "/dev/pts/ptmx of the container is not a terminal master of a devpts",
        ));
    }
    unlockpt(&master).at(STEP, "unlocking it")?;
    let slave = give_to(&master, uid)?;
    Ok((master, slave))
}

/// Gives the other end of a terminal to `uid` (its group stays: that of devpts), and returns it.
pub(crate) fn give_to(master: impl AsFd, uid: u32) -> Result<OwnedFd, Failure> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags).at(STEP, "opening its other end")?;
    let stat = fstat(&slave).at(STEP, "checking its other end")?;
    if !is_devpts(&slave)? || !SLAVES.contains(&major(stat.st_rdev)) {
        return Err(Failure::new(
            STEP,
            "its other end is not a terminal of a devpts",
        ));
    }
    fchown(&slave, Some(Uid::from_raw(uid)), None::<Gid>).at(STEP, "giving it to the user")?;
    Ok(slave)
}

fn is_devpts(file: impl AsFd) -> Result<bool, Failure> {
    Ok(fstatfs(file).at(STEP, "checking its file system")?.f_type as u64 == DEVPTS)
}
