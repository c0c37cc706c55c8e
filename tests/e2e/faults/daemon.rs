//! The daemon is killed, stands a second time, finds another boot, cannot undo a step; and ends by itself.

use super::{Stuck, kill, named, pod, start, terminated, tool};
use e2e::Node;
use e2e::node::until;
use serde_json::Value;
use std::fs;
use std::time::Duration;

#[test]
fn r01_a_daemon_killed_in_the_middle_of_each_verb_finishes_or_undoes_it() {
    let node = Node::new("r01");
    let file = node.file("p.yaml", &pod("p", "exec sleep 1000"));
    // From when the request has just come to when it is long done.
    for pause in [0, 5, 15, 30, 60, 120] {
        for verb in [
            &["run", "-d", &file][..],
            &["delete", "pod", "p", "--force"][..],
        ] {
            let daemon = node.daemon().expect("a daemon");
            let child = node.start(verb);
            std::thread::sleep(Duration::from_millis(pause));
            kill(daemon);
            // It may have lost its daemon half way, or not.
            let _ = child.wait(Duration::from_secs(30));
            // The same request again succeeds, or is done already.
            let again = node.run(verb);
            let done = ["already exists", "not found"]
                .iter()
                .any(|w| again.err.contains(w));
            assert!(
                again.status == 0 || done,
                "{verb:?} after {pause} ms: {}",
                again.err
            );
            match verb[0] {
                "run" => node.wait_status("p", &["Running"]),
                _ => {
                    node.nothing_left_of_pods();
                    String::new()
                }
            };
        }
    }
    node.finish();
}

#[test]
fn r04_an_exit_while_no_daemon_runs_is_told_by_the_next_one() {
    let node = Node::new("r04");
    let gate = node.folder().join("gate");
    fs::create_dir(&gate).unwrap();
    let text = pod("p", "until [ -e /gate/go ]; do sleep 0.02; done; exit 37")
        .replace(
            "  containers:",
            &format!(
                "  volumes: [{{name: g, hostPath: {{path: {}}}}}]\n  containers:",
                gate.display()
            ),
        )
        .replace(
            "{name: app,",
            "{name: app, volumeMounts: [{name: g, mountPath: /gate}],",
        );
    start(&node, "p", &text);
    let app = node.pid_of("until [ -e /gate/go ]; do sleep 0.02; done; exit 37");
    kill(node.daemon().expect("a daemon"));
    fs::write(gate.join("go"), "").unwrap();
    until("the end of the app", Duration::from_secs(10), || {
        !fs::exists(format!("/proc/{app}")).unwrap()
    });
    node.wait_status("p", &["Error"]);
    let ended = terminated(&node, "p");
    assert_eq!(ended["exitCode"], Value::from(37), "{ended}");
    assert!(ended["finishedAt"].is_string(), "{ended}");
    node.finish();
}

