//! Mounts that must be on the node itself: tmpfs volumes, shared memory, what is bound by descriptor. Each is found again and unmounted.

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whether something is mounted at exactly that path. A path that is not there is none.
pub(crate) fn is_mount_point(path: &Path) -> io::Result<bool> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(CWD, path, flags, StatxFlags::BASIC_STATS) {
        Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Mounts a tmpfs that is never swapped out, where the kernel can promise that (Linux 6.4). `options` as tmpfs(5) has them.
pub(crate) fn mount_tmpfs(target: &Path, exec: bool, options: &str) -> io::Result<()> {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
    if !exec {
        flags |= MountFlags::NOEXEC;
    }
    let with = |more: &str| {
        let data = CString::new(format!("{options}{more}"))?;
        Ok::<_, io::Error>(mount(c"tmpfs", target, c"tmpfs", flags, data.as_c_str())?)
    };
    match with(",noswap") {
        Err(e) if e.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => with(""),
        other => other,
    }
}

/// Unmounts what is mounted at that path, as often as something is. What is still in use vanishes with its last user.
pub(crate) fn unmount_one(path: &Path) -> io::Result<()> {
    while is_mount_point(path)? {
        unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    }
    Ok(())
}

/// Unmounts everything at or below that path, latest first. All are tried; the first error is given.
pub(crate) fn unmount_below(path: &Path) -> io::Result<()> {
    let mut first = Ok(());
    for point in mount_points_below(path)?.iter().rev() {
        if let Err(e) = unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
            // It went with another one that it lay in.
            && !matches!(e, Errno::INVAL | Errno::NOENT)
            && first.is_ok()
        {
            first = Err(io::Error::new(
                io::Error::from(e).kind(),
                format!("unmounting {}: {e}", point.display()),
            ));
        }
    }
    first
}

fn mount_points_below(path: &Path) -> io::Result<Vec<PathBuf>> {
    let text = std::fs::read("/proc/self/mountinfo")?;
    let points = text
        .split(|b| *b == b'\n')
        .filter_map(|line| line.split(|b| *b == b' ').nth(4))
        .map(unescape);
    Ok(points.filter(|p| p.starts_with(path)).collect())
}

/// A path as mountinfo writes it: space, tab, line break and backslash as three octal digits.
pub(crate) fn unescape(bytes: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\')
            .then(|| tail.get(..3))
            .flatten()
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_mount_points_are_read_back() {
        assert_eq!(unescape(b"/a\\040b\\134c"), PathBuf::from("/a b\\c"));
        assert_eq!(unescape(b"/a\\9"), PathBuf::from("/a\\9"));
    }

    #[test]
    fn the_root_is_a_mount_point_and_a_missing_path_is_none() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(!is_mount_point(Path::new("/no/such/path")).unwrap());
        assert!(!is_mount_point(Path::new("/proc/self/status/x")).unwrap());
    }

    /// As the kernel writes a path into mountinfo.
    fn escape(path: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in path {
            match byte {
                b' ' | b'\t' | b'\n' | b'\\' => out.extend(format!("\\{byte:03o}").bytes()),
                other => out.push(*other),
            }
        }
        out
    }

    proptest::proptest! {
        #[test]
        fn s32_a_mount_point_of_any_bytes_is_read_back(path in proptest::collection::vec(1_u8.., 0..60)) {
            let read = unescape(&escape(&path));
            proptest::prop_assert_eq!(read.as_os_str().as_bytes(), &path);
        }

        #[test]
        fn s32_no_bytes_make_the_reader_of_a_mount_point_panic(bytes in proptest::collection::vec(0_u8.., 0..60)) {
            let _ = unescape(&bytes);
        }
    }
}
