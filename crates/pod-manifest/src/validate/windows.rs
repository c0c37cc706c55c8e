//! Windows: podwright runs no such pod, but says of it what an API server would.

use super::error::Errors;
use super::names::is_dns1123_subdomain;
use super::options::Options;
use super::visit::{every_container, set_fields};
use crate::path::Path;
use k8s_openapi::api::core::v1::{PodSpec, WindowsSecurityContextOptions};

/// What means nothing on Windows.
pub(super) fn validate_windows(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    const DETAIL: &str = "cannot be set for a windows pod";
    const POD: &[&str] = &[
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "seLinuxChangePolicy",
    ];
    const CONTAINER: &[&str] = &[
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    if let Some(context) = &spec.security_context {
        let set = set_fields(context);
        for field in POD.iter().filter(|f| set.contains(**f)) {
            errors.forbidden(&path.child("securityContext").child(field), DETAIL);
        }
    }
    let of_spec = [
        ("hostUsers", spec.host_users.is_some()),
        ("hostPID", spec.host_pid == Some(true)),
        ("hostIPC", spec.host_ipc == Some(true)),
        (
            "shareProcessNamespace",
            spec.share_process_namespace.is_some(),
        ),
    ];
    for (field, _) in of_spec.iter().filter(|(_, set)| *set) {
        errors.forbidden(&path.child(field), DETAIL);
    }
    for (container, path) in every_container(spec, path) {
        let Some(context) = container.security_context else {
            continue;
        };
        let set = set_fields(context);
        for field in CONTAINER.iter().filter(|f| set.contains(**f)) {
            errors.forbidden(&path.child("securityContext").child(field), DETAIL);
        }
    }
}

/// Windows host processes: all containers of a pod or none, and in the node's network.
pub(super) fn validate_host_processes(
    spec: &PodSpec,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let of_pod = spec
        .security_context
        .as_ref()
        .and_then(|c| c.windows_options.as_ref())
        .and_then(|w| w.host_process);
    let containers = every_container(spec, path);
    let mut host_processes = 0_usize;
    for (container, path) in &containers {
        let own = container
            .security_context
            .and_then(|c| c.windows_options.as_ref())
            .and_then(|w| w.host_process);
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let path = path.child("securityContext").child("windowsOptions");
            errors.invalid(
                &path.child("hostProcess"),
                own,
                &format!(
                    "pod hostProcess value must be identical if both are specified, was {pod}"
                ),
            );
        }
        if own.or(of_pod) == Some(true) {
            host_processes += 1;
        }
    }
    if host_processes == 0 {
        return;
    }
    if host_processes != containers.len() {
        errors.invalid(
            path,
            "",
            "If pod contains any hostProcess containers then all containers must be HostProcess containers",
        );
    }
    if spec.host_network != Some(true) {
        errors.invalid(
            &path.child("hostNetwork"),
            false,
            "hostNetwork must be true if pod contains any hostProcess containers",
        );
    }
    if !options.allow_privileged {
        errors.forbidden(
            path,
            "hostProcess containers are disallowed by cluster policy",
        );
    }
}

/// `securityContext.windowsOptions`.
pub(super) fn validate_windows_options(
    options: &WindowsSecurityContextOptions,
    path: &Path,
    errors: &mut Errors,
) {
    const MAX_SPEC_KIB: usize = 64;
    if let Some(name) = options.gmsa_credential_spec_name.as_deref() {
        for message in is_dns1123_subdomain(name) {
            errors.invalid(&path.child("gmsaCredentialSpecName"), name, &message);
        }
    }
    if let Some(spec) = options.gmsa_credential_spec.as_deref() {
        let path = path.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(&path, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > MAX_SPEC_KIB * 1024 {
            let detail = format!("gmsaCredentialSpec size must be under {MAX_SPEC_KIB} KiB");
            errors.invalid(&path, spec, &detail);
        }
    }
    if let Some(name) = options.run_as_user_name.as_deref() {
        for message in user_name_problems(name) {
            errors.invalid(&path.child("runAsUserName"), name, &message);
        }
    }
}

/// `USER` or `DOMAIN\\USER`.
fn user_name_problems(name: &str) -> Vec<String> {
    /// Bytes; the domain must have fewer, the user at most these.
    const MAX_DOMAIN: usize = 256;
    const MAX_USER: usize = 104;
    let only = |text: &str| vec![text.to_owned()];
    if name.is_empty() {
        return only("runAsUserName cannot be an empty string");
    }
    if name.bytes().any(|b| b.is_ascii_control()) {
        return only("runAsUserName cannot contain control characters");
    }
    if name.matches('\\').count() > 1 {
        return only("runAsUserName cannot contain more than one backslash");
    }
    let (domain, user) = match name.split_once('\\') {
        Some((domain, user)) => (Some(domain), user),
        None => (None, name),
    };
    let mut wrong = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= MAX_DOMAIN {
            wrong.push(format!(
                "runAsUserName's Domain length must be under {MAX_DOMAIN} characters"
            ));
        }
        if !is_net_bios(domain) && !is_dns(domain) {
            wrong.push(
                "runAsUserName's Domain doesn't match the NetBios nor the DNS format".to_owned(),
            );
        }
    }
    if user.is_empty() {
        wrong.push("runAsUserName's User cannot be empty".to_owned());
    } else if user.len() > MAX_USER {
        wrong.push(format!(
            "runAsUserName's User length must not be longer than {MAX_USER} characters"
        ));
    }
    if !user.is_empty() && user.chars().all(|c| c == '.' || c == ' ') {
        wrong.push("runAsUserName's User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(|c: char| "\"/\\:;|=,+*?<>@[]".contains(c)) {
        wrong.push(
            "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"
                .to_owned(),
        );
    }
    wrong
}

/// 1 to 15 letters without the forbidden ones, not beginning with a dot.
fn is_net_bios(domain: &str) -> bool {
    let forbidden = |c: char| "\\/:*?\"<>|".contains(c);
    (1..=15).contains(&domain.chars().count())
        && !domain.starts_with('.')
        && !domain.contains(forbidden)
}

/// Labels of letters, digits and inner hyphens, each of at most 63.
fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}
