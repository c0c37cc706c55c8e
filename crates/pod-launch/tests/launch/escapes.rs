//! Containers that are made to get out: what they share with others, what they are told, what they inherit.

use crate::create::deny;
use crate::rig::{Container, Plan, Rig, isolated};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Everything of a tree that a container may not change: names, kinds, modes, owners, sizes, and the content of files.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).expect("it is there");
        if meta.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .expect("a folder")
                    .flatten()
                    .map(|e| e.path()),
            );
        }
        let content = if meta.is_file() {
            fs::read(&path).unwrap_or_default()
        } else {
            Vec::new()
        };
        let text = format!(
            "{:o} {}:{} {} {content:?}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.rdev()
        );
        found.insert(path, text);
    }
    found
}

/// What no container of these tests may change: a folder of the node, the names in its root, its own kernel parameters.
#[derive(Debug, PartialEq)]
pub(crate) struct Host {
    canary: BTreeMap<PathBuf, String>,
    root: Vec<PathBuf>,
    parameters: Vec<String>,
    mounts: String,
}

/// Mounts of this namespace but those that it has got from cases of other nodes, which vanish when their folders are removed.
fn mounts() -> String {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let lines = table.lines().filter(|line| !line.contains(" /tmp/pw"));
    lines.map(|line| format!("{line}\n")).collect()
}

impl Host {
    pub(crate) fn look(rig: &Rig) -> Self {
        let canary = rig.folder.join("canary");
        if !canary.exists() {
            fs::create_dir_all(canary.join("y")).unwrap();
            fs::write(canary.join("file"), "node's own").unwrap();
        }
        let mut root: Vec<PathBuf> = fs::read_dir("/")
            .unwrap()
            .flatten()
            .map(|e| e.path())
            .collect();
        root.sort();
        let parameters = [
            "kernel/core_pattern",
            "kernel/hostname",
            "kernel/domainname",
            "net/ipv4/ip_forward",
            "kernel/modprobe",
        ];
        Self {
            canary: tree(&canary),
            root,
            parameters: parameters
                .iter()
                .map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default())
                .collect(),
            mounts: mounts(),
        }
    }
}

/// A volume that two containers share.
pub(crate) fn shared(rig: &Rig) -> PathBuf {
    let volume = rig.folder.join("volume");
    fs::create_dir_all(volume.join("x")).unwrap();
    volume
}

/// A container that has the volume at /vol and another one at `at` inside of it.
pub(crate) fn nested(rig: &Rig, id: &str, volume: &Path, at: &str, kind: &str) -> Plan {
    let other = rig.folder.join(format!("other-{kind}"));
    match kind {
        "folder" => fs::create_dir_all(&other).unwrap(),
        _ => fs::write(&other, "other").unwrap(),
    }
    let mut plan = rig.plan(id, &["true"]);
    plan.mount(
        "/vol",
        "bind",
        volume.to_str().unwrap(),
        &["rbind", "rprivate"],
    );
    plan.mount(at, "bind", other.to_str().unwrap(), &["rbind", "rprivate"]);
    plan
}

#[test]
fn s03_s07_a_link_planted_in_a_shared_volume_leads_no_mount_out() {
    isolated(
        "escapes::s03_s07_a_link_planted_in_a_shared_volume_leads_no_mount_out",
        |rig| {
            let before = Host::look(rig);
            let canary = rig.folder.join("canary");
            let volume = shared(rig);
            fs::remove_dir(volume.join("x")).unwrap();
            let targets = [
                canary.display().to_string(),
                format!("../../../../../../../../..{}", canary.display()),
                "/".to_owned(),
                "/proc/self/cwd".to_owned(),
                "/proc/1/root".to_owned(),
                "/proc/self/fd/7".to_owned(),
                "hop".to_owned(),
            ];
            symlink(&canary, volume.join("hop")).unwrap();
            for (n, target) in targets.iter().enumerate() {
                symlink(target, volume.join("x")).unwrap();
                for (m, (at, kind)) in [
                    ("/vol/x/y", "folder"),
                    ("/vol/x/new/deep", "folder"),
                    ("/vol/x", "folder"),
                    ("/vol/x/file", "file"),
                    ("/vol/x/new-file", "file"),
                ]
                .into_iter()
                .enumerate()
                {
                    // Inside of the container the way may exist; what counts is the node.
                    if let Ok(container) =
                        rig.create(nested(rig, &format!("c{n}{m}"), &volume, at, kind))
                    {
                        rig.start(&container);
                        rig.wait(container.pid);
                    }
                    assert_eq!(Host::look(rig), before, "x -> {target}, mount at {at}");
                }
                fs::remove_file(volume.join("x")).unwrap();
            }
        },
    );
}

