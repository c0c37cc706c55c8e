//! Volume sources that podwright does not mount: what the API server says of them.

use super::claim_template::validate_claim_template;
use super::error::{BadValue, Errors};
use super::names::{in_range, is_dns1123_label, is_dns1123_subdomain};
use super::paths::descending;
use super::source::Source;
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    AzureDiskVolumeSource, CSIVolumeSource, FCVolumeSource, FlexVolumeSource, FlockerVolumeSource,
    ISCSIVolumeSource, NFSVolumeSource, QuobyteVolumeSource, StorageOSVolumeSource, Volume,
};

/// Texts that must not be empty.
fn needed(fields: &[(&str, &str)], path: &Path, errors: &mut Errors) {
    for (name, _) in fields.iter().filter(|(_, value)| value.is_empty()) {
        errors.required(&path.child(name), "");
    }
}

/// The sources of this volume that this module knows.
pub(super) fn other_sources(volume: &Volume) -> Vec<Source<'_>> {
    let mut all = Vec::new();
    if let Some(s) = &volume.git_repo {
        all.push(Source::new(2, "gitRepo", |p, e| {
            needed(&[("repository", &s.repository)], p, e);
            descending(text(&s.directory), &p.child("directory"), e);
        }));
    }
    if let Some(s) = &volume.gce_persistent_disk {
        let check = |p: &Path, e: &mut Errors| {
            needed(&[("pdName", &s.pd_name)], p, e);
            partition(s.partition, p, e);
        };
        all.push(Source::new(3, "gcePersistentDisk", check).at("persistentDisk"));
    }
    if let Some(s) = &volume.aws_elastic_block_store {
        all.push(Source::new(4, "awsElasticBlockStore", |p, e| {
            needed(&[("volumeID", &s.volume_id)], p, e);
            partition(s.partition, p, e);
        }));
    }
    if let Some(s) = &volume.nfs {
        all.push(Source::new(6, "nfs", |p, e| nfs(s, p, e)));
    }
    if let Some(s) = &volume.iscsi {
        all.push(Source::new(7, "iscsi", |p, e| iscsi(s, p, e)));
    }
    if let Some(s) = &volume.glusterfs {
        all.push(Source::new(8, "glusterfs", |p, e| {
            needed(&[("endpoints", &s.endpoints), ("path", &s.path)], p, e);
        }));
    }
    if let Some(s) = &volume.flocker {
        all.push(Source::new(9, "flocker", |p, e| flocker(s, p, e)));
    }
    if let Some(s) = &volume.persistent_volume_claim {
        all.push(Source::new(10, "persistentVolumeClaim", |p, e| {
            needed(&[("claimName", &s.claim_name)], p, e);
        }));
    }
    if let Some(s) = &volume.rbd {
        all.push(Source::new(11, "rbd", |p, e| {
            if s.monitors.is_empty() {
                e.required(&p.child("monitors"), "");
            }
            needed(&[("image", &s.image)], p, e);
        }));
    }
    if let Some(s) = &volume.cinder {
        all.push(Source::new(12, "cinder", |p, e| {
            needed(&[("volumeID", &s.volume_id)], p, e);
            if s.secret_ref.as_ref().is_some_and(|r| r.name.is_empty()) {
                e.required(&p.child("secretRef").child("name"), "");
            }
        }));
    }
    if let Some(s) = &volume.cephfs {
        let check = |p: &Path, e: &mut Errors| {
            if s.monitors.is_empty() {
                e.required(&p.child("monitors"), "");
            }
        };
        all.push(Source::new(13, "cephFS", check).at("cephfs"));
    }
    if let Some(s) = &volume.quobyte {
        all.push(Source::new(14, "quobyte", |p, e| quobyte(s, p, e)));
    }
    if let Some(s) = &volume.fc {
        all.push(Source::new(16, "fc", |p, e| fibre_channel(s, p, e)));
    }
    if let Some(s) = &volume.flex_volume {
        all.push(Source::new(17, "flexVolume", |p, e| flex(s, p, e)));
    }
    if let Some(s) = &volume.azure_file {
        all.push(Source::new(19, "azureFile", |p, e| {
            let fields = [
                ("secretName", &*s.secret_name),
                ("shareName", &s.share_name),
            ];
            needed(&fields, p, e);
        }));
    }
    if let Some(s) = &volume.vsphere_volume {
        all.push(Source::new(20, "vsphereVolume", |p, e| {
            needed(&[("volumePath", &s.volume_path)], p, e);
        }));
    }
    if let Some(s) = &volume.photon_persistent_disk {
        all.push(Source::new(21, "photonPersistentDisk", |p, e| {
            needed(&[("pdID", &s.pd_id)], p, e);
        }));
    }
    if let Some(s) = &volume.portworx_volume {
        all.push(Source::new(22, "portworxVolume", |p, e| {
            needed(&[("volumeID", &s.volume_id)], p, e);
        }));
    }
    if let Some(s) = &volume.azure_disk {
        all.push(Source::new(23, "azureDisk", |p, e| azure_disk(s, p, e)));
    }
    if let Some(s) = &volume.storageos {
        all.push(Source::new(24, "storageos", |p, e| storageos(s, p, e)));
    }
    if let Some(s) = &volume.scale_io {
        all.push(Source::new(26, "scaleIO", |p, e| {
            let fields = [
                ("gateway", s.gateway.as_str()),
                ("system", &s.system),
                ("volumeName", text(&s.volume_name)),
            ];
            needed(&fields, p, e);
        }));
    }
    if let Some(s) = &volume.csi {
        all.push(Source::new(27, "csi", |p, e| csi(s, p, e)));
    }
    if let Some(s) = &volume.ephemeral {
        all.push(Source::new(28, "ephemeral", |p, e| {
            let path = p.child("volumeClaimTemplate");
            match &s.volume_claim_template {
                None => e.required(&path, ""),
                Some(template) => validate_claim_template(template, &path, e),
            }
        }));
    }
    all
}

