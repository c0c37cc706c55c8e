//! `status` as a kubelet may write it.

use super::error::{BadValue, Errors, FieldError};
use super::names::{is_dns1123_label, is_dns1123_subdomain, is_id, is_qualified_name};
use super::network::{parse_address, validate_address};
use super::options::Options;
use super::resources::{amount, is_native};
use super::text::{list, text};
use super::transition::{Which, validate_transition};
use super::update::{validate_annotation_update, validate_meta_update};
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, Pod, PodExtendedResourceClaimStatus, PodResourceClaimStatus,
    PodSpec, PodStatus,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What is wrong with changing the status of a pod from that of `old` to that of `new`.
pub fn validate_status_update(new: &Pod, old: &Pod, options: &Options) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let e = &mut errors;
    let (none, no_status) = (PodSpec::default(), PodStatus::default());
    let new_spec = new.spec.as_ref().unwrap_or(&none);
    let old_spec = old.spec.as_ref().unwrap_or(&none);
    let status = new.status.as_ref().unwrap_or(&no_status);
    let before = old.status.as_ref().unwrap_or(&no_status);
    let path = Path::new("status");
    validate_meta_update(&new.metadata, &old.metadata, e);
    validate_annotation_update(new, old, options, e);
    validate_conditions(status, &path.child("conditions"), e);
    if text(&new_spec.node_name) != text(&old_spec.node_name) {
        e.forbidden(&path.child("nodeName"), "may not be changed directly");
    }
    validate_nominated_node(status, before, old_spec, &path, options, e);
    if let Some(generation) = status.observed_generation.filter(|g| *g < 0) {
        let path = path.child("observedGeneration");
        e.invalid(&path, generation, "must be a non-negative integer");
    }
    if text(&status.qos_class) != text(&before.qos_class) {
        e.invalid(
            &path.child("qosClass"),
            text(&status.qos_class),
            "field is immutable",
        );
    }
    let lists = [
        (
            Which::Containers,
            "containerStatuses",
            &status.container_statuses,
            &before.container_statuses,
        ),
        (
            Which::InitContainers,
            "initContainerStatuses",
            &status.init_container_statuses,
            &before.init_container_statuses,
        ),
        (
            Which::EphemeralContainers,
            "ephemeralContainerStatuses",
            &status.ephemeral_container_statuses,
            &before.ephemeral_container_statuses,
        ),
    ];
    for (which, field, new, old) in lists {
        let path = path.child(field);
        validate_transition(which, list(new), list(old), old_spec, &path, options, e);
    }
    validate_claim_statuses(status, new_spec, &path.child("resourceClaimStatuses"), e);
    if let Some(extended) = &status.extended_resource_claim_status {
        let path = path.child("extendedResourceClaimStatus");
        validate_extended_claims(extended, new_spec, &path, e);
    }
    let allocatable = path.child("nodeAllocatableResourceClaimStatuses");
    validate_allocatable(status, new_spec, &allocatable, e);
    validate_addresses(status, before, &path, options, e);
    let os = new_spec.os.as_ref().map_or("linux", |os| os.name.as_str());
    for (_, field, statuses, _) in lists {
        validate_users(list(statuses), os, &path.child(field), e);
    }
    for (which, field, statuses, _) in lists {
        let path = path.child(field);
        match which {
            Which::Containers => validate_health(list(statuses), &new_spec.containers, &path, e),
            Which::InitContainers => {
                validate_health(list(statuses), list(&new_spec.init_containers), &path, e);
            }
            Which::EphemeralContainers => forbid_health(list(statuses), &path, e),
        }
    }
    if options.allow_image_volume_with_digest {
        for (_, field, statuses, _) in lists {
            validate_image_volumes(list(statuses), &path.child(field), e);
        }
    }
    errors.into_list()
}

