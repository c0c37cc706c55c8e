//! Files that volumes make of keys and fields.

use super::env::{validate_field_ref, validate_resource_ref};
use super::error::Errors;
use super::paths::{file_mode, non_reserved};
use crate::path::Path;
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath};

/// `items`.
pub(super) fn validate_items(items: &[KeyToPath], path: &Path, errors: &mut Errors) {
    for (i, item) in items.iter().enumerate() {
        validate_item(item, &path.index(i), errors);
    }
}

/// `items[]`: a key and the file that it becomes.
pub(super) fn validate_item(item: &KeyToPath, path: &Path, errors: &mut Errors) {
    if item.key.is_empty() {
        errors.required(&path.child("key"), "");
    }
    if item.path.is_empty() {
        errors.required(&path.child("path"), "");
    }
    non_reserved(&item.path, &path.child("path"), errors);
    file_mode(item.mode, &path.child("mode"), errors);
}

/// One file of a downwardAPI volume.
pub(super) fn validate_downward_file(
    file: &DownwardAPIVolumeFile,
    path: &Path,
    errors: &mut Errors,
) {
    const FIELDS: &[&str] = &[
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
    ];
    if file.path.is_empty() {
        errors.required(&path.child("path"), "");
    }
    non_reserved(&file.path, &path.child("path"), errors);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), resource) => {
            validate_field_ref(field, FIELDS, &path.child("fieldRef"), errors);
            if resource.is_some() {
                errors.invalid(
                    path,
                    "resource",
                    "fieldRef and resourceFieldRef can not be specified simultaneously",
                );
            }
        }
        (None, Some(resource)) => {
            validate_resource_ref(resource, true, &path.child("resourceFieldRef"), errors);
        }
        (None, None) => {
            errors.required(path, "one of fieldRef and resourceFieldRef is required");
        }
    }
    file_mode(file.mode, &path.child("mode"), errors);
}
