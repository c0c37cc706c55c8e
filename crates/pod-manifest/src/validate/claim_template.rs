//! `ephemeral.volumeClaimTemplate`: the claim that is made for a volume of a pod.

use super::error::{BadValue, Errors};
use super::metadata::{validate_annotations, validate_labels};
use super::names::{is_dns1123_label, is_dns1123_subdomain};
use super::resources::amount;
use super::selectors::validate_selector;
use super::text::{list, text};
use super::visit::set_fields;
use crate::path::Path;
use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate};

pub(super) fn validate_claim_template(
    template: &PersistentVolumeClaimTemplate,
    path: &Path,
    errors: &mut Errors,
) {
    if let Some(metadata) = &template.metadata {
        let path = path.child("metadata");
        if let Some(annotations) = &metadata.annotations {
            validate_annotations(annotations, &path.child("annotations"), errors);
        }
        if let Some(labels) = &metadata.labels {
            validate_labels(labels, &path.child("labels"), errors);
        }
        let set = set_fields(metadata);
        for field in set
            .iter()
            .filter(|f| !matches!(f.as_str(), "annotations" | "labels"))
        {
            // Named as upstream's own field is, with its first letter small.
            let field = if field == "uid" {
                "uID"
            } else {
                field.as_str()
            };
            errors.forbidden(&path.child(field), "cannot be set");
        }
    }
    let path = path.child("spec");
    validate_claim_spec(&template.spec, Lenience::default(), &path, errors);
}

/// What a claim may keep although it would be refused today.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lenience {
    /// API groups of data sources that are no domains.
    pub(super) groups: bool,
    /// Label values of the selector that are none.
    pub(super) labels: bool,
}

pub(super) fn validate_claim_spec(
    spec: &PersistentVolumeClaimSpec,
    lenience: Lenience,
    path: &Path,
    errors: &mut Errors,
) {
    const MODES: &[&str] = &[
        "ReadOnlyMany",
        "ReadWriteMany",
        "ReadWriteOnce",
        "ReadWriteOncePod",
    ];
    let modes_path = path.child("accessModes");
    let modes = list(&spec.access_modes);
    if modes.is_empty() {
        errors.required(&modes_path, "at least 1 access mode is required");
    }
    if let Some(selector) = &spec.selector {
        validate_selector(selector, lenience.labels, &path.child("selector"), errors);
    }
    for mode in modes.iter().filter(|m| !MODES.contains(&m.as_str())) {
        errors.not_supported(&modes_path, mode, MODES);
    }
    let is_single = |mode: &&String| mode.as_str() == "ReadWriteOncePod";
    let has_other = modes
        .iter()
        .any(|m| MODES.contains(&m.as_str()) && !is_single(&m));
    if has_other && modes.iter().any(|m| is_single(&m)) {
        errors.forbidden(
            &modes_path,
            "may not use ReadWriteOncePod with other access modes",
        );
    }
    let storage_path = path.child("resources").key("storage");
    let requests = spec.resources.as_ref().and_then(|r| r.requests.as_ref());
    match requests.and_then(|r| r.get("storage")).map(amount) {
        None => errors.required(&storage_path, ""),
        Some(storage) if storage.sign() <= 0 => errors.invalid(
            &storage_path,
            storage.to_string().as_str(),
            "must be greater than zero",
        ),
        Some(_) => {}
    }
    let classes = [
        ("storageClassName", text(&spec.storage_class_name)),
        (
            "volumeAttributesClassName",
            text(&spec.volume_attributes_class_name),
        ),
    ];
    for (field, class) in classes.into_iter().filter(|(_, class)| !class.is_empty()) {
        for message in is_dns1123_subdomain(class) {
            errors.invalid(&path.child(field), class, &message);
        }
    }
    if let Some(mode) = spec.volume_mode.as_deref()
        && !matches!(mode, "Block" | "Filesystem")
    {
        errors.not_supported(&path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
    validate_sources(spec, lenience.groups, path, errors);
}

/// `dataSource` and `dataSourceRef`, which name one object where both are set.
fn validate_sources(
    spec: &PersistentVolumeClaimSpec,
    any_group: bool,
    path: &Path,
    errors: &mut Errors,
) {
    let source = spec.data_source.as_ref();
    let reference = spec.data_source_ref.as_ref();
    if let Some(s) = source {
        let path = path.child("dataSource");
        validate_source(
            text(&s.api_group),
            any_group,
            &s.kind,
            &s.name,
            &path,
            errors,
        );
    }
    let namespace = reference.map(|r| text(&r.namespace)).unwrap_or_default();
    if let Some(r) = reference {
        let path = path.child("dataSourceRef");
        validate_source(
            text(&r.api_group),
            any_group,
            &r.kind,
            &r.name,
            &path,
            errors,
        );
        for message in is_dns1123_label(namespace) {
            if !namespace.is_empty() {
                errors.invalid(&path.child("namespace"), namespace, &message);
            }
        }
    }
    let (Some(source), Some(reference)) = (source, reference) else {
        return;
    };
    let same = source.api_group == reference.api_group
        && source.kind == reference.kind
        && source.name == reference.name;
    // Upstream gives the path object as the value, which prints as an empty object.
    let value = || BadValue::Json(serde_json::json!({}));
    if !namespace.is_empty() {
        let detail = "may not be specified when dataSourceRef.namespace is specified";
        errors.invalid(path, value(), detail);
    } else if !same {
        errors.invalid(path, value(), "must match dataSourceRef");
    }
}

fn validate_source(
    group: &str,
    any_group: bool,
    kind: &str,
    name: &str,
    path: &Path,
    errors: &mut Errors,
) {
    for (field, value) in [("name", name), ("kind", kind)] {
        if value.is_empty() {
            errors.required(&path.child(field), "");
        }
    }
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        errors.invalid(
            path,
            kind,
            "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
        );
    }
    for message in is_dns1123_subdomain(group) {
        if !group.is_empty() && !any_group {
            errors.invalid(&path.child("apiGroup"), group, &message);
        }
    }
}
