//! The verb `create`: what comes of a good bundle, and what is told of a bad one.

use crate::rig::{Plan, Rig, isolated};
use pod_wire::launch::Rootfs;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[test]
fn a_created_container_runs_when_it_is_started_and_gives_its_exit_code() {
    isolated(
        "create::a_created_container_runs_when_it_is_started_and_gives_its_exit_code",
        |rig| {
            let container = rig
                .create(rig.plan("c1", &["sh", "-c", "echo hello; exit 7"]))
                .expect("it is created");
            assert!(container.clamped.is_empty());
            // It waits at the barrier, as a child of whoever started the launcher, and nothing of the rootfs shows on the node.
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert_eq!(fs::read_to_string(&container.output).unwrap(), "");
            assert_eq!(
                fs::read_dir(rig.folder.join("c1/rootfs")).unwrap().count(),
                0
            );
            assert!(
                !fs::read_to_string("/proc/self/mountinfo")
                    .unwrap()
                    .contains("overlay")
            );
            rig.start(&container);
            assert_eq!(rig.wait(container.pid), 7);
            assert_eq!(fs::read_to_string(&container.output).unwrap(), "hello\n");
        },
    );
}

#[test]
fn a_container_gets_what_its_bundle_says_and_no_more() {
    isolated(
        "create::a_container_gets_what_its_bundle_says_and_no_more",
        |rig| {
            let script = "ls /proc/self/fd; pwd; env; cat /proc/self/status; stat -c %a /dev/null; touch /x 2>/dev/null; umask";
            let mut plan = rig.plan("c1", &["sh", "-c", script]);
            plan.config["process"]["user"] =
                json!({"uid": 1000, "gid": 1000, "additionalGids": [7, 8]});
            plan.config["process"]["cwd"] = json!("/made/for it");
            plan.config["process"]["env"] = json!(["PATH=/bin", "HOME=/h", "A=b c"]);
            plan.config["process"]["rlimits"] =
                json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100}]);
            plan.config["linux"]["seccomp"] = deny("mkdirat");
            let (_, text) = rig.run(plan);
            let (fds, rest) = text.split_once("/made/for it\n").expect(&text);
            // The fourth is that of ls itself.
            assert_eq!(fds, "0\n1\n2\n3\n");
            let mut environment: Vec<&str> = rest
                .lines()
                .take_while(|line| !line.starts_with("Name:"))
                .collect();
            environment.retain(|line| {
                !line.starts_with("PWD=")
                    && !line.starts_with("SHLVL=")
                    && !line.starts_with("OLDPWD=")
            });
            environment.sort_unstable();
            assert_eq!(environment, ["A=b c", "HOME=/h", "PATH=/bin"]);
            let line = |key: &str| {
                let line = rest.lines().find(|line| line.starts_with(key)).expect(key);
                line.split_whitespace()
                    .skip(1)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            assert_eq!(line("Uid:"), "1000 1000 1000 1000");
            assert_eq!(line("Groups:"), "7 8");
            assert_eq!(line("NoNewPrivs:"), "1");
            assert_eq!(line("Seccomp:"), "2");
            assert_eq!(line("CapBnd:"), "00000000080000e3");
            assert_eq!(line("CapEff:"), "0000000000000000");
            assert_eq!(line("CapInh:"), "0000000000000000");
            assert_eq!(line("SigBlk:"), "0000000000000000");
            assert_eq!(
                u64::from_str_radix(&line("SigIgn:"), 16).unwrap() & 0x7fff_ffff,
                0,
                "{}",
                line("SigIgn:")
            );
            assert!(rest.contains("\n666\n"), "mode of /dev/null: {rest}");
            assert!(rest.ends_with("0022\n"), "{rest}");
        },
    );
}

/// A profile that lets everything through but one system call.
pub(crate) fn deny(name: &str) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": [name, "mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    })
}

