//! The verb `exec`: one more process, with the rights of the first and in the same places.

use crate::create::{deny, read_terminal};
use crate::rig::{Container, Rig, isolated};
use serde_json::{Value, json};
use std::fs;

/// A container that waits.
fn waiting(rig: &mut Rig, id: &str, change: impl FnOnce(&mut Value)) -> Container {
    let mut plan = rig.plan(
        id,
        &[
            "sh",
            "-c",
            "cat /proc/self/status; echo ready; exec sleep 1000",
        ],
    );
    change(&mut plan.config);
    let container = rig.create(plan).expect("it is created");
    rig.start(&container);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !fs::read_to_string(&container.output)
        .unwrap()
        .ends_with("ready\n")
    {
        assert!(std::time::Instant::now() < end, "it did not come up");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    container
}

#[test]
fn a_process_runs_in_the_container_and_its_end_is_the_supervisors_to_see() {
    isolated(
        "exec::a_process_runs_in_the_container_and_its_end_is_the_supervisors_to_see",
        |rig| {
            let container = waiting(rig, "c1", |_| {});
            assert_eq!(
                rig.run_in(&container, &["sh", "-c", "echo $HOME; pwd; exit 42"]),
                (42, "/root\n/\n".to_owned())
            );
            assert_eq!(
                rig.run_in(&container, &["ls", "/proc/self/fd"]).1,
                "0\n1\n2\n3\n"
            );
            assert_eq!(
                rig.run_in(&container, &["cat", "/proc/1/comm"]).1,
                "sleep\n"
            );
            let process = rig
                .exec(&container, &["sleep", "60"], false)
                .expect("it is started");
            pod_sys::pidfd::send_signal(&process.pidfd, 15).unwrap();
            assert_eq!(rig.wait(process.pid), 128 + 15);
        },
    );
}

#[test]
fn s04_s33_it_has_the_rights_of_the_containers_first_process() {
    isolated(
        "exec::s04_s33_it_has_the_rights_of_the_containers_first_process",
        |rig| {
            type Change = fn(&mut Value);
            let table: [(&str, Change); 4] = [
                ("root", |_| {}),
                ("seccomp", |config| {
                    config["linux"]["seccomp"] = deny("mkdirat")
                }),
                ("user", |config| {
                    config["process"]["user"] =
                        json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o027});
                    config["linux"]["seccomp"] = deny("mkdirat");
                    config["process"]["rlimits"] =
                        json!([{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]);
                }),
                ("nnp-absent", |config| {
                    config["process"]
                        .as_object_mut()
                        .unwrap()
                        .remove("noNewPrivileges");
                    config["process"]["user"] = json!({"uid": 7, "gid": 7});
                    config["process"]["capabilities"]["ambient"] = json!(["CAP_CHOWN"]);
                    config["process"]["capabilities"]["inheritable"] = json!(["CAP_CHOWN"]);
                    config["linux"]["seccomp"] = deny("mkdirat");
                }),
            ];
            for (id, change) in table {
                let container = waiting(rig, id, change);
                let first = fs::read_to_string(&container.output).unwrap();
                let (code, second) = rig.run_in(
                    &container,
                    &[
                        "sh",
                        "-c",
                        "cat /proc/self/status; mkdir /tmp/x; umask; ulimit -n",
                    ],
                );
                for key in [
                    "Uid:",
                    "Gid:",
                    "Groups:",
                    "CapInh:",
                    "CapPrm:",
                    "CapEff:",
                    "CapBnd:",
                    "CapAmb:",
                    "NoNewPrivs:",
                    "Seccomp:",
                    "Seccomp_filters:",
                    "SigBlk:",
                    "SigIgn:",
                    "Umask:",
                ] {
                    let line = |text: &str| {
                        text.lines()
                            .find(|line| line.starts_with(key))
                            .expect(key)
                            .to_owned()
                    };
                    assert_eq!(line(&second), line(&first), "{id}");
                }
                assert_eq!(code, 0);
                let denied = second.contains("Operation not permitted");
                assert_eq!(
                    denied,
                    id != "root",
                    "{id}: the profile is in force: {second}"
                );
                if id == "user" {
                    assert!(second.ends_with("0027\n64\n"), "{second}");
                }
            }
        },
    );
}