fn validate_conditions(status: &PodStatus, path: &Path, errors: &mut Errors) {
    for (i, condition) in list(&status.conditions).iter().enumerate() {
        let path = path.index(i);
        if let Some(generation) = condition.observed_generation.filter(|g| *g < 0) {
            let path = path.child("observedGeneration");
            errors.invalid(&path, generation, "must be a non-negative integer");
        }
        // Upstream spells the field so.
        for message in is_qualified_name(&condition.type_) {
            errors.invalid(&path.child("Type"), condition.type_.as_str(), &message);
        }
    }
}

fn validate_nominated_node(
    status: &PodStatus,
    before: &PodStatus,
    old_spec: &PodSpec,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let path = path.child("nominatedNodeName");
    let node = text(&status.nominated_node_name);
    if node.is_empty() || node == text(&before.nominated_node_name) {
        return;
    }
    for message in is_dns1123_subdomain(node) {
        errors.invalid(&path, node, &message);
    }
    let is_bound = !text(&old_spec.node_name).is_empty();
    if options.bound_pods_have_no_nominated_node && is_bound {
        errors.forbidden(
            &path,
            "may not be set on pods that are already bound to a node",
        );
    }
}

fn validate_claim_statuses(status: &PodStatus, spec: &PodSpec, path: &Path, errors: &mut Errors) {
    let statuses: &[PodResourceClaimStatus] = list(&status.resource_claim_statuses);
    let mut names = BTreeSet::new();
    for (i, claim) in statuses.iter().enumerate() {
        let path = path.index(i);
        let name = claim.name.as_str();
        if !list(&spec.resource_claims).iter().any(|c| c.name == name) {
            errors.invalid(
                &path.child("name"),
                name,
                "must match the name of an entry in `spec.resourceClaims`",
            );
        }
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        let object = claim.resource_claim_name.as_deref();
        for message in object.into_iter().flat_map(is_dns1123_subdomain) {
            let path = path.child("resourceClaimName");
            errors.invalid(&path, object.unwrap_or_default(), &message);
        }
    }
}

fn validate_extended_claims(
    status: &PodExtendedResourceClaimStatus,
    spec: &PodSpec,
    path: &Path,
    errors: &mut Errors,
) {
    let mappings = path.child("requestMappings");
    if status.request_mappings.is_empty() {
        errors.required(&mappings, "at least one request mapping is required");
    }
    let inits = list(&spec.init_containers);
    let mut seen = BTreeSet::new();
    for (i, mapping) in status.request_mappings.iter().enumerate() {
        let item = mappings.index(i);
        let (container, resource) = (mapping.container_name.as_str(), &mapping.resource_name);
        let request = mapping.request_name.as_str();
        match inits.iter().chain(&spec.containers).rfind(|c| c.name == container) {
            None => errors.invalid(
                &item.child("containerName"),
                container,
                "must match the name of an entry in spec.initContainers.name or spec.containers.name",
            ),
            Some(found) if !requests(found, resource) => errors.invalid(
                &item.child("resourceName"),
                resource.as_str(),
                "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests",
            ),
            Some(_) => {}
        }
        // Upstream reports this one on the status and not on the mapping.
        for message in is_dns1123_label(request) {
            errors.invalid(&path.child("requestName"), request, &message);
        }
        if !seen.insert((container, resource, request)) {
            errors.duplicate(&item.child("containerName"), container);
            errors.duplicate(&item.child("resourceName"), resource.as_str());
            errors.duplicate(&item.child("requestName"), request);
        }
    }
    let name = path.child("resourceClaimName");
    if status.resource_claim_name.is_empty() {
        return errors.required(&name, "");
    }
    for message in is_dns1123_subdomain(&status.resource_claim_name) {
        errors.invalid(&name, status.resource_claim_name.as_str(), &message);
    }
}

fn requests(container: &Container, resource: &str) -> bool {
    let requests = container
        .resources
        .as_ref()
        .and_then(|r| r.requests.as_ref());
    requests.is_some_and(|r| r.contains_key(resource))
}

