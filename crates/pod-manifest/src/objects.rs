//! ConfigMap and Secret: what is wrong with them, and the bytes under their keys.

use crate::path::Path;
use crate::validate::metadata::validate_object_meta;
use crate::validate::names::{is_config_map_key, is_dns1123_subdomain};
use crate::validate::update::{IMMUTABLE, validate_meta_update};
use crate::validate::{Errors, FieldError};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use std::collections::BTreeMap;

/// The most bytes that all values of one ConfigMap or Secret may have together: 1 MiB.
pub const MAX_DATA_BYTES: usize = 1 << 20;

/// What is wrong with a ConfigMap, in the API server's words.
pub fn validate_config_map(config_map: &ConfigMap) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_object_meta(
        &config_map.metadata,
        is_dns1123_subdomain,
        &Path::new("metadata"),
        &mut errors,
    );
    let text = config_map.data.iter().flatten();
    let binary = config_map.binary_data.iter().flatten();
    let mut total = 0_usize;
    let data = Path::new("data");
    for (key, value) in text {
        for message in is_config_map_key(key) {
            errors.invalid(&data.key(key), key.as_str(), &message);
        }
        if config_map
            .binary_data
            .as_ref()
            .is_some_and(|b| b.contains_key(key))
        {
            errors.invalid(
                &data.key(key),
                key.as_str(),
                "duplicate of key present in binaryData",
            );
        }
        total = total.saturating_add(value.len());
    }
    let binary_data = Path::new("binaryData");
    for (key, value) in binary {
        for message in is_config_map_key(key) {
            errors.invalid(&binary_data.key(key), key.as_str(), &message);
        }
        total = total.saturating_add(value.0.len());
    }
    if total > MAX_DATA_BYTES {
        errors.too_long(&Path::nameless(), MAX_DATA_BYTES);
    }
    errors.into_list()
}

/// What is wrong with changing one ConfigMap into another. Give it one after [`crate::keep_metadata`].
pub fn validate_config_map_update(new: &ConfigMap, old: &ConfigMap) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_meta_update(&new.metadata, &old.metadata, &mut errors);
    if old.immutable == Some(true) {
        validate_frozen(
            new.immutable,
            &[
                ("data", new.data == old.data),
                ("binaryData", new.binary_data == old.binary_data),
            ],
            &mut errors,
        );
    }
    let mut list = errors.into_list();
    list.append(&mut validate_config_map(new));
    list
}

/// What is wrong with changing one Secret into another. Give it one after [`crate::keep_metadata`].
pub fn validate_secret_update(new: &Secret, old: &Secret) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_meta_update(&new.metadata, &old.metadata, &mut errors);
    if new.type_ != old.type_ {
        let kind = new.type_.as_deref().unwrap_or_default();
        errors.invalid(&Path::new("type"), kind, IMMUTABLE);
    }
    if old.immutable == Some(true) {
        let same = secret_data(new) == secret_data(old);
        validate_frozen(new.immutable, &[("data", same)], &mut errors);
    }
    let mut list = errors.into_list();
    list.append(&mut validate_secret(new));
    list
}

/// What may not change of one with `immutable: true`: that, and each part of which it is said whether it is the same.
fn validate_frozen(immutable: Option<bool>, parts: &[(&str, bool)], errors: &mut Errors) {
    let flag = [("immutable", immutable == Some(true))];
    for (field, same) in flag.iter().chain(parts) {
        if !same {
            errors.forbidden(
                &Path::new(*field),
                "field is immutable when `immutable` is set",
            );
        }
    }
}

/// What is wrong with a Secret, in the API server's words.
pub fn validate_secret(secret: &Secret) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_object_meta(
        &secret.metadata,
        is_dns1123_subdomain,
        &Path::new("metadata"),
        &mut errors,
    );
    let data = Path::new("data");
    let mut total = 0_usize;
    let values = secret_data(secret);
    for (key, value) in &values {
        for message in is_config_map_key(key) {
            errors.invalid(&data.key(key), key.as_str(), &message);
        }
        total = total.saturating_add(value.len());
    }
    if total > MAX_DATA_BYTES {
        errors.too_long(&data, MAX_DATA_BYTES);
    }
    let need = |errors: &mut Errors, key: &str| {
        if !values.contains_key(key) {
            errors.required(&data.key(key), "");
        }
    };
    let need_json = |errors: &mut Errors, key: &str| match values.get(key) {
        None => errors.required(&data.key(key), ""),
        Some(value) => {
            if let Err(cause) = serde_json::from_slice::<serde::de::IgnoredAny>(value) {
                errors.invalid(
                    &data.key(key),
                    "<secret contents redacted>",
                    &cause.to_string(),
                );
            }
        }
    };
    match secret.type_.as_deref() {
        Some("kubernetes.io/service-account-token") => {
            let annotation = "kubernetes.io/service-account.name";
            let name = secret
                .metadata
                .annotations
                .as_ref()
                .and_then(|a| a.get(annotation));
            if name.is_none_or(String::is_empty) {
                errors.required(&Path::new("metadata.annotations").key(annotation), "");
            }
        }
        Some("kubernetes.io/dockercfg") => need_json(&mut errors, ".dockercfg"),
        Some("kubernetes.io/dockerconfigjson") => need_json(&mut errors, ".dockerconfigjson"),
        Some("kubernetes.io/basic-auth")
            if !values.contains_key("username") && !values.contains_key("password") =>
        {
            errors.required(&data.key("username"), "");
            errors.required(&data.key("password"), "");
        }
        Some("kubernetes.io/ssh-auth")
            if values.get("ssh-privatekey").is_none_or(Vec::is_empty) =>
        {
            errors.required(&data.key("ssh-privatekey"), "");
        }
        Some("kubernetes.io/tls") => {
            need(&mut errors, "tls.crt");
            need(&mut errors, "tls.key");
        }
        _ => {}
    }
    errors.into_list()
}

/// The bytes under each key of a ConfigMap, `binaryData` included.
pub fn config_map_data(config_map: &ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = config_map.data.iter().flatten();
    let binary = config_map.binary_data.iter().flatten();
    binary
        .map(|(key, value)| (key.clone(), value.0.clone()))
        .chain(text.map(|(key, value)| (key.clone(), value.clone().into_bytes())))
        .collect()
}

/// The bytes under each key of a Secret. `stringData` wins over `data`, as the API server has it on write.
pub fn secret_data(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    let plain = secret.string_data.iter().flatten();
    let encoded = secret.data.iter().flatten();
    encoded
        .map(|(key, value)| (key.clone(), value.0.clone()))
        .chain(plain.map(|(key, value)| (key.clone(), value.clone().into_bytes())))
        .collect()
}
