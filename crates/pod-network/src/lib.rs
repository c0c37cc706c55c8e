//! Networks of sandboxes. So far: a namespace of its own with nothing but loopback.
//!
//! Plain functions; the binary fits them to the driver's trait.

use nix::sched::{CloneFlags, setns};
use std::io;
use std::os::fd::OwnedFd;

/// Why a network namespace could not be set up.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what the fields are")]
pub enum NetworkError {
    #[error("network namespace: starting a thread to enter it")]
    Thread(#[source] io::Error),
    #[error("network namespace: entering it; needs root")]
    Enter(#[source] io::Error),
    #[error("network namespace: bringing the loopback link up")]
    Loopback(#[source] io::Error),
    #[error("network namespace: the thread that was to set it up has died")]
    Died,
}

/// Brings loopback up in a network namespace: in a new one it is down, and 127.0.0.1 reaches nothing. Blocks for as long as two system
/// calls take.
///
/// # Errors
/// When the namespace cannot be entered (it takes CAP_SYS_ADMIN) or the link not be set.
pub fn bring_up_loopback(namespace: OwnedFd) -> Result<(), NetworkError> {
    // A thread has its own network namespace; it ends with it, so that no other work ever runs in there.
    let work = move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(|e| NetworkError::Enter(e.into()))?;
        pod_sys::link::link_up("lo").map_err(NetworkError::Loopback)
    };
    let thread = std::thread::Builder::new()
        .name("netns".to_owned())
        .spawn(work)
        .map_err(NetworkError::Thread)?;
    thread.join().unwrap_or(Err(NetworkError::Died))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::unshare;
    use std::fs::File;

    /// Privileged: runs only as root, which the project's test command is.
    #[test]
    fn loopback_is_up_in_that_namespace_and_the_caller_stays_where_it_was() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root to make a network namespace");
            return;
        }
        let before = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let namespace = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        })
        .join()
        .unwrap();
        bring_up_loopback(namespace.try_clone().unwrap().into()).unwrap();
        let reached = std::thread::spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
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
