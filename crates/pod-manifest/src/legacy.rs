//! Init containers as annotations: how Kubernetes 1.3 to 1.7 wrote them, read and written on request.
//!
//! | version | `spec.initContainers` in a manifest | annotation | what a client reads back |
//! |---|---|---|---|
//! | 1.5 | no such field: ignored | counts | annotations only |
//! | 1.6, 1.7 | counts where no annotation stands | takes its place, whole, even as `[]` | both |
//! | 1.8 and later | counts | dropped | the field only |
//!
//! Of the two annotations the beta one wins. Their values are JSON: a list of `v1.Container`, or of `v1.ContainerStatus`.

use crate::decode::decode;
use crate::problem::Problem;
use crate::source::{Node, Value as Source, json_value};
use k8s_openapi::api::core::v1::{Container, Pod};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

const BETA: &str = "pod.beta.kubernetes.io/init-containers";
const ALPHA: &str = "pod.alpha.kubernetes.io/init-containers";
const STATUSES_BETA: &str = "pod.beta.kubernetes.io/init-container-statuses";
const STATUSES_ALPHA: &str = "pod.alpha.kubernetes.io/init-container-statuses";

/// Each annotation and the field of today.
const FIELDS: &[(&str, &str)] = &[
    (ALPHA, "spec.initContainers"),
    (BETA, "spec.initContainers"),
    (STATUSES_ALPHA, "status.initContainerStatuses"),
    (STATUSES_BETA, "status.initContainerStatuses"),
];

/// Which Kubernetes a manifest was written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "names are those of the versions")]
pub enum Compat {
    #[default]
    Current,
    V1_5,
    V1_6,
    V1_7,
}

impl Compat {
    /// Every one, by the name that [`FromStr`] reads.
    pub const NAMES: &'static [(&'static str, Compat)] = &[
        ("current", Compat::Current),
        ("1.5", Compat::V1_5),
        ("1.6", Compat::V1_6),
        ("1.7", Compat::V1_7),
    ];
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::NAMES.iter().find(|(_, compat)| compat == self);
        f.write_str(found.map_or("current", |(name, _)| name))
    }
}

impl FromStr for Compat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, compat)| *compat).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("{text:?} is none of {}", names.join(", "))
        })
    }
}

/// Takes the annotations out of a pod that was read and makes of them what that version does. Answers with warnings.
pub(crate) fn take(node: &Node, pod: &mut Pod, compat: Compat) -> Result<Vec<Problem>, Problem> {
    if compat == Compat::Current {
        return Ok(without_effect(node, pod));
    }
    let mut warnings = Vec::new();
    let line_of_field = node.at(&["spec", "initContainers"]).map(|n| n.line);
    if compat == Compat::V1_5 {
        if let (Some(line), Some(spec)) = (line_of_field, &mut pod.spec) {
            spec.init_containers = None;
            let message = format!(
                "spec.initContainers is no field of Kubernetes {compat} and is ignored: use the annotation {BETA}"
            );
            warnings.push(Problem::new(line, message));
        }
        if let Some(status) = &mut pod.status {
            status.init_container_statuses = None;
        }
    }
    let Some(annotations) = &mut pod.metadata.annotations else {
        return Ok(warnings);
    };
    let mut first = |names: [&'static str; 2]| {
        let [beta, alpha] = names.map(|name| (name, annotations.remove(name)));
        let (name, text) = if beta.1.is_some() { beta } else { alpha };
        text.map(|text| (name, text))
    };
    let containers = first([BETA, ALPHA]);
    // A status is the node's to write: what a manifest says of it is dropped like the status itself.
    let _statuses = first([STATUSES_BETA, STATUSES_ALPHA]);
    if annotations.is_empty() {
        pod.metadata.annotations = None;
    }
    let Some((name, text)) = containers else {
        return Ok(warnings);
    };
    let line = line_of(node, name);
    if compat != Compat::V1_5 && line_of_field.is_some() {
        warnings.push(Problem::new(
            line,
            format!(
                "the annotation {name} takes the place of spec.initContainers, as in Kubernetes {compat}"
            ),
        ));
    }
    let containers = read_list(&text)
        .map_err(|cause| Problem::new(line, format!("metadata.annotations[{name}]: {cause}")))?;
    pod.spec.get_or_insert_default().init_containers = Some(containers);
    Ok(warnings)
}

fn line_of(node: &Node, annotation: &str) -> usize {
    let found = node.at(&["metadata", "annotations", annotation]);
    found.map_or(node.line, |n| n.line)
}

/// What is said of the annotations where they count for nothing.
fn without_effect(node: &Node, pod: &Pod) -> Vec<Problem> {
    let annotations = pod.metadata.annotations.iter().flatten();
    annotations
        .filter_map(|(key, _)| {
            let (name, field) = FIELDS.iter().find(|(name, _)| name == key)?;
            let message = format!(
                "the annotation {name} has had no effect since Kubernetes 1.8: use the field {field}"
            );
            Some(Problem::new(line_of(node, name), message))
        })
        .collect()
}

/// The value of an annotation: a JSON list of containers; `null` is the empty one.
fn read_list(text: &str) -> Result<Vec<Container>, String> {
    if let Err(cause) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(format!("not JSON: {cause}"));
    }
    let Some(node) = json_value(text) else {
        return Err("not JSON that can be read: too many levels".to_owned());
    };
    let items = match &node.value {
        Source::List(items) => items.as_slice(),
        _ if node.is_null() => &[],
        _ => return Err("expected a JSON list of containers".to_owned()),
    };
    let mut containers = Vec::new();
    for (i, item) in items.iter().enumerate() {
        match decode::<Container>(item) {
            Ok(container) => containers.push(container),
            Err(problems) => {
                let found = problems.iter().map(|p| p.message.as_str());
                return Err(format!("[{i}]: {}", found.collect::<Vec<_>>().join(", ")));
            }
        }
    }
    Ok(containers)
}

/// Writes a Pod, or a list with Pods in it, as an API server of that version answered: init containers and their statuses as
/// annotations too, or (1.5) only.
pub fn mirror(pod: &mut Value, compat: Compat) {
    if let Some(items) = pod.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(|item| mirror(item, compat));
    }
    if compat == Compat::Current || pod.get("kind").and_then(Value::as_str) != Some("Pod") {
        return;
    }
    for (part, field, names) in [
        ("spec", "initContainers", [ALPHA, BETA]),
        (
            "status",
            "initContainerStatuses",
            [STATUSES_ALPHA, STATUSES_BETA],
        ),
    ] {
        let Some(part) = pod.get_mut(part).and_then(Value::as_object_mut) else {
            continue;
        };
        let list = match compat {
            Compat::V1_5 => part.remove(field),
            _ => part.get(field).cloned(),
        };
        if let Some(Value::Array(list)) = list
            && !list.is_empty()
        {
            annotate(pod, names, &Value::Array(list).to_string());
        }
    }
}

fn annotate(pod: &mut Value, names: [&str; 2], text: &str) {
    let object = |value: &mut Value| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
    };
    let Value::Object(fields) = pod else {
        return;
    };
    let meta = fields.entry("metadata").or_insert(Value::Null);
    object(meta);
    let Value::Object(meta) = meta else {
        return;
    };
    let annotations = meta.entry("annotations").or_insert(Value::Null);
    object(annotations);
    if let Value::Object(annotations) = annotations {
        for name in names {
            annotations.insert(name.to_owned(), text.into());
        }
    }
}
