//! `containers`, `initContainers` and `ephemeralContainers`.

use super::env::{validate_env, validate_env_from};
use super::error::{BadValue, Errors};
use super::mounts::{PathsByName, Volumes, validate_devices, validate_mounts};
use super::names::is_dns1123_label;
use super::options::Options;
use super::ports::{validate_host_ports, validate_ports};
use super::probes::{ProbeKind, validate_lifecycle, validate_probe_of};
use super::resources::{Level, validate_resize_policy, validate_resources};
use super::security::validate_security_context;
use super::text::{list, text};
use super::volumes::validate_pull_policy;
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    Container, ContainerRestartRule, EphemeralContainer, PodOS, ResourceRequirements,
};
use std::collections::BTreeSet;

/// What of the pod a container must fit to.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Volumes that mounts may name.
    pub volumes: Volumes<'a>,
    /// Names of `spec.resourceClaims`.
    pub claims: BTreeSet<&'a str>,
    /// `spec.restartPolicy`.
    pub restart_policy: &'a str,
    /// `spec.terminationGracePeriodSeconds`.
    pub grace: Option<i64>,
    /// `spec.os`.
    pub os: Option<&'a PodOS>,
    /// Whether the pod uses the users of the node.
    pub host_users: bool,
    /// Options of validation.
    pub options: &'a Options,
}

/// `containers`.
pub fn validate_containers(
    containers: &[Container],
    around: &Surroundings<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    if containers.is_empty() {
        return errors.required(path, "");
    }
    let mut names = BTreeSet::new();
    for (i, container) in containers.iter().enumerate() {
        let path = path.index(i);
        validate_common(container, around, &path, errors);
        if !names.insert(container.name.as_str()) {
            errors.duplicate(&path.child("name"), container.name.as_str());
        }
        validate_running_parts(container, around, &path, errors);
        if around.options.allow_container_restart_policy_rules {
            validate_restart_policy(container, around.options, &path, errors);
        } else if container.restart_policy.is_some() {
            errors.forbidden(
                &path.child("restartPolicy"),
                "may not be set for non-init containers",
            );
        }
    }
    validate_host_ports(containers, path, errors);
}

/// `initContainers`, sidecars among them.
pub fn validate_init_containers(
    containers: &[Container],
    regular: &[Container],
    around: &Surroundings<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    let options = around.options;
    let mut names: BTreeSet<&str> = regular.iter().map(|c| c.name.as_str()).collect();
    for (i, container) in containers.iter().enumerate() {
        let item = path.index(i);
        validate_common(container, around, &item, errors);
        validate_init_restart_policy(container, options, &item, errors);
        let name = container.name.as_str();
        if names.contains(name) {
            errors.duplicate(&item.child("name"), name);
        } else if !name.is_empty() {
            names.insert(name);
        }
        // Init containers run one by one, so each has the ports to itself; upstream then reports at index 0.
        validate_host_ports([container], path, errors);
        let is_sidecar = container.restart_policy.as_deref() == Some("Always");
        if is_sidecar {
            validate_running_parts(container, around, &item, errors);
        } else {
            forbid_running_parts(container, &item, errors);
        }
        let resize = list(&container.resize_policy);
        if !options.allow_sidecar_resize_policy && !resize.is_empty() {
            errors.invalid(
                &item.child("resizePolicy"),
                BadValue::json(&resize),
                "must not be set for init containers",
            );
        }
        if is_sidecar || options.allow_existing_restart_container_for_non_sidecar_init_container {
            continue;
        }
        for (j, policy) in resize.iter().enumerate() {
            if policy.restart_policy == "RestartContainer" {
                errors.invalid(
                    &item.child("resizePolicy").index(j).child("restartPolicy"),
                    policy.restart_policy.as_str(),
                    "must not be set to 'RestartContainer' for non-sidecar initContainers",
                );
            }
        }
    }
}

