//! Walks over the containers of all kinds.

use super::text::list;
use crate::path::Path;
use k8s_openapi::api::core::v1::{EnvVar, PodSpec, SecurityContext};
use serde::Serialize;
use std::collections::BTreeSet;

/// What some checks look at in every container.
pub(super) struct View<'a> {
    pub(super) name: &'a str,
    pub(super) env: &'a [EnvVar],
    pub(super) security_context: Option<&'a SecurityContext>,
}

/// Init containers, then regular ones, then ephemeral ones, each with its path.
pub(super) fn every_container<'a>(spec: &'a PodSpec, path: &Path) -> Vec<(View<'a>, Path)> {
    let mut all = Vec::new();
    let lists = [
        ("initContainers", list(&spec.init_containers)),
        ("containers", spec.containers.as_slice()),
    ];
    for (field, containers) in lists {
        for (i, c) in containers.iter().enumerate() {
            let view = View {
                name: &c.name,
                env: list(&c.env),
                security_context: c.security_context.as_ref(),
            };
            all.push((view, path.child(field).index(i)));
        }
    }
    for (i, c) in list(&spec.ephemeral_containers).iter().enumerate() {
        let view = View {
            name: &c.name,
            env: list(&c.env),
            security_context: c.security_context.as_ref(),
        };
        all.push((view, path.child("ephemeralContainers").index(i)));
    }
    all
}

/// Names of the fields that are set.
pub(super) fn set_fields(value: &impl Serialize) -> BTreeSet<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => BTreeSet::new(),
    }
}
