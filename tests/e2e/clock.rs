//! The machine's clock is set by an hour, forward and back, while pods wait for something: each wait lasts as long as it would have lasted.
//!
//! Only in the guest of `hack/vm`: the clock is the machine's, and no namespace holds one.

use e2e::guest::only_in_the_guest;
use e2e::node::until;
use e2e::{Node, patient};
use serde_json::Value;
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
  activeDeadlineSeconds: 20
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

/// Seconds of a wait that began then and must last that long, with what a busy machine may add.
#[track_caller]
fn lasted(what: &str, since: Instant, seconds: u64) {
    let took = since.elapsed();
    // It began before that was seen.
    let least = Duration::from_secs(seconds) / 2;
    let most = Duration::from_secs(seconds) + patient(Duration::from_secs(5));
    assert!(
        (least..most).contains(&took),
        "{what} lasted {took:?} and not {seconds} s"
    );
}

fn everything_lasts_as_long_as_without(case: &str, by: i64) {
    only_in_the_guest();
    let node = Node::new(case);
    let file = node.file("pods.yaml", PODS);
    node.run(&["create", "-f", &file]).ok();
    for pod in ["probed", "deaf"] {
        node.wait_status(pod, &["Running"]);
    }
    // The first restart comes at once, the second after 10 s, the third after 20 s.
    until("the third end", Duration::from_secs(30), || {
        restarts(&node) == 2 && node.status("loops") == "CrashLoopBackOff"
    });
    let ended = Instant::now();
    let file = node.file("limited.yaml", LIMITED);
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("limited", &["Running"]);
    let limited = Instant::now();
    let deleting = node.start(&["delete", "pod", "deaf", "--grace-period", "8"]);
    let asked = Instant::now();
    node.wait_status("deaf", &["Terminating"]);
    let set = Set::by(by);
    // A change makes the pods' rules be looked at again: that must end nothing.
    let looks = ["loops", "probed"].map(|name| replaced(PODS, name));
    let file = node.file("again.yaml", &looks.join("---\n"));
    node.run(&["replace", "-f", &file]).ok();
    let file = node.file("again.yaml", &replaced(LIMITED, "limited"));
    node.run(&["replace", "-f", &file]).ok();
    let probes = || {
        let seen = node.run(&["exec", "probed", "--", "wc", "-l", "/v/probes"]);
        seen.ok()
            .split(' ')
            .next()
            .unwrap()
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    let before = probes();
    until("two more probes", Duration::from_secs(10), || {
        probes() >= before + 2
    });
    deleting.wait(Duration::from_secs(60)).ok();
    lasted("the grace period", asked, 8);
    until("the fourth start", Duration::from_secs(60), || {
        restarts(&node) == 3
    });
    lasted("the back-off", ended, 20);
    until("the deadline", Duration::from_secs(60), || {
        let pod = node.pod("limited");
        pod["status"]["reason"] == Value::from("DeadlineExceeded")
    });
    lasted("the deadline", limited, 20);
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

#[test]
fn r15_a_clock_that_is_set_forward_by_an_hour_ends_no_wait() {
    everything_lasts_as_long_as_without("clockon", 3600);
}

#[test]
fn r15_a_clock_that_is_set_back_by_an_hour_lengthens_no_wait() {
    everything_lasts_as_long_as_without("clockback", -3600);
}
