//! `kind: PersistentVolumeClaim`, created or changed.

use super::claim_template::{Lenience, validate_claim_spec};
use super::error::{BadValue, Errors, FieldError};
use super::metadata::validate_object_meta;
use super::names::is_dns1123_subdomain;
use super::selectors::validate_selector;
use super::text::text;
use super::update::{same, validate_meta_update};
use crate::path::Path;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use pod_model::quantity::Quantity;

/// Names the storage class of claims that were made before there was a field for it.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// What is wrong with a claim that is created, in the API server's words. Give it one after [`crate::claim_defaults`].
pub fn validate_claim(claim: &PersistentVolumeClaim) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_whole(claim, Lenience::default(), &mut errors);
    errors.into_list()
}

fn validate_whole(claim: &PersistentVolumeClaim, lenience: Lenience, errors: &mut Errors) {
    let path = Path::new("metadata");
    validate_object_meta(&claim.metadata, is_dns1123_subdomain, &path, errors);
    let none = PersistentVolumeClaimSpec::default();
    let spec = claim.spec.as_ref().unwrap_or(&none);
    validate_claim_spec(spec, lenience, &Path::new("spec"), errors);
}

/// What is wrong with changing one claim into another: once it is made, only a bound claim's size and attributes class may change,
/// and the volume may be named once.
pub fn validate_claim_update(
    new: &PersistentVolumeClaim,
    old: &PersistentVolumeClaim,
) -> Vec<FieldError> {
    let mut errors = Errors::default();
    validate_meta_update(&new.metadata, &old.metadata, &mut errors);
    let none = PersistentVolumeClaimSpec::default();
    let new_spec = new.spec.as_ref().unwrap_or(&none);
    let old_spec = old.spec.as_ref().unwrap_or(&none);
    validate_whole(new, kept(old_spec), &mut errors);

    let mut rest = new_spec.clone();
    let mut before = old_spec.clone();
    if text(&old_spec.volume_name).is_empty() {
        before.volume_name.clone_from(&rest.volume_name);
    }
    validate_class_update(new, old, &mut rest, &mut errors);
    let phase = new.status.as_ref().and_then(|s| s.phase.as_deref());
    if phase == Some("Bound") {
        if let Some(requests) = rest.resources.as_mut().and_then(|r| r.requests.as_mut()) {
            let size = requested(old_spec).cloned();
            requests.insert("storage".to_owned(), size.unwrap_or_default());
        }
        let class = &before.volume_attributes_class_name;
        rest.volume_attributes_class_name.clone_from(class);
    }
    let path = Path::new("spec");
    if !same(&rest, &before) {
        errors.forbidden(
            &path,
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n",
        );
    }
    validate_size_update(new_spec, old, old_spec, &path, &mut errors);
    if new_spec.volume_mode != old_spec.volume_mode {
        // Upstream leaves out `spec`.
        errors.invalid(
            &Path::new("volumeMode"),
            BadValue::json(&new_spec.volume_mode),
            "field is immutable",
        );
    }
    let current = old.status.as_ref();
    let current = current.and_then(|s| s.current_volume_attributes_class_name.as_ref());
    let class = new_spec.volume_attributes_class_name.as_deref();
    if current.is_some() && class != old_spec.volume_attributes_class_name.as_deref() {
        let what = match class {
            None => Some("nil"),
            Some("") => Some("empty string"),
            Some(_) => None,
        };
        if let Some(what) = what {
            errors.forbidden(
                &path.child("volumeAttributesClassName"),
                &format!(
                    "update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
                ),
            );
        }
    }
    errors.into_list()
}

/// What was taken once stays.
fn kept(old: &PersistentVolumeClaimSpec) -> Lenience {
    let source = old.data_source.as_ref();
    let reference = old.data_source_ref.as_ref();
    let mut errors = Errors::default();
    if let Some(selector) = &old.selector {
        validate_selector(selector, false, &Path::default(), &mut errors);
    }
    Lenience {
        groups: source.is_some_and(|s| s.api_group.is_some())
            || reference.is_some_and(|r| r.api_group.is_some()),
        labels: !errors.is_empty(),
    }
}

/// The storage class stays, but it may move from the annotation into the field, and be named where it was not.
fn validate_class_update(
    new: &PersistentVolumeClaim,
    old: &PersistentVolumeClaim,
    rest: &mut PersistentVolumeClaimSpec,
    errors: &mut Errors,
) {
    let annotation = |claim: &'_ PersistentVolumeClaim| {
        let annotations = claim.metadata.annotations.as_ref();
        annotations.and_then(|a| a.get(CLASS_ANNOTATION)).cloned()
    };
    let class = |claim: &'_ PersistentVolumeClaim| {
        let spec = claim.spec.as_ref();
        spec.and_then(|s| s.storage_class_name.clone())
    };
    let (annotated, was_annotated) = (annotation(new), annotation(old));
    let (named, was_named) = (class(new), class(old));
    let named_now = was_named.is_none() && named.is_some();
    let moved = named_now
        && was_annotated.is_some()
        && named == was_annotated
        && (annotated.is_none() || annotated == was_annotated);
    if moved {
        rest.storage_class_name = None;
        return;
    }
    if annotated.as_deref().unwrap_or_default() != was_annotated.as_deref().unwrap_or_default() {
        errors.invalid(
            &Path::new("metadata.annotations").key(CLASS_ANNOTATION),
            annotated.unwrap_or_default().as_str(),
            "field is immutable",
        );
    }
    if named_now && (was_annotated.is_none() || named == was_annotated) {
        rest.storage_class_name = was_named;
    }
}

fn requested(
    spec: &PersistentVolumeClaimSpec,
) -> Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity> {
    let resources = spec.resources.as_ref()?;
    resources.requests.as_ref()?.get("storage")
}

/// A claim may shrink only while a growth of it has not been granted.
fn validate_size_update(
    new_spec: &PersistentVolumeClaimSpec,
    old: &PersistentVolumeClaim,
    old_spec: &PersistentVolumeClaimSpec,
    path: &Path,
    errors: &mut Errors,
) {
    let amount = |quantity: Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity>| {
        let parsed = quantity.and_then(|q| q.0.parse::<Quantity>().ok());
        parsed.unwrap_or_default()
    };
    let capacity = old.status.as_ref().and_then(|s| s.capacity.as_ref());
    let granted = amount(capacity.and_then(|c| c.get("storage")));
    let (size, before) = (amount(requested(new_spec)), amount(requested(old_spec)));
    if size < before && size <= granted {
        errors.forbidden(
            &path.child("resources").child("requests").child("storage"),
            "field can not be less than status.capacity",
        );
    }
}