#[test]
fn a_program_that_cannot_run_is_told_before_the_start_in_known_words() {
    isolated(
        "create::a_program_that_cannot_run_is_told_before_the_start_in_known_words",
        |rig| {
            let table = [
                (
                    "nosuch",
                    "exec: \"nosuch\": executable file not found in $PATH",
                ),
                (
                    "/bin/nosuch",
                    "exec: \"/bin/nosuch\": stat /bin/nosuch: no such file or directory",
                ),
                ("/etc/passwd", "exec: \"/etc/passwd\": permission denied"),
                ("/etc", "exec: \"/etc\": is a directory"),
            ];
            for (n, (program, expected)) in table.into_iter().enumerate() {
                let (step, cause) = rig
                    .create(rig.plan(&format!("c{n}"), &[program]))
                    .expect_err("it cannot run");
                assert_eq!((step.as_str(), cause.as_str()), ("start", expected));
                assert_nothing_left(rig, &format!("c{n}"));
            }
            // What is only found out by the exec itself is in the container's output.
            fs::write(rig.image.join("bin/broken"), "#!/no/interpreter\n").unwrap();
            fs::set_permissions(
                rig.image.join("bin/broken"),
                std::os::unix::fs::PermissionsExt::from_mode(0o755),
            )
            .unwrap();
            let (code, output) = rig.run(rig.plan("broken", &["broken"]));
            assert_eq!(code, 126);
            assert!(
                output.starts_with("exec: \"broken\": no such file or directory"),
                "{output}"
            );
        },
    );
}

/// A failed create leaves no process and no state.
fn assert_nothing_left(rig: &Rig, id: &str) {
    let children = fs::read_to_string("/proc/self/task/1/children").unwrap();
    assert_eq!(children, "", "children are left");
    assert!(
        !rig.folder.join("state").join(id).exists(),
        "its state folder is left"
    );
    assert_eq!(
        rig.cgroup_dirs(id),
        Vec::<std::path::PathBuf>::new(),
        "its cgroup is left"
    );
}

#[test]
fn a_failed_create_names_the_real_cause_and_leaves_nothing() {
    isolated(
        "create::a_failed_create_names_the_real_cause_and_leaves_nothing",
        |rig| {
            type Change = fn(&mut Plan);
            let table: [(Change, &[&str]); 4] = [
                (
                    |plan| plan.mount("/data", "bind", "/no/such/folder", &["rbind"]),
                    &["\"/no/such/folder\": no such file or directory"],
                ),
                (
                    |plan| plan.config["linux"]["sysctl"] = json!({"net.no.such": "1"}),
                    &["linux.sysctl: net.no.such is not known to this kernel"],
                ),
                (
                    |plan| plan.config["process"]["cwd"] = json!("/etc/passwd"),
                    &["/etc/passwd", "not a directory"],
                ),
                (
                    |plan| {
                        plan.request.rootfs = Rootfs::Overlay {
                            lower: vec!["/no/layer".into()],
                            upper: "/tmp".into(),
                            work: "/tmp".into(),
                        }
                    },
                    &["/no/layer: no such file or directory"],
                ),
            ];
            for (n, (change, words)) in table.into_iter().enumerate() {
                let id = format!("c{n}");
                let mut plan = rig.plan(&id, &["true"]);
                change(&mut plan);
                let (step, cause) = rig.create(plan).expect_err("it fails");
                assert!(
                    words.iter().any(|word| cause.contains(word)),
                    "{step}: {cause}"
                );
                eprintln!("{step}: {cause}");
                assert_nothing_left(rig, &id);
            }
        },
    );
}

#[test]
fn what_would_mislead_libcontainer_is_refused_by_its_field() {
    isolated(
        "create::what_would_mislead_libcontainer_is_refused_by_its_field",
        |rig| {
            type Change = fn(&mut Plan);
            let table: [(Change, &str); 16] = [
                (
                    |p| p.config["linux"]["cgroupsPath"] = json!(""),
                    "linux.cgroupsPath",
                ),
                (
                    |p| p.config["linux"]["cgroupsPath"] = json!("/"),
                    "linux.cgroupsPath",
                ),
                (
                    |p| p.config["linux"]["cgroupsPath"] = json!("/one"),
                    "linux.cgroupsPath",
                ),
                (
                    |p| p.config["linux"]["cgroupsPath"] = json!("/a/../../b"),
                    "linux.cgroupsPath",
                ),
                (
                    |p| p.config["linux"]["cgroupsPath"] = Value::Null,
                    "linux.cgroupsPath",
                ),
                (
                    |p| p.config["process"]["oomScoreAdj"] = json!(5),
                    "process.oomScoreAdj",
                ),
                (
                    |p| p.config["process"]["env"] = json!(["PATH=/bin"]),
                    "HOME",
                ),
                (|p| p.config["process"]["args"] = json!([]), "process.args"),
                (
                    |p| p.config["process"]["cwd"] = json!("relative"),
                    "process.cwd",
                ),
                (
                    |p| p.config["process"]["capabilities"] = Value::Null,
                    "process.capabilities",
                ),
                (
                    |p| p.config["process"]["terminal"] = json!(true),
                    "process.terminal",
                ),
                (
                    |p| p.config["hooks"] = json!({"prestart": [{"path": "/bin/true"}]}),
                    "hooks",
                ),
                (
                    |p| p.config["linux"]["namespaces"] = json!([{"type": "pid"}]),
                    "mount namespace",
                ),
                (
                    |p| p.config["linux"]["resources"]["pids"] = json!({"limit": 1}),
                    "pids.limit",
                ),
                (|p| p.config["mounts"] = json!([]), "/dev must be a tmpfs"),
                (|p| p.request.id = "../c".into(), "id"),
            ];
            for (n, (change, word)) in table.into_iter().enumerate() {
                let mut plan = rig.plan(&format!("c{n}"), &["true"]);
                change(&mut plan);
                let (step, cause) = rig.create(plan).expect_err(word);
                assert!(
                    step == "config" && cause.contains(word),
                    "{word}: {step}: {cause}"
                );
            }
            let mut plan = rig.plan("nnp", &["true"]);
            plan.config["process"]["noNewPrivileges"] = json!(false);
            plan.config["linux"]["seccomp"] = deny("mkdirat");
            assert!(
                rig.create(plan)
                    .expect_err("it is refused")
                    .1
                    .contains("noNewPrivileges")
            );
        },
    );
}