fn partition(number: Option<i32>, path: &Path, errors: &mut Errors) {
    if let Some(number) = number.filter(|n| !(0..=255).contains(n)) {
        errors.invalid(
            &path.child("partition"),
            number,
            "must be between 1 and 255, inclusive",
        );
    }
}

fn nfs(source: &NFSVolumeSource, path: &Path, errors: &mut Errors) {
    needed(
        &[("server", &source.server), ("path", &source.path)],
        path,
        errors,
    );
    if !source.path.starts_with('/') {
        errors.invalid(
            &path.child("path"),
            source.path.as_str(),
            "must be an absolute path",
        );
    }
}

fn iscsi(source: &ISCSIVolumeSource, path: &Path, errors: &mut Errors) {
    needed(
        &[
            ("targetPortal", &source.target_portal),
            ("iqn", &source.iqn),
        ],
        path,
        errors,
    );
    if !source.iqn.is_empty() {
        iscsi_name(&source.iqn, &path.child("iqn"), errors);
    }
    if let Some(message) = in_range(source.lun.into(), 0, 255) {
        errors.invalid(&path.child("lun"), source.lun, &message);
    }
    let authenticates =
        source.chap_auth_discovery == Some(true) || source.chap_auth_session == Some(true);
    if authenticates && source.secret_ref.is_none() {
        errors.required(&path.child("secretRef"), "");
    }
    if let Some(name) = &source.initiator_name {
        iscsi_name(name, &path.child("initiatorname"), errors);
    }
}

/// `iqn.YYYY-MM.DOMAIN:NAME`, `eui.` and 16 letters or `naa.` and 32.
fn iscsi_name(name: &str, path: &Path, errors: &mut Errors) {
    let well_formed = match name.get(..3) {
        Some("iqn") => is_iqn(name),
        Some("eui") => is_hardware_name(name, 16),
        Some("naa") => is_hardware_name(name, 32),
        _ => {
            return errors.invalid(
                path,
                name,
                "must be valid format starting with iqn, eui, or naa",
            );
        }
    };
    if !well_formed {
        errors.invalid(path, name, "must be valid format");
    }
}

fn is_iqn(name: &str) -> bool {
    let Some((front, back)) = name.split_once(':') else {
        return false;
    };
    let mut parts = front.splitn(3, '.');
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let dated = parts.next() == Some("iqn")
        && parts
            .next()
            .and_then(|date| date.split_once('-'))
            .is_some_and(|(year, month)| digits(year, 4) && digits(month, 2));
    let domain = parts.next().unwrap_or_default();
    dated
        && !domain.is_empty()
        && domain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && !back.is_empty()
        && !back.contains(|c: char| ",;*&$|".contains(c) || c.is_ascii_whitespace())
}

fn is_hardware_name(name: &str, letters: usize) -> bool {
    let rest = name.get(4..).unwrap_or_default();
    rest.len() == letters && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// With an initiator's name, the volume's name and the portal make one name of at most 64 bytes.
pub(super) fn validate_iscsi_name(volume: &Volume, path: &Path, errors: &mut Errors) {
    let Some(source) = volume.iscsi.as_ref().filter(|s| s.initiator_name.is_some()) else {
        return;
    };
    if volume.name.len() + 1 + source.target_portal.len() > 64 {
        errors.invalid(
            &path.child("name"),
            volume.name.as_str(),
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.",
        );
    }
}

fn flocker(source: &FlockerVolumeSource, path: &Path, errors: &mut Errors) {
    let (name, uuid) = (text(&source.dataset_name), text(&source.dataset_uuid));
    if name.is_empty() && uuid.is_empty() {
        errors.required(path, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        errors.invalid(
            path,
            "resource",
            "datasetName and datasetUUID can not be specified simultaneously",
        );
    }
    if name.contains('/') {
        errors.invalid(&path.child("datasetName"), name, "must not contain '/'");
    }
}

fn quobyte(source: &QuobyteVolumeSource, path: &Path, errors: &mut Errors) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = path.child("registry");
    if source.registry.is_empty() {
        errors.required(&registry, PAIRS);
    } else if text(&source.tenant).len() >= 65 {
        errors.required(
            &path.child("tenant"),
            "must be a UUID and may not exceed a length of 64 characters",
        );
    } else {
        for _ in source
            .registry
            .split(',')
            .filter(|pair| !is_host_port(pair))
        {
            errors.invalid(&registry, source.registry.as_str(), PAIRS);
        }
    }
    needed(&[("volume", &source.volume)], path, errors);
}

/// `host:port` or `[address]:port`, as Go splits it.
fn is_host_port(pair: &str) -> bool {
    match pair.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").is_some_and(|(host, port)| {
            !host.contains(['[', ']']) && !port.contains([':', '[', ']'])
        }),
        None => pair.matches(':').count() == 1 && !pair.contains(['[', ']']),
    }
}

