//! `spec.resources` and `spec.resourceClaims`.

use super::error::{BadValue, Errors};
use super::names::{is_dns1123_label, is_dns1123_subdomain};
use super::options::Options;
use super::resources::{Level, amount, is_huge_page, validate_resources};
use super::text::list;
use crate::path::Path;
use crate::pod_level::container_sums;
use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeSet;

/// `spec.resources`; `path` is that of the spec.
pub fn validate_pod_resources(
    spec: &PodSpec,
    claims: &BTreeSet<&str>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let Some(resources) = &spec.resources else {
        return;
    };
    let path = path.child("resources");
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return errors.forbidden(&path, "may not be set for a windows pod");
    }
    if resources.claims.is_some() {
        errors.forbidden(
            &path.child("claims"),
            "claims may not be set for Resources at pod-level",
        );
    }
    validate_resources(resources, Level::Pod, claims, &path, options, errors);
    validate_consistency(spec, &path, errors);
}

/// What the containers ask for must fit into what the pod asks for; `path` is that of `spec.resources`.
pub fn validate_consistency(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    let Some(resources) = &spec.resources else {
        return;
    };
    let sums = container_sums(spec);
    for (name, needed) in &sums.requests {
        let Some(request) = resources
            .requests
            .as_ref()
            .and_then(|r| r.get(name))
            .map(amount)
        else {
            continue;
        };
        if *needed > request {
            errors.invalid(
                &path.child("requests").key(name),
                request.to_string().as_str(),
                &format!(
                    "must be greater than or equal to aggregate container requests of {needed}"
                ),
            );
        }
    }
    let pod_limit = |name: &str| resources.limits.as_ref()?.get(name).map(amount);
    for (name, needed) in sums.limits.iter().filter(|(name, _)| is_huge_page(name)) {
        if let Some(limit) = pod_limit(name).filter(|limit| needed > limit) {
            errors.invalid(
                &path.child("limits").key(name),
                limit.to_string().as_str(),
                &format!("must be greater than or equal to aggregate container limits of {needed}"),
            );
        }
    }
    for (i, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
        for (name, own) in limits.into_iter().flatten() {
            let own = amount(own);
            if let Some(limit) = pod_limit(name).filter(|limit| own > *limit) {
                // Upstream makes this path so.
                errors.invalid(
                    &path.child("containers").index(i).key(name).child("limits"),
                    own.to_string().as_str(),
                    &format!("must be less than or equal to pod limits of {limit}"),
                );
            }
        }
    }
}

/// `spec.resourceClaims`. Answers with the names that containers may refer to.
pub(super) fn validate_resource_claims<'a>(
    spec: &'a PodSpec,
    metadata: Option<&ObjectMeta>,
    path: &Path,
    errors: &mut Errors,
) -> BTreeSet<&'a str> {
    let claims = list(&spec.resource_claims);
    let is_mirror = metadata
        .and_then(|m| m.annotations.as_ref())
        .is_some_and(|a| a.contains_key("kubernetes.io/config.mirror"));
    let mut names = BTreeSet::new();
    for (i, claim) in claims.iter().enumerate() {
        if is_mirror {
            errors.forbidden(
                &Path::default(),
                "static pods do not support resource claims",
            );
            continue;
        }
        let path = path.index(i);
        if claim.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if names.contains(claim.name.as_str()) {
            errors.duplicate(&path.child("name"), claim.name.as_str());
        } else {
            for message in is_dns1123_label(&claim.name) {
                errors.invalid(&path.child("name"), claim.name.as_str(), &message);
            }
            names.insert(claim.name.as_str());
        }
        match (&claim.resource_claim_name, &claim.resource_claim_template_name) {
            (Some(_), Some(_)) => errors.invalid(
                &path,
                BadValue::json(claim),
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ),
            (None, None) => errors.invalid(
                &path,
                BadValue::json(claim),
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            ),
            _ => {}
        }
        let references = [
            ("resourceClaimName", &claim.resource_claim_name),
            (
                "resourceClaimTemplateName",
                &claim.resource_claim_template_name,
            ),
        ];
        for (field, name) in references {
            for message in name.iter().flat_map(|name| is_dns1123_subdomain(name)) {
                let name = name.as_deref().unwrap_or_default();
                errors.invalid(&path.child(field), name, &message);
            }
        }
    }
    let named = claims.iter().map(|c| c.name.as_str());
    named.filter(|name| !name.is_empty()).collect()
}