#[test]
fn s30_a_frozen_cgroup_and_one_below_a_frozen_one_are_refused() {
    isolated(
        "create::s30_a_frozen_cgroup_and_one_below_a_frozen_one_are_refused",
        |rig| {
            let path = rig.plan("c1", &[]).config["linux"]["cgroupsPath"].clone();
            let path = path.as_str().unwrap().trim_start_matches('/').to_owned();
            let v1 = Path::new("/sys/fs/cgroup/freezer");
            let (root, file, frozen, thawed) = match v1.is_dir() {
                true => (v1, "freezer.state", "FROZEN", "THAWED"),
                false => (Path::new("/sys/fs/cgroup"), "cgroup.freeze", "1", "0"),
            };
            let own = root.join(&path);
            for folder in [own.parent().unwrap(), &own] {
                fs::create_dir_all(folder).unwrap();
                fs::write(folder.join(file), frozen).unwrap();
                let (step, cause) = rig
                    .create(rig.plan("c1", &["true"]))
                    .expect_err("it is refused");
                assert!(
                    step == "cgroup" && cause.contains("is frozen"),
                    "{step}: {cause}"
                );
                fs::write(folder.join(file), thawed).unwrap();
            }
            assert_eq!(rig.run(rig.plan("c1", &["true"])).0, 0);
        },
    );
}

#[test]
fn s34_a_user_namespace_is_refused_whatever_it_maps() {
    isolated(
        "create::s34_a_user_namespace_is_refused_whatever_it_maps",
        |rig| {
            let map =
                |host: u32, size: u32| json!({"containerID": 0, "hostID": host, "size": size});
            let table = [
                ("the node's own", json!([map(0, 65536)])),
                ("nobody", json!([map(100_000, 0)])),
                (
                    "overlapping ones",
                    json!([map(100_000, 10), map(100_005, 10)]),
                ),
                ("all of them", json!([map(0, u32::MAX)])),
                ("unused ones", json!([map(100_000, 65536)])),
                ("none", json!([])),
            ];
            for (n, (what, maps)) in table.into_iter().enumerate() {
                let mut plan = rig.plan(&format!("c{n}"), &["true"]);
                let namespaces = plan.config["linux"]["namespaces"].as_array_mut().unwrap();
                namespaces.push(json!({"type": "user"}));
                plan.config["linux"]["uidMappings"] = maps.clone();
                plan.config["linux"]["gidMappings"] = maps;
                let (step, cause) = rig.create(plan).expect_err(what);
                assert!(
                    step == "config" && cause.contains("user namespaces"),
                    "{what}: {step}: {cause}"
                );
            }
        },
    );
}

#[test]
fn s30_a_cgroup_with_somebody_in_it_is_refused() {
    isolated(
        "create::s30_a_cgroup_with_somebody_in_it_is_refused",
        |rig| {
            let first = rig
                .create(rig.plan("c1", &["sleep", "60"]))
                .expect("it is created");
            let mut plan = rig.plan("c2", &["true"]);
            plan.config["linux"]["cgroupsPath"] =
                rig.plan("c1", &[]).config["linux"]["cgroupsPath"].clone();
            let (step, cause) = rig.create(plan).expect_err("it is refused");
            assert_eq!(step, "cgroup", "{cause}");
            rig.start(&first);
            assert_eq!(rig.run_in(&first, &["true"]).0, 0, "the first one lives");
        },
    );
}

