//! What a user does with a pod: follow, watch, exec, logs, wait, Ctrl-C.

use e2e::Node;
use e2e::node::until;
use serde_json::Value;
use std::time::Duration;

const LONG: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: long, labels: {app: web, tier: front}}
spec:
  terminationGracePeriodSeconds: 2
  initContainers:
  - {name: prepare, image: busybox, command: [sh, -c, "echo preparing; sleep 0.3"]}
  containers:
  - {name: app, image: busybox, command: [sh, -c, "echo out; echo err >&2; trap 'echo bye; exit 0' TERM; while true; do sleep 0.1; done"]}
  - {name: other, image: busybox, command: [sleep, "1000"]}
"#;

#[test]
fn run_follows_progress_and_output_and_ctrl_c_stops_the_pod() {
    let node = Node::new("ctrlc");
    let file = node.file("pod.yaml", LONG);
    let running = node.start(&["run", &file]);
    until("the app's output", Duration::from_secs(20), || {
        running.so_far().0.contains("out")
    });
    node.wait_status("long", &["Running"]);
    running.signal("INT");
    let outcome = running.wait(Duration::from_secs(20));
    for part in ["preparing", "out", "err", "bye"] {
        assert!(
            outcome.out.contains(part),
            "{part} is not in\n{}",
            outcome.out
        );
    }
    for part in ["Init:0/1", "Running"] {
        assert!(
            outcome.err.contains(part),
            "{part} is not in\n{}",
            outcome.err
        );
    }
    assert!(
        node.run(&["get", "pods"])
            .err
            .contains("No resources found")
    );
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_pod_goes_on_when_the_client_that_ran_it_dies() {
    let node = Node::new("clientdies");
    let file = node.file("pod.yaml", LONG);
    let running = node.start(&["run", &file]);
    until("the app's output", Duration::from_secs(20), || {
        running.so_far().0.contains("out")
    });
    running.signal("KILL");
    running.wait(Duration::from_secs(5));
    node.wait_status("long", &["Running"]);
    node.finish();
}

#[test]
fn exec_runs_in_the_container_with_its_exit_status() {
    let node = Node::new("exec");
    let file = node.file("pod.yaml", LONG);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("long", &["Running"]);
    assert_eq!(
        node.run(&[
            "exec",
            "long",
            "-c",
            "other",
            "--",
            "sh",
            "-c",
            "echo in; echo e >&2; exit 0"
        ])
        .ok(),
        "in\n"
    );
    node.run(&["exec", "long", "-c", "other", "--", "sh", "-c", "exit 42"])
        .fails(42);
    let fed = node.run_with(
        &["exec", "-i", "long", "-c", "other", "--", "cat"],
        "fed through\n",
    );
    assert_eq!(fed.ok(), "fed through\n");
    let missing = node.run(&["exec", "long", "-c", "other", "--", "nosuch"]);
    assert_ne!(missing.status, 0);
    assert!(
        missing.err.contains("executable file not found in $PATH"),
        "{}",
        missing.err
    );
    let ended = node.run(&["exec", "long", "-c", "prepare", "--", "true"]);
    assert!(
        ended.err.contains("container not found (\"prepare\")"),
        "{}",
        ended.err
    );
    let caps = "grep -E 'Cap(Eff|Bnd|Inh|Amb)|Seccomp:' /proc/self/status";
    let inside = node.run(&["exec", "long", "-c", "other", "--", "sh", "-c", caps]);
    let own = node.run(&[
        "exec",
        "long",
        "-c",
        "other",
        "--",
        "sh",
        "-c",
        "grep -E 'Cap(Eff|Bnd|Inh|Amb)|Seccomp:' /proc/1/status",
    ]);
    assert_eq!(inside.ok(), own.ok());
    node.finish();
}

#[test]
fn logs_can_be_cut_followed_and_dated() {
    let node = Node::new("logs");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: l}
spec:
  restartPolicy: Never
  containers: [{name: app, image: busybox, command: [sh, -c, "for i in 1 2 3 4 5; do echo line $i; done; sleep 0.5; echo last"]}]
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    until("the first lines", Duration::from_secs(10), || {
        node.run(&["logs", "l"]).out.contains("line 5")
    });
    let followed = node.run(&["logs", "l", "-f"]);
    assert_eq!(
        followed.ok(),
        "line 1\nline 2\nline 3\nline 4\nline 5\nlast\n"
    );
    assert_eq!(
        node.run(&["logs", "l", "--tail", "2"]).ok(),
        "line 5\nlast\n"
    );
    let dated = node.run(&["logs", "l", "--timestamps", "--tail", "1"]);
    assert!(
        dated.ok().starts_with("20") && dated.out.ends_with("Z last\n"),
        "{}",
        dated.out
    );
    let unknown = node.run(&["logs", "l", "-c", "nosuch"]);
    assert!(
        unknown
            .err
            .contains("container nosuch is not valid for pod l out of: app"),
        "{}",
        unknown.err
    );
    node.finish();
}

