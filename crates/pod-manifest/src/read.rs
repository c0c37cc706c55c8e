//! Text → documents: which kinds are taken, and what is said of the others.

use crate::decode::decode;
use crate::legacy::{self, Compat};
use crate::problem::{Problem, Problems};
use crate::source::{self, Node, Value};
use crate::suggest;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use std::rc::Rc;

/// One object of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The object as it was written: no defaults, not validated.
    pub object: Object,
    /// Line where it begins in the source, counted from 1.
    pub line: usize,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
}

/// An object of one of the kinds that podwright takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// `v1` Pod.
    Pod(Box<Pod>),
    /// `v1` ConfigMap.
    ConfigMap(ConfigMap),
    /// `v1` Secret.
    Secret(Secret),
    /// `v1` Service.
    Service(Box<Service>),
    /// `v1` PersistentVolumeClaim.
    Claim(Box<PersistentVolumeClaim>),
}

/// Reads a manifest: YAML with any number of documents, or JSON. Lists are expanded.
///
/// Unknown fields, repeated keys and values of a wrong type are errors; all of them come at once, by line.
pub fn read_documents(source_name: &str, text: &str) -> Result<Vec<Document>, Problems> {
    read_documents_as(source_name, text, Compat::Current)
}

/// The same for a manifest that was written for an older Kubernetes.
pub fn read_documents_as(
    source_name: &str,
    text: &str,
    compat: Compat,
) -> Result<Vec<Document>, Problems> {
    let nodes = source::parse(text).map_err(|problem| Problems::new(source_name, vec![problem]))?;
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for node in &nodes {
        read_object(node, None, compat, &mut documents, &mut problems);
    }
    if problems.is_empty() {
        Ok(documents)
    } else {
        Err(Problems::new(source_name, problems))
    }
}

/// Workload kinds: where their pod template stands.
const WORKLOADS: &[(&str, &[&str])] = &[
    ("CronJob", &["spec", "jobTemplate", "spec", "template"]),
    ("DaemonSet", &["spec", "template"]),
    ("Deployment", &["spec", "template"]),
    ("Job", &["spec", "template"]),
    ("PodTemplate", &["template"]),
    ("ReplicaSet", &["spec", "template"]),
    ("ReplicationController", &["spec", "template"]),
    ("StatefulSet", &["spec", "template"]),
];

/// Kinds that a pod may need and that podwright may learn.
const LATER: &[&str] = &["Ingress", "NetworkPolicy", "PersistentVolume"];

const TAKEN: &[&str] = &[
    "ConfigMap",
    "List",
    "PersistentVolumeClaim",
    "Pod",
    "Secret",
    "Service",
];

/// All of [`TAKEN`] as a sentence has them.
const TAKES: &str =
    "podwright takes Pod, Service, ConfigMap, Secret, PersistentVolumeClaim and List";

fn read_object(
    node: &Node,
    implied_kind: Option<&str>,
    compat: Compat,
    documents: &mut Vec<Document>,
    problems: &mut Vec<Problem>,
) {
    if !matches!(node.value, Value::Map(_)) {
        problems.push(Problem::new(
            node.line,
            "a document must be a map with apiVersion, kind and metadata",
        ));
        return;
    }
    let kind = match node.get("kind").and_then(Node::text).or(implied_kind) {
        Some(kind) if !kind.is_empty() => kind,
        _ => {
            problems.push(Problem::new(node.line, format!("kind is missing: {TAKES}")));
            return;
        }
    };
    if let Some(element) = element_kind(kind) {
        if check_version(node, kind, implied_kind, problems) {
            read_list(node, kind, element, compat, documents, problems);
        }
        return;
    }
    let object = match kind {
        taken if TAKEN.contains(&taken) && !check_version(node, kind, implied_kind, problems) => {
            return;
        }
        "Pod" => decode::<Pod>(node).map(|pod| Object::Pod(Box::new(pod))),
        "ConfigMap" => decode::<ConfigMap>(node).map(Object::ConfigMap),
        "Secret" => decode::<Secret>(node).map(Object::Secret),
        "Service" => decode::<Service>(node).map(|service| Object::Service(Box::new(service))),
        "PersistentVolumeClaim" => {
            decode::<PersistentVolumeClaim>(node).map(|claim| Object::Claim(Box::new(claim)))
        }
        other => Err(vec![refusal(node, other)]),
    };
    match object {
        Ok(mut object) => {
            let warnings = match &mut object {
                Object::Pod(pod) => legacy::take(node, pod, compat),
                Object::ConfigMap(_)
                | Object::Secret(_)
                | Object::Service(_)
                | Object::Claim(_) => Ok(Vec::new()),
            };
            match warnings {
                Ok(warnings) => documents.push(Document {
                    object,
                    line: node.line,
                    warnings,
                }),
                Err(problem) => problems.push(problem),
            }
        }
        Err(found) => problems.extend(found),
    }
}

