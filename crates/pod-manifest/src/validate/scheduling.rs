//! Where a pod may run: affinity, tolerations, spread. Without meaning on one node, but checked as an API server does.

use super::error::{BadValue, Errors};
use super::names::{is_dns1123_label, is_dns1123_subdomain, is_label_value, is_qualified_name};
use super::options::Options;
use super::selectors::validate_selector;
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    PodAffinityTerm, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::BTreeSet;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// `affinity`.
pub(super) fn validate_affinity(
    affinity: &Affinity,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    if let Some(node) = &affinity.node_affinity {
        validate_node_affinity(node, &path.child("nodeAffinity"), options, errors);
    }
    if let Some(pods) = &affinity.pod_affinity {
        validate_pod_terms(
            list(&pods.required_during_scheduling_ignored_during_execution),
            list(&pods.preferred_during_scheduling_ignored_during_execution),
            &path.child("podAffinity"),
            options,
            errors,
        );
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        validate_pod_terms(
            list(&pods.required_during_scheduling_ignored_during_execution),
            list(&pods.preferred_during_scheduling_ignored_during_execution),
            &path.child("podAntiAffinity"),
            options,
            errors,
        );
    }
}

fn validate_weight(weight: i32, path: &Path, errors: &mut Errors) {
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.child("weight"), weight, "must be in the range 1-100");
    }
}

fn validate_node_affinity(
    affinity: &NodeAffinity,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
        let lenient = options.allow_invalid_label_value_in_required_node_affinity;
        validate_node_selector(selector, lenient, &path.child(REQUIRED), errors);
    }
    let preferred = list(&affinity.preferred_during_scheduling_ignored_during_execution);
    for (i, term) in preferred.iter().enumerate() {
        let path = path.child(PREFERRED).index(i);
        validate_weight(term.weight, &path, errors);
        // A wish that no node fulfils does no harm, so its values may be malformed.
        validate_term(&term.preference, true, &path.child("preference"), errors);
    }
}

fn validate_node_selector(
    selector: &NodeSelector,
    lenient: bool,
    path: &Path,
    errors: &mut Errors,
) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        return errors.required(&path, "must have at least one node selector term");
    }
    for (i, term) in selector.node_selector_terms.iter().enumerate() {
        validate_term(term, lenient, &path.index(i), errors);
    }
}

fn validate_term(term: &NodeSelectorTerm, lenient: bool, path: &Path, errors: &mut Errors) {
    for (i, requirement) in list(&term.match_expressions).iter().enumerate() {
        let path = path.child("matchExpressions").index(i);
        validate_expression(requirement, lenient, &path, errors);
    }
    for (i, requirement) in list(&term.match_fields).iter().enumerate() {
        validate_field(requirement, &path.child("matchFields").index(i), errors);
    }
}

const UNKNOWN_OPERATOR: &str = "not a valid selector operator";

fn validate_expression(
    requirement: &NodeSelectorRequirement,
    lenient: bool,
    path: &Path,
    errors: &mut Errors,
) {
    let values = list(&requirement.values);
    let values_path = path.child("values");
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => errors.required(
            &values_path,
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
            &values_path,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        "Gt" | "Lt" if values.len() != 1 => errors.required(
            &values_path,
            "must be specified single value when `operator` is 'Lt' or 'Gt'",
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.invalid(&path.child("operator"), other, UNKNOWN_OPERATOR),
    }
    for message in is_qualified_name(&requirement.key) {
        errors.invalid(&path.child("key"), requirement.key.as_str(), &message);
    }
    if lenient {
        return;
    }
    for (i, value) in values.iter().enumerate() {
        for message in is_label_value(value) {
            errors.invalid(&values_path.index(i), value.as_str(), &message);
        }
    }
}

fn validate_field(requirement: &NodeSelectorRequirement, path: &Path, errors: &mut Errors) {
    let values = list(&requirement.values);
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => errors.required(
            &path.child("values"),
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        ),
        "In" | "NotIn" => {}
        other => errors.invalid(&path.child("operator"), other, UNKNOWN_OPERATOR),
    }
    if requirement.key != "metadata.name" {
        return errors.invalid(
            &path.child("key"),
            requirement.key.as_str(),
            "not a valid field selector key",
        );
    }
    for (i, value) in values.iter().enumerate() {
        for message in is_dns1123_subdomain(value) {
            errors.invalid(&path.child("values").index(i), value.as_str(), &message);
        }
    }
}

