//! Everything that the supervisor knows and holds. The verbs on it stand in the modules above this one.

use crate::identity::{self, Identity};
use crate::launcher::{Launcher, Launchers};
use crate::logs::{Log, Scratch};
use crate::poll::{Due, Poller, Timers};
use crate::records::{self, Place, SavedContainer, SavedExec, SavedSupervisor};
use crate::replay::{Asker, Replays};
use pod_sys::frame::{FrameReader, FrameWriter};
use pod_wire::supervisor::{
    ContainerState, CreateContainer, Event, ExitRecord, Failure, Hello, ReplyBody,
};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

/// The supervisor of one sandbox.
pub(crate) struct Supervisor {
    /// Where a successor finds what it needs.
    pub(crate) place: Place,
    pub(crate) spare: Spare,
    pub(crate) poll: Poller,
    pub(crate) timers: Timers,
    pub(crate) listener: UnixListener,
    pub(crate) launchers: Launchers,
    /// Number for the next container, exec, operation, connection or removal.
    next: u32,
    pub(crate) containers: BTreeMap<u32, Container>,
    pub(crate) execs: BTreeMap<u32, Exec>,
    pub(crate) operations: BTreeMap<u32, Operation>,
    pub(crate) removals: BTreeMap<u32, Removal>,
    pub(crate) connections: BTreeMap<u32, Connection>,
    pub(crate) replays: Replays,
    /// Who asked for the state while something was being made.
    pub(crate) state_asked: Vec<Asker>,
    /// Who asked for the end.
    pub(crate) shutdown: Option<Asker>,
    /// The end is reached: leave the loop once what is queued is sent.
    pub(crate) ended: bool,
    /// Where output goes through.
    pub(crate) scratch: Scratch,
    /// Ends of exec'd processes that happened while no node daemon was connected.
    pub(crate) untold: Vec<Event>,
}

/// One container, from the launcher's answer to its deletion.
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) pause: bool,
    pub(crate) process: Identity,
    /// Kept after the end too: a replayed answer carries it. `None` only where it was gone when this supervisor took over.
    pub(crate) pidfd: Option<OwnedFd>,
    pub(crate) clamped: Vec<String>,
    pub(crate) started_at: Option<String>,
    pub(crate) exit: Option<ExitRecord>,
    pub(crate) state_dir: PathBuf,
    pub(crate) bundle: PathBuf,
    pub(crate) cgroup_dirs: Vec<PathBuf>,
    pub(crate) exit_file: PathBuf,
    pub(crate) output: Output,
    /// Write end of its standard input.
    pub(crate) stdin: Option<OwnedFd>,
    /// Somebody asked for its end.
    pub(crate) stopped: bool,
    /// Rounds of killing done since the grace period ended.
    pub(crate) kills: u32,
    /// Somebody asked to have it forgotten: its removal runs.
    pub(crate) deleting: bool,
}

/// Where a container's output comes from and goes to.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) log: Option<Log>,
    /// What the log was asked to be, for a successor.
    pub(crate) settings: Option<pod_wire::supervisor::Log>,
    /// Standard output, or the terminal's master.
    pub(crate) stdout: Option<Source>,
    pub(crate) stderr: Option<Source>,
    /// Whether `stdout` is a terminal's master: it is kept open to the end, and handed out.
    pub(crate) tty: bool,
}

/// One stream that is read.
pub(crate) struct Source {
    pub(crate) fd: OwnedFd,
    /// Its end was seen: it is not watched any more.
    pub(crate) ended: bool,
}

impl Source {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { fd, ended: false }
    }
}

/// A process that was started in a running container.
pub(crate) struct Exec {
    pub(crate) container: String,
    pub(crate) name: String,
    pub(crate) process: Identity,
    /// `None` only where it was gone when this supervisor took over.
    pub(crate) pidfd: Option<OwnedFd>,
    /// Its terminal's master, if it has one; held so that it lives on if the node daemon dies.
    pub(crate) terminal: Option<OwnedFd>,
}

/// A launcher at work, from its request to its end.
pub(crate) struct Operation {
    pub(crate) launcher: Launcher,
    pub(crate) reader: FrameReader,
    pub(crate) writer: FrameWriter,
    pub(crate) work: Work,
}

