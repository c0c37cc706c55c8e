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
