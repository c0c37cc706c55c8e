//! Processes that do not end as asked: frozen, stuck in the kernel, deaf to signals, in the host's namespace.

use super::{named, pod, start, tool};
use e2e::Node;
use e2e::node::until;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The folder of a process's cgroup in the hierarchy that freezes, and how to freeze it.
fn freezer(pid: u32) -> (PathBuf, &'static str, &'static str) {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let v1 = text.lines().find_map(|l| l.split_once(":freezer:"));
    match v1 {
        Some((_, path)) => (
            PathBuf::from(format!("/sys/fs/cgroup/freezer{path}")),
            "freezer.state",
            "FROZEN",
        ),
        None => {
            let path = text.trim().trim_start_matches("0::");
            (
                PathBuf::from(format!("/sys/fs/cgroup{path}")),
                "cgroup.freeze",
                "1",
            )
        }
    }
}

#[test]
fn r20_a_frozen_container_is_stopped_within_its_bound() {
    let node = Node::new("r20frozen");
    start(&node, "p", &pod("p", "exec sleep 2001"));
    start(&node, "q", &pod("q", "exec sleep 2002"));
    let (folder, file, frozen) = freezer(node.pid_of("2001"));
    fs::write(folder.join(file), frozen).unwrap();
    let began = Instant::now();
    node.run(&["delete", "pod", "p", "--grace-period", "1"])
        .ok();
    assert!(
        began.elapsed() < e2e::patient(Duration::from_secs(15)),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(node.status("q"), "Running");
    node.finish();
}

/// A file system that can be frozen: whoever writes to it then cannot be killed.
struct Frozen {
    disk: PathBuf,
    place: PathBuf,
}

impl Frozen {
    fn new(node: &Node) -> Self {
        let (disk, place) = (node.folder().join("disk"), node.folder().join("place"));
        fs::File::create(&disk).unwrap().set_len(16 << 20).unwrap();
        fs::create_dir(&place).unwrap();
        tool(&["mkfs.ext4", "-q", disk.to_str().unwrap()]);
        tool(&[
            "mount",
            "-o",
            "loop",
            disk.to_str().unwrap(),
            place.to_str().unwrap(),
        ]);
        Self { disk, place }
    }

    fn set(&self, how: &str) {
        tool(&["fsfreeze", how, self.place.to_str().unwrap()]);
    }
}

/// Whatever becomes of the case: nobody shall wait for this file system for ever.
impl Drop for Frozen {
    fn drop(&mut self) {
        let place = self.place.to_str().unwrap();
        let _ = Command::new("fsfreeze").args(["-u", place]).output();
        let _ = Command::new("umount").args(["-l", place]).output();
        let _ = fs::remove_file(&self.disk);
    }
}

#[test]
fn r20_a_container_that_cannot_be_killed_holds_up_nobody_else_and_is_removed_later() {
    let node = Node::new("r20stuck");
    let frozen = Frozen::new(&node);
    let script = "until [ -e /tmp/go ]; do sleep 0.02; done; echo x > /v/file";
    let volume = format!(
        "  volumes: [{{name: v, hostPath: {{path: {}}}}}]\n  containers:",
        frozen.place.display()
    );
    let text = pod("stuck", script)
        .replace("  containers:", &volume)
        .replace(
            "{name: app,",
            "{name: app, volumeMounts: [{name: v, mountPath: /v}],",
        );
    start(&node, "stuck", &text);
    start(&node, "other", &pod("other", "exec sleep 1000"));
    let pid = node.pid_of(script);
    frozen.set("-f");
    node.run(&["exec", "stuck", "--", "touch", "/tmp/go"]).ok();
    until(
        "a process that cannot be killed",
        Duration::from_secs(10),
        || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|s| s.contains(") D "))
        },
    );
    let began = Instant::now();
    let late = node.run(&[
        "delete",
        "pod",
        "stuck",
        "--grace-period",
        "1",
        "--timeout",
        "3s",
    ]);
    assert_ne!(late.status, 0, "it is said to be gone: {}", late.out);
    assert!(
        began.elapsed() < e2e::patient(Duration::from_secs(10)),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(node.status("stuck"), "Terminating");
    // Everybody else goes on, and the daemon answers.
    assert_eq!(
        node.run(&["exec", "other", "--", "echo", "fine"]).ok(),
        "fine\n"
    );
    let file = node.file("new.yaml", &pod("new", "echo new"));
    assert_eq!(node.run(&["run", &file]).ok(), "new\n");
    node.run(&["delete", "pod", "other", "--force"]).ok();
    frozen.set("-u");
    node.nothing_left_of_pods();
    assert_eq!(node.status("stuck"), "");
    drop(frozen);
    node.finish();
}

