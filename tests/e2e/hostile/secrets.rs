//! What is told and written: control characters arrive as they are (S32), secrets nowhere but where they belong (S36), annotations steer
//! nothing (S40).

use super::Hostile;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn s32_control_characters_arrive_as_they_are_and_make_no_new_lines_of_files() {
    apart!(s32_control_characters_arrive_as_they_are_and_make_no_new_lines_of_files);
    let h = Hostile::new("s32");
    let odd = "a\\nb\\rc\\u2028d\\te=f;g";
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: s, annotations: {{odd: \"{odd}\"}}}}\nspec:\n  restartPolicy: Never\n  containers:\n  - name: app\n    image: busybox\n    env: [{{name: ODD, value: \"{odd}\"}}, {{name: HOME, value: \"/h\\nevil:x:0:0::/:/bin/sh\"}}, {{name: NOTE, valueFrom: {{fieldRef: {{fieldPath: \"metadata.annotations['odd']\"}}}}}}]\n    command: [sh, -c, 'printf %s \"$ODD\" | md5sum; printf %s \"$NOTE\" | md5sum; grep -c evil /etc/passwd /etc/hosts /etc/resolv.conf; env | grep -c ^evil:']\n"
    );
    let file = h.node.file("pod.yaml", &text);
    let said = h.node.run(&["run", &file]);
    let sum = "a\nb\rc\u{2028}d\te=f;g";
    let sum = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$0\" | md5sum", sum])
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert!(said.out.starts_with(&format!("{sum}{sum}")), "{said:?}");
    for file in ["/etc/passwd", "/etc/hosts", "/etc/resolv.conf"] {
        assert!(
            said.out.contains(&format!("{file}:0")) || !said.out.contains(file),
            "{said:?}"
        );
    }
    // Where a line would be made of it, it is refused.
    for (what, spec) in [
        ("hostname", "hostname: \"a\\nb\""),
        ("hostname with a carriage return", "hostname: \"a\\rb\""),
        (
            "alias",
            "hostAliases: [{ip: 192.0.2.1, hostnames: [\"a\\n192.0.2.2 evil\"]}]",
        ),
        (
            "alias address",
            "hostAliases: [{ip: \"192.0.2.1 evil\\n\", hostnames: [a]}]",
        ),
        (
            "search",
            "dnsConfig: {searches: [\"a.test\\nnameserver 192.0.2.9\"]}",
        ),
        (
            "nameserver",
            "dnsConfig: {nameservers: [\"192.0.2.1\\noptions x\"]}",
        ),
        (
            "option",
            "dnsConfig: {options: [{name: \"ndots\\nnameserver 192.0.2.9\", value: \"1\"}]}",
        ),
        (
            "option value",
            "dnsConfig: {options: [{name: ndots, value: \"1\\nnameserver 192.0.2.9\"}]}",
        ),
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: bad}}\nspec:\n  {spec}\n  restartPolicy: Never\n  containers:\n  - {{name: app, image: busybox, command: [cat, /etc/hosts, /etc/resolv.conf, /etc/hostname]}}\n"
        );
        let file = h.node.file("bad.yaml", &text);
        let said = h.node.run(&["run", &file]);
        let injected = said.out.lines().any(|l| {
            l.starts_with("192.0.2.2")
                || l.starts_with("nameserver 192.0.2.9")
                || l.starts_with("options x")
                || l == "b"
        });
        assert!(!injected, "{what}: {said:?}");
        assert!(said.status != 0, "{what} was taken: {said:?}");
    }
    h.finish();
}

