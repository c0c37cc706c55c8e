//! What the kernel says: cgroup values, namespaces, oom_score_adj, limits. These hold on cgroup v1 and v2 alike.

use e2e::Node;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

fn namespace(pid: u32, kind: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

/// The one pod folder below the cgroup root, as a path relative to it.
fn pod_cgroup(node: &Node, class: &str, name: &str) -> String {
    let uid = node.pod(name)["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    if class.is_empty() {
        format!("pod{uid}")
    } else {
        format!("{class}/pod{uid}")
    }
}

/// Fails unless v1's file has one value or v2's file the other.
#[track_caller]
fn assert_cgroup(node: &Node, path: &str, v1: (&str, &str), v2: (&str, &str)) {
    let (file, wanted, got) = match node.cgroup_file(path, v1.0) {
        Some(got) => (v1.0, v1.1, got),
        None => (
            v2.0,
            v2.1,
            node.cgroup_file(path, v2.0)
                .unwrap_or_else(|| panic!("neither {} nor {} in {path}", v1.0, v2.0)),
        ),
    };
    assert_eq!(got, wanted, "{path}/{file}");
}

#[test]
fn the_pod_cgroup_has_the_effective_request_of_init_and_app_containers() {
    // Walkthrough W8: init 100m and 300m, apps 100m and 100m: 300m.
    let node = Node::new("w8");
    let file = node.file(
        "pod.yaml",
        r"
apiVersion: v1
kind: Pod
metadata: {name: w8}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - {name: a, image: busybox, command: ['true'], resources: {requests: {cpu: 100m}}}
  - {name: b, image: busybox, command: ['true'], resources: {requests: {cpu: 300m}}}
  containers:
  - {name: c, image: busybox, command: [sleep, '1001'], resources: {requests: {cpu: 100m}}}
  - {name: d, image: busybox, command: [sleep, '1002'], resources: {requests: {cpu: 100m, memory: 20Mi}, limits: {memory: 40Mi}}}
",
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("w8", &["Running"]);
    let pod = pod_cgroup(&node, "burstable", "w8");
    assert_cgroup(&node, &pod, ("cpu.shares", "307"), ("cpu.weight", "12"));
    // All Burstable pods together have what they ask for.
    let class = "burstable";
    assert_cgroup(&node, class, ("cpu.shares", "307"), ("cpu.weight", "12"));
    let idle = "apiVersion: v1\nkind: Pod\nmetadata: {name: idle}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - {name: a, image: busybox, command: [sleep, '1004']}\n";
    node.run(&["run", "-d", &node.file("idle.yaml", idle)]).ok();
    node.wait_status("idle", &["Running"]);
    let class = "besteffort";
    assert_cgroup(&node, class, ("cpu.shares", "2"), ("cpu.weight", "1"));
    assert_eq!(
        node.pod("w8")["status"]["qosClass"],
        Value::from("Burstable")
    );
    let app = node.pid_of("1002");
    let cgroup = fs::read_to_string(format!("/proc/{app}/cgroup")).unwrap();
    let leaf = cgroup
        .lines()
        .find_map(|l| l.split(':').nth(2).filter(|p| p.contains(node.word())))
        .unwrap();
    let leaf = leaf
        .trim_start_matches('/')
        .trim_start_matches(node.word())
        .trim_start_matches('/');
    assert!(leaf.starts_with(&pod), "{leaf} is not below {pod}");
    assert_cgroup(&node, leaf, ("cpu.shares", "102"), ("cpu.weight", "17"));
    assert_cgroup(
        &node,
        leaf,
        ("memory.limit_in_bytes", "41943040"),
        ("memory.max", "41943040"),
    );
    node.finish();
}

#[test]
fn a_guaranteed_pod_has_quota_and_memory_limit_as_a_whole() {
    let node = Node::new("guaranteed");
    let file = node.file(
        "pod.yaml",
        r"
apiVersion: v1
kind: Pod
metadata: {name: g}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - {name: i, image: busybox, command: ['true'], resources: {limits: {cpu: 500m, memory: 64Mi}}}
  containers:
  - {name: a, image: busybox, command: [sleep, '1003'], resources: {limits: {cpu: 250m, memory: 32Mi}}}
",
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("g", &["Running"]);
    let pod = pod_cgroup(&node, "", "g");
    assert_cgroup(&node, &pod, ("cpu.shares", "512"), ("cpu.weight", "20"));
    assert_cgroup(
        &node,
        &pod,
        ("cpu.cfs_quota_us", "50000"),
        ("cpu.max", "50000 100000"),
    );
    assert_cgroup(
        &node,
        &pod,
        ("memory.limit_in_bytes", "67108864"),
        ("memory.max", "67108864"),
    );
    assert_eq!(
        node.pod("g")["status"]["qosClass"],
        Value::from("Guaranteed")
    );
    node.finish();
}

#[test]
fn containers_of_a_pod_share_net_ipc_and_uts_and_have_their_own_pid_and_mounts() {
    let node = Node::new("namespaces");
    let file = node.file(
        "pod.yaml",
        r"
apiVersion: v1
kind: Pod
metadata: {name: ns}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: a, image: busybox, command: [sleep, '1004']}
  - {name: b, image: busybox, command: [sleep, '1005']}
",
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("ns", &["Running"]);
    let (a, b, own) = (node.pid_of("1004"), node.pid_of("1005"), std::process::id());
    for kind in ["net", "ipc", "uts"] {
        assert_eq!(namespace(a, kind), namespace(b, kind), "{kind}");
        assert_ne!(namespace(a, kind), namespace(own, kind), "{kind}");
    }
    for kind in ["pid", "mnt"] {
        assert_ne!(namespace(a, kind), namespace(b, kind), "{kind}");
        assert_ne!(namespace(a, kind), namespace(own, kind), "{kind}");
    }
    assert_eq!(
        node.run(&["exec", "ns", "-c", "a", "--", "hostname"]).ok(),
        "ns\n"
    );
    let up = node.run(&["exec", "ns", "-c", "a", "--", "ip", "link", "show", "lo"]);
    assert!(up.ok().contains("LOOPBACK,UP"), "{}", up.out);
    node.finish();
}

#[test]
fn host_and_shared_namespaces_are_given_where_they_are_asked_for() {
    let node = Node::new("hostns");
    let file = node.file(
        "pods.yaml",
        r"
apiVersion: v1
kind: Pod
metadata: {name: host}
spec:
  hostNetwork: true
  hostPID: true
  hostIPC: true
  terminationGracePeriodSeconds: 0
  containers: [{name: a, image: busybox, command: [sleep, '1006']}]
---
apiVersion: v1
kind: Pod
metadata: {name: shared}
spec:
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 0
  containers:
  - {name: a, image: busybox, command: [sleep, '1007']}
  - {name: b, image: busybox, command: [sleep, '1008']}
",
    );
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("host", &["Running"]);
    node.wait_status("shared", &["Running"]);
    let own = std::process::id();
    let host = node.pid_of("1006");
    for kind in ["net", "pid", "ipc"] {
        assert_eq!(namespace(host, kind), namespace(own, kind), "{kind}");
    }
    let (a, b) = (node.pid_of("1007"), node.pid_of("1008"));
    assert_eq!(namespace(a, "pid"), namespace(b, "pid"));
    let seen = node.run(&["exec", "shared", "-c", "a", "--", "ps"]);
    assert!(
        seen.ok().contains("sleep 1008") && seen.out.contains("pause"),
        "{}",
        seen.out
    );
    node.finish();
}

#[test]
fn a_best_effort_container_has_the_highest_oom_score_adj() {
    let node = Node::new("oomscore");
    let file = node.file(
        "pod.yaml",
        r"
apiVersion: v1
kind: Pod
metadata: {name: o}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: a, image: busybox, command: [sleep, '1009']}]
",
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("o", &["Running"]);
    let adj = |pid: u32| {
        fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))
            .unwrap()
            .trim()
            .parse::<i32>()
            .unwrap()
    };
    assert_eq!(adj(node.pid_of("1009")), 1000);
    node.finish();
}

#[test]
fn a_container_that_takes_too_much_memory_is_oomkilled_and_its_pod_says_so() {
    let node = Node::new("oom");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: oom}
spec:
  restartPolicy: Never
  initContainers:
  - name: hungry
    image: busybox
    command: [sh, -c, "x=a; while true; do x=$x$x$x$x; done"]
    resources: {limits: {memory: 16Mi}}
  containers: [{name: a, image: busybox, command: ['true']}]
"#,
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("oom", &["Init:OOMKilled"]);
    let pod = node.pod("oom");
    let ended = &pod["status"]["initContainerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (ended["reason"].as_str(), ended["exitCode"].as_i64()),
        (Some("OOMKilled"), Some(137))
    );
    assert_eq!(pod["status"]["phase"], Value::from("Failed"));
    node.finish();
}
