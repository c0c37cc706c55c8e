//! `env` and `envFrom`, and the references to fields of the pod that volumes share with them.

use super::error::Errors;
use super::names::{
    is_config_map_key, is_dns1123_label, is_dns1123_subdomain, is_env_var_name, is_name_prefix,
    is_qualified_name, is_relaxed_env_var_name,
};
use super::options::Options;
use super::paths::no_backsteps;
use super::text::text;
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, FileKeySelector, ObjectFieldSelector, ResourceFieldSelector,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as WireQuantity;
use pod_model::quantity::Quantity;

/// `env`.
pub fn validate_env(variables: &[EnvVar], path: &Path, options: &Options, errors: &mut Errors) {
    for (i, variable) in variables.iter().enumerate() {
        let path = path.index(i);
        if variable.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else {
            for message in variable_name(&variable.name, options) {
                errors.invalid(&path.child("name"), variable.name.as_str(), &message);
            }
        }
        validate_value_from(variable, &path.child("valueFrom"), options, errors);
    }
}

fn variable_name(name: &str, options: &Options) -> Vec<String> {
    if options.allow_relaxed_environment_variable_validation {
        is_relaxed_env_var_name(name)
    } else {
        is_env_var_name(name)
    }
}

/// Fields that a variable may take its value from.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// `env[].valueFrom`.
pub fn validate_value_from(variable: &EnvVar, path: &Path, options: &Options, errors: &mut Errors) {
    let Some(source) = &variable.value_from else {
        return;
    };
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        validate_field_ref(field, ENV_FIELDS, &path.child("fieldRef"), errors);
    }
    if let Some(resource) = &source.resource_field_ref {
        sources += 1;
        validate_resource_ref(resource, false, &path.child("resourceFieldRef"), errors);
    }
    if let Some(key) = &source.config_map_key_ref {
        sources += 1;
        validate_key_ref(&key.name, &key.key, &path.child("configMapKeyRef"), errors);
    }
    if let Some(key) = &source.secret_key_ref {
        sources += 1;
        validate_key_ref(&key.name, &key.key, &path.child("secretKeyRef"), errors);
    }
    if let Some(key) = &source.file_key_ref {
        sources += 1;
        validate_file_key_ref(key, &path.child("fileKeyRef"), errors);
    }
    let detail = match sources {
        0 if options.allow_env_files_validation => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        }
        _ if !text(&variable.value).is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.invalid(path, "", detail);
}

/// `fieldRef`, of which only these fields are taken besides single labels and annotations.
pub(super) fn validate_field_ref(
    field: &ObjectFieldSelector,
    fields: &[&str],
    path: &Path,
    errors: &mut Errors,
) {
    let version = text(&field.api_version);
    if version.is_empty() {
        return errors.required(&path.child("apiVersion"), "");
    }
    if field.field_path.is_empty() {
        return errors.required(&path.child("fieldPath"), "");
    }
    let (base, subscript) = split_subscript(&field.field_path);
    if let Some(cause) = unknown_label(version, &field.field_path, base, subscript) {
        let detail = format!("error converting fieldPath: {cause}");
        return errors.invalid(&path.child("fieldPath"), field.field_path.as_str(), &detail);
    }
    // Old spelling of the node's name.
    let base = if base == "spec.host" {
        "spec.nodeName"
    } else {
        base
    };
    match (subscript, base) {
        (Some(key), "metadata.annotations") => {
            let key = key.to_lowercase();
            for message in is_qualified_name(&key) {
                errors.invalid(path, key.as_str(), &message);
            }
        }
        (Some(key), "metadata.labels") => {
            for message in is_qualified_name(key) {
                errors.invalid(path, key, &message);
            }
        }
        (Some(_), other) => errors.invalid(path, other, "does not support subscript"),
        (None, base) if !fields.contains(&base) => {
            errors.not_supported(&path.child("fieldPath"), base, fields);
        }
        (None, _) => {}
    }
}

/// `metadata.labels['key']` → `metadata.labels`, `key`.
fn split_subscript(field: &str) -> (&str, Option<&str>) {
    let parts = field
        .strip_suffix("']")
        .and_then(|rest| rest.split_once("['"))
        .filter(|(base, _)| !base.is_empty());
    match parts {
        Some((base, key)) => (base, Some(key)),
        None => (field, None),
    }
}

/// Why the downward API has no such field, if it has not.
fn unknown_label(
    version: &str,
    field: &str,
    base: &str,
    subscript: Option<&str>,
) -> Option<String> {
    const KNOWN: &[&str] = &[
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.serviceAccountName",
        "spec.schedulerName",
        "status.phase",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
        "spec.host",
    ];
    if version != "v1" {
        return Some(format!("unsupported pod version: {version}"));
    }
    match subscript {
        Some(_) if matches!(base, "metadata.annotations" | "metadata.labels") => None,
        Some(_) => Some(format!("field label does not support subscript: {field}")),
        None if KNOWN.contains(&base) => None,
        None => Some(format!("field label not supported: {field}")),
    }
}

