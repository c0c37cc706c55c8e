//! The one place where the program waits: epoll over descriptors, each with a token, until the first deadline.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;
use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a readiness event is about. The number is that of a container, exec, operation or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Token {
    /// A signal came.
    Signals,
    /// Somebody connects.
    Listener,
    /// A node daemon's socket.
    Connection(u32),
    /// A launcher's socket.
    LaunchSocket(u32),
    /// A launcher's pidfd.
    LaunchProcess(u32),
    /// A container's pidfd.
    Container(u32),
    /// An exec'd process's pidfd.
    Exec(u32),
    /// A container's standard output (or terminal).
    Stdout(u32),
    /// A container's standard error.
    Stderr(u32),
}

impl Token {
    fn to_u64(self) -> u64 {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Connection(n) => (3, n),
            Self::LaunchSocket(n) => (4, n),
            Self::LaunchProcess(n) => (5, n),
            Self::Container(n) => (6, n),
            Self::Exec(n) => (7, n),
            Self::Stdout(n) => (8, n),
            Self::Stderr(n) => (9, n),
        };
        kind << 32 | u64::from(number)
    }

    fn from_u64(value: u64) -> Option<Self> {
        let number = (value & 0xffff_ffff) as u32;
        Some(match value >> 32 {
            0 => Self::Signals,
            1 => Self::Listener,
            3 => Self::Connection(number),
            4 => Self::LaunchSocket(number),
            5 => Self::LaunchProcess(number),
            6 => Self::Container(number),
            7 => Self::Exec(number),
            8 => Self::Stdout(number),
            9 => Self::Stderr(number),
            _ => return None,
        })
    }
}

/// Most events taken from the kernel at once.
const BATCH: usize = 16;

/// Longest wait in s: the kernel takes as many milliseconds as an `int` holds. Who wakes too early waits again.
const LONGEST: i64 = 1_000_000;

/// epoll, level-triggered: what is not taken now is told again.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
        })
    }

    /// Watches a descriptor for input, end, and hang-up.
    pub(crate) fn watch(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        let data = EventData::new_u64(token.to_u64());
        Ok(epoll::add(&self.epoll, fd, data, EventFlags::IN)?)
    }

    /// Says whether room for output matters too.
    pub(crate) fn watch_output(&self, fd: impl AsFd, token: Token, output: bool) -> io::Result<()> {
        let data = EventData::new_u64(token.to_u64());
        let flags = if output {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        Ok(epoll::modify(&self.epoll, fd, data, flags)?)
    }

    /// Watches it no more. To be called before the descriptor is closed where somebody else holds a copy of it.
    pub(crate) fn forget(&self, fd: impl AsFd) {
        // It fails only for a descriptor that is not watched: then there is nothing to forget.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready, at most so long; without a limit for ever.
    pub(crate) fn wait(&self, most: Option<Duration>) -> io::Result<Vec<Token>> {
        let mut space = [MaybeUninit::<Event>::uninit(); BATCH];
        // The kernel takes milliseconds: rounded up, so that what is due then is.
        let most = most.map(|most| Timespec {
            tv_sec: most.as_secs().try_into().unwrap_or(LONGEST).min(LONGEST),
            tv_nsec: most.subsec_nanos().into(),
        });
        match epoll::wait(&self.epoll, &mut space[..], most.as_ref()) {
            Ok((events, _)) => Ok(events
                .iter()
                .filter_map(|e| Token::from_u64(e.data.u64()))
                .collect()),
            Err(rustix::io::Errno::INTR) => Ok(Vec::new()),
            Err(e) => Err(e.into()),
        }
    }
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The grace period of a container is over, or its killing is tried again.
    Kill(u32),
    /// A removal (cgroup, state folder) is tried again.
    Removal(u32),
    /// A launcher has had its time.
    Launch(u32),
    /// What a log could not take is tried again.
    Log(u32),
    /// The launcher that waits ahead has waited long enough.
    Launcher,
    /// Connections are taken again, after there was no descriptor for one.
    Accept,
    /// A container has printed nothing for a while: what its log holds open for more is closed.
    Quiet(u32),
}

/// Deadlines, at most one for each thing that is due.
#[derive(Debug, Default)]
pub(crate) struct Timers(BTreeMap<Due, Instant>);

impl Timers {
    pub(crate) fn set(&mut self, due: Due, at: Instant) {
        self.0.insert(due, at);
    }

    pub(crate) fn after(&mut self, due: Due, delay: Duration) {
        self.set(due, Instant::now() + delay);
    }

    pub(crate) fn get(&self, due: Due) -> Option<Instant> {
        self.0.get(&due).copied()
    }

    /// When it is due, in ns of CLOCK_MONOTONIC: a time that another process understands, until reboot.
    pub(crate) fn monotonic(&self, due: Due) -> Option<u64> {
        let left = self.get(due)?.saturating_duration_since(Instant::now());
        Some(monotonic_now() + u64::try_from(left.as_nanos()).unwrap_or(u64::MAX / 2))
    }

    /// Takes over a deadline of a predecessor; one that has passed is due at once.
    pub(crate) fn set_monotonic(&mut self, due: Due, at: u64) {
        self.after(
            due,
            Duration::from_nanos(at.saturating_sub(monotonic_now())),
        );
    }

    pub(crate) fn cancel(&mut self, due: Due) {
        self.0.remove(&due);
    }

    /// How long until the first of them; `None` where there is none.
    pub(crate) fn left(&self) -> Option<Duration> {
        let first = self.0.values().min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }

    /// What is due now; it is not due again.
    pub(crate) fn take_due(&mut self) -> Vec<Due> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let due: Vec<Due> = self
            .0
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(due, _)| *due)
            .collect();
        for item in &due {
            self.0.remove(item);
        }
        due
    }
}

