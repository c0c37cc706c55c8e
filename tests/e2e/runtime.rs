//! The runtime half seen from outside: images, ids, exits, files of the container, and many pods at once.

use e2e::Node;
use e2e::node::until;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A pod of one app that ends; `spec` are lines of the pod's spec, `app` flow-style fields of the container.
fn pod(name: &str, spec: &str, app: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{tier: front}}}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 0\n{spec}  containers:\n  - {{name: app, {app}}}\n"
    )
}

#[track_caller]
fn output(node: &Node, text: &str) -> String {
    let file = node.file("pod.yaml", text);
    node.run(&["run", &file]).ok().to_owned()
}

fn sh(script: &str) -> String {
    format!("image: busybox, command: [sh, -c, {script:?}]")
}

/// Adds a blob to an OCI layout and gives its digest and size.
fn blob(layout: &Path, bytes: &[u8]) -> (String, usize) {
    let draft = layout.join("draft");
    fs::write(&draft, bytes).unwrap();
    let sum = Command::new("sha256sum").arg(&draft).output().unwrap();
    let hex = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    fs::rename(&draft, layout.join("blobs/sha256").join(&hex)).unwrap();
    (format!("sha256:{hex}"), bytes.len())
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The busybox image again with `more` layers of one file each and these fields of its configuration.
fn image_with(node: &Node, name: &str, more: usize, config: &Value) -> PathBuf {
    let layout = node.folder().join(name);
    let copied = Command::new("cp")
        .arg("-r")
        .arg(e2e::node::image())
        .arg(&layout)
        .status();
    assert!(copied.unwrap().success());
    let at = |v: &Value| {
        let digest = v["digest"].as_str().unwrap().to_owned();
        layout.join("blobs/sha256").join(&digest["sha256:".len()..])
    };
    let mut index = read_json(&layout.join("index.json"));
    let mut manifest = read_json(&at(&index["manifests"][0]));
    let mut image = read_json(&at(&manifest["config"]));
    for i in 0..more {
        let file = node.folder().join(format!("layer{i}"));
        fs::write(&file, "x").unwrap();
        let tar = Command::new("tar")
            .args(["-cf", "-", "-C"])
            .arg(node.folder())
            .arg(format!("layer{i}"))
            .output()
            .unwrap();
        fs::remove_file(&file).unwrap();
        let (digest, size) = blob(&layout, &tar.stdout);
        let kind = "application/vnd.oci.image.layer.v1.tar";
        let layer = json!({"mediaType": kind, "digest": digest, "size": size});
        manifest["layers"].as_array_mut().unwrap().push(layer);
        let ids = image["rootfs"]["diff_ids"].as_array_mut().unwrap();
        ids.push(json!(digest));
    }
    image.as_object_mut().unwrap().remove("history");
    for (key, value) in config.as_object().unwrap() {
        image["config"][key] = value.clone();
    }
    let (digest, size) = blob(&layout, &serde_json::to_vec(&image).unwrap());
    manifest["config"]["digest"] = json!(digest);
    manifest["config"]["size"] = json!(size);
    let (digest, size) = blob(&layout, &serde_json::to_vec(&manifest).unwrap());
    index["manifests"][0]["digest"] = json!(digest);
    index["manifests"][0]["size"] = json!(size);
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    layout
}

#[test]
fn an_image_of_127_layers_runs_and_one_of_128_is_refused() {
    let node = Node::new("layers");
    let base = e2e::node::image();
    let index = read_json(&base.join("index.json"));
    let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let manifest = read_json(&base.join("blobs/sha256").join(&digest[7..]));
    let own = manifest["layers"].as_array().unwrap().len();
    let most = image_with(&node, "most", 127 - own, &json!({}));
    node.run(&[
        "image",
        "import",
        &most.display().to_string(),
        "--name",
        "most",
    ])
    .ok();
    let app = "image: most, command: [sh, -c, 'ls -d /layer* | wc -l']";
    let got = output(&node, &pod("m", "", app));
    assert_eq!(got, format!("{}\n", 127 - own));
    let more = image_with(&node, "more", 128 - own, &json!({}));
    let refused = node.run(&[
        "image",
        "import",
        &more.display().to_string(),
        "--name",
        "more",
    ]);
    assert_ne!(refused.status, 0);
    assert!(refused.err.contains("it has 128 layers"), "{}", refused.err);
    node.finish();
}

#[test]
fn user_entrypoint_command_folder_and_environment_of_the_image_count_where_the_pod_says_nothing() {
    let node = Node::new("imageconfig");
    let config = json!({"User": "33:7", "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["cmd"],
        "WorkingDir": "/work/deep", "Env": ["PATH=/bin", "OF_IMAGE=yes", "BOTH=image"]});
    let layout = image_with(&node, "configured", 0, &config);
    let path = layout.display().to_string();
    node.run(&["image", "import", &path, "--name", "configured"])
        .ok();
    let show = "command: [sh, -c, 'id -u; id -g; pwd; echo $OF_IMAGE $BOTH $PATH']";
    for (app, wanted) in [
        ("", "entry cmd\n"),
        ("args: [mine]", "entry mine\n"),
        ("command: [echo, own]", "own\n"),
        ("command: [echo, own], args: [mine]", "own mine\n"),
        (show, "33\n7\n/work/deep\nyes image /bin\n"),
        (
            &format!(
                "{show}, workingDir: /other, env: [{{name: BOTH, value: pod}}], securityContext: {{runAsUser: 0}}"
            ),
            "0\n0\n/other\nyes pod /bin\n",
        ),
    ] {
        let got = output(&node, &pod("c", "", &format!("image: configured, {app}")));
        assert_eq!(got, wanted, "{app}");
    }
    node.finish();
}

#[test]
fn what_the_node_cannot_give_is_told_by_an_event() {
    let node = Node::new("clamped");
    let app = format!(
        "resources: {{limits: {{cpu: 100m, memory: 32Mi}}}}, {}",
        sh("cat /proc/self/oom_score_adj; sleep 1000")
    );
    let file = node.file("pod.yaml", &pod("g", "", &app));
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("g", &["Running"]);
    let mut log = String::new();
    until("its score", Duration::from_secs(5), || {
        log = node.run(&["logs", "g"]).out;
        !log.is_empty()
    });
    let said = node.run(&["describe", "pod", "g"]).out;
    // A Guaranteed container asks for -997; only CAP_SYS_RESOURCE may go below what the node began with.
    if log.trim() == "-997" {
        assert!(!said.contains("Clamped"), "{said}");
    } else {
        assert!(said.contains("Clamped"), "{said}");
        assert!(
            said.contains(&format!("oom_score_adj -997 raised to {}", log.trim())),
            "{said}"
        );
    }
    node.finish();
}

#[test]
fn the_pods_groups_and_the_containers_ids_reach_the_process() {
    let node = Node::new("ids");
    let spec = "  securityContext: {runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000, supplementalGroups: [4000]}\n";
    let got = output(&node, &pod("u", spec, &sh("id -u; id -g; id -G")));
    assert_eq!(got, "1000\n3000\n3000 2000 4000\n");
    let app = format!("securityContext: {{runAsUser: 7}}, {}", sh("id -u; id -g"));
    assert_eq!(output(&node, &pod("v", spec, &app)), "7\n3000\n");
    node.finish();
}

#[test]
fn a_local_seccomp_profile_is_in_force() {
    let node = Node::new("localhost");
    let folder = node.root().join("seccomp");
    fs::create_dir_all(&folder).unwrap();
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
        [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}"#;
    fs::write(folder.join("no-mkdir.json"), profile).unwrap();
    let app = format!(
        "securityContext: {{seccompProfile: {{type: Localhost, localhostProfile: no-mkdir.json}}}}, {}",
        sh("mkdir /x 2>/dev/null || echo denied")
    );
    assert_eq!(output(&node, &pod("l", "", &app)), "denied\n");
    fs::remove_dir_all(folder).unwrap();
    node.finish();
}

#[test]
fn last_words_come_from_the_file_or_the_end_of_the_log_and_are_cut_at_4096_bytes() {
    let node = Node::new("lastwords");
    let long = format!(
        "terminationMessagePath: /dev/words, {}",
        sh("head -c 9000 /dev/zero | tr '\\0' x > /dev/words; exit 3")
    );
    let fallen = format!(
        "terminationMessagePolicy: FallbackToLogsOnError, {}",
        sh("echo the last words; exit 4")
    );
    for (name, app, code, words) in [
        ("long", long, 3, "x".repeat(4096)),
        ("fallen", fallen, 4, "the last words\n".to_owned()),
    ] {
        let file = node.file("pod.yaml", &pod(name, "", &app));
        node.run(&["run", "-d", &file]).ok();
        node.wait_status(name, &["Error"]);
        let ended = node.pod(name)["status"]["containerStatuses"][0]["state"]["terminated"].clone();
        assert_eq!(ended["exitCode"], json!(code));
        assert_eq!(
            ended["message"].as_str().unwrap().trim_end(),
            words.trim_end()
        );
    }
    node.finish();
}

#[test]
fn a_volume_at_etc_hosts_takes_the_place_of_the_pods_own_file() {
    let node = Node::new("etchosts");
    let app = format!(
        "volumeMounts: [{{name: v, mountPath: /etc/hosts}}], {}",
        sh("cat /etc/hosts; grep -c ' /etc/hosts ' /proc/self/mountinfo")
    );
    let own = node.file("own-hosts", "192.0.2.1 mine\n");
    let spec = format!("  volumes: [{{name: v, hostPath: {{path: {own}, type: File}}}}]\n");
    assert_eq!(output(&node, &pod("e", &spec, &app)), "192.0.2.1 mine\n1\n");
    node.finish();
}

#[test]
fn a_sub_path_expression_is_expanded_and_an_unknown_name_in_it_is_refused() {
    let node = Node::new("subpathexpr");
    let with = |expression: &str| {
        format!(
            "env: [{{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}], volumeMounts: \
             [{{name: v, mountPath: /a, subPathExpr: {expression:?}}}, {{name: v, mountPath: /b}}], {}",
            sh("echo here > /a/f; cat /b/in/x/f")
        )
    };
    let spec = "  volumes: [{name: v, emptyDir: {}}]\n";
    assert_eq!(output(&node, &pod("x", spec, &with("in/$(POD)"))), "here\n");
    let file = node.file("pod.yaml", &pod("z", spec, &with("$(NOTHING)")));
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("z", &["CreateContainerConfigError"]);
    let said = node.run(&["describe", "pod", "z"]).out;
    assert!(said.contains("missing value for NOTHING"), "{said}");
    node.finish();
}

#[test]
fn thirty_pods_at_once_all_run_and_all_end_and_nothing_is_left() {
    let node = Node::new("thirty");
    let init = "  initContainers: [{name: i, image: busybox, command: ['true']}]\n";
    let all: Vec<String> = (0..30)
        .map(|i| pod(&format!("p{i}"), init, &sh("sleep 1; exit 7")))
        .collect();
    let file = node.file("pods.yaml", &all.join("---\n"));
    node.run(&["create", "-f", &file]).ok();
    until("the end of all pods", Duration::from_secs(60), || {
        let list: Value =
            serde_json::from_str(&node.run(&["get", "pods", "-o", "json"]).out).unwrap_or_default();
        let codes = list["items"].as_array().into_iter().flatten().filter(|p| {
            p["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == json!(7)
        });
        codes.count() == 30
    });
    node.run(&["delete", "pod", "--all"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn an_image_may_be_removed_while_a_pod_uses_it() {
    let node = Node::new("imagegone");
    let app = sh("while [ ! -e /go ]; do sleep 0.05; done; ls -d /bin");
    let file = node.file("pod.yaml", &pod("i", "", &app));
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("i", &["Running"]);
    let removed = node.run(&["image", "rm", "busybox"]);
    node.run_to_its_end(&["exec", "i", "-c", "app", "--", "touch", "/go"]);
    node.wait_status("i", &["Completed"]);
    assert_eq!(node.run(&["logs", "i"]).ok(), "/bin\n");
    // Either it is refused by name, or it is gone once nothing uses it.
    if removed.status != 0 {
        assert!(removed.err.contains("busybox"), "{}", removed.err);
    }
    node.run(&["delete", "pod", "i"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_pod_with_the_longest_names_runs_and_its_log_is_found() {
    let node = Node::new("longnames");
    let (namespace, name, container) = ("s".repeat(63), "n".repeat(253), "c".repeat(63));
    let text = pod(&name, "", &sh("echo long"))
        .replace(", labels:", &format!(", namespace: {namespace}, labels:"))
        .replace("name: app", &format!("name: {container}"));
    let file = node.file("pod.yaml", &text);
    node.run(&["run", "-d", &file]).ok();
    until("its log", Duration::from_secs(10), || {
        node.run(&["logs", "-n", &namespace, &name]).out == "long\n"
    });
    node.run(&["delete", "pod", "-n", &namespace, &name]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

/// Ends every process of the node at once and clears what a reboot clears.
fn crash(node: &Node) {
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut ours = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                if entry.path().to_string_lossy().contains(node.word()) {
                    ours.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    let pids =
        |folder: &PathBuf| fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for pid in ours.iter().map(pids).collect::<String>().lines() {
        let _ = Command::new("kill").args(["-9", pid]).status();
    }
    until("the end of all processes", Duration::from_secs(5), || {
        ours.iter().all(|folder| pids(folder).is_empty())
    });
    let word = node.word();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = table.lines().filter_map(|l| l.split(' ').nth(4));
    for mount in mounts.filter(|m| m.contains(word)) {
        let _ = Command::new("umount").args(["-l", mount]).status();
    }
    for folder in ours.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
    fs::remove_dir_all(node.run_dir()).unwrap();
}

#[test]
fn after_a_reboot_pods_are_found_again_and_those_that_may_restart_do() {
    let node = Node::new("reboot");
    let volume = "  volumes: [{name: v, emptyDir: {}}]\n";
    let app = format!(
        "volumeMounts: [{{name: v, mountPath: /v}}], {}",
        sh("echo x >> /v/f; wc -l < /v/f; sleep 1000")
    );
    let ended = pod("ended", "", &sh("exit 5"));
    let never = pod("never", volume, &app);
    let first = sh("echo x >> /v/i; wc -l < /v/i");
    let init = format!(
        "{volume}  initContainers: [{{name: first, volumeMounts: [{{name: v, mountPath: /v}}], {first}}}]\n"
    );
    let always = pod("always", &init, &app).replace("Policy: Never", "Policy: Always");
    let file = node.file("pods.yaml", &[never, always, ended].join("---\n"));
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("never", &["Running"]);
    node.wait_status("always", &["Running"]);
    node.wait_status("ended", &["Error"]);
    // What a task remembers goes to the disk in bundles, at most 0.3 s late.
    std::thread::sleep(Duration::from_secs(1));
    crash(&node);
    node.wait_status("always", &["Running"]);
    let said = |name: &str| {
        let pod = node.pod(name);
        let container = pod["status"]["containerStatuses"][0].clone();
        (pod["status"]["phase"].clone(), container)
    };
    assert_eq!(said("always").1["restartCount"], json!(1));
    until("the second start", Duration::from_secs(5), || {
        node.run(&["logs", "always"]).out == "2\n"
    });
    // Nothing tells any more that its init container was done: it runs again, and meets what it wrote.
    assert_eq!(node.run(&["logs", "always", "-c", "first"]).ok(), "2\n");
    until(
        "the end of what may not restart",
        Duration::from_secs(5),
        || said("never").1["state"]["terminated"]["reason"] == json!("ContainerStatusUnknown"),
    );
    assert_eq!(said("never").0, json!("Failed"));
    assert_eq!(said("ended").1["state"]["terminated"]["exitCode"], json!(5));
    node.run(&["delete", "pod", "--all"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn a_projected_volume_holds_all_its_sources_and_a_changed_config_map_reaches_volumes_but_not_sub_paths()
 {
    let node = Node::new("projected");
    let map = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map}}\ndata: {{key: {value}}}\n"
        )
    };
    node.run(&["create", "-f", &node.file("map.yaml", &map("one"))])
        .ok();
    let spec = "  volumes:\n  - name: p\n    projected: {sources: [{configMap: {name: map}}, \
                {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]}\n  \
                - {name: d, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}\n";
    let app = format!(
        "volumeMounts: [{{name: p, mountPath: /p}}, {{name: d, mountPath: /d}}, {{name: p, mountPath: /sub, subPath: key}}], {}",
        sh(
            "cat /p/key /p/labels; echo; cat /d/name; echo; until [ $(cat /p/key) = two ]; do sleep 0.05; done; cat /sub"
        )
    );
    let file = node.file("pod.yaml", &pod("down", spec, &app));
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("down", &["Running"]);
    let changed = node.file("map.yaml", &map("two"));
    node.run(&["create", "--replace", "-f", &changed]).ok();
    node.wait_status("down", &["Completed"]);
    assert_eq!(
        node.run(&["logs", "down"]).ok(),
        "onetier=\"front\"\ndown\none"
    );
    node.finish();
}
