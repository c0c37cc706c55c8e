//! Taking over from a supervisor that was killed: its containers have gone on, and go on.
//!
//! ```text
//! state/<id>.container:  being made? ── its launcher killed, its cgroup emptied and removed: as if it had never been asked for
//!                        ended?     ── its record
//!                        else          pidfd: held by the node daemon, else opened by pid and start time
//!                                        ├─ none ── it has ended, and nobody can know how
//!                                        └─ let go if it was to be started, and watched like any other: "running", or the one way of finding out how it ended
//! ```
//!
//! The parent of an adopted process is init, not we: its end is told by its pidfd all the same.

use crate::exits::Ended;
use crate::identity::{self, Identity, lacks};
use crate::launch::let_go;
use crate::leftovers;
use crate::logs::Log;
use crate::poll::{Due, Token};
use crate::records::{SavedContainer, read_exit};
use crate::state::{Container, Exec, Output, Remains, Source, Supervisor, Then};
use crate::streams;
use pod_wire::supervisor::Descriptor;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Descriptors that the node daemon has held for us. By container, then exec (none for the container itself), then kind.
#[derive(Debug, Default)]
pub(crate) struct Held(BTreeMap<(String, Option<String>, Descriptor), OwnedFd>);

impl Held {
    /// Enters one by its name on the command line: `<container>[/<exec>]:<kind>`.
    pub(crate) fn enter(&mut self, name: &str, fd: OwnedFd) -> Result<(), String> {
        let unknown = || format!("--held {name}: not known");
        let (whose, kind) = name.split_once(':').ok_or_else(unknown)?;
        let kind = match kind {
            "terminal" => Descriptor::Terminal,
            "process" => Descriptor::Process,
            "stdin" => Descriptor::Stdin,
            "stdout" => Descriptor::Stdout,
            "stderr" => Descriptor::Stderr,
            _ => return Err(unknown()),
        };
        let (id, exec) = match whose.split_once('/') {
            Some((id, exec)) => (id, Some(exec.to_owned())),
            None => (whose, None),
        };
        self.0.insert((id.to_owned(), exec, kind), fd);
        Ok(())
    }

    fn take(&mut self, id: &str, exec: Option<&str>, kind: Descriptor) -> Option<OwnedFd> {
        self.0
            .remove(&(id.to_owned(), exec.map(str::to_owned), kind))
    }

    /// The process of that identity: held, or opened now.
    fn process(
        &mut self,
        id: &str,
        exec: Option<&str>,
        process: Identity,
    ) -> io::Result<Option<OwnedFd>> {
        let held = self.take(id, exec, Descriptor::Process);
        // Of one that has been reaped a pidfd names no pid any more; that it was this one the node daemon knows.
        let held = held.filter(|fd| identity::pid_of(fd).is_none_or(|pid| pid == process.pid));
        held.map_or_else(|| process.open(), |held| Ok(Some(held)))
    }

    /// All that is to be known of a container before anything is done to it.
    fn look(&mut self, mut saved: SavedContainer, of_this_boot: bool) -> io::Result<Found> {
        let pidfd = match saved.process {
            Some(process) if of_this_boot => self.process(&saved.id, None, process)?,
            _ => None,
        };
        let mut execs = Vec::new();
        for exec in &saved.execs {
            let pidfd = match exec.process {
                Some(process) => self.process(&saved.id, Some(&exec.name), process)?,
                None => None,
            };
            execs.push(pidfd);
        }
        if saved.exit.is_none() && saved.process.is_some() {
            saved.exit = read_exit(&saved.exit_file)?;
        }
        Ok(Found {
            pidfd,
            execs,
            output: Output {
                settings: saved.log.clone(),
                tty: saved.tty,
                ..Output::default()
            },
            saved,
        })
    }
}

/// A container that is written down, its process, those of its execs in the same order, and where its output goes.
struct Found {
    saved: SavedContainer,
    pidfd: Option<OwnedFd>,
    execs: Vec<Option<OwnedFd>>,
    output: Output,
}