#[test]
fn it_is_in_the_containers_namespaces_cgroup_and_oom_score() {
    isolated(
        "exec::it_is_in_the_containers_namespaces_cgroup_and_oom_score",
        |rig| {
            let container = waiting(rig, "c1", |config| config["hostname"] = json!("its-name"));
            fs::write(format!("/proc/{}/oom_score_adj", container.pid), "321").unwrap();
            let process = rig
                .exec(&container, &["sleep", "60"], false)
                .expect("it is started");
            let of = |pid: i32, file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap();
            assert_eq!(of(process.pid, "cgroup"), of(container.pid, "cgroup"));
            assert_ne!(
                of(process.pid, "cgroup"),
                fs::read("/proc/self/cgroup").unwrap()
            );
            assert_eq!(of(process.pid, "oom_score_adj"), b"321\n");
            for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
                let link = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
                assert_eq!(link(process.pid), link(container.pid), "{kind}");
            }
            let root = |pid: i32| fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
            assert_eq!(root(process.pid), root(container.pid));
        },
    );
}

#[test]
fn a_program_that_cannot_run_is_told_in_known_words() {
    isolated(
        "exec::a_program_that_cannot_run_is_told_in_known_words",
        |rig| {
            let container = waiting(rig, "c1", |_| {});
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
            ];
            for (program, expected) in table {
                let failed = rig
                    .exec(&container, &[program], false)
                    .expect_err("it cannot run");
                assert_eq!((failed.0.as_str(), failed.1.as_str()), ("exec", expected));
                let failed = rig
                    .exec(&container, &[program], true)
                    .expect_err("it cannot run");
                assert_eq!(failed.1, expected);
            }
            assert_eq!(
                rig.exec(&container, &[], false)
                    .expect_err("there is none")
                    .1,
                "no command is given"
            );
            assert_eq!(
                fs::read_to_string("/proc/self/task/1/children")
                    .unwrap()
                    .split_whitespace()
                    .count(),
                1
            );
        },
    );
}

#[test]
fn with_a_terminal_its_streams_are_one_of_the_containers_own() {
    isolated(
        "exec::with_a_terminal_its_streams_are_one_of_the_containers_own",
        |rig| {
            let container = waiting(rig, "c1", |config| {
                config["process"]["user"] = json!({"uid": 1000, "gid": 1000})
            });
            let script = "tty; stat -c %u $(tty); echo $TERM; ls -1 /proc/self/fd; echo > /dev/tty; echo end";
            let mut process = rig
                .exec(&container, &["sh", "-c", script], true)
                .expect("it is started");
            let text = read_terminal(process.master.take().expect("a terminal"));
            assert_eq!(rig.wait(process.pid), 0);
            assert_eq!(
                text.replace("\r\n", " "),
                "/dev/pts/0 1000 xterm 0 1 2 3  end "
            );
        },
    );
}

#[test]
fn s09_a_false_devpts_gives_no_terminal() {
    isolated("exec::s09_a_false_devpts_gives_no_terminal", |rig| {
        fs::create_dir_all(rig.folder.join("false")).unwrap();
        fs::write(rig.folder.join("false/ptmx"), "").unwrap();
        let folder = rig.folder.join("false").display().to_string();
        let container = waiting(rig, "c1", |config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.push(json!({"destination": "/dev/pts", "type": "bind", "source": folder, "options": ["rbind"]}));
        });
        let (step, cause) = rig
            .exec(&container, &["true"], true)
            .expect_err("it is refused");
        assert!(
            step == "terminal" && cause.contains("not a terminal master"),
            "{step}: {cause}"
        );
    });
}

#[test]
fn s35_s38_a_container_that_has_ended_or_been_replaced_is_not_joined() {
    isolated(
        "exec::s35_s38_a_container_that_has_ended_or_been_replaced_is_not_joined",
        |rig| {
            let other = waiting(rig, "other", |_| {});
            let mut container = waiting(rig, "c1", |_| {});
            // The number is that of another process, the pidfd still that of the container.
            let own = std::mem::replace(&mut container.pid, other.pid);
            let (step, cause) = rig
                .exec(&container, &["true"], false)
                .expect_err("it is refused");
            assert!(
                step == "namespaces" && cause.contains("ended"),
                "{step}: {cause}"
            );
            container.pid = own;
            pod_sys::pidfd::send_signal(&container.pidfd, 9).unwrap();
            assert_eq!(rig.wait(own), 128 + 9);
            let (step, cause) = rig
                .exec(&container, &["true"], false)
                .expect_err("it is refused");
            assert!(
                step == "namespaces" && cause.contains("ended"),
                "{step}: {cause}"
            );
        },
    );
}
