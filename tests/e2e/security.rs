//! What containers may do: ids, capabilities, seccomp, masked paths, the root file system.

use e2e::Node;

fn once(context: &str, script: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: s}}
spec:
  restartPolicy: Never
  containers:
  - {{name: app, image: busybox, command: [sh, -c, {script:?}], securityContext: {{{context}}}}}
"#
    )
}

#[track_caller]
fn output(node: &Node, context: &str, script: &str) -> String {
    let file = node.file("pod.yaml", &once(context, script));
    node.run(&["run", &file]).ok().to_owned()
}

const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'";

#[test]
fn containers_get_the_default_capabilities_and_nothing_inheritable() {
    let node = Node::new("caps");
    let got = output(&node, "", STATUS);
    let wanted = "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\nCapBnd:00000000a80425fb\nCapAmb:0000000000000000\nNoNewPrivs:0\nSeccomp:0\n";
    assert_eq!(got, wanted);
    node.finish();
}

#[test]
fn capabilities_can_be_dropped_and_added() {
    let node = Node::new("capsadd");
    let got = output(
        &node,
        "capabilities: {drop: [ALL], add: [NET_ADMIN]}",
        "grep CapEff /proc/self/status | tr -d '\\t'",
    );
    assert_eq!(got, "CapEff:0000000000001000\n");
    let got = output(
        &node,
        "runAsUser: 1000, runAsGroup: 3000",
        "id -u; id -g; grep -E 'Cap(Eff|Prm)' /proc/self/status | tr -d '\\t'",
    );
    assert_eq!(
        got,
        "1000\n3000\nCapPrm:0000000000000000\nCapEff:0000000000000000\n"
    );
    node.finish();
}

#[test]
fn the_default_seccomp_profile_is_in_force_when_it_is_asked_for() {
    let node = Node::new("seccomp");
    let context = "seccompProfile: {type: RuntimeDefault}, allowPrivilegeEscalation: false";
    let got = output(
        &node,
        context,
        "grep -E '^(NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'; unshare -r true 2>/dev/null || echo denied",
    );
    assert_eq!(got, "NoNewPrivs:1\nSeccomp:2\ndenied\n");
    node.finish();
}

#[test]
fn a_read_only_root_refuses_writes_and_masked_paths_are_empty() {
    let node = Node::new("rootfs");
    let got = output(
        &node,
        "readOnlyRootFilesystem: true",
        "touch /x 2>/dev/null || echo refused; cat /proc/keys | wc -c; touch /proc/sys/kernel/core_pattern 2>/dev/null || echo readonly; (echo h > /proc/sys/kernel/hostname) 2>/dev/null || echo readonly",
    );
    assert_eq!(got, "refused\n0\nreadonly\nreadonly\n");
    node.finish();
}

#[test]
fn a_privileged_container_sets_a_kernel_parameter_that_the_app_sees() {
    // Walkthrough W6.
    let node = Node::new("w6");
    let file = node.file(
        "pod.yaml",
        r#"
apiVersion: v1
kind: Pod
metadata: {name: w6}
spec:
  restartPolicy: Never
  initContainers:
  - {name: tune, image: busybox, command: [sysctl, -w, net.core.somaxconn=1234], securityContext: {privileged: true}}
  containers:
  - {name: app, image: busybox, command: [sh, -c, "cat /proc/sys/net/core/somaxconn; sysctl -w net.core.somaxconn=99 2>/dev/null || echo refused"]}
"#,
    );
    let outcome = node.run(&["run", &file]);
    let app: Vec<&str> = outcome
        .ok()
        .lines()
        .filter_map(|l| l.strip_prefix("[app] "))
        .collect();
    assert_eq!(app, ["1234", "refused"], "{}", outcome.out);
    node.finish();
}

#[test]
fn run_as_non_root_refuses_an_image_that_runs_as_root() {
    let node = Node::new("nonroot");
    let file = node.file("pod.yaml", &once("runAsNonRoot: true", "true"));
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("s", &["CreateContainerConfigError"]);
    let said = node.run(&["describe", "pod", "s"]);
    assert!(
        said.ok()
            .contains("container has runAsNonRoot and image will run as root"),
        "{}",
        said.out
    );
    node.finish();
}

#[test]
fn devices_are_filtered_and_only_the_standard_descriptors_are_open() {
    let node = Node::new("devices");
    let got = output(
        &node,
        "",
        "mknod /tmp/mem c 1 1 && (head -c1 /tmp/mem >/dev/null 2>&1 || echo denied); echo /proc/self/fd/* | tr ' ' '\\n' | grep -vE '/[0-2]$' | wc -l",
    );
    // The glob itself opens the folder: one descriptor besides the three.
    assert_eq!(got, "denied\n1\n");
    node.finish();
}
