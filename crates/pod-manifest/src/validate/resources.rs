//! `resources` of containers and pods, and `overhead`.

use super::error::{BadValue, Errors};
use super::names::{is_dns1123_label, is_qualified_name};
use super::options::Options;
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{ContainerResizePolicy, ResourceClaim, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;
use pod_model::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Where resources stand, which decides what names they may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `resources` of a container, and `overhead`.
    Container,
    /// `spec.resources`.
    Pod,
}

/// The amount; an ill-formed one, which the reader refuses, counts as 0.
pub(super) fn amount(quantity: &WireQuantity) -> Quantity {
    quantity.0.trim().parse().unwrap_or_default()
}

pub(super) fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// A resource of Kubernetes itself, and no device.
pub(super) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && is_qualified_name(&format!("requests.{name}")).is_empty()
}

/// More of it may be promised than there is.
fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

/// Countable things, which have no thousandths.
const COUNTED: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

const MEASURED: &[&str] = &[
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "storage",
];

fn validate_name(name: &str, level: Level, path: &Path, errors: &mut Errors) {
    let wrong = is_qualified_name(name);
    let mut general = true;
    for message in &wrong {
        general = false;
        errors.invalid(path, name, message);
    }
    let simple = !name.contains('/');
    let standard = COUNTED.contains(&name)
        || MEASURED.contains(&name)
        || is_huge_page(name)
        || name.starts_with("requests.hugepages-");
    if general && simple && !standard {
        general = false;
        errors.invalid(
            path,
            name,
            "must be a standard resource type or fully qualified",
        );
    }
    match level {
        Level::Pod => {
            let supported = matches!(name, "cpu" | "memory") || is_huge_page(name);
            if general && !supported {
                errors.not_supported(path, name, &["cpu", "hugepages-", "memory"]);
            }
        }
        Level::Container if simple => {
            let for_containers =
                matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_page(name);
            if !for_containers {
                errors.invalid(path, name, "must be a standard resource for containers");
            }
        }
        Level::Container => {
            if !is_native(name) && !is_extended(name) {
                errors.invalid(path, name, "doesn't follow extended resource name standard");
            }
        }
    }
}

fn validate_amount(
    name: &str,
    quantity: &Quantity,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let printed = quantity.to_string();
    if quantity.sign() < 0 {
        errors.invalid(path, printed.as_str(), "must be greater than or equal to 0");
    }
    let counted = COUNTED.contains(&name) || is_extended(name);
    if counted && quantity.milli_value() % 1000 != 0 {
        errors.invalid(path, BadValue::json(&printed), "must be an integer");
    }
    if is_huge_page(name)
        && !options.allow_indivisible_huge_pages_values
        && !is_whole_pages(name, quantity)
    {
        let detail = format!("{printed} is not positive integer multiple of {name}");
        errors.invalid(path, printed.as_str(), &detail);
    }
}

/// Whether it is a whole number of pages of the size that the name tells.
fn is_whole_pages(name: &str, quantity: &Quantity) -> bool {
    let size = name.strip_prefix("hugepages-").unwrap_or_default();
    let Ok(size) = size.parse::<Quantity>() else {
        return false;
    };
    let rest = quantity.value().checked_rem(size.value());
    size.sign() > 0 && size.milli_value() % 1000 == 0 && rest == Some(0)
}

/// `resources`: names, amounts, request against limit, claims.
pub fn validate_resources(
    resources: &ResourceRequirements,
    level: Level,
    claims: &BTreeSet<&str>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let none = BTreeMap::new();
    let limits = resources.limits.as_ref().unwrap_or(&none);
    let requests = resources.requests.as_ref().unwrap_or(&none);
    let limits_path = path.child("limits");
    let requests_path = path.child("requests");
    for (name, limit) in limits {
        let key = limits_path.key(name);
        validate_name(name, level, &key, errors);
        validate_amount(name, &amount(limit), &key, options, errors);
    }
    for (name, request) in requests {
        let key = requests_path.key(name);
        let request = amount(request);
        validate_name(name, level, &key, errors);
        validate_amount(name, &request, &key, options, errors);
        match limits.get(name).map(amount) {
            Some(limit) if request != limit && !may_overcommit(name) => errors.invalid(
                &requests_path,
                request.to_string().as_str(),
                &format!("must be equal to {name} limit of {limit}"),
            ),
            Some(limit) if request > limit => errors.invalid(
                &requests_path,
                request.to_string().as_str(),
                &format!("must be less than or equal to {name} limit of {limit}"),
            ),
            None if !may_overcommit(name) => errors.required(
                &limits_path,
                "Limit must be set for non overcommitable resources",
            ),
            _ => {}
        }
    }
    let mut names = limits.keys().chain(requests.keys());
    let has_compute = names.clone().any(|n| n == "cpu" || n == "memory");
    if !has_compute && names.any(|n| is_huge_page(n)) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
    validate_claims(
        list(&resources.claims),
        claims,
        &path.child("claims"),
        errors,
    );
}

fn validate_claims(
    claims: &[ResourceClaim],
    known: &BTreeSet<&str>,
    path: &Path,
    errors: &mut Errors,
) {
    // Name and request; an empty request is the whole claim.
    let mut taken: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (i, claim) in claims.iter().enumerate() {
        let path = path.index(i);
        let name = claim.name.as_str();
        let request = text(&claim.request);
        if name.is_empty() {
            errors.required(&path, "");
        } else if taken.contains(&(name, "")) {
            errors.duplicate(&path, name);
        } else {
            for message in is_dns1123_label(request) {
                if !request.is_empty() {
                    errors.invalid(&path.child("request"), request, &message);
                }
            }
            if taken.contains(&(name, request)) {
                errors.duplicate(&path, format!("{name}/{request}").as_str());
            } else if request.is_empty() {
                for _ in taken.iter().filter(|(other, _)| *other == name) {
                    errors.duplicate(&path, name);
                }
            }
            taken.insert((name, request));
        }
        if !name.is_empty() && !known.contains(name) {
            let known: Vec<&str> = known.iter().copied().collect();
            let detail = if known.is_empty() {
                "must be one of the names in pod.spec.resourceClaims which is empty".to_owned()
            } else {
                format!(
                    "must be one of the names in pod.spec.resourceClaims: {}",
                    known.join(", ")
                )
            };
            errors.not_found(&path, name, &detail);
        }
    }
}

/// `resizePolicy`. As upstream, errors about names and policies stand at the list, without the index.
pub fn validate_resize_policy(
    policies: &[ContainerResizePolicy],
    pod_restart_policy: &str,
    path: &Path,
    errors: &mut Errors,
) {
    let mut names = BTreeSet::new();
    for (i, policy) in policies.iter().enumerate() {
        let name = policy.resource_name.as_str();
        let restart = policy.restart_policy.as_str();
        if !names.insert(name) {
            errors.duplicate(&path.index(i), name);
        }
        match name {
            "cpu" | "memory" => {}
            "" => errors.required(path, ""),
            other => errors.not_supported(path, other, &["cpu", "memory"]),
        }
        match restart {
            "NotRequired" | "RestartContainer" => {}
            "" => errors.required(path, ""),
            other => errors.not_supported(path, other, &["NotRequired", "RestartContainer"]),
        }
        if pod_restart_policy == "Never" && restart != "NotRequired" {
            errors.invalid(
                path,
                restart,
                "must be 'NotRequired' when pod `restartPolicy` is 'Never'",
            );
        }
    }
}
