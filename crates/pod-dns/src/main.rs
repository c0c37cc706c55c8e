//! podwright-dns: answers names of Services and pods, on sockets that it is given, until its zone file is removed.
//!
//! ```text
//! podwright-dns --zone DIR        3: a UDP socket, 4: a listening TCP socket, 5: a lock
//! ```
//!
//! The lock is on an open file of the node daemon: it is held for as long as this process lives, which tells the next daemon that it
//! does. Works as the user nobody, without any capability.

use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use pod_dns::server::Server;
use pod_dns::watch::Watch;
use pod_sys::process::{SOCKET_FD, inherited_fd};
use std::io::{self, Error};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::{TcpListener, UdpSocket};

/// Uid and gid of nobody.
const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("podwright-dns: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the zone file, the only argument.
fn folder() -> io::Result<PathBuf> {
    let mut words = std::env::args_os().skip(1);
    match (words.next(), words.next(), words.next()) {
        (Some(option), Some(folder), None) if option == "--zone" => Ok(folder.into()),
        _ => Err(Error::other("usage: podwright-dns --zone DIR")),
    }
}

fn run() -> io::Result<()> {
    let folder = folder()?;
    let udp = inherited_fd(SOCKET_FD)?;
    let tcp = inherited_fd(SOCKET_FD + 1)?;
    // Held until the end.
    let _lock = inherited_fd(SOCKET_FD + 2)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let watch = Watch::new(&folder)?;
        become_nobody()?;
        let udp = std::net::UdpSocket::from(udp);
        let tcp = std::net::TcpListener::from(tcp);
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        serve(
            &watch,
            UdpSocket::from_std(udp)?,
            TcpListener::from_std(tcp)?,
        )
        .await
    })
}

/// Gives up everything that reading packets of pods does not need.
fn become_nobody() -> io::Result<()> {
    if Uid::effective().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        setgroups(&[])?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
    }
    Ok(())
}

async fn serve(watch: &Watch, udp: UdpSocket, tcp: TcpListener) -> io::Result<()> {
    let Some(zone) = watch.read()? else {
        return Ok(());
    };
    let server = Server::new(&zone);
    let datagrams = server.datagrams(udp);
    let streams = server.streams(tcp);
    tokio::pin!(datagrams, streams);
    loop {
        tokio::select! {
            ended = &mut datagrams => return ended,
            ended = &mut streams => return ended,
            changed = watch.changed() => {
                changed?;
                match watch.read() {
                    Ok(Some(zone)) => server.replace(&zone),
                    Ok(None) => return Ok(()),
                    // The file is written whole; one that is not stays unread, and what was known goes on.
                    Err(error) => eprintln!("podwright-dns: reading the zone: {error}"),
                }
            }
        }
    }
}
