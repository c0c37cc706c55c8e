//! Images as control input: S01, S09, S13, S19, S25, S26, S27, S28, S29.

use super::Hostile;
use e2e::hostile_image::{Layer, import};
use serde_json::json;

#[test]
fn s01_s09_s11_an_image_made_to_break_out_runs_as_any_other() {
    apart!(s01_s09_s11_an_image_made_to_break_out_runs_as_any_other);
    let h = Hostile::new("s01");
    let canary = h.node.folder().join("canary").display().to_string();
    let up = format!("../../../../../../../..{canary}");
    let links = [
        ("proc", canary.as_str()),
        ("sys", up.as_str()),
        ("dev", canary.as_str()),
        ("work", "/proc/self/fd/7"),
    ];
    for (n, (name, target)) in links.into_iter().enumerate() {
        let name_of_image = format!("evil{n}");
        import(
            &h.node,
            &name_of_image,
            Layer::default().link(name, target),
            json!({}),
        );
        let said = h.once(
            &name_of_image,
            "",
            "test -c /dev/null && test -d /proc/self && test -d /sys/kernel && echo good",
        );
        assert_eq!(said.ok(), "good\n", "/{name} -> {target}");
        h.unharmed();
    }
    // The program that made the container, run by the image itself.
    let shebang = Layer::default()
        .file("again", b"#!/proc/self/exe\n")
        .link("exe", "/proc/self/exe");
    import(
        &h.node,
        "exe",
        shebang,
        json!({"Entrypoint": ["/proc/self/exe"]}),
    );
    let before = std::fs::read(e2e::node::binary("podwright-launch")).unwrap();
    for command in ["/proc/self/exe", "/again", "/exe"] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: s}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: app, image: exe, command: [{command}]}}\n"
        );
        let file = h.node.file("pod.yaml", &text);
        assert_ne!(h.node.run(&["run", &file]).status, 0, "{command}");
    }
    assert!(std::fs::read(e2e::node::binary("podwright-launch")).unwrap() == before);
    h.finish();
}

#[test]
fn s06_a_working_directory_behind_a_descriptor_is_never_the_nodes() {
    apart!(s06_a_working_directory_behind_a_descriptor_is_never_the_nodes);
    let h = Hostile::new("s06cwd");
    import(
        &h.node,
        "linked",
        Layer::default().link("work", "/proc/self/fd/7"),
        json!({"WorkingDir": "/work"}),
    );
    import(
        &h.node,
        "plain",
        Layer::default(),
        json!({"WorkingDir": "/proc/self/fd/7/../../.."}),
    );
    for (image, more) in [
        ("linked", ""),
        ("plain", ""),
        ("busybox", ", workingDir: /proc/self/fd/8"),
        ("busybox", ", workingDir: /proc/1/cwd"),
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: s}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: app, image: {image}, command: [sh, -c, 'pwd; ls; cat ../canary/secret']{more}}}\n"
        );
        let file = h.node.file("pod.yaml", &text);
        h.node.run(&["run", "-d", &file]).ok();
        let status = h.node.wait_status(
            "s",
            &[
                "CreateContainerConfigError",
                "CreateContainerError",
                "RunContainerError",
                "StartError",
                "Error",
                "Completed",
            ],
        );
        let log = h.node.run(&["logs", "s"]).out;
        assert!(
            !log.contains("canary's secret"),
            "{image}{more}: {status}: {log}"
        );
        assert_ne!(status, "Completed", "{image}{more}");
        h.node.run(&["delete", "pod", "s"]).ok();
    }
    h.finish();
}

