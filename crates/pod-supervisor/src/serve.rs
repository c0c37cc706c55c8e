//! The loop: waits, and hands each event to its verb.

use crate::answers::failure;
use crate::logs::Which;
use crate::poll::{Due, Token};
use crate::replay::{Admission, Answer, Asker, Descriptors};
use crate::state::{Supervisor, Then, Work};
use nix::sys::signalfd::SignalFd;
use pod_sys::pidfd;
use pod_wire::supervisor::{Failure, ReplyBody, RequestBody};
use std::io;
use std::os::fd::OwnedFd;

/// What a request comes to at once.
enum Done {
    /// Answer this.
    Now(ReplyBody, Descriptors),
    /// The answer comes with a later event.
    Later,
}

impl Supervisor {
    /// Serves until the node daemon asks for the end.
    ///
    /// # Errors
    /// Only when the kernel no longer lets it wait.
    pub(crate) fn serve(&mut self, signals: &SignalFd) -> io::Result<()> {
        let mut strangers = false;
        while !self.ended {
            let events = self.poll.wait(self.timers.left())?;
            for token in events {
                match token {
                    Token::Signals => strangers |= drain_signals(signals),
                    Token::Listener => self.accept(),
                    Token::Connection(n) => self.requests(n),
                    Token::LaunchSocket(n) => self.launch_ready(n),
                    Token::LaunchProcess(n) => self.launch_ended(n),
                    Token::Container(n) => self.container_ended(n),
                    Token::Exec(n) => self.exec_ended(n),
                    Token::Stdout(n) => self.pump(n, Which::Stdout),
                    Token::Stderr(n) => self.pump(n, Which::Stderr),
                }
            }
            self.deadlines();
            if strangers {
                strangers = !self.reap_strangers();
            }
            self.tell_state();
            self.go_on_with_shutdown();
            self.rest();
        }
        self.farewell();
        Ok(())
    }

    fn deadlines(&mut self) {
        for due in self.timers.take_due() {
            match due {
                Due::Kill(n) => self.kill(n),
                Due::Removal(n) => self.try_removal(n),
                Due::Launch(n) => self.launch_overdue(n),
                Due::Log(n) => self.retry_log(n),
                Due::Launcher => self.launchers.let_go(),
                Due::Accept => self.accept_again(),
                Due::Quiet(n) => self.quiet(n),
            }
        }
    }

    fn requests(&mut self, connection: u32) {
        self.flush(connection);
        while let Some((request, fds)) = self.next_request(connection) {
            match self.replays.admit(connection, request.id) {
                Admission::UnderWay => {}
                Admission::Known(answer) => self.reply(connection, request.id, &answer),
                Admission::TooOld => {
                    let cause = "was answered so long ago that the answer is forgotten";
                    let answer = Answer {
                        result: Err(failure("request", cause)),
                        descriptors: Descriptors::None,
                    };
                    self.reply(connection, request.id, &answer);
                }
                Admission::New(asker) => match self.request(asker, request.body, fds) {
                    Ok(Done::Later) => {}
                    Ok(Done::Now(body, descriptors)) => self.answer(asker, Ok(body), descriptors),
                    Err(failure) => self.answer(asker, Err(failure), Descriptors::None),
                },
            }
        }
    }

