//! What of a pod may change while it lives.

use super::error::{BadValue, Errors, FieldError};
use super::metadata::{
    validate_annotations, validate_finalizer_names, validate_labels, validate_owners,
};
use super::names::in_range;
use super::options::Options;
use super::pod::validate_metadata_and_spec;
use super::profiles::{APP_ARMOR, MIRROR, validate_profile_annotations};
use super::scheduling::validate_tolerations;
use super::text::{list, text};
use crate::convert::FALSE_IS_ABSENT;
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    Affinity, Container, EphemeralContainer, NodeAffinity, NodeSelectorTerm, Pod,
    PodSchedulingGate, PodSpec, Toleration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pod_model::quantity::Quantity;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is wrong with changing one pod into another.
pub fn validate_pod_update(new: &Pod, old: &Pod, options: &Options) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let none = PodSpec::default();
    let new_spec = new.spec.as_ref().unwrap_or(&none);
    let old_spec = old.spec.as_ref().unwrap_or(&none);
    validate_meta_update(&new.metadata, &old.metadata, &mut errors);
    validate_metadata_and_spec(&new.metadata, new_spec, options, &mut errors);
    validate_annotation_update(new, old, options, &mut errors);
    validate_spec_update(new_spec, old_spec, options, &mut errors);
    errors.into_list()
}

/// What is wrong with changing the ephemeral containers of a pod.
pub fn validate_ephemeral_update(new: &Pod, old: &Pod, options: &Options) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let has_mirror = |m: &ObjectMeta| {
        m.annotations
            .as_ref()
            .is_some_and(|a| a.contains_key(MIRROR))
    };
    if has_mirror(&old.metadata) {
        errors.forbidden(
            &Path::nameless(),
            "static pods do not support ephemeral containers",
        );
        return errors.into_list();
    }
    let none = PodSpec::default();
    let new_spec = new.spec.as_ref().unwrap_or(&none);
    let old_spec = old.spec.as_ref().unwrap_or(&none);
    validate_meta_update(&new.metadata, &old.metadata, &mut errors);
    validate_metadata_and_spec(&new.metadata, new_spec, options, &mut errors);
    validate_annotation_update(new, old, options, &mut errors);
    let path = Path::new("spec.ephemeralContainers");
    let find = |name: &str| -> Option<&EphemeralContainer> {
        list(&new_spec.ephemeral_containers)
            .iter()
            .rfind(|c| c.name == name)
    };
    for old in list(&old_spec.ephemeral_containers) {
        let what = match find(&old.name) {
            None => "removed",
            Some(new) if !same(new, old) => "changed",
            Some(_) => continue,
        };
        let detail = format!(
            "existing ephemeral containers {:?} may not be {what}\n",
            old.name
        );
        errors.forbidden(&path, &detail);
    }
    errors.into_list()
}

/// Equal by what is said: absent, null and empty are the same, and so are amounts of one value.
pub(super) fn same(a: &impl Serialize, b: &impl Serialize) -> bool {
    let plain = |value: serde_json::Result<Value>| value.ok().and_then(|v| plain_value("", v));
    plain(serde_json::to_value(a)) == plain(serde_json::to_value(b))
}

/// The value without what is empty; `None` if nothing is left. An empty object stays: `emptyDir: {}` says something.
fn plain_value(name: &str, value: Value) -> Option<Value> {
    const MAPS: &[&str] = &[
        "limits",
        "matchLabels",
        "nodeSelector",
        "overhead",
        "requests",
    ];
    const AMOUNTS: &[&str] = &["limits", "overhead", "requests"];
    match value {
        Value::Null => None,
        Value::Bool(false) if FALSE_IS_ABSENT.contains(&name) => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => Some(Value::Array(
            items
                .into_iter()
                .map(|i| plain_value("", i).unwrap_or(Value::Null))
                .collect(),
        )),
        Value::Object(fields) if fields.is_empty() && MAPS.contains(&name) => None,
        Value::Object(fields) if AMOUNTS.contains(&name) => {
            // Rounded to whole and to thousandths: together they tell amounts apart, however written.
            let canonical = |v: Value| match v.as_str().map(str::parse::<Quantity>) {
                Some(Ok(amount)) => format!("{}/{}", amount.value(), amount.milli_value()).into(),
                _ => v,
            };
            let fields = fields.into_iter().map(|(k, v)| (k, canonical(v)));
            Some(Value::Object(fields.collect()))
        }
        Value::Object(fields) => Some(Value::Object(
            fields
                .into_iter()
                .filter_map(|(key, v)| plain_value(&key, v).map(|v| (key, v)))
                .collect(),
        )),
        other => Some(other),
    }
}

