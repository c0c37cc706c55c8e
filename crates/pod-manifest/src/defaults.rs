//! The defaults that the API server writes into a Pod (`pkg/apis/core/v1/defaults.go`), and those that kubectl does.

use crate::claim::claim_spec_defaults;
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, Container, ContainerPort, DownwardAPIVolumeFile, EmptyDirVolumeSource,
    EnvVar, EphemeralContainer, HTTPGetAction, Lifecycle, LifecycleHandler, ObjectFieldSelector,
    Pod, PodSpec, Probe, ProjectedVolumeSource, ResourceRequirements, SecretVolumeSource, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pod_model::image_name::apply_default_image_tag;
use std::collections::BTreeMap;

/// `terminationGracePeriodSeconds` where none is given, in seconds.
pub const GRACE_PERIOD_SECONDS: i64 = 30;
/// `defaultMode` of configMap, secret, downwardAPI and projected volumes: 0644.
const FILE_MODE: i32 = 0o644;
/// Life of a projected service account token, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// Fills in what the manifest leaves open. Doing so twice changes nothing more.
///
/// A missing namespace becomes `default`, as kubectl does. Defaults at pod level that follow from the containers' sums
/// (`spec.resources`) need the containers' quantities to be well formed.
pub fn defaults(pod: &mut Pod) {
    let namespace = pod.metadata.namespace.get_or_insert_default();
    if namespace.is_empty() {
        *namespace = "default".to_owned();
    }
    let spec = pod.spec.get_or_insert_default();
    default_spec(spec);
    for container in spec
        .containers
        .iter_mut()
        .chain(spec.init_containers.iter_mut().flatten())
    {
        if let Some(resources) = &mut container.resources {
            requests_from_limits(resources);
        }
    }
    if spec.host_network == Some(true) {
        for container in spec
            .containers
            .iter_mut()
            .chain(spec.init_containers.iter_mut().flatten())
        {
            for port in container.ports.iter_mut().flatten() {
                host_port_from_container_port(port);
            }
        }
    }
    crate::pod_level::default_pod_resources(spec);
}

/// Sets a text that is absent or empty.
fn text(field: &mut Option<String>, value: &str) {
    if field.as_deref().is_none_or(str::is_empty) {
        *field = Some(value.to_owned());
    }
}

/// Sets a number that is absent or 0.
fn number(field: &mut Option<i32>, value: i32) {
    if field.is_none_or(|n| n == 0) {
        *field = Some(value);
    }
}

fn default_spec(spec: &mut PodSpec) {
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    text(&mut spec.scheduler_name, "default-scheduler");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds
        .get_or_insert(GRACE_PERIOD_SECONDS);
    spec.enable_service_links.get_or_insert(true);
    // One account under two names; the older one fills the newer, and follows it.
    if spec.service_account_name.is_none() {
        spec.service_account_name.clone_from(&spec.service_account);
    }
    spec.service_account.clone_from(&spec.service_account_name);
    for volume in spec.volumes.iter_mut().flatten() {
        default_volume(volume);
    }
    for container in &mut spec.containers {
        default_container(container);
    }
    for container in spec.init_containers.iter_mut().flatten() {
        default_container(container);
    }
    for container in spec.ephemeral_containers.iter_mut().flatten() {
        default_ephemeral(container);
    }
    if let Some(overhead) = &mut spec.overhead {
        round_up(overhead);
    }
    if let Some(resources) = &mut spec.resources {
        round_resources(resources);
    }
}

fn default_container(container: &mut Container) {
    let image = container.image.as_deref().unwrap_or_default();
    text(&mut container.image_pull_policy, pull_policy(image));
    text(
        &mut container.termination_message_path,
        "/dev/termination-log",
    );
    text(&mut container.termination_message_policy, "File");
    container.ports.iter_mut().flatten().for_each(default_port);
    container.env.iter_mut().flatten().for_each(default_env);
    if let Some(resources) = &mut container.resources {
        round_resources(resources);
    }
    let probes = [
        &mut container.liveness_probe,
        &mut container.readiness_probe,
        &mut container.startup_probe,
    ];
    probes.into_iter().flatten().for_each(default_probe);
    if let Some(lifecycle) = &mut container.lifecycle {
        default_lifecycle(lifecycle);
    }
}

