//! Selectors of labels.

use super::error::Errors;
use super::metadata::validate_labels;
use super::names::{is_label_value, is_qualified_name};
use super::text::list;
use crate::path::Path;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// A selector of labels. A lenient check lets malformed values pass.
pub(super) fn validate_selector(
    selector: &LabelSelector,
    lenient: bool,
    path: &Path,
    errors: &mut Errors,
) {
    if let Some(labels) = &selector.match_labels {
        validate_labels(labels, &path.child("matchLabels"), errors);
    }
    for (i, expression) in list(&selector.match_expressions).iter().enumerate() {
        let path = path.child("matchExpressions").index(i);
        let values = list(&expression.values);
        match expression.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => errors.required(
                &path.child("values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
                &path.child("values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.invalid(
                    &path.child("operator"),
                    other,
                    "not a valid selector operator",
                );
            }
        }
        for message in is_qualified_name(&expression.key) {
            errors.invalid(&path.child("key"), expression.key.as_str(), &message);
        }
        for (j, value) in values.iter().enumerate().filter(|_| !lenient) {
            for message in is_label_value(value) {
                errors.invalid(&path.child("values").index(j), value.as_str(), &message);
            }
        }
    }
}
