//! `metadata` of any object.

use super::error::{BadValue, Errors};
use super::names::{is_dns1123_label, is_label_value, is_name_prefix, is_qualified_name};
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::BTreeMap;

/// All annotations together may have this many bytes: 256 KiB.
pub(super) const MAX_ANNOTATIONS: usize = 256 << 10;

/// `metadata` of an object that lives in a namespace and whose names have this form.
pub(crate) fn validate_object_meta(
    meta: &ObjectMeta,
    name_form: fn(&str) -> Vec<String>,
    path: &Path,
    errors: &mut Errors,
) {
    let prefix = text(&meta.generate_name);
    if !prefix.is_empty() {
        for message in is_name_prefix(prefix, name_form) {
            errors.invalid(&path.child("generateName"), prefix, &message);
        }
    }
    let name = text(&meta.name);
    if name.is_empty() {
        errors.required(&path.child("name"), "name or generateName is required");
    } else {
        for message in name_form(name) {
            errors.invalid(&path.child("name"), name, &message);
        }
    }
    let namespace = text(&meta.namespace);
    if namespace.is_empty() {
        errors.required(&path.child("namespace"), "");
    } else {
        for message in is_dns1123_label(namespace) {
            errors.invalid(&path.child("namespace"), namespace, &message);
        }
    }
    if let Some(generation) = meta.generation.filter(|g| *g < 0) {
        errors.invalid(
            &path.child("generation"),
            generation,
            "must be greater than or equal to 0",
        );
    }
    if let Some(labels) = &meta.labels {
        validate_labels(labels, &path.child("labels"), errors);
    }
    if let Some(annotations) = &meta.annotations {
        validate_annotations(annotations, &path.child("annotations"), errors);
    }
    validate_owners(
        list(&meta.owner_references),
        &path.child("ownerReferences"),
        errors,
    );
    validate_finalizers(list(&meta.finalizers), &path.child("finalizers"), errors);
}

/// Labels, or a selector made of labels. Errors stand at the map, without the key.
pub(super) fn validate_labels(labels: &BTreeMap<String, String>, path: &Path, errors: &mut Errors) {
    for (key, value) in labels {
        for message in is_qualified_name(key) {
            errors.invalid(path, key.as_str(), &message);
        }
        for message in is_label_value(value) {
            errors.invalid(path, value.as_str(), &message);
        }
    }
}

pub(super) fn validate_annotations(
    annotations: &BTreeMap<String, String>,
    path: &Path,
    errors: &mut Errors,
) {
    for key in annotations.keys() {
        for message in is_qualified_name(&key.to_lowercase()) {
            errors.invalid(path, key.as_str(), &message);
        }
    }
    if annotations_size(annotations) > MAX_ANNOTATIONS {
        errors.too_long(path, MAX_ANNOTATIONS);
    }
}

/// Bytes of all keys and values.
pub(super) fn annotations_size(annotations: &BTreeMap<String, String>) -> usize {
    annotations
        .iter()
        .map(|(key, value)| key.len().saturating_add(value.len()))
        .fold(0, usize::saturating_add)
}

/// Errors stand at the list, without the index.
pub(super) fn validate_owners(owners: &[OwnerReference], path: &Path, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in owners {
        // What has more than one slash is no version at all.
        let version = match owner.api_version.split_once('/') {
            None => owner.api_version.as_str(),
            Some((_, version)) if version.contains('/') => "",
            Some((_, version)) => version,
        };
        if version.is_empty() {
            errors.invalid(
                &path.child("apiVersion"),
                owner.api_version.as_str(),
                "version must not be empty",
            );
        }
        for (field, value) in [
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid),
        ] {
            if value.is_empty() {
                errors.invalid(&path.child(field), "", "must not be empty");
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            errors.invalid(
                path,
                BadValue::json(owner),
                "/v1, Kind=Event is disallowed from being an owner",
            );
        }
        if owner.controller == Some(true) {
            let this = format!("{}/{}", owner.kind, owner.name);
            match &controller {
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    errors.invalid(path, BadValue::json(&owners), &detail);
                }
                None => controller = Some(this),
            }
        }
    }
}

fn validate_finalizers(finalizers: &[String], path: &Path, errors: &mut Errors) {
    for finalizer in finalizers {
        for message in is_qualified_name(finalizer) {
            errors.invalid(path, finalizer.as_str(), &message);
        }
    }
    let has = |name: &str| finalizers.iter().any(|f| f == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(
            path,
            BadValue::json(&finalizers),
            "finalizer orphan and foregroundDeletion cannot be both set",
        );
    }
    validate_finalizer_names(finalizers, path, errors);
}

/// Finalizers have a domain, or are those of Kubernetes itself.
pub(super) fn validate_finalizer_names(finalizers: &[String], path: &Path, errors: &mut Errors) {
    for (i, finalizer) in finalizers.iter().enumerate() {
        let standard = ["foregroundDeletion", "kubernetes", "orphan"].contains(&finalizer.as_str());
        if !finalizer.contains('/') && !standard {
            errors.invalid(
                &path.index(i),
                finalizer.as_str(),
                "name is neither a standard finalizer name nor is it fully qualified",
            );
        }
    }
}
