//! What a pod and its containers use, on either cgroup version.

use e2e::Node;
use e2e::node::until;
use serde_json::Value;
use std::time::Duration;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: s}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: b, image: busybox, command: [sleep, '3001'], resources: {limits: {memory: 32Mi}}}
  - {name: a, image: busybox, command: [sh, -c, 'sleep 3002 & sleep 3003 & wait']}
";

#[test]
fn a_running_pod_tells_what_it_uses_and_an_unknown_one_is_named() {
    let node = Node::new("stats");
    let file = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("s", &["Running"]);
    let mut told = Value::Null;
    until("three processes", Duration::from_secs(20), || {
        told = serde_json::from_str(node.run(&["stats", "s", "-o", "json"]).ok()).unwrap();
        told["containers"][1]["pids"] == 3
    });
    let names: Vec<&str> = told["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["b", "a"], "the pod's own order");
    let number =
        |who: &Value, key: &str| who[key].as_u64().unwrap_or_else(|| panic!("{key}: {who}"));
    let (b, a) = (&told["containers"][0], &told["containers"][1]);
    for who in [&told["pod"], a, b] {
        assert!(number(who, "cpuNs") > 0, "{who}");
        assert!(number(who, "memoryBytes") > 0, "{who}");
        assert!(
            number(who, "workingSetBytes") <= number(who, "memoryBytes"),
            "{who}"
        );
        assert_eq!(number(who, "oomKills"), 0, "{who}");
    }
    assert_eq!(number(b, "memoryLimitBytes"), 32 << 20);
    assert_eq!(a["memoryLimitBytes"], Value::Null);
    assert_eq!(number(b, "pids"), 1);
    // The shell and its two children, with the pause process and `b` in the pod as a whole.
    assert_eq!(number(&told["pod"], "pids"), 5);
    let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    assert_eq!(b["pressure"].is_object(), unified, "{b}");
    let text = node.run(&["stats", "pod/s"]);
    let lines: Vec<&str> = text.ok().lines().collect();
    assert!(lines[0].starts_with("NAME"), "{lines:?}");
    assert!(
        lines[1].starts_with("pod/s ") && lines[2].starts_with("b "),
        "{lines:?}"
    );
    let missing = node.run(&["stats", "nobody"]);
    assert!(
        missing.fails(66).contains("\"nobody\" not found"),
        "{}",
        missing.err
    );
    node.finish();
}
