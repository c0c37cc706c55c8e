//! What of a pod's resources may change while it runs: cpu and memory, in place.

use super::error::{BadValue, Errors, FieldError};
use super::pod::validate_metadata_and_spec;
use super::profiles::MIRROR;
use super::text::{list, text};
use super::update::{same, validate_meta_update};
use crate::path::Path;
use crate::pod_level::resources_of;
use crate::validate::Options;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pod_model::qos::compute_qos;
use std::collections::BTreeMap;

type Amounts = Option<BTreeMap<String, Quantity>>;

const ONLY_CPU_AND_MEMORY: &str = "only cpu and memory resources are mutable";

/// What is wrong with changing the resources of a running pod (the API's subresource `resize`).
pub fn validate_resize(new: &Pod, old: &Pod, options: &Options) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let none = PodSpec::default();
    let new_spec = new.spec.as_ref().unwrap_or(&none);
    let old_spec = old.spec.as_ref().unwrap_or(&none);
    validate_meta_update(&new.metadata, &old.metadata, &mut errors);
    validate_metadata_and_spec(&new.metadata, new_spec, options, &mut errors);
    if let Some(what) = never_resized(old, old_spec) {
        let mut errors = Errors::default();
        errors.forbidden(&Path::nameless(), &format!("{what} pods cannot be resized"));
        return errors.into_list();
    }
    let path = Path::new("spec");
    if class(old, old_spec, true) != class(new, new_spec, false) {
        let shown = new.status.as_ref().and_then(|s| s.qos_class.as_deref());
        errors.invalid(
            &path,
            BadValue::json(&shown.unwrap_or_default()),
            "Pod QOS Class may not change as a result of resizing",
        );
    }
    if !is_on_resizing_node(old) {
        let detail = "Pod running on node without support for resize";
        errors.forbidden(&path, detail);
    }
    let mut rest = new_spec.clone();
    if has_pod_level(old_spec) || has_pod_level(new_spec) {
        if !options.in_place_pod_level_resources_vertical_scaling_enabled {
            errors.forbidden(
                &Path::nameless(),
                "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled",
            );
            return errors.into_list();
        }
        validate_pod_level(new_spec, old_spec, &mut rest, &path, &mut errors);
    }
    let status = old.status.as_ref();
    let claims = status.and_then(|s| s.node_allocatable_resource_claim_statuses.as_ref());
    if claims.is_some_and(|c| !c.is_empty()) {
        let detail = "pods with node allocatable resource claims cannot be resized";
        errors.forbidden(&path, detail);
    }
    if validate_order(new_spec, old_spec, &path, &mut errors) {
        return errors.into_list();
    }
    validate_containers(new_spec, old_spec, &mut rest, &path, &mut errors);
    if errors.is_empty() && !same(&rest, old_spec) {
        errors.forbidden(&path, ONLY_CPU_AND_MEMORY);
    }
    errors.into_list()
}

fn never_resized(old: &Pod, spec: &PodSpec) -> Option<&'static str> {
    let annotations = old.metadata.annotations.as_ref();
    if annotations.is_some_and(|a| a.contains_key(MIRROR)) {
        return Some("static");
    }
    let os = spec.os.as_ref();
    os.is_some_and(|os| os.name == "windows")
        .then_some("windows")
}

/// The QoS class; that of the status where it counts and is set.
fn class(pod: &Pod, spec: &PodSpec, by_status: bool) -> String {
    let status = pod.status.as_ref();
    let known = status.and_then(|s| s.qos_class.as_deref());
    match known.filter(|known| by_status && !known.is_empty()) {
        Some(known) => known.to_owned(),
        None => compute_qos(&resources_of(spec)).as_str().to_owned(),
    }
}

/// A node that resizes tells of the resources of the containers that run.
fn is_on_resizing_node(old: &Pod) -> bool {
    let statuses = old.status.as_ref().map(|s| list(&s.container_statuses));
    let mut statuses = statuses.unwrap_or_default().iter();
    let running = statuses.find(|s| {
        s.state
            .as_ref()
            .is_some_and(|state| state.running.is_some())
    });
    running.is_none_or(|status| status.resources.is_some())
}

fn has_pod_level(spec: &PodSpec) -> bool {
    let resources = spec.resources.as_ref();
    resources.is_some_and(|r| {
        let lists = [&r.requests, &r.limits];
        lists.into_iter().flatten().any(|list| !list.is_empty())
    })
}

fn is_removed(new: &Amounts, old: &Amounts) -> bool {
    let has = |name| new.as_ref().is_some_and(|new| new.contains_key(name));
    old.iter().flatten().any(|(name, _)| !has(name))
}

