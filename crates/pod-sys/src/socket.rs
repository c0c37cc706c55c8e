//! Unix sockets on paths of any length.
//!
//! A socket address holds 108 bytes. A longer path is reached through its folder's descriptor: `/proc/self/fd/N/name`.

use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Longest path that fits into `sockaddr_un`, its NUL not counted.
const LONGEST: usize = 107;

/// Binds and listens at `path`, with mode 0600. What was there is removed first.
///
/// # Errors
/// Those of `open` on the folder, `unlink`, `bind` and `chmod`.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let (_folder, short) = shorten(path)?;
    // umask keeps the socket closed to others between bind and chmod; the folder is 0700 besides.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(&short);
    rustix::process::umask(before);
    listener
}

/// Connects to the socket at `path`.
///
/// # Errors
/// Those of `open` on the folder and of `connect`.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let (_folder, short) = shorten(path)?;
    UnixStream::connect(short)
}

/// The same place by a path that fits, valid as long as the descriptor is open.
fn shorten(path: &Path) -> io::Result<(Option<OwnedFd>, PathBuf)> {
    if path.as_os_str().len() <= LONGEST {
        return Ok((None, path.to_owned()));
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    Ok((Some(folder), short))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_socket_can_lie_at_a_path_longer_than_an_address_and_is_private() {
        let base = std::env::temp_dir().join(format!("pod-sys-socket-{}", std::process::id()));
        let folder = base.join("f".repeat(100)).join("g".repeat(100));
        std::fs::create_dir_all(&folder).unwrap();
        for path in [base.join("short"), folder.join("long")] {
            let listener = bind(&path).unwrap();
            let again = bind(&path).unwrap();
            drop(listener);
            let mode = std::fs::symlink_metadata(&path)
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
            let mut client = connect(&path).unwrap();
            let (mut server, _) = again.accept().unwrap();
            client.write_all(b"x").unwrap();
            drop(client);
            let mut text = String::new();
            server.read_to_string(&mut text).unwrap();
            assert_eq!(text, "x");
        }
        std::fs::remove_dir_all(base).unwrap();
    }
}