fn monotonic_now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_comes_back_as_it_was() {
        let all = [
            Token::Signals,
            Token::Listener,
            Token::Connection(1),
            Token::LaunchSocket(2),
            Token::LaunchProcess(3),
            Token::Container(u32::MAX),
            Token::Exec(0),
            Token::Stdout(7),
            Token::Stderr(7),
        ];
        for token in all {
            assert_eq!(Token::from_u64(token.to_u64()), Some(token));
        }
        assert_eq!(Token::from_u64(99 << 32), None);
    }

    #[test]
    fn a_deadline_is_handed_over_as_a_time_of_the_monotonic_clock() {
        let mut timers = Timers::default();
        timers.after(Due::Kill(1), Duration::from_secs(60));
        let at = timers.monotonic(Due::Kill(1)).unwrap();
        let mut successor = Timers::default();
        successor.set_monotonic(Due::Kill(7), at);
        let (old, new) = (timers.get(Due::Kill(1)), successor.get(Due::Kill(7)));
        let apart = new.unwrap().max(old.unwrap()) - new.unwrap().min(old.unwrap());
        assert!(apart < Duration::from_millis(50), "{apart:?}");
        successor.set_monotonic(Due::Kill(8), 1);
        assert_eq!(successor.take_due(), [Due::Kill(8)]);
        assert_eq!(timers.monotonic(Due::Kill(2)), None);
    }

    #[test]
    fn a_deadline_fires_once_and_a_cancelled_one_never() {
        let poll = Poller::new().unwrap();
        let mut timers = Timers::default();
        assert_eq!((timers.left(), timers.take_due()), (None, vec![]));
        timers.after(Due::Kill(1), Duration::from_millis(5));
        timers.after(Due::Log(1), Duration::from_millis(5));
        timers.after(Due::Kill(2), Duration::from_secs(60));
        timers.cancel(Due::Log(1));
        let set = Instant::now();
        assert_eq!(poll.wait(timers.left()).unwrap(), []);
        // It does not wake before: it would find nothing due, and wait again.
        assert_eq!(timers.take_due(), [Due::Kill(1)]);
        assert!(set.elapsed() < Duration::from_secs(30));
        assert_eq!(timers.take_due(), []);
        assert!(timers.get(Due::Kill(2)).is_some() && timers.get(Due::Kill(1)).is_none());
    }
}
