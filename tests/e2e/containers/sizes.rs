//! Cpu and memory of pods that run: resizes in place, and a pod's cgroup that becomes smaller after init. These hold on cgroup v1 and v2 alike.

use super::{condition, container, said};
use e2e::Node;
use e2e::node::until;
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(40);
const MIB: u64 = 1 << 20;

/// Cgroup of the pod, and of a container of it, relative to the node's.
fn cgroup(node: &Node, pod: &str, class: &str, name: Option<&str>) -> String {
    let uid = node.pod(pod)["metadata"]["uid"].clone();
    let uid = uid.as_str().expect("a uid");
    let own = match class {
        "" => format!("pod{uid}"),
        class => format!("{class}/pod{uid}"),
    };
    let Some(name) = name else {
        return own;
    };
    let id = container(node, pod, name)["containerID"].clone();
    let id = id.as_str().and_then(|i| i.strip_prefix("podwright://"));
    format!("{own}/{}", id.expect("an id"))
}

/// Memory limit in bytes; `None` = there is none.
fn memory(node: &Node, path: &str) -> Option<u64> {
    let files = ["memory.limit_in_bytes", "memory.max"];
    let text = files.iter().find_map(|f| node.cgroup_file(path, f));
    let limit = text.expect("a memory cgroup").parse().ok();
    limit.filter(|l| *l < 1 << 60)
}

/// Cpu quota in microseconds a period of 100000.
fn quota(node: &Node, path: &str) -> String {
    let v1 = node.cgroup_file(path, "cpu.cfs_quota_us");
    let v2 = || node.cgroup_file(path, "cpu.max");
    let text = v1.or_else(v2).expect("a cpu cgroup");
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn resize(node: &Node, pod: &str, name: &str, cpu: &str, memory: &str) -> e2e::node::Outcome {
    let mut changed = node.pod(pod);
    for list in ["containers", "initContainers"] {
        for container in changed["spec"][list].as_array_mut().into_iter().flatten() {
            if container["name"] == name {
                let amounts = json!({"cpu": cpu, "memory": memory});
                container["resources"] = json!({"requests": amounts, "limits": amounts});
            }
        }
    }
    let file = node.file("resized.json", &changed.to_string());
    node.run(&["replace", "--subresource", "resize", "-f", &file])
}

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 100m, memory: 64Mi}}
    resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: memory, restartPolicy: NotRequired}]
  - name: again
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    resources: {requests: {cpu: 100m, memory: 32Mi}, limits: {cpu: 100m, memory: 32Mi}}
    resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]
"#;

