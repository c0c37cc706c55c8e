//! Probes of all four ways, against real processes and sockets.

use super::{condition, container, events, said};
use e2e::Node;
use e2e::node::until;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_failed_liveness_probe_restarts_its_container_and_says_so() {
    let node = Node::new("liveness");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: live}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "touch /tmp/ok; while true; do sleep 0.1; done"]
    livenessProbe:
      exec: {command: [cat, /tmp/ok]}
      periodSeconds: 1
      failureThreshold: 2
  - {name: other, image: busybox, command: [sleep, "1000"]}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("live", &["Running"]);
    node.run(&["exec", "live", "-c", "app", "--", "rm", "/tmp/ok"])
        .ok();
    until("a restart", PATIENCE, || {
        container(&node, "live", "app")["restartCount"] == 1
    });
    let all = events(&node, "live");
    let texts: Vec<&str> = all.iter().map(|(_, _, m)| m.as_str()).collect();
    for text in [
        "Liveness probe failed: cat: can't open '/tmp/ok': No such file or directory\n",
        "Container app failed liveness probe, will be restarted",
    ] {
        assert!(texts.contains(&text), "{text:?} is not in {all:#?}");
    }
    let path = "spec.containers{app}";
    assert!(all.iter().any(|(r, p, _)| r == "Unhealthy" && p == path));
    assert_eq!(container(&node, "live", "other")["restartCount"], 0);
    node.run(&["delete", "pod", "live"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_pod_is_ready_while_its_page_answers_and_only_after_its_start() {
    let node = Node::new("readiness");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "mkdir /www; cd /www; until [ -e /tmp/go ]; do sleep 0.1; done; exec httpd -f -p 8080 -h /www"]
    ports: [{name: web, containerPort: 8080}]
    startupProbe: {tcpSocket: {port: 8080}, periodSeconds: 1, failureThreshold: 100}
    readinessProbe: {httpGet: {path: /ready, port: web}, periodSeconds: 1, failureThreshold: 1}
    livenessProbe: {tcpSocket: {port: web}, periodSeconds: 1, failureThreshold: 1}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    let refused = "Startup probe failed: dial tcp 127.0.0.1:8080: connect: connection refused";
    until("a refused connection", PATIENCE, || {
        said(&node, "web", "Unhealthy", refused)
    });
    assert_eq!(container(&node, "web", "app")["started"], false);
    assert_eq!(condition(&node, "web", "Ready"), "False");
    node.run(&["exec", "web", "--", "touch", "/tmp/go"]).ok();
    let missing = "Readiness probe failed: HTTP probe failed with statuscode: 404";
    until("a missing page", PATIENCE, || {
        said(&node, "web", "Unhealthy", missing)
    });
    assert_eq!(container(&node, "web", "app")["started"], true);
    assert_eq!(container(&node, "web", "app")["ready"], false);
    node.run(&["exec", "web", "--", "touch", "/www/ready"]).ok();
    until("readiness", PATIENCE, || {
        condition(&node, "web", "Ready") == "True"
    });
    node.run(&["exec", "web", "--", "rm", "/www/ready"]).ok();
    until("the loss of readiness", PATIENCE, || {
        condition(&node, "web", "Ready") == "False"
    });
    let status = container(&node, "web", "app");
    assert_eq!(status["restartCount"], 0, "{status:#}");
    node.run(&["delete", "pod", "web"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_probe_that_takes_too_long_is_killed_and_grpc_without_a_server_fails() {
    let node = Node::new("slowprobe");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "while true; do sleep 0.1; done"]
    readinessProbe: {exec: {command: [sleep, "987"]}, periodSeconds: 1, timeoutSeconds: 1}
  - name: rpc
    image: busybox
    command: [sh, -c, "while true; do sleep 0.1; done"]
    readinessProbe: {grpc: {port: 5000}, periodSeconds: 1}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    let late = r#"Readiness probe failed: command timed out: "sleep 987" timed out after 1s"#;
    until("a probe that is late", PATIENCE, || {
        said(&node, "slow", "Unhealthy", late)
    });
    let none = r#"Readiness probe failed: timeout: failed to connect service "127.0.0.1:5000" within 1s: context deadline exceeded"#;
    until("a refused call", PATIENCE, || {
        said(&node, "slow", "Unhealthy", none)
    });
    let listed = node.run(&["exec", "slow", "-c", "app", "--", "ps"]);
    let left = listed.ok().lines().filter(|l| l.contains("sleep 987"));
    assert!(left.count() <= 1, "{}", listed.out);
    node.run(&["delete", "pod", "slow"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_restart_of_the_node_leaves_a_ready_pod_ready() {
    let node = Node::new("readyagain");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "touch /tmp/ok; while true; do sleep 0.1; done"]
    startupProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 1}
    readinessProbe: {exec: {command: [cat, /tmp/ok]}, periodSeconds: 2, failureThreshold: 1}
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    until("readiness", PATIENCE, || {
        condition(&node, "again", "Ready") == "True"
    });
    let root = node.root().display().to_string();
    until("what is kept on the disk", PATIENCE, || {
        let found = std::process::Command::new("grep")
            .args(["-rqs", "\"ready\": *true", &root, "--include=*.json"])
            .status();
        found.is_ok_and(|s| s.success())
    });
    let since = |node: &Node| {
        let list = node.pod("again")["status"]["conditions"].clone();
        let list = list.as_array().cloned().unwrap_or_default();
        let found = list.into_iter().find(|c| c["type"] == "Ready");
        found.unwrap_or_default()["lastTransitionTime"].clone()
    };
    let before = since(&node);
    let pid = node.daemon().expect("a daemon").to_string();
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status();
    assert!(killed.is_ok_and(|s| s.success()));
    until("the daemon's end", PATIENCE, || node.daemon().is_none());
    assert_eq!(condition(&node, "again", "Ready"), "True");
    assert_eq!(since(&node), before);
    // It is asked again, and believed.
    node.run(&["exec", "again", "--", "rm", "/tmp/ok"]).ok();
    until("the loss of readiness", PATIENCE, || {
        condition(&node, "again", "Ready") == "False"
    });
    node.run(&["delete", "pod", "again"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}
