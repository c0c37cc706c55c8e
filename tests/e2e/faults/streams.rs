//! The terminal of `exec -it`, through a real one.

use super::{pod, start};
use e2e::Node;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Runs a line of podwright in a terminal of its own, made by `script`, types `input` into it and gives what it showed.
fn in_terminal(node: &Node, line: &str, input: &str) -> (i32, String) {
    let shown = node.folder().join("shown");
    let own = e2e::node::binary("podwright");
    let mut command = Command::new("script");
    command
        .args([
            "-qefc",
            &format!("stty cols 77 rows 33; {} {line}", own.display()),
        ])
        .arg(&shown);
    for (name, value) in node.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    e2e::node::until("the shell's prompt", Duration::from_secs(20), || {
        fs::read_to_string(&shown).is_ok_and(|t| t.contains("# ") || t.contains("$ "))
    });
    std::io::Write::write_all(&mut to, input.as_bytes()).unwrap();
    let status = child.wait().unwrap();
    drop(to);
    (
        status.code().unwrap_or(-1),
        String::from_utf8_lossy(&fs::read(&shown).unwrap()).into_owned(),
    )
}

#[test]
fn exec_in_a_terminal_has_its_size_its_control_keys_and_its_exit_status() {
    let node = Node::new("terminal");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let typed = "stty size\ntty\nsleep 1000\n\u{3}echo after-$?\nexit 42\n";
    let (status, shown) = in_terminal(&node, "exec -it p -- sh", typed);
    assert_eq!(status, 42, "{shown}");
    for part in ["33 77", "/dev/pts/", "after-130"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    node.finish();
}
