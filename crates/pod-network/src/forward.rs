//! Settings of single links: loopback up, which links pass packets on, and no trust in redirects.

use crate::error::NetworkError;
use crate::namespace::{enter, in_thread};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// Brings loopback up in a network namespace: in a new one it is down, and 127.0.0.1 reaches nothing. Blocks for as long as two system
/// calls take.
///
/// # Errors
/// When the namespace cannot be entered (it takes CAP_SYS_ADMIN) or the link not be set.
pub fn bring_up_loopback(namespace: OwnedFd) -> Result<(), NetworkError> {
    in_thread(move || {
        enter(namespace.as_fd())?;
        loopback_up()
    })
}

/// Likewise, in the namespace of the calling thread.
pub(crate) fn loopback_up() -> Result<(), NetworkError> {
    pod_sys::link::link_up("lo").map_err(NetworkError::Loopback)
}

fn setting(link: &str, name: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net/ipv4/conf")
        .join(link)
        .join(name)
}

/// Sets a parameter of a link where it has another value; tells whether it had.
pub(crate) fn set(link: &str, name: &str, value: &str) -> Result<bool, NetworkError> {
    let path = setting(link, name);
    let failed = |source: io::Error| NetworkError::File {
        step: "setting",
        path: path.clone(),
        source,
    };
    if fs::read_to_string(&path).map_err(failed)?.trim() == value {
        return Ok(false);
    }
    fs::write(&path, value).map_err(failed)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::enter;
    use nix::sched::{CloneFlags, unshare};
    use std::fs::File;

    #[test]
    fn loopback_is_up_in_that_namespace_and_the_caller_stays_where_it_was() {
        let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let namespace = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("needs root to make a network namespace");
            File::open("/proc/thread-self/ns/net").unwrap()
        })
        .join()
        .unwrap();
        bring_up_loopback(namespace.try_clone().unwrap().into()).unwrap();
        let reached = std::thread::spawn(move || {
            enter(namespace.as_fd()).unwrap();
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            std::net::TcpStream::connect(listener.local_addr().unwrap()).is_ok()
        });
        assert!(reached.join().unwrap());
        assert_eq!(
            std::fs::read_link("/proc/thread-self/ns/net").unwrap(),
            before
        );
    }

    #[test]
    fn what_is_no_network_namespace_is_refused() {
        let file = File::open("/proc/self/ns/ipc").unwrap();
        let error = bring_up_loopback(file.into()).unwrap_err();
        assert!(matches!(error, NetworkError::Enter(_)), "{error}");
    }
}
