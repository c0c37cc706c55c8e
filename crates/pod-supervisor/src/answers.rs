//! Connections to node daemons: what is said on them, and by whom.

use crate::poll::Token;
use crate::replay::{Answer, Asker, Descriptors};
use crate::state::{Connection, Supervisor};
use pod_sys::frame::{Frame, FrameReader, FrameWriter};
use pod_wire::VERSION;
use pod_wire::supervisor::{Event, Failure, FromSupervisor, Hello, Reply, ReplyBody, Request};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A peer that lets so many bytes wait is cut off: it can come back and ask for the state.
const MOST_QUEUED: usize = 4 << 20;

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(1);

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
        // An error is one connection's, or a lack of descriptors that passes: the listener stays.
        while let Ok((socket, _)) = self.listener.accept() {
            self.connected(socket);
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
        }
    }

    /// Whether that peer is served. A newer one ends the connections of older ones.
    fn welcome(&mut self, hello: &Hello) -> bool {
        // A newer peer speaks our version too; an older one may be one behind.
        if hello.version + 1 < VERSION || !self.replays.enter(hello.generation) {
            return false;
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
        let fds = match &answer.result {
            Ok(_) => self.descriptors(&answer.descriptors),
            Err(_) => Vec::new(),
        };
        let message = FromSupervisor::Reply(Reply {
            id: request,
            result: answer.result.clone(),
        });
        self.send(number, serde_json::to_vec(&message), fds);
    }

    /// Tells something to every connection that has said hello.
    pub(crate) fn tell(&mut self, event: Event) {
        let greeted: Vec<u32> = self
            .connections
            .iter()
            .filter(|(_, c)| c.hello.is_some())
            .map(|(n, _)| *n)
            .collect();
        let message = FromSupervisor::Event(event);
        for number in greeted {
            self.send(number, serde_json::to_vec(&message), Vec::new());
        }
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

    fn descriptors(&self, whose: &Descriptors) -> Vec<OwnedFd> {
        let copy = |fd: &OwnedFd| fd.as_fd().try_clone_to_owned().ok();
        match whose {
            Descriptors::None => Vec::new(),
            Descriptors::Container(id) => self
                .find(id)
                .and_then(|n| self.containers.get(&n))
                .map(|c| {
                    let terminal = c.output.stdout.as_ref().filter(|_| c.output.tty);
                    [Some(&c.pidfd), terminal.map(|s| &s.fd), c.stdin.as_ref()]
                        .into_iter()
                        .flatten()
                        .filter_map(copy)
                        .collect()
                })
                .unwrap_or_default(),
            Descriptors::Exec(id, exec) => self
                .find_exec(id, exec)
                .and_then(|n| self.execs.get(&n))
                .and_then(|e| e.terminal.as_ref().and_then(copy))
                .into_iter()
                .collect(),
        }
    }
}
