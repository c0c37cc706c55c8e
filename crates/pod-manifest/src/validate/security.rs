//! `securityContext` of containers and of the pod.

use super::error::{BadValue, Errors};
use super::names::{is_id, is_sysctl_name};
use super::options::Options;
use super::paths::descending;
use super::text::{list, text};
use super::windows::validate_windows_options;
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext, Sysctl,
};
use std::collections::BTreeSet;

const PROFILE_TYPES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

/// `securityContext` of a container. `host_users` is the pod's effective value.
pub fn validate_security_context(
    context: &SecurityContext,
    host_users: bool,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let privileged = context.privileged == Some(true);
    if privileged && !options.allow_privileged {
        errors.forbidden(&path.child("privileged"), "disallowed by cluster policy");
    }
    validate_id(context.run_as_user, &path.child("runAsUser"), errors);
    validate_id(context.run_as_group, &path.child("runAsGroup"), errors);
    if let Some(proc_mount) = context.proc_mount.as_deref() {
        let path = path.child("procMount");
        if !matches!(proc_mount, "Default" | "Unmasked") {
            errors.not_supported(&path, proc_mount, &["Default", "Unmasked"]);
        }
        if host_users && proc_mount == "Unmasked" {
            errors.invalid(
                &path,
                proc_mount,
                "`hostUsers` must be false to use `Unmasked`",
            );
        }
    }
    validate_seccomp(
        context.seccomp_profile.as_ref(),
        &path.child("seccompProfile"),
        errors,
    );
    if context.allow_privilege_escalation == Some(false) {
        if privileged {
            errors.invalid(
                path,
                BadValue::json(context),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            );
        }
        let added = context.capabilities.iter().flat_map(|c| list(&c.add));
        for _ in added.filter(|c| *c == "CAP_SYS_ADMIN") {
            errors.invalid(
                path,
                BadValue::json(context),
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
            );
        }
    }
    if let Some(windows) = &context.windows_options {
        validate_windows_options(windows, &path.child("windowsOptions"), errors);
    }
    validate_app_armor(
        context.app_armor_profile.as_ref(),
        &path.child("appArmorProfile"),
        errors,
    );
}

fn validate_id(id: Option<i64>, path: &Path, errors: &mut Errors) {
    if let Some(id) = id
        && let Some(message) = is_id(id)
    {
        errors.invalid(path, id, &message);
    }
}

fn validate_seccomp(profile: Option<&SeccompProfile>, path: &Path, errors: &mut Errors) {
    let Some(profile) = profile else {
        return;
    };
    match profile.type_.as_str() {
        "" => errors.required(
            &path.child("type"),
            "type is required when seccompProfile is set",
        ),
        kind if !PROFILE_TYPES.contains(&kind) => {
            errors.not_supported(&path.child("type"), kind, PROFILE_TYPES);
        }
        _ => {}
    }
    let file = path.child("localhostProfile");
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => {
            errors.required(&file, "must be set when seccomp type is Localhost");
        }
        ("Localhost", Some(name)) => descending(name, &file, errors),
        (_, Some(_)) => errors.invalid(
            &file,
            BadValue::json(profile),
            "can only be set when seccomp type is Localhost",
        ),
        (_, None) => {}
    }
}

fn validate_app_armor(profile: Option<&AppArmorProfile>, path: &Path, errors: &mut Errors) {
    /// PATH_MAX without its NUL.
    const MAX_NAME: usize = 4095;
    const MISSING: &str = "must be set when AppArmor type is Localhost";
    let Some(profile) = profile else {
        return;
    };
    let file = path.child("localhostProfile");
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => errors.required(&file, MISSING),
        ("Localhost", Some(name)) => {
            if name.trim() != name {
                errors.invalid(&file, name.as_str(), "must not be padded with whitespace");
            } else if name.is_empty() {
                errors.required(&file, MISSING);
            }
            if name.len() > MAX_NAME {
                errors.too_long(&file, MAX_NAME);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(name)) => errors.invalid(
            &file,
            name.as_str(),
            "can only be set when AppArmor type is Localhost",
        ),
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => errors.required(
            &path.child("type"),
            "type is required when appArmorProfile is set",
        ),
        (other, _) => errors.not_supported(&path.child("type"), other, PROFILE_TYPES),
    }
}

