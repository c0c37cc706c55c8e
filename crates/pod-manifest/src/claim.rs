//! PersistentVolumeClaims: what an API server fills in.

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, TypedLocalObjectReference,
    TypedObjectReference,
};

/// Fills in what the manifest leaves open. Doing so twice changes nothing more. A missing namespace becomes `default`, as kubectl does.
pub fn claim_defaults(claim: &mut PersistentVolumeClaim) {
    let namespace = claim.metadata.namespace.get_or_insert_default();
    if namespace.is_empty() {
        *namespace = "default".to_owned();
    }
    let spec = claim.spec.get_or_insert_default();
    claim_spec_defaults(spec);
    same_sources(spec);
    let status = claim.status.get_or_insert_default();
    if status.phase.as_deref().is_none_or(str::is_empty) {
        status.phase = Some("Pending".to_owned());
    }
}

/// The defaults of a claim's spec, in a document of its own or in the template of a volume.
pub(crate) fn claim_spec_defaults(spec: &mut PersistentVolumeClaimSpec) {
    let mode = &mut spec.volume_mode;
    mode.get_or_insert_with(|| "Filesystem".to_owned());
}

/// `dataSource` and `dataSourceRef` are two names of one field, but for a namespace, which only the second one has.
fn same_sources(spec: &mut PersistentVolumeClaimSpec) {
    let has_namespace =
        |r: &TypedObjectReference| r.namespace.as_ref().is_some_and(|n| !n.is_empty());
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(source), None) => {
            spec.data_source_ref = Some(TypedObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
                namespace: None,
            });
        }
        (None, Some(reference)) if !has_namespace(reference) => {
            spec.data_source = Some(TypedLocalObjectReference {
                api_group: reference.api_group.clone(),
                kind: reference.kind.clone(),
                name: reference.name.clone(),
            });
        }
        _ => {}
    }
}
