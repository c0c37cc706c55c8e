//! What only a node with cgroup v2 shows. Run by `hack/vm test` in a guest, and by `hack/test` where the host has v2 itself.

mod apparmor;
mod devices;
mod kill;
mod memory;
mod nodes;
mod stats;

use e2e::Node;
use std::fs;
use std::path::{Path, PathBuf};

/// A fresh node, on cgroup v2 for sure.
fn node(case: &str) -> Node {
    assert!(
        Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        "this host has no cgroup v2 at /sys/fs/cgroup: hack/vm test runs this case in a guest that has"
    );
    Node::new(case)
}

/// A pod of one container that sleeps, with `spec` as further lines of its spec and `container` as further fields of the container.
fn pod(name: &str, spec: &str, container: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n{spec}  containers:\n  - {{name: a, image: busybox, {container}}}\n"
    )
}

/// Creates the pod and waits until it runs.
#[track_caller]
fn run(node: &Node, name: &str, text: &str) {
    let file = node.file(&format!("{name}.yaml"), text);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status(name, &["Running"]);
}

/// Pid of a process of the node that has this word among its arguments, once there is one.
#[track_caller]
fn pid_when(node: &Node, argument: &str) -> u32 {
    let found = || {
        fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
            let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let cgroup = fs::read_to_string(entry.path().join("cgroup")).ok()?;
            let ours = cgroup.contains(node.word()) && command.split('\0').any(|a| a == argument);
            let pid = entry.file_name().to_str()?.parse().ok()?;
            ours.then_some(pid)
        })
    };
    let mut pid = None;
    e2e::node::until(argument, std::time::Duration::from_secs(30), || {
        pid = found();
        pid.is_some()
    });
    pid.unwrap()
}

/// The cgroup folder that a process is in.
fn cgroup_of(pid: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = text.lines().find_map(|l| l.strip_prefix("0::/")).unwrap();
    Path::new("/sys/fs/cgroup").join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .trim()
        .to_owned()
}

/// The folder and all below it.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    let mut at = 0;
    while let Some(place) = all.get(at).cloned() {
        let below = fs::read_dir(place).into_iter().flatten().flatten();
        all.extend(
            below
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                .map(|e| e.path()),
        );
        at += 1;
    }
    all
}
