//! Volumes: what containers see of them, and what is left of them.

use e2e::Node;
use std::fs;

/// A pod whose one app runs a script with these volumes (YAML list items) and mounts, and ends.
fn once(name: &str, volumes: &str, mounts: &str, script: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  volumes: [{volumes}]
  containers:
  - {{name: app, image: busybox, command: [sh, -c, {script:?}], volumeMounts: [{mounts}]}}
"#
    )
}

#[track_caller]
fn output(node: &Node, text: &str) -> String {
    let file = node.file("pod.yaml", text);
    let outcome = node.run(&["run", &file]);
    outcome.ok().to_owned()
}

#[test]
fn an_empty_dir_is_0777_and_goes_with_its_pod() {
    let node = Node::new("emptydir");
    let text = once(
        "e",
        "{name: d, emptyDir: {}}, {name: m, emptyDir: {medium: Memory, sizeLimit: 1Mi}}",
        "{name: d, mountPath: /d}, {name: m, mountPath: /m}",
        "stat -c %a /d /m; mount | grep ' /m ' | grep -o 'tmpfs.*size=1024k' | cut -c1-5; dd if=/dev/zero of=/m/x bs=1M count=2 2>/dev/null || echo full",
    );
    assert_eq!(output(&node, &text), "777\n777\ntmpfs\nfull\n");
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn host_paths_are_checked_as_their_type_asks() {
    let node = Node::new("hostpath");
    let base = node.folder().join("h");
    fs::create_dir(&base).unwrap();
    fs::write(base.join("file"), "text").unwrap();
    let volume = |kind: &str, path: &str| {
        format!(
            "{{name: h, hostPath: {{path: {}, type: {kind}}}}}",
            base.join(path).display()
        )
    };
    let mounts = "{name: h, mountPath: /h}";
    assert_eq!(
        output(&node, &once("a", &volume("File", "file"), mounts, "cat /h")),
        "text"
    );
    assert_eq!(
        output(
            &node,
            &once(
                "b",
                &volume("DirectoryOrCreate", "new/dir"),
                mounts,
                "stat -c %a /h"
            )
        ),
        "755\n"
    );
    assert!(base.join("new/dir").is_dir());
    assert_eq!(
        output(
            &node,
            &once(
                "c",
                &volume("FileOrCreate", "made"),
                mounts,
                "stat -c %a /h"
            )
        ),
        "644\n"
    );
    let wrong = node.file(
        "wrong.yaml",
        &once("d", &volume("Directory", "file"), mounts, "true"),
    );
    node.run(&["run", "-d", &wrong]).ok();
    let pod = e2e_wait_message(&node, "d");
    assert!(
        pod.contains(&format!(
            "MountVolume.SetUp failed for volume \"h\" : hostPath type check failed: {} is not a directory",
            base.join("file").display()
        )),
        "{pod}"
    );
    // No container has failed: the pod waits, and goes on by itself.
    assert_eq!(node.status("d"), "ContainerCreating");
    std::fs::remove_file(base.join("file")).unwrap();
    std::fs::create_dir(base.join("file")).unwrap();
    node.run(&["retry", "d"]).ok();
    node.wait_status("d", &["Completed"]);
    node.finish();
}

/// Everything that events and status say of a pod once it cannot go on.
fn e2e_wait_message(node: &Node, name: &str) -> String {
    let mut text = String::new();
    e2e::node::until(
        "an event that says what is wrong",
        std::time::Duration::from_secs(10),
        || {
            text = node.run(&["describe", "pod", name]).out;
            text.contains("Warning")
        },
    );
    text
}

#[test]
fn sub_paths_are_made_and_cannot_climb_out() {
    let node = Node::new("subpath");
    let base = node.folder().join("s");
    fs::create_dir_all(base.join("in")).unwrap();
    std::os::unix::fs::symlink("/etc", base.join("out")).unwrap();
    let volume = format!("{{name: h, hostPath: {{path: {}}}}}", base.display());
    let made = once(
        "a",
        &volume,
        "{name: h, mountPath: /m, subPath: in/deep}",
        "echo hello > /m/x",
    );
    output(&node, &made);
    assert_eq!(
        fs::read_to_string(base.join("in/deep/x")).unwrap(),
        "hello\n"
    );
    let climbing = node.file(
        "c.yaml",
        &once(
            "c",
            &volume,
            "{name: h, mountPath: /m, subPath: out}",
            "ls /m",
        ),
    );
    let outcome = node.run(&["run", "-d", &climbing]);
    outcome.ok();
    let said = e2e_wait_message(&node, "c");
    assert!(
        said.contains("subPath directory for volumeMount \"h\" of container \"app\""),
        "{said}"
    );
    node.finish();
}

#[test]
fn a_read_only_mount_refuses_writes() {
    let node = Node::new("readonly");
    let text = once(
        "r",
        "{name: d, emptyDir: {}}",
        "{name: d, mountPath: /d, readOnly: true}",
        "(echo x > /d/x) 2>/dev/null || echo refused",
    );
    assert_eq!(output(&node, &text), "refused\n");
    node.finish();
}

#[test]
fn fs_group_owns_volumes() {
    let node = Node::new("fsgroup");
    let text = once(
        "f",
        "{name: d, emptyDir: {}}",
        "{name: d, mountPath: /d}",
        "stat -c '%g %a' /d; id -G",
    )
    .replace(
        "spec:\n",
        "spec:\n  securityContext: {fsGroup: 2000, runAsUser: 1000}\n",
    );
    assert_eq!(output(&node, &text), "2000 2777\n0 2000\n");
    node.finish();
}

#[test]
fn hosts_hostname_and_resolv_conf_are_the_pods_own() {
    let node = Node::new("etcfiles");
    let text = once("etc", "", "", "cat /etc/hostname; grep -c Kubernetes-managed /etc/hosts; grep myalias /etc/hosts; cat /etc/resolv.conf")
        .replace("spec:\n", "spec:\n  hostAliases: [{ip: 192.0.2.7, hostnames: [myalias]}]\n  dnsPolicy: None\n  dnsConfig: {nameservers: [192.0.2.9], searches: [a.test]}\n");
    assert_eq!(
        output(&node, &text),
        "etc\n1\n192.0.2.7\tmyalias\nsearch a.test\nnameserver 192.0.2.9\n"
    );
    node.finish();
}

#[test]
fn mounts_travel_out_of_a_bidirectional_mount_and_a_private_one_is_refused() {
    let node = Node::new("propagation");
    let base = node.folder().join("p");
    fs::create_dir(&base).unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new("mount").args(arguments).status();
        assert!(status.unwrap().success(), "mount {arguments:?}");
    };
    let path = base.display().to_string();
    mount(&["-t", "tmpfs", "t", &path]);
    mount(&["--make-private", &path]);
    let volume = format!("{{name: h, hostPath: {{path: {path}}}}}");
    let mounts = "{name: h, mountPath: /h, mountPropagation: Bidirectional}";
    let script = "mkdir -p /h/in && mount -t tmpfs inner /h/in && touch /h/in/seen";
    let text = once("b", &volume, mounts, script).replace(
        "image: busybox",
        "image: busybox, securityContext: {privileged: true}",
    );
    let file = node.file("pod.yaml", &text);
    node.run(&["run", "-d", &file]).ok();
    let said = e2e_wait_message(&node, "b");
    assert!(said.contains("but it is not a shared mount"), "{said}");
    node.run(&["delete", "pod", "b", "--now"]).ok();
    mount(&["--make-shared", &path]);
    let outcome = node.run(&["run", &file]);
    let seen = base.join("in/seen").exists();
    // Unmounted before anything can fail: the leak check and the folder's removal come after.
    for place in [base.join("in"), base.clone()] {
        let _ = std::process::Command::new("umount")
            .arg(&place)
            .stderr(std::process::Stdio::null())
            .status();
    }
    outcome.ok();
    assert!(seen, "the mount did not travel");
    node.finish();
}
