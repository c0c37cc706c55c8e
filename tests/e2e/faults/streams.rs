//! The terminal of `exec -it`, through a real one.

use super::{named, pod, start};
use e2e::Node;
use e2e::node::until;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A line of podwright in a terminal of its own, which `script` makes.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: PathBuf,
}

impl Terminal {
    fn new(node: &Node, line: &str) -> Self {
        let shown = node.folder().join("shown");
        let own = e2e::node::binary("podwright");
        let line = format!("stty cols 77 rows 33; {} {line}", own.display());
        let mut command = Command::new("script");
        command.args(["-qefc", &line]).arg(&shown);
        for (name, value) in node.command(&[]).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        Self { child, keys, shown }
    }

    fn shows(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.shown).unwrap_or_default()).into_owned()
    }

    /// Waits until it shows that text.
    #[track_caller]
    fn wait(&self, text: &str) {
        let end = Instant::now() + e2e::patient(Duration::from_secs(30));
        while !self.shows().contains(text) {
            assert!(Instant::now() < end, "{text:?} is not in\n{}", self.shows());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn exec_in_a_terminal_has_its_size_its_control_keys_and_its_exit_status() {
    let node = Node::new("terminal");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let mut terminal = Terminal::new(&node, "exec -it p -- sh");
    terminal.wait("/ # ");
    terminal.types("stty size; tty; echo ready-$((1 + 1))\n");
    terminal.wait("ready-2");
    for part in ["33 77", "/dev/pts/"] {
        assert!(
            terminal.shows().contains(part),
            "{part}: {}",
            terminal.shows()
        );
    }
    terminal.types("sleep 4001\n");
    until("the command", Duration::from_secs(10), || {
        named(&node, "sleep").len() == 2
    });
    terminal.types("\u{3}");
    until("its end by Ctrl-C", Duration::from_secs(10), || {
        named(&node, "sleep").len() == 1
    });
    terminal.types("echo after-$?\n");
    terminal.wait("after-130");
    terminal.types("exit 42\n");
    let status = terminal.child.wait().unwrap();
    assert_eq!(status.code(), Some(42), "{}", terminal.shows());
    drop(terminal);
    node.finish();
}
