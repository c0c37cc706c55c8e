//! What a pod refers to: taken away while it runs, or named as long as names may be.

use super::{kill, start};
use e2e::Node;
use e2e::node::until;
use serde_json::Value;
use std::time::Duration;

fn map(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m}}\ndata: {{colour: {value}}}\n")
}

fn restarts(node: &Node) -> Value {
    node.pod("p")["status"]["containerStatuses"][0]["restartCount"].clone()
}

#[test]
fn a_pod_keeps_what_it_has_of_a_deleted_config_map_and_restarts_with_it() {
    let node = Node::new("gonemap");
    node.run(&["create", "-f", &node.file("map.yaml", &map("blue"))])
        .ok();
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  terminationGracePeriodSeconds: 0\n  \
                volumes: [{name: m, configMap: {name: m}}]\n  containers:\n  \
                - {name: app, image: busybox, command: [sleep, '4001'], volumeMounts: [{name: m, mountPath: /m}]}\n";
    start(&node, "p", text);
    let colour = || node.run(&["exec", "p", "--", "cat", "/m/colour"]).out;
    assert_eq!(colour(), "blue");
    node.run(&["delete", "configmap", "m"]).ok();
    until("a word about it", Duration::from_secs(20), || {
        let said = node.run(&["describe", "pod", "p"]).out;
        said.contains("FailedMount") && said.contains("configmap \"m\" not found")
    });
    assert_eq!(
        (node.status("p").as_str(), colour().as_str()),
        ("Running", "blue")
    );
    kill(node.pid_of("4001"));
    until("its restart", Duration::from_secs(20), || {
        restarts(&node) == 1
    });
    node.wait_status("p", &["Running"]);
    assert_eq!(colour(), "blue");
    // Nor does it trouble the next daemon.
    kill(node.daemon().expect("a daemon"));
    assert_eq!(node.status("p"), "Running");
    kill(node.pid_of("4001"));
    until("another restart", Duration::from_secs(60), || {
        restarts(&node) == 2
    });
    until("what it has", Duration::from_secs(60), || {
        colour() == "blue"
    });
    // What comes back is taken up.
    node.run(&["create", "-f", &node.file("map.yaml", &map("green"))])
        .ok();
    until("the new value", Duration::from_secs(20), || {
        colour() == "green"
    });
    node.run(&["delete", "pod", "p"]).ok();
    // A new pod has nothing that it could keep.
    node.run(&["delete", "configmap", "m"]).ok();
    node.run(&["run", "-d", &node.file("p.yaml", text)]).ok();
    until("a pod that waits", Duration::from_secs(20), || {
        let said = node.run(&["describe", "pod", "p"]).out;
        said.contains("configmap \"m\" not found")
    });
    assert_eq!(node.status("p"), "ContainerCreating");
    node.finish();
}

#[test]
fn config_maps_and_secrets_may_have_the_longest_names_there_are() {
    let node = Node::new("longconfig");
    let (map, secret) = ("m".repeat(253), "s".repeat(253));
    let objects = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {map}}}\ndata: {{k: {value}}}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {{name: {secret}}}\nstringData: {{k: hidden-{value}}}\n"
        )
    };
    let first = node.file("objects.yaml", &objects("one"));
    node.run(&["create", "-f", &first]).ok();
    let again = node.run(&["create", "-f", &first]);
    assert!(again.err.contains("already exists"), "{}", again.err);
    kill(node.daemon().expect("a daemon"));
    let second = node.file("objects.yaml", &objects("two"));
    node.run(&["create", "--replace", "-f", &second]).ok();
    kill(node.daemon().expect("a daemon"));
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  restartPolicy: Never\n  \
         volumes: [{{name: m, configMap: {{name: {map}}}}}, {{name: s, secret: {{secretName: {secret}}}}}]\n  containers:\n  \
         - name: app\n    image: busybox\n    command: [sh, -c, 'echo $(cat /m/k) $(cat /s/k) $ENV']\n    \
         env: [{{name: ENV, valueFrom: {{secretKeyRef: {{name: {secret}, key: k}}}}}}]\n    \
         volumeMounts: [{{name: m, mountPath: /m}}, {{name: s, mountPath: /s}}]\n"
    );
    let said = node.run(&["run", &node.file("p.yaml", &text)]);
    assert_eq!(said.ok(), "two hidden-two hidden-two\n");
    node.run(&["delete", "configmap", &map]).ok();
    node.run(&["delete", "secret", &secret]).ok();
    assert!(!node.run(&["get", "configmaps"]).out.contains("mmm"));
    let left = e2e::leak::files(&node.root().join("records/configs"));
    assert!(left.is_empty(), "{left:?}");
    node.finish();
}