/// Resources that the downward API knows, beside huge pages.
const RESOURCE_FIELDS: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

fn is_huge_pages(resource: &str) -> bool {
    resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-")
}

/// `resourceFieldRef`; a volume must name the container.
pub(super) fn validate_resource_ref(
    field: &ResourceFieldSelector,
    in_volume: bool,
    path: &Path,
    errors: &mut Errors,
) {
    if in_volume && text(&field.container_name).is_empty() {
        errors.required(&path.child("containerName"), "");
    } else if field.resource.is_empty() {
        errors.required(&path.child("resource"), "");
    } else if !RESOURCE_FIELDS.contains(&field.resource.as_str()) && !is_huge_pages(&field.resource)
    {
        errors.not_supported(&path.child("resource"), &field.resource, RESOURCE_FIELDS);
    }
    validate_divisor(&field.resource, field.divisor.as_ref(), path, errors);
}

/// A divisor is one unit of the resource.
fn validate_divisor(
    resource: &str,
    divisor: Option<&WireQuantity>,
    path: &Path,
    errors: &mut Errors,
) {
    const BYTES: &[&str] = &[
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ];
    let Some(divisor) = divisor.and_then(|d| d.0.parse::<Quantity>().ok()) else {
        return;
    };
    if divisor.is_zero() {
        return;
    }
    let (allowed, name): (&[&str], &str) = match resource {
        "limits.cpu" | "requests.cpu" => (&["1m", "1"], "cpu"),
        "limits.memory" | "requests.memory" => (BYTES, "memory"),
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => {
            (BYTES, "local ephemeral storage")
        }
        other if is_huge_pages(other) => (BYTES, "hugepages"),
        _ => return,
    };
    if !allowed.contains(&divisor.to_string().as_str()) {
        let units = if name == "cpu" {
            "1m and 1".to_owned()
        } else {
            BYTES.join(", ")
        };
        errors.invalid(
            &path.child("divisor"),
            resource,
            &format!("only divisor's values {units} are supported with the {name} resource"),
        );
    }
}

fn validate_key_ref(name: &str, key: &str, path: &Path, errors: &mut Errors) {
    for message in is_dns1123_subdomain(name) {
        errors.invalid(&path.child("name"), name, &message);
    }
    if key.is_empty() {
        errors.required(&path.child("key"), "");
    } else {
        for message in is_config_map_key(key) {
            errors.invalid(&path.child("key"), key, &message);
        }
    }
}

fn validate_file_key_ref(file: &FileKeySelector, path: &Path, errors: &mut Errors) {
    if file.key.is_empty() {
        errors.required(&path.child("key"), "");
    } else {
        for message in is_relaxed_env_var_name(&file.key) {
            errors.invalid(&path.child("key"), file.key.as_str(), &message);
        }
    }
    if file.volume_name.is_empty() {
        errors.required(&path.child("volumeName"), "");
    } else {
        for message in is_dns1123_label(&file.volume_name) {
            errors.invalid(
                &path.child("volumeName"),
                file.volume_name.as_str(),
                &message,
            );
        }
    }
    if file.path.is_empty() {
        errors.required(&path.child("path"), "");
    } else {
        no_backsteps(&file.path, &path.child("path"), errors);
    }
}

/// `envFrom`. As upstream, a source too few or too many is reported on the list and not on its item.
pub fn validate_env_from(
    sources: &[EnvFromSource],
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    for (i, source) in sources.iter().enumerate() {
        let item = path.index(i);
        let prefix = text(&source.prefix);
        if !prefix.is_empty() {
            for message in variable_name(prefix, options) {
                errors.invalid(&item.child("prefix"), prefix, &message);
            }
        }
        let config_map = source
            .config_map_ref
            .as_ref()
            .map(|r| ("configMapRef", &r.name));
        let secret = source.secret_ref.as_ref().map(|r| ("secretRef", &r.name));
        for (field, name) in config_map.into_iter().chain(secret) {
            let path = item.child(field).child("name");
            if name.is_empty() {
                errors.required(&path, "");
            } else {
                for message in is_name_prefix(name, is_dns1123_subdomain) {
                    errors.invalid(&path, name.as_str(), &message);
                }
            }
        }
        match (config_map, secret) {
            (None, None) => {
                errors.invalid(
                    path,
                    "",
                    "must specify one of: `configMapRef` or `secretRef`",
                );
            }
            (Some(_), Some(_)) => errors.invalid(
                path,
                "",
                "may not have more than one field specified at a time",
            ),
            _ => {}
        }
    }
}