#[test]
fn s36_a_secret_is_in_no_log_no_argument_and_no_environment_of_ours() {
    apart!(s36_a_secret_is_in_no_log_no_argument_and_no_environment_of_ours);
    const MARK: &str = "Marker-7f3a9c51-of-a-secret";
    let h = Hostile::new("s36");
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: k}}\nstringData: {{token: {MARK}}}\n"
    );
    let file = h.node.file("secret.yaml", &text);
    h.node.run(&["create", "-f", &file]).ok();
    fs::remove_file(&file).unwrap();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec:\n  terminationGracePeriodSeconds: 0\n  volumes: [{name: k, secret: {secretName: k}}]\n  containers:\n  - name: app\n    image: busybox\n    command: [sleep, '1000']\n    env: [{name: TOKEN, valueFrom: {secretKeyRef: {name: k, key: token}}}]\n    volumeMounts: [{name: k, mountPath: /k}]\n";
    let file = h.node.file("pod.yaml", pod);
    h.node.run(&["run", "-d", &file]).ok();
    h.node.wait_status("s", &["Running"]);
    let inside = h
        .node
        .run(&["exec", "s", "--", "sh", "-c", "echo $TOKEN; cat /k/token"]);
    assert_eq!(inside.ok(), format!("{MARK}\n{MARK}"));
    // What is told of it.
    for arguments in [
        vec!["describe", "pod", "s"],
        vec!["get", "pod", "s", "-o", "yaml"],
        vec!["events"],
        vec!["logs", "s"],
        vec!["explain", "s"],
    ] {
        let said = h.node.run(&arguments);
        assert!(
            !said.out.contains(MARK) && !said.err.contains(MARK),
            "{arguments:?}: {said:?}"
        );
    }
    // Arguments and environments of our processes; the container's own has it, as it asked.
    let app = h.node.pid_of("1000");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
            let has = bytes.windows(MARK.len()).any(|w| w == MARK.as_bytes());
            assert!(!has || pid == app && file == "environ", "{file} of {pid}");
        }
    }
    // Files: no log has it, and what has it lies on a tmpfs or is root's alone.
    let log = fs::read_to_string(h.node.run_dir().join("node.log")).unwrap();
    assert!(!log.contains(MARK), "{log}");
    let mut open = vec![h.node.folder().to_owned()];
    let mut holders = 0;
    while let Some(path) = open.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|e| e.path()),
            );
            continue;
        }
        if !meta.is_file() || meta.len() > 4 << 20 {
            continue;
        }
        let bytes = fs::read(&path).unwrap_or_default();
        if !bytes.windows(MARK.len()).any(|w| w == MARK.as_bytes()) {
            continue;
        }
        let text = path.display().to_string();
        // The cases' own files of what podwright has printed.
        if text.contains("/out.") {
            continue;
        }
        holders += 1;
        assert!(!text.contains("/logs/"), "{text}");
        let private = path.ancestors().any(|a| {
            fs::metadata(a)
                .is_ok_and(|m| m.is_dir() && m.uid() == 0 && m.permissions().mode() & 0o077 == 0)
        });
        assert!(private, "{text} can be read by others");
    }
    assert!(holders > 0, "it must be kept somewhere");
    h.node.run(&["delete", "pod", "s"]).ok();
    h.node.run(&["delete", "secret", "k"]).ok();
    let left: Vec<_> = fs::read_dir(h.node.root())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    for path in left {
        let found = std::process::Command::new("grep")
            .args(["-rlF", MARK])
            .arg(&path)
            .output()
            .unwrap();
        assert!(
            found.stdout.is_empty(),
            "after it was deleted: {}",
            String::from_utf8_lossy(&found.stdout)
        );
    }
    h.finish();
}

#[test]
fn s40_annotations_are_words_and_steer_nothing() {
    apart!(s40_annotations_are_words_and_steer_nothing);
    let h = Hostile::new("s40");
    let touch = h.node.folder().join("canary/steered").display().to_string();
    let keys = [
        "run.oci.hooks.stdout",
        "run.oci.handler",
        "io.kubernetes.cri-o.Devices",
        "io.katacontainers.config.hypervisor.path",
        "org.criu.config",
        "io.containerd.hook",
        "cdi.k8s.io/x",
        "podwright.io/hook",
        "container.apparmor.security.beta.kubernetes.io/app",
    ];
    let annotations: Vec<String> = keys
        .iter()
        .filter(|k| !k.starts_with("container.apparmor"))
        .map(|k| format!("{k}: \"{touch};/bin/touch {touch}\""))
        .collect();
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: s, annotations: {{{}}}}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: app, image: busybox, command: [sh, -c, 'ls /dev; grep CapEff /proc/self/status']}}\n",
        annotations.join(", ")
    );
    let file = h.node.file("pod.yaml", &text);
    let said = h.node.run(&["run", &file]);
    assert!(said.ok().contains("00000000a80425fb"), "{said:?}");
    h.finish();
}
