//! Connections to node daemons: what is said on them, and by whom.

use crate::poll::{Due, Token};
use crate::replay::{Answer, Asker, Descriptors};
use crate::state::{Connection, Container, Supervisor};
use pod_sys::frame::{Frame, FrameReader, FrameWriter};
use pod_wire::VERSION;
use pod_wire::supervisor::{
    Descriptor, Event, Failure, FromSupervisor, Hello, Reply, ReplyBody, Request,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A peer that lets so many bytes wait is cut off: it can come back and ask for the state.
const MOST_QUEUED: usize = 4 << 20;

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long no connection is taken after there was no descriptor for one: it would be told again and again that one waits.
const NO_ROOM: Duration = Duration::from_secs(1);

/// The version from which on a peer knows events of logs, and of containers that are made.
const KNOWS_MORE: u32 = 2;

/// So many ends of exec'd processes are kept for a node daemon that comes.
const MOST_UNTOLD: usize = 1000;

/// A failure of a step.
pub(crate) fn failure(step: &str, cause: impl ToString) -> Failure {
    Failure {
        step: step.to_owned(),
        cause: cause.to_string(),
        not_found: false,
    }
}

impl Supervisor {
    /// Takes a new connection and says hello.
    pub(crate) fn connected(&mut self, socket: UnixStream) {
        let number = self.number();
        let token = Token::Connection(number);
        if socket.set_nonblocking(true).is_err() || self.poll.watch(&socket, token).is_err() {
            return;
        }
        let connection = Connection {
            socket,
            reader: FrameReader::new(),
            writer: FrameWriter::new(),
            hello: None,
        };
        self.connections.insert(number, connection);
        let hello = Hello {
            version: VERSION,
            generation: self.replays.generation(),
            pid: std::process::id().cast_signed(),
        };
        self.send(number, serde_json::to_vec(&hello), Vec::new());
    }

    /// Takes every connection that waits.
    pub(crate) fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => self.connected(socket),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if is_no_descriptor(&e) => {
                    self.poll.forget(&self.listener);
                    self.timers.after(Due::Accept, NO_ROOM);
                    return;
                }
                // One connection's own.
                Err(_) => {}
            }
        }
    }

    /// Takes connections again after there was no room.
    pub(crate) fn accept_again(&mut self) {
        match self.poll.watch(&self.listener, Token::Listener) {
            Ok(()) => self.accept(),
            Err(_) => self.timers.after(Due::Accept, NO_ROOM),
        }
    }

    /// Reads the next frame of a connection; the first is its hello. `None`: nothing (more) for now.
    pub(crate) fn next_request(&mut self, number: u32) -> Option<(Request, Vec<OwnedFd>)> {
        loop {
            let connection = self.connections.get_mut(&number)?;
            let frame = match connection.reader.read(&connection.socket) {
                Ok(Some(frame)) => frame,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Ok(None) | Err(_) => {
                    self.disconnect(number);
                    return None;
                }
            };
            if connection.hello.is_some() {
                return self.parsed(number, frame);
            }
            let hello: Option<Hello> = serde_json::from_slice(&frame.bytes).ok();
            let Some(hello) = hello.filter(|h| self.welcome(h)) else {
                self.disconnect(number);
                return None;
            };
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.hello = Some(hello);
            }
            for event in std::mem::take(&mut self.untold) {
                self.tell(event);
            }
        }
    }

    /// Whether that peer is served. A newer one ends the connections of older ones.
    fn welcome(&mut self, hello: &Hello) -> bool {
        // A newer peer speaks our version too; an older one may be one behind.
        if hello.version + 1 < VERSION {
            return false;
        }
        let before = self.replays.generation();
        if !self.replays.enter(hello.generation) {
            return false;
        }
        if before != hello.generation {
            self.save_own();
        }
        let older: Vec<u32> = self
            .connections
            .iter()
            .filter(|(_, c)| {
                c.hello
                    .as_ref()
                    .is_some_and(|h| h.generation < hello.generation)
            })
            .map(|(n, _)| *n)
            .collect();
        for number in older {
            self.disconnect(number);
        }
        true
    }

    fn parsed(&mut self, number: u32, frame: Frame) -> Option<(Request, Vec<OwnedFd>)> {
        match serde_json::from_slice::<Request>(&frame.bytes) {
            Ok(request) => Some((request, frame.fds)),
            Err(e) => {
                // Its number may still be readable: then the peer learns what was wrong.
                #[derive(serde::Deserialize)]
                struct Numbered {
                    id: u64,
                }
                let Ok(Numbered { id }) = serde_json::from_slice(&frame.bytes) else {
                    self.disconnect(number);
                    return None;
                };
                self.reply(
                    number,
                    id,
                    &Answer {
                        result: Err(failure("request", format!("not understood: {e}"))),
                        descriptors: Descriptors::None,
                    },
                );
                None
            }
        }
    }

    /// Answers a request, to every connection that asked.
    pub(crate) fn answer(
        &mut self,
        asker: Asker,
        result: Result<ReplyBody, Failure>,
        descriptors: Descriptors,
    ) {
        let answer = Answer {
            result,
            descriptors,
        };
        for number in self.replays.answer(asker, &answer) {
            self.reply(number, asker.request, &answer);
        }
    }

    /// Sends one answer to one connection.
    pub(crate) fn reply(&mut self, number: u32, request: u64, answer: &Answer) {
        let mut result = answer.result.clone();
        let (mut names, mut fds) = (Vec::new(), Vec::new());
        if result.is_ok() {
            (names, fds) = self.descriptors(&answer.descriptors).into_iter().unzip();
        }
        if let Ok(
            ReplyBody::Created { descriptors, .. }
            | ReplyBody::Started { descriptors, .. }
            | ReplyBody::Execed { descriptors, .. }
            | ReplyBody::Held { descriptors },
        ) = &mut result
        {
            *descriptors = names;
        }
        let id = request;
        let message = FromSupervisor::Reply(Reply { id, result });
        self.send(number, serde_json::to_vec(&message), fds);
    }

    /// Tells something to every connection that has said hello.
    pub(crate) fn tell(&mut self, event: Event) {
        let least = match event {
            Event::Log { .. } | Event::Made { .. } => KNOWS_MORE,
            _ => 0,
        };
        let greeted = self.greeted(least);
        // The ends of containers are in the state that a daemon asks for; those of execs are nowhere else.
        if greeted.is_empty() && matches!(event, Event::ExecExited { .. }) {
            if self.untold.len() < MOST_UNTOLD {
                self.untold.push(event);
            }
            return;
        }
        let message = FromSupervisor::Event(event);
        for number in greeted {
            self.send(number, serde_json::to_vec(&message), Vec::new());
        }
    }

    /// Gives every connection what is to be held of a container. Before it runs: what is on its way when this process is killed still
    /// arrives.
    pub(crate) fn hand_over(&mut self, id: &str) {
        let whose = Descriptors::Container(id.to_owned());
        for number in self.greeted(KNOWS_MORE) {
            let (descriptors, fds) = self.descriptors(&whose).into_iter().unzip();
            let message = FromSupervisor::Event(Event::Made {
                id: id.to_owned(),
                descriptors,
            });
            self.send(number, serde_json::to_vec(&message), fds);
        }
    }

    /// Connections whose peer has said hello, with at least that version.
    fn greeted(&self, least: u32) -> Vec<u32> {
        let knows = |h: &Hello| h.version >= least;
        let greeted = self.connections.iter();
        let greeted = greeted.filter(|(_, c)| c.hello.as_ref().is_some_and(knows));
        greeted.map(|(n, _)| *n).collect()
    }

    /// Goes on sending what is queued for a connection.
    pub(crate) fn flush(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let waits = match connection.writer.write(&connection.socket) {
            Ok(()) => false,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => true,
            Err(_) => {
                self.disconnect(number);
                return;
            }
        };
        if waits && connection.writer.queued() > MOST_QUEUED {
            self.disconnect(number);
            return;
        }
        let token = Token::Connection(number);
        let watched = self.poll.watch_output(&connection.socket, token, waits);
        if watched.is_err() {
            self.disconnect(number);
        }
    }

    /// Sends what is still queued, and closes every connection.
    pub(crate) fn farewell(&mut self) {
        for connection in self.connections.values_mut() {
            let socket = &connection.socket;
            let patient = socket.set_nonblocking(false).is_ok()
                && socket.set_write_timeout(Some(FAREWELL)).is_ok();
            if patient {
                // A peer that does not take it has gone, or will ask the next supervisor.
                let _ = connection.writer.write(socket);
            }
        }
        self.connections.clear();
    }

    fn send(&mut self, number: u32, bytes: serde_json::Result<Vec<u8>>, fds: Vec<OwnedFd>) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let queued = bytes
            .map_err(io::Error::from)
            .and_then(|bytes| connection.writer.push(bytes, fds));
        match queued {
            Ok(()) => self.flush(number),
            // A frame that cannot be sent would leave the peer waiting: it is better cut off.
            Err(_) => self.disconnect(number),
        }
    }

    fn disconnect(&mut self, number: u32) {
        if let Some(connection) = self.connections.remove(&number) {
            self.poll.forget(&connection.socket);
        }
        self.replays.leave(number);
    }

    fn descriptors(&self, whose: &Descriptors) -> Vec<(Descriptor, OwnedFd)> {
        let named = match whose {
            Descriptors::None => Vec::new(),
            Descriptors::Container(id) => {
                let found = self.find(id).and_then(|n| self.containers.get(&n));
                found.map(of_container).unwrap_or_default()
            }
            Descriptors::Exec(id, exec) => {
                let found = self.find_exec(id, exec).and_then(|n| self.execs.get(&n));
                let found = found.map(|e| {
                    [
                        (Descriptor::Terminal, e.terminal.as_ref()),
                        (Descriptor::Process, e.pidfd.as_ref()),
                    ]
                });
                found.into_iter().flatten().collect()
            }
        };
        let copy = |fd: &OwnedFd| fd.as_fd().try_clone_to_owned().ok();
        let named = named.into_iter();
        named
            .filter_map(|(name, fd)| Some((name, copy(fd?)?)))
            .collect()
    }
}

fn of_container(container: &Container) -> Vec<(Descriptor, Option<&OwnedFd>)> {
    let (stdout, stderr) = container.output.open_streams();
    let (stdout, stderr) = (stdout.map(|s| &s.fd), stderr.map(|s| &s.fd));
    let (terminal, stdout) = match container.output.tty {
        true => (stdout, None),
        false => (None, stdout),
    };
    vec![
        (Descriptor::Process, container.pidfd.as_ref()),
        (Descriptor::Terminal, terminal),
        (Descriptor::Stdin, container.stdin.as_ref()),
        (Descriptor::Stdout, stdout),
        (Descriptor::Stderr, stderr),
    ]
}

fn is_no_descriptor(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        code,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}
