//! Changes of single fields: `patch`, `label`, `annotate`, `set image`.

use super::{container, said};
use e2e::Node;
use e2e::node::until;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: init, image: busybox, command: ["true"]}
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 100m, memory: 64Mi}}
  - name: other
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 100m, memory: 64Mi}}
"#;

#[test]
fn single_fields_of_a_running_pod_are_changed_by_patches() {
    let node = Node::new("patch");
    let file = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("p", &["Running"]);
    // Labels and annotations.
    assert_eq!(
        node.run(&["label", "pod", "p", "tier=front"]).ok(),
        "pod/p labeled\n"
    );
    let refused = node.run(&["label", "pod", "p", "tier=back"]);
    let text = "error: 'tier' already has a value (front), and --overwrite is false";
    assert_eq!((refused.status, refused.err.trim()), (65, text));
    let done = node.run(&["label", "pod/p", "tier=back", "--overwrite"]);
    assert_eq!(done.ok(), "pod/p labeled\n");
    assert_eq!(
        node.run(&["label", "pods", "app-", "--all"]).ok(),
        "pod/p unlabeled\n"
    );
    assert_eq!(
        node.run(&["annotate", "pod", "p", "who=me"]).ok(),
        "pod/p annotated\n"
    );
    // By a selector; names and a selector exclude each other.
    let done = node.run(&["label", "pods", "-l", "tier=back", "seen=1", "-o", "name"]);
    assert_eq!(done.ok(), "pod/p\n");
    let none = node.run(&["annotate", "pods", "-l", "tier=none", "who=you"]);
    assert_eq!((none.ok(), none.err.trim()), ("", "No resources found"));
    let both = node.run(&["label", "pod", "p", "-l", "tier=back", "seen=2"]);
    assert_eq!(both.status, 64, "{}", both.err);
    let done = node.run(&["label", "pod", "p", "seen-", "-o", "json"]);
    let object: serde_json::Value = serde_json::from_str(done.ok()).expect("JSON");
    assert_eq!(
        object["metadata"]["labels"],
        serde_json::json!({"tier": "back"})
    );
    let metadata = node.pod("p")["metadata"].clone();
    assert_eq!(metadata["labels"], serde_json::json!({"tier": "back"}));
    assert_eq!(metadata["annotations"]["who"], "me");
    // One container gets more; nothing runs again for it.
    let more = "{spec: {containers: [{name: app, resources: {requests: {memory: 96Mi}, limits: {memory: 96Mi}}}]}}";
    let done = node.run(&["patch", "pod", "p", "--subresource", "resize", "-p", more]);
    assert_eq!(done.ok(), "pod/p patched\n");
    until("the new size", PATIENCE, || {
        container(&node, "p", "app")["resources"]["limits"]["memory"] == "96Mi"
    });
    assert!(said(&node, "p", "ResizeStarted", "Pod resize started: {"));
    assert_eq!(container(&node, "p", "app")["restartCount"], 0);
    assert_eq!(
        container(&node, "p", "other")["resources"]["limits"]["memory"],
        "64Mi"
    );
    // Without the subresource it is refused, with a word on that.
    let refused = node.run(&["patch", "pod", "p", "-p", more.replace("96", "80").as_str()]);
    assert_eq!(refused.status, 65, "{}", refused.err);
    assert!(
        refused.err.contains("--subresource resize"),
        "{}",
        refused.err
    );
    // Another name of the same image runs that container again, and no other.
    let done = node.run(&[
        "set",
        "image",
        "pod/p",
        "other=docker.io/library/busybox:latest",
    ]);
    assert_eq!(done.ok(), "pod/p image updated\n");
    until("another attempt", PATIENCE, || {
        let other = container(&node, "p", "other");
        other["restartCount"] == 1 && other["state"]["running"].is_object()
    });
    assert_eq!(container(&node, "p", "app")["restartCount"], 0);
    let refused = node.run(&["set", "image", "pod/p", "none=busybox"]);
    assert!(
        refused
            .err
            .contains("unable to find container named \"none\""),
        "{}",
        refused.err
    );
    // Operations, and what changes nothing.
    let operations = r#"[{"op": "test", "path": "/metadata/name", "value": "p"}, {"op": "add", "path": "/metadata/labels/x", "value": "y"}]"#;
    let done = node.run(&["patch", "pod/p", "--type", "json", "-p", operations]);
    assert_eq!(done.ok(), "pod/p patched\n");
    let done = node.run(&[
        "patch",
        "pod/p",
        "--type",
        "merge",
        "-p",
        r#"{"metadata": {"labels": {"x": "y"}}}"#,
    ]);
    assert_eq!(done.ok(), "pod/p patched (no change)\n");
    let refused = node.run(&["patch", "pod", "p", "-p", "spec: [}"]);
    assert!(
        refused.err.contains("neither JSON nor YAML"),
        "{}",
        refused.err
    );
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn config_maps_and_secrets_are_described_and_changed_only_in_their_newest_version() {
    let node = Node::new("describe-cm");
    let file = node.file(
        "objects.yaml",
        r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {a.conf: "x = 1\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: hidden}
"#,
    );
    node.run(&["create", "-f", &file]).ok();
    assert_eq!(
        node.run(&["describe", "configmap", "settings"]).ok(),
        "Name:         settings\nNamespace:    default\nLabels:       app=web\nAnnotations:  <none>\n\nData\n====\na.conf:\n----\nx = 1\n\n\n\nBinaryData\n====\n\nEvents:  <none>\n"
    );
    assert_eq!(
        node.run(&["describe", "secrets"]).ok(),
        "Name:         login\nNamespace:    default\nLabels:       <none>\nAnnotations:  <none>\n\nType:  Opaque\n\nData\n====\npassword:  6 bytes\n"
    );
    // What somebody has read is old when somebody else has changed it.
    let read = node.run(&["get", "configmap", "settings", "-o", "yaml"]);
    let read = node.file("read.yaml", read.ok());
    let freeze = ["patch", "configmap", "settings", "-p", "immutable: true"];
    assert_eq!(node.run(&freeze).ok(), "configmap/settings patched\n");
    let refused = node.run(&["replace", "-f", &read]);
    assert!(refused.err.contains("the object has been modified"));
    assert_ne!(refused.status, 0);
    let refused = node.run(&["patch", "configmap", "settings", "-p", "data: {b: '2'}"]);
    let cause = "data: Forbidden: field is immutable when `immutable` is set";
    assert!(refused.err.contains(cause), "{}", refused.err);
    let waited = node.run(&["wait", "--for=create", "configmap/settings", "-o", "name"]);
    assert_eq!(waited.ok(), "configmap/settings\n");
    node.run(&["delete", "-f", &file]).ok();
    node.finish();
}
