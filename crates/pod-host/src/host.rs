//! The host as the driver sees it: opening it, and the trait's verbs.

use crate::bundle::private_folder;
use crate::cgroup;
use crate::failure::{At, blocking};
use crate::node;
use crate::node_state::{Found, Node};
use crate::options::HostOptions;
use crate::paths::Paths;
use crate::pause_root;
use crate::verbs::{container, exec, pod, recover, resize, sandbox};
use pod_driver::host::{
    ExecSession, Host, HostError, HostErrorKind, HostEvent, HostResult, VolumeError,
};
use pod_model::config::{
    ContainerConfig, ContainerResources, ExecConfig, ImageFacts, PodCgroup, SandboxConfig,
    VolumeToPrepare,
};
use pod_model::ids::{CgroupPath, ContainerId, PodRef, PodUid, SandboxId};
use pod_model::runtime::PodRuntime;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::mpsc;

const OTHER: HostErrorKind = HostErrorKind::Other;

/// The runtime half on this node.
#[derive(Debug, Clone)]
pub struct NodeHost {
    node: Arc<Node>,
}

/// A host that was opened.
#[derive(Debug)]
pub struct Opened {
    /// The host.
    pub host: NodeHost,
    /// What happens to its pods. Nothing is lost when it is read late.
    pub events: mpsc::UnboundedReceiver<HostEvent>,
    /// What could not be found again, each in words for the log.
    pub notes: Vec<String>,
}

impl NodeHost {
    /// Opens the host: looks at the node, moves this process into its own cgroup, and finds every sandbox again that an earlier daemon has
    /// left. Must be called in a tokio runtime, once a process, as root.
    ///
    /// # Errors
    /// When the node lacks something without which no pod can run. What is wrong with single sandboxes comes in [`Opened::notes`].
    pub async fn open(options: HostOptions) -> HostResult<Opened> {
        let (options, found) = blocking(move || look(options)).await??;
        let (sender, events) = mpsc::unbounded_channel();
        let (losses, lost) = mpsc::unbounded_channel();
        let node = Node::new(options, found, sender, losses);
        tokio::spawn(recover::look_after(Arc::downgrade(&node), lost));
        let notes = recover::all(&node).await?;
        Ok(Opened {
            host: Self { node },
            events,
            notes,
        })
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn node_arc(&self) -> &Arc<Node> {
        &self.node
    }

    /// Records of sandboxes that could not be trusted when they were found again, as far as it is known with whose they were; each once.
    pub fn take_damaged(&self) -> Vec<(Option<PodRef>, String)> {
        self.node.take_damaged()
    }

    /// Pods of which there is anything, found again or made since, each with its pod-level cgroup.
    pub fn pods(&self) -> Vec<(PodRef, CgroupPath)> {
        let state = self.node.state();
        let known = state.pods().filter_map(|(_, pod)| {
            let whole = pod.whole.as_ref().map(|w| (&w.pod, &w.cgroup));
            let sandbox = pod.sandboxes.first();
            whole.or_else(|| sandbox.map(|s| (&s.config.pod, &s.config.cgroup_parent)))
        });
        known
            .map(|(pod, cgroup)| (pod.clone(), cgroup.clone()))
            .collect()
    }
}

fn look(options: HostOptions) -> HostResult<(HostOptions, Found)> {
    let paths = Paths::new(options.root.clone(), options.run.clone());
    for folder in [
        options.root.clone(),
        options.run.clone(),
        paths.pods(),
        paths.snapshots(),
        paths.pause_roots(),
        paths.sandboxes(),
        paths.intents(),
    ] {
        private_folder(&folder).at_path(OTHER, "host: making", &folder)?;
    }
    let layout = cgroup::detect().at(OTHER, "host: control groups")?;
    cgroup::leave_pods_alone(&layout, &options.cgroup_root)?;
    let facts = node::gather(&layout, &options.cgroup_root).at(OTHER, "host: facts of the node")?;
    let launch = &options.programs.launch;
    let program = File::open(launch).at_path(OTHER, "host: opening", launch)?;
    let launch = pod_sys::memfd::sealed_copy("podwright-launch", program).at_path(
        OTHER,
        "host: copying into sealed memory",
        launch,
    )?;
    let pause = &options.programs.pause;
    let pause_root = pause_root::ensure(&paths.pause_roots(), pause).at_path(
        OTHER,
        "host: making the root file system of pause containers from",
        pause,
    )?;
    let found = Found {
        paths,
        layout,
        facts,
        launch,
        pause_root,
    };
    Ok((options, found))
}

impl Host for NodeHost {
    async fn ensure_pod(
        &self,
        pod: &PodRef,
        cgroup: &CgroupPath,
        values: &PodCgroup,
    ) -> HostResult<()> {
        pod::ensure(&self.node, pod, cgroup, values).await
    }

