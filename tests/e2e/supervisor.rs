//! A supervisor that dies: its containers go on, and a successor takes them over.

use e2e::Node;
use e2e::node::until;
use e2e::soak::processes::{self, Who};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Most that may pass until a pod whose supervisor was killed is as it was.
const MOST: Duration = Duration::from_secs(1);

fn pod(script: &str, more: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: s}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  {more}
  containers:
  - name: app
    image: busybox
    command: [sh, -c, {script:?}]
"#
    )
}

/// Numbers from 1 on, one a line, until there is a file /stop; then it ends with 37.
const COUNTING: &str =
    "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo line $i; done; echo last; exit 37";

/// Starts it, and waits until it runs.
fn running(node: &Node, text: &str) {
    let file = node.file("pod.yaml", text);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("s", &["Running"]);
}

fn supervisors(node: &Node) -> Vec<i32> {
    processes::find(node.word(), Who::Supervisor)
}

/// Kills the one supervisor; gives its pid.
fn kill_supervisor(node: &Node) -> i32 {
    let [pid] = supervisors(node)[..] else {
        panic!("{:?}", supervisors(node))
    };
    assert!(processes::kill(pid));
    pid
}

/// Waits until another supervisor serves the pod.
fn succeeded(node: &Node, old: i32) {
    let begun = Instant::now();
    until("a successor that serves", Duration::from_secs(10), || {
        let fresh = !supervisors(node).is_empty() && !supervisors(node).contains(&old);
        fresh && node.run(&["exec", "s", "-c", "app", "--", "true"]).status == 0
    });
    assert!(
        begun.elapsed() < e2e::patient(10 * MOST),
        "{:?}",
        begun.elapsed()
    );
}

fn terminated(node: &Node) -> Value {
    node.pod("s")["status"]["containerStatuses"][0]["state"]["terminated"].clone()
}

fn stop_counting(node: &Node) {
    // It may be killed with the container, whose end it brings about.
    node.run(&["exec", "s", "-c", "app", "--", "touch", "/stop"]);
}

/// Checks that the log holds every line once, in order, and whole.
fn whole_log(node: &Node) -> usize {
    let log = node.run(&["logs", "s"]);
    let lines: Vec<&str> = log.ok().lines().collect();
    let (last, numbered) = lines.split_last().unwrap();
    assert_eq!(*last, "last");
    let number = |l: &str| l.strip_prefix("line ").unwrap().parse::<usize>().unwrap();
    // The oldest files of a log that is long enough are gone.
    let first = number(numbered[0]);
    for (n, line) in numbered.iter().enumerate() {
        assert_eq!(number(line), first + n, "lost or torn: {line:?}");
    }
    numbered.len()
}

/// Whether the kernel tells how a process ended that somebody else has reaped (Linux 6.15).
fn kernel_tells_ends() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(6), Some(15))
}

/// The end of the counting container, known or unknown by the rule.
fn right_end(node: &Node, known: bool) {
    let ended = terminated(node);
    if known && kernel_tells_ends() {
        assert_eq!(ended["exitCode"], Value::from(37), "{ended}");
        assert_eq!(ended["reason"], Value::from("Error"), "{ended}");
    } else if ended["exitCode"] != 37 {
        assert_eq!(ended["exitCode"], Value::from(255), "{ended}");
        assert_eq!(
            ended["reason"],
            Value::from("ContainerStatusUnknown"),
            "{ended}"
        );
    }
}

