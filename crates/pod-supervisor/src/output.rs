//! Moves what containers print into their logs.

use crate::logs::{LogFile, Tag};
use crate::poll::{Due, Poller, Token};
use crate::records::now;
use crate::state::{Output, Supervisor};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Read at once, in bytes: what a pipe holds by default.
const CHUNK: usize = 64 << 10;

/// Reads of one stream before others get their turn.
const TURNS: usize = 4;

/// Most that a pipe can hold (`fs.pipe-max-size`'s default), so most that was written before the end of a container was seen.
const DRAINED: usize = 1 << 20;

/// How soon a log that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Which stream of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Stdout,
    Stderr,
}

/// What reading gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// So many bytes.
    Some(usize),
    /// There may be more later.
    Nothing,
    /// There never will.
    Ended,
}

impl Supervisor {
    /// Reads a stream of a running container.
    pub(crate) fn pump(&mut self, number: u32, which: Which) {
        let buffer = &mut self.buffer;
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        buffer.resize(CHUNK, 0);
        for _ in 0..TURNS {
            match container.output.read(which, buffer) {
                Read::Some(_) => {}
                Read::Nothing => break,
                Read::Ended => {
                    container.output.end(which, &self.poll);
                    break;
                }
            }
        }
        if let Some(log) = &mut container.output.log {
            log.flush();
            if log.is_stuck() {
                self.timers.after(Due::Log(number), RETRY);
            }
        }
    }

    /// Tries again what a log could not take.
    pub(crate) fn retry_log(&mut self, number: u32) {
        let container = self.containers.get_mut(&number);
        if let Some(log) = container.and_then(|c| c.output.log.as_mut()) {
            log.flush();
            if log.is_stuck() {
                self.timers.after(Due::Log(number), RETRY);
            }
        }
    }

    /// A container has ended: takes what it has left in its pipes, without waiting for whoever else holds them open, and closes streams
    /// and log. Gives the number of entries that were lost.
    pub(crate) fn drain(&mut self, number: u32) -> u64 {
        self.timers.cancel(Due::Log(number));
        let buffer = &mut self.buffer;
        let Some(container) = self.containers.get_mut(&number) else {
            return 0;
        };
        buffer.resize(CHUNK, 0);
        for which in [Which::Stdout, Which::Stderr] {
            let mut left = DRAINED;
            while left > 0
                && let Read::Some(n) = container.output.read(which, buffer)
            {
                left = left.saturating_sub(n);
            }
            container.output.end(which, &self.poll);
        }
        // A terminal's copies in the node daemon stay; ours goes with the rest.
        container.output.stdout = None;
        container.output.stderr = None;
        container.stdin = None;
        container.output.log.take().map_or(0, LogFile::close)
    }

    /// Gives the read buffer back while nothing is printed.
    pub(crate) fn rest(&mut self) {
        self.buffer = Vec::new();
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

    fn read(&mut self, which: Which, buffer: &mut [u8]) -> Read {
        let (source, name) = match which {
            Which::Stdout => (&mut self.stdout, "stdout"),
            Which::Stderr => (&mut self.stderr, "stderr"),
        };
        let Some(source) = source.as_mut().filter(|s| !s.ended) else {
            return Read::Ended;
        };
        let got = read(&source.fd, buffer);
        if let (Read::Some(n), Some(log)) = (got, &mut self.log) {
            // One time for what was read at once: it is when we saw it.
            let time = now();
            let bytes = buffer.get(..n).unwrap_or_default();
            let emit = |tag: Tag, a: &[u8], b: &[u8]| log.add(&time, name, tag, a, b);
            source.splitter.feed(bytes, emit);
        }
        got
    }

    /// The end of a stream: an unterminated line is written as it is. A terminal's master stays open until the container has ended.
    fn end(&mut self, which: Which, poll: &Poller) {
        let (source, name) = match which {
            Which::Stdout => (&mut self.stdout, "stdout"),
            Which::Stderr => (&mut self.stderr, "stderr"),
        };
        let Some(ending) = source.as_mut().filter(|s| !s.ended) else {
            return;
        };
        poll.forget(&ending.fd);
        ending.ended = true;
        if let Some(log) = &mut self.log {
            let time = now();
            let emit = |tag: Tag, a: &[u8], b: &[u8]| log.add(&time, name, tag, a, b);
            ending.splitter.finish(emit);
        }
        if !self.tty {
            *source = None;
        }
    }
}

fn read(fd: &OwnedFd, buffer: &mut [u8]) -> Read {
    loop {
        match rustix::io::read(fd.as_fd(), &mut *buffer) {
            Ok(0) => return Read::Ended,
            Ok(n) => return Read::Some(n),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return Read::Nothing,
            // EIO: the last process has closed the terminal.
            Err(_) => return Read::Ended,
        }
    }
}
