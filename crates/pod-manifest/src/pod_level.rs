//! What the containers of a pod ask for together, and what follows from it for `spec.resources`.

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;
use pod_model::pod as model;
use pod_model::quantity::Quantity;
use pod_model::resources::{
    Options, aggregate_container_limits, aggregate_container_requests, is_pod_level_resource,
};
use std::collections::BTreeMap;

/// Amounts by resource name.
type Amounts = BTreeMap<String, Quantity>;

/// What all containers ask for together, by the rules for init containers and sidecars.
pub(crate) struct Sums {
    pub(crate) requests: Amounts,
    pub(crate) limits: Amounts,
}

/// Sums over the containers. Amounts that are no quantities count as nothing; the reader refuses them.
pub(crate) fn container_sums(spec: &PodSpec) -> Sums {
    let mut pod = resources_of(spec);
    pod.spec.resources = None;
    let options = Options::default();
    Sums {
        requests: aggregate_container_requests(&pod, &options),
        limits: aggregate_container_limits(&pod, &options),
    }
}

/// Of a spec, what its resources and its QoS class depend on. Amounts that are no quantities are left out.
pub(crate) fn resources_of(spec: &PodSpec) -> model::Pod {
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    model::Pod {
        spec: model::PodSpec {
            containers: spec.containers.iter().map(resources_only).collect(),
            init_containers: inits.iter().map(resources_only).collect(),
            resources: spec.resources.as_ref().map(to_model),
            ..model::PodSpec::default()
        },
        ..model::Pod::default()
    }
}

fn to_model(resources: &ResourceRequirements) -> model::Resources {
    let amounts = |list: &Option<BTreeMap<String, WireQuantity>>| {
        let list = list.iter().flatten();
        list.filter_map(|(name, q)| Some((name.clone(), q.0.trim().parse().ok()?)))
            .collect::<Amounts>()
    };
    model::Resources {
        requests: amounts(&resources.requests),
        limits: amounts(&resources.limits),
    }
}

/// Of a container, what the sums depend on.
fn resources_only(container: &Container) -> model::Container {
    let is_sidecar = container.restart_policy.as_deref() == Some("Always");
    let resources = container.resources.as_ref();
    model::Container {
        name: container.name.as_str().into(),
        restart_policy: is_sidecar.then_some(model::RestartPolicy::Always),
        resources: resources.map(to_model).unwrap_or_default(),
        ..model::Container::default()
    }
}

/// Defaults of `spec.resources`, where that is set at all (KEP-2837).
///
/// Huge page limits follow from the containers' sum. Then, if there are limits: requests follow from the containers' sum for
/// what may be overcommitted, and from the limits for the rest.
pub(crate) fn default_pod_resources(spec: &mut PodSpec) {
    let Some(resources) = &spec.resources else {
        return;
    };
    let mut limits = resources.limits.clone().unwrap_or_default();
    let mut requests = resources.requests.clone().unwrap_or_default();
    if limits.is_empty() && requests.is_empty() {
        return;
    }
    let is_huge_page = |name: &str| name.starts_with("hugepages-");
    let sums = container_sums(spec);
    for (name, sum) in sums.limits.iter().filter(|(name, _)| is_huge_page(name)) {
        if !requests.contains_key(name) {
            limits
                .entry(name.clone())
                .or_insert_with(|| WireQuantity(sum.to_string()));
        }
    }
    if !limits.is_empty() {
        let may_overcommit = |name: &str| is_pod_level_resource(name) && !is_huge_page(name);
        for (name, sum) in sums
            .requests
            .iter()
            .filter(|(name, _)| may_overcommit(name))
        {
            requests
                .entry(name.clone())
                .or_insert_with(|| WireQuantity(sum.to_string()));
        }
        for (name, limit) in limits
            .iter()
            .filter(|(name, _)| is_pod_level_resource(name))
        {
            requests
                .entry(name.clone())
                .or_insert_with(|| limit.clone());
        }
    }
    if let Some(resources) = &mut spec.resources {
        resources.limits = Some(limits)
            .filter(|l| !l.is_empty())
            .or(resources.limits.take());
        resources.requests = Some(requests)
            .filter(|r| !r.is_empty())
            .or(resources.requests.take());
    }
}
