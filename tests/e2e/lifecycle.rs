//! Restarts, back-off, deadlines, deletion, exit codes.

use e2e::Node;
use e2e::node::until;
use serde_json::Value;
use std::time::{Duration, Instant};

fn pod(name: &str, policy: &str, inits: &str, app: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: {policy}
  terminationGracePeriodSeconds: 1
  volumes: [{{name: v, emptyDir: {{}}}}]
  initContainers: [{inits}]
  containers:
  - {{name: app, image: busybox, command: [sh, -c, {app:?}], volumeMounts: [{{name: v, mountPath: /v}}]}}
"#
    )
}

fn init(name: &str, script: &str) -> String {
    format!(
        "{{name: {name}, image: busybox, command: [sh, -c, {script:?}], volumeMounts: [{{name: v, mountPath: /v}}]}}"
    )
}

#[test]
fn a_failing_init_container_alone_runs_again_until_it_succeeds() {
    let node = Node::new("retry");
    let inits = [
        init("first", "echo x >> /v/first"),
        init(
            "second",
            "echo x >> /v/second; [ $(wc -l < /v/second) -ge 2 ]",
        ),
    ]
    .join(", ");
    let file = node.file(
        "pod.yaml",
        &pod(
            "retry",
            "Always",
            &inits,
            "cat /v/first /v/second | wc -l; exec sleep 1000",
        ),
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("retry", &["Running"]);
    // One line of the first, two of the second: the first did not run again.
    until("what the app counted", Duration::from_secs(10), || {
        !node.run(&["logs", "retry", "-c", "app"]).ok().is_empty()
    });
    assert_eq!(node.run(&["logs", "retry", "-c", "app"]).ok(), "3\n");
    let status = node.pod("retry");
    let counts: Vec<_> = (0..2)
        .map(|i| status["status"]["initContainerStatuses"][i]["restartCount"].clone())
        .collect();
    assert_eq!(counts, [Value::from(0), Value::from(1)]);
    node.finish();
}

#[test]
fn a_crashing_init_container_backs_off_and_its_pod_stays_pending() {
    let node = Node::new("crash");
    let file = node.file(
        "pod.yaml",
        &pod("crash", "Always", &init("bad", "echo try; exit 3"), "true"),
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("crash", &["Init:CrashLoopBackOff"]);
    let status = &node.pod("crash")["status"];
    assert_eq!(status["phase"], Value::from("Pending"));
    let init = &status["initContainerStatuses"][0];
    assert_eq!(init["lastState"]["terminated"]["exitCode"], Value::from(3));
    assert_eq!(
        init["state"]["waiting"]["reason"],
        Value::from("CrashLoopBackOff")
    );
    let message = init["state"]["waiting"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("back-off 10s restarting failed container=bad pod=crash_default("),
        "{message}"
    );
    assert_eq!(
        node.run(&["logs", "crash", "-c", "bad", "--attempt", "0"])
            .ok(),
        "try\n"
    );
    assert_eq!(
        node.run(&["logs", "crash", "-c", "bad", "--previous"]).ok(),
        "try\n"
    );
    let events = node.run(&["events"]);
    assert!(
        events
            .ok()
            .contains("Back-off restarting failed container bad in pod crash_default("),
        "{}",
        events.out
    );
    node.finish();
}

#[test]
fn under_never_a_failing_init_container_fails_the_pod_and_no_app_starts() {
    let node = Node::new("never");
    let file = node.file(
        "pod.yaml",
        &pod(
            "never",
            "Never",
            &init("bad", "echo seen; exit 7"),
            "echo app",
        ),
    );
    let outcome = node.run(&[
        "run",
        "--keep",
        "--status-file",
        &node.folder().join("status").display().to_string(),
        &file,
    ]);
    outcome.fails(7);
    assert!(
        outcome.out.contains("seen") && !outcome.out.contains("app"),
        "{}",
        outcome.out
    );
    let status: Value =
        serde_json::from_str(&std::fs::read_to_string(node.folder().join("status")).unwrap())
            .unwrap();
    assert!(status.to_string().contains("bad"), "{status}");
    assert_eq!(node.status("never"), "Init:Error");
    let pod = node.pod("never");
    assert_eq!(pod["status"]["phase"], Value::from("Failed"));
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"],
        Value::from("PodInitializing")
    );
    assert!(
        node.run(&["logs", "never", "-c", "bad"])
            .ok()
            .contains("seen")
    );
    node.finish();
}

#[test]
fn run_ends_with_the_apps_exit_code_and_removes_the_pod() {
    let node = Node::new("exitcode");
    for (script, code) in [("exit 0", 0), ("exit 42", 42)] {
        let file = node.file(
            "pod.yaml",
            &pod("code", "Never", &init("ok", "true"), script),
        );
        node.run(&["run", &file]).fails(code);
        assert!(
            node.run(&["get", "pods"])
                .err
                .contains("No resources found"),
            "the pod was kept"
        );
        node.nothing_left_of_pods();
    }
    node.finish();
}

#[test]
fn an_app_that_a_signal_ends_has_128_and_the_signal_as_its_code() {
    let node = Node::new("signal");
    let file = node.file("pod.yaml", &pod("killed", "Never", "", "exec sleep 1010"));
    let running = node.start(&["run", &file]);
    node.wait_status("killed", &["Running"]);
    let pid = node.pid_of("1010");
    let status = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
    running.wait(Duration::from_secs(20)).fails(137);
    node.finish();
}

#[test]
fn an_app_that_ends_well_is_started_again_under_always_and_not_under_on_failure() {
    let node = Node::new("policies");
    let again = node.file(
        "a.yaml",
        &pod(
            "again",
            "Always",
            "",
            "echo x >> /v/n; [ $(wc -l < /v/n) -lt 2 ] || sleep 1000",
        ),
    );
    let done = node.file("b.yaml", &pod("done", "OnFailure", "", "exit 0"));
    node.run(&["create", "-f", &again, "-f", &done]).ok();
    node.wait_status("done", &["Completed"]);
    until("a second run", Duration::from_secs(10), || {
        node.pod("again")["status"]["containerStatuses"][0]["restartCount"] == 1
    });
    assert_eq!(
        node.pod("done")["status"]["phase"],
        Value::from("Succeeded")
    );
    node.finish();
}

#[test]
fn active_deadline_ends_a_pod_whose_init_container_takes_too_long() {
    let node = Node::new("deadline");
    let text = pod("late", "Always", &init("slow", "sleep 600"), "true")
        .replace("spec:\n", "spec:\n  activeDeadlineSeconds: 1\n");
    let file = node.file("pod.yaml", &text);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("late", &["Init:Error"]);
    let status = &node.pod("late")["status"];
    assert_eq!(
        (status["phase"].as_str(), status["reason"].as_str()),
        (Some("Failed"), Some("DeadlineExceeded"))
    );
    assert_eq!(
        status["message"],
        Value::from("Pod was active on the node longer than the specified deadline")
    );
    node.finish();
}

#[test]
fn deletion_gives_the_grace_period_and_then_kills() {
    let node = Node::new("grace");
    let polite = node.file(
        "a.yaml",
        &pod(
            "polite",
            "Always",
            "",
            "trap 'echo bye; exit 0' TERM; while true; do sleep 0.1; done",
        ),
    );
    let stubborn = node.file(
        "b.yaml",
        &pod(
            "stubborn",
            "Always",
            "",
            "trap '' TERM; while true; do sleep 0.1; done",
        ),
    );
    node.run(&["run", "-d", &polite]).ok();
    node.run(&["run", "-d", &stubborn]).ok();
    node.wait_status("polite", &["Running"]);
    node.wait_status("stubborn", &["Running"]);
    let began = Instant::now();
    node.run(&["delete", "pod", "polite", "--grace-period", "20"])
        .ok();
    assert!(
        began.elapsed() < e2e::patient(Duration::from_secs(5)),
        "a polite pod took {:?}",
        began.elapsed()
    );
    let began = Instant::now();
    node.run(&["delete", "pod", "stubborn", "--grace-period", "2"])
        .ok();
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(1900) && took < e2e::patient(Duration::from_secs(5)),
        "a stubborn pod took {took:?}"
    );
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_pod_deleted_during_init_never_starts_its_apps() {
    let node = Node::new("delinit");
    let out = node.folder().join("host");
    std::fs::create_dir(&out).unwrap();
    let text = pod(
        "gone",
        "Always",
        &init("slow", "sleep 600"),
        "echo ran > /host/ran",
    )
    .replace(
        "volumes: [",
        &format!(
            "volumes: [{{name: h, hostPath: {{path: {}}}}}, ",
            out.display()
        ),
    );
    let text = text.replace(
        "mountPath: /v}]}\n",
        "mountPath: /v}, {name: h, mountPath: /host}]}\n",
    );
    let file = node.file("pod.yaml", &text);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("gone", &["Init:0/1"]);
    node.run(&["delete", "pod", "gone"]).ok();
    assert!(!out.join("ran").exists(), "the app ran");
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_killed_pause_process_makes_a_new_sandbox_that_keeps_the_volumes() {
    let node = Node::new("pausedies");
    let file = node.file(
        "pod.yaml",
        &pod(
            "p",
            "Always",
            &init("i", "echo x >> /v/i"),
            "wc -l < /v/i; exec sleep 1000",
        ),
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("p", &["Running"]);
    let pause = std::fs::read_dir("/proc").unwrap().flatten().find_map(|e| {
        let cgroup = std::fs::read_to_string(e.path().join("cgroup")).ok()?;
        let comm = std::fs::read_to_string(e.path().join("comm")).ok()?;
        (cgroup.contains(node.word()) && comm.contains("pause"))
            .then(|| e.file_name().to_string_lossy().into_owned())
    });
    let status = std::process::Command::new("kill")
        .args(["-9", &pause.expect("a pause process")])
        .status();
    assert!(status.unwrap().success());
    until(
        "two runs of the init container",
        Duration::from_secs(20),
        || node.run(&["logs", "p", "-c", "app"]).out == "2\n",
    );
    node.wait_status("p", &["Running"]);
    assert!(
        node.run(&["events"])
            .ok()
            .contains("Pod sandbox changed, it will be killed and re-created.")
    );
    // The sandbox is the second attempt.
    let drawn = node.run(&["timeline", "p", "-o", "json"]);
    let drawn: serde_json::Value = serde_json::from_str(drawn.ok()).unwrap();
    let bars = drawn["bars"].as_array().unwrap();
    let newest = bars.iter().rfind(|bar| bar["lane"] == "sandbox");
    assert_eq!(newest.unwrap()["attempt"], 1, "{drawn}");
    node.finish();
}
