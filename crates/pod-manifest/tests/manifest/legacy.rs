//! Init containers as annotations, under each version that had them.

use pod_manifest::{Compat, Document, Object, mirror, read_documents_as};
use serde_json::{Value, json};

const BETA: &str = "pod.beta.kubernetes.io/init-containers";
const ALPHA: &str = "pod.alpha.kubernetes.io/init-containers";

/// A pod with these annotations and, in its spec, these init containers.
fn manifest(annotations: &[(&str, &str)], field: &str) -> String {
    let annotations: serde_json::Map<String, Value> = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations: {}\nspec:\n  containers: [{{name: app, image: i}}]\n{field}",
        Value::Object(annotations)
    )
}

fn read(text: &str, compat: Compat) -> (Vec<String>, Vec<String>, Vec<String>) {
    let mut documents = read_documents_as("pod.yaml", text, compat).unwrap();
    let Some(Document {
        object: Object::Pod(pod),
        warnings,
        ..
    }) = documents.pop()
    else {
        panic!("{text}");
    };
    let inits = pod
        .spec
        .unwrap_or_default()
        .init_containers
        .unwrap_or_default();
    (
        inits.into_iter().map(|c| c.name).collect(),
        pod.metadata
            .annotations
            .unwrap_or_default()
            .into_keys()
            .collect(),
        warnings.iter().map(|w| w.in_source("pod.yaml")).collect(),
    )
}

fn one(name: &str) -> String {
    json!([{"name": name, "image": "i", "command": ["true"]}]).to_string()
}

const FIELD: &str = "  initContainers: [{name: field, image: i}]\n";

#[test]
fn each_version_takes_the_init_containers_from_where_it_had_them() {
    let (beta, alpha) = (one("beta"), one("alpha"));
    let both = [(BETA, beta.as_str()), (ALPHA, alpha.as_str())];
    for (annotations, field, v1_5, later, current) in [
        (&[][..], FIELD, &[][..], &["field"][..], &["field"][..]),
        (&both[..1], "", &["beta"], &["beta"], &[]),
        (&both[1..], "", &["alpha"], &["alpha"], &[]),
        (&both, "", &["beta"], &["beta"], &[]),
        (&both, FIELD, &["beta"], &["beta"], &["field"]),
        (&[(ALPHA, "[]")], FIELD, &[], &[], &["field"]),
        (&[(BETA, "null")], FIELD, &[], &[], &["field"]),
        (
            &[(BETA, "[]"), (ALPHA, &alpha)],
            FIELD,
            &[],
            &[],
            &["field"],
        ),
    ] {
        let text = manifest(annotations, field);
        for (compat, expected) in [
            (Compat::V1_5, v1_5),
            (Compat::V1_6, later),
            (Compat::V1_7, later),
            (Compat::Current, current),
        ] {
            assert_eq!(read(&text, compat).0, expected, "{compat}: {text}");
        }
    }
}

#[test]
fn the_annotations_are_gone_once_they_were_taken_and_others_stay() {
    let inits = one("a");
    let text = manifest(
        &[
            (BETA, &inits),
            (ALPHA, &inits),
            ("pod.alpha.kubernetes.io/init-container-statuses", "[]"),
            ("pod.beta.kubernetes.io/init-container-statuses", "[]"),
            ("team", "x"),
        ],
        "",
    );
    assert_eq!(read(&text, Compat::V1_6).1, ["team"]);
    assert_eq!(read(&text, Compat::Current).1.len(), 5);
}

#[test]
fn what_counts_for_nothing_is_named_with_the_field_that_counts() {
    let inits = one("a");
    let text = manifest(&[(BETA, &inits)], FIELD);
    let warnings = |compat| read(&text, compat).2;
    assert_eq!(
        warnings(Compat::Current),
        [
            "pod.yaml:5: the annotation pod.beta.kubernetes.io/init-containers has had no effect since Kubernetes 1.8: use the field spec.initContainers"
        ]
    );
    assert_eq!(
        warnings(Compat::V1_5),
        [
            "pod.yaml:8: spec.initContainers is no field of Kubernetes 1.5 and is ignored: use the annotation pod.beta.kubernetes.io/init-containers"
        ]
    );
    assert_eq!(
        warnings(Compat::V1_7),
        [
            "pod.yaml:5: the annotation pod.beta.kubernetes.io/init-containers takes the place of spec.initContainers, as in Kubernetes 1.7"
        ]
    );
}

#[test]
fn an_annotation_that_cannot_be_read_is_an_error_of_the_manifest() {
    for (value, expected) in [
        ("- name: a", "not JSON: invalid number at line 1 column 2"),
        ("{}", "expected a JSON list of containers"),
        (
            "[{\"name\": 1}]",
            "[0]: name: expected a string, found an integer 1 (quote it: \"1\")",
        ),
        (
            "[{\"nmae\": \"a\"}]",
            "[0]: unknown field \"nmae\" (did you mean \"name\"?)",
        ),
    ] {
        let text = manifest(&[(ALPHA, value)], "");
        let problems = read_documents_as("pod.yaml", &text, Compat::V1_7).unwrap_err();
        let expected = format!("pod.yaml:5: metadata.annotations[{ALPHA}]: {expected}");
        assert_eq!(problems.to_string(), expected);
        assert!(read_documents_as("pod.yaml", &text, Compat::Current).is_ok());
    }
}

#[test]
fn a_pod_is_written_as_each_version_answered_and_read_back_the_same() {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "app", "image": "i"}], "initContainers": [{"name": "a", "image": "i"}]},
        "status": {"initContainerStatuses": [{"name": "a", "ready": true, "restartCount": 0, "image": "i", "imageID": ""}]},
    });
    for (_, compat) in Compat::NAMES {
        let mut list = json!({"kind": "List", "items": [pod]});
        mirror(&mut list, *compat);
        let written = &list["items"][0];
        let has_field = written["spec"].get("initContainers").is_some();
        let has_status = written["status"].get("initContainerStatuses").is_some();
        let annotations: Vec<&str> = written["metadata"]["annotations"]
            .as_object()
            .into_iter()
            .flat_map(|a| a.keys().map(String::as_str))
            .collect();
        assert_eq!(
            (has_field, has_status),
            (*compat != Compat::V1_5, *compat != Compat::V1_5)
        );
        if *compat == Compat::Current {
            assert_eq!(written, &pod);
            continue;
        }
        assert_eq!(
            annotations,
            [
                "pod.alpha.kubernetes.io/init-container-statuses",
                ALPHA,
                "pod.beta.kubernetes.io/init-container-statuses",
                BETA,
            ]
        );
        assert_eq!(read(&written.to_string(), *compat).0, ["a"]);
    }
}

#[test]
fn without_init_containers_nothing_is_mirrored() {
    let pod = json!({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [], "initContainers": []}});
    let mut written = pod.clone();
    mirror(&mut written, Compat::V1_6);
    assert_eq!(written, pod);
}