#[test]
fn r23_a_deaf_process_is_killed_at_the_end_of_its_grace_and_a_second_stop_shortens_it() {
    let node = Node::new("r23");
    let deaf = |name: &str| pod(name, "trap '' TERM; while true; do sleep 0.05; done");
    start(&node, "p", &deaf("p"));
    let began = Instant::now();
    node.run(&["delete", "pod", "p", "--grace-period", "2"])
        .ok();
    let took = began.elapsed();
    assert!(
        (Duration::from_millis(1900)..e2e::patient(Duration::from_secs(6))).contains(&took),
        "{took:?}"
    );
    start(&node, "q", &deaf("q"));
    let began = Instant::now();
    node.run(&[
        "delete",
        "pod",
        "q",
        "--grace-period",
        "600",
        "--wait=false",
    ])
    .ok();
    node.wait_status("q", &["Terminating"]);
    node.run(&["delete", "pod", "q", "--grace-period", "1"])
        .ok();
    assert!(
        began.elapsed() < e2e::patient(Duration::from_secs(10)),
        "{:?}",
        began.elapsed()
    );
    // And by force, at once.
    start(&node, "r", &deaf("r"));
    let began = Instant::now();
    node.run(&[
        "delete",
        "pod",
        "r",
        "--grace-period",
        "600",
        "--wait=false",
    ])
    .ok();
    node.run(&["delete", "pod", "r", "--force"]).ok();
    node.nothing_left_of_pods();
    assert!(
        began.elapsed() < e2e::patient(Duration::from_secs(10)),
        "{:?}",
        began.elapsed()
    );
    node.finish();
}

#[test]
fn r29_exec_is_allowed_in_the_grace_period_ends_with_the_container_and_is_refused_after() {
    let node = Node::new("r29");
    start(
        &node,
        "p",
        &pod("p", "trap '' TERM; while true; do sleep 0.05; done"),
    );
    // Long enough to ask something meanwhile.
    let grace = e2e::patient(Duration::from_secs(3)).as_secs().to_string();
    node.run(&[
        "delete",
        "pod",
        "p",
        "--grace-period",
        &grace,
        "--wait=false",
    ])
    .ok();
    node.wait_status("p", &["Terminating"]);
    assert_eq!(
        node.run(&["exec", "p", "--", "echo", "still here"]).ok(),
        "still here\n"
    );
    let long = node.start(&["exec", "p", "--", "sleep", "1000"]);
    let killed = long.wait(Duration::from_secs(20));
    assert_ne!(killed.status, 0);
    node.nothing_left_of_pods();
    let refused = node.run(&["exec", "p", "--", "true"]);
    assert!(refused.err.contains("not found"), "{}", refused.err);
    assert!(named(&node, "sleep").is_empty());
    node.finish();
}

#[test]
fn r30_children_of_a_container_in_the_hosts_pid_namespace_die_with_it() {
    let node = Node::new("r30");
    let text = pod(
        "p",
        "(setsid sleep 3001 &) ; (setsid sh -c 'trap \"\" TERM; sleep 3002' &); exec sleep 3003",
    )
    .replace("spec:\n", "spec:\n  hostPID: true\n");
    start(&node, "p", &text);
    until("all of them", Duration::from_secs(5), || {
        named(&node, "sleep").len() == 3
    });
    // The container ends by itself: no namespace ends with it.
    let app = node.pid_of("3003");
    assert!(
        Command::new("kill")
            .arg(app.to_string())
            .status()
            .unwrap()
            .success()
    );
    until("the end of the container", Duration::from_secs(10), || {
        node.pod("p")["status"]["phase"] == "Failed"
    });
    until("the end of its children", Duration::from_secs(10), || {
        named(&node, "sleep").is_empty()
    });
    node.finish();
}
