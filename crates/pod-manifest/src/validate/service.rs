//! `kind: Service`, created or changed.

use super::error::{BadValue, Errors, FieldError};
use super::metadata::{validate_labels, validate_object_meta};
use super::names::{
    is_dns1123_label, is_dns1123_subdomain, is_port_name, is_port_number, is_qualified_name,
};
use super::network::{address_problem, parse_address};
use super::text::{list, text};
use super::update::validate_meta_update;
use crate::path::Path;
use crate::service::is_reached_from_outside;
use core::net::IpAddr;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec, SessionAffinityConfig};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::collections::BTreeSet;

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const ONLY_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";
/// One day, in seconds.
const MAX_AFFINITY_SECONDS: i32 = 86_400;

/// What is wrong with a Service that is created, in the API server's words. Give it one after [`crate::service_defaults`].
pub fn validate_service(service: &Service) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_object_meta(
        &service.metadata,
        is_dns1123_label,
        &Path::new("metadata"),
        &mut errors,
    );
    validate_common(service, None, &mut errors);
    errors.into_list()
}

/// What is wrong with changing one Service into another.
pub fn validate_service_update(new: &Service, old: &Service) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_meta_update(&new.metadata, &old.metadata, &mut errors);
    let none = ServiceSpec::default();
    let new_spec = new.spec.as_ref().unwrap_or(&none);
    let old_spec = old.spec.as_ref().unwrap_or(&none);
    validate_addresses_update(new_spec, old_spec, &mut errors);
    validate_families_update(new_spec, old_spec, &mut errors);
    validate_balancer_class(new_spec, Some(old_spec), &mut errors);
    if needs_health_check(old_spec)
        && needs_health_check(new_spec)
        && new_spec.health_check_node_port != old_spec.health_check_node_port
    {
        errors.forbidden(&Path::new("spec.healthCheckNodePort"), "field is immutable");
    }
    validate_common(new, Some(old_spec), &mut errors);
    errors.into_list()
}

fn is_type(spec: &ServiceSpec, name: &str) -> bool {
    text(&spec.type_) == name
}

fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(list(&spec.cluster_ips), [only] if only == "None")
}

fn needs_health_check(spec: &ServiceSpec) -> bool {
    is_type(spec, "LoadBalancer") && text(&spec.external_traffic_policy) == "Local"
}

fn validate_common(service: &Service, old: Option<&ServiceSpec>, errors: &mut Errors) {
    let none = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&none);
    let annotation = |key: &str| {
        let annotations = service.metadata.annotations.as_ref();
        annotations.and_then(|a| a.get(key))
    };
    if let (Some(hints), Some(mode)) = (annotation(TOPOLOGY_HINTS), annotation(TOPOLOGY_MODE))
        && hints != mode
    {
        errors.invalid(
            &Path::new("metadata.annotations").key(TOPOLOGY_MODE),
            mode.as_str(),
            &format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified"),
        );
    }
    let path = Path::new("spec");
    let ports = list(&spec.ports);
    if ports.is_empty() && !is_headless(spec) && !is_type(spec, "ExternalName") {
        errors.required(&path.child("ports"), "");
    }
    validate_type(spec, &path, errors);
    let mut names = BTreeSet::new();
    for (i, port) in ports.iter().enumerate() {
        let path = path.child("ports").index(i);
        validate_port(port, ports.len() > 1, &mut names, &path, errors);
    }
    if let Some(selector) = &spec.selector {
        validate_labels(selector, &path.child("selector"), errors);
    }
    validate_affinity(spec, &path, errors);
    validate_addresses(spec, old, &path, errors);
    validate_external_addresses(spec, old, &path, errors);
    match text(&spec.type_) {
        "" => errors.required(&path.child("type"), ""),
        other if !TYPES.contains(&other) => {
            errors.not_supported(&path.child("type"), other, TYPES);
        }
        _ => {}
    }
    validate_port_numbers(spec, &path, errors);
    let annotated = annotation(SOURCE_RANGES).map(String::as_str);
    validate_source_ranges(spec, old, annotated, &path, errors);
    if spec.allocate_load_balancer_node_ports.is_some() && !is_type(spec, "LoadBalancer") {
        errors.forbidden(&path.child("allocateLoadBalancerNodePorts"), ONLY_BALANCERS);
    }
    if spec.allocate_load_balancer_node_ports.is_none() && is_type(spec, "LoadBalancer") {
        // Upstream leaves out `spec`.
        errors.required(&Path::new("allocateLoadBalancerNodePorts"), "");
    }
    validate_balancer_class(spec, None, errors);
    validate_traffic(spec, &path, errors);
}

