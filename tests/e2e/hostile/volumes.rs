//! Volumes, logs and messages that a container prepares for the node to trip over: S03, S20, S21, S22, S24.

use super::{Hostile, rounds};
use std::fs;

#[test]
fn s20_a_log_that_a_container_replaces_is_neither_read_nor_written_through() {
    apart!(s20_a_log_that_a_container_replaces_is_neither_read_nor_written_through);
    let h = Hostile::new("s20");
    let secret = h.secret().display().to_string();
    let logs = h.node.folder().join("logs").display().to_string();
    for (n, plant) in [
        format!("rm $f; ln -s {secret} $f"),
        format!("rm $f; ln -s {secret} $f; ln -s {secret} ${{f%0.log}}1.log; ln -s {secret} $f.1"),
        "rm $f; mkfifo $f".to_owned(),
        "rm $f; mkfifo ${f%0.log}1.log".to_owned(),
        "rm $f; mkdir $f".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{n}");
        let script = format!(
            "f=$(echo /l/*_{name}_*/app/0.log); echo before; {plant}; echo after; echo planted > /l/planted; sleep 1000"
        );
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 0\n  volumes: [{{name: l, hostPath: {{path: {logs}}}}}]\n  containers:\n  - {{name: app, image: busybox, command: [sh, -c, {script:?}], volumeMounts: [{{name: l, mountPath: /l}}]}}\n"
        );
        let file = h.node.file("pod.yaml", &text);
        h.node.run(&["run", "-d", &file]).ok();
        let planted = h.node.folder().join("logs/planted");
        e2e::node::until("the plant", std::time::Duration::from_secs(20), || {
            planted.exists()
        });
        let read = h.node.run(&["logs", &name]);
        assert!(
            !read.out.contains("canary's secret") && !read.err.contains("canary's secret"),
            "{read:?}"
        );
        // Once more with a new attempt, whose file may be waiting.
        let pid = h.node.pid_of("1000");
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        e2e::node::until(
            "the end of the first attempt",
            std::time::Duration::from_secs(20),
            || !fs::exists(format!("/proc/{pid}")).unwrap(),
        );
        let read = h.node.run(&["logs", &name, "--previous"]);
        assert!(!read.out.contains("canary's secret"), "{read:?}");
        h.unharmed();
        h.node.run(&["delete", "pod", &name]).ok();
        fs::remove_file(planted).unwrap();
    }
    h.unharmed();
    let _ = fs::remove_dir_all(logs);
    h.finish();
}

/// A pod whose init container prepares a volume, and whose app mounts a part of it.
fn prepared(name: &str, plant: &str, sub: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  volumes: [{{name: v, emptyDir: {{}}}}]\n  initContainers:\n  - {{name: plant, image: busybox, command: [sh, -c, {plant:?}], volumeMounts: [{{name: v, mountPath: /v}}]}}\n  containers:\n  - {{name: app, image: busybox, command: [sh, -c, 'echo began; ls -a /m; cat /m /m/secret; echo x > /m/planted; echo x > /m'], volumeMounts: [{{name: v, mountPath: /m, {sub}}}]}}\n"
    )
}

#[test]
fn s21_a_sub_path_through_a_planted_link_stays_in_the_volume() {
    apart!(s21_a_sub_path_through_a_planted_link_stays_in_the_volume);
    let h = Hostile::new("s21");
    let canary = h.node.folder().join("canary").display().to_string();
    let up = format!("../../../../../../../../../../../..{canary}");
    for (n, (plant, sub)) in [
        (format!("ln -s {canary} /v/x"), "subPath: x"),
        (format!("ln -s {canary}/secret /v/x"), "subPath: x"),
        (format!("ln -s {up} /v/x"), "subPath: x"),
        (format!("ln -s {canary} /v/x"), "subPath: x/open"),
        (format!("ln -s {canary} /v/x"), "subPath: x/new/deep"),
        ("ln -s / /v/x".to_owned(), "subPath: x/etc"),
        ("ln -s /proc/self/root /v/x".to_owned(), "subPath: x/etc"),
        ("ln -s /proc/1/cwd /v/x".to_owned(), "subPath: x"),
        ("mkfifo /v/x".to_owned(), "subPath: x/y"),
    ]
    .into_iter()
    .enumerate()
    {
        let file = h
            .node
            .file("pod.yaml", &prepared(&format!("s{n}"), &plant, sub));
        h.node.run(&["run", "-d", &file]).ok();
        let ends = [
            "Completed",
            "Error",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
            "StartError",
        ];
        h.node.wait_status(&format!("s{n}"), &ends);
        let log = h.node.run(&["logs", &format!("s{n}"), "-c", "app"]);
        assert!(!log.out.contains("canary's secret"), "{plant}: {log:?}");
        h.unharmed();
        h.node.run(&["delete", "pod", &format!("s{n}")]).ok();
    }
    // What the manifest itself must not say.
    for sub in ["subPath: ../x", "subPath: a/../../x", "subPath: /etc"] {
        let file = h.node.file("pod.yaml", &prepared("bad", "true", sub));
        assert_ne!(h.node.run(&["run", "-d", &file]).status, 0, "{sub}");
    }
    let climbing = prepared("expr", "true", "subPathExpr: $(X)etc").replace(
        "volumeMounts: [{name: v, mountPath: /m",
        "env: [{name: X, value: ../../}], volumeMounts: [{name: v, mountPath: /m",
    );
    let file = h.node.file("pod.yaml", &climbing);
    h.node.run(&["run", "-d", &file]).ok();
    h.node.wait_status(
        "expr",
        &["CreateContainerConfigError", "CreateContainerError"],
    );
    h.finish();
}