impl Supervisor {
    /// Takes over what a predecessor in the same folder has left.
    ///
    /// # Errors
    /// A part of it cannot be looked at now. Nothing was done to any of it.
    pub(crate) fn adopt(&mut self, mut held: Held) -> io::Result<()> {
        let predecessor = self.place.predecessor()?;
        let of_this_boot = match &predecessor {
            Some(predecessor) => identity::boot_id()? == predecessor.boot_id,
            None => true,
        };
        let containers = self.place.containers()?.into_iter();
        let mut containers = containers
            .map(|saved| held.look(saved, of_this_boot))
            .collect::<io::Result<Vec<_>>>()?;
        for Found { saved, output, .. } in &mut containers {
            if saved.process.is_some() && saved.exit.is_none() {
                // Whatever it has written of the log until it fails is what the next one would write.
                self.adopt_streams(saved, &mut held, output)?;
            }
        }
        if let Some(predecessor) = &predecessor {
            self.replays.enter(predecessor.generation);
            if of_this_boot {
                leftovers::end_launchers(predecessor.process);
            }
        }
        // The pause process first: it is what the namespaces of the others are compared with.
        containers.sort_by_key(|c| !c.saved.pause);
        for found in containers {
            match found.saved.process {
                Some(process) => self.adopt_container(found, process, &mut held),
                None => {
                    let saved = found.saved;
                    let remains = Remains {
                        cgroup_dirs: saved.cgroup_dirs,
                        state_dir: saved.state_dir,
                    };
                    self.remove(remains, Then::Undone(saved.id));
                }
            }
        }
        self.save_own();
        Ok(())
    }

    fn adopt_container(&mut self, found: Found, process: Identity, held: &mut Held) {
        let Found {
            saved,
            pidfd,
            execs,
            output,
        } = found;
        let number = self.number();
        let exit = saved.exit.clone();
        let has_ended = exit.is_some();
        let stdin = held.take(&saved.id, None, Descriptor::Stdin);
        let pid_is_gone = pidfd.is_none();
        let watched = pidfd.as_ref().filter(|_| !has_ended);
        let watched =
            watched.is_none_or(|fd| self.poll.watch(fd, Token::Container(number)).is_ok());
        // What cannot be watched is not read either; its end is looked for below.
        let _ = output.watch(number, &self.poll);
        let container = Container {
            pause: saved.pause,
            process,
            pidfd,
            clamped: saved.clamped,
            started_at: saved.started_at,
            exit,
            state_dir: saved.state_dir,
            bundle: saved.bundle,
            cgroup_dirs: saved.cgroup_dirs,
            exit_file: saved.exit_file,
            output,
            stdin: stdin.filter(|_| !has_ended),
            stopped: saved.stopped,
            kills: 0,
            deleting: false,
            id: saved.id,
        };
        let id = container.id.clone();
        self.containers.insert(number, container);
        let begun = saved.execs.iter().filter(|e| e.process.is_none());
        let begun = begun.map(|e| e.since).min();
        for (exec, pidfd) in saved.execs.into_iter().zip(execs) {
            if let Some(process) = exec.process {
                self.adopt_exec(&id, exec.name, process, pidfd, held);
            }
        }
        if let Some(since) = begun.filter(|_| !has_ended) {
            // A process whose start was under way may run in the container without anybody's knowledge.
            self.end_strangers(&id, since);
        }
        if !has_ended && (pid_is_gone || !watched) {
            self.record_end(number, Ended::Unknown);
        } else if !has_ended {
            if let Some(container) = self.containers.get(&number)
                && container.started_at.is_some()
            {
                // Written down as started and not let go yet, or let go already: then nobody listens there.
                let _ = let_go(&container.state_dir);
            }
            self.look_at_log(number);
            if let Some(at) = saved.kill_at {
                self.timers.set_monotonic(Due::Kill(number), at);
            }
        }
        self.save(number);
        if saved.deleting
            && let Some(container) = self.containers.get_mut(&number)
        {
            container.deleting = true;
            let remains = container.remains();
            self.remove(remains, Then::Forget(number, None));
        }
    }

