//! A whole pod that is created, and its spec.

use super::containers::{
    Surroundings, validate_containers, validate_ephemeral_containers, validate_image_padding,
    validate_init_containers,
};
use super::error::{BadValue, Errors, FieldError};
use super::metadata::{validate_labels, validate_object_meta};
use super::names::{in_range, is_dns1123_label, is_dns1123_subdomain, is_qualified_name};
use super::network::{validate_dns_config, validate_dns_policy, validate_host_aliases};
use super::options::Options;
use super::pod_resources::{validate_pod_resources, validate_resource_claims};
use super::profiles::{validate_profile_annotations, validate_profiles_agree};
use super::resources::{Level, validate_resources};
use super::scheduling::{validate_affinity, validate_spread, validate_tolerations};
use super::security::{one_of, uses_host_users, validate_host_users, validate_pod_security};
use super::system::{validate_file_key_volumes, validate_host_name, validate_os};
use super::text::{list, text};
use super::volumes::validate_volumes;
use super::windows::validate_host_processes;
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    Pod, PodReadinessGate, PodSchedulingGate, PodSpec, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;

/// What is wrong with a pod that is to be created, in the order in which an API server says it. Give it a pod after
/// [`crate::defaults`]: fields that have a default are required here.
pub fn validate_pod(pod: &Pod, options: &Options) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let none = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&none);
    validate_metadata_and_spec(&pod.metadata, spec, options, &mut errors);
    let path = Path::new("spec");
    if !list(&spec.ephemeral_containers).is_empty() {
        errors.forbidden(
            &path.child("ephemeralContainers"),
            "cannot be set on create",
        );
    }
    if !text(&spec.node_name).is_empty() && !list(&spec.scheduling_gates).is_empty() {
        errors.forbidden(
            &path.child("nodeName"),
            "cannot be set until all schedulingGates have been cleared",
        );
    }
    validate_profiles_agree(&pod.metadata, spec, &path, &mut errors);
    errors.into_list()
}

/// What holds for a pod at all times.
pub(super) fn validate_metadata_and_spec(
    metadata: &ObjectMeta,
    spec: &PodSpec,
    options: &Options,
    errors: &mut Errors,
) {
    let path = Path::new("spec");
    let meta_path = Path::new("metadata");
    validate_object_meta(metadata, is_dns1123_subdomain, &meta_path, errors);
    let annotations = meta_path.child("annotations");
    validate_profile_annotations(metadata, spec, &annotations, options, errors);
    validate_spec(spec, Some(metadata), &path, options, errors);
    if account(spec).is_empty() {
        for (i, volume) in list(&spec.volumes).iter().enumerate() {
            let sources = volume.projected.iter().flat_map(|p| list(&p.sources));
            for (j, _) in sources
                .enumerate()
                .filter(|(_, s)| s.service_account_token.is_some())
            {
                let path = path.child("volumes").index(i).child("projected");
                errors.forbidden(
                    &path.child("sources").index(j).child("serviceAccountToken"),
                    "must not be specified when serviceAccountName is not set",
                );
            }
        }
    }
    let lists = [
        ("containers", spec.containers.as_slice()),
        ("initContainers", list(&spec.init_containers)),
    ];
    for (name, containers) in lists {
        for (i, container) in containers.iter().enumerate() {
            validate_image_padding(container, &path.child(name).index(i), errors);
        }
    }
}