/// What follows from the type alone.
fn validate_type(spec: &ServiceSpec, path: &Path, errors: &mut Errors) {
    match text(&spec.type_) {
        kind @ ("LoadBalancer" | "NodePort") if is_headless(spec) => errors.invalid(
            &path.child("clusterIPs").index(0),
            "None",
            &format!("may not be set to 'None' for {kind} services"),
        ),
        "ExternalName" => {
            const UNSET: &str = "may not be set for ExternalName services";
            if !list(&spec.cluster_ips).is_empty() {
                errors.forbidden(&path.child("clusterIPs"), UNSET);
            }
            if !list(&spec.ip_families).is_empty() {
                errors.forbidden(&path.child("ipFamilies"), UNSET);
            }
            if spec.ip_family_policy.is_some() {
                errors.forbidden(&path.child("ipFamilyPolicy"), UNSET);
            }
            let name = text(&spec.external_name);
            let name = name.strip_suffix('.').unwrap_or(name);
            let path = path.child("externalName");
            if name.is_empty() {
                errors.required(&path, "");
            } else {
                for message in is_dns1123_subdomain(name) {
                    errors.invalid(&path, name, &message);
                }
            }
        }
        _ => {}
    }
}

fn validate_port<'a>(
    port: &'a ServicePort,
    needs_name: bool,
    names: &mut BTreeSet<&'a str>,
    path: &Path,
    errors: &mut Errors,
) {
    let name = text(&port.name);
    let name_path = path.child("name");
    if !name.is_empty() {
        for message in is_dns1123_label(name) {
            errors.invalid(&name_path, name, &message);
        }
        if !names.insert(name) {
            errors.duplicate(&name_path, name);
        }
    } else if needs_name {
        errors.required(&name_path, "");
    }
    if let Some(message) = is_port_number(port.port.into()) {
        errors.invalid(&path.child("port"), port.port, &message);
    }
    match text(&port.protocol) {
        "" => errors.required(&path.child("protocol"), ""),
        "SCTP" | "TCP" | "UDP" => {}
        other => errors.not_supported(&path.child("protocol"), other, &["SCTP", "TCP", "UDP"]),
    }
    let target = path.child("targetPort");
    match port.target_port.as_ref().unwrap_or(&IntOrString::Int(0)) {
        IntOrString::Int(number) => {
            if let Some(message) = is_port_number((*number).into()) {
                errors.invalid(&target, *number, &message);
            }
        }
        IntOrString::String(name) => {
            for message in is_port_name(name) {
                errors.invalid(&target, name.as_str(), &message);
            }
        }
    }
    if let Some(protocol) = &port.app_protocol {
        for message in is_qualified_name(protocol) {
            errors.invalid(&path.child("appProtocol"), protocol.as_str(), &message);
        }
    }
}

fn validate_affinity(spec: &ServiceSpec, path: &Path, errors: &mut Errors) {
    let config_path = path.child("sessionAffinityConfig");
    match text(&spec.session_affinity) {
        "" => errors.required(&path.child("sessionAffinity"), ""),
        "ClientIP" => {
            validate_client_affinity(spec.session_affinity_config.as_ref(), &config_path, errors);
        }
        "None" => {
            if spec.session_affinity_config.is_some() {
                errors.forbidden(
                    &config_path,
                    "must not be set when session affinity is None",
                );
            }
        }
        other => errors.not_supported(&path.child("sessionAffinity"), other, &["ClientIP", "None"]),
    }
}