fn validate_allocatable(status: &PodStatus, spec: &PodSpec, path: &Path, errors: &mut Errors) {
    for (i, claim) in list(&status.node_allocatable_resource_claim_statuses)
        .iter()
        .enumerate()
    {
        let path = path.index(i);
        let name = claim.resource_claim_name.as_str();
        let name_path = path.child("resourceClaimName");
        if name.is_empty() {
            errors.required(&name_path, "must not be empty");
        }
        let of_spec = list(&spec.resource_claims)
            .iter()
            .map(|c| &c.resource_claim_name);
        let of_status = list(&status.resource_claim_statuses)
            .iter()
            .map(|c| &c.resource_claim_name);
        if !of_spec.chain(of_status).any(|n| n.as_deref() == Some(name)) {
            errors.invalid(&name_path, name, "no mapping found in pod reference");
        }
        if list(&claim.containers).is_empty() {
            errors.required(&path.child("containers"), "must not be empty");
        }
        let path = path.child("resources");
        if claim.resources.is_empty() {
            errors.required(&path, "must not be empty");
        }
        for (resource, quantity) in &claim.resources {
            let path = path.key(resource);
            if !is_native(resource) {
                let detail = "must be a node allocatable resource name";
                errors.invalid(&path, resource.as_str(), detail);
            }
            let quantity = amount(quantity);
            if quantity.sign() < 0 {
                errors.invalid(&path, quantity.to_string().as_str(), "must be non-negative");
            }
        }
    }
}

/// Addresses of the pod and of the node: well formed, and at most one of each family.
fn validate_addresses(
    status: &PodStatus,
    before: &PodStatus,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let (pods, old_pods) = (pod_addresses(status), pod_addresses(before));
    let value = BadValue::json(&status.pod_ips);
    validate_family(
        &pods,
        &old_pods,
        value,
        &path.child("podIPs"),
        options,
        errors,
    );
    let hosts: Vec<&str> = list(&status.host_ips)
        .iter()
        .map(|ip| ip.ip.as_str())
        .collect();
    let old_hosts: Vec<&str> = list(&before.host_ips)
        .iter()
        .map(|ip| ip.ip.as_str())
        .collect();
    let path = path.child("hostIPs");
    if let Some(first) = hosts.first().filter(|f| **f != text(&status.host_ip)) {
        errors.invalid(
            &path.index(0).child("ip"),
            *first,
            "must be equal to `hostIP`",
        );
    }
    let value = BadValue::json(&status.host_ips);
    validate_family(&hosts, &old_hosts, value, &path, options, errors);
}

/// `podIPs`; where `podIP` is set and is not the first of them, it alone.
fn pod_addresses(status: &PodStatus) -> Vec<&str> {
    let all: Vec<&str> = list(&status.pod_ips)
        .iter()
        .map(|ip| ip.ip.as_str())
        .collect();
    match text(&status.pod_ip) {
        "" => all,
        one if all.first() == Some(&one) => all,
        one => vec![one],
    }
}

fn validate_family(
    addresses: &[&str],
    old: &[&str],
    value: BadValue,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    for (i, address) in addresses.iter().enumerate() {
        if !old.contains(address) {
            validate_address(address, &path.index(i), options, errors);
        }
    }
    if addresses.len() < 2 {
        return;
    }
    let parsed = addresses.iter().map(|a| parse_address(a));
    let parsed: Vec<_> = parsed.map(|ip| ip.map(|ip| ip.to_canonical())).collect();
    let pair = match parsed.iter().position(Option::is_none) {
        None => {
            let mut all = parsed.iter().flatten();
            all.clone().any(IpAddr::is_ipv4) && all.any(IpAddr::is_ipv6)
        }
        Some(i) => {
            let address = addresses.get(i).copied().unwrap_or_default();
            let detail =
                format!("failed to check for dual stack with error:invalid IP[{i}]: {address}");
            errors.internal(path, &detail);
            false
        }
    };
    if !pair || addresses.len() > 2 {
        errors.invalid(
            path,
            value,
            "may specify no more than one IP for each IP family",
        );
    }
}