/// What is said of a field that may never change.
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// `metadata` of an object that changes.
pub(crate) fn validate_meta_update(new: &ObjectMeta, old: &ObjectMeta, errors: &mut Errors) {
    let path = Path::new("metadata");
    if old.deletion_timestamp.is_some() {
        let added: BTreeSet<&str> = list(&new.finalizers)
            .iter()
            .filter(|f| !list(&old.finalizers).contains(f))
            .map(String::as_str)
            .collect();
        if !added.is_empty() {
            let names: Vec<String> = added.iter().map(|a| format!("{a:?}")).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                names.join(", ")
            );
            errors.forbidden(&path.child("finalizers"), &detail);
        }
    }
    if text(&new.resource_version).is_empty() {
        errors.invalid(
            &path.child("resourceVersion"),
            "",
            "must be specified for an update",
        );
    }
    let generation = new.generation.unwrap_or_default();
    if generation < old.generation.unwrap_or_default() {
        errors.invalid(
            &path.child("generation"),
            generation,
            "must not be decremented",
        );
    }
    let texts = [
        ("name", &new.name, &old.name),
        ("namespace", &new.namespace, &old.namespace),
        ("uid", &new.uid, &old.uid),
    ];
    for (field, new, old) in texts {
        if text(new) != text(old) {
            errors.invalid(&path.child(field), text(new), IMMUTABLE);
        }
    }
    let times = [
        (
            "creationTimestamp",
            &new.creation_timestamp,
            &old.creation_timestamp,
        ),
        (
            "deletionTimestamp",
            &new.deletion_timestamp,
            &old.deletion_timestamp,
        ),
    ];
    for (field, new, old) in times {
        if new != old {
            errors.invalid(&path.child(field), BadValue::json(new), IMMUTABLE);
        }
    }
    let seconds = new.deletion_grace_period_seconds;
    if seconds != old.deletion_grace_period_seconds {
        let path = path.child("deletionGracePeriodSeconds");
        errors.invalid(&path, BadValue::json(&seconds), IMMUTABLE);
    }
    if let Some(labels) = &new.labels {
        validate_labels(labels, &path.child("labels"), errors);
    }
    if let Some(annotations) = &new.annotations {
        validate_annotations(annotations, &path.child("annotations"), errors);
    }
    let owners = list(&new.owner_references);
    validate_owners(owners, &path.child("ownerReferences"), errors);
    validate_finalizer_names(list(&new.finalizers), &path.child("finalizers"), errors);
}

/// Annotations that Kubernetes reads may neither come nor go nor change.
pub(super) fn validate_annotation_update(
    new: &Pod,
    old: &Pod,
    options: &Options,
    errors: &mut Errors,
) {
    let path = Path::new("metadata.annotations");
    let find = |pod: &Pod, key: &str| pod.metadata.annotations.as_ref()?.get(key).cloned();
    for (key, value) in old.metadata.annotations.iter().flatten() {
        if find(new, key).as_ref() == Some(value) {
            continue;
        }
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(
                &path.key(key),
                "may not remove or update AppArmor annotations",
            );
        }
        if key == MIRROR {
            errors.forbidden(
                &path.key(key),
                "may not remove or update mirror pod annotation",
            );
        }
    }
    for (key, _) in new.metadata.annotations.iter().flatten() {
        if find(old, key).is_some() {
            continue;
        }
        if key.starts_with(APP_ARMOR) {
            errors.forbidden(&path.key(key), "may not add AppArmor annotations");
        }
        if key == MIRROR {
            errors.forbidden(&path.key(key), "may not add mirror pod annotation");
        }
    }
    let none = PodSpec::default();
    let spec = new.spec.as_ref().unwrap_or(&none);
    validate_profile_annotations(&new.metadata, spec, &path, options, errors);
}

