//! podwright-supervisor: parent of one sandbox's pause process and containers. It reaps them, writes their logs, records how they end,
//! and outlives the node daemon.
//!
//! One thread, one epoll loop, nothing that blocks. Started by the node daemon (in a session of its own, standard streams at /dev/null):
//!
//! ```text
//! podwright-supervisor --dir /run/podwright/sandboxes/<id> --launch-fd N --node-fd M [--launcher-ahead]
//!                      [--adopt [--held CONTAINER[/EXEC]:KIND]...]
//! ```
//!
//! N is the sealed memfd of podwright-launch, M one end of a socket pair: the first connection. Later ones come to `<dir>/supervisor.sock`.
//! With `--adopt` it takes over from one that was killed; what the node daemon held for that follows M in the order of `--held`.

mod adopt;
mod answers;
mod cgroup;
mod exits;
mod identity;
mod launch;
mod launcher;
mod leftovers;
mod logs;
mod oom;
mod output;
mod poll;
mod records;
mod removal;
mod replay;
mod serve;
mod state;
mod stop;
mod streams;
mod verify;

use adopt::Held;
use launcher::Launchers;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use pod_sys::{process, socket};
use poll::{Poller, Token};
use records::Place;
use rustix::fs::{FlockOperation, Mode};
use state::Supervisor;
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long a predecessor may take to be gone: the kernel closes what it held after it has reported its end.
const PREDECESSOR: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("podwright-supervisor: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let launcher = process::inherited_fd(arguments.launch_fd).map_err(why("--launch-fd"))?;
    let node = process::inherited_fd(arguments.node_fd).map_err(why("--node-fd"))?;
    let mut kept = vec![launcher.as_fd(), node.as_fd()];
    let first = arguments.node_fd + 1;
    let held = (first..).zip(&arguments.held);
    let held = held.map(|(number, name)| {
        let fd = process::inherited_fd(number).map_err(why(format!("--held {name}")))?;
        Ok((name.as_str(), fd))
    });
    let held = held.collect::<Result<Vec<_>, String>>()?;
    kept.extend(held.iter().map(|(_, fd)| fd.as_fd()));
    process::close_all_but(&kept).map_err(why("close_range"))?;
    process::become_subreaper().map_err(why("become subreaper"))?;
    // The spawner has done it; done here it only fails where we lead a session already.
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // A node without /proc has worse problems, and says so at the first container.
    let _ = oom::be_last();
    let signals = take_signals().map_err(why("signals"))?;

    let place = Place::in_sandbox(&arguments.dir);
    place.make().map_err(why("state"))?;
    // Held as long as this process lives.
    let _lock = lock(&place).map_err(why("another supervisor of this sandbox lives"))?;
    let path = arguments.dir.join("supervisor.sock");
    let bound = socket::bind(&path).and_then(|l| l.set_nonblocking(true).map(|()| l));
    let listener = bound.map_err(why(path.display()))?;
    let poll = Poller::new().map_err(why("epoll"))?;
    poll.watch(&signals, Token::Signals)
        .and_then(|()| poll.watch(&listener, Token::Listener))
        .map_err(why("epoll"))?;
    // Its folder may be moved or unmounted; everything has absolute paths.
    std::env::set_current_dir("/").map_err(why("/"))?;

    let launchers = Launchers::new(launcher, arguments.launcher_ahead);
    let mut supervisor = Supervisor::new(place, poll, listener, launchers);
    if arguments.adopt {
        let mut all = Held::default();
        for (name, fd) in held {
            all.enter(name, fd)?;
        }
        if let Err(e) = supervisor.adopt(all) {
            eprintln!("podwright-supervisor: {e}");
            // At once, with all descriptors open: who sees the connection end finds this status.
            std::process::exit(pod_wire::NOT_NOW);
        }
    } else {
        supervisor.save_own();
    }
    supervisor.connected(UnixStream::from(node));
    let served = supervisor.serve(&signals).map_err(why("wait"));
    // It may be gone with its folder.
    let _ = std::fs::remove_file(&path);
    served
}

/// Only one supervisor at a time works in a folder. A lock of this kind is the process's own: what it forks does not hold it.
fn lock(place: &Place) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(place.lock())?;
    let end = Instant::now() + PREDECESSOR;
    loop {
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(e) if Instant::now() > end => return Err(e.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Blocks the signals that are read from a descriptor instead.
fn take_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
    ] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

fn why<E: Display>(what: impl Display) -> impl FnOnce(E) -> String {
    move |e| format!("{what}: {e}")
}

/// The command line.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    dir: PathBuf,
    launch_fd: RawFd,
    node_fd: RawFd,
    launcher_ahead: bool,
    adopt: bool,
    held: Vec<String>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut dir, mut launch_fd, mut node_fd) = (None, None, None);
        let (mut launcher_ahead, mut adopt, mut held) = (false, false, Vec::new());
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--launcher-ahead" => {
                    launcher_ahead = true;
                    continue;
                }
                "--adopt" => {
                    adopt = true;
                    continue;
                }
                _ => {}
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name}: a value is missing"))?;
            let number = || value.parse::<RawFd>().map_err(why(&name));
            match name.as_str() {
                "--launch-fd" => launch_fd = Some(number()?),
                "--node-fd" => node_fd = Some(number()?),
                "--dir" => dir = Some(PathBuf::from(value)),
                "--held" => held.push(value),
                _ => return Err(format!("{name}: not known")),
            }
        }
        match (dir, launch_fd, node_fd) {
            (Some(dir), Some(launch_fd), Some(node_fd)) if dir.is_absolute() => Ok(Self {
                dir,
                launch_fd,
                node_fd,
                launcher_ahead,
                adopt,
                held,
            }),
            _ => Err("--dir (absolute), --launch-fd and --node-fd are needed; the node daemon starts this program".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_needs_an_absolute_folder_and_two_descriptors() {
        let parse = |text: &str| Arguments::parse(text.split_ascii_whitespace().map(str::to_owned));
        let got = parse("--dir /d --launch-fd 5 --node-fd 7").unwrap();
        assert_eq!(
            (got.launch_fd, got.node_fd, got.launcher_ahead),
            (5, 7, false)
        );
        assert!(
            parse("--launcher-ahead --dir /d --launch-fd 5 --node-fd 7")
                .unwrap()
                .launcher_ahead
        );
        let got = parse(
            "--dir /d --launch-fd 3 --node-fd 4 --adopt --held c:process --held c/e:terminal",
        )
        .unwrap();
        assert!(got.adopt);
        assert_eq!(got.held, ["c:process", "c/e:terminal"]);
        for bad in [
            "",
            "--dir d --launch-fd 5 --node-fd 7",
            "--dir /d --launch-fd x --node-fd 7",
            "--dir",
            "--what 1",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
