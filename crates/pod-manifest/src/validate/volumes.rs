//! `volumes`: at most one source each, well formed where it is one that podwright honours.

use super::error::Errors;
use super::files::{validate_downward_file, validate_items};
use super::mounts::Volumes;
use super::names::{is_dns1123_label, is_dns1123_subdomain};
use super::options::Options;
use super::other_volumes::{other_sources, validate_iscsi_name};
use super::paths::{file_mode, no_backsteps};
use super::projections::validate_projected;
use super::resources::amount;
use super::source::Source;
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeSource, EmptyDirVolumeSource, HostPathVolumeSource,
    ImageVolumeSource, SecretVolumeSource, Volume,
};
use std::collections::{BTreeMap, BTreeSet};

/// `volumes`. Answers with those that are well formed, which mounts may name.
pub fn validate_volumes<'a>(
    volumes: &'a [Volume],
    pod_name: Option<&str>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) -> Volumes<'a> {
    let pod_name = pod_name.filter(|n| !n.is_empty());
    let created: BTreeSet<String> = volumes
        .iter()
        .filter(|v| v.ephemeral.is_some())
        .filter_map(|v| pod_name.map(|pod| format!("{pod}-{}", v.name)))
        .collect();
    let mut good = BTreeMap::new();
    for (i, volume) in volumes.iter().enumerate() {
        let item = path.index(i);
        let name = item.child("name");
        let mut found = Errors::default();
        validate_source(volume, pod_name, &item, options, &mut found);
        if volume.name.is_empty() {
            found.required(&name, "");
        } else {
            for message in is_dns1123_label(&volume.name) {
                found.invalid(&name, volume.name.as_str(), &message);
            }
        }
        if good.contains_key(volume.name.as_str()) {
            found.duplicate(&name, volume.name.as_str());
        }
        if found.is_empty() {
            good.insert(volume.name.as_str(), volume);
        }
        errors.append(found);
        if let Some(claim) = &volume.persistent_volume_claim
            && created.contains(&claim.claim_name)
        {
            errors.invalid(
                &item.child("persistentVolumeClaim").child("claimName"),
                claim.claim_name.as_str(),
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    good
}

fn validate_source(
    volume: &Volume,
    pod_name: Option<&str>,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let sources = sources(volume, options);
    for (n, source) in sources.iter().enumerate() {
        if n == 0 {
            (source.check)(&path.child(source.own_path), errors);
        } else if source.name != "emptyDir" {
            errors.forbidden(
                &path.child(source.name),
                "may not specify more than 1 volume type",
            );
        }
    }
    validate_iscsi_name(volume, path, errors);
    let first_is_ephemeral = sources.first().is_some_and(|s| s.name == "ephemeral");
    if let Some(pod) = pod_name.filter(|_| first_is_ephemeral && !volume.name.is_empty()) {
        let claim = format!("{pod}-{}", volume.name);
        for message in is_dns1123_subdomain(&claim) {
            let detail = format!("PVC name \"{claim}\": {message}");
            errors.invalid(&path.child("name"), volume.name.as_str(), &detail);
        }
    }
    if sources.is_empty() {
        errors.required(path, "must specify a volume type");
    }
}

/// The sources that are set, in the order in which upstream looks.
fn sources<'a>(volume: &'a Volume, options: &'a Options) -> Vec<Source<'a>> {
    let mut all = other_sources(volume);
    if let Some(s) = &volume.empty_dir {
        all.push(Source::new(0, "emptyDir", |p, e| {
            validate_empty_dir(s, p, e)
        }));
    }
    if let Some(s) = &volume.host_path {
        all.push(Source::new(1, "hostPath", |p, e| {
            validate_host_path(s, p, e)
        }));
    }
    if let Some(s) = &volume.secret {
        all.push(Source::new(5, "secret", |p, e| validate_secret(s, p, e)));
    }
    if let Some(s) = &volume.downward_api {
        let source = Source::new(15, "downwarAPI", |p, e| validate_downward(s, p, e));
        all.push(source.at("downwardAPI"));
    }
    if let Some(s) = &volume.config_map {
        all.push(Source::new(18, "configMap", |p, e| {
            validate_config_map(s, p, e)
        }));
    }
    if let Some(s) = &volume.projected {
        let check = |p: &Path, e: &mut Errors| validate_projected(s, p, options, e);
        all.push(Source::new(25, "projected", check));
    }
    if let Some(s) = &volume.image {
        let check = |p: &Path, e: &mut Errors| validate_image(s, p, options, e);
        all.push(Source::new(29, "image", check));
    }
    all.sort_by_key(|source| source.order);
    all
}

fn validate_empty_dir(source: &EmptyDirVolumeSource, path: &Path, errors: &mut Errors) {
    if source
        .size_limit
        .as_ref()
        .is_some_and(|q| amount(q).sign() < 0)
    {
        errors.forbidden(
            &path.child("sizeLimit"),
            "SizeLimit field must be a valid resource quantity",
        );
    }
}

fn validate_host_path(source: &HostPathVolumeSource, path: &Path, errors: &mut Errors) {
    const TYPES: &[&str] = &[
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    if source.path.is_empty() {
        return errors.required(&path.child("path"), "");
    }
    no_backsteps(&source.path, &path.child("path"), errors);
    if let Some(kind) = source.type_.as_deref().filter(|k| !TYPES.contains(k)) {
        errors.not_supported(&path.child("type"), kind, TYPES);
    }
}

fn validate_secret(source: &SecretVolumeSource, path: &Path, errors: &mut Errors) {
    if text(&source.secret_name).is_empty() {
        errors.required(&path.child("secretName"), "");
    }
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    validate_items(list(&source.items), &path.child("items"), errors);
}

fn validate_config_map(source: &ConfigMapVolumeSource, path: &Path, errors: &mut Errors) {
    if source.name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    validate_items(list(&source.items), &path.child("items"), errors);
}

/// Errors of the files stand at the volume, as upstream has it.
fn validate_downward(source: &DownwardAPIVolumeSource, path: &Path, errors: &mut Errors) {
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    for file in list(&source.items) {
        validate_downward_file(file, path, errors);
    }
}

fn validate_image(source: &ImageVolumeSource, path: &Path, options: &Options, errors: &mut Errors) {
    if options.resource_is_pod && text(&source.reference).is_empty() {
        errors.required(&path.child("reference"), "");
    }
    validate_pull_policy(text(&source.pull_policy), &path.child("pullPolicy"), errors);
}

/// `imagePullPolicy`.
pub fn validate_pull_policy(policy: &str, path: &Path, errors: &mut Errors) {
    match policy {
        "Always" | "IfNotPresent" | "Never" => {}
        "" => errors.required(path, ""),
        other => errors.not_supported(path, other, &["Always", "IfNotPresent", "Never"]),
    }
}
