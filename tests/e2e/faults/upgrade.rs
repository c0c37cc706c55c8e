//! The program is replaced while pods run, and records of the version before are read.

use super::{kill, pod, start};
use e2e::Node;
use std::fs;
use std::path::Path;

/// What the version before this one left on disk and on the wire.
const BEFORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/records-1");

/// Copies a tree of plain files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

#[test]
fn r31_records_of_the_version_before_are_read() {
    let node = Node::new("r31records");
    node.run(&["get", "pods"]).ok();
    kill(node.daemon().expect("a daemon"));
    copy(
        &Path::new(BEFORE).join("records"),
        &node.root().join("records"),
    );
    // One that had ended, one that ran when the machine went down and may run again, and a ConfigMap.
    assert_eq!(node.status("ended"), "Error");
    let ended = &node.pod("ended")["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["exitCode"], serde_json::Value::from(5));
    node.wait_status("ran", &["Running"]);
    let ran = node.pod("ran");
    assert_eq!(
        ran["metadata"]["labels"]["app"],
        serde_json::Value::from("x")
    );
    assert!(node.run(&["get", "configmaps"]).ok().contains("settings"));
    let broken = e2e::leak::files(&node.root().join("records"));
    assert!(
        !broken
            .iter()
            .any(|f| f.to_string_lossy().ends_with(".broken")),
        "{broken:?}"
    );
    node.finish();
}

#[test]
fn r31_a_new_program_takes_over_the_pods_of_the_old_one() {
    let node = Node::new("r31live");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let before = node.pod("p")["status"]["containerStatuses"][0]["containerID"].clone();
    kill(node.daemon().expect("a daemon"));
    // As an update does it: other files at another place, of the same names.
    let new = node.folder().join("new");
    fs::create_dir(&new).unwrap();
    for name in [
        "podwright",
        "podwright-supervisor",
        "podwright-launch",
        "podwright-pause",
    ] {
        fs::copy(e2e::node::binary(name), new.join(name)).unwrap();
    }
    let mut command = std::process::Command::new(new.join("podwright"));
    command.args(["get", "pods"]);
    for (name, value) in node.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let daemon = node.daemon().expect("a daemon");
    let program = fs::read_link(format!("/proc/{daemon}/exe")).unwrap();
    assert!(program.starts_with(&new), "{program:?}");
    assert_eq!(node.status("p"), "Running");
    assert_eq!(
        node.pod("p")["status"]["containerStatuses"][0]["containerID"],
        before
    );
    assert_eq!(
        node.run(&["exec", "p", "--", "echo", "adopted"]).ok(),
        "adopted\n"
    );
    node.run(&["delete", "pod", "p"]).ok();
    node.finish();
}
