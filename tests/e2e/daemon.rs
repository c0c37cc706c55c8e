//! The daemon: killed, found again, alone.

use e2e::Node;
use e2e::node::{kill, until};
use serde_json::Value;
use std::time::Duration;

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: d}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - {name: app, image: busybox, command: [sh, -c, "i=0; while [ ! -e /stop ]; do echo $i; i=$((i+1)); sleep 0.05; done; exit 37"]}
"#;

#[test]
fn a_killed_daemon_is_replaced_and_finds_its_pods_and_their_exits() {
    let node = Node::new("daemonkill");
    let file = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("d", &["Running"]);
    let before = node.pod("d");
    kill(node.daemon().expect("a daemon"));
    node.wait_status("d", &["Running"]);
    let after = node.pod("d");
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert_eq!(
        before["status"]["containerStatuses"][0]["containerID"],
        after["status"]["containerStatuses"][0]["containerID"]
    );
    assert_eq!(
        after["status"]["containerStatuses"][0]["restartCount"],
        Value::from(0)
    );
    // Ends while no daemon lives; its code is there all the same.
    node.run(&[
        "exec",
        "d",
        "-c",
        "app",
        "--",
        "sh",
        "-c",
        "(sleep 1; touch /stop) >/dev/null 2>&1 &",
    ])
    .ok();
    kill(node.daemon().expect("a daemon"));
    std::thread::sleep(Duration::from_millis(1500));
    node.wait_status("d", &["Error"]);
    assert_eq!(
        node.pod("d")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        Value::from(37)
    );
    // No line of the log was lost meanwhile.
    let log = node.run(&["logs", "d"]);
    for (i, line) in log.ok().lines().enumerate() {
        assert_eq!(line, i.to_string());
    }
    node.finish();
}

#[test]
fn r08_a_pod_whose_record_is_broken_is_ended_and_the_others_go_on() {
    let node = Node::new("broken");
    for name in ["d", "e"] {
        let file = node.file(
            "pod.yaml",
            &POD.replace("name: d}", &format!("name: {name}}}")),
        );
        node.run(&["run", "-d", &file]).ok();
        node.wait_status(name, &["Running"]);
    }
    let uid = node.pod("d")["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    kill(node.daemon().expect("a daemon"));
    let record = node.root().join(format!("records/pods/{uid}.json"));
    let text = std::fs::read(&record).unwrap();
    std::fs::write(&record, &text[..text.len() / 2]).unwrap();
    assert_eq!(node.status("e"), "Running");
    assert_eq!(node.status("d"), "");
    until("the end of what ran of it", Duration::from_secs(10), || {
        !node.root().join("pods").join(&uid).exists()
    });
    let log = std::fs::read_to_string(node.run_dir().join("node.log")).unwrap();
    assert!(
        log.contains("is damaged") && log.contains("has no record any more"),
        "{log}"
    );
    assert_eq!(node.status("e"), "Running");
    let told = node.run(&["events"]).out;
    assert!(told.contains("RecordDamaged"), "{told}");
    let found = node.run(&["doctor"]).out;
    assert!(found.contains("1 kept in"), "{found}");
    node.finish();
}

#[test]
fn r08_a_sandbox_whose_record_is_changed_is_ended_by_its_cgroups_and_its_pod_runs_anew() {
    let node = Node::new("damaged");
    let pod = |name: &str| {
        POD.replace("name: d}", &format!("name: {name}}}"))
            .replace("Policy: Never", "Policy: Always")
    };
    for name in ["d", "e"] {
        let file = node.file("pod.yaml", &pod(name));
        node.run(&["run", "-d", &file]).ok();
        node.wait_status(name, &["Running"]);
    }
    let id = |name: &str| {
        let id = node.pod(name)["status"]["containerStatuses"][0]["containerID"].clone();
        id.as_str()
            .and_then(|i| i.rsplit('/').next())
            .unwrap()
            .to_owned()
    };
    let (first, other) = (id("d"), id("e"));
    kill(node.daemon().expect("a daemon"));
    let sandboxes = std::fs::read_dir(node.run_dir().join("sandboxes")).unwrap();
    let of_it = sandboxes
        .flatten()
        .map(|e| e.path())
        .find(|p| p.join("containers").join(&first).exists());
    let record = of_it
        .unwrap()
        .join("containers")
        .join(&first)
        .join("record.json");
    let mut bytes = std::fs::read(&record).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&record, bytes).unwrap();
    until("its second run", Duration::from_secs(20), || {
        node.status("d") == "Running" && id("d") != first
    });
    assert_eq!((node.status("e").as_str(), id("e")), ("Running", other));
    assert!(!e2e::soak::processes::lives_in_cgroup(&first));
    let told = node.run(&["events"]).out;
    assert!(told.contains("RecordDamaged"), "{told}");
    let kept = std::fs::read_dir(node.run_dir().join("quarantine")).unwrap();
    assert_eq!(kept.count(), 1);
    node.run(&["delete", "pod", "--all"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_second_daemon_on_the_same_run_folder_refuses() {
    let node = Node::new("second");
    node.run(&["get", "pods"]).ok();
    let outcome = node.run(&["node"]);
    assert_ne!(outcome.status, 0);
    assert!(
        outcome.err.contains("another node daemon runs on"),
        "{}",
        outcome.err
    );
    assert!(node.daemon().is_some());
    node.finish();
}

#[test]
fn nodes_run_side_by_side_and_do_not_see_each_other() {
    let (one, two) = (Node::new("sideone"), Node::new("sidetwo"));
    for node in [&one, &two] {
        let file = node.file("pod.yaml", POD);
        node.run(&["run", "-d", &file]).ok();
        node.wait_status("d", &["Running"]);
    }
    assert_ne!(
        one.pod("d")["metadata"]["uid"],
        two.pod("d")["metadata"]["uid"]
    );
    one.run(&["delete", "pod", "d"]).ok();
    one.run(&["reset", "--yes"]).ok();
    assert_eq!(two.status("d"), "Running");
    two.finish();
    one.finish();
}

#[test]
fn the_daemon_holds_no_more_descriptors_after_many_pods() {
    let node = Node::new("descriptors");
    let file = node.file(
        "pod.yaml",
        &POD.replace(
            "i=0; while [ ! -e /stop ]; do echo $i; i=$((i+1)); sleep 0.05; done; exit 37",
            "true",
        ),
    );
    for _ in 0..2 {
        node.run(&["run", &file]).ok();
    }
    let daemon = node.daemon().expect("a daemon");
    let before = e2e::leak::descriptors_and_threads(daemon);
    for _ in 0..10 {
        node.run(&["run", &file]).ok();
    }
    until(
        "as many descriptors as before",
        Duration::from_secs(5),
        || e2e::leak::descriptors_and_threads(daemon).0 <= before.0,
    );
    node.finish();
}