/// The kind of the items of a list kind, where they may leave it out; `Some(None)` for `List`.
fn element_kind(kind: &str) -> Option<Option<&'static str>> {
    match kind {
        "List" => Some(None),
        "PodList" => Some(Some("Pod")),
        "ConfigMapList" => Some(Some("ConfigMap")),
        "SecretList" => Some(Some("Secret")),
        "ServiceList" => Some(Some("Service")),
        "PersistentVolumeClaimList" => Some(Some("PersistentVolumeClaim")),
        _ => None,
    }
}

fn read_list(
    node: &Node,
    kind: &str,
    element: Option<&str>,
    compat: Compat,
    documents: &mut Vec<Document>,
    problems: &mut Vec<Problem>,
) {
    const FIELDS: &[&str] = &["apiVersion", "items", "kind", "metadata"];
    if let Value::Map(map) = &node.value {
        for entry in &map.entries {
            if !FIELDS.contains(&entry.key.as_str()) {
                let hint = suggest::field(&entry.key, FIELDS);
                problems.push(Problem::new(
                    entry.line,
                    format!("unknown field {:?}{hint}", entry.key),
                ));
            }
        }
        for (key, line, first) in &map.repeated {
            problems.push(Problem::new(
                *line,
                format!("key {key:?} stands here twice (first in line {first})"),
            ));
        }
    }
    let none: &[Rc<Node>] = &[];
    let items = match node.get("items") {
        None => none,
        Some(items) => match &items.value {
            Value::List(items) => items,
            _ if items.is_null() => none,
            _ => {
                problems.push(Problem::new(
                    items.line,
                    format!("items: expected a list of the objects of this {kind}"),
                ));
                none
            }
        },
    };
    for item in items {
        if item
            .get("kind")
            .and_then(Node::text)
            .and_then(element_kind)
            .is_some()
        {
            problems.push(Problem::new(item.line, "a list inside a list is not taken"));
        } else {
            read_object(item, element, compat, documents, problems);
        }
    }
}

/// Whether `apiVersion` is `v1`, the only version of these kinds.
fn check_version(
    node: &Node,
    kind: &str,
    implied_kind: Option<&str>,
    problems: &mut Vec<Problem>,
) -> bool {
    let found = node.get("apiVersion");
    match found.and_then(Node::text) {
        Some("v1") => return true,
        None if found.is_none() && implied_kind.is_some() => return true,
        Some(other) => problems.push(Problem::new(
            found.map_or(node.line, |n| n.line),
            format!("apiVersion: expected \"v1\" for kind {kind}, found {other:?}"),
        )),
        None => problems.push(Problem::new(
            found.map_or(node.line, |n| n.line),
            format!("apiVersion is missing: kind {kind} has \"v1\""),
        )),
    }
    false
}

fn refusal(node: &Node, kind: &str) -> Problem {
    let line = node.get("kind").map_or(node.line, |n| n.line);
    if let Some((_, path)) = WORKLOADS.iter().find(|(name, _)| *name == kind) {
        let place = path.join(".");
        let message = match node.at(path) {
            Some(template) => format!(
                "kind {kind} is not run by podwright; its pod template stands under {place} (line {}): \
                 write a document with apiVersion: v1 and kind: Pod, and give it that template's metadata and spec",
                template.line
            ),
            None => format!(
                "kind {kind} is not run by podwright; its pod template would stand under {place}, but there is none"
            ),
        };
        return Problem::new(line, message);
    }
    if LATER.contains(&kind) {
        return Problem::new(line, format!("kind {kind} is not supported yet"));
    }
    let hint = match suggest::closest(kind, TAKEN) {
        Some(close) => format!("did you mean {close:?}?"),
        None => TAKES.to_owned(),
    };
    Problem::new(line, format!("kind {kind:?} is not known ({hint})"))
}
