//! What the API needs of the node behind it. Implemented once by the node daemon, and once by the tests of this crate.

use crate::error::ApiError;
use crate::feed::{Feed, Key, Versioned};
use jiff::Timestamp;
use pod_driver::host::ExecSession;
pub use pod_driver::queue::Retried;
use pod_model::config::ExecConfig;
use pod_model::event::Event;
use pod_model::ids::{ContainerName, PodRef};
use pod_model::pod::Pod;
use pod_model::runtime::PodRuntime;
use pod_model::service::Service;
use pod_model::stats::PodStats;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// What a request answers.
pub type ApiResult<T> = Result<T, ApiError>;

/// The node behind the API.
///
/// Listing, getting and watching are served from the feeds alone: whoever changes a pod puts its new record into the feed.
pub trait Backend: Send + Sync + 'static {
    /// Every pod that exists on this node, with its status as it is now.
    fn pods(&self) -> &Arc<Feed<PodRecord>>;

    /// Events, under a key of the pod's namespace and a name unique to the event (see [`crate::events::EventLog`]).
    fn events(&self) -> &Arc<Feed<Event>>;

    /// ConfigMaps or Secrets.
    fn configs(&self, kind: ConfigKind) -> &Arc<Feed<ConfigRecord>>;

    /// Takes a pod: gives it a uid and a creation time, keeps it on disk, begins to run it, puts it into the feed, and
    /// tells it as it was then: meanwhile it may have been deleted, and another one have its name. `AlreadyExists` if there is one of that name.
    fn create_pod(
        &self,
        pod: NewPod,
    ) -> impl Future<Output = ApiResult<Versioned<PodRecord>>> + Send;

    /// Puts the new labels, annotations and spec of a pod in the place of the old ones, on disk, in the feed and for what runs it. What
    /// may not change has been looked after; uid, times and status stay.
    fn update_pod(&self, key: &Key, pod: NewPod) -> impl Future<Output = ApiResult<()>> + Send;

    /// Begins to delete a pod, or shortens the grace period of a deletion in progress. The pod leaves the feed when all of it is gone.
    fn delete_pod(
        &self,
        key: &Key,
        options: DeleteOptions,
    ) -> impl Future<Output = ApiResult<()>> + Send;

    /// Starts a process in a running container (its newest attempt).
    fn exec(
        &self,
        pod: &PodRef,
        container: &str,
        config: &ExecConfig,
    ) -> impl Future<Output = ApiResult<ExecSession>> + Send;

    /// Makes a container in which things stand as they stood for the newest attempt of that container: its files, volumes, environment, user
    /// and confinement, and the pod's namespaces; gives the name that [`Backend::exec`] knows it by. `image`: with the files of that image
    /// instead. A container that runs needs none: its own name is given.
    fn debug(
        &self,
        pod: &PodRef,
        target: &str,
        image: Option<&str>,
    ) -> impl Future<Output = ApiResult<String>> + Send;

    /// Sets the size of an exec'd process's terminal.
    fn resize(&self, terminal: &OwnedFd, columns: u16, rows: u16) -> ApiResult<()>;

    /// Folder of that pod's container logs: `<logs>/<namespace>_<name>_<uid>`, below it `<container>/<attempt>.log`.
    fn log_directory(&self, pod: &PodRef) -> PathBuf;

    /// Keeps a ConfigMap or Secret. `replace`: there must be one; else there must be none.
    fn put_config(
        &self,
        config: ConfigRecord,
        replace: bool,
    ) -> impl Future<Output = ApiResult<()>> + Send;

    /// Forgets a ConfigMap or Secret.
    fn delete_config(
        &self,
        kind: ConfigKind,
        key: &Key,
    ) -> impl Future<Output = ApiResult<()>> + Send;

    /// Services.
    fn services(&self) -> &Arc<Feed<ServiceRecord>>;

    /// Keeps a Service, and gives it a virtual address where it is to have one. `replace`: there must be one; else there must be none.
    fn put_service(
        &self,
        service: ServiceRecord,
        replace: bool,
    ) -> impl Future<Output = ApiResult<()>> + Send;

    /// Forgets a Service.
    fn delete_service(&self, key: &Key) -> impl Future<Output = ApiResult<()>> + Send;

    /// All images.
    fn images(&self) -> impl Future<Output = ApiResult<Vec<ImageRecord>>> + Send;

    /// Imports an archive: an OCI layout as tar, or a docker-archive. May be called from an async task; the reader blocks, so it is
    /// to be read on a blocking thread.
    fn import_image(
        &self,
        request: ImageImport,
        archive: Box<dyn Read + Send>,
        progress: Progress,
    ) -> impl Future<Output = ApiResult<Vec<ImageRecord>>> + Send;

    /// Takes a name off an image, and removes the image when that was its last name; by id: removes it with all names.
    /// `Conflict` while a pod uses it, unless `force`. Gives what was done, a line each (`Untagged: …`, `Deleted: …`).
    fn remove_image(
        &self,
        name: &str,
        force: bool,
    ) -> impl Future<Output = ApiResult<Vec<String>>> + Send;

    /// About this node.
    fn node_info(&self) -> impl Future<Output = ApiResult<NodeInfo>> + Send;

    /// Ends and removes everything that this node made: pods, images, ConfigMaps, Secrets, cgroups, folders. The daemon ends after it.
    fn reset(&self, progress: Progress) -> impl Future<Output = ApiResult<()>> + Send;

    /// Why the pod is where it is: the next steps of its plan and when it wakes up next, as JSON for people and programs.
    fn plan_of(&self, key: &Key) -> impl Future<Output = ApiResult<Value>> + Send;

    /// Every sandbox and every attempt of every container that there is a record of.
    fn attempts_of(&self, key: &Key) -> impl Future<Output = ApiResult<Attempts>> + Send;

    /// Gives a pod a second chance: at the init container `from`, else at what has failed. `BadRequest` where there is nothing to try again.
    fn retry(
        &self,
        key: &Key,
        from: Option<ContainerName>,
    ) -> impl Future<Output = ApiResult<Retried>> + Send;

    /// What a pod and its running containers use now.
    fn stats_of(&self, key: &Key) -> impl Future<Output = ApiResult<PodStats>> + Send;
}