#[test]
fn s21_a_sub_path_that_is_exchanged_while_it_is_mounted_stays_in_the_volume() {
    apart!(s21_a_sub_path_that_is_exchanged_while_it_is_mounted_stays_in_the_volume);
    let h = Hostile::new("s21race");
    let canary = h.node.folder().join("canary").display().to_string();
    // The one exchanges a folder and a link for ever, the other is started over and over with a part of the volume.
    let swap = format!(
        "mkdir -p /v/x/y; ln -s {canary} /v/link; while :; do mv -T /v/x /v/t 2>/dev/null; mv -T /v/link /v/x; rm -f /v/x; mv -T /v/t /v/x; ln -s {canary} /v/link; done"
    );
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: race}}\nspec:\n  terminationGracePeriodSeconds: 0\n  volumes: [{{name: v, emptyDir: {{}}}}]\n  containers:\n  - {{name: swap, image: busybox, command: [sh, -c, {swap:?}], volumeMounts: [{{name: v, mountPath: /v}}]}}\n  - {{name: app, image: busybox, command: [sh, -c, 'ls -a /m; cat /m/secret; echo x > /m/planted; sleep 1000'], volumeMounts: [{{name: v, mountPath: /m, subPath: x/y}}]}}\n"
    );
    let file = h.node.file("pod.yaml", &text);
    for _ in 0..rounds().div_ceil(5) {
        h.node.run(&["run", "-d", &file]).ok();
        let ready = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while std::time::Instant::now() < ready && !h.node.status("race").contains("Running") {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let log = h.node.run(&["logs", "race", "-c", "app"]);
        assert!(!log.out.contains("canary's secret"), "{log:?}");
        h.unharmed();
        h.node.run(&["delete", "pod", "race"]).ok();
    }
    h.finish();
}

#[test]
fn s03_a_mount_below_a_shared_volume_whose_link_leads_out_stays_inside() {
    apart!(s03_a_mount_below_a_shared_volume_whose_link_leads_out_stays_inside);
    let h = Hostile::new("s03");
    let canary = h.node.folder().join("canary").display().to_string();
    for (n, target) in [
        canary.clone(),
        "/".to_owned(),
        "/proc/self/cwd".to_owned(),
        "/proc/1/root".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let plant = format!("ln -s {target} /v/x");
        let text = prepared(&format!("s{n}"), &plant, "readOnly: false")
            .replace("volumes: [", "volumes: [{name: o, emptyDir: {}}, ")
            .replace(
                "mountPath: /m, readOnly: false}",
                "mountPath: /m}, {name: o, mountPath: /m/x/pwhostile}",
            );
        let file = h.node.file("pod.yaml", &text);
        h.node.run(&["run", "-d", &file]).ok();
        let ends = [
            "Completed",
            "Error",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
            "StartError",
        ];
        h.node.wait_status(&format!("s{n}"), &ends);
        assert!(!fs::exists("/pwhostile").unwrap(), "x -> {target}");
        h.unharmed();
        h.node.run(&["delete", "pod", &format!("s{n}")]).ok();
    }
    h.finish();
}

