//! The socket's place. A path longer than a socket address can hold (107 bytes) is reached through its folder's descriptor.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Name of the socket in the runtime folder.
pub const NAME: &str = "api.sock";

/// Opens the folder; a socket in it has the address `/proc/self/fd/<n>/<name>` for as long as the file lives.
fn address(run: &Path) -> io::Result<(File, PathBuf)> {
    let folder = File::open(run)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()));
    Ok((folder, path))
}

/// Listens in that folder; only its owner can connect (mode 0600). A socket that nobody listens on any more is replaced;
/// `AddrInUse` if somebody does. To be called within a tokio runtime.
pub fn listen(run: &Path) -> io::Result<UnixListener> {
    let (folder, path) = address(run)?;
    match std::os::unix::net::UnixStream::connect(&path) {
        Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(&path)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let listener = UnixListener::bind(&path)?;
    // The folder itself is 0700, so nobody could connect before this either.
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    drop(folder);
    Ok(listener)
}

/// Connects to the node in that folder. `NotFound` or `ConnectionRefused`: none runs.
pub async fn connect(run: &Path) -> io::Result<UnixStream> {
    let (folder, path) = address(run)?;
    let stream = UnixStream::connect(&path).await;
    drop(folder);
    stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_longer_than_a_socket_address_works() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("x".repeat(200));
        std::fs::create_dir(&run).unwrap();
        assert_eq!(
            connect(&run).await.unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let listener = listen(&run).unwrap();
        let mode = std::fs::metadata(run.join(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        connect(&run).await.unwrap();
        assert_eq!(listen(&run).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert_eq!(
            connect(&run).await.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        listen(&run).unwrap();
    }
}