/// `ephemeralContainers`.
pub fn validate_ephemeral_containers(
    containers: &[EphemeralContainer],
    regular: &[Container],
    init: &[Container],
    around: &Surroundings<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    const FORBIDDEN: &str = "cannot be set for an Ephemeral Container";
    let others: BTreeSet<&str> = regular
        .iter()
        .chain(init)
        .map(|c| c.name.as_str())
        .collect();
    let mut names = others.clone();
    for (i, ephemeral) in containers.iter().enumerate() {
        let path = path.index(i);
        let container = as_container(ephemeral);
        validate_common(&container, around, &path, errors);
        validate_image_padding(&container, &path, errors);
        let name = ephemeral.name.as_str();
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        let target = text(&ephemeral.target_container_name);
        if !target.is_empty() && !others.contains(target) {
            errors.not_found(&path.child("targetContainerName"), target, "");
        }
        let resources = ephemeral.resources.as_ref();
        let forbidden = [
            ("ports", ephemeral.ports.is_some()),
            (
                "resources",
                resources.is_some_and(|r| *r != ResourceRequirements::default()),
            ),
            ("resizePolicy", ephemeral.resize_policy.is_some()),
            ("restartPolicy", ephemeral.restart_policy.is_some()),
            (
                "restartPolicyRules",
                ephemeral.restart_policy_rules.is_some(),
            ),
            ("livenessProbe", ephemeral.liveness_probe.is_some()),
            ("readinessProbe", ephemeral.readiness_probe.is_some()),
            ("startupProbe", ephemeral.startup_probe.is_some()),
            ("lifecycle", ephemeral.lifecycle.is_some()),
        ];
        for (field, _) in forbidden.iter().filter(|(_, set)| *set) {
            errors.forbidden(&path.child(field), FORBIDDEN);
        }
        for (j, mount) in list(&ephemeral.volume_mounts).iter().enumerate() {
            let path = path.child("volumeMounts").index(j);
            if !text(&mount.sub_path).is_empty() {
                errors.forbidden(&path.child("subPath"), FORBIDDEN);
            }
            if !text(&mount.sub_path_expr).is_empty() {
                errors.forbidden(&path.child("subPathExpr"), FORBIDDEN);
            }
        }
    }
}

/// The fields that it has in common with other containers.
fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let e = ephemeral.clone();
    Container {
        args: e.args,
        command: e.command,
        env: e.env,
        env_from: e.env_from,
        image: e.image,
        image_pull_policy: e.image_pull_policy,
        lifecycle: e.lifecycle,
        liveness_probe: e.liveness_probe,
        name: e.name,
        ports: e.ports,
        readiness_probe: e.readiness_probe,
        resize_policy: e.resize_policy,
        resources: e.resources,
        restart_policy: e.restart_policy,
        restart_policy_rules: e.restart_policy_rules,
        security_context: e.security_context,
        startup_probe: e.startup_probe,
        stdin: e.stdin,
        stdin_once: e.stdin_once,
        termination_message_path: e.termination_message_path,
        termination_message_policy: e.termination_message_policy,
        tty: e.tty,
        volume_devices: e.volume_devices,
        volume_mounts: e.volume_mounts,
        working_dir: e.working_dir,
    }
}

/// What holds for containers of every kind.
fn validate_common(
    container: &Container,
    around: &Surroundings<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    let options = around.options;
    if container.name.is_empty() {
        errors.required(&path.child("name"), "");
    } else {
        for message in is_dns1123_label(&container.name) {
            errors.invalid(&path.child("name"), container.name.as_str(), &message);
        }
    }
    if text(&container.image).is_empty() {
        errors.required(&path.child("image"), "");
    }
    let policy = path.child("terminationMessagePolicy");
    match text(&container.termination_message_policy) {
        "File" | "FallbackToLogsOnError" => {}
        "" => errors.required(&policy, ""),
        other => errors.not_supported(&policy, other, &["File", "FallbackToLogsOnError"]),
    }
    let mounts = list(&container.volume_mounts);
    let devices = list(&container.volume_devices);
    let mounted: PathsByName<'_> = mounts
        .iter()
        .map(|m| (m.name.as_str(), m.mount_path.as_str()))
        .collect();
    let attached: PathsByName<'_> = devices
        .iter()
        .map(|d| (d.name.as_str(), d.device_path.as_str()))
        .collect();
    validate_ports(list(&container.ports), &path.child("ports"), errors);
    validate_env(list(&container.env), &path.child("env"), options, errors);
    validate_env_from(
        list(&container.env_from),
        &path.child("envFrom"),
        options,
        errors,
    );
    validate_mounts(
        mounts,
        &attached,
        &around.volumes,
        Some(container),
        &path.child("volumeMounts"),
        errors,
    );
    validate_devices(
        devices,
        &mounted,
        &around.volumes,
        &path.child("volumeDevices"),
        errors,
    );
    let pull = path.child("imagePullPolicy");
    validate_pull_policy(text(&container.image_pull_policy), &pull, errors);
    if let Some(resources) = &container.resources {
        validate_resources(
            resources,
            Level::Container,
            &around.claims,
            &path.child("resources"),
            options,
            errors,
        );
    }
    validate_resize_policy(
        list(&container.resize_policy),
        around.restart_policy,
        &path.child("resizePolicy"),
        errors,
    );
    if let Some(context) = &container.security_context {
        let path = path.child("securityContext");
        validate_security_context(context, around.host_users, &path, options, errors);
    }
}