fn validate_spec_update(new: &PodSpec, old: &PodSpec, options: &Options, errors: &mut Errors) {
    const FIELDS: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    let path = Path::new("spec");
    let (new_init, old_init) = (list(&new.init_containers), list(&old.init_containers));
    let lists = [
        ("containers", &*new.containers, &*old.containers),
        ("initContainers", new_init, old_init),
    ];
    for (field, new, old) in lists {
        if !validate_images(new, old, &path.child(field), errors) {
            return;
        }
    }
    let deadline = path.child("activeDeadlineSeconds");
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), old) => {
            if let Some(message) = in_range(new, 0, i32::MAX.into()) {
                return errors.invalid(&deadline, new, &message);
            }
            if old.is_some_and(|old| old < new) {
                let detail = "must be less than or equal to previous value";
                return errors.invalid(&deadline, new, detail);
            }
        }
        (None, Some(_)) => errors.invalid(
            &deadline,
            BadValue::Json(Value::Null),
            "must not update from a positive integer to nil value",
        ),
        (None, None) => {}
    }
    validate_added_tolerations(new, old, &path.child("tolerations"), options, errors);
    let gates = path.child("schedulingGates");
    let old_gates = list(&old.scheduling_gates);
    validate_deleted_gates(list(&new.scheduling_gates), old_gates, &gates, errors);
    let mut rest = with_mutable_fields_of(new, old);
    if !old_gates.is_empty() {
        validate_gated(&mut rest, old, &path, errors);
    }
    if !same(&rest, old) {
        // Upstream prints a diff behind the line break.
        let detail = format!("pod updates may not change fields other than {FIELDS}\n");
        errors.forbidden(&path, &detail);
    }
}

