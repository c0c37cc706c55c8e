//! Changes of a running pod: what they restart, and what they must not touch.

use super::{container, said};
use e2e::Node;
use e2e::node::until;
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: changing}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: init, image: busybox, command: [sh, -c, "echo x >> /v/inits"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - {name: app, image: busybox, command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"], volumeMounts: [{name: v, mountPath: /v}]}
  - {name: other, image: busybox, command: [sleep, "1000"]}
"#;

/// A node with a running pod, and a second name for its image.
fn running(case: &str) -> (Node, Value) {
    let node = Node::new(case);
    let image = e2e::node::image().display().to_string();
    node.run(&["image", "import", &image, "--name", "busybox:other"])
        .ok();
    let file = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("changing", &["Running"]);
    let pod = node.pod("changing");
    (node, pod)
}

fn replace(node: &Node, pod: &Value, more: &[&str]) -> e2e::node::Outcome {
    let file = node.file("changed.json", &pod.to_string());
    let mut arguments = vec!["replace", "-f", &file];
    arguments.extend(more);
    node.run(&arguments)
}

fn attempts(node: &Node) -> [Value; 3] {
    ["init", "app", "other"].map(|n| container(node, "changing", n)["restartCount"].clone())
}

#[test]
fn a_changed_image_restarts_its_container_and_no_other() {
    let (node, mut pod) = running("newimage");
    pod["spec"]["containers"][0]["image"] = "busybox:other".into();
    replace(&node, &pod, &[]).ok();
    until("the new image", PATIENCE, || {
        let app = container(&node, "changing", "app");
        app["image"] == "busybox:other" && app["state"]["running"].is_object()
    });
    assert_eq!(attempts(&node), [json!(0), json!(1), json!(0)]);
    let text = "Container app definition changed, will be restarted";
    assert!(said(&node, "changing", "Killing", text));
    // What was read before is not what is there now.
    let stale = replace(&node, &pod, &[]);
    assert!(
        stale.err.contains("the object has been modified"),
        "{}",
        stale.err
    );
    node.run(&["delete", "pod", "changing"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_changed_init_image_restarts_the_pod_only_where_it_asks_for_that() {
    let (node, mut pod) = running("initimage");
    pod["spec"]["initContainers"][0]["image"] = "busybox:other".into();
    replace(&node, &pod, &[]).ok();
    assert_eq!(
        node.pod("changing")["spec"]["initContainers"][0]["image"],
        "busybox:other"
    );
    assert_eq!(attempts(&node), [json!(0), json!(0), json!(0)]);
    let mut pod = node.pod("changing");
    pod["metadata"]["annotations"]["podwright.io/on-init-image-change"] = "restart".into();
    replace(&node, &pod, &[]).ok();
    until("the second life", PATIENCE, || {
        attempts(&node) == [json!(1), json!(1), json!(1)] && node.status("changing") == "Running"
    });
    let runs = node.run(&[
        "exec", "changing", "-c", "app", "--", "wc", "-l", "/v/inits",
    ]);
    assert_eq!(runs.ok(), "2 /v/inits\n");
    node.run(&["delete", "pod", "changing"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn an_ephemeral_container_starts_in_a_running_pod_and_sees_its_targets_processes() {
    let (node, mut pod) = running("ephemeral");
    pod["spec"]["ephemeralContainers"] = json!([{
        "name": "look", "image": "busybox", "targetContainerName": "app",
        "command": ["sh", "-c", "ps; exit 4"],
    }]);
    replace(&node, &pod, &["--subresource", "ephemeralcontainers"]).ok();
    let ended = |node: &Node| {
        let status = node.pod("changing")["status"].clone();
        status["ephemeralContainerStatuses"][0]["state"]["terminated"]["exitCode"].clone()
    };
    until("its end", PATIENCE, || ended(&node) == 4);
    let seen = node.run(&["logs", "changing", "-c", "look"]);
    assert!(seen.ok().contains("trap 'exit 0' TERM"), "{}", seen.out);
    assert_eq!(attempts(&node), [json!(0), json!(0), json!(0)]);
    // It stays as it is: neither started again nor taken away.
    let mut without = node.pod("changing");
    without["spec"]["ephemeralContainers"] = json!([]);
    let refused = replace(&node, &without, &["--subresource", "ephemeralcontainers"]);
    let text = "existing ephemeral containers \"look\" may not be removed";
    assert!(refused.err.contains(text), "{}", refused.err);
    node.run(&["delete", "pod", "changing"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn what_may_not_change_is_refused_in_the_words_of_kubernetes() {
    let (node, pod) = running("mayno");
    let mut other = pod.clone();
    other["spec"]["containers"][0]["command"] = json!(["true"]);
    let refused = replace(&node, &other, &[]);
    let text =
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`";
    assert!(refused.err.contains(text), "{}", refused.err);
    let mut fewer = pod.clone();
    fewer["spec"]["containers"] = json!([pod["spec"]["containers"][0]]);
    let refused = replace(&node, &fewer, &[]);
    let text = "pod updates may not add or remove containers";
    assert!(refused.err.contains(text), "{}", refused.err);
    let mut labelled = pod.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    replace(&node, &labelled, &[]).ok();
    assert_eq!(node.pod("changing")["metadata"]["labels"]["a"], "b");
    assert_eq!(attempts(&node), [json!(0), json!(0), json!(0)]);
    node.run(&["delete", "pod", "changing"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}
