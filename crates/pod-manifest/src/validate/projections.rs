//! `projected`: several sources in one folder, whose paths may not collide.

use super::error::{BadValue, Errors};
use super::files::{validate_downward_file, validate_item};
use super::metadata::{MAX_ANNOTATIONS, annotations_size};
use super::names::is_qualified_name;
use super::options::Options;
use super::paths::{file_mode, non_reserved};
use super::selectors::validate_selector;
use super::signers::{is_of_kubernetes, validate_bundle_name, validate_signer};
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, KeyToPath, PodCertificateProjection, ProjectedVolumeSource,
    ServiceAccountTokenProjection,
};
use std::collections::{BTreeMap, BTreeSet};

const COLLISION: &str = "conflicting duplicate paths";

/// `projected`.
pub(super) fn validate_projected(
    source: &ProjectedVolumeSource,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    file_mode(source.default_mode, &path.child("defaultMode"), errors);
    // Paths taken in the folder.
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for (i, source) in list(&source.sources).iter().enumerate() {
        let item = path.child("sources").index(i);
        let mut kinds = 0;
        if let Some(secret) = &source.secret {
            kinds += 1;
            let item = item.child("secret");
            let items = list(&secret.items);
            validate_keys(&secret.name, items, &item, path, &mut taken, errors);
        }
        if let Some(config_map) = &source.config_map {
            kinds += 1;
            let item = item.child("configMap");
            let items = list(&config_map.items);
            validate_keys(&config_map.name, items, &item, path, &mut taken, errors);
        }
        if let Some(downward) = &source.downward_api {
            kinds += 1;
            let item = item.child("downwardAPI");
            for file in list(&downward.items) {
                validate_downward_file(file, &item, errors);
                if !file.path.is_empty() && !taken.insert(&file.path) {
                    errors.invalid(path, file.path.as_str(), COLLISION);
                }
            }
        }
        if let Some(token) = &source.service_account_token {
            kinds += 1;
            let item = item.child("serviceAccountToken");
            validate_token(token, &item, path, options, errors);
        }
        if let Some(bundle) = &source.cluster_trust_bundle {
            kinds += 1;
            let item = item.child("clusterTrustBundle");
            validate_trust_bundle(bundle, &item, errors);
            if !taken.insert(&bundle.path) {
                errors.invalid(path, bundle.path.as_str(), COLLISION);
            }
        }
        if let Some(certificate) = &source.pod_certificate {
            kinds += 1;
            let item = item.child("podCertificate");
            validate_certificate(certificate, &item, path, &mut taken, errors);
        }
        if kinds > 1 {
            errors.forbidden(&item, "may not specify more than 1 volume type per source");
        }
    }
}

/// Keys of a ConfigMap or Secret; a collision is reported on the volume, with the object's name.
fn validate_keys<'a>(
    name: &str,
    items: &'a [KeyToPath],
    path: &Path,
    volume: &Path,
    taken: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    if name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    for (i, item) in items.iter().enumerate() {
        validate_item(item, &path.child("items").index(i), errors);
        if !item.path.is_empty() && !taken.insert(&item.path) {
            errors.invalid(volume, name, COLLISION);
        }
    }
}

fn validate_token(
    token: &ServiceAccountTokenProjection,
    path: &Path,
    volume: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let seconds = token.expiration_seconds.unwrap_or_default();
    if seconds < 600 {
        errors.invalid(
            &path.child("expirationSeconds"),
            seconds,
            "may not specify a duration less than 10 minutes",
        );
    }
    if seconds > 1 << 32 {
        errors.invalid(
            &path.child("expirationSeconds"),
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        );
    }
    // Upstream reports the token's path on the volume.
    if token.path.is_empty() {
        errors.required(&volume.child("path"), "");
    } else if !options.allow_non_local_projected_token_path {
        non_reserved(&token.path, &volume.child("path"), errors);
    }
}

