//! Containers from create to delete, through the real binary and a scripted launcher.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod common;

use common::{Sandbox, until};
use pod_wire::supervisor::{Descriptor, Event, ExitRecord, FromSupervisor, ReplyBody, RequestBody};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn stop(id: &str, signal: i32, grace_ms: u64) -> RequestBody {
    RequestBody::Stop {
        id: id.into(),
        signal,
        grace_ms,
    }
}

fn named(id: &str) -> String {
    id.to_owned()
}

#[test]
fn an_exit_code_is_on_disk_before_anybody_is_told_and_stays_until_delete() {
    let mut pod = Sandbox::new("code");
    let container = pod.container("c1", "echo out; echo err >&2; printf rest; exit 37");
    let exit_file = container.exit_file.clone();
    let (body, fds) = pod.node.ok(RequestBody::Create(container));
    let ReplyBody::Created { pid, clamped, .. } = body else {
        panic!("{body:?}")
    };
    assert_eq!((clamped, fds.len()), (vec!["a clamp".to_owned()], 3));
    assert_eq!(fs::read(&exit_file).unwrap()[0], 0);
    let (body, fds) = pod.node.ok(RequestBody::Start { id: named("c1") });
    let ReplyBody::Started {
        pid: of,
        descriptors,
        ..
    } = body
    else {
        panic!("{body:?}")
    };
    assert_eq!((of, fds.len()), (pid, 3));
    let names = [Descriptor::Process, Descriptor::Stdout, Descriptor::Stderr];
    assert_eq!(descriptors, names);
    let record = pod.node.exited("c1");
    let text = fs::read_to_string(&exit_file).unwrap();
    let written: ExitRecord = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(record, written);
    assert_eq!(
        (record.code, record.signal, record.oom, record.dropped_lines),
        (37, None, false, 0)
    );
    assert!(record.started_at.unwrap() < record.finished_at);
    let mut log: Vec<String> = pod.log("c1").lines().map(str::to_owned).collect();
    log.sort();
    assert_eq!(log, ["stderr F err", "stdout F out", "stdout P rest"]);
    let (body, _) = pod.node.ok(RequestBody::State);
    let ReplyBody::State(all) = body else {
        panic!("{body:?}")
    };
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].exit.as_ref().unwrap().code, 37);
    pod.node.ok(RequestBody::Delete { id: named("c1") });
    assert!(!pod.dir.join("ctr/c1").exists());
    assert!(
        pod.node
            .fails(RequestBody::Delete { id: named("c1") })
            .not_found
    );
    assert_eq!(pod.run("c1", "true").code, 0, "the id can be used again");
}

#[test]
fn signals_give_128_plus_n_also_real_time_ones() {
    let mut pod = Sandbox::new("signals");
    for (n, signal) in [9, 15, 6, 35].into_iter().enumerate() {
        let record = pod.run(&format!("c{n}"), &format!("kill -{signal} $$"));
        assert_eq!((record.code, record.signal), (128 + signal, Some(signal)));
    }
}

#[test]
fn r24_a_thousand_fast_exits_each_give_their_code_once() {
    let mut pod = Sandbox::new("fast");
    // Ten at a time: answers and exits of different containers come interleaved.
    for batch in 0..100 {
        let ids: BTreeSet<String> = (0..10).map(|n| format!("c{batch}-{n}")).collect();
        for id in &ids {
            let container = pod.container(id, "exit 37");
            pod.node.ask(RequestBody::CreateAndStart(container));
        }
        let (mut answers, mut exited) = (0, BTreeSet::new());
        while answers < ids.len() || exited != ids {
            match pod.node.message() {
                FromSupervisor::Reply(reply) => {
                    reply.result.unwrap();
                    answers += 1;
                }
                FromSupervisor::Event(Event::Exited(record)) => {
                    assert_eq!(record.code, 37);
                    assert!(exited.insert(record.id), "told twice");
                }
                other => panic!("{other:?}"),
            }
        }
        for id in ids {
            pod.node.ok(RequestBody::Delete { id });
        }
    }
    assert!(
        !pod.node.has_something(Duration::from_millis(50)),
        "an event too many"
    );
    let fds = fs::read_dir(format!("/proc/{}/fd", pod.child.id()))
        .unwrap()
        .count();
    assert!(fds <= 12, "{fds} descriptors are open");
}

