//! Names of signers of certificates and of their trust bundles.

use super::error::Errors;
use super::names::{is_dns1123_label, is_dns1123_subdomain};
use crate::path::Path;

/// Whether the signer is one of Kubernetes itself.
pub(super) fn is_of_kubernetes(signer: &str) -> bool {
    let domain = signer.split('/').next().unwrap_or_default();
    domain == "kubernetes.io" || domain.ends_with(".kubernetes.io")
}

/// `domain/path`: the path may be made of a namespace and an object's name.
pub(super) fn validate_signer(signer: &str, path: &Path, errors: &mut Errors) {
    const MAX_DOMAIN: usize = 253;
    /// A domain, `/`, a label, `.` and a subdomain.
    const MAX_LENGTH: usize = MAX_DOMAIN + 1 + 63 + 1 + 253;
    if signer.is_empty() {
        return errors.required(path, "");
    }
    let parts: Vec<&str> = signer.split('/').collect();
    let [domain, name] = parts.as_slice() else {
        return errors.invalid(
            path,
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        );
    };
    if domain.len() > MAX_DOMAIN {
        errors.too_long(path, MAX_DOMAIN);
    }
    validate_labels_of(domain, is_dns1123_label, path, errors);
    if !domain.contains('.') {
        errors.invalid(
            path,
            *domain,
            "should be a domain with at least two segments separated by dots",
        );
    }
    validate_labels_of(name, is_dns1123_subdomain, path, errors);
    if signer.len() > MAX_LENGTH {
        errors.too_long(path, MAX_LENGTH);
    }
}

/// The first label that is malformed is reported, with the whole part as value.
fn validate_labels_of(part: &str, form: fn(&str) -> Vec<String>, path: &Path, errors: &mut Errors) {
    let bad = part.split('.').find(|label| !form(label).is_empty());
    if let Some(label) = bad {
        for message in form(label) {
            errors.invalid(
                path,
                part,
                &format!("validating label {label:?}: {message}"),
            );
        }
    }
}

/// The name of a trust bundle: that of its signer with `:` for `/`, then `:` and a name; or any name of an object.
pub(super) fn validate_bundle_name(name: &str, path: &Path, errors: &mut Errors) {
    let (of_signer, own) = match name.rsplit_once(':') {
        Some((signer, own)) => (!signer.is_empty(), own),
        None => (false, name),
    };
    let wrong = if of_signer || !name.contains(':') {
        is_dns1123_subdomain(own)
    } else {
        vec!["ClusterTrustBundle without signer name must not have \":\" in its name".to_owned()]
    };
    for message in wrong {
        let detail = format!("not a valid clustertrustbundlename: {message}");
        errors.invalid(path, name, &detail);
    }
}