#[test]
fn a_container_joins_the_namespaces_of_another_and_sees_its_processes() {
    isolated(
        "create::a_container_joins_the_namespaces_of_another_and_sees_its_processes",
        |rig| {
            let mut pause = rig.plan("pause", &["sleep", "60"]);
            pause.config["hostname"] = json!("pod-name");
            let pause = rig.create(pause).expect("it is created");
            rig.start(&pause);
            let script = "cat /proc/sys/kernel/hostname; for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done; cat /proc/1/comm";
            let mut plan = rig.plan("app", &["sh", "-c", script]);
            let joined = [
                ("network", "net"),
                ("ipc", "ipc"),
                ("uts", "uts"),
                ("pid", "pid"),
            ];
            let mut namespaces: Vec<Value> =
            joined.iter().map(|(kind, file)| json!({"type": kind, "path": format!("/proc/{}/ns/{file}", pause.pid)})).collect();
            namespaces.push(json!({"type": "mount"}));
            plan.config["linux"]["namespaces"] = json!(namespaces);
            let (code, text) = rig.run(plan);
            assert_eq!(code, 0, "{text}");
            let lines: Vec<&str> = text.lines().collect();
            let of_pause = |file: &str| {
                fs::read_link(format!("/proc/{}/ns/{file}", pause.pid))
                    .unwrap()
                    .display()
                    .to_string()
            };
            assert_eq!(
                lines[..5],
                [
                    "pod-name",
                    &of_pause("net"),
                    &of_pause("ipc"),
                    &of_pause("uts"),
                    &of_pause("pid")
                ]
            );
            assert_ne!(lines[5], of_pause("mnt"));
            assert_eq!(lines[6], "sleep");
        },
    );
}

#[test]
fn an_image_of_127_layers_is_mounted_with_the_topmost_first() {
    isolated(
        "create::an_image_of_127_layers_is_mounted_with_the_topmost_first",
        |rig| {
            let mut plan = rig.plan("c1", &["sh", "-c", "cat /who; ls /layers"]);
            let store = rig
                .folder
                .join("a folder: with, odd names")
                .join("x".repeat(200));
            let mut lower = vec![];
            for n in 0..126 {
                let layer = store.join(format!("sha256-{n:064}"));
                fs::create_dir_all(layer.join("layers")).unwrap();
                fs::write(layer.join("who"), format!("layer {n}\n")).unwrap();
                fs::write(layer.join(format!("layers/{n}")), "").unwrap();
                lower.push(layer);
            }
            lower.push(rig.image.clone());
            let Rootfs::Overlay { upper, work, .. } = plan.request.rootfs else {
                unreachable!("it is one")
            };
            plan.request.rootfs = Rootfs::Overlay { lower, upper, work };
            let (code, text) = rig.run(plan);
            assert_eq!(code, 0, "{text}");
            assert_eq!(text.lines().next(), Some("layer 0"));
            assert_eq!(text.split_whitespace().count(), 2 + 126);
        },
    );
}

#[test]
fn a_bound_root_is_read_only_and_the_folder_is_left_as_it_was() {
    isolated(
        "create::a_bound_root_is_read_only_and_the_folder_is_left_as_it_was",
        |rig| {
            let mut plan = rig.plan("c1", &["sh", "-c", "mkdir /new || echo refused"]);
            plan.request.rootfs = Rootfs::Bind {
                folder: rig.image.clone(),
            };
            let (_, text) = rig.run(plan);
            assert!(
                text.contains("Read-only file system") && text.contains("refused"),
                "{text}"
            );
            assert!(!rig.image.join("new").exists());
        },
    );
}

