//! The disk of the state is full.

use super::{pod, start, tool};
use e2e::Node;
use std::fs;

/// A node whose state lies on a small disk of its own.
fn small(case: &str, size: &str) -> Node {
    let node = Node::empty(case);
    fs::create_dir(node.root()).unwrap();
    let options = format!("size={size},mode=0700");
    tool(&[
        "mount",
        "-t",
        "tmpfs",
        "-o",
        &options,
        "none",
        node.root().to_str().unwrap(),
    ]);
    node.run(&[
        "image",
        "import",
        e2e::node::image().to_str().unwrap(),
        "--name",
        "busybox",
    ])
    .ok();
    node
}

/// Takes every byte and every name that is left.
fn fill(node: &Node) {
    let _ = fs::write(node.root().join("filler"), vec![0; 64 << 20]);
    for i in 0.. {
        if fs::write(node.root().join(format!("seccomp-{i}")), vec![1; 4096]).is_err() {
            break;
        }
    }
}

fn free(node: &Node) {
    for entry in fs::read_dir(node.root()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("seccomp-") || name == "filler" {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// Takes the disk away, so that the leak check finds an ordinary node.
fn leave(node: &Node) {
    node.run(&["reset", "--yes"]).ok();
    tool(&["umount", node.root().to_str().unwrap()]);
}

#[test]
fn r06_on_a_full_disk_a_new_pod_is_refused_by_step_and_running_ones_live_and_can_be_deleted() {
    let node = small("r06", "24m");
    start(&node, "old", &pod("old", "exec sleep 1000"));
    let before = node.pod("old");
    fill(&node);
    let file = node.file("new.yaml", &pod("new", "exec sleep 1000"));
    let refused = node.run(&["run", "-d", &file]);
    assert_ne!(refused.status, 0, "a pod was accepted on a full disk");
    assert!(
        refused.err.contains("No space left on device") && refused.err.contains("keep"),
        "{}",
        refused.err
    );
    // Nothing half made; the old one is as it was.
    assert_eq!(node.status("new"), "");
    let after = node.pod("old");
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert_eq!(node.status("old"), "Running");
    assert_eq!(
        node.run(&["exec", "old", "--", "echo", "alive"]).ok(),
        "alive\n"
    );
    // Not even a restart of the daemon needs room.
    super::kill(node.daemon().expect("a daemon"));
    assert_eq!(node.status("old"), "Running");
    node.run(&["delete", "pod", "old"]).ok();
    assert_eq!(node.status("old"), "");
    free(&node);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("new", &["Running"]);
    leave(&node);
    node.finish();
}

#[test]
fn r06_an_image_that_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let node = small("r06image", "24m");
    fill(&node);
    let refused = node.run(&[
        "image",
        "import",
        e2e::node::image().to_str().unwrap(),
        "--name",
        "other",
    ]);
    assert_ne!(refused.status, 0);
    free(&node);
    assert!(!node.run(&["image", "ls"]).ok().contains("other"));
    let fits = node.file("p.yaml", &pod("p", "echo fits"));
    assert_eq!(node.run(&["run", &fits]).ok(), "fits\n");
    leave(&node);
    node.finish();
}