fn fibre_channel(source: &FCVolumeSource, path: &Path, errors: &mut Errors) {
    let (names, ids) = (list(&source.target_wwns), list(&source.wwids));
    let at = path.child("targetWWNs");
    if names.is_empty() && ids.is_empty() {
        errors.required(&at, "must specify either targetWWNs or wwids, but not both");
    }
    if !names.is_empty() && !ids.is_empty() {
        errors.invalid(
            &at,
            BadValue::json(&names),
            "targetWWNs and wwids can not be specified simultaneously",
        );
    }
    if names.is_empty() {
        return;
    }
    let at = path.child("lun");
    match source.lun {
        None => errors.required(&at, "lun is required if targetWWNs is specified"),
        Some(lun) => {
            if let Some(message) = in_range(lun.into(), 0, 255) {
                errors.invalid(&at, lun, &message);
            }
        }
    }
}

fn flex(source: &FlexVolumeSource, path: &Path, errors: &mut Errors) {
    needed(&[("driver", &source.driver)], path, errors);
    for key in source.options.iter().flatten().map(|(key, _)| key) {
        let domain = key.split('/').next().unwrap_or_default();
        let domain = format!(".{}", domain.to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            errors.invalid(
                &path.child("options").key(key),
                key.as_str(),
                "kubernetes.io and k8s.io namespaces are reserved",
            );
        }
    }
}

fn azure_disk(source: &AzureDiskVolumeSource, path: &Path, errors: &mut Errors) {
    const CACHING: &[&str] = &["None", "ReadOnly", "ReadWrite"];
    const KINDS: &[&str] = &["Dedicated", "Managed", "Shared"];
    let uri = source.disk_uri.as_str();
    needed(
        &[("diskName", &source.disk_name), ("diskURI", uri)],
        path,
        errors,
    );
    if let Some(mode) = source
        .caching_mode
        .as_deref()
        .filter(|m| !CACHING.contains(m))
    {
        errors.not_supported(&path.child("cachingMode"), mode, CACHING);
    }
    let Some(kind) = source.kind.as_deref() else {
        return;
    };
    if !KINDS.contains(&kind) {
        errors.not_supported(&path.child("kind"), kind, KINDS);
    }
    let (prefix, form) = if kind == "Managed" {
        (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        )
    } else {
        (
            "https://",
            "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
        )
    };
    if !uri.starts_with(prefix) {
        errors.not_supported(&path.child("diskURI"), uri, &[form]);
    }
}

fn storageos(source: &StorageOSVolumeSource, path: &Path, errors: &mut Errors) {
    let name = text(&source.volume_name);
    let namespace = text(&source.volume_namespace);
    needed(&[("volumeName", name)], path, errors);
    for (field, value) in [("volumeName", name), ("volumeNamespace", namespace)] {
        for message in is_dns1123_label(value) {
            if !value.is_empty() {
                errors.invalid(&path.child(field), value, &message);
            }
        }
    }
    if source
        .secret_ref
        .as_ref()
        .is_some_and(|r| r.name.is_empty())
    {
        errors.required(&path.child("secretRef").child("name"), "");
    }
}

fn csi(source: &CSIVolumeSource, path: &Path, errors: &mut Errors) {
    const MAX_DRIVER: usize = 63;
    let at = path.child("driver");
    let driver = source.driver.as_str();
    if driver.is_empty() {
        errors.required(&at, "");
    } else {
        if driver.len() > MAX_DRIVER {
            errors.too_long(&at, MAX_DRIVER);
        }
        for message in is_dns1123_subdomain(&driver.to_lowercase()) {
            errors.invalid(&at, driver, &message);
        }
    }
    if let Some(secret) = &source.node_publish_secret_ref {
        if secret.name.is_empty() {
            errors.required(&path.child("nodePublishSecretRef").child("name"), "");
        } else {
            for message in is_dns1123_subdomain(&secret.name) {
                errors.invalid(&path.child("name"), secret.name.as_str(), &message);
            }
        }
    }
}