#[test]
fn cpu_and_memory_of_a_running_pod_change_in_place_up_and_down() {
    let node = Node::new("resize");
    let file = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("p", &["Running"]);
    assert_eq!(node.pod("p")["metadata"]["generation"], 1);
    until("the generation that is observed", PATIENCE, || {
        node.pod("p")["status"]["observedGeneration"] == 1
    });
    for (generation, cpu, bytes) in [(2, "300m", 128), (3, "200m", 48)] {
        resize(&node, "p", "app", cpu, &format!("{bytes}Mi")).ok();
        let own = cgroup(&node, "p", "", Some("app"));
        let whole = cgroup(&node, "p", "", None);
        until("the new size", PATIENCE, || {
            memory(&node, &own) == Some(bytes * MIB)
                && memory(&node, &whole) == Some((bytes + 32) * MIB)
        });
        let milli: u64 = cpu.trim_end_matches('m').parse().expect("a number");
        until("the new quota", PATIENCE, || {
            quota(&node, &own) == (milli * 100).to_string()
                && quota(&node, &whole) == ((milli + 100) * 100).to_string()
        });
        until("the end of the resize", PATIENCE, || {
            condition(&node, "p", "PodResizeInProgress").is_empty()
        });
        let shown = container(&node, "p", "app");
        let wanted = json!({"cpu": cpu, "memory": format!("{bytes}Mi")});
        assert_eq!(shown["resources"]["limits"], wanted, "{shown:#}");
        assert_eq!(shown["allocatedResources"], wanted, "{shown:#}");
        assert_eq!(shown["restartCount"], 0);
        let status = node.pod("p")["status"].clone();
        assert_eq!(status["observedGeneration"], generation, "{status:#}");
        let whole =
            json!({"cpu": format!("{}m", milli + 100), "memory": format!("{}Mi", bytes + 32)});
        assert_eq!(status["resources"]["limits"], whole, "{status:#}");
        assert_eq!(status["allocatedResources"], whole, "{status:#}");
    }
    let summary = "Pod resize completed: {\"containers\":[{\"name\":\"app\",\"resources\":{\"limits\":{\"cpu\":\"300m\",\"memory\":\"128Mi\"}";
    assert!(said(&node, "p", "ResizeStarted", "Pod resize started: {"));
    assert!(said(&node, "p", "ResizeCompleted", summary));
    // The other one asks to be run again for that.
    resize(&node, "p", "again", "100m", "40Mi").ok();
    until("another attempt", PATIENCE, || {
        let again = container(&node, "p", "again");
        again["restartCount"] == 1 && again["state"]["running"].is_object()
    });
    assert!(said(
        &node,
        "p",
        "Killing",
        "Container again resize requires restart"
    ));
    let own = cgroup(&node, "p", "", Some("again"));
    assert_eq!(memory(&node, &own), Some(40 * MIB));
    assert_eq!(container(&node, "p", "app")["restartCount"], 0);
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_resize_that_cannot_be_is_told_and_changes_nothing() {
    let node = Node::new("noresize");
    let file = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("p", &["Running"]);
    // Without the subresource, and another class.
    let mut changed = node.pod("p");
    changed["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "2".into();
    let file = node.file("changed.json", &changed.to_string());
    let refused = node.run(&["replace", "-f", &file]);
    assert!(
        refused.err.contains("--subresource resize"),
        "{}",
        refused.err
    );
    let refused = node.run(&["replace", "--subresource", "resize", "-f", &file]);
    let text = "Pod QOS Class may not change as a result of resizing";
    assert!(refused.err.contains(text), "{}", refused.err);
    // More than the node has.
    resize(&node, "p", "app", "100m", "900Ti").ok();
    until("the node's word", PATIENCE, || {
        condition(&node, "p", "PodResizePending") == "True"
    });
    let status = node.pod("p")["status"].clone();
    let pending = status["conditions"].as_array().cloned().unwrap_or_default();
    let pending = pending
        .into_iter()
        .find(|c| c["type"] == "PodResizePending");
    let pending = pending.expect("the condition");
    assert_eq!(pending["reason"], "Infeasible");
    let message = pending["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("Node didn't have enough capacity: memory, requested: "),
        "{message}"
    );
    let shown = container(&node, "p", "app");
    assert_eq!(shown["allocatedResources"]["memory"], "64Mi", "{shown:#}");
    let own = cgroup(&node, "p", "", Some("app"));
    assert_eq!(memory(&node, &own), Some(64 * MIB));
    // The wish is taken back.
    resize(&node, "p", "app", "100m", "64Mi").ok();
    until("the end of the wish", PATIENCE, || {
        condition(&node, "p", "PodResizePending").is_empty()
    });
    // Less than is in use: nothing is killed, it is told, and done once it is possible.
    let fill = [
        "exec",
        "p",
        "-c",
        "app",
        "--",
        "sh",
        "-c",
        "mount | grep -q /dev/shm && dd if=/dev/zero of=/dev/shm/x bs=1M count=40",
    ];
    node.run(&fill).ok();
    resize(&node, "p", "app", "100m", "16Mi").ok();
    until("the refusal", PATIENCE, || {
        said(&node, "p", "ResizeError", "Pod resize error: ")
    });
    let reason = |status: &Value| {
        let all = status["conditions"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|c| c["type"] == "PodResizeInProgress");
        found.map(|c| (c["reason"].clone(), c["message"].to_string()))
    };
    let (why, message) = reason(&node.pod("p")["status"]).expect("a resize in progress");
    assert_eq!(why, "Error");
    assert!(message.contains("below current usage"), "{message}");
    assert_eq!(container(&node, "p", "app")["restartCount"], 0);
    node.run(&["exec", "p", "-c", "app", "--", "rm", "/dev/shm/x"])
        .ok();
    until("the resize", PATIENCE, || {
        memory(&node, &own) == Some(16 * MIB)
            && condition(&node, "p", "PodResizeInProgress").is_empty()
    });
    assert_eq!(container(&node, "p", "app")["restartCount"], 0);
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

/// A pod whose init container is larger than its app.
fn shrinking(extra: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: p, annotations: {{podwright.io/shrink-after-init: "true"}}}}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{{name: m, emptyDir: {{medium: Memory}}}}]
  initContainers:
  - name: big
    image: busybox
    command: [sh, -c, "{extra}; until [ -e /m/go ]; do sleep 0.1; done"]
    resources: {{requests: {{cpu: 400m, memory: 128Mi}}, limits: {{cpu: 400m, memory: 128Mi}}}}
    volumeMounts: [{{name: m, mountPath: /m}}]
  containers:
  - name: app
    image: busybox
    command: [sleep, "1000"]
    resources: {{requests: {{cpu: 100m, memory: 32Mi}}, limits: {{cpu: 200m, memory: 32Mi}}}}
    volumeMounts: [{{name: m, mountPath: /m}}]
"#
    )
}