#[test]
fn get_shows_what_was_asked_for_in_every_form() {
    let node = Node::new("get");
    let file = node.file("pod.yaml", LONG);
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("long", &["Running"]);
    let table = node.run(&["get", "pods"]);
    let head: Vec<&str> = table
        .ok()
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(head, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    let row: Vec<&str> = table
        .out
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(row[..4], ["long", "2/2", "Running", "0"]);
    assert_eq!(node.run(&["get", "pods", "-o", "name"]).ok(), "pod/long\n");
    assert_eq!(
        node.run(&["get", "pods", "-l", "app=web", "-o", "name"])
            .ok(),
        "pod/long\n"
    );
    assert!(
        node.run(&["get", "pods", "-l", "app=other"])
            .err
            .contains("No resources found")
    );
    assert!(
        node.run(&["get", "pods", "-n", "other"])
            .err
            .contains("No resources found in other namespace.")
    );
    assert_eq!(
        node.run(&["get", "-f", &file, "-o", "name"]).ok(),
        "pod/long\n"
    );
    let yaml = node.run(&["get", "pod", "long", "-o", "yaml"]);
    assert!(yaml.ok().contains("kind: Pod"), "{}", yaml.out);
    let described = node.run(&["describe", "pod", "long"]);
    for part in [
        "Init Containers:",
        "prepare:",
        "Completed",
        "Conditions:",
        "Events:",
        "Container started",
    ] {
        assert!(
            described.ok().contains(part),
            "{part} is not in\n{}",
            described.out
        );
    }
    // What `get` prints can be run again.
    node.run(&["delete", "pod", "long", "--now"]).ok();
    let again = node.file("again.yaml", &yaml.out);
    node.run(&["create", "-f", &again]).ok();
    node.wait_status("long", &["Running"]);
    node.finish();
}

#[test]
fn wait_ends_when_the_condition_holds_or_time_is_up() {
    let node = Node::new("wait");
    let file = node.file("pod.yaml", LONG);
    node.run(&["create", "-f", &file]).ok();
    node.run(&[
        "wait",
        "--for=condition=Initialized",
        "pod/long",
        "--timeout",
        "20s",
    ])
    .ok();
    node.run(&[
        "wait",
        "--for=condition=Ready",
        "-f",
        &file,
        "--timeout",
        "20s",
    ])
    .ok();
    let late = node.run(&[
        "wait",
        "--for=condition=NoSuch",
        "pod/long",
        "--timeout",
        "300ms",
    ]);
    assert_ne!(late.status, 0);
    assert!(
        late.err.contains("timed out waiting for the condition"),
        "{}",
        late.err
    );
    let conditions = node.pod("long")["status"]["conditions"].clone();
    let initialized = conditions
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Initialized")
        .unwrap();
    assert_eq!(initialized["status"], Value::from("True"));
    node.finish();
}

#[test]
fn a_log_rotates_and_no_line_is_lost_or_torn() {
    let node = Node::new("rotate");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: r}
spec:
  restartPolicy: Never
  containers: [{name: app, image: busybox, command: [sh, -c, "awk 'BEGIN { for (i = 1; i <= 250000; i++) printf \"line %08d of a log that is long enough to be rotated more than once\\n\", i }'"]}]
"#,
    );
    node.run(&["run", "--keep", &file]).ok();
    let log = node.run(&["logs", "r"]);
    let numbers: Vec<u64> = log
        .ok()
        .lines()
        .map(|l| l.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 250_000);
    assert!(
        numbers.windows(2).all(|w| w[1] == w[0] + 1),
        "a line is lost or out of order"
    );
    node.finish();
}

#[test]
fn images_are_listed_by_every_name_and_removed() {
    let node = Node::new("images");
    let listed = node.run(&["image", "ls"]);
    assert!(listed.ok().contains("busybox"), "{}", listed.out);
    let other = node.run(&[
        "image",
        "import",
        &format!("{}:busybox", e2e::node::image().display()),
        "--name",
        "docker.io/library/other:1",
    ]);
    other.ok();
    let file = node.file(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: i}\nspec:\n  restartPolicy: Never\n  containers:\n  - {name: a, image: 'other:1', command: [echo, hello]}\n",
    );
    assert_eq!(node.run(&["run", &file]).ok(), "hello\n");
    node.run(&["image", "rm", "other:1"]).ok();
    assert!(!node.run(&["image", "ls"]).ok().contains("other"));
    node.finish();
}