/// `spec.securityContext`, with what of the spec belongs to it.
pub(super) fn validate_pod_security(
    spec: &PodSpec,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let none = PodSecurityContext::default();
    let context = spec.security_context.as_ref().unwrap_or(&none);
    validate_id(context.fs_group, &path.child("fsGroup"), errors);
    validate_id(context.run_as_user, &path.child("runAsUser"), errors);
    validate_id(context.run_as_group, &path.child("runAsGroup"), errors);
    let groups = path.child("supplementalGroups");
    for (i, group) in list(&context.supplemental_groups).iter().enumerate() {
        validate_id(Some(*group), &groups.index(i), errors);
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        errors.invalid(
            &path.child("shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
    let sysctls = path.child("sysctls");
    validate_sysctls(
        list(&context.sysctls),
        spec.host_network == Some(true),
        spec.host_ipc == Some(true),
        &sysctls,
        options,
        errors,
    );
    one_of(
        context.fs_group_change_policy.as_deref(),
        &["Always", "OnRootMismatch"],
        &path.child("fsGroupChangePolicy"),
        errors,
    );
    validate_seccomp(
        context.seccomp_profile.as_ref(),
        &path.child("seccompProfile"),
        errors,
    );
    if let Some(windows) = &context.windows_options {
        validate_windows_options(windows, &path.child("windowsOptions"), errors);
    }
    validate_app_armor(
        context.app_armor_profile.as_ref(),
        &path.child("appArmorProfile"),
        errors,
    );
    one_of(
        context.supplemental_groups_policy.as_deref(),
        &["Merge", "Strict"],
        &path.child("supplementalGroupsPolicy"),
        errors,
    );
    let selinux: &[&str] = if options.allow_only_recursive_selinux_change_policy {
        &["Recursive"]
    } else {
        &["MountOption", "Recursive"]
    };
    one_of(
        context.se_linux_change_policy.as_deref(),
        selinux,
        &path.child("seLinuxChangePolicy"),
        errors,
    );
}

/// Absent, or one of these.
pub(super) fn one_of(value: Option<&str>, allowed: &[&str], path: &Path, errors: &mut Errors) {
    if let Some(value) = value.filter(|v| !allowed.contains(v)) {
        errors.not_supported(path, value, allowed);
    }
}

/// `sysctls`: well formed, each once, and none of a namespace that the pod shares with the node.
pub fn validate_sysctls(
    sysctls: &[Sysctl],
    host_network: bool,
    host_ipc: bool,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    const PATTERN: &str = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let mut names = BTreeSet::new();
    for (i, sysctl) in sysctls.iter().enumerate() {
        let path = path.index(i).child("name");
        let name = sysctl.name.as_str();
        if name.is_empty() {
            errors.required(&path, "");
        } else if !is_sysctl_name(name) {
            let detail = format!("must have at most 253 characters and match regex {PATTERN}");
            errors.invalid(&path, name, &detail);
        } else if names.contains(name) {
            errors.duplicate(&path, name);
        }
        if !options.allow_namespaced_sysctls_for_host_net_and_host_ipc {
            match sysctl_namespace(name) {
                Some("net") if host_network => {
                    errors.invalid(
                        &path,
                        name,
                        "may not be specified when 'hostNetwork' is true",
                    );
                }
                Some("ipc") if host_ipc => {
                    errors.invalid(&path, name, "may not be specified when 'hostIPC' is true");
                }
                _ => {}
            }
        }
        names.insert(name);
    }
}

/// Which namespace a sysctl belongs to (`component-helpers/node/util/sysctl`).
fn sysctl_namespace(name: &str) -> Option<&'static str> {
    const IPC: &[&str] = &[
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
    ];
    let name = dotted(name);
    if name.starts_with("net.") {
        Some("net")
    } else if IPC.contains(&name.as_str())
        || name.starts_with("kernel.shm")
        || name.starts_with("kernel.msg")
        || name.starts_with("fs.mqueue.")
    {
        Some("ipc")
    } else {
        None
    }
}

/// The spelling with dots: where the first separator is a slash, slashes and dots change places.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(at) if name.get(at..=at) == Some("/") => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

/// `hostUsers: false` goes with no namespace of the node.
pub fn validate_host_users(spec: &PodSpec, path: &Path, options: &Options, errors: &mut Errors) {
    const DETAIL: &str = "when `hostUsers` is false";
    if spec.host_users != Some(false) {
        return;
    }
    if spec.host_network == Some(true) && !options.allow_user_namespaces_host_network_support {
        errors.forbidden(&path.child("hostNetwork"), DETAIL);
    }
    // Upstream spells these two so.
    if spec.host_pid == Some(true) {
        errors.forbidden(&path.child("HostPID"), DETAIL);
    }
    if spec.host_ipc == Some(true) {
        errors.forbidden(&path.child("HostIPC"), DETAIL);
    }
    if options.allow_user_namespaces_with_volume_devices {
        return;
    }
    let inits = list(&spec.init_containers)
        .iter()
        .map(|c| &c.volume_devices);
    let apps = spec.containers.iter().map(|c| &c.volume_devices);
    let ephemeral = list(&spec.ephemeral_containers)
        .iter()
        .map(|c| &c.volume_devices);
    let lists = [
        ("initContainers", inits.collect::<Vec<_>>()),
        ("containers", apps.collect()),
        ("ephemeralContainers", ephemeral.collect()),
    ];
    for (name, devices) in lists {
        for (i, devices) in devices.into_iter().enumerate() {
            if !list(devices).is_empty() {
                errors.forbidden(&path.child(name).index(i).child("volumeDevices"), DETAIL);
            }
        }
    }
}

/// Whether the pod uses the users of the node, as it does unless it says otherwise.
pub(super) fn uses_host_users(spec: &PodSpec) -> bool {
    spec.host_users.unwrap_or(true)
}

/// `seccompProfile` of an annotation of old, `localhost/FILE` or a word.
pub(super) fn validate_seccomp_annotation(profile: &str, path: &Path, errors: &mut Errors) {
    if matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        return;
    }
    match profile.strip_prefix("localhost/") {
        Some(file) => descending(file, path, errors),
        None => errors.invalid(path, profile, "must be a valid seccomp profile"),
    }
}

/// What an AppArmor annotation of old may hold.
pub(super) fn is_app_armor_annotation(profile: &str) -> bool {
    matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/")
}

/// The profile of a container: its own, else the pod's.
pub(super) fn effective_app_armor<'a>(
    pod: Option<&'a PodSecurityContext>,
    container: Option<&'a SecurityContext>,
) -> Option<&'a AppArmorProfile> {
    container
        .and_then(|c| c.app_armor_profile.as_ref())
        .or_else(|| pod.and_then(|p| p.app_armor_profile.as_ref()))
}

/// The file of a Localhost profile.
pub(super) fn localhost_file(profile: &AppArmorProfile) -> &str {
    text(&profile.localhost_profile)
}
