//! Operations that a launcher does: create and exec, from the request to the answer.
//!
//! ```text
//! request ─▶ launcher started, request sent ─▶ answer ─▶ verified (─▶ started) ─▶ answered; launcher's end awaited
//!                          │                     │            │
//!                          └── ends or hangs ────┴─ Failed ───┴─ differs ─▶ launcher's end ─▶ remains removed ─▶ answered
//! ```

use crate::answers::failure;
use crate::cgroup;
use crate::identity::{self, Identity};
use crate::launcher::AHEAD;
use crate::leftovers;
use crate::logs::Log;
use crate::poll::{Due, Token};
use crate::records::{self, SavedContainer, now, reserve_exit_file};
use crate::replay::{Asker, Descriptors};
use crate::state::{
    Container, Creation, Exec, Operation, Output, Remains, Source, Supervisor, Then, Work,
};
use crate::streams::{self, Streams};
use crate::verify::{self, Subject};
use pod_sys::frame::{FrameReader, FrameWriter};
use pod_sys::pidfd::{self, Outcome};
use pod_sys::socket;
use pod_wire::launch::{self, LaunchReply, LaunchRequest};
use pod_wire::supervisor::{CreateContainer, Failure, ReplyBody};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// A launcher that has not ended by then is killed: creating takes milliseconds, on an emulated machine seconds.
const TIME: Duration = Duration::from_secs(120);

impl Supervisor {
    /// Begins to create a container.
    pub(crate) fn create(
        &mut self,
        asker: Asker,
        request: CreateContainer,
        start: bool,
    ) -> Result<(), Failure> {
        let fail = |cause: String| failure("create", cause);
        let id = &request.create.id;
        check_id(id).map_err(fail)?;
        cgroup::check(id, &request.cgroup_dirs).map_err(fail)?;
        if self.is_taken(id) {
            return Err(fail(format!("container {id} exists already")));
        }
        if request.pause && self.pause_pid().is_some() {
            return Err(fail("the sandbox has a pause process already".to_owned()));
        }
        let id = id.clone();
        let begun = self.begin(asker, request, start);
        begun.inspect_err(|_| self.place.forget(&id))
    }

    fn begin(
        &mut self,
        asker: Asker,
        request: CreateContainer,
        start: bool,
    ) -> Result<(), Failure> {
        let id = &request.create.id;
        let log = match &request.log {
            None => None,
            Some(log) => {
                let opened = Log::open(log.clone(), &self.place.log(id));
                Some(opened.map_err(|e| failure("log", at(&log.path, &e)))?)
            }
        };
        reserve_exit_file(&request.exit_file)
            .map_err(|e| failure("exit record", at(&request.exit_file, &e)))?;
        let streams = if request.create.tty {
            Streams::default()
        } else {
            streams::make(request.stdin, log.is_some(), request.uid, request.gid)
                .map_err(|e| failure("streams", e))?
        };
        let message = LaunchRequest::Create(request.create.clone());
        let output = Output {
            settings: request.log.clone(),
            log,
            stdout: streams.stdout.map(Source::new),
            stderr: streams.stderr.map(Source::new),
            tty: request.create.tty,
        };
        // Before anything of it is made: a successor undoes what is not written down as made.
        let saved = SavedContainer {
            pause: request.pause,
            bundle: request.create.bundle.clone(),
            cgroup_dirs: request.cgroup_dirs.clone(),
            state_dir: state_dir(&request),
            exit_file: request.exit_file.clone(),
            ..output.saved(id)
        };
        let path = self.place.container(id);
        self.spare
            .lend(|| records::save(&path, &saved))
            .map_err(|e| failure("record", at(&path, &e)))?;
        let work = Work::Create(Box::new(Creation {
            asker,
            request,
            start,
            output,
            stdin: streams.stdin,
        }));
        self.launch(&message, streams.theirs, work)
            .map_err(|e| failure("launch", e))
    }

