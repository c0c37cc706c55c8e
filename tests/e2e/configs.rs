//! ConfigMaps and Secrets: in the environment, as files, and missing.

use e2e::Node;

const OBJECTS: &str = r"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, size: '3'}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {token: s3cret}
";

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: c, labels: {app: x}}
spec:
  restartPolicy: Never
  volumes:
  - {name: s, configMap: {name: settings, items: [{key: colour, path: deep/colour, mode: 0400}]}}
  - {name: k, secret: {secretName: keys}}
  containers:
  - name: app
    image: busybox
    command: [sh, -c, "echo $COLOUR $size $TOKEN $NAME $(GREETING); cat /s/deep/colour; echo; cat /k/token; echo; stat -L -c %a /s/deep/colour; echo x > /s/y || true"]
    env:
    - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: GREETING, value: "hi-$(NAME)"}
    envFrom: [{configMapRef: {name: settings}}]
    volumeMounts: [{name: s, mountPath: /s}, {name: k, mountPath: /k}]
"#;

#[test]
fn config_maps_and_secrets_reach_environment_and_files() {
    let node = Node::new("configs");
    let objects = node.file("objects.yaml", OBJECTS);
    let created = node.run(&["create", "-f", &objects]);
    assert_eq!(
        created.ok(),
        "configmap/settings created\nsecret/keys created\n"
    );
    let pod = node.file("pod.yaml", POD);
    let outcome = node.run(&["run", &pod]);
    let expected = "blue 3 s3cret c hi-c\nblue\ns3cret\n400\n";
    assert!(outcome.ok().starts_with(expected), "{}", outcome.out);
    let listed = node.run(&["get", "configmaps"]);
    assert!(listed.ok().contains("settings"), "{}", listed.out);
    node.run(&["delete", "configmap", "settings"]).ok();
    node.run(&["delete", "secret", "keys"]).ok();
    node.finish();
}

#[test]
fn a_pod_waits_for_a_missing_config_map_and_goes_on_when_it_comes() {
    let node = Node::new("missingconfig");
    let pod = node.file("pod.yaml", POD);
    node.run(&["run", "-d", &pod]).ok();
    e2e::node::until("FailedMount", std::time::Duration::from_secs(10), || {
        node.run(&["describe", "pod", "c"])
            .out
            .contains("configmap \"settings\" not found")
    });
    assert_eq!(node.status("c"), "ContainerCreating");
    let objects = node.file("objects.yaml", OBJECTS);
    node.run(&["create", "-f", &objects]).ok();
    node.wait_status("c", &["Completed"]);
    node.finish();
}

#[test]
fn secrets_stay_out_of_command_lines_environments_and_the_daemons_log() {
    let node = Node::new("secretleak");
    node.run(&["create", "-f", &node.file("objects.yaml", OBJECTS)])
        .ok();
    let file = node.file(
        "pod.yaml",
        &POD.replace("echo x > /s/y || true", "sleep 1000"),
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("c", &["Running"]);
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |what: &str| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join(what)).unwrap_or_default())
                .into_owned()
        };
        if read("comm").starts_with("podwright") {
            assert!(
                !read("cmdline").contains("s3cret") && !read("environ").contains("s3cret"),
                "{:?}",
                entry.path()
            );
        }
    }
    let log = std::fs::read_to_string(node.run_dir().join("node.log")).unwrap_or_default();
    assert!(!log.contains("s3cret"));
    node.finish();
}