/// The new spec with the old values of all that may change.
fn with_mutable_fields_of(new: &PodSpec, old: &PodSpec) -> PodSpec {
    let mut rest = new.clone();
    for (container, old) in rest.containers.iter_mut().zip(&old.containers) {
        container.image.clone_from(&old.image);
    }
    let inits = rest.init_containers.iter_mut().flatten();
    for (container, old) in inits.zip(list(&old.init_containers)) {
        container.image.clone_from(&old.image);
    }
    rest.active_deadline_seconds = old.active_deadline_seconds;
    rest.scheduling_gates.clone_from(&old.scheduling_gates);
    rest.tolerations.clone_from(&old.tolerations);
    let was_negative = old.termination_grace_period_seconds.is_some_and(|s| s < 0);
    if was_negative && rest.termination_grace_period_seconds == Some(1) {
        rest.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    rest
}

/// Whether the lists have the same length; then only images are looked at.
fn validate_images(new: &[Container], old: &[Container], path: &Path, errors: &mut Errors) -> bool {
    if new.len() != old.len() {
        errors.forbidden(path, "pod updates may not add or remove containers");
        return false;
    }
    for (i, container) in new.iter().enumerate() {
        let path = path.index(i).child("image");
        let image = text(&container.image);
        if image.is_empty() {
            errors.required(&path, "");
        }
        if image.trim() != image {
            errors.invalid(&path, image, "must not have leading or trailing whitespace");
        }
    }
    true
}

fn validate_added_tolerations(
    new: &PodSpec,
    old: &PodSpec,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let tolerations = list(&new.tolerations);
    let without_seconds = |t: &Toleration| Toleration {
        toleration_seconds: None,
        ..t.clone()
    };
    let is_kept = |old: &Toleration| {
        let old = without_seconds(old);
        tolerations.iter().any(|t| same(&without_seconds(t), &old))
    };
    if !list(&old.tolerations).iter().all(is_kept) {
        return errors.forbidden(
            path,
            "existing toleration can not be modified except its tolerationSeconds",
        );
    }
    validate_tolerations(tolerations, path, options, errors);
}

fn validate_deleted_gates(
    new: &[PodSchedulingGate],
    old: &[PodSchedulingGate],
    path: &Path,
    errors: &mut Errors,
) {
    for (i, gate) in new.iter().enumerate() {
        // A name that stands several times is told of once, at its last place.
        let again = new.iter().skip(i.saturating_add(1));
        if old.iter().chain(again).any(|other| other.name == gate.name) {
            continue;
        }
        let detail = format!(
            "only deletion is allowed, but found new scheduling gate '{}'",
            gate.name
        );
        errors.forbidden(&path.index(i).child("name"), &detail);
    }
}

/// A pod behind a gate may be told more of where to run; what is checked here is set back to the old value.
fn validate_gated(rest: &mut PodSpec, old: &PodSpec, path: &Path, errors: &mut Errors) {
    if !same(&rest.node_selector, &old.node_selector) {
        let kept = old.node_selector.iter().flatten().all(|(key, value)| {
            rest.node_selector.as_ref().and_then(|s| s.get(key)) == Some(value)
        });
        if !kept {
            errors.invalid(
                &path.child("nodeSelector"),
                BadValue::json(&rest.node_selector),
                "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
            );
        }
        rest.node_selector.clone_from(&old.node_selector);
    }
    let old_nodes = old.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    let new_nodes = rest.affinity.as_ref().and_then(|a| a.node_affinity.clone());
    if same(&old_nodes, &new_nodes) {
        return;
    }
    let at = path.child("affinity").child("nodeAffinity");
    validate_node_affinity_update(new_nodes.as_ref(), old_nodes.as_ref(), &at, errors);
    rest.affinity = match rest.affinity.take() {
        None => Some(Affinity {
            node_affinity: old_nodes,
            ..Affinity::default()
        }),
        Some(affinity)
            if old.affinity.is_none()
                && affinity.pod_affinity.is_none()
                && affinity.pod_anti_affinity.is_none() =>
        {
            None
        }
        Some(affinity) => Some(Affinity {
            node_affinity: old_nodes,
            ..affinity
        }),
    };
}

fn validate_node_affinity_update(
    new: Option<&NodeAffinity>,
    old: Option<&NodeAffinity>,
    path: &Path,
    errors: &mut Errors,
) {
    let terms = |affinity: Option<&NodeAffinity>| -> Vec<NodeSelectorTerm> {
        affinity
            .and_then(|a| {
                a.required_during_scheduling_ignored_during_execution
                    .as_ref()
            })
            .map(|s| s.node_selector_terms.clone())
            .unwrap_or_default()
    };
    let (old, new) = (terms(old), terms(new));
    let path = path
        .child("requiredDuringSchedulingIgnoredDuringExecution")
        .child("nodeSelectorTerms");
    if !old.is_empty() && old.len() != new.len() {
        return errors.invalid(
            &path,
            BadValue::json(&new),
            "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
        );
    }
    for (i, (old, new)) in old.iter().zip(&new).enumerate() {
        if !only_adds(new, old) {
            errors.invalid(
                &path.index(i),
                BadValue::json(new),
                "only additions are allowed (no mutations or deletions)",
            );
        }
    }
}

/// Whether the term begins as it was. One that selected nothing may not begin to select.
fn only_adds(new: &NodeSelectorTerm, old: &NodeSelectorTerm) -> bool {
    let (old_expressions, old_fields) = (list(&old.match_expressions), list(&old.match_fields));
    let (expressions, fields) = (list(&new.match_expressions), list(&new.match_fields));
    if old_expressions.is_empty() && old_fields.is_empty() {
        return expressions.is_empty() && fields.is_empty();
    }
    expressions.starts_with(old_expressions) && fields.starts_with(old_fields)
}
