//! Mounts made by descriptor in a mount namespace of one's own, where they vanish with its last process.

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount,
};
use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Takes a mount namespace of its own in which no new mount propagates to the old one.
///
/// With `shared_but`, only the mount that holds that path stops to propagate, and the others go on to do so in both
/// directions (Kubernetes `mountPropagation: Bidirectional`).
///
/// # Errors
/// Those of `unshare` and `mount`.
pub fn private_namespace(shared_but: Option<&Path>) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    match shared_but {
        None => mount_change(
            "/",
            MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
        )?,
        Some(path) => {
            mount_change(mount_point_of(path)?, MountPropagationFlags::DOWNSTREAM)?;
        }
    }
    Ok(())
}

/// The mount point that holds `path`: the furthest parent folder with the same mount id.
fn mount_point_of(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    let id = mount_id(&path)?;
    let mut point = path.as_path();
    while let Some(parent) = point.parent()
        && mount_id(parent)? == id
    {
        point = parent;
    }
    Ok(point.to_path_buf())
}

fn mount_id(path: &Path) -> io::Result<u64> {
    let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    info.lines()
        .find_map(|line| line.strip_prefix("mnt_id:"))
        .and_then(|id| id.trim().parse().ok())
        .ok_or_else(|| io::Error::other("no mnt_id in /proc/self/fdinfo"))
}

/// Opens a folder as it is named, as a handle for the calls below.
///
/// # Errors
/// Those of `open`: `ENOTDIR` for a symbolic link at its end or anything else that is not a folder.
pub fn folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens `path` under `root` as if `root` were `/`: no symbolic link and no `..` leads out, and magic links are refused.
///
/// # Errors
/// Those of `openat2`.
pub fn open_in_root(root: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let how = match crate::weakened::is("s21") {
        true => ResolveFlags::empty(),
        false => ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    };
    Ok(retry(|| {
        rustix::fs::openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), how)
    })?)
}

/// Opens `path` under `folder` and refuses every symbolic link on the way and every way out.
///
/// # Errors
/// Those of `openat2`: `ELOOP` for a symbolic link (but the last component itself with `O_PATH | O_NOFOLLOW`).
pub fn open_beneath(folder: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let how = match crate::weakened::is("s13") {
        true => ResolveFlags::empty(),
        false => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    };
    Ok(retry(|| {
        rustix::fs::openat2(&folder, path, flags | OFlags::CLOEXEC, Mode::empty(), how)
    })?)
}

/// openat2 says EAGAIN where a rename or mount anywhere came between, and asks to be called again.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    let mut left = 128;
    loop {
        match call() {
            Err(Errno::AGAIN | Errno::INTR) if left > 0 => left -= 1,
            other => return other,
        }
    }
}

/// Mounts an overlay over `target`: `lower` read-only (topmost first), `upper` written to, `work` for the kernel.
///
/// The layers are spelled as descriptors, so that the options of 127 layers fit into the one page that every kernel takes,
/// and so that no colon or comma in a path can mean anything. The options ask for plain copy-up: no redirects are followed,
/// which an image could have planted, and nothing is written back at unmount (`volatile`): this layer is of no use to
/// anybody after a crash.
///
/// # Errors
/// Those of `mount`.
pub fn overlay(
    lower: &[OwnedFd],
    upper: impl AsFd,
    work: impl AsFd,
    target: impl AsFd,
) -> io::Result<()> {
    let mut options =
        String::from("index=off,metacopy=off,redirect_dir=nofollow,volatile,lowerdir=");
    for (n, layer) in lower.iter().enumerate() {
        if n > 0 {
            options.push(':');
        }
        options.push_str(&spelling(layer.as_fd()));
    }
    let _ = write!(
        options,
        ",upperdir={},workdir={}",
        spelling(upper.as_fd()),
        spelling(work.as_fd())
    );
    let options = std::ffi::CString::new(options)?;
    Ok(mount(
        c"overlay",
        spelling(target.as_fd()),
        c"overlay",
        MountFlags::empty(),
        options.as_c_str(),
    )?)
}

/// Binds a folder over `target`.
///
/// # Errors
/// Those of `mount`.
pub fn bind(folder: impl AsFd, target: impl AsFd) -> io::Result<()> {
    Ok(mount_bind(
        spelling(folder.as_fd()),
        spelling(target.as_fd()),
    )?)
}

/// Makes the bind mount at `target` read-only, without set-user-id programs and devices.
///
/// # Errors
/// Those of `mount`.
pub fn make_read_only(target: impl AsFd) -> io::Result<()> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount_remount(spelling(target.as_fd()), flags, c"")?)
}

/// A path that means this descriptor in this process.
fn spelling(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