fn validate_pod_terms(
    required: &[PodAffinityTerm],
    preferred: &[WeightedPodAffinityTerm],
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    for (i, term) in required.iter().enumerate() {
        validate_pod_term(term, &path.child(REQUIRED).index(i), options, errors);
    }
    for (i, term) in preferred.iter().enumerate() {
        let path = path.child(PREFERRED).index(i);
        validate_weight(term.weight, &path, errors);
        let path = path.child("podAffinityTerm");
        validate_pod_term(&term.pod_affinity_term, &path, options, errors);
    }
}

fn validate_pod_term(term: &PodAffinityTerm, path: &Path, options: &Options, errors: &mut Errors) {
    let lenient = options.allow_invalid_label_value_in_selector;
    let selectors = [
        ("labelSelector", &term.label_selector),
        ("namespaceSelector", &term.namespace_selector),
    ];
    for (field, selector) in selectors {
        if let Some(selector) = selector {
            validate_selector(selector, lenient, &path.child(field), errors);
        }
    }
    for namespace in list(&term.namespaces) {
        for message in is_dns1123_label(namespace) {
            errors.invalid(&path.child("namespace"), namespace.as_str(), &message);
        }
    }
    validate_label_keys(
        list(&term.match_label_keys),
        list(&term.mismatch_label_keys),
        term.label_selector.as_ref(),
        path,
        errors,
    );
    let key = path.child("topologyKey");
    if term.topology_key.is_empty() {
        errors.required(&key, "can not be empty");
    }
    for message in is_qualified_name(&term.topology_key) {
        errors.invalid(&key, term.topology_key.as_str(), &message);
    }
}

const NEEDS_SELECTOR: &str = "must not be specified when labelSelector is not set";
const IN_BOTH: &str = "exists in both matchLabelKeys and labelSelector";

/// `matchLabelKeys` and `mismatchLabelKeys`, which an API server merges into the selector.
fn validate_label_keys(
    matching: &[String],
    mismatching: &[String],
    selector: Option<&LabelSelector>,
    path: &Path,
    errors: &mut Errors,
) {
    let lists = [
        ("matchLabelKeys", matching),
        ("mismatchLabelKeys", mismatching),
    ];
    for (field, keys) in lists {
        let path = path.child(field);
        if !keys.is_empty() && selector.is_none() {
            errors.forbidden(&path, NEEDS_SELECTOR);
            continue;
        }
        for (i, key) in keys.iter().enumerate() {
            for message in is_qualified_name(key) {
                errors.invalid(&path.index(i), key.as_str(), &message);
            }
        }
    }
    if let Some(selector) = selector {
        let mut seen: BTreeSet<&str> = selector
            .match_labels
            .iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        for expression in list(&selector.match_expressions) {
            let key = expression.key.as_str();
            let index = matching.iter().rposition(|m| m == key);
            if let Some(index) = index.filter(|_| seen.contains(key)) {
                errors.invalid(&path.index(index), key, IN_BOTH);
            }
            seen.insert(key);
        }
    }
    for (i, key) in matching.iter().enumerate() {
        if mismatching.contains(key) {
            errors.invalid(
                &path.child("matchLabelKeys").index(i),
                key.as_str(),
                "exists in both matchLabelKeys and mismatchLabelKeys",
            );
        }
    }
}