#[test]
fn r02_a_step_of_removal_that_fails_is_kept_and_done_later_even_by_another_daemon() {
    let node = Node::new("r02");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let sandbox = fs::read_dir(node.run_dir().join("sandboxes"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let stuck = Stuck::new(sandbox.join("stuck"));
    node.run(&["delete", "pod", "p", "--force", "--wait=false"])
        .ok();
    until("the end of its processes", Duration::from_secs(10), || {
        named(&node, "sleep").is_empty()
    });
    until("a word about it", Duration::from_secs(20), || {
        let said = node.run(&["describe", "pod", "p"]).out;
        said.contains("FailedKillPod") && said.contains("sandbox: removing")
    });
    // The next daemon has not forgotten it.
    kill(node.daemon().expect("a daemon"));
    assert!(node.pod("p")["metadata"]["deletionTimestamp"].is_string());
    drop(stuck);
    until("the end of the pod", Duration::from_secs(60), || {
        node.status("p").is_empty()
    });
    node.finish();
}

#[test]
fn r12_what_a_killed_node_left_mounted_is_taken_away_and_nothing_else() {
    let node = Node::new("r12");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let other = node.folder().join("not-ours");
    fs::create_dir(&other).unwrap();
    tool(&["mount", "-t", "tmpfs", "none", other.to_str().unwrap()]);
    let victims = [node.daemon().expect("a daemon")]
        .into_iter()
        .chain(named(&node, "podwright-super"))
        .chain(named(&node, "podwright-pause"));
    for pid in victims.collect::<Vec<_>>() {
        kill(pid);
    }
    until("the end of the pod", Duration::from_secs(10), || {
        node.pod("p")["status"]["phase"] == "Failed"
    });
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts: Vec<&str> = table.lines().filter(|l| l.contains(node.word())).collect();
    assert_eq!(mounts.len(), 1, "{mounts:#?}");
    tool(&["umount", other.to_str().unwrap()]);
    node.finish();
}

#[test]
fn r32_a_second_daemon_is_refused_and_the_first_goes_on() {
    let node = Node::new("r32");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let first = node.daemon().expect("a daemon");
    let refused = node.run(&["node"]);
    assert_ne!(refused.status, 0);
    assert!(
        refused.err.contains("another node daemon runs on"),
        "{}",
        refused.err
    );
    // Nor one that shares only the state.
    let other = node.folder().join("other-run");
    let refused = node.run(&["--run", other.to_str().unwrap(), "node"]);
    assert!(
        refused.err.contains("another node daemon runs on"),
        "{}",
        refused.err
    );
    assert_eq!(node.daemon(), Some(first));
    assert_eq!(
        node.run(&["exec", "p", "--", "echo", "unharmed"]).ok(),
        "unharmed\n"
    );
    fs::remove_dir_all(other).unwrap();
    node.finish();
}

#[test]
fn many_clients_that_find_no_daemon_start_one() {
    let node = Node::new("race");
    let clients: Vec<_> = (0..8).map(|_| node.start(&["get", "pods"])).collect();
    for client in clients {
        client.wait(Duration::from_secs(30)).ok();
    }
    let daemons = named(&node, "podwright");
    assert_eq!(daemons.len(), 1, "{daemons:?}");
    node.finish();
}

#[test]
fn a_daemon_that_was_started_on_demand_ends_when_it_is_idle_and_not_before() {
    let node = Node::new("idle").with("PODWRIGHT_IDLE", "300ms");
    // The one that took the image has the usual time.
    kill(node.daemon().expect("a daemon"));
    start(
        &node,
        "p",
        &pod("p", "until [ -e /tmp/go ]; do sleep 0.02; done"),
    );
    let daemon = node.daemon().expect("a daemon");
    let lives = || fs::exists(format!("/proc/{daemon}")).unwrap();
    // A pod that runs keeps it, though nobody asks for longer than the idle time.
    std::thread::sleep(Duration::from_millis(900));
    assert!(lives(), "it ended with a pod that runs");
    node.run_to_its_end(&["exec", "p", "--", "touch", "/tmp/go"]);
    until("the end of the daemon", Duration::from_secs(30), || {
        !lives()
    });
    // What it knew is there again.
    assert_eq!(node.status("p"), "Completed");
    node.finish();
}

#[test]
fn a_daemon_keeps_nothing_open_that_its_client_had_open() {
    let node = Node::new("inherits");
    let held = node.file("held", "");
    let script = "exec 7<\"$0\"; shift; exec \"$@\"";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script, &held, "x"])
        .arg(e2e::node::binary("podwright"))
        .args(["get", "pods"]);
    for (name, value) in node.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    assert!(
        command
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let daemon = node.daemon().expect("a daemon");
    let folder = format!("/proc/{daemon}/fd");
    let open = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .filter_map(|e| fs::read_link(e.path()).ok());
    let kept: Vec<_> = open.filter(|p| p.ends_with("held")).collect();
    assert!(kept.is_empty(), "{kept:?}");
    node.finish();
}
