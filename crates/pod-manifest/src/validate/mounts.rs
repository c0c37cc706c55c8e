//! `volumeMounts` and `volumeDevices` of a container.

use super::error::Errors;
use super::paths::{descending, has_backsteps};
use super::text::text;
use crate::path::Path;
use k8s_openapi::api::core::v1::{Container, Volume, VolumeDevice, VolumeMount};
use std::collections::{BTreeMap, BTreeSet};

/// The volumes of a pod that are well formed, by name.
pub type Volumes<'a> = BTreeMap<&'a str, &'a Volume>;

/// Paths by the name of their volume.
pub type PathsByName<'a> = BTreeMap<&'a str, &'a str>;

/// `volumeMounts`.
///
/// As upstream, errors about subPath, subPathExpr, mountPropagation and recursiveReadOnly stand at the list, without the index.
pub fn validate_mounts(
    mounts: &[VolumeMount],
    devices: &PathsByName<'_>,
    volumes: &Volumes<'_>,
    container: Option<&Container>,
    path: &Path,
    errors: &mut Errors,
) {
    let mut points = BTreeSet::new();
    for (i, mount) in mounts.iter().enumerate() {
        let item = path.index(i);
        let name = mount.name.as_str();
        let point = mount.mount_path.as_str();
        if name.is_empty() {
            errors.required(&item.child("name"), "");
        }
        if !volumes.contains_key(name) {
            errors.not_found(&item.child("name"), name, "");
        }
        if point.is_empty() {
            errors.required(&item.child("mountPath"), "");
        }
        if !points.insert(point) {
            errors.invalid(&item.child("mountPath"), point, "must be unique");
        }
        if devices.contains_key(name) {
            errors.invalid(
                &item.child("name"),
                name,
                "must not already exist in volumeDevices",
            );
        }
        if devices.values().any(|p| *p == point) {
            errors.invalid(
                &item.child("mountPath"),
                point,
                "must not already exist as a path in volumeDevices",
            );
        }
        let sub_path = text(&mount.sub_path);
        let expression = text(&mount.sub_path_expr);
        if !sub_path.is_empty() {
            descending(sub_path, &path.child("subPath"), errors);
        }
        if !expression.is_empty() {
            if !sub_path.is_empty() {
                errors.invalid(
                    &item.child("subPathExpr"),
                    expression,
                    "subPathExpr and subPath are mutually exclusive",
                );
            }
            descending(expression, &path.child("subPathExpr"), errors);
        }
        if let Some(propagation) = &mount.mount_propagation {
            let path = path.child("mountPropagation");
            validate_propagation(propagation, container, &path, errors);
        }
        validate_recursive_read_only(mount, &path.child("recursiveReadOnly"), errors);
    }
}

fn validate_propagation(
    propagation: &str,
    container: Option<&Container>,
    path: &Path,
    errors: &mut Errors,
) {
    const KNOWN: &[&str] = &["Bidirectional", "HostToContainer", "None"];
    if !KNOWN.contains(&propagation) {
        errors.not_supported(path, propagation, KNOWN);
    }
    let Some(container) = container else {
        return;
    };
    let privileged = container
        .security_context
        .as_ref()
        .and_then(|c| c.privileged)
        .unwrap_or_default();
    if propagation == "Bidirectional" && !privileged {
        errors.forbidden(
            path,
            "Bidirectional mount propagation is available only to privileged containers",
        );
    }
}

fn validate_recursive_read_only(mount: &VolumeMount, path: &Path, errors: &mut Errors) {
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errors.forbidden(path, "may only be specified when readOnly is true");
            }
            if mount
                .mount_propagation
                .as_deref()
                .is_some_and(|p| p != "None")
            {
                errors.forbidden(
                    path,
                    "may only be specified when mountPropagation is None or not specified",
                );
            }
        }
        Some(other) => {
            errors.not_supported(path, other, &["Disabled", "Enabled", "IfPossible"]);
        }
    }
}

/// `volumeDevices`.
pub fn validate_devices(
    devices: &[VolumeDevice],
    mounts: &PathsByName<'_>,
    volumes: &Volumes<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    let mut names = BTreeSet::new();
    let mut points = BTreeSet::new();
    for (i, device) in devices.iter().enumerate() {
        let item = path.index(i);
        let name = device.name.as_str();
        let point = device.device_path.as_str();
        if name.is_empty() {
            errors.required(&item.child("name"), "");
        }
        if names.contains(name) {
            errors.invalid(&item.child("name"), name, "must be unique");
        }
        match volumes.get(name) {
            Some(v) if v.persistent_volume_claim.is_none() && v.ephemeral.is_none() => {
                errors.invalid(
                    &item.child("name"),
                    name,
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                );
            }
            Some(_) => {}
            None => errors.not_found(&item.child("name"), name, ""),
        }
        if point.is_empty() {
            errors.required(&item.child("devicePath"), "");
        }
        if points.contains(point) {
            errors.invalid(&item.child("devicePath"), point, "must be unique");
        }
        if has_backsteps(point) {
            errors.invalid(
                &item.child("devicePath"),
                point,
                "can not contain backsteps ('..')",
            );
        } else {
            points.insert(point);
        }
        if mounts.contains_key(name) {
            errors.invalid(
                &item.child("name"),
                name,
                "must not already exist in volumeMounts",
            );
        }
        if mounts.values().any(|p| *p == point) {
            errors.invalid(
                &item.child("devicePath"),
                point,
                "must not already exist as a path in volumeMounts",
            );
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
}