/// The swap always wins: between the launcher's checks and the mounts.
#[cfg(feature = "weakened")]
#[test]
fn s03_s07_a_folder_replaced_after_the_checks_leads_no_mount_out() {
    isolated(
        "escapes::s03_s07_a_folder_replaced_after_the_checks_leads_no_mount_out",
        |rig| {
            let volume = shared(rig);
            let canary = rig.folder.join("canary");
            let before = Host::look(rig);
            let plan = nested(rig, "c1", &volume, "/vol/x/y", "folder");
            let fifo = plan.request.bundle.join("pause-mounts");
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
            rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
            let swapped = std::thread::spawn({
                let (volume, fifo) = (volume.clone(), fifo.clone());
                move || {
                    drop(fs::File::open(&fifo).unwrap());
                    fs::rename(volume.join("x"), volume.join("was-x")).unwrap();
                    symlink(&canary, volume.join("x")).unwrap();
                    drop(fs::File::options().write(true).open(&fifo).unwrap());
                }
            });
            if let Ok(container) = rig.create(plan) {
                rig.start(&container);
                rig.wait(container.pid);
            }
            swapped.join().unwrap();
            assert_eq!(Host::look(rig), before);
        },
    );
}

/// One line of /proc/PID/status.
fn status(pid: i32, key: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).expect(key);
    line.split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

