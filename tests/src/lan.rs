//! A node with the bridge network, for cases that run [`apart`](crate::apart()): nothing touches the machine's links.

use crate::node::{Node, Outcome, binary, until};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A node on a bridge, with the images of the walkthroughs: `busybox` (that of 1.28), `busybox:1.28`, `nginx`, `alpine/curl:7.83`,
/// `alpine:3.18`.
pub fn node(case: &str) -> Node {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(up.is_ok_and(|s| s.success()), "ip link set lo up");
    let node = Node::empty(case)
        .with("PODWRIGHT_NETWORK", "bridge")
        .with("PODWRIGHT_BRIDGE", "pwtest");
    for (tag, name) in [
        ("busybox128", "busybox"),
        ("busybox128", "busybox:1.28"),
        ("nginx", "nginx"),
        ("curl", "alpine/curl:7.83"),
        ("alpine", "alpine:3.18"),
    ] {
        node.run(&["image", "import", &image(tag), "--name", name])
            .ok();
    }
    node
}

/// One of them, to import.
pub fn image(tag: &str) -> String {
    format!("{}:{tag}", images().display())
}

/// The images that `hack/walkthrough-images` made.
fn images() -> PathBuf {
    let path = binary("podwright").with_file_name("walkthrough-images");
    assert!(
        path.exists(),
        "{} is missing: run hack/walkthrough-images {0}",
        path.display()
    );
    path
}

/// An example of the project, by its name.
pub fn example(name: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path.display().to_string()
}

/// Waits until a command prints this.
#[track_caller]
pub fn shows(node: &Node, arguments: &[&str], wanted: &str) -> Outcome {
    let mut last = None;
    until(
        &format!("{wanted:?} of {}", arguments.join(" ")),
        Duration::from_secs(60),
        || {
            let outcome = node.run(arguments);
            let found = outcome.out.contains(wanted);
            last = Some(outcome);
            found
        },
    );
    last.expect("a command was run")
}

/// Pids of name servers in this process namespace.
pub fn name_servers() -> Vec<u32> {
    processes("podwright-dns")
}

/// Pids of processes of that name.
pub fn processes(name: &str) -> Vec<u32> {
    let output = Command::new("pgrep")
        .args(["-x", name])
        .stdin(Stdio::null())
        .output()
        .expect("pgrep");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|l| l.parse().ok()).collect()
}
