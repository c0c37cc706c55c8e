//! A reboot: pods, images, volumes and logs are there again; nothing of what ran is said to run on.

use super::{DISK, RUN, create, import, in_the_guest, ok, pod, pods, podwright, until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

const NAMES: [&str; 4] = ["always", "ended", "never", "onfailure"];

fn manifest(name: &str, policy: &str, end: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: {policy}\n  terminationGracePeriodSeconds: 0\n  \
         volumes: [{{name: v, emptyDir: {{}}}}]\n  containers:\n  - name: a\n    image: busybox\n    volumeMounts: [{{name: v, mountPath: /v}}]\n    \
         command: [sh, -c, 'echo x >> /v/f; echo start $(wc -l < /v/f); {end}']\n"
    )
}

/// What is compared across the boot.
fn kept() -> Value {
    let uids: Vec<Value> = NAMES
        .iter()
        .map(|n| pod(n)["metadata"]["uid"].clone())
        .collect();
    let images: Value = serde_json::from_str(&ok(&["image", "ls", "-o", "json"])).unwrap();
    json!({"uids": uids, "images": images})
}

fn container(name: &str) -> Value {
    pod(name)["status"]["containerStatuses"][0].clone()
}

/// How a container is said to have ended that was gone with the boot: 137 is the kubelet's code for it, 255 the runtime's, 0 would be a lie.
#[track_caller]
fn lost(ended: &Value) {
    assert_eq!(ended["reason"], "ContainerStatusUnknown", "{ended}");
    let code = ended["exitCode"].as_i64();
    assert!(matches!(code, Some(137 | 255)), "{ended}");
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap()
}

#[test]
fn first() {
    in_the_guest();
    import("busybox");
    let pods = [
        manifest("always", "Always", "sleep 1000"),
        manifest("onfailure", "OnFailure", "sleep 1000"),
        manifest("never", "Never", "sleep 1000"),
        manifest("ended", "Never", "exit 5"),
    ];
    create(&pods.join("---\n"));
    for name in ["always", "onfailure", "never"] {
        until(name, || {
            podwright(&["logs", name]).1 == "start 1\n"
                && container(name)["state"]["running"].is_object()
        });
    }
    until("the end of one", || {
        container("ended")["state"]["terminated"]["exitCode"] == 5
    });
    fs::write(format!("{DISK}/kept.json"), kept().to_string()).unwrap();
    fs::write(format!("{DISK}/boot_id"), boot_id()).unwrap();
    // As a machine does that is shut down in order.
    let node: Value = serde_json::from_str(&ok(&["version", "-o", "json"])).unwrap();
    let daemon = node["node"]["pid"].to_string();
    let told = Command::new("kill").args(["-TERM", &daemon]).status();
    assert!(told.unwrap().success());
    until("the daemon's end", || {
        !Path::new(&format!("/proc/{daemon}")).exists()
    });
}

#[test]
fn second() {
    in_the_guest();
    assert_ne!(
        fs::read_to_string(format!("{DISK}/boot_id")).unwrap(),
        boot_id(),
        "the same boot"
    );
    assert!(!Path::new(RUN).exists(), "{RUN} has survived");
    let mut names = pods();
    names.sort();
    assert_eq!(names, NAMES);
    let before: Value =
        serde_json::from_str(&fs::read_to_string(format!("{DISK}/kept.json")).unwrap()).unwrap();
    assert_eq!(kept(), before);
    // That is a failure like any other: OnFailure starts again, too. Its volume is the one it had.
    for name in ["always", "onfailure"] {
        until(name, || podwright(&["logs", name]).1 == "start 2\n");
        let now = container(name);
        assert_eq!(now["restartCount"], 1, "{now}");
        let last = &now["lastState"]["terminated"];
        lost(last);
        assert_eq!(ok(&["logs", name, "--previous"]), "start 1\n");
    }
    until("the end of what may not restart", || {
        container("never")["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    });
    lost(&container("never")["state"]["terminated"]);
    assert_eq!(pod("never")["status"]["phase"], "Failed");
    assert_eq!(ok(&["logs", "never"]), "start 1\n");
    assert_eq!(
        container("ended")["state"]["terminated"]["exitCode"],
        json!(5)
    );
    assert_eq!(ok(&["logs", "ended"]), "start 1\n");
    ok(&["delete", "pod", "--all"]);
    ok(&["reset", "--yes"]);
    assert!(!Path::new("/sys/fs/cgroup/pwboots").exists());
    let left: Vec<_> = fs::read_dir(format!("{DISK}/root"))
        .map(|d| d.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
}
