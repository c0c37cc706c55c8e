//! Moves what containers print into their logs.

use crate::logs::{self, Log, Read, Trouble, Which};
use crate::poll::{Due, Poller, Token};
use crate::state::{Output, Source, Supervisor};
use pod_wire::supervisor::Event;
use std::os::fd::AsFd;
use std::time::Duration;

/// Reads of one stream before others get their turn.
const TURNS: usize = 4;

/// Most that a pipe can hold (`fs.pipe-max-size`'s default), so most that was written before the end of a container was seen.
const DRAINED: usize = 1 << 20;

/// A container that has printed nothing for so long is quiet.
const QUIET: Duration = Duration::from_secs(1);

/// How soon a log that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

impl Supervisor {
    /// Reads a stream of a running container.
    pub(crate) fn pump(&mut self, number: u32, which: Which) {
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        for _ in 0..TURNS {
            match container.output.read(which, &mut self.scratch) {
                Read::Some(_) => {}
                Read::Nothing => break,
                Read::Ended => {
                    let scratch = &mut self.scratch;
                    container.output.end(which, &self.poll, scratch);
                    break;
                }
            }
        }
        self.timers.after(Due::Quiet(number), QUIET);
        self.look_at_log(number);
    }

    /// A container has printed nothing for a while.
    pub(crate) fn quiet(&mut self, number: u32) {
        let container = self.containers.get_mut(&number);
        if let Some(log) = container.and_then(|c| c.output.log.as_mut()) {
            log.rest();
        }
    }

    /// Tries again what a log could not take.
    pub(crate) fn retry_log(&mut self, number: u32) {
        let container = self.containers.get_mut(&number);
        if let Some(log) = container.and_then(|c| c.output.log.as_mut()) {
            log.retry(&mut self.scratch);
        }
        self.look_at_log(number);
    }

    /// Sees to it that a log that cannot be written is tried again, and tells what a user should know.
    pub(crate) fn look_at_log(&mut self, number: u32) {
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        let Some(log) = &mut container.output.log else {
            return;
        };
        if log.is_stuck() && self.timers.get(Due::Log(number)).is_none() {
            self.timers.after(Due::Log(number), RETRY);
        }
        if let Some(trouble) = log.take_trouble() {
            let event = Event::Log {
                id: container.id.clone(),
                cause: match trouble {
                    Trouble::Dropping(cause) => Some(cause),
                    Trouble::Over => None,
                },
                dropped_lines: log.dropped(),
            };
            self.tell(event);
        }
    }

    /// A container has ended: takes what it has left in its pipes, without waiting for whoever else holds them open, and closes streams
    /// and log. Gives the number of lines that were lost.
    pub(crate) fn drain(&mut self, number: u32) -> u64 {
        self.timers.cancel(Due::Log(number));
        self.timers.cancel(Due::Quiet(number));
        let Some(container) = self.containers.get_mut(&number) else {
            return 0;
        };
        for which in [Which::Stdout, Which::Stderr] {
            let mut left = DRAINED;
            while left > 0
                && let Read::Some(n) = container.output.read(which, &mut self.scratch)
            {
                left = left.saturating_sub(n);
            }
            container.output.end(which, &self.poll, &mut self.scratch);
        }
        // A terminal's copies in the node daemon stay; ours goes with the rest.
        container.output.stdout = None;
        container.output.stderr = None;
        container.stdin = None;
        let log = container.output.log.take();
        log.map_or(0, |log| log.close(&mut self.scratch))
    }

    /// Gives the buffers back while nothing is printed.
    pub(crate) fn rest(&mut self) {
        self.scratch = logs::Scratch::default();
    }
}

impl Output {
    /// Watches its streams.
    pub(crate) fn watch(&self, number: u32, poll: &Poller) -> std::io::Result<()> {
        if let Some(source) = &self.stdout {
            poll.watch(&source.fd, Token::Stdout(number))?;
        }
        if let Some(source) = &self.stderr {
            poll.watch(&source.fd, Token::Stderr(number))?;
        }
        Ok(())
    }

    /// Watches them no more.
    pub(crate) fn forget(&self, poll: &Poller) {
        for source in [&self.stdout, &self.stderr].into_iter().flatten() {
            poll.forget(&source.fd);
        }
    }

    /// Reads once, and writes the entries that are whole then.
    fn read(&mut self, which: Which, scratch: &mut logs::Scratch) -> Read {
        let source = match which {
            Which::Stdout => &self.stdout,
            Which::Stderr => &self.stderr,
        };
        let Some(source) = source.as_ref().filter(|s| !s.ended) else {
            return Read::Ended;
        };
        let Some(log) = &mut self.log else {
            return logs::read(&source.fd, &mut scratch.raw);
        };
        let got = log.fill(which, source.fd.as_fd(), scratch);
        if matches!(got, Read::Some(_)) {
            log.pass(which, false, scratch);
        }
        got
    }

    /// The end of a stream: an unterminated line is written as it is. A terminal's master stays open until the container has ended.
    fn end(&mut self, which: Which, poll: &Poller, scratch: &mut logs::Scratch) {
        let source = match which {
            Which::Stdout => &mut self.stdout,
            Which::Stderr => &mut self.stderr,
        };
        let Some(ending) = source.as_mut().filter(|s| !s.ended) else {
            return;
        };
        poll.forget(&ending.fd);
        ending.ended = true;
        if let Some(log) = &mut self.log {
            log.pass(which, true, scratch);
        }
        if !self.tty {
            *source = None;
        }
    }

    /// The streams that are open, by what they are.
    pub(crate) fn open_streams(&self) -> (Option<&Source>, Option<&Source>) {
        let open = |s: &'_ Option<Source>| s.as_ref().is_some_and(|s| !s.ended);
        (
            self.stdout.as_ref().filter(|_| open(&self.stdout)),
            self.stderr.as_ref().filter(|_| open(&self.stderr)),
        )
    }

    /// Where its log goes.
    pub(crate) fn log_mut(&mut self) -> Option<&mut Log> {
        self.log.as_mut()
    }
}