    /// Begins to start a process in a running container. `fds`: its standard streams, unless it gets a terminal.
    pub(crate) fn exec(
        &mut self,
        asker: Asker,
        number: u32,
        name: String,
        command: Vec<String>,
        tty: bool,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Failure> {
        let Some(container) = self.containers.get(&number) else {
            return Err(failure("exec", "no such container"));
        };
        let id = container.id.clone();
        if container.exit.is_some() || container.started_at.is_none() {
            return Err(failure("exec", format!("container {id} is not running")));
        }
        // It would wait in there, and who asks for the state would wait for it.
        if container
            .cgroup_dirs
            .iter()
            .any(|dir| cgroup::is_frozen(dir))
        {
            let cause = format!("container {id} is frozen: thaw its cgroup, or delete its pod");
            return Err(failure("exec", cause));
        }
        let making = self.operations.values().any(|o| {
            matches!(&o.work, Work::Exec { container, name: n, .. } if *container == id && *n == name)
        });
        if making || self.find_exec(&id, &name).is_some() {
            return Err(failure("exec", format!("exec {name} exists already")));
        }
        if !tty && fds.len() != 3 {
            let cause = format!("three descriptors are needed, {} came", fds.len());
            return Err(failure("exec", cause));
        }
        let message = LaunchRequest::Exec(launch::Exec {
            bundle: container.bundle.clone(),
            init_pid: container.process.pid,
            command,
            tty,
            cgroup_dirs: container.cgroup_dirs.clone(),
        });
        let Some(pidfd) = &container.pidfd else {
            return Err(failure("exec", format!("container {id} is not running")));
        };
        let pidfd = pidfd.as_fd().try_clone_to_owned();
        let mut all = vec![pidfd.map_err(|e| failure("exec", e))?];
        if !tty {
            all.extend(fds);
        }
        let work = Work::Exec {
            asker,
            container: id,
            name,
            tty,
        };
        self.launch(&message, all, work)
            .map_err(|e| failure("launch", e))
    }

    fn launch(&mut self, message: &LaunchRequest, fds: Vec<OwnedFd>, work: Work) -> io::Result<()> {
        let mut writer = FrameWriter::new();
        writer.push(serde_json::to_vec(message)?, fds)?;
        let launcher = self.launchers.take()?;
        let number = self.number();
        // On an error here the launcher ends by itself when its socket closes, and is reaped as a stranger.
        self.poll
            .watch(&launcher.pidfd, Token::LaunchProcess(number))?;
        self.poll
            .watch(&launcher.socket, Token::LaunchSocket(number))?;
        let operation = Operation {
            launcher,
            reader: FrameReader::new(),
            writer,
            work,
        };
        self.operations.insert(number, operation);
        // Before it is asked for: a successor ends what nobody has written down, if it knows that there may be something.
        if let Err(e) = self.write_down_exec(number) {
            if let Some(operation) = self.operations.remove(&number) {
                self.poll.forget(&operation.launcher.pidfd);
                self.poll.forget(&operation.launcher.socket);
            }
            return Err(e);
        }
        self.timers.after(Due::Launch(number), TIME);
        self.launch_ready(number);
        Ok(())
    }

    /// Writes down the container of an exec that begins.
    fn write_down_exec(&mut self, number: u32) -> io::Result<()> {
        let container = match self.operations.get(&number).map(|o| &o.work) {
            Some(Work::Exec { container, .. }) => self.find(container),
            _ => None,
        };
        container.map_or(Ok(()), |container| self.write_down(container))
    }

    /// A launcher's socket takes or gives something.
    pub(crate) fn launch_ready(&mut self, number: u32) {
        let Some(operation) = self.operations.get_mut(&number) else {
            return;
        };
        let socket = &operation.launcher.socket;
        // A failure to write shows as its end.
        let _ = operation.writer.write(socket);
        let waits = !operation.writer.is_empty();
        let _ = self
            .poll
            .watch_output(socket, Token::LaunchSocket(number), waits);
        match operation.reader.read(socket) {
            Ok(Some(frame)) => {
                self.poll.forget(socket);
                let reply = serde_json::from_slice(&frame.bytes);
                let reply = reply.unwrap_or_else(|e| LaunchReply::Failed {
                    step: "launch".to_owned(),
                    cause: format!("the launcher's answer was not understood: {e}"),
                });
                self.launch_answered(number, reply, frame.fds);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Ok(None) | Err(_) => {
                self.poll.forget(socket);
                // Of no use without its socket; what it has not answered is told when it has ended.
                let _ = pidfd::send_signal(&operation.launcher.pidfd, Signal::TERM.as_raw());
            }
        }
    }

    /// A launcher has had its time.
    pub(crate) fn launch_overdue(&mut self, number: u32) {
        if let Some(operation) = self.operations.get(&number) {
            let _ = pidfd::send_signal(&operation.launcher.pidfd, Signal::KILL.as_raw());
        }
    }

    /// A launcher has ended.
    pub(crate) fn launch_ended(&mut self, number: u32) {
        let Some(operation) = self.operations.get(&number) else {
            return;
        };
        if matches!(operation.work, Work::Create(_) | Work::Exec { .. }) {
            // Its answer may still wait to be read.
            self.launch_ready(number);
        }
        let Some(operation) = self.operations.get(&number) else {
            return;
        };
        let launcher = &operation.launcher;
        let ended = match pidfd::outcome(&launcher.pidfd, launcher.pid) {
            Ok(Outcome::Running) => return,
            Ok(Outcome::Exited(status)) => match status.signal {
                Some(signal) => format!("ended by signal {signal}"),
                None => format!("ended with code {}", status.code),
            },
            Ok(Outcome::Unknown) | Err(_) => "ended".to_owned(),
        };
        self.poll.forget(&launcher.pidfd);
        self.poll.forget(&launcher.socket);
        self.timers.cancel(Due::Launch(number));
        let Some(operation) = self.operations.remove(&number) else {
            return;
        };
        let unanswered =
            |step: &str| failure(step, format!("the launcher {ended} without an answer"));
        if matches!(operation.work, Work::Create(_) | Work::Exec { .. }) {
            leftovers::end_orphans(&self.launcher_pids());
        }
        match operation.work {
            Work::Done => {}
            Work::Create(creation) => {
                let remains = remains(&creation.request);
                let id = creation.request.create.id.clone();
                let then = Then::Answer(creation.asker, id, unanswered("create"));
                self.remove(remains, then);
            }
            Work::Exec {
                asker, container, ..
            } => {
                self.end_strangers(&container, operation.launcher.start_ticks);
                self.answer(asker, Err(unanswered("exec")), Descriptors::None);
            }
            Work::Failed {
                asker,
                failure,
                remains: Some((id, remains)),
            } => self.remove(remains, Then::Answer(asker, id, failure)),
            Work::Failed {
                asker,
                failure,
                remains: None,
            } => self.answer(asker, Err(failure), Descriptors::None),
        }
        self.prepare_launcher();
    }

    /// Processes of launchers that are at work or wait.
    fn launcher_pids(&self) -> BTreeSet<i32> {
        let at_work = self.operations.values().map(|o| o.launcher.pid);
        at_work.chain(self.launchers.waiting()).collect()
    }

    /// Ends what was started in a container since then and is nobody's: the launcher that did it has died, or its supervisor has.
    pub(crate) fn end_strangers(&mut self, container: &str, since: u64) {
        // What other launchers have started is known once they are heard.
        let others: Vec<u32> = self.operations.keys().copied().collect();
        for number in others {
            self.launch_ready(number);
        }
        let Some(found) = self.find(container).and_then(|n| self.containers.get(&n)) else {
            return;
        };
        let of_it = self.execs.values().filter(|e| e.container == container);
        let mut known: BTreeSet<i32> = of_it.map(|e| e.process.pid).collect();
        known.insert(found.process.pid);
        let mut parents = self.launcher_pids();
        parents.extend(self.pause_pid());
        leftovers::end_strangers(&found.cgroup_dirs, &known, &parents, since);
    }

    /// Has a launcher wait for the next request, for a moment.
    pub(crate) fn prepare_launcher(&mut self) {
        if self.launchers.prepare() {
            self.timers.after(Due::Launcher, AHEAD);
        }
    }

    fn launch_answered(&mut self, number: u32, reply: LaunchReply, fds: Vec<OwnedFd>) {
        let Some(operation) = self.operations.get_mut(&number) else {
            return;
        };
        let work = std::mem::replace(&mut operation.work, Work::Done);
        let next = match (work, reply) {
            (Work::Create(creation), LaunchReply::Done { pid, clamped }) => {
                let (asker, remains) = (creation.asker, remains(&creation.request));
                let id = creation.request.create.id.clone();
                match self.created(*creation, pid, clamped, fds) {
                    Ok(()) => Work::Done,
                    Err(failure) => Work::Failed {
                        asker,
                        failure,
                        remains: Some((id, remains)),
                    },
                }
            }
            (Work::Create(creation), LaunchReply::Failed { step, cause }) => Work::Failed {
                asker: creation.asker,
                failure: failure(&step, cause),
                remains: Some((
                    creation.request.create.id.clone(),
                    remains(&creation.request),
                )),
            },
            (
                Work::Exec {
                    asker,
                    container,
                    name,
                    tty,
                },
                LaunchReply::Done { pid, .. },
            ) => match self.execed(asker, container, name, tty, pid, fds) {
                Ok(()) => Work::Done,
                Err(failure) => Work::Failed {
                    asker,
                    failure,
                    remains: None,
                },
            },
            (Work::Exec { asker, .. }, LaunchReply::Failed { step, cause }) => Work::Failed {
                asker,
                failure: failure(&step, cause),
                remains: None,
            },
            (other, _) => other,
        };
        if let Some(operation) = self.operations.get_mut(&number) {
            operation.work = next;
        }
    }

    fn created(
        &mut self,
        creation: Creation,
        pid: i32,
        clamped: Vec<String>,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Failure> {
        let Creation {
            asker,
            request,
            start,
            mut output,
            stdin,
        } = creation;
        let mut fds = fds.into_iter();
        let pidfd = own_pidfd(fds.next(), pid)?;
        let process = Identity::of(pid);
        let process = process.ok_or_else(|| failure("create", "its process is gone"))?;
        let number = self.number();
        let result = self.verify(pid, &request).and_then(|()| {
            if output.tty {
                output.stdout = Some(terminal(fds.next())?);
            }
            let watched = self.poll.watch(&pidfd, Token::Container(number));
            let watched = watched.and_then(|()| output.watch(number, &self.poll));
            watched.map_err(|e| failure("create", e))
        });
        let started_at = start.then(now);
        let id = request.create.id.clone();
        let container = Container {
            state_dir: state_dir(&request),
            pause: request.pause,
            process,
            pidfd: Some(pidfd),
            clamped: clamped.clone(),
            started_at: started_at.clone(),
            exit: None,
            bundle: request.create.bundle,
            cgroup_dirs: request.cgroup_dirs,
            exit_file: request.exit_file,
            output,
            stdin,
            stopped: false,
            kills: 0,
            deleting: false,
            id: request.create.id,
        };
        self.containers.insert(number, container);
        let result = result.and_then(|()| self.enter_created(number));
        if let Err(failure) = result {
            // None of its code has run. Its end is a stranger's.
            if let Some(container) = self.containers.remove(&number)
                && let Some(pidfd) = &container.pidfd
            {
                self.poll.forget(pidfd);
                container.output.forget(&self.poll);
                let _ = pidfd::send_signal(pidfd, Signal::KILL.as_raw());
            }
            return Err(failure);
        }
        let descriptors = Vec::new();
        let body = match started_at {
            Some(started_at) => ReplyBody::Started {
                pid,
                started_at,
                clamped,
                descriptors,
            },
            None => ReplyBody::Created {
                pid,
                clamped,
                descriptors,
            },
        };
        self.answer(asker, Ok(body), Descriptors::Container(id));
        Ok(())
    }

    /// Writes a container down that was just made, and lets it go where it is to be started. In this order: a successor undoes what is
    /// not written down, so it must not have run yet; and it opens the barrier of what is written down as started once more.
    fn enter_created(&mut self, number: u32) -> Result<(), Failure> {
        self.write_down(number)
            .map_err(|e| failure("record", e.to_string()))?;
        let container = self.containers.get(&number);
        let Some(container) = container.filter(|c| c.started_at.is_some()) else {
            return Ok(());
        };
        let (id, state_dir) = (container.id.clone(), container.state_dir.clone());
        // Else nobody but us could say how it ends, until its start is answered.
        self.hand_over(&id);
        let_go(&state_dir).map_err(|e| failure("start", e))
    }

    /// Lets a created container go. Asked again, it answers as before.
    pub(crate) fn start(&mut self, number: u32) -> Result<ReplyBody, Failure> {
        let Some(container) = self.containers.get_mut(&number) else {
            return Err(failure("start", "no such container"));
        };
        let started_at = match &container.started_at {
            Some(at) => at.clone(),
            None => {
                if container.exit.is_some() {
                    return Err(failure("start", "the container has ended"));
                }
                let at = now();
                container.started_at = Some(at.clone());
                if let Err(failure) = self.enter_created(number) {
                    if let Some(container) = self.containers.get_mut(&number) {
                        container.started_at = None;
                    }
                    self.save(number);
                    return Err(failure);
                }
                at
            }
        };
        let Some(container) = self.containers.get(&number) else {
            return Err(failure("start", "no such container"));
        };
        let body = ReplyBody::Started {
            pid: container.process.pid,
            started_at,
            clamped: container.clamped.clone(),
            descriptors: Vec::new(),
        };
        Ok(body)
    }

    fn verify(&self, pid: i32, request: &CreateContainer) -> Result<(), Failure> {
        let subject = Subject {
            pid,
            pause: self.pause_pid(),
            cgroup_dirs: &request.cgroup_dirs,
        };
        let facts = verify::gather(subject, &request.expect)
            .map_err(|cause| failure("verify", format!("cannot be read back: {cause}")))?;
        let differences = verify::compare(&request.expect, &facts);
        if differences.is_empty() || pod_sys::weakened::is("s12") {
            return Ok(());
        }
        let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        Err(failure("verify", texts.join("; ")))
    }

    fn execed(
        &mut self,
        asker: Asker,
        container: String,
        name: String,
        tty: bool,
        pid: i32,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Failure> {
        let mut fds = fds.into_iter();
        let pidfd = own_pidfd(fds.next(), pid)?;
        let terminal = if tty { fds.next() } else { None };
        // One that is over already is a zombie of ours.
        let process = Identity::of(pid).unwrap_or_default();
        let number = self.number();
        if let Err(e) = self.poll.watch(&pidfd, Token::Exec(number)) {
            let _ = pidfd::send_signal(&pidfd, Signal::KILL.as_raw());
            return Err(failure("exec", e));
        }
        let exec = Exec {
            container: container.clone(),
            name: name.clone(),
            process,
            pidfd: Some(pidfd),
            terminal,
        };
        self.execs.insert(number, exec);
        if let Some(container) = self.find(&container) {
            self.save(container);
        }
        let body = ReplyBody::Execed {
            pid,
            descriptors: Vec::new(),
        };
        self.answer(asker, Ok(body), Descriptors::Exec(container, name));
        Ok(())
    }
}

/// Ids become names of folders and files.
fn check_id(id: &str) -> Result<(), String> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > 200 || id.starts_with('.') || !id.bytes().all(fine) {
        return Err(format!("{id:?} is no container id"));
    }
    Ok(())
}

fn remains(request: &CreateContainer) -> Remains {
    Remains {
        cgroup_dirs: request.cgroup_dirs.clone(),
        state_dir: state_dir(request),
    }
}

fn state_dir(request: &CreateContainer) -> std::path::PathBuf {
    request.create.state_root.join(&request.create.id)
}

/// Opens the start barrier: libcontainer's init waits until somebody has connected and closed. One that has passed it listens no more.
pub(crate) fn let_go(state_dir: &Path) -> io::Result<()> {
    let path = state_dir.join("notify.sock");
    let connected = socket::connect(&path);
    connected
        .map(drop)
        .map_err(|e| io::Error::new(e.kind(), at(&path, &e)))
}

/// The pidfd that a launcher sent, if it is that of the pid it named.
fn own_pidfd(fd: Option<OwnedFd>, pid: i32) -> Result<OwnedFd, Failure> {
    let fd = fd.ok_or_else(|| failure("launch", "the launcher sent no pidfd"))?;
    let found = identity::pid_of(&fd);
    if found != Some(pid) {
        let cause = format!("the launcher named pid {pid}, its pidfd is of {found:?}");
        return Err(failure("launch", cause));
    }
    Ok(fd)
}

fn terminal(fd: Option<OwnedFd>) -> Result<Source, Failure> {
    let fd = fd.ok_or_else(|| failure("launch", "the launcher sent no terminal"))?;
    streams::nonblocking(&fd).map_err(|e| failure("streams", e))?;
    Ok(Source::new(fd))
}

fn at(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}
