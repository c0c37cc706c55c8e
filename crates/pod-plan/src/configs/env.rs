//! The environment of a container: envFrom, env, services.

use super::expansion::expand;
use super::fields::{FieldError, env_field};
use super::resource_field::{MissingLimits, ResourceFieldError, resource_field};
use super::service_env::{Service, service_env_of_pod};
use super::sources::{SourceKind, SourceNotFound, Sources};
use pod_model::node::NodeFacts;
use pod_model::pod::{Container, EnvSource, Pod};
use std::collections::BTreeMap;

/// What values may come from besides the pod itself.
#[derive(Clone, Copy, Debug)]
pub struct EnvFacts<'a> {
    /// The node.
    pub node: &'a NodeFacts,
    /// Addresses of the pod, as the network gave them.
    pub pod_ips: &'a [String],
    /// Services of the cluster; `None` while they have not been read yet. A node without a cluster has none: `Some(&[])`.
    pub services: Option<&'a [Service]>,
    /// ConfigMaps and Secrets.
    pub sources: &'a Sources,
}

/// Why there is no environment. The texts are the kubelet's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// `enableServiceLinks` has no value, not even its default.
    #[error("nil pod.spec.enableServiceLinks encountered, cannot construct envvars")]
    ServiceLinks,
    /// Services are not known yet.
    #[error("services have not yet been read at least once, cannot construct envvars")]
    ServicesUnread,
    /// No such ConfigMap or Secret.
    #[error(transparent)]
    NotFound(#[from] SourceNotFound),
    /// It has no such key.
    #[error("couldn't find key {key} in {} {namespace}/{name}", kind.type_name())]
    Key {
        /// Which kind.
        kind: SourceKind,
        /// The pod's namespace.
        namespace: String,
        /// Name of the object.
        name: String,
        /// The key.
        key: String,
    },
    /// A value that no variable can hold.
    #[error("key {key} in {} {name} cannot be the value of a variable: {problem}", kind.type_name())]
    Value {
        /// Which kind.
        kind: SourceKind,
        /// Name of the object.
        name: String,
        /// The key.
        key: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A field of the pod.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// An amount of a container.
    #[error(transparent)]
    Resource(#[from] ResourceFieldError),
    /// A variable from a file of a volume.
    #[error(
        "variable {name}: fileKeyRef is not supported yet; write the value into a ConfigMap, or read the file in the container's command"
    )]
    FileKey {
        /// Name of the variable.
        name: String,
    },
}

/// All variables of a container, sorted by name.
///
/// Later sources win: services, envFrom in order, env in order. `value` is expanded by what stands before it and by services;
/// values from elsewhere are not. Optional sources that do not exist are left out.
pub fn make_environment_variables(
    pod: &Pod,
    container: &Container,
    facts: &EnvFacts<'_>,
) -> Result<BTreeMap<String, String>, EnvError> {
    let namespace = pod.metadata.namespace.as_str();
    let links = pod
        .spec
        .enable_service_links
        .ok_or(EnvError::ServiceLinks)?;
    let services = match facts.services {
        Some(services) => services,
        None if is_static(pod) => &[],
        None => return Err(EnvError::ServicesUnread),
    };
    let services = service_env_of_pod(services, namespace, links);
    let mut env = BTreeMap::new();
    for from in &container.env_from {
        let (kind, reference) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(reference), _) => (SourceKind::ConfigMap, reference),
            (None, Some(reference)) => (SourceKind::Secret, reference),
            (None, None) => continue,
        };
        let object = match facts.sources.get(kind, &reference.name) {
            Ok(object) => object,
            Err(_) if reference.optional == Some(true) => continue,
            Err(error) => return Err(error.into()),
        };
        let prefix = from.prefix.as_deref().unwrap_or_default();
        for (key, data) in object {
            match text(kind, &reference.name, key, data) {
                Ok(value) => {
                    env.insert(format!("{prefix}{key}"), value);
                }
                // binaryData of a ConfigMap is no variable.
                Err(_) if kind == SourceKind::ConfigMap => {}
                Err(error) => return Err(error),
            }
        }
    }
    for variable in &container.env {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => Some(expand(value, |name| {
                env.get(name).or_else(|| services.get(name)).cloned()
            })),
            (_, Some(source)) => resolve(pod, container, &variable.name, source, facts)?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            env.insert(variable.name.clone(), value);
        }
    }
    for (name, value) in services {
        env.entry(name).or_insert(value);
    }
    Ok(env)
}

/// The value from a source; `None` for an optional one that does not exist.
fn resolve(
    pod: &Pod,
    container: &Container,
    name: &str,
    source: &EnvSource,
    facts: &EnvFacts<'_>,
) -> Result<Option<String>, EnvError> {
    if let Some(field) = &source.field_ref {
        return Ok(Some(env_field(pod, field, facts.node, facts.pod_ips)?));
    }
    if let Some(field) = &source.resource_field_ref {
        let allocatable = &facts.node.allocatable;
        let missing = MissingLimits::PodThenNode;
        let amount = resource_field(pod, Some(container), field, allocatable, missing)?;
        return Ok(Some(amount));
    }
    let (kind, reference) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(reference), _) => (SourceKind::ConfigMap, reference),
        (None, Some(reference)) => (SourceKind::Secret, reference),
        (None, None) if source.file_key_ref.is_some() => {
            return Err(EnvError::FileKey {
                name: name.to_owned(),
            });
        }
        (None, None) => return Ok(Some(String::new())),
    };
    let optional = reference.optional == Some(true);
    let object = match facts.sources.get(kind, &reference.name) {
        Ok(object) => object,
        Err(_) if optional => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match object.get(&reference.key) {
        Some(data) => text(kind, &reference.name, &reference.key, data).map(Some),
        None if optional => Ok(None),
        None => Err(EnvError::Key {
            kind,
            namespace: pod.metadata.namespace.to_string(),
            name: reference.name.clone(),
            key: reference.key.clone(),
        }),
    }
}

fn text(kind: SourceKind, name: &str, key: &str, data: &[u8]) -> Result<String, EnvError> {
    let problem = match std::str::from_utf8(data) {
        Ok(text) if !text.contains('\0') => return Ok(text.to_owned()),
        Ok(_) => "it holds a NUL byte",
        Err(_) => "it is not UTF-8",
    };
    Err(EnvError::Value {
        kind,
        name: name.to_owned(),
        key: key.to_owned(),
        problem,
    })
}

/// A pod that the node's own files brought: it must not wait for services.
fn is_static(pod: &Pod) -> bool {
    pod.metadata
        .annotations
        .get("kubernetes.io/config.source")
        .is_some_and(|source| source != "api")
}

/// Command and arguments with `$(NAME)` replaced; names that are no variable stay.
pub fn expand_command_and_args(
    command: &[String],
    args: &[String],
    env: &BTreeMap<String, String>,
) -> (Vec<String>, Vec<String>) {
    let all = |texts: &[String]| {
        texts
            .iter()
            .map(|text| expand(text, |name| env.get(name).cloned()))
            .collect()
    };
    (all(command), all(args))
}

#[cfg(test)]
mod tests;
