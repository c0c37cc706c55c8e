//! Killing by cgroup.kill: nothing gets away, frozen or not.

use super::{cgroup_of, node, pid_when, pod, read, run};
use e2e::Node;
use e2e::node::until;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// In the node's PID namespace the kernel does not end the rest when the first process ends: only the cgroup tells who belongs to it.
const MANY: &str =
    "command: [sh, -c, 'for i in $(seq 20); do sleep 2005 & done; trap \"\" TERM; wait; wait']";

fn supervisor(node: &Node) -> u32 {
    let found = fs::read_dir("/proc").unwrap().flatten().find_map(|e| {
        let cgroup = fs::read_to_string(e.path().join("cgroup")).ok()?;
        let name = fs::read_to_string(e.path().join("comm")).ok()?;
        (cgroup.contains(node.word()) && name.starts_with("podwright-super"))
            .then(|| e.file_name().to_string_lossy().parse().unwrap())
    });
    found.expect("a supervisor")
}

/// A strace of what a process opens, once it is attached.
fn strace(pid: u32, out: &str) -> Child {
    let child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=openat,open", "-o", out, "-p"])
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .spawn()
        .expect("start strace");
    until("strace to be attached", Duration::from_secs(10), || {
        fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|s| !s.contains("TracerPid:\t0"))
    });
    child
}

#[test]
fn a_container_that_is_stopped_is_ended_by_cgroup_kill_with_all_its_processes() {
    let node = node("cgroupkill");
    run(&node, "k", &pod("k", "  hostPID: true\n", MANY));
    let cgroup = cgroup_of(pid_when(&node, "2005"));
    until("twenty processes", Duration::from_secs(60), || {
        read(&cgroup.join("pids.current")).parse::<u32>().unwrap() > 20
    });
    let trace = node.file("trace", "");
    let mut tracing = strace(supervisor(&node), &trace);
    node.run(&["delete", "pod", "k", "--grace-period", "0"])
        .ok();
    // It ends with the supervisor.
    assert!(tracing.wait().is_ok());
    let opened = fs::read_to_string(&trace).unwrap();
    let line = opened
        .lines()
        .find(|l| l.contains("cgroup.kill"))
        .unwrap_or_else(|| panic!("cgroup.kill was not opened: {opened}"));
    assert!(
        line.contains("O_WRONLY") && !line.contains("= -1"),
        "{line}"
    );
    assert!(!cgroup.exists());
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_frozen_container_can_be_deleted() {
    let node = node("frozen");
    run(&node, "f", &pod("f", "", "command: [sleep, '2006']"));
    let cgroup = cgroup_of(node.pid_of("2006"));
    fs::write(cgroup.join("cgroup.freeze"), "1").unwrap();
    until(
        "the container to stand still",
        Duration::from_secs(5),
        || read(&cgroup.join("cgroup.events")).contains("frozen 1"),
    );
    node.run(&["delete", "pod", "f"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn cgroups_that_a_privileged_container_has_made_go_with_it() {
    let node = node("nested");
    let script = "c=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup); mkdir $c/x $c/x/y && sleep 2007 & \
        while ! echo $! > $c/x/y/cgroup.procs; do sleep 0.1; done; wait";
    let text = pod(
        "nest",
        "",
        &format!(
            "securityContext: {{privileged: true}}, command: [sh, -c, {}]",
            serde_json::json!(script)
        ),
    );
    run(&node, "nest", &text);
    until("the process below", Duration::from_secs(10), || {
        cgroup_of(pid_when(&node, "2007")).ends_with("x/y")
    });
    let cgroup = cgroup_of(pid_when(&node, "2007"));
    node.run(&["delete", "pod", "nest"]).ok();
    assert!(!cgroup.exists());
    node.nothing_left_of_pods();
    node.finish();
}
