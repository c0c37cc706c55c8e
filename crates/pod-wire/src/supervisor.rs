//! What the node daemon asks of a supervisor, and what a supervisor tells it.

use crate::launch::Create;
use crate::verify::Expect;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// First frame of either side on a new connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Protocol version of the sender.
    pub version: u32,
    /// The node daemon's generation: a supervisor refuses requests of a lower one than it has seen.
    pub generation: u64,
    /// Pid of the sender.
    pub pid: i32,
}

/// A numbered request. The same number again gets the same answer and no second effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the node, growing.
    pub id: u64,
    /// What is asked.
    pub body: RequestBody,
}

/// What a node daemon asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RequestBody {
    /// Everything the supervisor knows: [`ReplyBody::State`].
    State,
    /// Create a container and hold it at the start barrier, verified: [`ReplyBody::Created`]. The descriptors with this answer and with
    /// [`ReplyBody::Started`] are what a successor of the supervisor needs; the answer names them.
    Create(CreateContainer),
    /// Let a created container go: [`ReplyBody::Started`].
    Start {
        /// Which container.
        id: String,
    },
    /// Create, verify and start at once, one round trip: [`ReplyBody::Started`], with its pidfd.
    CreateAndStart(CreateContainer),
    /// Send `signal`; if the container still lives `grace_ms` later, kill its cgroup. Answered at once with [`ReplyBody::Done`];
    /// the end comes as an event. Asked again with a shorter grace, the deadline moves closer. 0 = kill now.
    Stop {
        /// Which container.
        id: String,
        /// Signal number to begin with.
        signal: i32,
        /// Time until SIGKILL in ms.
        grace_ms: u64,
    },
    /// Forget an ended container: close its log, remove its cgroup and libcontainer's state: [`ReplyBody::Done`].
    Delete {
        /// Which container.
        id: String,
    },
    /// Start one more process in a running container: [`ReplyBody::Execed`]. Its end comes as [`Event::ExecExited`].
    /// Descriptors: stdin, stdout, stderr; with `tty` none, and the pty master comes back.
    Exec {
        /// Which container.
        id: String,
        /// Name of this exec, chosen by the node.
        exec: String,
        /// Program and arguments.
        command: Vec<String>,
        /// Whether its streams are a terminal.
        tty: bool,
    },
    /// Send a signal to an exec'd process: [`ReplyBody::Done`].
    SignalExec {
        /// Which container.
        id: String,
        /// Which exec.
        exec: String,
        /// Signal number.
        signal: i32,
    },
    /// Give the descriptors of a container, or of an exec in it, once more, to be held for a successor: [`ReplyBody::Held`].
    Hold {
        /// Which container.
        id: String,
        /// Which exec; `None` = the container itself.
        exec: Option<String>,
    },
    /// Open the log file anew (something else has rotated it): [`ReplyBody::Done`].
    ReopenLog {
        /// Which container.
        id: String,
    },
    /// Kill everything that is left, remove the cgroups, and end: [`ReplyBody::Done`], then the socket closes.
    Shutdown,
}

/// A container to create.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreateContainer {
    /// For the launcher.
    pub create: Create,
    /// Whether this is the sandbox's pause process: its namespaces are what [`crate::verify::NamespaceOf::Sandbox`] means.
    pub pause: bool,
    /// What must be true of it before it starts.
    pub expect: Expect,
    /// Owner of its standard streams.
    pub uid: u32,
    /// Likewise the group.
    pub gid: u32,
    /// Where its output goes; `None` (pause) = nowhere.
    pub log: Option<Log>,
    /// Whether a pipe to its standard input is kept open (else /dev/null).
    pub stdin: bool,
    /// Every cgroup folder (one a hierarchy) that create makes for it; removed by delete.
    pub cgroup_dirs: Vec<PathBuf>,
    /// File for its exit record, preallocated at create: zeros until the record is there, then a line of JSON, a line with its CRC-32 as
    /// eight hexadecimal digits, and line breaks as padding. A file that begins with `{` is whole.
    pub exit_file: PathBuf,
}

