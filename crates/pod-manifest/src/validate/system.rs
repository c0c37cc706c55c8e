//! What the pod says of its operating system and host name, and files that variables are read from.

use super::error::Errors;
use super::names::is_dns1123_subdomain;
use super::text::list;
use super::visit::every_container;
use super::windows::validate_windows;
use crate::path::Path;
use k8s_openapi::api::core::v1::PodSpec;

/// `os`, and what of the spec has no meaning on it.
pub(super) fn validate_os(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    match spec.os.as_ref().map(|os| os.name.as_str()) {
        Some("linux") => validate_linux(spec, path, errors),
        Some("windows") => validate_windows(spec, path, errors),
        _ => validate_os_name(spec, &path.child("os"), errors),
    }
}

/// `os.name`.
pub fn validate_os_name(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    match spec.os.as_ref().map(|os| os.name.as_str()) {
        None | Some("linux" | "windows") => {}
        Some("") => errors.required(&path.child("name"), ""),
        Some(other) => errors.not_supported(path, other, &["linux", "windows"]),
    }
}

fn validate_linux(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    const DETAIL: &str = "windows options cannot be set for a linux pod";
    let context = path.child("securityContext");
    if spec
        .security_context
        .as_ref()
        .is_some_and(|c| c.windows_options.is_some())
    {
        errors.forbidden(&context.child("windowsOptions"), DETAIL);
    }
    for (container, path) in every_container(spec, path) {
        if container
            .security_context
            .is_some_and(|c| c.windows_options.is_some())
        {
            errors.forbidden(
                &path.child("securityContext").child("windowsOptions"),
                DETAIL,
            );
        }
    }
}

/// `hostnameOverride`.
pub fn validate_host_name(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    /// HOST_NAME_MAX of Linux.
    const MAX_LENGTH: usize = 64;
    let Some(name) = spec.hostname_override.as_deref() else {
        return;
    };
    let path = path.child("hostnameOverride");
    if spec.set_hostname_as_fqdn == Some(true) {
        errors.forbidden(&path, "may not be specified when setHostnameAsFQDN is true");
    }
    if spec.host_network == Some(true) {
        errors.forbidden(&path, "may not be specified when hostNetwork is true");
    }
    if name.len() > MAX_LENGTH {
        errors.too_long(&path, MAX_LENGTH);
    }
    for message in is_dns1123_subdomain(name) {
        errors.invalid(&path, name, &message);
    }
}

/// Variables are read from files of emptyDir volumes only.
pub fn validate_file_key_volumes(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    for (container, path) in every_container(spec, path) {
        for (i, variable) in container.env.iter().enumerate() {
            let Some(file) = variable
                .value_from
                .as_ref()
                .and_then(|s| s.file_key_ref.as_ref())
            else {
                continue;
            };
            let path = path
                .child("env")
                .index(i)
                .child("valueFrom")
                .child("fileKeyRef")
                .child("volumeName");
            let name = file.volume_name.as_str();
            // Of volumes with one name the last counts, as in upstream's map.
            match list(&spec.volumes).iter().rfind(|v| v.name == name) {
                None => errors.not_found(&path, name, ""),
                Some(volume) if volume.empty_dir.is_none() => {
                    errors.invalid(&path, name, "referenced volume must be of type emptyDir")
                }
                Some(_) => {}
            }
        }
    }
}
