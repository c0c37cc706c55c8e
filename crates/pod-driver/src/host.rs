//! What the driver needs of the runtime half. One real implementation (pod-host) and one scripted (pod-sim).
//!
//! Every verb is idempotent: asked again after it was done, it answers as before and changes nothing. A verb that fails leaves
//! nothing behind that the same verb, asked again, or the matching removal would not take care of.

use pod_model::config::{
    ContainerConfig, ContainerResources, ExecConfig, ImageFacts, PodCgroup, SandboxConfig,
    VolumeToPrepare,
};
use pod_model::ids::{CgroupPath, ContainerId, ContainerName, PodRef, PodUid, SandboxId};
use pod_model::runtime::{Exit, PodRuntime};
pub use pod_plan::events::LogNews;
use std::fmt;
use std::future::Future;
use std::os::fd::OwnedFd;

/// Why a verb failed: the step that failed and its cause, in words for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// What kind of failure, where it changes what the driver or the status says.
    pub kind: HostErrorKind,
    /// Step and cause, such as `create: mount /data: no such file or directory`.
    pub message: String,
}

/// What a failure means for status and retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostErrorKind {
    /// The config cannot work as it is (waiting reason `CreateContainerConfigError`): missing sub path, user not known, not non-root.
    Config,
    /// The container could not be made (`CreateContainerError`).
    Create,
    /// Its process could not be started (`RunContainerError`): no such program, not executable.
    Start,
    /// A volume could not be made (event `FailedMount`).
    Volume,
    /// A sandbox could not be made (event `FailedCreatePodSandBox`).
    Sandbox,
    /// There is no sandbox or container of that id.
    NotFound,
    /// Anything else.
    Other,
}

impl HostError {
    /// An error of that kind.
    pub fn new(kind: HostErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

/// What a verb answers.
pub type HostResult<T> = Result<T, HostError>;

/// Something that happened to a pod without having been asked for just now.
#[derive(Clone, Debug, PartialEq)]
pub enum HostEvent {
    /// A container ended; its record can be read by [`Host::observe`] and stands here too.
    ContainerExited {
        /// Whose.
        pod: PodUid,
        /// Which attempt.
        id: ContainerId,
        /// Its name.
        name: ContainerName,
        /// How.
        exit: Exit,
    },
    /// The pause process of a sandbox ended, or its supervisor did.
    SandboxLost {
        /// Whose.
        pod: PodUid,
        /// Which sandbox.
        id: SandboxId,
        /// What happened to it.
        cause: String,
    },
    /// The log of a container cannot be written, or can again.
    Log {
        /// Whose.
        pod: PodUid,
        /// Which container.
        name: ContainerName,
        /// What is new.
        news: LogNews,
    },
}

/// A process started in a running container.
#[derive(Debug)]
pub struct ExecSession {
    /// Its name, for [`Host::kill_exec`].
    pub name: String,
    /// Its standard streams.
    pub streams: ExecStreams,
    /// Its exit code, once: 128+n for signal n. An error when nobody can know any more.
    pub exit: tokio::sync::oneshot::Receiver<i32>,
}

/// Standard streams of an exec'd process: this side's ends.
#[derive(Debug)]
pub enum ExecStreams {
    /// One terminal: the master's end.
    Terminal(OwnedFd),
    /// Pipes.
    Pipes {
        /// Write end of its standard input, if asked for.
        stdin: Option<OwnedFd>,
        /// Read end of its standard output.
        stdout: OwnedFd,
        /// Read end of its standard error.
        stderr: OwnedFd,
    },
}

/// The runtime half, as the driver uses it.
pub trait Host: Send + Sync + 'static {
    /// Makes the pod-level cgroup with these values, and the pod's data folders.
    fn ensure_pod(
        &self,
        pod: &PodRef,
        cgroup: &CgroupPath,
        values: &PodCgroup,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Makes or updates the pod's volumes. All problems at once.
    fn prepare_volumes(
        &self,
        pod: &PodRef,
        volumes: &[VolumeToPrepare],
    ) -> impl Future<Output = Result<(), Vec<VolumeError>>> + Send;

    /// Starts supervisor and pause process. Gives the sandbox's own network namespace (`None` with the node's), for the network to attach.
    fn run_sandbox(
        &self,
        config: &SandboxConfig,
    ) -> impl Future<Output = HostResult<Option<OwnedFd>>> + Send;

    /// Notes the address that the network gave the sandbox (`None`: it has none), so that [`Host::observe`] reports it.
    fn set_address(
        &self,
        pod: &PodUid,
        id: &SandboxId,
        ip: Option<String>,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Kills what is left in a sandbox and ends its pause process and supervisor. Records of its containers stay readable.
    fn stop_sandbox(
        &self,
        pod: &PodUid,
        id: &SandboxId,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Forgets a stopped sandbox: its run folder and everything in it.
    fn remove_sandbox(
        &self,
        pod: &PodUid,
        id: &SandboxId,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Makes a container from its image, verifies it and starts it. Returns once its process is let go.
    fn start_container(
        &self,
        pod: &PodRef,
        config: &ContainerConfig,
        image: &ImageFacts,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Sends the stop signal, and SIGKILL to the whole container once `grace_ms` have passed. Returns at once: the end comes as an event.
    /// Asked again with a shorter grace, the end moves closer.
    fn stop_container(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        grace_ms: u64,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Forgets an ended container: snapshot, cgroup, bundle, record; with `logs` its log files too.
    fn remove_container(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        logs: bool,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Writes these values to the pod's own cgroup, and no others of it. A memory limit below what is in use is refused: nothing is killed.
    fn resize_pod(
        &self,
        pod: &PodUid,
        cgroup: &CgroupPath,
        values: &PodCgroup,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Likewise to the cgroup of a running container.
    fn resize_container(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        values: &ContainerResources,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// Starts a process in a running container.
    fn exec(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> impl Future<Output = HostResult<ExecSession>> + Send;

    /// Kills a process that [`Host::exec`] started. One that has ended already is as good as killed.
    fn kill_exec(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        name: &str,
    ) -> impl Future<Output = HostResult<()>> + Send;

    /// A TCP socket that is not connected, non-blocking, in the network namespace that a container uses; for IPv6 if `v6`.
    fn socket(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        v6: bool,
    ) -> impl Future<Output = HostResult<OwnedFd>> + Send;

    /// Sets the size of an exec'd terminal, or of a container's. `streams` is what [`Host::exec`] gave.
    fn resize(&self, terminal: &OwnedFd, columns: u16, rows: u16) -> HostResult<()>;

    /// All facts about one pod now: sandboxes newest first, containers newest attempt first.
    fn observe(&self, pod: &PodUid) -> impl Future<Output = PodRuntime> + Send;

    /// Removes everything that belongs to the pod: sandboxes left, cgroup, volumes, data folders, logs.
    fn remove_pod(
        &self,
        pod: &PodRef,
        cgroup: &CgroupPath,
    ) -> impl Future<Output = HostResult<()>> + Send;
}

/// A volume that could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeError {
    /// Its name in the pod.
    pub volume: String,
    /// Why.
    pub cause: String,
}
