//! seccomp and AppArmor in annotations of old: well formed, and in agreement with the fields.

use super::error::Errors;
use super::options::Options;
use super::security::{
    effective_app_armor, is_app_armor_annotation, localhost_file, validate_seccomp_annotation,
};
use super::text::text;
use super::visit::every_container;
use crate::path::Path;
use k8s_openapi::api::core::v1::{PodSpec, SeccompProfile};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub(super) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Annotations that Kubernetes itself reads.
pub(super) fn validate_profile_annotations(
    metadata: &ObjectMeta,
    spec: &PodSpec,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let Some(annotations) = &metadata.annotations else {
        return;
    };
    if let Some(value) = annotations.get(MIRROR)
        && text(&spec.node_name).is_empty()
    {
        errors.invalid(
            &path.key(MIRROR),
            value.as_str(),
            "must set spec.nodeName if mirror pod annotation is set",
        );
    }
    if let Some(value) = annotations.get(DELETION_COST)
        && !options.allow_invalid_pod_deletion_cost
        && !is_deletion_cost(value)
    {
        errors.invalid(
            &path.key(DELETION_COST),
            value.as_str(),
            "must be a 32bit integer",
        );
    }
    if let Some(profile) = annotations.get(SECCOMP_POD) {
        validate_seccomp_annotation(profile, &path.child(SECCOMP_POD), errors);
    }
    for (key, profile) in annotations {
        if key.starts_with(SECCOMP_CONTAINER) {
            validate_seccomp_annotation(profile, &path.child(key), errors);
        }
    }
    for (key, profile) in annotations {
        let Some(name) = key.strip_prefix(APP_ARMOR) else {
            continue;
        };
        if !every_container(spec, path)
            .iter()
            .any(|(c, _)| c.name == name)
        {
            errors.invalid(&path.key(key), name, "container not found");
        }
        if !is_app_armor_annotation(profile) {
            let detail = format!("invalid AppArmor profile name: {profile:?}");
            errors.invalid(&path.key(key), profile.as_str(), &detail);
        }
    }
}

/// A 32-bit integer without a plus sign and leading zeros.
fn is_deletion_cost(text: &str) -> bool {
    let padded = text.len() > 1 && text.starts_with('0');
    !text.starts_with('+') && !padded && text.parse::<i32>().is_ok()
}

/// Annotation and field of one container must say the same.
pub(super) fn validate_profiles_agree(
    metadata: &ObjectMeta,
    spec: &PodSpec,
    path: &Path,
    errors: &mut Errors,
) {
    let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let pod = spec.security_context.as_ref();
    if let Some(profile) = pod.and_then(|c| c.seccomp_profile.as_ref())
        && let Some(value) = annotation(SECCOMP_POD)
    {
        let path = path.child("securityContext").child("seccompProfile");
        seccomp_agrees(value, profile, &path, errors);
    }
    for (container, path) in every_container(spec, path) {
        let profile = container
            .security_context
            .and_then(|c| c.seccomp_profile.as_ref());
        if let Some(profile) = profile
            && let Some(value) = annotation(&format!("{SECCOMP_CONTAINER}{}", container.name))
        {
            let path = path.child("securityContext").child("seccompProfile");
            seccomp_agrees(value, profile, &path, errors);
        }
    }
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return;
    }
    for (container, path) in every_container(spec, path) {
        let Some(profile) = effective_app_armor(pod, container.security_context) else {
            continue;
        };
        let Some(value) = annotation(&format!("{APP_ARMOR}{}", container.name)) else {
            continue;
        };
        let path = path.child("securityContext").child("appArmorProfile");
        let type_agrees = match profile.type_.as_str() {
            "Unconfined" => value == "unconfined",
            "RuntimeDefault" => value == "runtime/default",
            "Localhost" => value.starts_with("localhost/"),
            _ => true,
        };
        if !type_agrees {
            errors.forbidden(
                &path.child("type"),
                "apparmor type in annotation and field must match",
            );
        } else if profile.type_ == "Localhost"
            && value.strip_prefix("localhost/") != Some(localhost_file(profile))
        {
            errors.forbidden(
                &path.child("localhostProfile"),
                "apparmor profile in annotation and field must match",
            );
        }
    }
}

fn seccomp_agrees(value: &str, profile: &SeccompProfile, path: &Path, errors: &mut Errors) {
    let type_agrees = match profile.type_.as_str() {
        "Unconfined" => value == "unconfined",
        "RuntimeDefault" => matches!(value, "runtime/default" | "docker/default"),
        "Localhost" => value.starts_with("localhost/"),
        _ => true,
    };
    if !type_agrees {
        errors.forbidden(
            &path.child("type"),
            "seccomp type in annotation and field must match",
        );
    } else if profile.type_ == "Localhost"
        && value.strip_prefix("localhost/") != profile.localhost_profile.as_deref()
    {
        errors.forbidden(
            &path.child("localhostProfile"),
            "seccomp profile in annotation and field must match",
        );
    }
}
