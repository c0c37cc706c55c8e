//! One attempt of a container.

use super::env::{EnvError, EnvFacts, expand_command_and_args, make_environment_variables};
use super::mounts::{MountError, mounts};
use super::security::{ImageUser, SecurityError, security};
use pod_model::cgroup::container_resources;
use pod_model::config::{ContainerConfig, ImageFacts, spec_hash};
use pod_model::ids::{ContainerId, PodPath, SandboxId};
use pod_model::pod::{Container, ContainerKind, Pod, TerminationMessagePolicy};

/// What a container is made from besides its pod.
#[derive(Clone, Debug)]
pub struct ContainerFacts<'a> {
    /// Generated.
    pub id: ContainerId,
    /// Its sandbox.
    pub sandbox: SandboxId,
    /// The n-th start of it, from 0.
    pub attempt: u32,
    /// Its image.
    pub image: &'a ImageFacts,
    /// Whose process namespace it joins (`targetContainerName`), if that container runs.
    pub pid_target: Option<ContainerId>,
    /// What its variables may come from.
    pub env: EnvFacts<'a>,
}

/// Why a container cannot be made from its spec: the message of waiting reason `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is no such container in the spec.
    #[error("the pod has no container {index} of kind {kind:?}")]
    NoContainer {
        /// Which list.
        kind: ContainerKind,
        /// Place in it.
        index: usize,
    },
    /// Its environment.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// Its mounts.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// Its user and rights.
    #[error(transparent)]
    Security(#[from] SecurityError),
}

/// A container as it is to be made: everything resolved, expanded and checked.
pub fn container_config(
    pod: &Pod,
    kind: ContainerKind,
    index: usize,
    facts: &ContainerFacts<'_>,
) -> Result<ContainerConfig, ConfigError> {
    let container = pod
        .spec
        .list(kind)
        .get(index)
        .ok_or(ConfigError::NoContainer { kind, index })?;
    let node = facts.env.node;
    let env = make_environment_variables(pod, container, &facts.env)?;
    let mounts = mounts(pod, container, &env, node.recursive_read_only)?;
    let image_user = ImageUser::parse(&facts.image.user);
    let security = security(pod, container, &image_user, node)?;
    let (command, args) = expand_command_and_args(&container.command, &container.args, &env);
    Ok(ContainerConfig {
        id: facts.id.clone(),
        sandbox: facts.sandbox.clone(),
        name: container.name.clone(),
        attempt: facts.attempt,
        hash: spec_hash(&container.name, &container.image),
        image: container.image.clone(),
        image_id: facts.image.id.clone(),
        command,
        args,
        working_dir: container.working_dir.clone().filter(|d| !d.is_empty()),
        env: env.into_iter().collect(),
        mounts,
        security,
        resources: container_resources(pod, container, node),
        termination_message_path: termination_message_path(container),
        message_from_log: container.termination_message_policy
            == Some(TerminationMessagePolicy::FallbackToLogsOnError),
        log_path: format!("{}/{}.log", container.name, facts.attempt),
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        tty: container.tty,
        pid_target: facts.pid_target.clone(),
    })
}

fn termination_message_path(container: &Container) -> Option<PodPath> {
    container
        .termination_message_path
        .as_deref()
        .filter(|path| !path.is_empty())
        .map(PodPath::new)
}

#[cfg(test)]
mod tests;