/// Hooks and probes, of containers that are meant to keep running.
fn validate_running_parts(
    container: &Container,
    around: &Surroundings<'_>,
    path: &Path,
    errors: &mut Errors,
) {
    let options = around.options;
    if let Some(lifecycle) = &container.lifecycle {
        let path = path.child("lifecycle");
        validate_lifecycle(lifecycle, around.grace, around.os, &path, options, errors);
    }
    let probes = [
        (
            ProbeKind::Liveness,
            "livenessProbe",
            &container.liveness_probe,
        ),
        (
            ProbeKind::Readiness,
            "readinessProbe",
            &container.readiness_probe,
        ),
        (ProbeKind::Startup, "startupProbe", &container.startup_probe),
    ];
    for (kind, name, probe) in probes {
        let path = path.child(name);
        validate_probe_of(kind, probe.as_ref(), around.grace, &path, options, errors);
    }
}

/// An init container that ends has neither hooks nor probes.
fn forbid_running_parts(container: &Container, path: &Path, errors: &mut Errors) {
    let set = [
        ("lifecycle", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
    ];
    for (field, _) in set.iter().filter(|(_, set)| *set) {
        errors.forbidden(
            &path.child(field),
            "may not be set for init containers without restartPolicy=Always",
        );
    }
}

const RULES_NEED_POLICY: &str = "must specify restartPolicy when restart rules are used";

/// `restartPolicy` and `restartPolicyRules` of an init container.
fn validate_init_restart_policy(
    container: &Container,
    options: &Options,
    path: &Path,
    errors: &mut Errors,
) {
    let has_rules = !list(&container.restart_policy_rules).is_empty();
    let field = path.child("restartPolicy");
    match container.restart_policy.as_deref() {
        None if has_rules => errors.required(&field, RULES_NEED_POLICY),
        None => {}
        Some("Always") if !options.allow_container_restart_policy_rules => {}
        Some("Always") if !options.allow_restart_all_containers && has_rules => errors.forbidden(
            &path.child("restartPolicyRules"),
            "restartPolicyRules are not allowed for init containers with restart policy Always",
        ),
        Some("Always") if !options.allow_restart_all_containers => {}
        Some(_) if options.allow_container_restart_policy_rules => {
            validate_restart_policy(container, options, path, errors);
        }
        Some(other) => errors.not_supported(&field, other, &["Always"]),
    }
}

/// `restartPolicy` and `restartPolicyRules` of any container.
fn validate_restart_policy(
    container: &Container,
    options: &Options,
    path: &Path,
    errors: &mut Errors,
) {
    const POLICIES: &[&str] = &["Always", "Never", "OnFailure"];
    const MAX_RULES: usize = 20;
    let rules = list(&container.restart_policy_rules);
    let field = path.child("restartPolicy");
    match container.restart_policy.as_deref() {
        None if rules.is_empty() => return,
        None => errors.required(&field, RULES_NEED_POLICY),
        Some(policy) if !POLICIES.contains(&policy) => {
            errors.not_supported(&field, policy, POLICIES);
        }
        Some(_) => {}
    }
    let field = path.child("restartPolicyRules");
    if rules.len() > MAX_RULES {
        errors.too_many(&field, rules.len(), MAX_RULES);
    }
    for (i, rule) in rules.iter().enumerate() {
        validate_restart_rule(rule, options, &field.index(i), errors);
    }
}

fn validate_restart_rule(
    rule: &ContainerRestartRule,
    options: &Options,
    path: &Path,
    errors: &mut Errors,
) {
    const MAX_CODES: usize = 255;
    let actions: &[&str] = if options.allow_restart_all_containers {
        &["Restart", "RestartAllContainers"]
    } else {
        &["Restart"]
    };
    if !actions.contains(&rule.action.as_str()) {
        errors.not_supported(&path.child("action"), &rule.action, actions);
    }
    let path = path.child("exitCodes");
    let Some(codes) = &rule.exit_codes else {
        return errors.required(&path, "must be specified");
    };
    if !matches!(codes.operator.as_str(), "In" | "NotIn") {
        errors.not_supported(&path.child("operator"), &codes.operator, &["In", "NotIn"]);
    }
    let values = list(&codes.values);
    if values.len() > MAX_CODES {
        errors.too_many(&path.child("values"), values.len(), MAX_CODES);
    }
}

/// A pod's image has no white space around it (a pod template's may).
pub(super) fn validate_image_padding(container: &Container, path: &Path, errors: &mut Errors) {
    let image = text(&container.image);
    if image.trim() != image {
        errors.invalid(
            &path.child("image"),
            image,
            "must not have leading or trailing whitespace",
        );
    }
}