fn validate_client_affinity(
    config: Option<&SessionAffinityConfig>,
    path: &Path,
    errors: &mut Errors,
) {
    const WHEN: &str = "when session affinity type is ClientIP";
    let Some(config) = config else {
        return errors.required(path, WHEN);
    };
    let path = path.child("clientIP");
    let Some(client) = &config.client_ip else {
        return errors.required(&path, WHEN);
    };
    let path = path.child("timeoutSeconds");
    match client.timeout_seconds {
        None => errors.required(&path, WHEN),
        Some(seconds) if !(1..=MAX_AFFINITY_SECONDS).contains(&seconds) => errors.invalid(
            &path,
            seconds,
            &format!("must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"),
        ),
        Some(_) => {}
    }
}

/// `clusterIP`, `clusterIPs` and the families of addresses. Those of an ExternalName service are all absent.
fn validate_addresses(
    spec: &ServiceSpec,
    old: Option<&ServiceSpec>,
    path: &Path,
    errors: &mut Errors,
) {
    if is_type(spec, "ExternalName") {
        return;
    }
    let first = text(&spec.cluster_ip);
    let all = list(&spec.cluster_ips);
    let families = list(&spec.ip_families);
    let all_path = path.child("clusterIPs");
    match (first, all) {
        ("", []) => {}
        ("", _) => errors.invalid(
            &all_path,
            BadValue::json(&all),
            "must be empty when `clusterIP` is not specified",
        ),
        (_, []) => errors.required(&all_path, ""),
        (first, [other, ..]) if first != other => errors.invalid(
            &all_path,
            BadValue::json(&all),
            "first value must match `clusterIP`",
        ),
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (i, family) in families.iter().enumerate() {
        let path = path.child("ipFamilies").index(i);
        if !matches!(family.as_str(), "IPv4" | "IPv6") {
            errors.not_supported(&path, family, &["IPv4", "IPv6"]);
        }
        if !seen.insert(family) {
            errors.duplicate(&path, family.as_str());
        }
    }
    const POLICIES: &[&str] = &["PreferDualStack", "RequireDualStack", "SingleStack"];
    if let Some(policy) = spec.ip_family_policy.as_deref()
        && !POLICIES.contains(&policy)
    {
        errors.not_supported(&path.child("ipFamilyPolicy"), policy, POLICIES);
    }
    let known = old.map(|o| list(&o.cluster_ips)).unwrap_or_default();
    let mut malformed = false;
    for (i, address) in all.iter().enumerate() {
        if i == 0 && address == "None" {
            if all.len() > 1 {
                malformed = true;
                errors.invalid(
                    &all_path,
                    BadValue::json(&all),
                    "'None' must be the first and only value",
                );
            }
            continue;
        }
        if let Some(message) = address_problem(address, true).filter(|_| !known.contains(address)) {
            malformed = true;
            errors.invalid(&all_path.index(i), address.as_str(), message);
        }
    }
    if all.len() > 2 {
        errors.invalid(
            &all_path,
            BadValue::json(&all),
            "may only hold up to 2 values",
        );
    }
    if malformed {
        return;
    }
    let parse = |address: &String| parse_address(address).map(|ip| ip.to_canonical());
    let is_v6 = |address: &String| parse(address).is_some_and(|a| a.is_ipv6());
    if all.len() > 1 {
        let unreadable = all.iter().position(|address| parse(address).is_none());
        if let Some((i, address)) = unreadable.and_then(|i| Some((i, all.get(i)?))) {
            let detail =
                format!("failed to check for dual stack with error:invalid IP[{i}]: {address}");
            errors.internal(&all_path, &detail);
        }
        let sixes = all.iter().filter(|a| is_v6(a)).count();
        // As upstream has it: two of each kind count as one of each.
        if unreadable.is_some() || sixes == 0 || sixes == all.len() {
            errors.invalid(
                &all_path,
                BadValue::json(&all),
                "may specify no more than one IP for each IP family",
            );
        }
    }
    if is_headless(spec) {
        return;
    }
    for (i, (address, family)) in all.iter().zip(families).enumerate() {
        let expected = match (family.as_str(), is_v6(address)) {
            ("IPv4", true) => "IPv4",
            ("IPv6", false) => "IPv6",
            _ => continue,
        };
        errors.invalid(
            &all_path.index(i),
            address.as_str(),
            &format!("expected an {expected} value as indicated by `ipFamilies[{i}]`"),
        );
    }
}

fn validate_external_addresses(
    spec: &ServiceSpec,
    old: Option<&ServiceSpec>,
    path: &Path,
    errors: &mut Errors,
) {
    let known = old.map(|o| list(&o.external_ips)).unwrap_or_default();
    for (i, address) in list(&spec.external_ips).iter().enumerate() {
        let path = path.child("externalIPs").index(i);
        match address_problem(address, true).filter(|_| !known.contains(address)) {
            Some(message) => errors.invalid(&path, address.as_str(), message),
            None => validate_special_address(address, &path, errors),
        }
    }
}

/// An address that stands for one node only is none that others could use.
fn validate_special_address(address: &str, path: &Path, errors: &mut Errors) {
    let Some(ip) = parse_address(address) else {
        return errors.invalid(path, address, "must be a valid IP address");
    };
    if ip.is_unspecified() {
        errors.invalid(
            path,
            address,
            &format!("may not be unspecified ({address})"),
        );
    }
    let (link_local, link_local_multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets().starts_with(&[224, 0, 0])),
        IpAddr::V6(v6) => {
            let first = v6.segments().first().copied().unwrap_or_default();
            (v6.is_unicast_link_local(), first & 0xff0f == 0xff02)
        }
    };
    for (is_so, range) in [
        (ip.is_loopback(), "loopback range (127.0.0.0/8, ::1/128)"),
        (link_local, "link-local range (169.254.0.0/16, fe80::/10)"),
        (
            link_local_multicast,
            "link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ] {
        if is_so {
            errors.invalid(path, address, &format!("may not be in the {range}"));
        }
    }
}

/// Ports of the node, and ports that stand twice.
fn validate_port_numbers(spec: &ServiceSpec, path: &Path, errors: &mut Errors) {
    let ports = || {
        let ports = list(&spec.ports).iter().enumerate();
        ports.map(|(i, port)| (path.child("ports").index(i), port))
    };
    let node_port = |port: &ServicePort| port.node_port.filter(|n| *n != 0);
    if is_type(spec, "ClusterIP") {
        for (path, _) in ports().filter(|(_, port)| node_port(port).is_some()) {
            let detail = "may not be used when `type` is 'ClusterIP'";
            errors.forbidden(&path.child("nodePort"), detail);
        }
    }
    let mut seen = BTreeSet::new();
    for (path, port) in ports() {
        if let Some(number) = node_port(port)
            && !seen.insert((text(&port.protocol), number))
        {
            errors.duplicate(&path.child("nodePort"), number);
        }
    }
    seen.clear();
    for (path, port) in ports() {
        let protocol = text(&port.protocol);
        if !seen.insert((protocol, port.port)) {
            errors.duplicate(
                &path,
                BadValue::json(&serde_json::json!({ "protocol": protocol, "port": port.port })),
            );
        }
    }
}

fn validate_source_ranges(
    spec: &ServiceSpec,
    old: Option<&ServiceSpec>,
    annotated: Option<&str>,
    path: &Path,
    errors: &mut Errors,
) {
    let is_balancer = is_type(spec, "LoadBalancer");
    let ranges = list(&spec.load_balancer_source_ranges);
    if !ranges.is_empty() {
        // Upstream writes this field with a capital letter.
        let path = path.child("LoadBalancerSourceRanges");
        if !is_balancer {
            errors.forbidden(&path, ONLY_BALANCERS);
        }
        let known: Vec<&str> = old
            .map(|o| list(&o.load_balancer_source_ranges))
            .unwrap_or_default()
            .iter()
            .map(|range| range.trim())
            .collect();
        for (i, range) in ranges.iter().enumerate() {
            let range = range.trim();
            if !known.contains(&range) {
                validate_range(range, &path.index(i), errors);
            }
        }
    } else if let Some(value) = annotated {
        let path = Path::new("metadata.annotations").key(SOURCE_RANGES);
        if !is_balancer {
            errors.forbidden(&path, ONLY_BALANCERS);
        }
        let value = value.trim();
        for range in value.split(',').filter(|_| !value.is_empty()) {
            validate_range(range.trim(), &path, errors);
        }
    }
}

/// `ADDRESS/BITS`.
fn validate_range(range: &str, path: &Path, errors: &mut Errors) {
    let parsed = range.split_once('/').and_then(|(address, bits)| {
        let ip = parse_address(address)?;
        let digits = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        let bits: u32 = bits.parse().ok().filter(|_| digits)?;
        (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
    });
    let Some((ip, bits)) = parsed else {
        let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        return errors.invalid(path, range, detail);
    };
    let beyond = match ip {
        IpAddr::V4(v4) => v4.to_bits() & u32::MAX.checked_shr(bits).unwrap_or(0) != 0,
        IpAddr::V6(v6) => v6.to_bits() & u128::MAX.checked_shr(bits).unwrap_or(0) != 0,
    };
    let (address, digits) = range.split_once('/').unwrap_or_default();
    let leading_zeros =
        address.parse::<IpAddr>().is_err() || (digits.len() > 1 && digits.starts_with('0'));
    if leading_zeros {
        let detail = "must not have leading 0s in IP or prefix length";
        errors.invalid(path, range, detail);
    } else if matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        errors.invalid(path, range, "must not have an IPv4-mapped IPv6 address");
    } else if beyond {
        let detail = "must not have bits set beyond the prefix length";
        errors.invalid(path, range, detail);
    }
}

fn validate_balancer_class(spec: &ServiceSpec, old: Option<&ServiceSpec>, errors: &mut Errors) {
    let path = Path::new("spec.loadBalancerClass");
    let class = spec.load_balancer_class.as_deref();
    let is_balancer = is_type(spec, "LoadBalancer");
    if let Some(old) = old
        && is_balancer
        && is_type(old, "LoadBalancer")
        && old.load_balancer_class.as_deref() != class
    {
        errors.invalid(&path, BadValue::json(&class), "may not change once set");
    }
    match class {
        Some(class) if is_balancer => {
            for message in is_qualified_name(class) {
                errors.invalid(&path, class, &message);
            }
        }
        Some(_) => errors.forbidden(&path, ONLY_BALANCERS),
        None => {}
    }
}

/// The policies of traffic from outside and inside.
fn validate_traffic(spec: &ServiceSpec, path: &Path, errors: &mut Errors) {
    const SCOPES: &[&str] = &["Cluster", "Local"];
    let outside = path.child("externalTrafficPolicy");
    match text(&spec.external_traffic_policy) {
        "" if is_reached_from_outside(spec) => errors.required(&outside, ""),
        "" => {}
        policy if !is_reached_from_outside(spec) => errors.invalid(
            &outside,
            policy,
            "may only be set for externally-accessible services",
        ),
        policy if !SCOPES.contains(&policy) => errors.not_supported(&outside, policy, SCOPES),
        _ => {}
    }
    let health = path.child("healthCheckNodePort");
    match spec.health_check_node_port.unwrap_or_default() {
        0 if needs_health_check(spec) => errors.required(&health, ""),
        0 => {}
        port if !needs_health_check(spec) => errors.invalid(
            &health,
            port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
        port => {
            if let Some(message) = is_port_number(port.into()) {
                errors.invalid(&health, port, &message);
            }
        }
    }
    let inside = path.child("internalTrafficPolicy");
    match spec.internal_traffic_policy.as_deref() {
        None if matches!(text(&spec.type_), "ClusterIP" | "LoadBalancer" | "NodePort") => {
            errors.required(&inside, "");
        }
        Some(policy) if !SCOPES.contains(&policy) => errors.not_supported(&inside, policy, SCOPES),
        _ => {}
    }
    const NEARNESS: &[&str] = &["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(wish) = spec.traffic_distribution.as_deref()
        && !NEARNESS.contains(&wish)
    {
        errors.not_supported(&path.child("trafficDistribution"), wish, NEARNESS);
    }
}

/// An address stays with its Service; a second one may come and go.
fn validate_addresses_update(new: &ServiceSpec, old: &ServiceSpec, errors: &mut Errors) {
    if is_type(new, "ExternalName") || is_type(old, "ExternalName") {
        return;
    }
    if is_headless(new) && is_headless(old) {
        return;
    }
    let (now, before) = (list(&new.cluster_ips), list(&old.cluster_ips));
    let path = Path::new("spec.clusterIPs");
    let value = || BadValue::json(&now);
    if now.len() == before.len() {
        for (i, _) in before
            .iter()
            .zip(now)
            .enumerate()
            .filter(|(_, (a, b))| a != b)
        {
            errors.invalid(&path.index(i), value(), "may not change once set");
        }
        return;
    }
    if now.is_empty() {
        errors.invalid(
            &path.index(0),
            value(),
            "primary clusterIP can not be unset",
        );
    }
    if let (Some(now), Some(before)) = (now.first(), before.first())
        && now != before
    {
        errors.invalid(&path.index(0), value(), "may not change once set");
    }
    if before.len() > now.len() && now.len() == 1 {
        needs_single_stack(new, "clusterIP", errors);
    }
}

fn validate_families_update(new: &ServiceSpec, old: &ServiceSpec, errors: &mut Errors) {
    if is_type(new, "ExternalName") || is_type(old, "ExternalName") {
        return;
    }
    if is_headless(new) || is_headless(old) {
        return;
    }
    let (now, before) = (list(&new.ip_families), list(&old.ip_families));
    let path = Path::new("spec.ipFamilies").index(0);
    if now.len() == before.len() {
        for _ in before.iter().zip(now).filter(|(a, b)| a != b) {
            errors.invalid(&path, BadValue::json(&now), "may not change once set");
        }
        return;
    }
    // Upstream looks at the addresses here, and prints them, where it means the families.
    let addresses = list(&new.cluster_ips);
    if before.len() > now.len() && addresses.is_empty() {
        errors.invalid(
            &path,
            BadValue::json(&now),
            "primary ipFamily can not be unset",
        );
    }
    if let (Some(now), Some(before)) = (now.first(), before.first())
        && now != before
    {
        errors.invalid(&path, BadValue::json(&addresses), "may not change once set");
    }
    if before.len() > now.len() && now.len() == 1 {
        needs_single_stack(new, "ipFamily", errors);
    }
}

fn needs_single_stack(new: &ServiceSpec, what: &str, errors: &mut Errors) {
    let policy = new.ip_family_policy.as_deref();
    if policy != Some("SingleStack") {
        errors.invalid(
            &Path::new("spec.ipFamilyPolicy"),
            BadValue::json(&policy),
            &format!("must be set to 'SingleStack' when releasing the secondary {what}"),
        );
    }
}