    fn request(
        &mut self,
        asker: Asker,
        body: RequestBody,
        fds: Vec<OwnedFd>,
    ) -> Result<Done, Failure> {
        let done = Ok(Done::Now(ReplyBody::Done, Descriptors::None));
        let changes = !matches!(body, RequestBody::State | RequestBody::Shutdown);
        if changes && self.shutdown.is_some() {
            return Err(failure("request", "the sandbox is being shut down"));
        }
        match body {
            // What a node daemon that was killed had asked for comes to its end first: told before that, the new one would take it for
            // something that was never made.
            RequestBody::State if self.is_making() => {
                self.state_asked.push(asker);
                Ok(Done::Later)
            }
            RequestBody::State => Ok(Done::Now(self.all(), Descriptors::None)),
            RequestBody::Create(create) => self.create(asker, create, false).map(|()| Done::Later),
            RequestBody::CreateAndStart(create) => {
                self.create(asker, create, true).map(|()| Done::Later)
            }
            RequestBody::Start { id } => {
                let number = self.known("start", &id)?;
                let body = self.start(number)?;
                Ok(Done::Now(body, Descriptors::Container(id)))
            }
            RequestBody::Stop {
                id,
                signal,
                grace_ms,
            } => {
                let number = self.known("stop", &id)?;
                self.stop(number, signal, grace_ms)?;
                done
            }
            RequestBody::Delete { id } => {
                let number = self.known("delete", &id)?;
                self.delete(asker, number).map(|()| Done::Later)
            }
            RequestBody::Exec {
                id,
                exec,
                command,
                tty,
            } => {
                let number = self.known("exec", &id)?;
                self.exec(asker, number, exec, command, tty, fds)
                    .map(|()| Done::Later)
            }
            RequestBody::SignalExec { id, exec, signal } => {
                self.known("signal", &id)?;
                let number = self.find_exec(&id, &exec);
                let Some(process) = number.and_then(|n| self.execs.get(&n)) else {
                    return Err(not_found("signal", "exec", &exec));
                };
                if let Some(pidfd) = &process.pidfd {
                    pidfd::send_signal(pidfd, signal).map_err(|e| failure("signal", e))?;
                }
                done
            }
            RequestBody::Hold { id, exec } => {
                self.known("hold", &id)?;
                let whose = match exec {
                    Some(exec) if self.find_exec(&id, &exec).is_none() => {
                        return Err(not_found("hold", "exec", &exec));
                    }
                    Some(exec) => Descriptors::Exec(id, exec),
                    None => Descriptors::Container(id),
                };
                let body = ReplyBody::Held {
                    descriptors: Vec::new(),
                };
                Ok(Done::Now(body, whose))
            }
            RequestBody::ReopenLog { id } => {
                let number = self.known("reopen log", &id)?;
                let log = self
                    .containers
                    .get_mut(&number)
                    .and_then(|c| c.output.log_mut());
                if let Some(log) = log
                    && let Err(e) = log.reopen()
                {
                    let cause = format!("{}: {e}", log.path().display());
                    return Err(failure("reopen log", cause));
                }
                done
            }
            RequestBody::Shutdown => {
                self.begin_shutdown(asker);
                Ok(Done::Later)
            }
        }
    }

    /// Whether a launcher works on something that may come to run.
    fn is_making(&self) -> bool {
        let making = |w: &Work| matches!(w, Work::Create(_) | Work::Exec { .. });
        self.operations.values().any(|o| making(&o.work))
    }

    /// Answers who asked for the state while something was being made.
    fn tell_state(&mut self) {
        if self.state_asked.is_empty() || self.is_making() {
            return;
        }
        for asker in std::mem::take(&mut self.state_asked) {
            self.answer(asker, Ok(self.all()), Descriptors::None);
        }
    }

    fn delete(&mut self, asker: Asker, number: u32) -> Result<(), Failure> {
        let Some(container) = self.containers.get_mut(&number) else {
            return Err(failure("delete", "no such container"));
        };
        if container.exit.is_none() {
            let cause = format!("container {} has not ended; stop it first", container.id);
            return Err(failure("delete", cause));
        }
        if container.deleting {
            return Err(failure("delete", "its deletion is under way already"));
        }
        container.deleting = true;
        let remains = container.remains();
        self.save(number);
        self.remove(remains, Then::Forget(number, Some(asker)));
        Ok(())
    }

    fn begin_shutdown(&mut self, asker: Asker) {
        if let Some(other) = self.shutdown.replace(asker)
            && other != asker
        {
            let cause = "asked for again";
            self.answer(other, Err(failure("shutdown", cause)), Descriptors::None);
        }
        self.launchers.drop_ahead();
        let operations: Vec<u32> = self.operations.keys().copied().collect();
        for number in operations {
            self.launch_overdue(number);
        }
        let containers: Vec<u32> = self.containers.keys().copied().collect();
        for number in containers {
            if let Some(container) = self.containers.get_mut(&number) {
                container.kills = 0;
            }
            self.kill(number);
        }
    }

    fn known(&self, step: &str, id: &str) -> Result<u32, Failure> {
        self.find(id)
            .ok_or_else(|| not_found(step, "container", id))
    }
}

fn not_found(step: &str, what: &str, id: &str) -> Failure {
    Failure {
        not_found: true,
        ..failure(step, format!("there is no {what} {id}"))
    }
}

/// Takes the signals that came. Says whether a child has ended; SIGTERM and the like mean nothing: only the node daemon ends us.
fn drain_signals(signals: &SignalFd) -> bool {
    let mut child = false;
    while let Ok(Some(info)) = signals.read_signal() {
        child |= i32::try_from(info.ssi_signo) == Ok(nix::sys::signal::Signal::SIGCHLD as i32);
    }
    child
}