#[test]
fn many_containers_at_once_do_not_mix_their_exits() {
    let mut pod = Sandbox::new("many");
    for n in 0..40 {
        let container = pod.container(&format!("c{n}"), &format!("exit {n}"));
        pod.node.ask(RequestBody::CreateAndStart(container));
    }
    let (mut answers, mut exits) = (0, 0);
    while answers < 40 || exits < 40 {
        match pod.node.message() {
            FromSupervisor::Reply(reply) => {
                reply.result.unwrap();
                answers += 1;
            }
            FromSupervisor::Event(Event::Exited(record)) => {
                assert_eq!(record.id, format!("c{}", record.code));
                exits += 1;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_process_that_ignores_sigterm_is_killed_after_its_grace_and_a_second_stop_brings_it_closer() {
    let mut pod = Sandbox::new("grace");
    for (id, second, least, most) in [
        ("c1", None, 700, 1200),
        ("c2", Some(200), 200, 600),
        ("c3", Some(5000), 700, 1200),
    ] {
        let container = pod.container(
            id,
            "trap 'echo term' TERM; echo up; while :; do sleep 0.05; done",
        );
        pod.node.ok(RequestBody::CreateAndStart(container));
        until("it is up", || pod.log(id).contains("up"));
        let begun = Instant::now();
        pod.node.ok(stop(id, 15, 700));
        if let Some(grace) = second {
            pod.node.ok(stop(id, 15, grace));
        }
        let record = pod.node.exited(id);
        assert_eq!(record.code, 137);
        let took = begun.elapsed().as_millis();
        assert!((least..most).contains(&took), "{id}: {took} ms");
        assert!(pod.log(id).contains("term"));
        pod.node.ok(stop(id, 15, 0));
    }
}

#[test]
fn a_process_that_obeys_ends_at_once_and_one_at_the_barrier_is_killed() {
    let mut pod = Sandbox::new("obey");
    let container = pod.container(
        "c1",
        "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done",
    );
    pod.node.ok(RequestBody::CreateAndStart(container));
    until("it is up", || pod.log("c1").contains("up"));
    pod.node.ok(stop("c1", 15, 60_000));
    assert_eq!(pod.node.exited("c1").code, 5);
    let container = pod.container("c2", "echo never");
    pod.node.ok(RequestBody::Create(container));
    pod.node.ok(stop("c2", 15, 60_000));
    let record = pod.node.exited("c2");
    assert_eq!((record.code, record.started_at), (137, None));
    assert_eq!(pod.log("c2"), "");
    assert_eq!(
        pod.node.fails(RequestBody::Start { id: named("c2") }).step,
        "start"
    );
}

#[test]
fn what_a_container_leaves_running_ends_with_it_and_nested_cgroups_go() {
    let mut pod = Sandbox::new("left");
    let mut container = pod.container("c1", "");
    pod.give_cgroups(&mut container);
    let own = container.cgroup_dirs[0].clone();
    let script = format!(
        "mkdir {0}/nested; setsid sh -c 'echo $$ > {0}/nested/cgroup.procs; exec sleep 1000' & sleep 0.2; exit 4",
        own.display()
    );
    fs::write(container.create.bundle.join("script"), script).unwrap();
    pod.node.ok(RequestBody::CreateAndStart(container));
    assert_eq!(pod.node.exited("c1").code, 4);
    until("the rest is killed", || {
        fs::read_to_string(own.join("nested/cgroup.procs"))
            .unwrap()
            .is_empty()
    });
    pod.node.ok(RequestBody::Delete { id: named("c1") });
    assert!(!own.exists());
}

#[test]
fn r21_a_frozen_container_can_be_stopped() {
    let mut pod = Sandbox::new("frozen");
    let mut container = pod.container("c1", "trap '' TERM; echo up; exec sleep 1000");
    pod.give_cgroups(&mut container);
    let own = container.cgroup_dirs[0].clone();
    pod.node.ok(RequestBody::CreateAndStart(container));
    until("it is up", || pod.log("c1").contains("up"));
    let v1 = own.join("freezer.state");
    if v1.exists() {
        fs::write(v1, "FROZEN").unwrap();
    } else {
        fs::write(own.join("cgroup.freeze"), "1").unwrap();
    }
    // What joined it would wait in there.
    let refused = pod.node.fails(RequestBody::Exec {
        id: "c1".into(),
        exec: "e1".into(),
        command: vec!["true".into()],
        tty: true,
    });
    assert!(refused.cause.contains("is frozen"), "{refused:?}");
    pod.node.ok(stop("c1", 15, 100));
    assert_eq!(pod.node.exited("c1").code, 137);
}

#[test]
fn r22_an_orphan_that_holds_the_output_open_does_not_hold_the_exit() {
    let mut pod = Sandbox::new("orphan");
    let begun = Instant::now();
    let record = pod.run("c1", "(setsid sleep 3 &) ; echo said; exit 6");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(
        (record.code, pod.log("c1").as_str()),
        (6, "stdout F said\n")
    );
}

#[test]
fn orphans_are_reaped_and_are_nobody_elses_exit() {
    let mut pod = Sandbox::new("strangers");
    let container = pod.container(
        "c1",
        "for i in 1 2 3 4 5; do (sh -c 'exit 9' &); done; sleep 0.3; exit 2",
    );
    pod.node.ok(RequestBody::CreateAndStart(container));
    assert_eq!(pod.node.exited("c1").code, 2);
    let children = format!("/proc/{0}/task/{0}/children", pod.child.id());
    until("all are reaped", || {
        fs::read_to_string(&children).unwrap().trim().is_empty()
    });
}

#[test]
fn each_failure_names_its_step_and_leaves_nothing() {
    let mut pod = Sandbox::new("fail");
    for (manner, step, cause) in [
        ("fail", "mount", "no such layer"),
        ("silent", "create", "ended with code 3 without an answer"),
        ("leak", "verify", "close-on-exec"),
    ] {
        let mut container = pod.container("c1", "echo never");
        pod.give_cgroups(&mut container);
        pod.manner(&container, manner);
        let own: Vec<PathBuf> = container.cgroup_dirs.clone();
        let failure = pod.node.fails(RequestBody::CreateAndStart(container));
        assert_eq!(failure.step, step);
        assert!(failure.cause.contains(cause), "{failure:?}");
        assert!(own.iter().all(|d| !d.exists()) && !pod.dir.join("ctr/c1").exists());
    }
    let (body, _) = pod.node.ok(RequestBody::State);
    assert_eq!(body, ReplyBody::State(vec![]));
    let children = format!("/proc/{0}/task/{0}/children", pod.child.id());
    until("all are reaped", || {
        fs::read_to_string(&children).unwrap().trim().is_empty()
    });
}

#[test]
fn s12_a_difference_from_what_was_asked_for_kills_before_any_code_runs() {
    let mut pod = Sandbox::new("verify");
    let canary = pod.dir.join("ran");
    let mut container = pod.container("c1", &format!("touch {}", canary.display()));
    container.expect.uid = 4711;
    container.expect.masked = vec!["/proc/keys".into(), "/no/such/path".into()];
    let failure = pod.node.fails(RequestBody::CreateAndStart(container));
    assert_eq!(failure.step, "verify");
    for part in [
        "Uid: expected 4711, found 0 0 0 0",
        "masked path /proc/keys: expected the null device",
    ] {
        assert!(failure.cause.contains(part), "{}", failure.cause);
    }
    assert!(!failure.cause.contains("/no/such/path") && !canary.exists());
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut pod = Sandbox::new("refuse");
    let mut bad = pod.container("c1", "true");
    bad.create.id = "../c1".into();
    assert!(
        pod.node
            .fails(RequestBody::Create(bad))
            .cause
            .contains("no container id")
    );
    let mut bad = pod.container("c1", "true");
    bad.cgroup_dirs = vec!["/sys/fs/cgroup/pids".into()];
    assert!(
        pod.node
            .fails(RequestBody::Create(bad))
            .cause
            .contains("is not one of container c1")
    );
    let mut bad = pod.container("c1", "true");
    bad.log.as_mut().unwrap().path = "/dev/null".into();
    assert_eq!(pod.node.fails(RequestBody::Create(bad)).step, "log");
    let mut bad = pod.container("c1", "true");
    bad.exit_file = pod.dir.join("no/such/folder");
    assert_eq!(pod.node.fails(RequestBody::Create(bad)).step, "exit record");
    let container = pod.container("c1", "sleep 100");
    pod.node.ok(RequestBody::CreateAndStart(container.clone()));
    assert!(
        pod.node
            .fails(RequestBody::Create(container))
            .cause
            .contains("exists already")
    );
    assert!(
        pod.node
            .fails(RequestBody::Delete { id: named("c1") })
            .cause
            .contains("has not ended")
    );
    for body in [
        RequestBody::Start { id: named("x") },
        stop("x", 15, 1),
        RequestBody::ReopenLog { id: named("x") },
    ] {
        assert!(pod.node.fails(body).not_found);
    }
    assert!(
        pod.node
            .fails(stop("c1", 999, 1000))
            .cause
            .contains("signal 999")
    );
}

#[test]
fn exec_runs_beside_the_container_and_tells_its_code_even_when_it_was_over_first() {
    let mut pod = Sandbox::new("exec");
    let container = pod.container("c1", "sleep 100");
    pod.node.ok(RequestBody::CreateAndStart(container));
    let exec = |name: &str, command: &[&str]| RequestBody::Exec {
        id: "c1".into(),
        exec: name.into(),
        command: command.iter().map(|c| (*c).to_owned()).collect(),
        tty: false,
    };
    let null = File::open("/dev/null").unwrap();
    for (name, script, code) in [
        ("e1", "echo hi; exit 42", 42),
        ("e2", "echo hi; exit 7 # early", 7),
    ] {
        let (mut read, write) = std::io::pipe().unwrap();
        let fds = [null.as_fd(), write.as_fd(), write.as_fd()];
        let id = pod.node.ask_with(exec(name, &["sh", "-c", script]), &fds);
        drop(write);
        assert!(matches!(
            pod.node.answer(id).0,
            Ok(ReplyBody::Execed { .. })
        ));
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hi\n");
        let want = Event::ExecExited {
            id: named("c1"),
            exec: named(name),
            code,
        };
        assert_eq!(pod.node.event(), want);
    }
    let fds = [null.as_fd(); 3];
    let id = pod.node.ask_with(exec("e3", &["sleep", "100"]), &fds);
    pod.node.answer(id).0.unwrap();
    let signal = |exec: &str| RequestBody::SignalExec {
        id: named("c1"),
        exec: named(exec),
        signal: 9,
    };
    pod.node.ok(signal("e3"));
    assert!(matches!(
        pod.node.event(),
        Event::ExecExited { code: 137, .. }
    ));
    assert!(pod.node.fails(signal("e3")).not_found);
    let id = pod.node.ask_with(exec("e4", &["/no/such/program"]), &fds);
    assert_eq!(pod.node.answer(id).0.unwrap_err().cause, "no such program");
    assert_eq!(pod.node.fails(exec("e5", &["true"])).step, "exec");
}

#[test]
fn standard_input_is_kept_open_and_ends_when_the_node_asks_for_a_terminal_it_gets_one() {
    let mut pod = Sandbox::new("stdin");
    let mut container = pod.container("c1", "read x; echo got $x");
    container.stdin = true;
    let (_, mut fds) = pod.node.ok(RequestBody::CreateAndStart(container));
    assert_eq!(fds.len(), 4);
    File::from(fds.remove(1)).write_all(b"word\n").unwrap();
    assert_eq!(pod.node.exited("c1").code, 0);
    assert_eq!(pod.log("c1"), "stdout F got word\n");
    let mut container = pod.container("c2", "echo to both; echo too >&2; test -t 1");
    container.create.tty = true;
    let (_, fds) = pod.node.ok(RequestBody::CreateAndStart(container));
    assert_eq!(fds.len(), 2);
    pod_sys::tty::set_window_size(&fds[1], 100, 30).unwrap();
    assert_eq!(pod.node.exited("c2").code, 0);
    assert_eq!(pod.log("c2"), "stdout F to both\r\nstdout F too\r\n");
}

#[test]
fn shutdown_ends_everything_also_a_launcher_that_hangs() {
    let mut pod = Sandbox::new("end");
    let mut container = pod.container("c1", "trap '' TERM; sleep 1000 & wait");
    pod.give_cgroups(&mut container);
    pod.node.ok(RequestBody::CreateAndStart(container));
    let container = pod.container("c2", "true");
    pod.manner(&container, "hang");
    pod.node.ask(RequestBody::Create(container));
    // The rest is asserted where the sandbox is dropped.
}

#[test]
fn a_launcher_that_waits_ahead_is_used_and_let_go() {
    let mut pod = Sandbox::with("ahead", &["--launcher-ahead"]);
    for n in 0..3 {
        assert_eq!(pod.run(&format!("c{n}"), "exit 3").code, 3);
    }
    let children = format!("/proc/{0}/task/{0}/children", pod.child.id());
    let waiting = || {
        let text = fs::read_to_string(&children).unwrap();
        text.split_whitespace().count()
    };
    until("one waits", || waiting() == 1);
    until("none waits when nothing follows", || waiting() == 0);
    assert_eq!(pod.run("later", "exit 4").code, 4);
}

#[test]
fn a_container_that_is_quiet_costs_four_descriptors_and_one_that_prints_no_more_than_three_more() {
    let mut pod = Sandbox::new("few");
    let held = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let pid = pod.child.id();
    let alone = held(pid);
    assert!(alone <= 10, "{alone} descriptors without any container");
    let print = pod.dir.join("print");
    let script = format!(
        "echo out; echo err >&2; while [ ! -e {0} ]; do sleep 0.05; done; \
         while [ -e {0} ]; do echo more; echo more >&2; sleep 0.02; done; exec sleep 100",
        print.display()
    );
    let container = pod.container("c1", &script);
    pod.node.ok(RequestBody::CreateAndStart(container));
    until("it has printed", || pod.log("c1").contains("err"));
    // Its pidfd, its two pipes and its log. (A launcher that waits ahead has two more, for a second.)
    let quiet = || held(pid) == alone + 4;
    until("what it needs to print is closed", quiet);
    fs::write(&print, "").unwrap();
    let before = pod.log("c1").len();
    until("it prints again", || pod.log("c1").len() > before + 1000);
    let most = held(pid);
    assert!(most <= alone + 7, "{most} descriptors while it prints");
    fs::remove_file(&print).unwrap();
    until("it is quiet again", quiet);
    let whole = pod.log("c1");
    assert!(whole.lines().all(|l| l.contains(" F ")), "{whole}");
}