#[test]
fn oom_score_adj_is_what_is_asked_for_or_as_low_as_the_node_lets_it_be() {
    isolated(
        "create::oom_score_adj_is_what_is_asked_for_or_as_low_as_the_node_lets_it_be",
        |rig| {
            let of = |pid: i32| {
                fs::read_to_string(format!("/proc/{pid}/oom_score_adj"))
                    .unwrap()
                    .trim()
                    .parse::<i32>()
                    .unwrap()
            };
            let mut plan = rig.plan("high", &["true"]);
            plan.request.oom_score_adj = Some(900);
            let high = rig.create(plan).expect("it is created");
            assert_eq!((of(high.pid), high.clamped.len()), (900, 0));
            let mut plan = rig.plan("low", &["true"]);
            plan.request.oom_score_adj = Some(-998);
            let low = rig.create(plan).expect("it is created");
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let effective = status
                .lines()
                .find_map(|line| line.strip_prefix("CapEff:"))
                .unwrap()
                .trim();
            let may = u64::from_str_radix(effective, 16).unwrap() >> 24 & 1 == 1;
            let floor = of(low.pid);
            eprintln!("CAP_SYS_RESOURCE: {may}, oom_score_adj: {floor}");
            match may {
                true => assert_eq!((floor, low.clamped.len()), (-998, 0)),
                false => {
                    assert!(floor <= 0, "at least as low as this process");
                    assert_eq!(
                        low.clamped,
                        [format!(
                            "oom_score_adj -998 raised to {floor} (CAP_SYS_RESOURCE is missing)"
                        )]
                    );
                }
            }
            let mut plan = rig.plan("bad", &["true"]);
            plan.request.oom_score_adj = Some(1001);
            assert_eq!(
                rig.create(plan).expect_err("it is refused").0,
                "oom_score_adj"
            );
            // The two that wait at their barriers, and no third.
            assert_eq!(
                fs::read_to_string("/proc/self/task/1/children")
                    .unwrap()
                    .split_whitespace()
                    .count(),
                2
            );
        },
    );
}

#[test]
fn a_container_with_a_terminal_has_it_as_its_streams_and_console() {
    isolated(
        "create::a_container_with_a_terminal_has_it_as_its_streams_and_console",
        |rig| {
            let script = "tty; stat -c %u $(tty); ls -1 /proc/self/fd; test -c /dev/console && echo console; echo end";
            let mut plan = rig.plan("c1", &["sh", "-c", script]);
            plan.config["process"]["terminal"] = json!(true);
            plan.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
            plan.request.tty = true;
            plan.streams = false;
            let mut container = rig.create(plan).expect("it is created");
            let master = container.master.take().expect("a terminal");
            assert!(!rig.folder.join("c1/console.sock").exists());
            rig.start(&container);
            let text = read_terminal(master);
            assert_eq!(rig.wait(container.pid), 0);
            assert_eq!(
                text.replace("\r\n", " "),
                "/dev/pts/0 1000 0 1 2 3 console end "
            );
        },
    );
}

/// Everything that a terminal gives until its other end is closed.
pub(crate) fn read_terminal(master: std::os::fd::OwnedFd) -> String {
    let mut file = fs::File::from(master);
    let mut text = Vec::new();
    let mut some = [0; 1024];
    // EIO is the end.
    while let Ok(n @ 1..) = file.read(&mut some) {
        text.extend_from_slice(&some[..n]);
    }
    String::from_utf8(text).expect("text")
}

#[test]
fn s27_devices_that_are_not_allowed_cannot_be_opened() {
    isolated(
        "create::s27_devices_that_are_not_allowed_cannot_be_opened",
        |rig| {
            let script = "busybox mknod /kmsg c 1 11 && cat /kmsg; busybox mknod /null c 1 3 && echo x > /null && echo fine";
            let (_, text) = rig.run(rig.plan("c1", &["sh", "-c", script]));
            assert_eq!(
                text,
                "cat: can't open '/kmsg': Operation not permitted\nfine\n"
            );
        },
    );
}

#[test]
fn folders_and_files_that_are_asked_for_are_made() {
    isolated(
        "create::folders_and_files_that_are_asked_for_are_made",
        |rig| {
            let mut plan = rig.plan(
                "c1",
                &[
                    "sh",
                    "-c",
                    "ls -d /a/b; stat -c '%F %s' /etc/made; cat /etc/passwd",
                ],
            );
            plan.request.make_dirs = vec!["/a/b".into(), "/a".into()];
            plan.request.make_files = vec!["/etc/made".into(), "/etc/passwd".into()];
            let (_, text) = rig.run(plan);
            assert_eq!(
                text,
                "/a/b\nregular empty file 0\nroot:x:0:0:root:/root:/bin/sh\n"
            );
            assert!(!rig.image.join("a").exists(), "the image is as it was");
            // In a bound volume too, where libcontainer alone would fail.
            let volume = rig.folder.join("volume");
            fs::create_dir(&volume).unwrap();
            let mut plan = rig.plan("c2", &["pwd"]);
            plan.mount("/data", "bind", volume.to_str().unwrap(), &["rbind", "rw"]);
            plan.config["process"]["cwd"] = json!("/data/x/y");
            assert_eq!(rig.run(plan), (0, "/data/x/y\n".to_owned()));
            assert_eq!(
                fs::metadata(volume.join("x/y")).unwrap().mode() & 0o7777,
                0o755
            );
        },
    );
}

