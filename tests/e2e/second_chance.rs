//! What a failed pod can get: a second chance, and somebody who looks into what it left.

use e2e::Node;
use e2e::node::until;
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);

/// `second` succeeds once there is a file /v/go.
fn pod(policy: &str, annotations: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: p, annotations: {{{annotations}}}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 1
  volumes: [{{name: v, emptyDir: {{}}}}]
  initContainers:
  - {{name: first, image: busybox, command: [sh, -c, "echo x >> /v/first"], volumeMounts: [{{name: v, mountPath: /v}}]}}
  - name: second
    image: busybox
    env: [{{name: WHO, value: second}}]
    securityContext: {{runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
    command: [sh, -c, "echo left > /tmp/trace; [ -e /v/go ] || exit 3"]
    volumeMounts: [{{name: v, mountPath: /v}}]
  containers:
  - {{name: app, image: busybox, command: [sh, -c, "wc -l < /v/first; exec sleep 1000"], volumeMounts: [{{name: v, mountPath: /v}}]}}
"#
    )
}

fn phase(node: &Node) -> Value {
    node.pod("p")["status"]["phase"].clone()
}

fn counts(node: &Node) -> Vec<Value> {
    let status = node.pod("p")["status"].clone();
    let inits = status["initContainerStatuses"].as_array().cloned();
    let all = inits.unwrap_or_default().into_iter();
    all.map(|c| c["restartCount"].clone()).collect()
}

/// Lets `second` succeed from now on, by the files of the pod's volume.
fn mend(node: &Node) {
    let uid = node.pod("p")["metadata"]["uid"].clone();
    let uid = uid.as_str().expect("a uid");
    let volume = "volumes/kubernetes.io~empty-dir/v/go";
    let path = node.root().join("pods").join(uid).join(volume);
    std::fs::write(&path, "").expect("write into the volume");
}

#[test]
fn a_failed_pod_goes_on_at_what_failed_even_after_everything_in_run_is_gone() {
    let node = Node::new("retry");
    let file = node.file("pod.yaml", &pod("Never", ""));
    node.run(&["create", "-f", &file]).ok();
    until("the failure", PATIENCE, || phase(&node) == "Failed");
    let words = node.run(&["explain", "p"]).ok().to_owned();
    assert!(words.contains("podwright retry p"), "{words}");
    // As a reboot leaves it: no daemon, nothing in the run folder.
    let daemon = node.daemon().expect("a daemon");
    until("the end of the sandbox", PATIENCE, || {
        !std::fs::read_to_string("/proc/self/mountinfo")
            .unwrap_or_default()
            .contains(&node.run_dir().display().to_string())
    });
    let keeps = node.root().display().to_string();
    until("what is kept on the disk", PATIENCE, || {
        let found = std::process::Command::new("grep")
            .args(["-rqs", "\"phase\": *\"Failed\"", &keeps, "--include=*.json"])
            .status();
        found.is_ok_and(|s| s.success())
    });
    e2e::node::kill(daemon);
    std::fs::remove_dir_all(node.run_dir()).expect("remove the run folder");
    mend_without_daemon(&node);
    let said = node.run(&["retry", "p"]);
    assert_eq!(said.ok(), "pod/p: Goes on at second; skipped: first\n");
    node.wait_status("p", &["Running"]);
    until("the app's word", PATIENCE, || {
        node.run(&["logs", "p"]).out == "1\n"
    });
    assert_eq!(counts(&node), [0, 1]);
    let again = node.run(&["retry", "p"]);
    assert_eq!(again.status, 65);
    assert!(
        again.err.contains("nothing of pod \"p\" has failed"),
        "{}",
        again.err
    );
    // From an init container on, whatever has failed.
    let from = node.run(&["retry", "p", "--from", "second", "-o", "json"]);
    let from: Value = serde_json::from_str(from.ok()).expect("JSON");
    assert_eq!(from["from"], serde_json::json!(["second"]));
    assert_eq!(from["skipped"], serde_json::json!(["first"]));
    until("the second life", PATIENCE, || {
        counts(&node) == [0, 2] && node.status("p") == "Running"
    });
    assert_eq!(node.run(&["logs", "p"]).ok(), "1\n");
    node.run(&["retry", "p", "--from", "nobody"]).fails(65);
    node.run(&["retry", "nobody"]).fails(66);
    node.finish();
}

fn mend_without_daemon(node: &Node) {
    let pods = std::fs::read_dir(node.root().join("pods")).expect("the pods' folder");
    for pod in pods.flatten() {
        let volume = pod.path().join("volumes/kubernetes.io~empty-dir/v");
        std::fs::write(volume.join("go"), "").expect("write into the volume");
    }
}

#[test]
fn a_pod_in_its_back_off_is_tried_again_at_once() {
    let node = Node::new("retrynow");
    let file = node.file("pod.yaml", &pod("Always", ""));
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("p", &["Init:CrashLoopBackOff"]);
    mend(&node);
    let attempts = counts(&node);
    node.run(&["retry", "p"]).ok();
    let began = std::time::Instant::now();
    node.wait_status("p", &["Running"]);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(attempts[0], 0);
    assert_eq!(counts(&node)[0], 0);
    let events = node.run(&["events", "--for", "p"]).ok().to_owned();
    assert!(
        events.contains("Goes on at second; skipped: first"),
        "{events}"
    );
    node.finish();
}

#[test]
fn run_keeps_a_failed_pod_and_debug_looks_into_it_as_its_container_was() {
    let node = Node::new("debug");
    let file = node.file("pod.yaml", &pod("Never", ""));
    let ran = node.run(&["run", "--keep-failed", &file]);
    assert_eq!(ran.status, 3, "{}", ran.err);
    assert!(
        ran.err.contains("podwright debug p --target second"),
        "{}",
        ran.err
    );
    assert_eq!(phase(&node), "Failed");
    let words = node.run(&["explain", "p"]).ok().to_owned();
    assert!(
        words.contains("podwright debug p --target second"),
        "{words}"
    );
    let look = |command: &str| {
        let all = [
            "debug", "p", "--target", "second", "--", "sh", "-c", command,
        ];
        node.run(&all)
    };
    // What it left, its variables, its user, its volumes.
    let seen = look("cat /tmp/trace; echo $WHO; id -u; cat /v/first; touch /tmp/mine");
    assert_eq!(seen.ok(), "left\nsecond\n1000\nx\n");
    // What one leaves there oneself is there the next time; and there is only one container for it.
    assert_eq!(look("ls /tmp; exit 7").out, "mine\ntrace\n");
    assert_eq!(look("exit 7").status, 7);
    // No more rights than it had.
    let rights = look("grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status");
    let rights: Vec<&str> = rights.ok().split_whitespace().collect();
    let none = "0000000000000000";
    assert_eq!(
        rights,
        ["CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "1"]
    );
    assert_ne!(look("chown 0 /tmp/mine").status, 0);
    // With the tools of another image.
    let archive = e2e::node::image().display().to_string();
    node.run(&["image", "import", &archive, "--name", "tools:1"])
        .ok();
    let other = node.run(&[
        "debug",
        "p",
        "--image",
        "tools:1",
        "--target=second",
        "--",
        "sh",
        "-c",
        "id -u; cat /v/first; ls /tmp",
    ]);
    assert_eq!(other.ok(), "1000\nx\n");
    let missing = node.run(&["debug", "p", "--image", "nowhere:1", "--", "true"]);
    assert_eq!(missing.status, 65, "{}", missing.err);
    node.run(&["debug", "p", "--target", "nobody", "--", "true"])
        .fails(66);
    let never = node.run(&["debug", "p", "--target", "app", "--", "true"]);
    assert!(never.err.contains("has not run"), "{}", never.err);
    // The daemon may die meanwhile; the pod is still there to be looked into.
    e2e::node::kill(node.daemon().expect("a daemon"));
    assert_eq!(look("cat /tmp/trace").ok(), "left\n");
    assert_eq!(phase(&node), "Failed");
    // It may go on from there.
    mend(&node);
    node.run(&["retry", "p"]).ok();
    node.wait_status("p", &["Running"]);
    // What runs needs no container of its own.
    let app = node.run(&["debug", "p", "--target", "app", "--", "cat", "/v/first"]);
    assert_eq!(app.ok(), "x\n");
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn without_being_asked_a_failed_pod_keeps_no_namespaces_and_says_what_to_do() {
    let node = Node::new("nodebug");
    let file = node.file("pod.yaml", &pod("Never", ""));
    node.run(&["create", "-f", &file]).ok();
    until("the failure", PATIENCE, || phase(&node) == "Failed");
    let mut refused = String::new();
    until("the end of its sandbox", PATIENCE, || {
        refused = node
            .run(&["debug", "p", "--target", "second", "--", "true"])
            .err;
        refused.contains("--keep-failed")
    });
    // One that is tried again has them.
    node.run(&["delete", "pod", "p"]).ok();
    let file = node.file("pod.yaml", &pod("Always", ""));
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("p", &["Init:CrashLoopBackOff"]);
    let seen = node.run(&["debug", "p", "--", "cat", "/tmp/trace"]);
    assert_eq!(seen.ok(), "left\n");
    assert!(
        seen.err.contains("Defaulted target \"second\""),
        "{}",
        seen.err
    );
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn an_init_container_that_takes_too_long_is_ended_and_counts_as_failed() {
    let node = Node::new("inittimeout");
    let slow = r#"
apiVersion: v1
kind: Pod
metadata: {name: p, annotations: {podwright.io/init-timeout: slow=700ms}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  initContainers:
  - {name: slow, image: busybox, command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]}
  containers:
  - {name: app, image: busybox, command: [sleep, "1000"]}
"#;
    let file = node.file("pod.yaml", slow);
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("p", &["Init:InitTimeout"]);
    assert_eq!(phase(&node), "Failed");
    let ended = node.pod("p")["status"]["initContainerStatuses"][0]["state"]["terminated"].clone();
    assert_eq!(ended["exitCode"], 124, "{ended}");
    let message = "did not end within 700ms; then it ended with exit code 0";
    assert_eq!(ended["message"], message);
    let events = node.run(&["events", "--for", "p"]).ok().to_owned();
    assert!(
        events.contains("Init container slow did not end within 700ms"),
        "{events}"
    );
    let bad = slow
        .replace("slow=700ms", "\"slow=5, other=1s\"")
        .replace("name: p,", "name: bad,")
        .replace(
            "podwright.io/init-timeout",
            "podwright.io/keep-failed: maybe, podwright.io/init-timeout",
        );
    let file = node.file("bad.yaml", &bad);
    let refused = node.run(&["create", "-f", &file]);
    assert_eq!(refused.status, 65);
    for part in [
        "metadata.annotations[podwright.io/keep-failed]: Invalid value: \"maybe\": must be \"true\" or \"false\"",
        "metadata.annotations[podwright.io/init-timeout]: Invalid value: \"slow=5\": \"5\" is no duration",
        "metadata.annotations[podwright.io/init-timeout]: Invalid value: \"other=1s\": the pod has no init container \"other\"",
    ] {
        assert!(refused.err.contains(part), "{part}\n{}", refused.err);
    }
    node.finish();
}
