//! Sidecars, restart policies of single containers, and their rules.

use super::{container, events};
use e2e::Node;
use e2e::node::until;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn a_sidecar_holds_up_what_follows_until_it_is_up_and_ends_after_the_apps() {
    let node = Node::new("sidecar");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: job}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - name: first
    image: busybox
    restartPolicy: Always
    command: [sh, -c, "trap 'echo first >> /v/order; exit 7' TERM; sleep 1; touch /tmp/up; while true; do sleep 0.1; done"]
    startupProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 60}
    volumeMounts: [{name: v, mountPath: /v}]
  - name: second
    image: busybox
    restartPolicy: Always
    command: [sh, -c, "trap 'sleep 0.5; echo second >> /v/order; exit 0' TERM; while true; do sleep 0.1; done"]
    volumeMounts: [{name: v, mountPath: /v}]
  - name: plain
    image: busybox
    command: [sh, -c, "echo plain >> /v/order"]
    volumeMounts: [{name: v, mountPath: /v}]
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "sleep 1; echo app >> /v/order; sleep 0.5; cat /v/order"]
    volumeMounts: [{name: v, mountPath: /v}]
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    // What a sidecar returns does not count.
    until("the end", PATIENCE, || {
        node.pod("job")["status"]["phase"] == "Succeeded"
    });
    assert_eq!(node.run(&["logs", "job", "-c", "app"]).ok(), "plain\napp\n");
    let order = node.run(&["exec", "job", "-c", "app", "--", "true"]);
    assert_ne!(order.status, 0);
    let ended = |name: &str| {
        let state = container(&node, "job", name)["state"]["terminated"].clone();
        (state["exitCode"].clone(), state["finishedAt"].to_string())
    };
    until("the end of the sidecars", PATIENCE, || {
        ended("first").0 == 7 && ended("second").0 == 0
    });
    assert!(ended("app").1 <= ended("second").1);
    assert!(ended("second").1 <= ended("first").1);
    let started: Vec<String> = events(&node, "job")
        .into_iter()
        .filter(|(reason, _, _)| reason == "Started")
        .map(|(_, path, _)| path)
        .collect();
    let places = [
        "spec.initContainers{first}",
        "spec.initContainers{second}",
        "spec.initContainers{plain}",
        "spec.containers{app}",
    ];
    assert_eq!(started, places);
    node.run(&["delete", "pod", "job"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_sidecar_that_dies_runs_again_beside_the_apps_whatever_the_pods_policy() {
    let node = Node::new("sidecardies");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: beside}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: side, image: busybox, restartPolicy: Always, command: [sh, -c, "until [ -e /tmp/die ]; do sleep 0.1; done; exit 3"]}
  containers:
  - {name: app, image: busybox, command: [sleep, "1000"]}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("beside", &["Running"]);
    assert!(node.run(&["get", "pods"]).ok().contains("2/2"));
    node.run_to_its_end(&["exec", "beside", "-c", "side", "--", "touch", "/tmp/die"]);
    until("another attempt", PATIENCE, || {
        let side = container(&node, "beside", "side");
        side["restartCount"] == 1 && side["state"]["running"].is_object()
    });
    assert_eq!(container(&node, "beside", "app")["restartCount"], 0);
    node.run(&["delete", "pod", "beside"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_rule_restarts_one_container_after_its_exit_code_and_no_other() {
    let node = Node::new("rules");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: rules}
spec:
  restartPolicy: Never
  volumes: [{name: v, emptyDir: {}}]
  containers:
  - name: app
    image: busybox
    restartPolicy: Never
    restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]
    command: [sh, -c, "echo x >> /v/runs; [ $(wc -l < /v/runs) -ge 2 ] && exit 5; exit 42"]
    volumeMounts: [{name: v, mountPath: /v}]
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    until("the end", PATIENCE, || {
        node.pod("rules")["status"]["phase"] == "Failed"
    });
    let app = container(&node, "rules", "app");
    assert_eq!(app["restartCount"], 1, "{app:#}");
    assert_eq!(app["state"]["terminated"]["exitCode"], 5, "{app:#}");
    assert_eq!(app["lastState"]["terminated"]["exitCode"], 42, "{app:#}");
    node.run(&["delete", "pod", "rules"]).ok();
    node.finish();
}

#[test]
fn a_rule_restarts_all_containers_in_the_same_sandbox_with_their_volumes() {
    let node = Node::new("restartall");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: all}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  volumes: [{name: v, emptyDir: {}}]
  initContainers:
  - {name: init, image: busybox, command: [sh, -c, "echo x >> /v/inits"], volumeMounts: [{name: v, mountPath: /v}]}
  containers:
  - name: app
    image: busybox
    restartPolicy: Never
    restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [88]}}]
    command: [sh, -c, "[ $(wc -l < /v/inits) -ge 2 ] && exec sleep 1000; exit 88"]
    volumeMounts: [{name: v, mountPath: /v}]
  - {name: other, image: busybox, command: [sleep, "1000"]}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    until("the second life", PATIENCE, || {
        ["init", "app", "other"]
            .iter()
            .all(|name| container(&node, "all", name)["restartCount"] == 1)
            && node.status("all") == "Running"
    });
    let runs = node.run(&["exec", "all", "-c", "app", "--", "wc", "-l", "/v/inits"]);
    assert_eq!(runs.ok(), "2 /v/inits\n");
    let made = events(&node, "all");
    let sandboxes = made.iter().filter(|(r, _, _)| r == "SandboxChanged");
    assert_eq!(sandboxes.count(), 0);
    node.run(&["delete", "pod", "all"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}
