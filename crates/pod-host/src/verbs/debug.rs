//! A container to look into another one: made from what that one was made from, on the files that it left, with a first process that only
//! waits. What a user runs in it is an exec like any other, so it has the confinement of the container that is looked into.

use crate::failure::no_sandbox;
use crate::host::NodeHost;
use crate::verbs::container;
use pod_driver::host::{HostError, HostErrorKind, HostResult};
use pod_model::asked::DEBUG_SUFFIX;
use pod_model::config::{ContainerConfig, ImageFacts, Mount, MountSource, Propagation};
use pod_model::ids::{
    ContainerId, ContainerName, HostPath, ImageId, ImageName, PodPath, PodRef, PodUid, SandboxId,
};
use pod_model::runtime::RunState;
use pod_model::volume::HostPathType;

/// Where the program that waits stands in such a container: in /dev, which is no part of the files that are looked into.
const WAITS: &str = "/dev/podwright-pause";

/// A container that can be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its newest attempt.
    pub id: ContainerId,
    /// What its image stood for.
    pub image: ImageId,
    /// Whether it runs, so that nothing has to be made to look into it.
    pub running: bool,
}

/// What to make.
#[derive(Debug)]
pub struct LookInto<'a> {
    /// The attempt that is looked into.
    pub id: &'a ContainerId,
    /// Id of the container that is made.
    pub own: ContainerId,
    /// Facts of its image.
    pub image: &'a ImageFacts,
    /// With the files of that image; `None`: with those that the attempt left.
    pub tools: Option<&'a ImageName>,
}

impl NodeHost {
    /// What is left of that container.
    ///
    /// # Errors
    /// `NotFound`: it never ran, or its record is gone.
    pub fn left_of(&self, pod: &PodUid, name: &str) -> HostResult<Left> {
        let state = self.node().state();
        let mut all = state.pod(pod).into_iter().flat_map(|p| &p.containers);
        let newest = all.find(|c| c.config.name == name);
        let Some(found) = newest.filter(|c| c.record.state != RunState::Created) else {
            return Err(HostError::new(
                HostErrorKind::NotFound,
                format!("container {name:?} has not run, or nothing is left of it"),
            ));
        };
        Ok(Left {
            id: found.config.id.clone(),
            image: found.config.image_id.clone(),
            running: found.record.state == RunState::Running,
        })
    }

    /// Makes a container to look into another one, or finds the one that runs already; gives its name. To be called for one pod at a time.
    ///
    /// # Errors
    /// `NotFound`: the attempt is gone. `Sandbox`: its namespaces are gone. Else as a start fails.
    pub async fn look_into(&self, pod: &PodRef, ask: LookInto<'_>) -> HostResult<ContainerName> {
        let (config, tools) = {
            let state = self.node().state();
            let of = state.container(&pod.uid, ask.id);
            let of = of.ok_or_else(|| crate::failure::no_container(ask.id))?;
            let known = state.pod(&pod.uid);
            let sandboxes = known.map(|p| p.sandboxes.as_slice()).unwrap_or_default();
            let ready = |id: &SandboxId| sandboxes.iter().any(|s| s.ready && s.config.id == *id);
            let newest = sandboxes.iter().find(|s| s.ready);
            // With other files any sandbox of the pod will do.
            let sandbox = match ask.tools {
                Some(_) => newest.map(|s| &s.config.id),
                None => Some(&of.config.sandbox).filter(|id| ready(id)),
            };
            let Some(sandbox) = sandbox else {
                let mut gone = no_sandbox(&of.config.sandbox);
                gone.kind = HostErrorKind::Sandbox;
                return Err(gone);
            };
            let mut config = self.config(&of.config, &ask);
            config.sandbox = sandbox.clone();
            let runs = of.record.state == RunState::Running;
            config.pid_target = runs.then(|| ask.id.clone());
            let mut others = known.into_iter().flat_map(|p| &p.containers);
            let there = others.find(|c| {
                let same = c.config.name == config.name && c.config.attempt == config.attempt;
                same && c.config.image_id == config.image_id && c.config.sandbox == config.sandbox
            });
            if there.is_some_and(|c| c.record.state == RunState::Running) {
                return Ok(config.name);
            }
            (config, ask.tools.is_some())
        };
        let files = (!tools).then_some(ask.id);
        container::start_on(self.node_arc(), pod, &config, ask.image, files).await?;
        Ok(config.name)
    }

    fn config(&self, of: &ContainerConfig, ask: &LookInto<'_>) -> ContainerConfig {
        let program = self
            .node()
            .pause_root
            .join(pod_oci::PAUSE_PROGRAM.trim_start_matches('/'));
        let kind = match ask.tools {
            Some(_) => ".tools",
            None => "",
        };
        let name = format!("{}{kind}{DEBUG_SUFFIX}", of.name);
        let mut config = ContainerConfig {
            id: ask.own.clone(),
            name: ContainerName::new(name.clone()),
            command: vec![WAITS.to_owned()],
            args: Vec::new(),
            termination_message_path: None,
            message_from_log: false,
            log_path: format!("{name}/{}.log", of.attempt),
            stdin: false,
            stdin_once: false,
            tty: false,
            ..of.clone()
        };
        if let Some(image) = ask.tools {
            config.image = image.clone();
            config.image_id = ask.image.id.clone();
            // The other one's need not be in this image.
            config.working_dir = Some("/".to_owned());
        }
        config.mounts.push(Mount {
            volume: "podwright-debug".into(),
            source: MountSource::Host(HostPath::new(program), HostPathType::Unset),
            target: PodPath::new(WAITS),
            sub_path: None,
            read_only: true,
            recursive_read_only: false,
            propagation: Propagation::Private,
        });
        config
    }
}
