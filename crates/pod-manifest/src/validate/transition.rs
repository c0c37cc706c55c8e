//! Which ended containers may be told of as not ended again.

use super::error::Errors;
use super::options::Options;
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodSpec};
use pod_model::pod as model;
use pod_model::restart::{all_could_restart, restarts_after};

/// The statuses of which list these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum Which {
    Containers,
    InitContainers,
    EphemeralContainers,
}

/// A container that ended and will not be restarted stays ended.
pub fn validate_transition(
    which: Which,
    new: &[ContainerStatus],
    old: &[ContainerStatus],
    spec: &PodSpec,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let by_rules =
        options.allow_container_restart_policy_rules && which != Which::EphemeralContainers;
    let model = policies(spec);
    if by_rules && options.allow_restart_all_containers && all_could_restart(&model) {
        return;
    }
    let policy = text(&spec.restart_policy);
    let may_restart = |name: &str, code: i32| match which {
        Which::EphemeralContainers => false,
        _ if by_rules => {
            let containers = match which {
                Which::InitContainers => &model.init_containers,
                _ => &model.containers,
            };
            let container = containers.iter().find(|c| c.name == *name);
            container.is_some_and(|c| restarts_after(&model, c, code))
        }
        _ => {
            let is_sidecar = which == Which::InitContainers
                && list(&spec.init_containers)
                    .iter()
                    .find(|c| c.name == name)
                    .is_some_and(|c| c.restart_policy.as_deref() == Some("Always"));
            is_sidecar || policy == "Always" || (policy == "OnFailure" && code != 0)
        }
    };
    for (i, old) in old.iter().enumerate() {
        let ended = old.state.as_ref().and_then(|s| s.terminated.as_ref());
        if ended.is_none_or(|t| may_restart(&old.name, t.exit_code)) {
            continue;
        }
        let is_ended =
            |s: &ContainerStatus| s.state.as_ref().is_some_and(|s| s.terminated.is_some());
        let revived = new.iter().any(|s| s.name == old.name && !is_ended(s));
        if revived {
            errors.forbidden(
                &path.index(i).child("state"),
                "may not be transitioned to non-terminated state",
            );
        }
    }
}

/// Of a spec, what restarts depend on. What is no policy or rule counts as absent: a status is checked against any spec.
fn policies(spec: &PodSpec) -> model::PodSpec {
    let containers = |all: &[Container]| all.iter().map(policies_of).collect();
    model::PodSpec {
        restart_policy: policy(spec.restart_policy.as_deref()),
        containers: containers(&spec.containers),
        init_containers: containers(list(&spec.init_containers)),
        ..model::PodSpec::default()
    }
}

fn policies_of(container: &Container) -> model::Container {
    let rules = list(&container.restart_policy_rules).iter();
    let rule = |rule| serde_json::from_value(serde_json::to_value(rule).ok()?).ok();
    model::Container {
        name: container.name.as_str().into(),
        restart_policy: policy(container.restart_policy.as_deref()),
        restart_policy_rules: rules.filter_map(rule).collect(),
        ..model::Container::default()
    }
}

fn policy(name: Option<&str>) -> Option<model::RestartPolicy> {
    match name {
        Some("Always") => Some(model::RestartPolicy::Always),
        Some("OnFailure") => Some(model::RestartPolicy::OnFailure),
        Some("Never") => Some(model::RestartPolicy::Never),
        _ => None,
    }
}