    async fn prepare_volumes(
        &self,
        pod: &PodRef,
        volumes: &[VolumeToPrepare],
    ) -> Result<(), Vec<VolumeError>> {
        pod::prepare_volumes(&self.node, pod, volumes).await
    }

    async fn run_sandbox(&self, config: &SandboxConfig) -> HostResult<Option<OwnedFd>> {
        sandbox::run(&self.node, config).await
    }

    async fn set_address(
        &self,
        pod: &PodUid,
        id: &SandboxId,
        ip: Option<String>,
    ) -> HostResult<()> {
        sandbox::set_address(&self.node, pod, id, ip)
    }

    async fn stop_sandbox(&self, pod: &PodUid, id: &SandboxId) -> HostResult<()> {
        sandbox::stop(&self.node, pod, id).await
    }

    async fn remove_sandbox(&self, pod: &PodUid, id: &SandboxId) -> HostResult<()> {
        sandbox::remove(&self.node, pod, id).await
    }

    async fn start_container(
        &self,
        pod: &PodRef,
        config: &ContainerConfig,
        image: &ImageFacts,
    ) -> HostResult<()> {
        container::start(&self.node, pod, config, image).await
    }

    async fn stop_container(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        grace_ms: u64,
    ) -> HostResult<()> {
        container::stop(&self.node, pod, id, grace_ms).await
    }

    async fn remove_container(&self, pod: &PodUid, id: &ContainerId, logs: bool) -> HostResult<()> {
        container::remove(&self.node, pod, id, logs).await
    }

    async fn resize_pod(
        &self,
        pod: &PodUid,
        cgroup: &CgroupPath,
        values: &PodCgroup,
    ) -> HostResult<()> {
        resize::pod(&self.node, pod, cgroup, values).await
    }

    async fn resize_container(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        values: &ContainerResources,
    ) -> HostResult<()> {
        resize::container(&self.node, pod, id, values).await
    }

    async fn exec(
        &self,
        pod: &PodUid,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> HostResult<ExecSession> {
        exec::start(&self.node, pod, id, config).await
    }

    async fn kill_exec(&self, pod: &PodUid, id: &ContainerId, name: &str) -> HostResult<()> {
        exec::kill(&self.node, pod, id, name).await
    }

    async fn socket(&self, pod: &PodUid, id: &ContainerId, v6: bool) -> HostResult<OwnedFd> {
        exec::socket(&self.node, pod, id, v6).await
    }

    fn resize(&self, terminal: &OwnedFd, columns: u16, rows: u16) -> HostResult<()> {
        pod_sys::tty::set_window_size(terminal, columns, rows)
            .map_err(|e| HostError::new(OTHER, format!("terminal: setting its size: {e}")))
    }

    async fn observe(&self, pod: &PodUid) -> PodRuntime {
        let state = self.node.state();
        state
            .pod(pod)
            .map(crate::state::PodState::runtime)
            .unwrap_or_default()
    }

    async fn remove_pod(&self, pod: &PodRef, cgroup: &CgroupPath) -> HostResult<()> {
        pod::remove(&self.node, pod, cgroup).await
    }
}