    fn adopt_streams(
        &mut self,
        saved: &SavedContainer,
        held: &mut Held,
        output: &mut Output,
    ) -> io::Result<()> {
        if let Some(settings) = &saved.log {
            let base = self.place.log(&saved.id);
            // Without its log a container still runs; what it prints is read and lost.
            output.log = match Log::adopt(settings.clone(), &base, &mut self.scratch) {
                Err(e) if lacks(&e) => return Err(e),
                adopted => adopted.ok(),
            };
        }
        if saved.tty {
            let terminal = held.take(&saved.id, None, Descriptor::Terminal);
            output.stdout = terminal.map(Source::new);
        } else {
            let [stdout, stderr] = saved.pipes;
            let stdout = (Descriptor::Stdout, stdout);
            let stderr = (Descriptor::Stderr, stderr);
            let mut find = |(kind, inode): (Descriptor, Option<u64>)| {
                let found = match (held.take(&saved.id, None, kind), inode) {
                    (None, Some(inode)) => find_pipe(&saved.cgroup_dirs, inode)?,
                    (held, _) => held,
                };
                Ok::<_, io::Error>(found.map(Source::new))
            };
            (output.stdout, output.stderr) = (find(stdout)?, find(stderr)?);
        }
        for source in [&output.stdout, &output.stderr].into_iter().flatten() {
            // It only fails for what is no open descriptor.
            let _ = streams::nonblocking(&source.fd);
        }
        Ok(())
    }

    fn adopt_exec(
        &mut self,
        container: &str,
        name: String,
        process: Identity,
        pidfd: Option<OwnedFd>,
        held: &mut Held,
    ) {
        let terminal = held.take(container, Some(&name), Descriptor::Terminal);
        let number = self.number();
        let watched = pidfd.as_ref();
        let watched = watched.is_some_and(|fd| self.poll.watch(fd, Token::Exec(number)).is_ok());
        let exec = Exec {
            container: container.to_owned(),
            name,
            process,
            pidfd,
            terminal,
        };
        self.execs.insert(number, exec);
        if !watched {
            self.record_exec_end(number, Ended::Unknown);
        }
    }
}

/// The read end of a pipe that any process of the container holds open.
///
/// # Errors
/// There is no descriptor, or no memory, to look for it: who took it for gone would lose what the container prints, and hold it up.
fn find_pipe(cgroup_dirs: &[PathBuf], inode: u64) -> io::Result<Option<OwnedFd>> {
    let name = PathBuf::from(format!("pipe:[{inode}]"));
    let Some(dir) = cgroup_dirs.first() else {
        return Ok(None);
    };
    let text = unless_lacking(std::fs::read_to_string(dir.join("cgroup.procs")))?;
    for pid in text.unwrap_or_default().lines() {
        let fds = unless_lacking(std::fs::read_dir(format!("/proc/{pid}/fd")))?;
        for link in fds.into_iter().flatten().flatten().map(|e| e.path()) {
            // Looked at before it is opened: opening anything else might wait, or do something.
            if std::fs::read_link(&link).is_ok_and(|to| to == name)
                && let Some(fd) = unless_lacking(open_pipe(&link))?
                // By then the number may have meant another file.
                && rustix::fs::fstat(&fd).is_ok_and(|stat| stat.st_ino == inode)
            {
                return Ok(Some(fd));
            }
        }
    }
    Ok(None)
}

fn open_pipe(link: &Path) -> io::Result<OwnedFd> {
    let flags =
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::open(link, flags, rustix::fs::Mode::empty())?)
}

/// `None`: it is gone, or is nothing of ours.
fn unless_lacking<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(e) if lacks(&e) => Err(e),
        looked => Ok(looked.ok()),
    }
}
