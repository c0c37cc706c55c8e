//! Bad input: one clear error that names thing, step and cause, the right exit status, and nothing left behind.

use e2e::Node;

fn pod(extra: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: b}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {extra}\n"
    )
}

#[test]
fn a_bad_manifest_is_refused_with_all_its_problems() {
    let node = Node::new("badmanifest");
    let cases: [(&str, String, &[&str]); 7] = [
        (
            "malformed YAML",
            "kind: Pod\n  spec: [".to_owned(),
            &["pod.yaml:"],
        ),
        (
            "unknown field",
            pod("{name: a, image: busybox, comand: [x]}"),
            &[
                "unknown field",
                "spec.containers[0].comand",
                "did you mean \"command\"?",
            ],
        ),
        (
            "wrong type",
            pod("{name: a, image: busybox, env: [{name: A, value: 5}]}"),
            &["spec.containers[0].env[0].value", "pod.yaml:7"],
        ),
        (
            "duplicate name",
            pod("{name: a, image: busybox}\n  - {name: a, image: busybox}"),
            &["spec.containers[1].name: Duplicate value: \"a\""],
        ),
        (
            "missing volume and bad name",
            pod("{name: A_b, image: busybox, volumeMounts: [{name: v, mountPath: /v}]}"),
            &[
                "spec.containers[0].name: Invalid value: \"A_b\"",
                "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
            ],
        ),
        (
            "a Deployment",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n".to_owned(),
            &["Deployment", "spec.template"],
        ),
        (
            "a field of a later version",
            pod("{name: a, image: busybox, securityContext: {seLinuxOptions: {level: s0}}}"),
            &["spec.containers[0].securityContext.seLinuxOptions: not supported yet"],
        ),
    ];
    for (what, text, said) in cases {
        let file = node.file("pod.yaml", &text);
        for verb in [
            vec!["run", &file],
            vec!["create", "-f", &file],
            vec!["plan", &file],
        ] {
            let outcome = node.run(&verb);
            assert_eq!(
                outcome.status, 65,
                "{what}: {}\n{}{}",
                outcome.line, outcome.out, outcome.err
            );
            for part in said {
                let all = format!("{}{}", outcome.out, outcome.err);
                assert!(
                    all.contains(part),
                    "{what}: {}: {part:?} is not in\n{all}",
                    outcome.line
                );
            }
        }
    }
    node.finish();
}

#[test]
fn allow_unsupported_runs_a_pod_without_the_fields_that_are_not_honoured() {
    let node = Node::new("allow");
    let file = node.file(
        "pod.yaml",
        &pod(
            "{name: a, image: busybox, command: ['true'], securityContext: {seLinuxOptions: {level: s0}}}",
        ),
    );
    node.run(&["run", "--allow-unsupported", &file]).ok();
    node.finish();
}

#[test]
fn a_missing_file_and_a_missing_pod_are_named() {
    let node = Node::new("missing");
    let outcome = node.run(&["run", "/nowhere/pod.yaml"]);
    assert!(
        outcome.fails(66).contains("/nowhere/pod.yaml"),
        "{}",
        outcome.err
    );
    let outcome = node.run(&["delete", "pod", "nosuch"]);
    assert_ne!(outcome.status, 0);
    assert!(
        outcome.err.contains("pods \"nosuch\" not found"),
        "{}",
        outcome.err
    );
    node.finish();
}

#[test]
fn a_missing_image_says_how_to_import_it() {
    let node = Node::empty("noimage");
    let file = node.file(
        "pod.yaml",
        &pod("{name: a, image: nosuch, command: ['true']}"),
    );
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("b", &["ErrImagePull", "ImagePullBackOff"]);
    let said = node.run(&["describe", "pod", "b"]);
    assert!(said.ok().contains("podwright image import"), "{}", said.out);
    node.run(&["delete", "pod", "b"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_command_that_does_not_exist_is_a_start_error_with_its_name() {
    let node = Node::new("nocommand");
    let file = node.file(
        "pod.yaml",
        &pod("{name: a, image: busybox, command: [nosuch]}"),
    );
    node.run(&["run", "-d", &file]).ok();
    e2e::node::until("the error", std::time::Duration::from_secs(10), || {
        node.run(&["describe", "pod", "b"])
            .out
            .contains("exec: \"nosuch\": executable file not found in $PATH")
    });
    node.run(&["delete", "pod", "b"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_working_directory_that_the_image_lacks_is_made() {
    let node = Node::new("workdir");
    let file = node.file(
        "pod.yaml",
        &pod("{name: a, image: busybox, workingDir: /not/there, command: [pwd]}"),
    );
    assert_eq!(node.run(&["run", &file]).ok(), "/not/there\n");
    node.finish();
}

#[test]
fn a_second_pod_of_the_same_name_is_refused_and_replace_takes_its_place() {
    let node = Node::new("twice");
    let file = node.file(
        "pod.yaml",
        &pod("{name: a, image: busybox, command: [sleep, '1000']}"),
    );
    node.run(&["create", "-f", &file]).ok();
    let uid = node.pod("b")["metadata"]["uid"].clone();
    let outcome = node.run(&["create", "-f", &file]);
    assert_ne!(outcome.status, 0);
    assert!(
        outcome.err.contains("pods \"b\" already exists"),
        "{}",
        outcome.err
    );
    assert_eq!(node.pod("b")["metadata"]["uid"], uid);
    node.run(&["run", "-d", "--replace", &file]).ok();
    assert_ne!(node.pod("b")["metadata"]["uid"], uid);
    node.finish();
}

#[test]
fn following_a_container_that_cannot_start_keeps_the_daemon_idle() {
    let node = Node::new("nostart");
    let text = pod("{name: a, image: busybox, command: [nosuch]}").replace("Never", "Always");
    let file = node.file("pod.yaml", &text);
    let running = node.start(&["run", &file]);
    node.wait_status("b", &["CrashLoopBackOff"]);
    let daemon = node.daemon().expect("a daemon");
    let before = e2e::leak::cpu_ticks(daemon);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let used = e2e::leak::cpu_ticks(daemon) - before;
    // Of 100 ticks in that second a busy loop uses nearly all, and a daemon that waits for the back-off next to none.
    assert!(used < 50, "the daemon used {used} ticks of one second");
    running.signal("INT");
    running.wait(std::time::Duration::from_secs(20));
    node.finish();
}
