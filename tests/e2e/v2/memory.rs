//! Memory: the whole container goes when it runs out (memory.oom.group), and memory.events says why it went.

use super::{cgroup_of, node, pod, read, run};
use serde_json::Value;

/// Takes memory until something stops it.
const HUNGRY: &str = "x=a; while true; do x=$x$x$x$x; done";

#[test]
fn a_container_that_runs_out_of_memory_goes_as_a_whole() {
    let node = node("oomgroup");
    let script = format!("sh -c '{HUNGRY}'; echo the parent lives on; sleep 1000");
    let text = pod(
        "o",
        "",
        &format!(
            "command: [sh, -c, {}], resources: {{limits: {{memory: 24Mi}}}}",
            serde_json::json!(script)
        ),
    );
    let file = node.file("pod.yaml", &text);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("o", &["OOMKilled"]);
    let pod = node.pod("o");
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["reason"], Value::from("OOMKilled"), "{ended}");
    assert_eq!(ended["exitCode"], Value::from(137), "{ended}");
    // On version 1, and without memory.oom.group, only the hungry child is killed.
    assert_eq!(node.run(&["logs", "o"]).ok(), "");
    node.finish();
}

#[test]
fn an_oom_kill_of_what_was_executed_is_counted_in_the_containers_memory_events() {
    let node = node("oomevents");
    let text = pod(
        "e",
        "",
        "command: [sleep, '2003'], resources: {limits: {memory: 24Mi}}",
    );
    run(&node, "e", &text);
    let cgroup = cgroup_of(node.pid_of("2003"));
    assert_eq!(read(&cgroup.join("memory.oom.group")), "1");
    assert_eq!(read(&cgroup.join("memory.max")), (24 << 20).to_string());
    assert!(read(&cgroup.join("memory.events")).contains("oom_kill 0"));
    let outcome = node.run(&["exec", "e", "--", "sh", "-c", HUNGRY]);
    assert_eq!(outcome.status, 137, "{outcome:?}");
    // The group holds the container's first process too.
    node.wait_status("e", &["OOMKilled"]);
    node.finish();
}

#[test]
fn a_container_killed_by_somebody_else_is_not_called_oomkilled() {
    let node = node("notoom");
    let text = pod(
        "k",
        "",
        "command: [sleep, '2004'], resources: {limits: {memory: 24Mi}}",
    );
    run(&node, "k", &text);
    let pid = node.pid_of("2004").to_string();
    let done = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status();
    assert!(done.unwrap().success());
    node.wait_status("k", &["Error"]);
    let pod = node.pod("k");
    let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(
        (ended["reason"].as_str(), ended["exitCode"].as_i64()),
        (Some("Error"), Some(137))
    );
    node.finish();
}