fn default_ephemeral(container: &mut EphemeralContainer) {
    let image = container.image.as_deref().unwrap_or_default();
    text(&mut container.image_pull_policy, pull_policy(image));
    text(
        &mut container.termination_message_path,
        "/dev/termination-log",
    );
    text(&mut container.termination_message_policy, "File");
    container.ports.iter_mut().flatten().for_each(default_port);
    container.env.iter_mut().flatten().for_each(default_env);
    // Validation refuses these; the defaults are made nevertheless.
    if let Some(resources) = &mut container.resources {
        round_resources(resources);
    }
    let probes = [
        &mut container.liveness_probe,
        &mut container.readiness_probe,
        &mut container.startup_probe,
    ];
    probes.into_iter().flatten().for_each(default_probe);
    if let Some(lifecycle) = &mut container.lifecycle {
        default_lifecycle(lifecycle);
    }
}

/// `Always` for the tag `latest`, which an image without tag and digest has, else `IfNotPresent`; so for what is no image name, too.
fn pull_policy(image: &str) -> &'static str {
    let Ok(image) = apply_default_image_tag(image) else {
        return "IfNotPresent";
    };
    let name = image.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        Some((_, "latest")) => "Always",
        _ => "IfNotPresent",
    }
}

fn default_port(port: &mut ContainerPort) {
    text(&mut port.protocol, "TCP");
}

fn host_port_from_container_port(port: &mut ContainerPort) {
    if port.host_port.is_none_or(|p| p == 0) {
        port.host_port = Some(port.container_port);
    }
}

fn default_env(variable: &mut EnvVar) {
    let Some(source) = &mut variable.value_from else {
        return;
    };
    if let Some(field) = &mut source.field_ref {
        default_field_ref(field);
    }
    if let Some(key) = &mut source.file_key_ref {
        key.optional.get_or_insert(false);
    }
}

fn default_field_ref(field: &mut ObjectFieldSelector) {
    text(&mut field.api_version, "v1");
}

