//! Lifecycle hooks and stop signals.

use super::{container, events, said};
use e2e::Node;
use e2e::node::until;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(40);

#[test]
fn hooks_run_after_the_start_and_before_the_stop_signal() {
    let node = Node::new("hooks");
    let out = node.folder().join("out");
    std::fs::create_dir(&out).expect("make a folder");
    let file = node.file(
        "pod.yaml",
        &format!(
            r#"
apiVersion: v1
kind: Pod
metadata: {{name: hooked}}
spec:
  os: {{name: linux}}
  terminationGracePeriodSeconds: 20
  volumes: [{{name: v, hostPath: {{path: {}}}}}]
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "trap 'echo usr1 >> /v/order; exit 0' USR1; while true; do sleep 0.1; done"]
    volumeMounts: [{{name: v, mountPath: /v}}]
    lifecycle:
      stopSignal: SIGUSR1
      postStart: {{exec: {{command: [sh, -c, "sleep 0.5; echo post >> /v/order"]}}}}
      preStop: {{exec: {{command: [sh, -c, "sleep 0.5; echo pre >> /v/order"]}}}}
  - name: after
    image: busybox
    command: [sh, -c, "cat /v/order; exec sleep 1000"]
    volumeMounts: [{{name: v, mountPath: /v}}]
    lifecycle: {{preStop: {{sleep: {{seconds: 1}}}}}}
"#,
            out.display()
        ),
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("hooked", &["Running"]);
    // The next container starts once the hook of the one before has ended.
    until("the second container's output", PATIENCE, || {
        node.run(&["logs", "hooked", "-c", "after"]).out == "post\n"
    });
    let began = Instant::now();
    node.run(&["delete", "pod", "hooked"]).ok();
    assert!(began.elapsed() >= Duration::from_millis(900));
    let order = std::fs::read_to_string(out.join("order")).expect("the order");
    assert_eq!(order, "post\npre\nusr1\n");
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_failed_start_hook_ends_its_container_and_says_so() {
    let node = Node::new("posthook");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: post}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    lifecycle: {postStart: {exec: {command: [sh, -c, "echo secret; exit 9"]}}}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    until("the failure", PATIENCE, || {
        said(&node, "post", "FailedPostStartHook", "PostStartHook failed")
    });
    until("the kill", PATIENCE, || {
        said(&node, "post", "Killing", "FailedPostStartHook")
    });
    until("another attempt", PATIENCE, || {
        container(&node, "post", "app")["restartCount"] == 1
    });
    until("a reason to wait", PATIENCE, || {
        let waiting = container(&node, "post", "app")["state"]["waiting"].clone();
        waiting["reason"] == "PostStartHookError" || waiting["reason"] == "CrashLoopBackOff"
    });
    let texts = events(&node, "post");
    assert!(texts.iter().all(|(_, _, m)| !m.contains("secret")));
    node.run(&["delete", "pod", "post"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_stop_hook_that_fails_or_never_ends_does_not_keep_a_pod_alive() {
    let node = Node::new("prehook");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: pre}
spec:
  terminationGracePeriodSeconds: 2
  containers:
  - name: fails
    image: busybox
    command: [sleep, "1000"]
    lifecycle: {preStop: {exec: {command: ["false"]}}}
  - name: hangs
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    lifecycle: {preStop: {exec: {command: [sleep, "600"]}}}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("pre", &["Running"]);
    let deleting = node.start(&["delete", "pod", "pre"]);
    until("the failure", PATIENCE, || {
        said(&node, "pre", "FailedPreStopHook", "PreStopHook failed")
    });
    let began = Instant::now();
    deleting.wait(PATIENCE).ok();
    assert!(began.elapsed() < e2e::patient(Duration::from_secs(15)));
    node.nothing_left_of_pods();
    node.finish();
}