#[test]
fn s01_a_launcher_that_is_not_sealed_refuses_to_work() {
    isolated(
        "create::s01_a_launcher_that_is_not_sealed_refuses_to_work",
        |rig| {
            rig.unseal();
            let (step, cause) = rig
                .create(rig.plan("c1", &["true"]))
                .expect_err("it refuses");
            assert!(
                step == "launcher" && cause.contains("sealed"),
                "{step}: {cause}"
            );
            assert!(!Path::new("/").join(rig.folder.join("state")).exists());
        },
    );
}

#[test]
fn a_create_that_failed_can_be_tried_again_with_the_same_folders() {
    isolated(
        "create::a_create_that_failed_can_be_tried_again_with_the_same_folders",
        |rig| {
            let (step, _) = rig
                .create(rig.plan("c1", &["nosuch"]))
                .expect_err("it cannot run");
            assert_eq!(step, "start");
            assert_eq!(
                rig.run(rig.plan("c1", &["echo", "again"])),
                (0, "again\n".to_owned())
            );
        },
    );
}

#[test]
fn a_container_may_see_its_own_cgroup_only() {
    isolated("create::a_container_may_see_its_own_cgroup_only", |rig| {
        let mut plan = rig.plan(
            "c1",
            &[
                "sh",
                "-c",
                "cat /proc/self/cgroup; ls /sys/fs/cgroup/pids /sys/fs/cgroup",
            ],
        );
        plan.config["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .push(json!({"type": "cgroup"}));
        plan.mount(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "ro"],
        );
        let (_, text) = rig.run(plan);
        assert!(text.contains("cgroup.procs"), "{text}");
        assert!(!text.contains("podwright-launch"), "{text}");
    });
}

#[test]
fn too_little_memory_for_a_start_is_an_error_and_no_hang() {
    isolated(
        "create::too_little_memory_for_a_start_is_an_error_and_no_hang",
        |rig| {
            let mut plan = rig.plan("c1", &["true"]);
            plan.config["linux"]["resources"]["memory"] = json!({"limit": 200_000});
            let at = std::time::Instant::now();
            // Whether so little is too little depends on the kernel; what counts is that there is an answer.
            match rig.create(plan) {
                Ok(container) => {
                    rig.start(&container);
                    rig.wait(container.pid);
                }
                Err((step, cause)) => {
                    eprintln!("{step}: {cause}");
                    assert_nothing_left(rig, "c1");
                }
            }
            assert!(at.elapsed().as_secs() < 10);
        },
    );
}

#[test]
fn a_mount_made_in_a_container_reaches_the_node_only_if_that_is_asked_for() {
    isolated(
        "create::a_mount_made_in_a_container_reaches_the_node_only_if_that_is_asked_for",
        |rig| {
            use rustix::mount::{
                MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
            };
            let volume = rig.folder.join("volume");
            fs::create_dir(&volume).unwrap();
            mount("t", &volume, "tmpfs", MountFlags::empty(), c"").unwrap();
            mount_change(&volume, MountPropagationFlags::SHARED).unwrap();
            for (id, propagation, expected) in
                [("private", "private", false), ("shared", "shared", true)]
            {
                fs::create_dir_all(volume.join(id)).unwrap();
                let mut plan = rig.plan(
                    id,
                    &[
                        "busybox",
                        "mount",
                        "-t",
                        "tmpfs",
                        "t",
                        &format!("/volume/{id}"),
                    ],
                );
                let caps = json!(["CAP_SYS_ADMIN"]);
                plan.config["process"]["capabilities"] =
                    json!({"bounding": caps, "effective": caps, "permitted": caps});
                plan.config["linux"]["rootfsPropagation"] = json!(propagation);
                plan.mount(
                    "/volume",
                    "bind",
                    volume.to_str().unwrap(),
                    &["rbind", "rshared"],
                );
                let (code, text) = rig.run(plan);
                assert_eq!((code, text.as_str()), (0, ""), "{id}");
                let seen = fs::read_to_string("/proc/self/mountinfo")
                    .unwrap()
                    .contains(&format!("volume/{id} "));
                assert_eq!(seen, expected, "{id}");
            }
            unmount(&volume, UnmountFlags::DETACH).unwrap();
        },
    );
}