/// `tolerations`.
pub(super) fn validate_tolerations(
    tolerations: &[Toleration],
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    for (i, toleration) in tolerations.iter().enumerate() {
        let path = path.index(i);
        let operator_path = path.child("operator");
        let (key, value) = (text(&toleration.key), text(&toleration.value));
        let (operator, effect) = (text(&toleration.operator), text(&toleration.effect));
        for message in is_qualified_name(key) {
            if !key.is_empty() {
                errors.invalid(&path.child("key"), key, &message);
            }
        }
        if key.is_empty() && operator != "Exists" {
            errors.invalid(
                &operator_path,
                operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            errors.invalid(
                &path.child("effect"),
                effect,
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            );
        }
        match operator {
            "" | "Equal" => {
                let wrong = is_label_value(value);
                if !wrong.is_empty() {
                    errors.invalid(&operator_path, value, &wrong.join(";"));
                }
            }
            "Exists" if !value.is_empty() => errors.invalid(
                &operator_path,
                value,
                "value must be empty when `operator` is 'Exists'",
            ),
            "Exists" => {}
            "Lt" | "Gt" if options.allow_taint_toleration_comparison_operators => {
                validate_decimal(value, &path.child("value"), errors);
            }
            "Lt" | "Gt" => {
                let allowed = ["Equal", "Exists", "Lt", "Gt"];
                errors.not_supported(&operator_path, operator, &allowed);
            }
            other => errors.not_supported(&operator_path, other, &["Equal", "Exists"]),
        }
        if !matches!(effect, "" | "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            let allowed = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
            errors.not_supported(&path.child("effect"), effect, &allowed);
        }
    }
}

/// A whole number of 64 bits, written as one writes it.
fn validate_decimal(value: &str, path: &Path, errors: &mut Errors) {
    let parsed = value.parse::<i64>();
    let digits = value.strip_prefix('-').unwrap_or(value);
    let canonical = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (!digits.starts_with('0') || value == "0");
    if value.is_empty() {
        errors.invalid(path, value, "must be non-empty");
    } else if !canonical {
        errors.invalid(
            path,
            value,
            "must be a valid decimal integer in canonical form",
        );
    }
    if parsed.is_err() {
        let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let cause = if all_digits {
            "value out of range"
        } else {
            "invalid syntax"
        };
        let detail = format!("strconv.ParseInt: parsing {value:?}: {cause}");
        errors.invalid(path, value, &detail);
    }
}

/// `topologySpreadConstraints`.
pub(super) fn validate_spread(
    constraints: &[TopologySpreadConstraint],
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    const ACTIONS: &[&str] = &["DoNotSchedule", "ScheduleAnyway"];
    const POLICIES: &[&str] = &["Honor", "Ignore"];
    for (i, constraint) in constraints.iter().enumerate() {
        let path = path.index(i);
        let action = constraint.when_unsatisfiable.as_str();
        let positive = |name: &str, value: i32, errors: &mut Errors| {
            if value <= 0 {
                errors.invalid(&path.child(name), value, "must be greater than zero");
            }
        };
        positive("maxSkew", constraint.max_skew, errors);
        if constraint.topology_key.is_empty() {
            errors.required(&path.child("topologyKey"), "can not be empty");
        }
        if !ACTIONS.contains(&action) {
            errors.not_supported(&path.child("whenUnsatisfiable"), action, ACTIONS);
        }
        let repeated = constraints.iter().skip(i + 1).any(|other| {
            other.topology_key == constraint.topology_key && other.when_unsatisfiable == action
        });
        if repeated {
            let pair = format!("{{{}, {action}}}", constraint.topology_key);
            let path = path.child("{topologyKey, whenUnsatisfiable}");
            errors.duplicate(&path, pair.as_str());
        }
        if let Some(domains) = constraint.min_domains {
            positive("minDomains", domains, errors);
            if action != "DoNotSchedule" {
                let detail = format!(
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                );
                let value = BadValue::from(domains);
                errors.invalid(&path.child("minDomains"), value, &detail);
            }
        }
        let policies = [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ];
        for (field, policy) in policies {
            if let Some(policy) = policy.as_deref().filter(|p| !POLICIES.contains(p)) {
                errors.not_supported(&path.child(field), policy, POLICIES);
            }
        }
        validate_spread_keys(constraint, &path, options, errors);
        if let Some(selector) = &constraint.label_selector
            && !options.allow_invalid_topology_spread_constraint_label_selector
        {
            validate_selector(selector, false, &path.child("labelSelector"), errors);
        }
    }
}

/// `matchLabelKeys` by the rule of 1.34, or by the one before it where an old object needs that.
fn validate_spread_keys(
    constraint: &TopologySpreadConstraint,
    path: &Path,
    options: &Options,
    errors: &mut Errors,
) {
    let keys = list(&constraint.match_label_keys);
    let selector = constraint.label_selector.as_ref();
    let merged = if options.allow_match_label_keys_in_pod_topology_spread_selector_merge {
        !options.old_pod_violates_match_label_keys_validation
    } else {
        options.old_pod_violates_legacy_match_label_keys_validation
    };
    if merged && options.allow_match_label_keys_in_pod_topology_spread {
        return validate_label_keys(keys, &[], selector, path, errors);
    }
    let path = path.child("matchLabelKeys");
    if selector.is_none() && !keys.is_empty() {
        errors.forbidden(&path, NEEDS_SELECTOR);
    }
    let in_selector = |key: &str| {
        selector.is_some_and(|s| {
            s.match_labels.as_ref().is_some_and(|l| l.contains_key(key))
                || list(&s.match_expressions).iter().any(|e| e.key == key)
        })
    };
    for (i, key) in keys.iter().enumerate() {
        for message in is_qualified_name(key) {
            errors.invalid(&path.index(i), key.as_str(), &message);
        }
        if in_selector(key) {
            errors.invalid(&path.index(i), key.as_str(), IN_BOTH);
        }
    }
}
