//! Annotations of podwright's own. An API server knows none of this: it is asked besides the rules that it has.

use super::error::{Errors, FieldError};
use super::text::{list, text};
use crate::path::Path;
use k8s_openapi::api::core::v1::Pod;
use pod_model::asked::problems;

/// All that is wrong with them.
pub fn validate_asked(pod: &Pod) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let Some(annotations) = &pod.metadata.annotations else {
        return Vec::new();
    };
    let inits: Vec<(&str, bool)> = pod
        .spec
        .iter()
        .flat_map(|s| list(&s.init_containers))
        .map(|c| (c.name.as_str(), text(&c.restart_policy) == "Always"))
        .collect();
    let base = Path::new("metadata.annotations");
    for problem in problems(annotations, &inits) {
        errors.invalid(
            &base.key(problem.key),
            problem.value.as_str(),
            &problem.detail,
        );
    }
    errors.into_list()
}