#[test]
fn a_pods_cgroup_becomes_as_small_as_its_apps_once_init_is_over() {
    let node = Node::new("shrink");
    let file = node.file("pod.yaml", &shrinking("true"));
    node.run(&["create", "-f", &file]).ok();
    until("the init container", PATIENCE, || {
        container(&node, "p", "big")["state"]["running"].is_object()
    });
    let whole = cgroup(&node, "p", "burstable", None);
    assert_eq!(memory(&node, &whole), Some(128 * MIB));
    assert_eq!(quota(&node, &whole), "40000");
    node.run_to_its_end(&["exec", "p", "-c", "big", "--", "touch", "/m/go"]);
    node.wait_status("p", &["Running"]);
    until("the smaller cgroup", PATIENCE, || {
        memory(&node, &whole) == Some(32 * MIB) && quota(&node, &whole) == "20000"
    });
    until("a word of it", PATIENCE, || {
        said(
            &node,
            "p",
            "Shrunk",
            "Init is over: the pod's cgroup has cpu shares 102, cpu quota 20000, memory limit 33554432",
        )
    });
    // A new daemon leaves it so; a new sandbox needs the room of its init containers again.
    e2e::node::kill(node.daemon().expect("a daemon"));
    node.run(&["get", "pods"]).ok();
    assert_eq!(memory(&node, &whole), Some(32 * MIB));
    node.run(&["retry", "p", "--from", "big"]).ok();
    until("the second life", PATIENCE, || {
        container(&node, "p", "big")["restartCount"] == 1 && node.status("p") == "Running"
    });
    until("the smaller cgroup", PATIENCE, || {
        memory(&node, &whole) == Some(32 * MIB)
    });
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn what_init_left_in_memory_is_not_killed_for_it() {
    let node = Node::new("noshrink");
    let file = node.file(
        "pod.yaml",
        &shrinking("dd if=/dev/zero of=/m/x bs=1M count=80 2>/dev/null; touch /m/go"),
    );
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("p", &["Running"]);
    until("the refusal", PATIENCE, || {
        said(
            &node,
            "p",
            "ShrinkFailed",
            "The pod's cgroup stays as large as init needed it, and is tried again: ",
        )
    });
    let whole = cgroup(&node, "p", "burstable", None);
    assert_eq!(memory(&node, &whole), Some(128 * MIB));
    assert_eq!(container(&node, "p", "app")["restartCount"], 0);
    node.run(&["exec", "p", "--", "rm", "/m/x"]).ok();
    until("the smaller cgroup", PATIENCE, || {
        memory(&node, &whole) == Some(32 * MIB)
    });
    assert_eq!(container(&node, "p", "app")["restartCount"], 0);
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}