/// What a launcher does.
pub(crate) enum Work {
    /// It makes a container.
    Create(Box<Creation>),
    /// It starts a process in one.
    Exec {
        asker: Asker,
        container: String,
        name: String,
        tty: bool,
    },
    /// It has done it; only its end is awaited.
    Done,
    /// It has not done it; after its end the remains go, and the failure is told.
    Failed {
        asker: Asker,
        failure: Failure,
        /// The container's id and what is left of it.
        remains: Option<(String, Remains)>,
    },
}

/// A container that is being made.
pub(crate) struct Creation {
    pub(crate) asker: Asker,
    pub(crate) request: CreateContainer,
    /// Let it go as soon as it is verified.
    pub(crate) start: bool,
    pub(crate) output: Output,
    pub(crate) stdin: Option<OwnedFd>,
}

/// What a container leaves behind on the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remains {
    pub(crate) cgroup_dirs: Vec<PathBuf>,
    pub(crate) state_dir: PathBuf,
}

/// Remains on their way out; tried again until they are gone or time is up.
pub(crate) struct Removal {
    pub(crate) remains: Remains,
    pub(crate) tries: u32,
    pub(crate) then: Then,
}

/// What follows a removal.
pub(crate) enum Then {
    /// The container of that number is forgotten and its deletion answered to whoever has asked this supervisor for it.
    Forget(u32, Option<Asker>),
    /// What a predecessor has left of a create that it did not finish is forgotten: the container's id.
    Undone(String),
    /// The failed operation is answered; it is still the one of this id.
    Answer(Asker, String, Failure),
    /// Shutdown goes on.
    Shutdown(u32),
}

/// A connection to a node daemon.
pub(crate) struct Connection {
    pub(crate) socket: UnixStream,
    pub(crate) reader: FrameReader,
    pub(crate) writer: FrameWriter,
    /// What it said of itself; requests are served only after it.
    pub(crate) hello: Option<Hello>,
}

/// A descriptor held in reserve, so that the end of a container can be written down when there is no free one.
#[derive(Debug, Default)]
pub(crate) struct Spare(Option<OwnedFd>);

impl Spare {
    /// Takes one in reserve, if there is one to be had.
    pub(crate) fn refill(&mut self) {
        if self.0.is_none() {
            self.0 = std::fs::File::open("/dev/null").ok().map(OwnedFd::from);
        }
    }

    /// Does something that needs one descriptor for a moment.
    pub(crate) fn lend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.0 = None;
        let done = work();
        self.refill();
        done
    }
}

impl Supervisor {
    pub(crate) fn new(
        place: Place,
        poll: Poller,
        listener: UnixListener,
        launchers: Launchers,
    ) -> Self {
        let mut spare = Spare::default();
        spare.refill();
        Self {
            place,
            spare,
            poll,
            timers: Timers::default(),
            listener,
            launchers,
            next: 0,
            containers: BTreeMap::new(),
            execs: BTreeMap::new(),
            operations: BTreeMap::new(),
            removals: BTreeMap::new(),
            connections: BTreeMap::new(),
            replays: Replays::default(),
            state_asked: Vec::new(),
            shutdown: None,
            ended: false,
            scratch: Scratch::default(),
            untold: Vec::new(),
        }
    }

    /// A number that nothing alive has.
    pub(crate) fn number(&mut self) -> u32 {
        loop {
            self.next = self.next.wrapping_add(1);
            let n = self.next;
            let taken = self.containers.contains_key(&n)
                || self.execs.contains_key(&n)
                || self.operations.contains_key(&n)
                || self.removals.contains_key(&n)
                || self.connections.contains_key(&n);
            if !taken {
                return n;
            }
        }
    }

    /// Number of the container of that id.
    pub(crate) fn find(&self, id: &str) -> Option<u32> {
        self.containers
            .iter()
            .find(|(_, c)| c.id == id)
            .map(|(n, _)| *n)
    }

    /// Number of that exec of that container.
    pub(crate) fn find_exec(&self, id: &str, exec: &str) -> Option<u32> {
        self.execs
            .iter()
            .find(|(_, e)| e.container == id && e.name == exec)
            .map(|(n, _)| *n)
    }