fn validate_pod_level(
    new: &PodSpec,
    old: &PodSpec,
    rest: &mut PodSpec,
    path: &Path,
    errors: &mut Errors,
) {
    let resources_path = path.child("resources");
    if let Some(before) = &old.resources {
        let Some(now) = &new.resources else {
            return errors.forbidden(&resources_path, "pod-level resources cannot be removed");
        };
        if is_removed(&now.requests, &before.requests) {
            errors.forbidden(
                &resources_path.child("requests"),
                "pod-level resource requests cannot be removed",
            );
        }
        if is_removed(&now.limits, &before.limits) {
            errors.forbidden(
                &resources_path.child("limits"),
                "pod-level resource limits cannot be removed",
            );
        }
    }
    if let Some(now) = &mut rest.resources {
        let none = ResourceRequirements::default();
        let before = old.resources.as_ref().unwrap_or(&none);
        keep_cpu_and_memory(&mut now.requests, &before.requests);
        keep_cpu_and_memory(&mut now.limits, &before.limits);
        let says = |list: &Amounts| list.as_ref().is_some_and(|l| !l.is_empty());
        let has_claims = !list(&now.claims).is_empty();
        if old.resources.is_none() && !says(&now.requests) && !says(&now.limits) && !has_claims {
            rest.resources = None;
        }
    }
    if !same(&rest.resources, &old.resources) {
        let detail = "only cpu and memory resources are mutable at pod-level";
        errors.forbidden(path, detail);
    }
}

/// Puts the old amounts of cpu and memory in place of the new ones.
fn keep_cpu_and_memory(new: &mut Amounts, old: &Amounts) {
    if new.is_none() && old.is_none() {
        return;
    }
    let new = new.get_or_insert_default();
    for name in ["cpu", "memory"] {
        new.remove(name);
        if let Some(amount) = old.as_ref().and_then(|old| old.get(name)) {
            new.insert(name.to_owned(), amount.clone());
        }
    }
}

/// Containers stay, each in its place. Whether anything was found.
fn validate_order(new: &PodSpec, old: &PodSpec, path: &Path, errors: &mut Errors) -> bool {
    let mut found = false;
    let lists = [
        ("containers", &*new.containers, &*old.containers),
        (
            "initContainers",
            list(&new.init_containers),
            list(&old.init_containers),
        ),
    ];
    for (field, new, old) in lists {
        let path = path.child(field);
        if new.len() != old.len() {
            found = true;
            let detail = format!("{field} may not be added or removed on resize");
            errors.forbidden(&path, &detail);
            continue;
        }
        for (i, _) in new
            .iter()
            .zip(old)
            .enumerate()
            .filter(|(_, (n, o))| n.name != o.name)
        {
            found = true;
            let detail = format!("{field} may not be renamed or reordered on resize");
            errors.forbidden(&path.index(i).child("name"), &detail);
        }
    }
    found
}

/// Nothing of the resources is taken away, and nothing but cpu and memory changes. What may change is made old in `rest`.
fn validate_containers(
    new: &PodSpec,
    old: &PodSpec,
    rest: &mut PodSpec,
    path: &Path,
    errors: &mut Errors,
) {
    let (init, old_init) = (list(&new.init_containers), list(&old.init_containers));
    for (i, (new, old)) in init.iter().zip(old_init).enumerate() {
        validate_kept(new, old, &path.child("initContainers").index(i), errors);
    }
    for (i, (new, old)) in new.containers.iter().zip(&old.containers).enumerate() {
        validate_kept(new, old, &path.child("containers").index(i), errors);
    }
    for (container, old) in rest.containers.iter_mut().zip(&old.containers) {
        make_old(container, old);
        if !same(container, old) {
            errors.forbidden(path, ONLY_CPU_AND_MEMORY);
        }
    }
    let inits = rest.init_containers.iter_mut().flatten();
    for (i, (container, old)) in inits.zip(old_init).enumerate() {
        let path = path.child("initContainers").index(i);
        let changed = !same(container, old);
        make_old(container, old);
        if !same(container, old) {
            errors.forbidden(
                &path,
                "only cpu and memory resources for init or sidecar containers are mutable",
            );
        }
        let is_sidecar = text(&container.restart_policy) == "Always";
        let restarts = list(&container.resize_policy).iter();
        for _ in
            restarts.filter(|p| changed && !is_sidecar && p.restart_policy == "RestartContainer")
        {
            errors.forbidden(
                &path,
                "non-sidecar init containers with a resize policy of RestartContainer cannot be resized",
            );
        }
    }
}

fn validate_kept(new: &Container, old: &Container, path: &Path, errors: &mut Errors) {
    let none = ResourceRequirements::default();
    let now = new.resources.as_ref().unwrap_or(&none);
    let before = old.resources.as_ref().unwrap_or(&none);
    let path = path.child("resources");
    if is_removed(&now.requests, &before.requests) {
        errors.forbidden(
            &path.child("requests"),
            "resource requests cannot be removed",
        );
    }
    if is_removed(&now.limits, &before.limits) {
        errors.forbidden(&path.child("limits"), "resource limits cannot be removed");
    }
}

/// Gives a container the old cpu and memory. Its claims are lost on the way, as they are upstream.
fn make_old(container: &mut Container, old: &Container) {
    let none = ResourceRequirements::default();
    let before = old.resources.as_ref().unwrap_or(&none);
    let now = container.resources.get_or_insert_default();
    keep_cpu_and_memory(&mut now.requests, &before.requests);
    keep_cpu_and_memory(&mut now.limits, &before.limits);
    now.claims = None;
    // A container without `resources` and one with none in it are the same.
    if old.resources.is_none() && *now == none {
        container.resources = None;
    }
}
