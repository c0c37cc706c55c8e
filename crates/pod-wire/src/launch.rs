//! What a supervisor asks of a launcher, over the socket that is the launcher's descriptor 3.
//!
//! A launcher is exec'd from the sealed memfd with an empty environment and waits for one request (so one may be started ahead),
//! answers once, and ends.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The one request of a launcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LaunchRequest {
    /// Mount the rootfs in a private mount namespace, then libcontainer's create. Descriptors: stdin, stdout, stderr
    /// (for a terminal: none; the pty master comes back with the reply).
    Create(Create),
    /// Join a running container and start one more process in it. Descriptors: the pidfd of the container's init, then
    /// stdin, stdout, stderr (none of the three for a terminal).
    Exec(Exec),
}

/// Create a container up to its start barrier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Create {
    /// The container's id.
    pub id: String,
    /// Folder with `config.json`; its `rootfs` folder exists and is where the root file system is mounted.
    pub bundle: PathBuf,
    /// libcontainer's state root: `<state_root>/<id>/` must not exist. `notify.sock` appears in it.
    pub state_root: PathBuf,
    /// What the root file system is made of.
    pub rootfs: Rootfs,
    /// Folders to have in the rootfs before anything is mounted (working directory, mount targets), made below the rootfs
    /// with no symlink followed out of it.
    pub make_dirs: Vec<PathBuf>,
    /// Empty files to have likewise (targets of file mounts).
    pub make_files: Vec<PathBuf>,
    /// Whether the standard streams are a terminal.
    pub tty: bool,
    /// oom_score_adj to write for the created process; raised to what this node may set, and reported so.
    pub oom_score_adj: Option<i32>,
}

/// What a root file system is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rootfs {
    /// overlayfs. `lower` are folders of the image store, topmost layer first (up to 127; the launcher finds a short spelling).
    Overlay {
        /// Read-only layers, topmost first.
        lower: Vec<PathBuf>,
        /// This attempt's own layer.
        upper: PathBuf,
        /// overlayfs's working folder.
        work: PathBuf,
    },
    /// A folder, bound as it is (the pause container).
    Bind {
        /// The folder.
        folder: PathBuf,
    },
}

/// Start one more process in a running container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// The container's bundle, whose `config.json` says what it may do: the new process gets the same.
    pub bundle: PathBuf,
    /// Pid of the container's init (the pidfd that comes along is what counts).
    pub init_pid: i32,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether its standard streams are a terminal, opened in the container's devpts.
    pub tty: bool,
    /// Every cgroup folder (one a hierarchy) that the process must be in.
    pub cgroup_dirs: Vec<PathBuf>,
}

/// The one answer of a launcher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LaunchReply {
    /// Done. Descriptors: pidfd of the new process; for a terminal the pty master after it.
    Done {
        /// Its pid, in the supervisor's pid namespace.
        pid: i32,
        /// What was clamped to the node's limits.
        clamped: Vec<String>,
    },
    /// Not done; nothing of it is left but what the supervisor removes (cgroup, state folder).
    Failed {
        /// Which step.
        step: String,
        /// Why.
        cause: String,
    },
}
