//! Name resolution: `dnsPolicy`, `dnsConfig`, `hostAliases`, and addresses in general.

use super::error::{BadValue, Errors};
use super::names::{is_dns1123_subdomain, is_dns1123_subdomain_with_underscore};
use super::options::Options;
use super::text::list;
use crate::path::Path;
use k8s_openapi::api::core::v1::{HostAlias, PodDNSConfig};
use std::net::IpAddr;

/// `dnsPolicy`.
pub fn validate_dns_policy(policy: &str, path: &Path, errors: &mut Errors) {
    const POLICIES: &[&str] = &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    match policy {
        "" => errors.required(path, ""),
        known if POLICIES.contains(&known) => {}
        other => errors.not_supported(path, other, POLICIES),
    }
}

/// `dnsConfig`.
pub fn validate_dns_config(
    config: Option<&PodDNSConfig>,
    policy: &str,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    /// glibc reads no more of each.
    const MAX_SERVERS: usize = 3;
    const MAX_SEARCHES: usize = 32;
    const MAX_SEARCH_BYTES: usize = 2048;
    let Some(config) = config else {
        if policy == "None" {
            errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        return;
    };
    let servers_path = path.child("nameservers");
    let servers = list(&config.nameservers);
    if policy == "None" && servers.is_empty() {
        return errors.required(
            &servers_path,
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        );
    }
    if servers.len() > MAX_SERVERS {
        let detail = format!("must not have more than {MAX_SERVERS} nameservers");
        errors.invalid(&servers_path, BadValue::json(&servers), &detail);
    }
    for (i, server) in servers.iter().enumerate() {
        validate_address(server, &servers_path.index(i), options, errors);
    }
    let searches_path = path.child("searches");
    let searches = list(&config.searches);
    if searches.len() > MAX_SEARCHES {
        let detail = format!("must not have more than {MAX_SEARCHES} search paths");
        errors.invalid(&searches_path, BadValue::json(&searches), &detail);
    }
    if searches.join(" ").len() > MAX_SEARCH_BYTES {
        let detail = format!(
            "must not have more than {MAX_SEARCH_BYTES} characters (including spaces) in the search list"
        );
        errors.invalid(&searches_path, BadValue::json(&searches), &detail);
    }
    for (i, search) in searches.iter().enumerate() {
        let relaxed = options.allow_relaxed_dns_search_validation;
        if relaxed && search == "." {
            continue;
        }
        let domain = search.strip_suffix('.').unwrap_or(search);
        let wrong = if relaxed {
            is_dns1123_subdomain_with_underscore(domain)
        } else {
            is_dns1123_subdomain(domain)
        };
        for message in wrong {
            errors.invalid(&searches_path.index(i), domain, &message);
        }
    }
    for (i, option) in list(&config.options).iter().enumerate() {
        if option.name.as_deref().unwrap_or_default().is_empty() {
            errors.required(&path.child("options").index(i), "must not be empty");
        }
        // Both become words of one line of resolv.conf; an API server lets a line break through.
        for (field, text) in [("name", &option.name), ("value", &option.value)] {
            let text = text.as_deref().unwrap_or_default();
            if text.chars().any(char::is_control) {
                let path = path.child("options").index(i).child(field);
                errors.invalid(&path, text, "must not contain control characters");
            }
        }
    }
}

/// `hostAliases`.
pub(super) fn validate_host_aliases(
    aliases: &[HostAlias],
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    for (i, alias) in aliases.iter().enumerate() {
        let path = path.index(i);
        validate_address(&alias.ip, &path.child("ip"), options, errors);
        for (j, name) in list(&alias.hostnames).iter().enumerate() {
            for message in is_dns1123_subdomain(name) {
                errors.invalid(&path.child("hostnames").index(j), name.as_str(), &message);
            }
        }
    }
}

/// An IPv4 or IPv6 address, without leading zeros and not of one kind inside the other.
pub(super) fn validate_address(address: &str, path: &Path, options: &Options, errors: &mut Errors) {
    if let Some(message) = address_problem(address, options.strict_addresses) {
        errors.invalid(path, address, message);
    }
}

/// What is wrong with an address; strictly it has no leading zeros and is not of one kind inside the other.
pub(super) fn address_problem(address: &str, strict: bool) -> Option<&'static str> {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(v6)) if strict && v6.to_ipv4_mapped().is_some() => {
            Some("must not be an IPv4-mapped IPv6 address")
        }
        Ok(_) => None,
        Err(_) if parse_address(address).is_some() => strict.then_some("must not have leading 0s"),
        Err(_) => Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    }
}

/// An address with or without leading zeros.
pub(super) fn parse_address(address: &str) -> Option<IpAddr> {
    let parsed = address.parse::<IpAddr>();
    parsed
        .or_else(|_| without_leading_zeros(address).parse())
        .ok()
}

/// `010.002.3.4` → `10.2.3.4`.
fn without_leading_zeros(address: &str) -> String {
    let parts = address.split('.').map(|part| {
        let rest = part.trim_start_matches('0');
        if rest.is_empty() && !part.is_empty() {
            "0"
        } else {
            rest
        }
    });
    parts.collect::<Vec<_>>().join(".")
}
