//! The main job: init containers in order, then the apps.

use e2e::Node;

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: shared, emptyDir: {}}]
  initContainers:
  - {name: a, image: busybox, command: [sh, -c, "echo from a; echo 1 > /w/a"], volumeMounts: [{name: shared, mountPath: /w}]}
  - {name: b, image: busybox, command: [sh, -c, "cat /w/a; echo 2 > /w/b"], volumeMounts: [{name: shared, mountPath: /w}]}
  containers:
  - {name: app, image: busybox, command: [sh, -c, "cat /w/b; exec sleep 1000"], volumeMounts: [{name: shared, mountPath: /w}]}
"#;

#[test]
fn init_containers_run_in_order_and_then_the_app() {
    let node = Node::new("order");
    let file = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("one", &["Running"]);
    assert_eq!(node.run(&["logs", "one", "-c", "a"]).ok(), "from a\n");
    assert_eq!(node.run(&["logs", "one", "-c", "b"]).ok(), "1\n");
    assert_eq!(node.run(&["logs", "one", "-c", "app"]).ok(), "2\n");
    node.run(&["delete", "pod", "one"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}