pub(crate) fn waiting(rig: &mut Rig, id: &str, change: impl FnOnce(&mut Value)) -> Container {
    let mut plan = rig.plan(id, &["sh", "-c", "echo ready; exec sleep 1000"]);
    change(&mut plan.config);
    let container = rig.create(plan).expect("it is created");
    rig.start(&container);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !fs::read_to_string(&container.output)
        .unwrap()
        .contains("ready")
    {
        assert!(std::time::Instant::now() < end, "it did not come up");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    container
}

#[test]
fn s04_no_process_has_inheritable_or_ambient_capabilities_and_users_have_none() {
    isolated(
        "escapes::s04_no_process_has_inheritable_or_ambient_capabilities_and_users_have_none",
        |rig| {
            let sets = [
                json!([]),
                json!(["CAP_CHOWN"]),
                json!(["CAP_CHOWN", "CAP_KILL", "CAP_MKNOD"]),
            ];
            for (n, set) in sets.iter().enumerate() {
                for uid in [0, 1000] {
                    let container = waiting(rig, &format!("c{n}-{uid}"), |config| {
                        config["process"]["user"] = json!({"uid": uid, "gid": uid});
                        for kind in ["bounding", "effective", "permitted"] {
                            config["process"]["capabilities"][kind] = set.clone();
                        }
                    });
                    let process = rig
                        .exec(&container, &["sleep", "60"], false)
                        .expect("it is started");
                    for pid in [container.pid, process.pid] {
                        let what = format!("{set} as {uid}: ");
                        assert_eq!(status(pid, "CapInh:"), "0000000000000000", "{what}");
                        assert_eq!(status(pid, "CapAmb:"), "0000000000000000", "{what}");
                        if uid != 0 {
                            assert_eq!(status(pid, "CapPrm:"), "0000000000000000", "{what}");
                            assert_eq!(status(pid, "CapEff:"), "0000000000000000", "{what}");
                        }
                    }
                    for key in ["CapPrm:", "CapEff:", "CapBnd:"] {
                        let set = |pid| u64::from_str_radix(&status(pid, key), 16).unwrap();
                        assert_eq!(
                            set(process.pid) & !set(container.pid),
                            0,
                            "{key} of the exec"
                        );
                    }
                }
            }
        },
    );
}

#[test]
fn s06_no_descriptor_of_the_node_reaches_a_container() {
    isolated(
        "escapes::s06_no_descriptor_of_the_node_reaches_a_container",
        |rig| {
            // As a careless parent would have them: folders of the node, kept over an exec. LISTEN_FDS is set in every test here.
            let leaks: Vec<fs::File> = (0..50).map(|_| fs::File::open("/").unwrap()).collect();
            for leak in &leaks {
                rustix::io::fcntl_setfd(leak, rustix::io::FdFlags::empty()).unwrap();
            }
            assert!(leaks.iter().any(|leak| leak.as_raw_fd() > 40));
            assert_eq!(std::env::var("LISTEN_FDS").as_deref(), Ok("1"));
            let script = "for f in /proc/self/fd/*; do echo \"$f $(readlink $f)\"; done; env; pwd";
            let container = waiting(rig, "c1", |_| {});
            let (_, first) = {
                let plan = rig.plan("c2", &["sh", "-c", script]);
                rig.run(plan)
            };
            let (_, second) = rig.run_in(&container, &["sh", "-c", script]);
            for text in [first, second] {
                let fds: Vec<&str> = text
                    .lines()
                    .filter(|l| l.starts_with("/proc/self/fd/"))
                    .collect();
                // The glob's own folder was open while it was read, and is gone.
                let open: Vec<&&str> = fds
                    .iter()
                    .filter(|l| l.split(' ').nth(1).is_some_and(|t| !t.is_empty()))
                    .collect();
                assert!(open.len() <= 3, "{text}");
                assert!(!text.contains("LISTEN_FD"), "{text}");
            }
            let links = |pid: i32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
            assert_eq!(links(container.pid), 3);
            assert_eq!(
                fs::read_link(format!("/proc/{}/cwd", container.pid)).unwrap(),
                Path::new("/")
            );
        },
    );
}

#[test]
fn s08_masked_and_read_only_paths_are_so_whatever_the_image_has_at_dev_null() {
    isolated(
        "escapes::s08_masked_and_read_only_paths_are_so_whatever_the_image_has_at_dev_null",
        |rig| {
            let before = Host::look(rig);
            let canary = rig.folder.join("canary/file");
            fs::create_dir(rig.image.join("dev")).unwrap();
            let null = rig.image.join("dev/null");
            type Make = fn(&Path, &Path);
            let table: [(&str, Make); 4] = [
                ("link", |null, canary| symlink(canary, null).unwrap()),
                ("file", |null, _| fs::write(null, "readable").unwrap()),
                ("folder", |null, _| fs::create_dir(null).unwrap()),
                ("device", |null, _| {
                    let (kind, mode) = (
                        rustix::fs::FileType::CharacterDevice,
                        rustix::fs::Mode::RWXU,
                    );
                    let zero = rustix::fs::makedev(1, 5);
                    rustix::fs::mknodat(rustix::fs::CWD, null, kind, mode, zero).unwrap();
                }),
            ];
            for (what, make) in table {
                make(&null, &canary);
                let script = "head -c 4 /proc/keys /proc/kcore | wc -c; \
                    for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do (echo x > $f) 2>/dev/null && echo wrote $f; done; stat -c '%t:%T' /dev/null";
                let mut plan = rig.plan(&format!("c-{what}"), &["sh", "-c", script]);
                plan.config["linux"]["maskedPaths"] =
                    json!(["/proc/kcore", "/proc/keys", "/proc/acpi"]);
                plan.config["linux"]["readonlyPaths"] = json!(["/proc/sys", "/proc/sysrq-trigger"]);
                let (_, text) = rig.run(plan);
                assert!(
                    text.ends_with("1:3\n") && !text.contains("wrote"),
                    "{what}: {text}"
                );
                match what {
                    "folder" => fs::remove_dir(&null).unwrap(),
                    _ => fs::remove_file(&null).unwrap(),
                }
                assert_eq!(Host::look(rig), before, "{what}");
            }
        },
    );
}

#[test]
fn s09_a_terminal_of_a_hostile_image_is_not_the_nodes() {
    isolated(
        "escapes::s09_a_terminal_of_a_hostile_image_is_not_the_nodes",
        |rig| {
            let before = Host::look(rig);
            let canary = rig.folder.join("canary/file");
            fs::create_dir_all(rig.image.join("dev/pts")).unwrap();
            for name in [
                "console", "ptmx", "tty", "pts/0", "pts/ptmx", "null", "fd", "stdin",
            ] {
                symlink(&canary, rig.image.join("dev").join(name)).unwrap();
            }
            let mut plan = rig.plan(
                "c1",
                &[
                    "sh",
                    "-c",
                    "echo hello; tty; test -c /dev/console && echo console",
                ],
            );
            plan.config["process"]["terminal"] = json!(true);
            plan.config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
            plan.request.tty = true;
            plan.streams = false;
            let mut container = rig.create(plan).expect("it is created");
            let master = container.master.take().expect("a terminal");
            rig.start(&container);
            let text = crate::create::read_terminal(master);
            rig.wait(container.pid);
            assert_eq!(text.replace("\r\n", " "), "hello /dev/pts/0 console ");
            assert_eq!(Host::look(rig), before);
        },
    );
}

#[test]
fn s09_no_device_node_is_made_in_a_volume() {
    isolated("escapes::s09_no_device_node_is_made_in_a_volume", |rig| {
        let volume = shared(rig);
        let mut plan = rig.plan("c1", &["true"]);
        plan.mount("/dev/net", "bind", volume.to_str().unwrap(), &["rbind"]);
        plan.config["linux"]["devices"] =
            json!([{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200}]);
        let (step, cause) = rig.create(plan).expect_err("it is refused");
        assert!(
            step == "config" && cause.contains("linux.devices"),
            "{step}: {cause}"
        );
        assert_eq!(
            fs::read_dir(&volume).unwrap().count(),
            1,
            "x and nothing else"
        );
    });
}

#[test]
fn s10_a_kernel_parameter_is_set_in_the_containers_namespace_and_nowhere_else() {
    isolated(
        "escapes::s10_a_kernel_parameter_is_set_in_the_containers_namespace_and_nowhere_else",
        |rig| {
            let before = Host::look(rig);
            let canary = rig.folder.join("canary");
            // What the image has at /proc is covered before anything is written there.
            fs::create_dir_all(rig.image.join("proc/sys/net/ipv4")).unwrap();
            symlink(
                canary.join("file"),
                rig.image.join("proc/sys/net/ipv4/ip_forward"),
            )
            .unwrap();
            symlink(&canary, rig.image.join("proc/self")).unwrap();
            let mut plan = rig.plan("c1", &["cat", "/proc/sys/net/ipv4/ip_forward"]);
            plan.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
            plan.request.oom_score_adj = Some(500);
            assert_eq!(rig.run(plan), (0, "1\n".to_owned()));
            assert_eq!(Host::look(rig), before);
        },
    );
}

#[test]
fn s18_a_sysctl_is_a_plain_name_and_one_line() {
    isolated(
        "escapes::s18_a_sysctl_is_a_plain_name_and_one_line",
        |rig| {
            let before = Host::look(rig);
            let table = [
                ("kernel/../kernel/hostname", "x"),
                ("../sys/kernel/hostname", "x"),
                ("net.ipv4..ip_forward", "1"),
                ("net.ipv4.ip_forward/../ip_forward", "1"),
                ("net/ipv4/ip_forward", "1"),
                ("kernel.shmmax\n", "1"),
                ("kernel.shmmax;kernel.core_pattern", "1"),
                ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/evil"),
                ("kernel.shm_rmid_forced", "1\0"),
                ("", "1"),
            ];
            for (n, (name, value)) in table.into_iter().enumerate() {
                let mut plan = rig.plan(&format!("c{n}"), &["true"]);
                plan.config["linux"]["sysctl"] = json!({ name: value });
                let (step, cause) = rig.create(plan).expect_err(name);
                assert!(
                    step == "config" && cause.contains("linux.sysctl"),
                    "{name:?}: {step}: {cause}"
                );
                assert_eq!(Host::look(rig), before, "{name:?}={value:?}");
            }
        },
    );
}

#[test]
fn s27_nodes_of_the_image_and_the_tun_device_cannot_be_opened() {
    isolated(
        "escapes::s27_nodes_of_the_image_and_the_tun_device_cannot_be_opened",
        |rig| {
            for (name, kind, device) in [
                ("mem", rustix::fs::FileType::CharacterDevice, (1, 1)),
                ("kmsg", rustix::fs::FileType::CharacterDevice, (1, 11)),
                ("disk", rustix::fs::FileType::BlockDevice, (8, 0)),
                ("vda", rustix::fs::FileType::BlockDevice, (254, 0)),
                ("tun", rustix::fs::FileType::CharacterDevice, (10, 200)),
                ("fuse", rustix::fs::FileType::CharacterDevice, (10, 229)),
            ] {
                let device = rustix::fs::makedev(device.0, device.1);
                let mode = rustix::fs::Mode::from_raw_mode(0o666);
                rustix::fs::mknodat(rustix::fs::CWD, rig.image.join(name), kind, mode, device)
                    .unwrap();
            }
            let script = "for d in mem kmsg disk vda tun fuse; do (exec 3</$d) 2>&1; (exec 3>>/$d) 2>&1; done; busybox mknod /t c 10 200 && (exec 3</t) 2>&1; echo x > /dev/null && echo fine";
            let (_, text) = rig.run(rig.plan("c1", &["sh", "-c", script]));
            let refused = text
                .lines()
                .filter(|l| l.ends_with("Operation not permitted"))
                .count();
            assert_eq!(
                (refused, text.lines().count(), text.ends_with("fine\n")),
                (13, 14, true),
                "{text}"
            );
            // And so for what is started later.
            let container = waiting(rig, "c2", |_| {});
            let (_, text) = rig.run_in(
                &container,
                &["sh", "-c", "(exec 3</tun) 2>&1; (exec 3</mem) 2>&1"],
            );
            assert_eq!(text.matches("Operation not permitted").count(), 2, "{text}");
            // A container that is given the device has it.
            let mut plan = rig.plan("c3", &["sh", "-c", "(exec 3</tun) 2>&1; echo end"]);
            plan.config["linux"]["resources"]["devices"] = json!([
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rwm"}
            ]);
            let (_, text) = rig.run(plan);
            assert!(!text.contains("not permitted"), "{text}");
        },
    );
}

#[test]
fn s33_a_process_that_is_started_later_has_the_containers_profile() {
    isolated(
        "escapes::s33_a_process_that_is_started_later_has_the_containers_profile",
        |rig| {
            let container = waiting(rig, "c1", |config| {
                config["linux"]["seccomp"] = deny("mkdirat")
            });
            let (code, text) = rig.run_in(&container, &["mkdir", "/tmp/new"]);
            assert!(
                code != 0 && text.contains("Operation not permitted"),
                "{text}"
            );
        },
    );
}

/// Makes the next process of this PID namespace have that number.
fn next_pid(number: i32) {
    fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).expect("ns_last_pid");
}

