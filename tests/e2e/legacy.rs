//! Init containers as annotations, as Kubernetes 1.3 to 1.7 had them.

use e2e::Node;
use serde_json::Value;

const BETA: &str = "pod.beta.kubernetes.io/init-containers";
const ALPHA: &str = "pod.alpha.kubernetes.io/init-containers";

/// A pod whose app shows what its init containers left behind.
fn pod(annotation: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata:
  name: old
  annotations:
    {annotation}: '[{{"name": "first", "image": "busybox", "command": ["sh", "-c", "echo one >> /work/log"], "volumeMounts": [{{"name": "work", "mountPath": "/work"}}]}},
      {{"name": "second", "image": "busybox", "command": ["sh", "-c", "echo two >> /work/log"], "volumeMounts": [{{"name": "work", "mountPath": "/work"}}]}}]'
spec:
  restartPolicy: Never
  volumes: [{{name: work, emptyDir: {{}}}}]
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "cat /work/log || echo nothing"]
    volumeMounts: [{{name: work, mountPath: /work}}]
"#
    )
}

fn shown(node: &Node, compat: &[&str]) -> Value {
    let mut arguments = vec!["get", "pod", "old", "-o", "json"];
    arguments.extend(compat);
    serde_json::from_str(node.run(&arguments).ok()).unwrap()
}

#[test]
fn init_containers_of_an_annotation_run_in_order_under_their_version_and_are_shown_as_it_showed_them()
 {
    let node = Node::new("legacy");
    for (annotation, version) in [(BETA, "1.5"), (ALPHA, "1.6"), (BETA, "1.7")] {
        let file = node.file("old.yaml", &pod(annotation));
        let created = node.run(&["create", "-f", &file, "--api-compat", version]);
        assert_eq!(created.ok(), "pod/old created\n");
        node.wait_status("old", &["Completed"]);
        let log = node.run(&["logs", "old", "-c", "app"]);
        assert_eq!(log.ok(), "one\ntwo\n", "{version}");

        let today = shown(&node, &[]);
        let names = today.pointer("/spec/initContainers").unwrap().as_array();
        let names: Vec<&str> = names
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["first", "second"]);
        assert_eq!(today.pointer("/metadata/annotations"), None);

        let then = shown(&node, &["--api-compat", version]);
        let annotations = then.pointer("/metadata/annotations").unwrap();
        assert_eq!(annotations[BETA], annotations[ALPHA]);
        let mirrored: Value = serde_json::from_str(annotations[BETA].as_str().unwrap()).unwrap();
        assert_eq!(mirrored[1]["name"], "second");
        let statuses = annotations["pod.beta.kubernetes.io/init-container-statuses"].as_str();
        let statuses: Value = serde_json::from_str(statuses.unwrap()).unwrap();
        assert_eq!(statuses[0]["state"]["terminated"]["exitCode"], 0);
        let has_field = then.pointer("/spec/initContainers").is_some();
        assert_eq!(has_field, version != "1.5");
        node.run(&["delete", "pod", "old"]).ok();
    }
    node.finish();
}

#[test]
fn without_a_version_the_annotation_is_ignored_with_a_warning_that_names_the_field() {
    let node = Node::new("legacynow");
    let file = node.file("old.yaml", &pod(BETA));
    let outcome = node.run(&["run", &file]);
    assert!(outcome.ok().contains("nothing"), "{}", outcome.out);
    let warning = format!(
        "Warning: {file}:7: the annotation {BETA} has had no effect since Kubernetes 1.8: use the field spec.initContainers"
    );
    assert!(outcome.err.contains(&warning), "{}", outcome.err);
    node.finish();
}