#[test]
fn s22_a_container_cannot_change_its_config_files_and_an_update_writes_through_nothing() {
    apart!(s22_a_container_cannot_change_its_config_files_and_an_update_writes_through_nothing);
    let h = Hostile::new("s22");
    let canary = h.node.folder().join("canary").display().to_string();
    let map = |text: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{key: {text}}}\n")
    };
    let script = format!(
        "cd /c; rm -f key ..data; ln -sf {canary}/plain key; ln -sfn {canary} ..data; echo evil > key; mkdir x; echo tried; while ! grep -q second /c/key; do sleep 0.1; done; echo seen; stat -f -c %T /s; cat /proc/mounts | grep ' /s ' | cut -d' ' -f3; stat -c %a /s/..data/k; sleep 1000"
    );
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  terminationGracePeriodSeconds: 0\n  volumes: [{{name: c, configMap: {{name: c}}}}, {{name: s, secret: {{secretName: s, defaultMode: 256}}}}]\n  containers:\n  - {{name: app, image: busybox, command: [sh, -c, {script:?}], volumeMounts: [{{name: c, mountPath: /c}}, {{name: s, mountPath: /s}}]}}\n"
    );
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: hidden}\n";
    for (name, text) in [
        ("map.yaml", map("first")),
        ("secret.yaml", secret.to_owned()),
    ] {
        h.node
            .run(&["create", "-f", &h.node.file(name, &text)])
            .ok();
    }
    let file = h.node.file("pod.yaml", &text);
    h.node.run(&["run", "-d", &file]).ok();
    let said = |word: &str| {
        let logs = || h.node.run(&["logs", "p"]).out;
        e2e::node::until(word, std::time::Duration::from_secs(30), || {
            logs().contains(word)
        });
    };
    said("tried");
    let second = h.node.file("map.yaml", &map("second"));
    h.node.run(&["create", "--replace", "-f", &second]).ok();
    said("seen");
    said("400");
    let log = h.node.run(&["logs", "p"]).out;
    assert!(log.contains("tmpfs"), "{log}");
    h.unharmed();
    h.finish();
}

#[test]
fn s24_a_termination_message_is_the_last_4096_bytes_of_our_own_file() {
    apart!(s24_a_termination_message_is_the_last_4096_bytes_of_our_own_file);
    let h = Hostile::new("s24");
    let secret = h.secret().display().to_string();
    let message = |path: &str, plant: &str, script: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: m}}\nspec:\n  restartPolicy: Never\n  volumes: [{{name: v, emptyDir: {{}}}}]\n  initContainers:\n  - {{name: plant, image: busybox, command: [sh, -c, {plant:?}], volumeMounts: [{{name: v, mountPath: /v}}]}}\n  containers:\n  - {{name: app, image: busybox, terminationMessagePath: {path}, command: [sh, -c, {script:?}], volumeMounts: [{{name: v, mountPath: /v}}]}}\n"
        );
        let file = h.node.file("pod.yaml", &text);
        h.node.run(&["run", "-d", &file]).ok();
        h.node.wait_status(
            "m",
            &[
                "Completed",
                "Error",
                "CreateContainerError",
                "CreateContainerConfigError",
                "RunContainerError",
                "StartError",
            ],
        );
        let pod = h.node.pod("m");
        h.node.run(&["delete", "pod", "m"]).ok();
        let found = pod.pointer("/status/containerStatuses/0/state/terminated/message");
        found
            .and_then(|m| m.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    // 1 GiB, most of it a hole.
    let big = message(
        "/dev/termination-log",
        "true",
        "truncate -s 1G /dev/termination-log; echo end >> /dev/termination-log",
    );
    assert!(
        big.len() <= 4096 && big.ends_with("end\n"),
        "{} bytes",
        big.len()
    );
    for plant in [
        format!("ln -s {secret} /v/msg"),
        "mkfifo /v/msg".to_owned(),
        "mkdir /v/msg".to_owned(),
        "mknod /v/msg c 1 5".to_owned(),
    ] {
        let said = message("/v/msg", &plant, "echo own > /v/msg");
        assert!(
            said.len() <= 4096 && !said.contains("canary's secret"),
            "{plant}: {said}"
        );
        h.unharmed();
    }
    let replaced = message(
        "/dev/termination-log",
        "true",
        &format!("rm -f /dev/termination-log; ln -sf {secret} /dev/termination-log; true"),
    );
    assert!(!replaced.contains("canary's secret"), "{replaced}");
    h.finish();
}