fn default_probe(probe: &mut Probe) {
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    if let Some(http) = &mut probe.http_get {
        default_http(http);
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn default_http(http: &mut HTTPGetAction) {
    text(&mut http.path, "/");
    text(&mut http.scheme, "HTTP");
}

fn default_lifecycle(lifecycle: &mut Lifecycle) {
    let default_handler = |handler: &mut Option<LifecycleHandler>| {
        if let Some(http) = handler.as_mut().and_then(|h| h.http_get.as_mut()) {
            default_http(http);
        }
    };
    default_handler(&mut lifecycle.post_start);
    default_handler(&mut lifecycle.pre_stop);
}

fn default_volume(volume: &mut Volume) {
    let unset = Volume {
        name: volume.name.clone(),
        ..Volume::default()
    };
    if *volume == unset {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(host_path) = &mut volume.host_path {
        host_path.type_.get_or_insert_default();
    }
    if let Some(secret) = &mut volume.secret {
        default_secret(secret);
    }
    if let Some(config_map) = &mut volume.config_map {
        default_config_map(config_map);
    }
    if let Some(downward) = &mut volume.downward_api {
        downward.default_mode.get_or_insert(FILE_MODE);
        downward
            .items
            .iter_mut()
            .flatten()
            .for_each(default_downward_file);
    }
    if let Some(projected) = &mut volume.projected {
        default_projected(projected);
    }
    let template = volume.ephemeral.as_mut();
    if let Some(template) = template.and_then(|e| e.volume_claim_template.as_mut()) {
        claim_spec_defaults(&mut template.spec);
        if let Some(resources) = &mut template.spec.resources {
            let lists = [&mut resources.limits, &mut resources.requests];
            lists.into_iter().flatten().for_each(round_up);
        }
    }
    default_foreign(volume);
    if let Some(image) = &mut volume.image {
        let policy = pull_policy(image.reference.as_deref().unwrap_or_default());
        text(&mut image.pull_policy, policy);
    }
}

/// Volumes of clusters and clouds.
fn default_foreign(volume: &mut Volume) {
    if let Some(disk) = &mut volume.azure_disk {
        let unset = |field: &mut Option<String>, value: &str| {
            field.get_or_insert_with(|| value.to_owned());
        };
        unset(&mut disk.caching_mode, "ReadWrite");
        unset(&mut disk.fs_type, "ext4");
        unset(&mut disk.kind, "Shared");
        disk.read_only.get_or_insert(false);
    }
    if let Some(iscsi) = &mut volume.iscsi {
        text(&mut iscsi.iscsi_interface, "default");
    }
    if let Some(rbd) = &mut volume.rbd {
        text(&mut rbd.pool, "rbd");
        text(&mut rbd.user, "admin");
        text(&mut rbd.keyring, "/etc/ceph/keyring");
    }
    if let Some(scale) = &mut volume.scale_io {
        text(&mut scale.storage_mode, "ThinProvisioned");
        text(&mut scale.fs_type, "xfs");
    }
}

fn default_secret(secret: &mut SecretVolumeSource) {
    secret.default_mode.get_or_insert(FILE_MODE);
}

fn default_config_map(config_map: &mut ConfigMapVolumeSource) {
    config_map.default_mode.get_or_insert(FILE_MODE);
}

fn default_downward_file(file: &mut DownwardAPIVolumeFile) {
    if let Some(field) = &mut file.field_ref {
        default_field_ref(field);
    }
}

fn default_projected(projected: &mut ProjectedVolumeSource) {
    projected.default_mode.get_or_insert(FILE_MODE);
    for source in projected.sources.iter_mut().flatten() {
        if let Some(token) = &mut source.service_account_token {
            token.expiration_seconds.get_or_insert(TOKEN_SECONDS);
        }
        if let Some(downward) = &mut source.downward_api {
            downward
                .items
                .iter_mut()
                .flatten()
                .for_each(default_downward_file);
        }
    }
}

fn round_resources(resources: &mut ResourceRequirements) {
    let lists = [&mut resources.limits, &mut resources.requests];
    lists.into_iter().flatten().for_each(round_up);
}

/// The API server keeps thousandths and nothing finer: `0.1m` becomes `1m`.
fn round_up(list: &mut BTreeMap<String, Quantity>) {
    for amount in list.values_mut() {
        if let Ok(parsed) = amount.0.trim().parse::<pod_model::quantity::Quantity>() {
            let (rounded, _) = parsed.round_up(-3);
            amount.0 = rounded.to_string();
        }
    }
}

/// A limit without a request is the request too.
fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else {
        return;
    };
    let requests = resources.requests.get_or_insert_default();
    for (name, amount) in limits {
        requests
            .entry(name.clone())
            .or_insert_with(|| amount.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_pulled_always_only_if_its_tag_is_latest() {
        let digest = "a".repeat(64);
        for (image, policy) in [
            ("busybox", "Always"),
            ("busybox:latest", "Always"),
            ("host:5000/a/busybox", "Always"),
            ("host:5000/a/busybox:latest", "Always"),
            ("busybox:1.36", "IfNotPresent"),
            ("host:5000/a/busybox:1", "IfNotPresent"),
            (&format!("busybox@sha256:{digest}"), "IfNotPresent"),
            (&format!("busybox:1@sha256:{digest}"), "IfNotPresent"),
            (&format!("busybox:latest@sha256:{digest}"), "Always"),
            ("busybox:latest@sha256:abc", "IfNotPresent"),
            ("Busybox", "IfNotPresent"),
            ("", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image:?}");
        }
    }
}