#[test]
fn r03_a_container_outlives_twenty_supervisors_no_line_is_lost_and_its_exit_code_is_right() {
    let node = Node::new("suptwenty");
    running(&node, &pod(COUNTING, ""));
    let before = node.pod("s");
    for round in 0..20 {
        let old = kill_supervisor(&node);
        let begun = Instant::now();
        until("a successor", Duration::from_secs(10), || {
            let now = supervisors(&node);
            !now.is_empty() && !now.contains(&old)
        });
        assert!(
            begun.elapsed() < e2e::patient(MOST),
            "round {round}: {:?}",
            begun.elapsed()
        );
        // Nobody who asks sees anything else than a pod that runs.
        assert_eq!(node.status("s"), "Running", "round {round}");
        std::thread::sleep(Duration::from_millis(37 + 13 * round));
    }
    stop_counting(&node);
    node.wait_status("s", &["Error", "ContainerStatusUnknown"]);
    right_end(&node, true);
    assert!(whole_log(&node) > 1000);
    let after = node.pod("s");
    assert_eq!(
        after["status"]["containerStatuses"][0]["containerID"],
        before["status"]["containerStatuses"][0]["containerID"]
    );
    assert_eq!(
        after["status"]["containerStatuses"][0]["restartCount"],
        Value::from(0)
    );
    node.run(&["delete", "pod", "s"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn r03_supervisor_and_daemon_killed_at_once_are_both_replaced() {
    let node = Node::new("supboth");
    running(&node, &pod(COUNTING, ""));
    for _ in 0..5 {
        let daemon = node.daemon().expect("a daemon");
        assert!(processes::kill(daemon.cast_signed()));
        let old = kill_supervisor(&node);
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(node.status("s"), "Running");
        succeeded(&node, old);
    }
    stop_counting(&node);
    node.wait_status("s", &["Error", "ContainerStatusUnknown"]);
    // The successor had its pidfd before it ended.
    right_end(&node, true);
    assert!(whole_log(&node) > 500);
    node.finish();
}

#[test]
fn r03_a_container_that_ends_while_both_are_dead_is_never_shown_as_running_or_as_a_success() {
    let node = Node::new("supghost");
    let script = "while [ ! -e /stop ]; do sleep 0.02; done; exit 0";
    running(&node, &pod(script, ""));
    let app = node.pid_of(script).cast_signed();
    let daemon = node.daemon().expect("a daemon");
    assert!(processes::kill(daemon.cast_signed()));
    kill_supervisor(&node);
    fs::write(format!("/proc/{app}/root/stop"), "").unwrap();
    until("its end", Duration::from_secs(5), || {
        !PathBuf::from(format!("/proc/{app}")).exists()
    });
    let begun = Instant::now();
    node.wait_status("s", &["Error", "ContainerStatusUnknown"]);
    assert!(
        begun.elapsed() < e2e::patient(5 * MOST),
        "{:?}",
        begun.elapsed()
    );
    let ended = terminated(&node);
    assert_eq!(ended["exitCode"], Value::from(255), "{ended}");
    assert_eq!(
        ended["reason"],
        Value::from("ContainerStatusUnknown"),
        "{ended}"
    );
    node.finish();
}

#[test]
fn r03_a_container_that_ends_together_with_its_supervisor_is_known_by_what_the_daemon_holds() {
    let node = Node::new("suptogether");
    let script = "echo before; while [ ! -e /stop ]; do sleep 0.02; done; echo last words; exit 37";
    running(&node, &pod(script, ""));
    let app = node.pid_of(script);
    // Held still, so that it cannot be reaped by the successor's predecessor.
    let supervisor = supervisors(&node)[0];
    let signal = |name: &str, pid: i32| {
        let status = std::process::Command::new("kill")
            .args(["-s", name, &pid.to_string()])
            .status();
        assert!(status.unwrap().success());
    };
    signal("STOP", supervisor);
    fs::write(format!("/proc/{app}/root/stop"), "").unwrap();
    until("its end", Duration::from_secs(5), || {
        processes::is_gone(app.cast_signed())
    });
    assert!(processes::kill(supervisor));
    node.wait_status("s", &["Error", "ContainerStatusUnknown"]);
    right_end(&node, true);
    assert_eq!(node.run(&["logs", "s"]).ok(), "before\nlast words\n");
    node.finish();
}

#[test]
fn everything_works_with_a_successor_as_before() {
    let node = Node::new("supafter");
    let script = "trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.05; done";
    running(&node, &pod(script, ""));
    let following = node.start(&["logs", "-f", "s"]);
    let old = kill_supervisor(&node);
    succeeded(&node, old);
    let said = node.run(&[
        "exec",
        "s",
        "-c",
        "app",
        "--",
        "sh",
        "-c",
        "echo in; exit 42",
    ]);
    assert_eq!((said.status, said.out.as_str()), (42, "in\n"));
    let old = kill_supervisor(&node);
    // Asked for while nobody is there: it waits for the successor.
    node.run(&["delete", "pod", "s"]).ok();
    let followed = following.wait(Duration::from_secs(20));
    assert_eq!(followed.out, "up\nbye\n");
    until(
        "the end of all supervisors",
        Duration::from_secs(10),
        || supervisors(&node).is_empty() && processes::is_gone(old),
    );
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn an_init_container_goes_on_and_the_next_one_follows_though_supervisors_die() {
    let node = Node::new("supinit");
    let wait = |n: u32| format!("echo init {n}; while [ ! -e /go/{n} ]; do sleep 0.02; done");
    let text = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: s}}
spec:
  restartPolicy: Never
  volumes: [{{name: go, emptyDir: {{}}}}]
  initContainers:
  - {{name: one, image: busybox, command: [sh, -c, {:?}], volumeMounts: [{{name: go, mountPath: /go}}]}}
  - {{name: two, image: busybox, command: [sh, -c, {:?}], volumeMounts: [{{name: go, mountPath: /go}}]}}
  containers:
  - {{name: app, image: busybox, command: [sh, -c, "exit 3"]}}
"#,
        wait(1),
        wait(2)
    );
    let file = node.file("pod.yaml", &text);
    node.run(&["create", "-f", &file]).ok();
    for (n, status) in [(1, "Init:0/2"), (2, "Init:1/2")] {
        node.wait_status("s", &[status]);
        until("its first line", Duration::from_secs(10), || {
            let name = if n == 1 { "one" } else { "two" };
            node.run(&["logs", "s", "-c", name]).out == format!("init {n}\n")
        });
        let old = kill_supervisor(&node);
        until("a successor", Duration::from_secs(10), || {
            supervisors(&node).first().is_some_and(|p| *p != old)
        });
        assert_eq!(node.status("s"), status);
        let uid = node.pod("s")["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned();
        let volume = node
            .root()
            .join("pods")
            .join(uid)
            .join("volumes/kubernetes.io~empty-dir/go");
        fs::write(volume.join(n.to_string()), "").unwrap();
    }
    node.wait_status("s", &["Error"]);
    let status = node.pod("s")["status"].clone();
    assert_eq!(terminated(&node)["exitCode"], Value::from(3), "{status}");
    for n in 0..2 {
        let init = &status["initContainerStatuses"][n];
        assert_eq!(
            init["state"]["terminated"]["exitCode"],
            Value::from(0),
            "{init}"
        );
        assert_eq!(init["restartCount"], Value::from(0), "{init}");
    }
    node.finish();
}

#[test]
fn r05_a_pod_whose_pause_process_dies_is_ended_and_its_sandbox_taken_away() {
    for more in ["", "shareProcessNamespace: true"] {
        let node = Node::new("suppause");
        running(&node, &pod("sleep 1000", more));
        let pause = processes::pids().into_iter().find(|pid| {
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            (comm.contains("pause")) && cgroup.contains(node.word())
        });
        assert!(processes::kill(pause.expect("a pause process")));
        until("the end of the pod", Duration::from_secs(10), || {
            node.pod("s")["status"]["phase"] == "Failed"
        });
        node.run(&["delete", "pod", "s"]).ok();
        node.nothing_left_of_pods();
        node.finish();
    }
}

#[test]
fn a_record_of_a_supervisor_that_is_damaged_costs_the_one_container_only() {
    let node = Node::new("supdamaged");
    running(&node, &pod("echo up; sleep 1000", ""));
    let id = node.pod("s")["status"]["containerStatuses"][0]["containerID"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let sandboxes = fs::read_dir(node.run_dir().join("sandboxes")).unwrap();
    let state: Vec<PathBuf> = sandboxes.map(|e| e.unwrap().path().join("state")).collect();
    let record = state[0].join(format!("{id}.container"));
    let app = node.pid_of("1000");
    let supervisor = supervisors(&node)[0];
    let bytes = fs::read(&record).unwrap();
    fs::write(&record, &bytes[..bytes.len() / 2]).unwrap();
    assert!(processes::kill(supervisor));
    until(
        "the end of what nobody knows",
        Duration::from_secs(10),
        || processes::is_gone(app.cast_signed()),
    );
    node.wait_status("s", &["Error", "ContainerStatusUnknown"]);
    let ended = terminated(&node);
    assert_eq!(
        ended["reason"],
        Value::from("ContainerStatusUnknown"),
        "{ended}"
    );
    let message = ended["message"].as_str().unwrap_or_default();
    assert!(message.contains("was damaged"), "{ended}");
    node.run(&["delete", "pod", "s"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn r10_a_supervisor_is_outside_its_pod_and_the_last_to_be_killed_for_memory() {
    let node = Node::new("supoom");
    running(&node, &pod("sleep 1000", ""));
    let pid = supervisors(&node)[0];
    let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(
        cgroup.contains("podwright-system")
            && !cgroup.contains("pod-")
            && !cgroup.contains("/kubepods")
    );
    let score = |pid: i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().parse::<i32>().unwrap()
    };
    // As low as this node lets it be: lower cannot be written by anybody with our rights.
    let found = score(pid);
    let place = format!("/proc/{pid}/oom_score_adj");
    let lower = fs::write(&place, (found - 1).to_string());
    assert!(found == -998 || lower.is_err(), "{found}");
    assert!(found <= score(node.pid_of("1000").cast_signed()));
    node.finish();
}

#[test]
fn r07_on_a_full_log_disk_a_container_goes_on_and_its_user_is_told() {
    let node = Node::new("suplogdisk");
    fs::create_dir_all(node.logs()).unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new("mount")
            .args(arguments)
            .arg(node.logs())
            .status();
        assert!(status.unwrap().success());
    };
    mount(&["-t", "tmpfs", "-o", "size=256k", "none"]);
    let script =
        "seq 1 100000; touch /done; while [ ! -e /more ]; do sleep 0.02; done; echo more; exit 3";
    running(&node, &pod(script, ""));
    // It is not held up by its log.
    until("all is printed", Duration::from_secs(20), || {
        node.run(&["exec", "s", "-c", "app", "--", "test", "-e", "/done"])
            .status
            == 0
    });
    let said = |reason: &str| node.run(&["events"]).out.contains(reason);
    until("an event", Duration::from_secs(10), || said("LogDropped"));
    assert!(
        node.run(&["events"])
            .out
            .contains("No space left on device")
    );
    mount(&["-o", "remount,size=50m"]);
    until("another event", Duration::from_secs(10), || {
        said("LogResumed")
    });
    // It may be killed with the container, whose end it brings about.
    node.run(&["exec", "s", "-c", "app", "--", "touch", "/more"]);
    node.wait_status("s", &["Error"]);
    assert_eq!(terminated(&node)["exitCode"], Value::from(3));
    let log = node.run(&["logs", "s"]);
    let lines: Vec<&str> = log.ok().lines().collect();
    assert_eq!(*lines.last().unwrap(), "more");
    let numbers = &lines[..lines.len() - 1];
    assert!(numbers.len() > 1000 && numbers.len() < 100_000);
    for (n, line) in numbers.iter().enumerate() {
        assert_eq!(*line, (n + 1).to_string(), "torn");
    }
    let dropped = format!("{} lines of it were dropped", 100_000 - numbers.len());
    assert!(node.run(&["events"]).out.contains(&dropped), "{dropped}");
    node.run(&["delete", "pod", "s"]).ok();
    let status = std::process::Command::new("umount")
        .arg(node.logs())
        .status();
    assert!(status.unwrap().success());
    node.finish();
}