fn validate_trust_bundle(bundle: &ClusterTrustBundleProjection, path: &Path, errors: &mut Errors) {
    match (&bundle.name, &bundle.signer_name) {
        (Some(_), Some(_)) => errors.invalid(
            path,
            BadValue::json(bundle),
            "only one of name and signerName may be used",
        ),
        (Some(name), None) => {
            let at = path.child("name");
            if name.is_empty() {
                errors.required(&at, "must be a valid object name");
            }
            validate_bundle_name(name, &at, errors);
            if let Some(selector) = &bundle.label_selector {
                errors.invalid(
                    &path.child("labelSelector"),
                    BadValue::json(selector),
                    "labelSelector must be unset if name is specified",
                );
            }
        }
        (None, Some(signer)) => {
            let at = path.child("signerName");
            if signer.is_empty() {
                errors.required(&at, "must be a valid signer name");
            }
            validate_signer(signer, &at, errors);
            if let Some(selector) = &bundle.label_selector {
                validate_selector(selector, false, &path.child("labelSelector"), errors);
            }
        }
        (None, None) => errors.required(path, "either name or signerName must be specified"),
    }
    if bundle.path.is_empty() {
        errors.required(&path.child("path"), "");
    }
    non_reserved(&bundle.path, &path.child("path"), errors);
}

/// Keys with a domain before them; errors stand at the map.
fn validate_user_annotations(
    annotations: &BTreeMap<String, String>,
    path: &Path,
    errors: &mut Errors,
) {
    for key in annotations.keys().map(|key| key.to_lowercase()) {
        let wrong = is_qualified_name(&key);
        if key.is_empty() {
            errors.required(path, "");
        } else if wrong.is_empty() && !key.contains('/') {
            let detail = "must be a domain-prefixed key (such as \"acme.io/foo\")";
            errors.invalid(path, key.as_str(), detail);
        } else {
            for message in wrong {
                errors.invalid(path, key.as_str(), &message);
            }
        }
    }
    if annotations_size(annotations) > MAX_ANNOTATIONS {
        errors.too_long(path, MAX_ANNOTATIONS);
    }
}

fn validate_certificate<'a>(
    certificate: &'a PodCertificateProjection,
    path: &Path,
    volume: &Path,
    taken: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    const KEY_TYPES: &[&str] = &[
        "RSA3072",
        "RSA4096",
        "ECDSAP256",
        "ECDSAP384",
        "ECDSAP521",
        "ED25519",
    ];
    /// 91 days, in seconds; the signers of Kubernetes itself: one day.
    const MAX_SECONDS: i32 = 91 * 86_400;
    const KUBERNETES_MAX_SECONDS: i32 = 86_400;
    validate_signer(&certificate.signer_name, &path.child("signerName"), errors);
    if let Some(annotations) = &certificate.user_annotations {
        validate_user_annotations(annotations, &path.child("userAnnotations"), errors);
    }
    if !KEY_TYPES.contains(&certificate.key_type.as_str()) {
        errors.not_supported(&path.child("keyType"), &certificate.key_type, KEY_TYPES);
    }
    if let Some(seconds) = certificate.max_expiration_seconds {
        let at = path.child("maxExpirationSeconds");
        if seconds < 3600 {
            errors.invalid(
                &at,
                seconds,
                "if provided, maxExpirationSeconds must be >= 3600",
            );
        }
        let max = if is_of_kubernetes(&certificate.signer_name) {
            KUBERNETES_MAX_SECONDS
        } else {
            MAX_SECONDS
        };
        if seconds > max {
            let detail = format!("if provided, maxExpirationSeconds must be <= {max}");
            errors.invalid(&at, seconds, &detail);
        }
    }
    let files = [
        (
            "credentialBundlePath",
            text(&certificate.credential_bundle_path),
        ),
        ("keyPath", text(&certificate.key_path)),
        (
            "certificateChainPath",
            text(&certificate.certificate_chain_path),
        ),
    ];
    for (field, file) in files.iter().filter(|(_, file)| !file.is_empty()) {
        non_reserved(file, &path.child(field), errors);
        if !taken.insert(file) {
            errors.invalid(volume, *file, COLLISION);
        }
    }
    if files.iter().all(|(_, file)| file.is_empty()) {
        errors.required(
            path,
            "specify at least one of credentialBundlePath, keyPath, and certificateChainPath",
        );
    }
}