/// When everything of a pod ran, exact to what was recorded (the API's own times are whole seconds).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempts {
    /// When the pod was accepted.
    pub accepted: Option<Timestamp>,
    /// Its sandboxes and containers.
    pub runtime: PodRuntime,
}

/// A pod as the API shows it.
#[derive(Clone, Debug)]
pub struct PodRecord {
    /// Name, uid, times and status as they are now, and the spec as podwright reads it.
    pub pod: Arc<Pod>,
    /// What the user gave, with defaults, as `v1.Pod` JSON: it also holds fields that mean nothing on one node.
    /// Its `status` and what the node sets in `metadata` are taken from `pod`.
    pub object: Arc<Value>,
    /// Name of this node (`spec.nodeName`).
    pub node: String,
}

/// A pod to create: validated, defaults set, no uid yet.
#[derive(Clone, Debug)]
pub struct NewPod {
    /// As podwright reads it.
    pub pod: Pod,
    /// As the user gave it, with defaults.
    pub object: Value,
}

/// How to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds instead of the pod's own `terminationGracePeriodSeconds`; 0 = at once.
    pub grace_period_seconds: Option<i64>,
    /// Delete only the pod of this uid; another one is a `Conflict`.
    pub uid: Option<String>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum ConfigKind {
    ConfigMap,
    Secret,
}

impl ConfigKind {
    /// `configmaps` or `secrets`.
    pub fn resource(self) -> &'static str {
        match self {
            ConfigKind::ConfigMap => "configmaps",
            ConfigKind::Secret => "secrets",
        }
    }

    /// `ConfigMap` or `Secret`.
    pub fn as_str(self) -> &'static str {
        match self {
            ConfigKind::ConfigMap => "ConfigMap",
            ConfigKind::Secret => "Secret",
        }
    }
}

/// A ConfigMap or Secret. Serde form: what a node keeps on disk.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// Which of the two.
    pub kind: ConfigKind,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`; the server leaves it empty, the node sets it.
    pub uid: String,
    /// `metadata.creationTimestamp`; the server leaves it out, the node sets it.
    pub created: Option<Timestamp>,
    /// The object as v1 JSON, without what stands above.
    pub object: Value,
    /// `data`, `binaryData` and `stringData`, decoded.
    pub data: BTreeMap<String, Vec<u8>>,
}

impl ConfigRecord {
    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }
}

impl std::fmt::Debug for ConfigRecord {
    /// Never shows the data: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}/{} ({} keys)",
            self.kind.as_str(),
            self.namespace,
            self.name,
            self.data.len()
        )
    }
}

/// A Service. Serde form: what a node keeps on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// As podwright reads it; uid, creation time and address are set by the node.
    pub service: Service,
    /// The object as v1 JSON, with defaults; what the node sets is taken from `service`.
    pub object: Value,
}

impl ServiceRecord {
    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::new(self.service.namespace.as_str(), self.service.name.as_str())
    }
}

/// An image in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageRecord {
    /// Digest of its config, `sha256:…`.
    pub id: String,
    /// Full names, such as `docker.io/library/busybox:latest`.
    pub names: Vec<String>,
    /// Digest of its manifest.
    pub digest: String,
    /// Bytes of its blobs.
    pub size: u64,
    /// Whether an imported name pins it.
    pub pinned: bool,
    /// When the image was made, as its config says.
    pub created: Option<Timestamp>,
}

/// What to import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageImport {
    /// Name to give; `None` = the names that the archive holds.
    pub name: Option<String>,
    /// Which image of an archive with several: its `org.opencontainers.image.ref.name` or its repo tag.
    pub tag: Option<String>,
}

/// Where a long request tells how far it is: one line a step.
#[derive(Clone, Debug)]
pub struct Progress(pub(crate) tokio::sync::mpsc::UnboundedSender<String>);

impl Progress {
    /// One step, in words. A client that went away misses it.
    pub fn step(&self, words: impl Into<String>) {
        // An error means that nobody listens any more, which stops no work.
        let _ = self.0.send(words.into());
    }
}

/// About a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeInfo {
    /// Its name.
    pub name: String,
    /// Version of the daemon.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// Whether it was started on demand, so that it ends when idle.
    pub on_demand: bool,
    /// State folder.
    pub root: PathBuf,
    /// Runtime folder.
    pub run: PathBuf,
    /// Folder of container logs.
    pub logs: PathBuf,
    /// Cgroup that everything lives below.
    pub cgroup_root: String,
    /// `v1`, `hybrid` or `v2`.
    pub cgroup_layout: String,
    /// Processes of podwright besides the daemon.
    pub processes: Vec<ProcessInfo>,
}

/// One process of podwright.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessInfo {
    /// Its pid.
    pub pid: u32,
    /// `supervisor`, `pause`.
    pub role: String,
    /// `namespace/name` of the pod that it belongs to.
    pub pod: String,
}
