//! What an API server does to a changed object before it looks at the change: what it gave to the object itself, and what only the old type of
//! it had, does not have to be said again.

use crate::service::{is_reached_from_outside, takes_node_ports};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::{BTreeMap, BTreeSet};

/// Fills in the metadata that are the server's own. A uid or a version that the change names stays, so that it can be refused.
pub fn keep_metadata(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.generation = old.generation;
    for (new, old) in [
        (&mut new.uid, &old.uid),
        (&mut new.resource_version, &old.resource_version),
    ] {
        if new.as_deref().is_none_or(str::is_empty) {
            new.clone_from(old);
        }
    }
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    if new.deletion_grace_period_seconds.is_none() {
        new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    }
}

/// Keeps a Service's metadata, addresses, families and ports of the node where the change does not name others, and drops ports and traffic
/// policy that its new type does not have where the change leaves them as they were. Give it one after [`crate::service_defaults`].
pub fn keep_service(new: &mut Service, old: &Service) {
    keep_metadata(&mut new.metadata, &old.metadata);
    let none = ServiceSpec::default();
    let old = old.spec.as_ref().unwrap_or(&none);
    let new = new.spec.get_or_insert_default();
    keep_addresses(new, old);
    keep_if_none(&mut new.ip_families, &old.ip_families);
    keep_if_none(&mut new.ip_family_policy, &old.ip_family_policy);
    match (takes_node_ports(old), takes_node_ports(new)) {
        (true, true) => keep_node_ports(new, old),
        (true, false) => drop_node_ports(new, old),
        _ => {}
    }
    if is_reached_from_outside(old)
        && !is_reached_from_outside(new)
        && new.external_traffic_policy == old.external_traffic_policy
    {
        new.external_traffic_policy = None;
    }
}

fn keep_if_none<T: Clone>(new: &mut Option<T>, old: &Option<T>) {
    if new.is_none() {
        new.clone_from(old);
    }
}

/// `clusterIP` and `clusterIPs` belong together; who changes the first only means both.
fn keep_addresses(new: &mut ServiceSpec, old: &ServiceSpec) {
    if new.cluster_ip.as_deref().is_none_or(str::is_empty) {
        new.cluster_ip.clone_from(&old.cluster_ip);
    }
    let has_some = new.cluster_ips.as_ref().is_some_and(|all| !all.is_empty());
    if !has_some {
        new.cluster_ips.clone_from(&old.cluster_ips);
    }
    if new.cluster_ip != old.cluster_ip && new.cluster_ips == old.cluster_ips {
        new.cluster_ips = new.cluster_ip.clone().map(|one| vec![one]);
    }
}

/// By the ports' names; a number that the change names for another port is that one's.
fn keep_node_ports(new: &mut ServiceSpec, old: &ServiceSpec) {
    let named = node_ports(new);
    let before: BTreeMap<&str, i32> = old
        .ports
        .iter()
        .flatten()
        .filter_map(|port| Some((name(port), own_node_port(port)?)))
        .collect();
    for port in new.ports.iter_mut().flatten() {
        if own_node_port(port).is_none() {
            let number = before.get(name(port)).copied();
            port.node_port = number.filter(|n| !named.contains(n));
        }
    }
}

/// Unless the change names a number that was not there: that is for validation to refuse.
fn drop_node_ports(new: &mut ServiceSpec, old: &ServiceSpec) {
    if node_ports(old).is_superset(&node_ports(new)) {
        for port in new.ports.iter_mut().flatten() {
            port.node_port = None;
        }
    }
}

fn name(port: &ServicePort) -> &str {
    port.name.as_deref().unwrap_or_default()
}

fn own_node_port(port: &ServicePort) -> Option<i32> {
    port.node_port.filter(|number| *number != 0)
}

fn node_ports(spec: &ServiceSpec) -> BTreeSet<i32> {
    let ports = spec.ports.iter().flatten();
    ports.filter_map(own_node_port).collect()
}