#[test]
fn s35_a_recycled_number_is_nobody_that_is_meant() {
    isolated(
        "escapes::s35_a_recycled_number_is_nobody_that_is_meant",
        |rig| {
            let container = waiting(rig, "c1", |_| {});
            pod_sys::pidfd::send_signal(&container.pidfd, 9).unwrap();
            assert_eq!(rig.wait(container.pid), 128 + 9);
            // Somebody else is given the same number.
            let mut stranger = loop {
                next_pid(container.pid);
                let mut child = std::process::Command::new("sleep")
                    .arg("60")
                    .spawn()
                    .unwrap();
                if child.id() == container.pid.cast_unsigned() {
                    break child;
                }
                child.kill().unwrap();
                child.wait().unwrap();
            };
            assert!(
                pod_sys::pidfd::send_signal(&container.pidfd, 9).is_err(),
                "the pidfd is still the dead one's"
            );
            let (step, cause) = rig
                .exec(&container, &["true"], false)
                .expect_err("it is refused");
            assert!(
                step == "namespaces" && cause.contains("ended"),
                "{step}: {cause}"
            );
            assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
            stranger.kill().unwrap();
            stranger.wait().unwrap();
        },
    );
}

#[test]
fn s40_hooks_are_refused_and_never_run() {
    isolated("escapes::s40_hooks_are_refused_and_never_run", |rig| {
        let before = Host::look(rig);
        let path = rig.folder.join("canary/hooked");
        for (n, kind) in [
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ]
        .into_iter()
        .enumerate()
        {
            let mut plan = rig.plan(&format!("c{n}"), &["true"]);
            plan.config["hooks"] = json!({kind: [{"path": "/bin/touch", "args": ["touch", path]}]});
            let result = rig.create(plan);
            assert_eq!(Host::look(rig), before, "{kind}");
            let (step, cause) = result.expect_err(kind);
            assert!(
                step == "config" && cause.contains("hooks"),
                "{step}: {cause}"
            );
        }
    });
}
