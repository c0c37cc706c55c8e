//! A container that somebody else has frozen: R21.

use super::{kill, pod, start};
use e2e::Node;
use e2e::node::until;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The cgroup of a process in the hierarchy that freezes, and how to freeze it and see that it is.
pub(super) struct Freezer {
    folder: PathBuf,
    v1: bool,
}

impl Freezer {
    pub(super) fn of(pid: u32) -> Self {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        match text.lines().find_map(|l| l.split_once(":freezer:")) {
            Some((_, path)) => Self {
                folder: PathBuf::from(format!("/sys/fs/cgroup/freezer{path}")),
                v1: true,
            },
            None => Self {
                folder: PathBuf::from(format!(
                    "/sys/fs/cgroup{}",
                    text.trim().trim_start_matches("0::")
                )),
                v1: false,
            },
        }
    }

    /// Freezes it, and comes back when it is frozen.
    pub(super) fn freeze(&self) {
        let (file, word) = match self.v1 {
            true => ("freezer.state", "FROZEN"),
            false => ("cgroup.freeze", "1"),
        };
        fs::write(self.folder.join(file), word).unwrap();
        until("a frozen cgroup", Duration::from_secs(10), || {
            self.is_frozen()
        });
    }

    fn is_frozen(&self) -> bool {
        let (file, word) = match self.v1 {
            true => ("freezer.state", "FROZEN"),
            false => ("cgroup.events", "frozen 1"),
        };
        fs::read_to_string(self.folder.join(file)).is_ok_and(|t| t.contains(word))
    }

    fn thaw(&self) {
        let (file, word) = match self.v1 {
            true => ("freezer.state", "THAWED"),
            false => ("cgroup.freeze", "0"),
        };
        fs::write(self.folder.join(file), word).unwrap();
    }
}

#[test]
fn r21_a_frozen_container_holds_up_no_other_and_goes_on_when_it_is_thawed() {
    let node = Node::new("r21thaw");
    start(
        &node,
        "p",
        &pod("p", "until [ -e /tmp/go ]; do sleep 0.02; done; exit 37"),
    );
    start(&node, "q", &pod("q", "exec sleep 2102"));
    let app = node.pid_of("until [ -e /tmp/go ]; do sleep 0.02; done; exit 37");
    let freezer = Freezer::of(app);
    freezer.freeze();
    // What joined it would wait in there, and its client with it.
    let refused = node.run(&["exec", "p", "--", "touch", "/tmp/go"]);
    assert_ne!(refused.status, 0);
    assert!(refused.err.contains("is frozen"), "{}", refused.err);
    assert_eq!(
        node.run(&["exec", "q", "--", "echo", "free"]).ok(),
        "free\n"
    );
    assert_eq!(node.status("p"), "Running");
    kill(node.daemon().expect("a daemon"));
    assert_eq!(node.status("p"), "Running");
    assert!(freezer.is_frozen(), "nobody has asked for its end");
    freezer.thaw();
    // It may be killed with the container, whose end it brings about.
    node.run(&["exec", "p", "--", "touch", "/tmp/go"]);
    node.wait_status("p", &["Error"]);
    assert_eq!(super::terminated(&node, "p")["exitCode"], 37);
    node.finish();
}

#[test]
fn r21_frozen_containers_are_deleted_by_force_by_grace_and_by_the_next_daemon() {
    let node = Node::new("r21delete");
    for (n, flags) in [
        &["--force"][..],
        &["--grace-period", "1"][..],
        &["--grace-period", "1", "--wait=false"][..],
    ]
    .into_iter()
    .enumerate()
    {
        let word = format!("31{n}0");
        start(&node, "p", &pod("p", &format!("exec sleep {word}")));
        let freezer = Freezer::of(node.pid_of(&word));
        freezer.freeze();
        let began = Instant::now();
        let mut line = vec!["delete", "pod", "p"];
        line.extend(flags);
        node.run(&line).ok();
        if flags.contains(&"--wait=false") {
            kill(node.daemon().expect("a daemon"));
            node.run(&["get", "pods"]).ok();
        }
        until("the end of the pod", Duration::from_secs(15), || {
            node.status("p").is_empty()
        });
        node.nothing_left_of_pods();
        assert!(
            began.elapsed() < e2e::patient(Duration::from_secs(15)),
            "{flags:?}: {:?}",
            began.elapsed()
        );
    }
    node.finish();
}