/// `spec`. The metadata is known only where it is that of a real pod.
pub fn validate_spec(
    spec: &PodSpec,
    metadata: Option<&ObjectMeta>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let at = |name: &str| path.child(name);
    if spec.termination_grace_period_seconds.is_none() {
        errors.required(&at("terminationGracePeriodSeconds"), "");
    }
    let pod_name = metadata.and_then(|m| m.name.as_deref());
    let volumes = list(&spec.volumes);
    let volumes = validate_volumes(volumes, pod_name, &at("volumes"), options, errors);
    let claims = validate_resource_claims(spec, metadata, &at("resourceClaims"), errors);
    let around = Surroundings {
        volumes,
        claims,
        restart_policy: text(&spec.restart_policy),
        grace: spec.termination_grace_period_seconds,
        os: spec.os.as_ref(),
        host_users: uses_host_users(spec),
        options,
    };
    let init = list(&spec.init_containers);
    validate_containers(&spec.containers, &around, &at("containers"), errors);
    validate_init_containers(
        init,
        &spec.containers,
        &around,
        &at("initContainers"),
        errors,
    );
    validate_ephemeral_containers(
        list(&spec.ephemeral_containers),
        &spec.containers,
        init,
        &around,
        &at("ephemeralContainers"),
        errors,
    );
    if options.pod_level_resources_enabled {
        validate_pod_resources(spec, &around.claims, path, options, errors);
    }
    validate_host_network_ports(spec, path, options, errors);
    validate_restart_policy(around.restart_policy, &at("restartPolicy"), errors);
    let dns_policy = text(&spec.dns_policy);
    validate_dns_policy(dns_policy, &at("dnsPolicy"), errors);
    if let Some(selector) = &spec.node_selector {
        validate_labels(selector, &at("nodeSelector"), errors);
    }
    validate_pod_security(spec, &at("securityContext"), options, errors);
    if let Some(affinity) = &spec.affinity {
        validate_affinity(affinity, &at("affinity"), options, errors);
    }
    let dns_config = spec.dns_config.as_ref();
    validate_dns_config(dns_config, dns_policy, &at("dnsConfig"), options, errors);
    validate_readiness_gates(list(&spec.readiness_gates), &at("readinessGates"), errors);
    validate_scheduling_gates(list(&spec.scheduling_gates), &at("schedulingGates"), errors);
    let spread = list(&spec.topology_spread_constraints);
    validate_spread(spread, &at("topologySpreadConstraints"), options, errors);
    validate_host_processes(spec, path, options, errors);
    validate_host_users(spec, path, options, errors);
    validate_host_name(spec, path, errors);
    validate_names(spec, path, errors);
    let tolerations = list(&spec.tolerations);
    validate_tolerations(tolerations, &at("tolerations"), options, errors);
    let aliases = list(&spec.host_aliases);
    validate_host_aliases(aliases, &at("hostAliases"), options, errors);
    // An empty priority class is none; an empty runtime class is a wrong one.
    let priority_class = spec.priority_class_name.as_deref();
    let more_names = [
        (
            "priorityClassName",
            priority_class.filter(|n| !n.is_empty()),
        ),
        ("runtimeClassName", spec.runtime_class_name.as_deref()),
    ];
    for (field, name) in more_names.into_iter().filter_map(|(f, n)| Some((f, n?))) {
        for message in is_dns1123_subdomain(name) {
            errors.invalid(&at(field), name, &message);
        }
    }
    match spec.preemption_policy.as_deref() {
        Some("") => errors.required(&at("preemptionPolicy"), ""),
        policy => one_of(
            policy,
            &["PreemptLowerPriority", "Never"],
            &at("preemptionPolicy"),
            errors,
        ),
    }
    if let Some(overhead) = &spec.overhead {
        let resources = ResourceRequirements {
            limits: Some(overhead.clone()),
            ..ResourceRequirements::default()
        };
        let none = BTreeSet::new();
        let level = Level::Container;
        validate_resources(&resources, level, &none, &at("overhead"), options, errors);
    }
    validate_os(spec, path, errors);
    if let Some(group) = &spec.scheduling_group {
        let path = at("schedulingGroup").child("podGroupName");
        match group.pod_group_name.as_deref() {
            None => errors.invalid(
                &path,
                BadValue::Json(serde_json::Value::Null),
                "must specify one of: `podGroupName`",
            ),
            Some(name) => {
                for message in is_dns1123_subdomain(name) {
                    errors.invalid(&path, name, &message);
                }
            }
        }
    }
    validate_file_key_volumes(spec, path, errors);
}

/// The service account, by the name of its field or by the older one.
fn account(spec: &PodSpec) -> &str {
    match text(&spec.service_account_name) {
        "" => text(&spec.service_account),
        name => name,
    }
}

/// Service account, node, deadline, host name and subdomain.
fn validate_names(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    let subdomains = [
        ("serviceAccountName", account(spec)),
        ("nodeName", text(&spec.node_name)),
    ];
    for (field, name) in subdomains.into_iter().filter(|(_, name)| !name.is_empty()) {
        for message in is_dns1123_subdomain(name) {
            errors.invalid(&path.child(field), name, &message);
        }
    }
    if let Some(seconds) = spec.active_deadline_seconds
        && let Some(message) = in_range(seconds, 1, i32::MAX.into())
    {
        errors.invalid(&path.child("activeDeadlineSeconds"), seconds, &message);
    }
    let labels = [
        ("hostname", text(&spec.hostname)),
        ("subdomain", text(&spec.subdomain)),
    ];
    for (field, name) in labels.into_iter().filter(|(_, name)| !name.is_empty()) {
        for message in is_dns1123_label(name) {
            errors.invalid(&path.child(field), name, &message);
        }
    }
}

/// In the node's network, a port of a container is a port of the node.
fn validate_host_network_ports(
    spec: &PodSpec,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    if spec.host_network != Some(true) {
        return;
    }
    for (i, container) in spec.containers.iter().enumerate() {
        let path = path.child("containers").index(i).child("ports");
        for (j, port) in list(&container.ports).iter().enumerate() {
            let host = port.host_port.unwrap_or_default();
            if (options.resource_is_pod || host != 0) && host != port.container_port {
                errors.invalid(
                    &path.index(j).child("hostPort"),
                    host,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

/// `restartPolicy` of a pod.
pub fn validate_restart_policy(policy: &str, path: &Path, errors: &mut Errors) {
    match policy {
        "Always" | "OnFailure" | "Never" => {}
        "" => errors.required(path, ""),
        other => errors.not_supported(path, other, &["Always", "OnFailure", "Never"]),
    }
}

/// `readinessGates`.
pub fn validate_readiness_gates(gates: &[PodReadinessGate], path: &Path, errors: &mut Errors) {
    for (i, gate) in gates.iter().enumerate() {
        for message in is_qualified_name(&gate.condition_type) {
            let path = path.index(i).child("conditionType");
            errors.invalid(&path, gate.condition_type.as_str(), &message);
        }
    }
}

/// `schedulingGates`.
pub fn validate_scheduling_gates(gates: &[PodSchedulingGate], path: &Path, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (i, gate) in gates.iter().enumerate() {
        for message in is_qualified_name(&gate.name) {
            errors.invalid(&path.index(i), gate.name.as_str(), &message);
        }
        if !names.insert(gate.name.as_str()) {
            errors.duplicate(&path.index(i), gate.name.as_str());
        }
    }
}