    /// Whether something of that id exists, is being made, or is on its way out.
    pub(crate) fn is_taken(&self, id: &str) -> bool {
        self.find(id).is_some()
            || self.operations.values().any(|o| match &o.work {
                Work::Create(creation) => creation.request.create.id == id,
                Work::Failed {
                    remains: Some((other, _)),
                    ..
                } => other == id,
                _ => false,
            })
            || self
                .removals
                .values()
                .any(|r| matches!(&r.then, Then::Answer(_, other, _) | Then::Undone(other) if other == id))
    }

    /// Pid of the pause process, if it was made here.
    pub(crate) fn pause_pid(&self) -> Option<i32> {
        self.containers
            .values()
            .find(|c| c.pause && c.exit.is_none())
            .map(|c| c.process.pid)
    }

    /// Everything known, for a node daemon.
    pub(crate) fn all(&self) -> ReplyBody {
        let state = |c: &Container| {
            let execs = self.execs.values().filter(|e| e.container == c.id);
            c.state(execs.map(|e| e.name.clone()).collect())
        };
        ReplyBody::State(self.containers.values().map(state).collect())
    }

    /// Writes down who this is. What is written serves a successor only: a failure changes nothing here.
    pub(crate) fn save_own(&mut self) {
        let (Some(process), Ok(boot_id)) = (
            Identity::of(std::process::id().cast_signed()),
            identity::boot_id(),
        ) else {
            return;
        };
        let saved = SavedSupervisor {
            version: records::VERSION,
            boot_id,
            process,
            generation: self.replays.generation(),
        };
        let path = self.place.supervisor();
        let _ = self.spare.lend(|| records::save(&path, &saved));
    }

    /// Writes a container down; a failure changes nothing here.
    pub(crate) fn save(&mut self, number: u32) {
        let _ = self.write_down(number);
    }

    /// Writes a container down.
    pub(crate) fn write_down(&mut self, number: u32) -> io::Result<()> {
        let Some(container) = self.containers.get(&number) else {
            return Ok(());
        };
        let id = &container.id;
        let running = self.execs.values().filter(|e| e.container == *id);
        let running = running.map(|e| SavedExec {
            name: e.name.clone(),
            process: Some(e.process),
            since: e.process.start_ticks,
        });
        let begun = self.operations.values().filter_map(|o| match &o.work {
            Work::Exec {
                container, name, ..
            } if container == id => Some(SavedExec {
                name: name.clone(),
                process: None,
                since: o.launcher.start_ticks,
            }),
            _ => None,
        });
        let execs = running.chain(begun);
        let saved = SavedContainer {
            process: Some(container.process),
            clamped: container.clamped.clone(),
            started_at: container.started_at.clone(),
            exit: container.exit.clone(),
            stopped: container.stopped,
            kill_at: self.timers.monotonic(Due::Kill(number)),
            deleting: container.deleting,
            execs: execs.collect(),
            pause: container.pause,
            bundle: container.bundle.clone(),
            cgroup_dirs: container.cgroup_dirs.clone(),
            state_dir: container.state_dir.clone(),
            exit_file: container.exit_file.clone(),
            ..container.output.saved(id)
        };
        let path = self.place.container(id);
        let written = self.spare.lend(|| records::save(&path, &saved));
        written.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    }
}

impl Container {
    pub(crate) fn remains(&self) -> Remains {
        Remains {
            cgroup_dirs: self.cgroup_dirs.clone(),
            state_dir: self.state_dir.clone(),
        }
    }

    fn state(&self, execs: Vec<String>) -> ContainerState {
        ContainerState {
            id: self.id.clone(),
            pid: self.process.pid,
            pause: self.pause,
            started_at: self.started_at.clone(),
            clamped: self.clamped.clone(),
            exit: self.exit.clone(),
            execs,
        }
    }
}

impl Output {
    /// What a successor must know of it; of the rest of the container nothing is known yet.
    pub(crate) fn saved(&self, id: &str) -> SavedContainer {
        let inode = |source: &Option<Source>| {
            let stat = rustix::fs::fstat(source.as_ref()?.fd.as_fd()).ok()?;
            Some(stat.st_ino)
        };
        SavedContainer {
            version: records::VERSION,
            id: id.to_owned(),
            log: self.settings.clone(),
            tty: self.tty,
            pipes: [inode(&self.stdout), inode(&self.stderr)],
            ..SavedContainer::default()
        }
    }
}
