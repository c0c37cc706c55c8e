//! Device filtering: a BPF program on the container's cgroup, where version 1 has a hierarchy.

use super::{cgroup_of, node, pod, run};

/// Makes a node and says whether it may be opened for reading and for writing.
const TRY: &str = r#"try() { rm -f /tmp/d; mknod /tmp/d $1 $2 $3 || echo no node; \
    r=no; w=no; (: < /tmp/d) 2>/dev/null && r=yes; (: > /tmp/d) 2>/dev/null && w=yes; echo $1 $2:$3 $r $w; }"#;

#[test]
fn devices_that_a_container_does_not_have_can_be_made_but_not_opened() {
    let node = node("devices");
    let script = format!(
        "{TRY}; try c 1 3; try c 1 9; try c 1 1; try c 1 4; try c 1 11; try c 10 200; try c 10 229; try b 254 0"
    );
    let text = pod(
        "d",
        "",
        &format!("command: [sh, -c, {}]", serde_json::json!(script)),
    );
    let file = node.file("pod.yaml", &text);
    let outcome = node.run(&["run", &file]);
    let lines: Vec<&str> = outcome
        .ok()
        .lines()
        .map(|l| l.trim_start_matches("[a] "))
        .collect();
    let of = |device: &str| {
        lines
            .iter()
            .find_map(|l| l.strip_prefix(device))
            .unwrap_or_else(|| panic!("{device}: {lines:?}"))
    };
    for allowed in ["c 1:3", "c 1:9"] {
        assert_eq!(of(allowed), " yes yes", "{allowed}");
    }
    // Memory, ports, the kernel's log, tun, fuse, a disk.
    for refused in [
        "c 1:1", "c 1:4", "c 1:11", "c 10:200", "c 10:229", "b 254:0",
    ] {
        assert_eq!(of(refused), " no no", "{refused}");
    }
    node.finish();
}

#[test]
fn what_is_executed_in_a_container_is_filtered_as_its_first_process_is() {
    let node = node("execdevices");
    run(&node, "e", &pod("e", "", "command: [sleep, '2001']"));
    let script = format!("{TRY}; try c 1 3; try c 1 11");
    let outcome = node.run(&["exec", "e", "--", "sh", "-c", &script]);
    assert_eq!(outcome.ok(), "c 1:3 yes yes\nc 1:11 no no\n");
    node.finish();
}

#[test]
fn a_privileged_container_opens_every_device_and_leaves_the_nodes_mount_of_cgroup2_as_it_is() {
    let node = node("privdevices");
    let before = cgroup2_options();
    let text = pod(
        "p",
        "",
        "securityContext: {privileged: true}, command: [sleep, '2002']",
    );
    run(&node, "p", &text);
    let script = format!("{TRY}; try c 1 11; ls /sys/fs/cgroup/cgroup.procs");
    let outcome = node.run(&["exec", "p", "--", "sh", "-c", &script]);
    assert_eq!(
        outcome.ok(),
        "c 1:11 yes yes\n/sys/fs/cgroup/cgroup.procs\n"
    );
    assert_eq!(cgroup2_options(), before);
    assert!(cgroup_of(node.pid_of("2002")).starts_with("/sys/fs/cgroup"));
    node.finish();
}

/// Options of the file system, as this node's own mount shows them.
fn cgroup2_options() -> String {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = table.lines().find(|l| l.contains(" - cgroup2 ")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}
