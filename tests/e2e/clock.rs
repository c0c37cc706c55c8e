//! The machine's clock is set by an hour, forward and back, while pods wait for something: each wait lasts as long as it would have lasted.
//!
//! Only in the guest of `hack/vm`: the clock is the machine's, and no namespace holds one.

use e2e::guest::only_in_the_guest;
use e2e::node::until;
use e2e::{Node, patient};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: loops}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: a, image: busybox, command: [sh, -c, "date; exit 1"]}
---
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: v, emptyDir: {}}]
  containers:
  - name: a
    image: busybox
    command: [sh, -c, "while true; do echo line; sleep 0.5; done"]
    volumeMounts: [{name: v, mountPath: /v}]
    readinessProbe: {exec: {command: [sh, -c, "echo x >> /v/probes"]}, periodSeconds: 2, timeoutSeconds: 60}
---
apiVersion: v1
kind: Pod
metadata: {name: deaf}
spec:
  containers:
  - {name: a, image: busybox, command: [sh, -c, "trap '' TERM; while true; do sleep 0.2; done"]}
"#;

const LIMITED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  activeDeadlineSeconds: SECONDS
  terminationGracePeriodSeconds: 0
  containers:
  - {name: a, image: busybox, command: [sleep, "1000"]}
"#;

/// The manifest of one of the pods, with a label more.
fn replaced(pods: &str, name: &str) -> String {
    let plain = format!("{{name: {name}}}");
    let pod = pods.split("---\n").find(|p| p.contains(&plain)).unwrap();
    pod.replacen(
        &plain,
        &format!("{{name: {name}, labels: {{clock: set}}}}"),
        1,
    )
}

/// Sets the machine's clock; back by as much when dropped.
struct Set(i64);

impl Set {
    fn by(seconds: i64) -> Self {
        move_clock(seconds);
        Self(seconds)
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        move_clock(-self.0);
    }
}

fn move_clock(by: i64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let then = i64::try_from(now.unwrap().as_secs()).unwrap() + by;
    let set = Command::new("date")
        .args(["-s", &format!("@{then}")])
        .output();
    assert!(set.as_ref().is_ok_and(|o| o.status.success()), "{set:?}");
}

fn restarts(node: &Node) -> u64 {
    let pod = node.pod("loops");
    pod["status"]["containerStatuses"][0]["restartCount"]
        .as_u64()
        .unwrap()
}

/// Pods that wait for the end of a back-off of 20 s, of a deadline and of a grace period of so many seconds, each begun at that time at the latest.
fn waiting(node: &Node, seconds: u64) -> (Instant, e2e::node::Running) {
    let limited = LIMITED.replace("SECONDS", &seconds.to_string());
    let file = node.file("pods.yaml", &format!("{PODS}---{limited}"));
    node.run(&["create", "-f", &file]).ok();
    for pod in ["probed", "deaf", "limited"] {
        node.wait_status(pod, &["Running"]);
    }
    let grace = seconds.to_string();
    let deleting = node.start(&["delete", "pod", "deaf", "--grace-period", &grace]);
    node.wait_status("deaf", &["Terminating"]);
    let begun = Instant::now();
    // The first restart comes at once, the second after 10 s, the third after 20 s.
    until("the third end", Duration::from_secs(30), || {
        restarts(node) == 2 && node.status("loops") == "CrashLoopBackOff"
    });
    (begun, deleting)
}

/// Changes the pods, so that their rules are looked at again with the clock as it is now.
fn look_again(node: &Node) {
    let pods = ["loops", "probed"].map(|name| replaced(PODS, name));
    let file = node.file("again.yaml", &pods.join("---\n"));
    node.run(&["replace", "-f", &file]).ok();
}

fn probes(node: &Node) -> u32 {
    let seen = node.run(&["exec", "probed", "--", "wc", "-l", "/v/probes"]);
    let first = seen.ok().split(' ').next().unwrap();
    first.trim().parse().unwrap()
}

#[test]
fn r15_a_clock_that_is_set_forward_by_an_hour_ends_no_wait() {
    only_in_the_guest();
    let node = Node::new("clockon");
    let (_, deleting) = waiting(&node, 600);
    let seen = Instant::now();
    let set = Set::by(3600);
    look_again(&node);
    // All of it is more than the deadline, the grace period and the back-off. The first two go on for minutes.
    let events = node.run(&["events"]);
    assert_eq!(restarts(&node), 2, "{}", events.out);
    assert_eq!(node.status("limited"), "Running", "{}", events.out);
    assert_eq!(node.status("deaf"), "Terminating", "{}", events.out);
    until("the fourth start", Duration::from_secs(30), || {
        restarts(&node) == 3
    });
    let took = seen.elapsed();
    assert!(
        took > Duration::from_secs(12),
        "a back-off of 20 s: {took:?}"
    );
    assert_eq!(node.status("limited"), "Running");
    every_line_has_its_time(&node);
    node.run(&["delete", "pod", "deaf", "--force"]).ok();
    deleting.wait(Duration::from_secs(30));
    drop(set);
    node.finish();
}

#[test]
fn r15_a_clock_that_is_set_back_by_an_hour_lengthens_no_wait() {
    only_in_the_guest();
    let node = Node::new("clockback");
    let (begun, deleting) = waiting(&node, 60);
    let set = Set::by(-3600);
    look_again(&node);
    until("the fourth start", Duration::from_secs(30), || {
        restarts(&node) == 3
    });
    let before = probes(&node);
    until("two more probes", Duration::from_secs(10), || {
        probes(&node) >= before + 2
    });
    deleting.wait(Duration::from_secs(60)).ok();
    until("the deadline", Duration::from_secs(60), || {
        let pod = node.pod("limited");
        pod["status"]["reason"] == "DeadlineExceeded"
    });
    let took = begun.elapsed();
    let most = Duration::from_secs(60) + patient(Duration::from_secs(10));
    assert!(took < most, "a minute lasted {took:?}");
    every_line_has_its_time(&node);
    drop(set);
    node.finish();
}

/// Lines before and after it was set are all there, each with a time that parses.
fn every_line_has_its_time(node: &Node) {
    let plain = node.run(&["logs", "probed"]);
    let stamped = node.run(&["logs", "probed", "--timestamps"]);
    assert!(plain.ok().lines().count() > 20, "{}", plain.out);
    let mut jumps = 0;
    let mut last = None;
    for line in stamped.ok().lines() {
        let (time, text) = line.split_once(' ').unwrap();
        assert_eq!(text, "line");
        let at: jiff::Timestamp = time.parse().unwrap_or_else(|e| panic!("{time}: {e}"));
        if let Some(last) = last.replace(at) {
            jumps += u32::from(at.duration_since(last).abs() > jiff::SignedDuration::from_mins(50));
        }
    }
    assert_eq!(jumps, 1, "{}", stamped.out);
}