#[test]
fn s19_a_hostile_etc_neither_hangs_nor_reads_the_node() {
    apart!(s19_a_hostile_etc_neither_hangs_nor_reads_the_node);
    let h = Hostile::new("s19");
    let secret = h.secret().display().to_string();
    let many: String = (0..20_000)
        .map(|n| format!("g{n}:x:{}:app,root\n", 100_000 + n))
        .collect();
    let zero = |header: &mut tar::Header| {
        header.set_device_major(1).unwrap();
        header.set_device_minor(5).unwrap();
    };
    let table = [
        (
            "climbing",
            Layer::default()
                .link("etc", "../../../../../../else")
                .file("else/passwd", b"root:x:0:0::/:/bin/sh\n"),
        ),
        (
            "absolute",
            Layer::default()
                .link("etc/passwd", &secret)
                .link("etc/group", &secret),
        ),
        (
            "pipe",
            Layer::default()
                .entry(b'6', "etc/passwd", "", b"", |_| {})
                .entry(b'6', "etc/group", "", b"", |_| {}),
        ),
        (
            "zero",
            Layer::default()
                .entry(b'3', "etc/passwd", "", b"", zero)
                .entry(b'3', "etc/group", "", b"", zero),
        ),
        ("many", Layer::default().file("etc/group", many.as_bytes())),
        (
            "loop",
            Layer::default()
                .link("etc/passwd", "group")
                .link("etc/group", "passwd"),
        ),
    ];
    for (name, layer) in table {
        import(&h.node, name, layer, json!({}));
        let begin = std::time::Instant::now();
        let said = h.once(
            name,
            ", securityContext: {runAsUser: 0}",
            "grep ^Uid: /proc/self/status; cat /etc/hosts > /dev/null",
        );
        assert!(said.out.starts_with("Uid:\t0\t0"), "{name}: {said:?}");
        assert!(!said.out.contains("canary's secret"), "{name}");
        assert!(
            begin.elapsed().as_secs() < 15,
            "{name}: {:?}",
            begin.elapsed()
        );
        h.unharmed();
    }
    h.finish();
}

#[test]
fn s28_nothing_in_an_image_config_steers_the_node() {
    apart!(s28_nothing_in_an_image_config_steers_the_node);
    let h = Hostile::new("s28");
    let touch = format!("touch {}", h.node.folder().join("canary/steered").display());
    let own = [
        "io.podwright/hook",
        "podwright.log",
        "io.kubernetes.container.logpath",
        "run.oci.hooks.stdout",
        "org.opencontainers.runtime.hooks",
        "io.containerd.image.config.stream",
        "binary.log",
        "security.podwright/privileged",
        "io.kubernetes.cri-o.Devices",
    ];
    let labels: serde_json::Map<String, serde_json::Value> = own
        .iter()
        .map(|key| {
            (
                (*key).to_owned(),
                json!(format!("binary:///bin/sh?-c={touch}")),
            )
        })
        .collect();
    let config = json!({
        "Labels": labels,
        "Env": ["PATH=/bin", "LD_PRELOAD=/evil.so", "LISTEN_FDS=1", "LISTEN_PID=1", "PODWRIGHT_ROOT=/evil", "RUST_LOG=trace", "_LIBCONTAINER_LOGPIPE=3"],
        "Volumes": {"/../../etc": {}, "/proc/self": {}, "/dev/mem": {}},
        "Healthcheck": {"Test": ["CMD-SHELL", &touch]},
        "OnBuild": [format!("RUN {touch}")],
        "StopSignal": "SIGKILL; reboot",
        "Shell": ["/bin/sh", "-c", &touch],
    });
    import(
        &h.node,
        "steering",
        Layer::default().file("evil.so", b"not a library"),
        config,
    );
    let said = h.once("steering", "", "grep -c ' /etc \\| /dev/mem ' /proc/self/mountinfo; ls /proc/self/fd | wc -l; grep CapEff /proc/self/status");
    // Its own loader complains of the library; what counts is that none of it was ours.
    assert!(said.out.lines().any(|l| l == "0"), "{said:?}");
    assert!(said.out.contains("00000000a80425fb"), "{said:?}");
    h.finish();
}

#[test]
fn s29_a_user_that_overflows_is_never_root() {
    apart!(s29_a_user_that_overflows_is_never_root);
    let h = Hostile::new("s29");
    let users = [
        "4294967296",
        "2147483648",
        "18446744073709551616",
        "-1",
        " 0",
        "0 ",
        "+0",
        "1000:",
        ":0",
        "0x0",
        "4294967296:4294967296",
        "digits",
        "1000:4294967296",
    ];
    let passwd = b"root:x:0:0::/:/bin/sh\ndigits:x:4294967296:4294967296::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n";
    for (n, user) in users.into_iter().enumerate() {
        let name = format!("user{n}");
        import(
            &h.node,
            &name,
            Layer::default().file("etc/passwd", passwd),
            json!({"User": user}),
        );
        for non_root in [false, true] {
            let text = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: s}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: app, image: {name}, command: [id, -u], securityContext: {{runAsNonRoot: {non_root}}}}}\n"
            );
            let file = h.node.file("pod.yaml", &text);
            h.node.run(&["run", "-d", &file]).ok();
            h.node
                .wait_status("s", &["CreateContainerConfigError", "CreateContainerError"]);
            h.node.run(&["delete", "pod", "s"]).ok();
        }
    }
    // What is allowed to be root is root.
    import(&h.node, "root", Layer::default(), json!({"User": "0"}));
    assert_eq!(h.once("root", "", "id -u").ok(), "0\n");
    h.finish();
}