/// A container log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// Its path; rotated ones get `.1`, `.2`, … (1 = newest).
    pub path: PathBuf,
    /// Rotate before a file passes this many bytes.
    pub max_bytes: u64,
    /// Keep so many files, the current one included.
    pub max_files: u32,
}

/// The answer to a request of the same number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's number.
    pub id: u64,
    /// How it went.
    pub result: Result<ReplyBody, Failure>,
}

/// A good answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is described where it is asked for")]
pub enum ReplyBody {
    Done,
    State(Vec<ContainerState>),
    Created {
        pid: i32,
        clamped: Vec<String>,
        #[serde(default)]
        descriptors: Vec<Descriptor>,
    },
    Started {
        pid: i32,
        started_at: String,
        clamped: Vec<String>,
        #[serde(default)]
        descriptors: Vec<Descriptor>,
    },
    Execed {
        pid: i32,
        #[serde(default)]
        descriptors: Vec<Descriptor>,
    },
    Held {
        descriptors: Vec<Descriptor>,
    },
}

/// What a descriptor that comes with an answer is; an answer names them in the order in which they come. A supervisor of version 1 names
/// none, and sends the pidfd of a container first, the terminal of an exec alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Descriptor {
    /// The master of its terminal.
    Terminal,
    /// Its pidfd.
    Process,
    /// Write end of its standard input.
    Stdin,
    /// Read end of its standard output. Held, never read: what a container that ends has printed is not lost with its supervisor.
    Stdout,
    /// Likewise of its standard error.
    Stderr,
}

/// A bad answer: which step failed, and why. Nothing of the operation is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which step (`create`, `verify`, `start`, `exec`, …).
    pub step: String,
    /// Why, in words for a user.
    pub cause: String,
    /// Whether there is no container (or exec) of that name.
    pub not_found: bool,
}

/// One container as a supervisor knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerState {
    /// Its id.
    pub id: String,
    /// Its pid, also after it ended.
    pub pid: i32,
    /// Whether it is the pause process.
    pub pause: bool,
    /// Whether start was let through.
    pub started_at: Option<String>,
    /// What was clamped.
    pub clamped: Vec<String>,
    /// How it ended.
    pub exit: Option<ExitRecord>,
    /// Execs in it that run.
    #[serde(default)]
    pub execs: Vec<String>,
}

/// What is written before anybody is told. Times are RFC 3339 with nanoseconds, UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Container id.
    pub id: String,
    /// Exit code; 128+n for signal n; 255 where nobody can know.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Nobody can know how it ended: its supervisor was dead, and the kernel does not say.
    #[serde(default)]
    pub unknown: bool,
    /// Whether the kernel killed something in its cgroup for memory.
    pub oom: bool,
    /// When it was started, if it was.
    pub started_at: Option<String>,
    /// When its end was seen.
    pub finished_at: String,
    /// Log lines dropped because they could not be written (disk full).
    pub dropped_lines: u64,
}

/// What a supervisor tells unasked, to every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A container ended; its record is on disk and its log is complete up to the drain limit.
    Exited(ExitRecord),
    /// An exec'd process ended.
    ExecExited {
        /// Which container.
        id: String,
        /// Which exec.
        exec: String,
        /// Exit code; 128+n for signal n.
        code: i32,
    },
    /// A log cannot be written and lines of it are being dropped, or is written again. Told to peers of version 2 on.
    Log {
        /// Which container.
        id: String,
        /// Why it cannot be written; `None`: it is written again.
        cause: Option<String>,
        /// Lines dropped so far.
        dropped_lines: u64,
    },
    /// A container is made and about to be let go. What comes with it is to be held for a successor; the answer to its start has the same
    /// again, but this supervisor may be killed between the two. Told to peers of version 2 on.
    Made {
        /// Which container.
        id: String,
        /// What comes with it, in this order.
        descriptors: Vec<Descriptor>,
    },
}

/// Every frame from supervisor to node after its hello.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromSupervisor {
    /// Answer to a request.
    Reply(Reply),
    /// Something happened.
    Event(Event),
}