fn validate_users(statuses: &[ContainerStatus], os: &str, path: &Path, errors: &mut Errors) {
    for (i, status) in statuses.iter().enumerate() {
        let Some(user) = status.user.as_ref().and_then(|u| u.linux.as_ref()) else {
            continue;
        };
        let path = path.index(i).child("user").child("linux");
        if os == "windows" {
            errors.forbidden(&path, "cannot be set for a windows pod");
        } else if os == "linux" {
            let groups = list(&user.supplemental_groups).iter().enumerate();
            let groups = groups.map(|(j, g)| (path.child("supplementalGroups").index(j), *g));
            let ids = [(path.child("uid"), user.uid), (path.child("gid"), user.gid)];
            for (path, id) in ids.into_iter().chain(groups) {
                if let Some(message) = is_id(id) {
                    errors.invalid(&path, id, &message);
                }
            }
        }
    }
}

/// Health of devices: each of a resource that the container asks for, each device once.
fn validate_health(
    statuses: &[ContainerStatus],
    containers: &[Container],
    path: &Path,
    errors: &mut Errors,
) {
    const HEALTH: &[&str] = &["Healthy", "Unhealthy", "Unknown"];
    /// Bytes of a message about a device.
    const MAX_MESSAGE: usize = 1024;
    for (i, status) in statuses.iter().enumerate() {
        let container = containers.iter().find(|c| c.name == status.name);
        for (j, resource) in list(&status.allocated_resources_status).iter().enumerate() {
            let path = path.index(i).child("allocatedResourcesStatus").index(j);
            let name = resource.name.as_str();
            if let Some(container) = container {
                let (known, detail) = if name.starts_with("claim:") {
                    (
                        has_claim(container, name),
                        "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty",
                    )
                } else {
                    (
                        requests(container, name),
                        "must match one of the container's resource requests",
                    )
                };
                if !known {
                    errors.invalid(&path.child("name"), name, detail);
                }
            }
            let mut ids = BTreeSet::new();
            for (k, device) in list(&resource.resources).iter().enumerate() {
                let path = path.child("resources").index(k);
                let health = text(&device.health);
                if !HEALTH.contains(&health) {
                    errors.not_supported(&path.child("health"), health, HEALTH);
                }
                match device.message.as_deref() {
                    Some("") => {
                        errors.required(&path.child("message"), "must be non-empty if specified");
                    }
                    Some(message) if message.len() > MAX_MESSAGE => {
                        errors.too_long(&path.child("message"), MAX_MESSAGE);
                    }
                    _ => {}
                }
                if !ids.insert(device.resource_id.as_str()) {
                    errors.duplicate(&path.child("resourceID"), device.resource_id.as_str());
                }
            }
        }
    }
}

fn has_claim(container: &Container, name: &str) -> bool {
    let claims = container.resources.iter().flat_map(|r| list(&r.claims));
    claims
        .map(|c| (&c.name, text(&c.request)))
        .any(|(claim, request)| {
            let full = if request.is_empty() {
                format!("claim:{claim}")
            } else {
                format!("claim:{claim}/{request}")
            };
            full == name
        })
}

fn forbid_health(statuses: &[ContainerStatus], path: &Path, errors: &mut Errors) {
    for (i, status) in statuses.iter().enumerate() {
        if !list(&status.allocated_resources_status).is_empty() {
            errors.forbidden(
                &path.index(i).child("allocatedResourcesStatus"),
                "must not be specified in container status",
            );
        }
    }
}

fn validate_image_volumes(statuses: &[ContainerStatus], path: &Path, errors: &mut Errors) {
    const MAX_REFERENCE: usize = 256;
    for (i, status) in statuses.iter().enumerate() {
        for (j, mount) in list(&status.volume_mounts).iter().enumerate() {
            let Some(image) = mount.volume_status.as_ref().and_then(|s| s.image.as_ref()) else {
                continue;
            };
            let path = path.index(i).child("volumeMounts").index(j);
            let path = path
                .child("volumeStatus")
                .child("imageVolumeStatus")
                .child("imageRef");
            if image.image_ref.is_empty() {
                errors.required(&path, "imageRef must not be empty");
            }
            if image.image_ref.len() > MAX_REFERENCE {
                errors.too_long(&path, MAX_REFERENCE);
            }
        }
    }
}
