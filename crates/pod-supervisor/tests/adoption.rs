//! A supervisor that is killed, and its successor.

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
use pod_wire::supervisor::{CreateContainer, Event, ExitRecord, ReplyBody, RequestBody};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

fn stop(id: &str, signal: i32, grace_ms: u64) -> RequestBody {
    RequestBody::Stop {
        id: id.into(),
        signal,
        grace_ms,
    }
}

/// Starts it, and gives its pid.
fn started(pod: &mut Sandbox, container: CreateContainer) -> i32 {
    match pod.node.ok(RequestBody::CreateAndStart(container)).0 {
        ReplyBody::Started { pid, .. } => pid,
        other => panic!("{other:?}"),
    }
}

/// A container with cgroups, so that everything of it can be found.
fn with_cgroups(pod: &mut Sandbox, id: &str, script: &str) -> CreateContainer {
    let mut container = pod.container(id, script);
    pod.give_cgroups(&mut container);
    container
}

/// How it ended, as the state says; an event may have come before anybody was there to be told.
fn end_of(pod: &mut Sandbox, id: &str) -> ExitRecord {
    let mut found = None;
    until("its end is known", || {
        let ReplyBody::State(all) = pod.node.ok(RequestBody::State).0 else {
            return false;
        };
        found = all.into_iter().find(|c| c.id == id).and_then(|c| c.exit);
        found.is_some()
    });
    found.unwrap()
}

/// Whether the kernel tells how a process ended that somebody else has reaped (Linux 6.15).
fn kernel_tells_ends() -> bool {
    let release = rustix::system::uname();
    let release = release.release().to_string_lossy().into_owned();
    let mut parts = release.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(6), Some(15))
}

/// Numbers from 1 on, one a line, until the file says stop; then exit 37.
fn counting(stop: &std::path::Path) -> String {
    format!(
        "n=0; while [ ! -e {} ]; do n=$((n+1)); echo $n; done; echo last; exit 37",
        stop.display()
    )
}

#[test]
fn a_container_outlives_twenty_supervisors_and_no_line_is_lost_or_torn() {
    for with_held in [true, false] {
        let name = if with_held { "twenty" } else { "alone" };
        let mut pod = Sandbox::new(name);
        let stop = pod.dir.join("stop");
        let script = counting(&stop);
        let mut container = with_cgroups(&mut pod, "c1", &script);
        let log = container.log.as_mut().unwrap();
        (log.max_bytes, log.max_files) = (200_000, 1000);
        let pid = started(&mut pod, container);
        for n in 0..20 {
            let held = match with_held {
                true => pod.hold("c1", None),
                false => vec![],
            };
            // At any moment of its work.
            std::thread::sleep(Duration::from_micros(10_000 + 1_370 * n));
            pod.kill();
            pod.succeed(held);
            assert_eq!(pod.state(), [("c1".to_owned(), None)]);
        }
        File::create(&stop).unwrap();
        let record = pod.node.exited("c1");
        // In both cases the pidfd was open when it ended; init may have reaped it first.
        if kernel_tells_ends() {
            assert_eq!((record.code, record.unknown), (37, false));
        } else {
            assert!(matches!(
                (record.code, record.unknown),
                (37, false) | (255, true)
            ));
        }
        assert_eq!(record.dropped_lines, 0);
        assert!(record.started_at.is_some());
        let texts = pod.texts("c1");
        let (last, numbers) = texts.split_last().unwrap();
        assert_eq!(last, "last");
        assert!(numbers.len() > 1000, "{} lines", numbers.len());
        for (n, text) in numbers.iter().enumerate() {
            assert_eq!(*text, (n + 1).to_string(), "supervisors of pid {pid}");
        }
        pod.node.ok(RequestBody::Delete { id: "c1".into() });
    }
}

#[test]
fn an_end_between_two_supervisors_is_known_by_what_the_daemon_held_and_else_unknown_never_zero() {
    for (with_held, script, code) in [
        (true, "exit 37", 37),
        (true, "kill -9 $$", 137),
        (false, "exit 0", 0),
    ] {
        let mut pod = Sandbox::new("between");
        let go = pod.dir.join("go");
        let fifo = std::process::Command::new("mkfifo").arg(&go).status();
        assert!(fifo.unwrap().success());
        let script = format!(
            "echo before; read x < {}; echo after; {script}",
            go.display()
        );
        let container = with_cgroups(&mut pod, "c1", &script);
        let exit_file = container.exit_file.clone();
        let pid = started(&mut pod, container);
        until("it is up", || pod.log("c1").contains("before"));
        let held = match with_held {
            true => pod.hold("c1", None),
            false => vec![],
        };
        pod.kill();
        File::options()
            .write(true)
            .open(&go)
            .unwrap()
            .write_all(b"x\n")
            .unwrap();
        until("it is gone", || {
            !fs::exists(format!("/proc/{pid}")).unwrap()
        });
        pod.succeed(held);
        let record = end_of(&mut pod, "c1");
        if with_held && kernel_tells_ends() {
            assert_eq!((record.code, record.unknown), (code, false));
            // Its last words too: the daemon held the pipe.
            assert_eq!(pod.log("c1"), "stdout F before\nstdout F after\n");
        } else {
            assert_eq!((record.code, record.unknown), (255, true));
        }
        let written = fs::read_to_string(exit_file).unwrap();
        assert!(written.contains(&format!("\"code\":{}", record.code)));
    }
}

#[test]
fn everything_works_after_an_adoption_as_before() {
    let mut pod = Sandbox::new("after");
    let script = "echo up; while read x; do echo got $x; done";
    let mut container = with_cgroups(&mut pod, "c1", script);
    container.stdin = true;
    started(&mut pod, container);
    until("it is up", || pod.log("c1").contains("up"));
    let held = pod.hold("c1", None);
    let names: Vec<&str> = held.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["c1:process", "c1:stdin", "c1:stdout", "c1:stderr"]);
    pod.kill();
    pod.succeed(held);
    // Standard input, log, exec, rotation by somebody else, stop, delete, another create.
    let mut again = pod.hold("c1", None);
    File::from(again.remove(1).1).write_all(b"word\n").unwrap();
    until("it has answered", || pod.log("c1").contains("got word"));
    let null = File::open("/dev/null").unwrap();
    let (read, write) = std::io::pipe().unwrap();
    let exec = RequestBody::Exec {
        id: "c1".into(),
        exec: "e1".into(),
        command: vec!["sh".into(), "-c".into(), "echo in; exit 42".into()],
        tty: false,
    };
    let asked = pod
        .node
        .ask_with(exec, &[null.as_fd(), write.as_fd(), write.as_fd()]);
    drop(write);
    pod.node.answer(asked).0.unwrap();
    assert_eq!(std::io::read_to_string(read).unwrap(), "in\n");
    assert!(matches!(
        pod.node.event(),
        Event::ExecExited { code: 42, .. }
    ));
    let path = pod.dir.join("c1.log");
    fs::rename(&path, pod.dir.join("moved")).unwrap();
    pod.node.ok(RequestBody::ReopenLog { id: "c1".into() });
    pod.node.ok(stop("c1", 15, 10_000));
    let record = pod.node.exited("c1");
    assert!(matches!(
        (record.code, record.unknown),
        (143, false) | (255, true)
    ));
    pod.node.ok(RequestBody::Delete { id: "c1".into() });
    assert_eq!(pod.run("c2", "exit 5").code, 5);
}

#[test]
fn a_stop_in_its_grace_goes_on_with_the_same_deadline() {
    let mut pod = Sandbox::new("deadline");
    let script = "trap 'echo term' TERM; echo up; while :; do sleep 0.02; done";
    let container = with_cgroups(&mut pod, "c1", script);
    started(&mut pod, container);
    until("it is up", || pod.log("c1").contains("up"));
    let begun = Instant::now();
    pod.node.ok(stop("c1", 15, 1500));
    let held = pod.hold("c1", None);
    pod.kill();
    std::thread::sleep(Duration::from_millis(300));
    pod.succeed(held);
    let record = pod.node.exited("c1");
    let took = begun.elapsed().as_millis();
    assert!((1500..2000).contains(&took), "{took} ms");
    assert!(matches!(
        (record.code, record.unknown),
        (137, false) | (255, true)
    ));
    assert!(pod.log("c1").contains("term"));
}

#[test]
fn a_create_that_was_under_way_is_undone_and_may_be_asked_again() {
    for manner in ["hang", "slow"] {
        let mut pod = Sandbox::new(&format!("undone-{manner}"));
        let container = with_cgroups(&mut pod, "c1", "exit 4");
        pod.manner(&container, manner);
        let dirs = container.cgroup_dirs.clone();
        pod.node.ask(RequestBody::CreateAndStart(container.clone()));
        until("it is being made", || dirs.iter().all(|d| d.exists()));
        pod.kill();
        pod.succeed(vec![]);
        assert_eq!(pod.state(), []);
        until("nothing of it is left", || {
            dirs.iter().all(|d| !d.exists())
                && fs::read_dir(pod.dir.join("ctr")).is_ok_and(|d| d.count() == 0)
        });
        assert_eq!(left_of(&pod), [""; 0], "launchers live on");
        pod.manner(&container, "");
        pod.node.ok(RequestBody::CreateAndStart(container));
        assert_eq!(pod.node.exited("c1").code, 4);
    }
}

/// Command lines of launchers that work for this sandbox, and of what they have forked.
fn left_of(pod: &Sandbox) -> Vec<String> {
    let word = pod.dir.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|e| {
        let exe = fs::read_link(e.path().join("exe")).ok()?;
        let line = fs::read(e.path().join("environ")).ok()?;
        let cwd = fs::read(e.path().join("cmdline")).ok()?;
        let text = String::from_utf8_lossy(&[line, cwd].concat()).replace('\0', " ");
        let launcher = exe.to_string_lossy().starts_with("/memfd:podwright-launch");
        (launcher && text.contains(word)).then_some(text)
    });
    lines.collect()
}

#[test]
fn killed_at_any_moment_of_a_create_it_is_done_or_undone() {
    let mut outcomes = [0, 0];
    for n in 0..60 {
        let mut pod = Sandbox::new("moment");
        let container = with_cgroups(&mut pod, "c1", "echo up; sleep 1000");
        let dirs = container.cgroup_dirs.clone();
        let asked = pod.node.ask(RequestBody::CreateAndStart(container.clone()));
        match n {
            // At the latest once it is answered.
            55.. => drop(pod.node.answer(asked)),
            _ => std::thread::sleep(Duration::from_micros(20 * n * n)),
        }
        pod.kill();
        pod.succeed(vec![]);
        match pod.state().as_slice() {
            [] => {
                outcomes[0] += 1;
                until("nothing of it is left", || dirs.iter().all(|d| !d.exists()));
                let (body, _) = pod.node.ok(RequestBody::CreateAndStart(container));
                assert!(matches!(body, ReplyBody::Started { .. }));
            }
            [(id, None)] => {
                assert_eq!(id, "c1");
                outcomes[1] += 1;
            }
            other => panic!("{other:?}"),
        }
        until(&format!("it is up, killed at moment {n}"), || {
            !pod.log("c1").is_empty()
        });
        assert_eq!(pod.log("c1"), "stdout F up\n", "killed at moment {n}");
        pod.node.ok(stop("c1", 9, 0));
        pod.node.exited("c1");
    }
    assert!(
        outcomes.iter().all(|n| *n > 0),
        "undone, done: {outcomes:?}"
    );
}

/// Changes what is written down of a container, as a supervisor would.
fn rewrite(pod: &Sandbox, id: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let path = pod.dir.join(format!("state/{id}.container"));
    let text = fs::read_to_string(&path).unwrap();
    let (_, body) = text.split_once('\n').unwrap();
    let mut saved: serde_json::Value = serde_json::from_str(body).unwrap();
    change(&mut saved);
    let body = saved.to_string();
    let sum = crc32fast::hash(body.as_bytes());
    fs::write(path, format!("{sum:08x}\n{body}")).unwrap();
}

#[test]
fn what_is_written_down_as_started_is_let_go_by_the_successor_and_runs_once() {
    let mut pod = Sandbox::new("barrier");
    let container = with_cgroups(&mut pod, "c1", "echo up; exec sleep 1000");
    pod.node.ok(RequestBody::Create(container));
    pod.kill();
    // Killed after it was written down as started, and before its barrier was opened.
    rewrite(&pod, "c1", |saved| {
        assert!(saved["started_at"].is_null());
        saved["started_at"] = "2026-01-01T00:00:00.000000000Z".into();
    });
    for _ in 0..3 {
        pod.succeed(vec![]);
        assert_eq!(pod.state(), [("c1".to_owned(), None)]);
        until("it is up", || pod.log("c1") == "stdout F up\n");
        pod.kill();
    }
    pod.succeed(vec![]);
    pod.node.ok(stop("c1", 9, 0));
    pod.node.exited("c1");
    assert_eq!(pod.log("c1"), "stdout F up\n");
}

#[test]
fn what_cannot_be_written_down_is_not_let_go() {
    let mut pod = Sandbox::new("unwritten");
    let container = with_cgroups(&mut pod, "c1", "echo up; exec sleep 1000");
    pod.manner(&container, "block");
    let failure = pod
        .node
        .fails(RequestBody::CreateAndStart(container.clone()));
    assert_eq!(failure.step, "record", "{}", failure.cause);
    assert!(failure.cause.contains("c1.container"), "{}", failure.cause);
    assert_eq!(pod.log("c1"), "");
    assert!(container.cgroup_dirs.iter().all(|d| !d.exists()));
    fs::remove_dir(pod.dir.join("state/c1.container.new")).unwrap();
    pod.manner(&container, "");
    started(&mut pod, container);
    until("it is up", || pod.log("c1") == "stdout F up\n");
}

/// A command for an exec that notes its pid in `file` and waits; its launcher behaves as `manner` says.
fn noted(file: &std::path::Path, manner: &str) -> Vec<String> {
    let script = format!(
        "echo $$ > {0}.new; mv {0}.new {0}; : {manner}; exec sleep 1000",
        file.display()
    );
    ["setsid", "sh", "-c", &script].map(str::to_owned).to_vec()
}

fn noted_pid(file: &std::path::Path) -> i32 {
    until("the process is up", || file.exists());
    fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

/// Whether it runs: neither gone nor a zombie.
fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn an_exec_of_which_nobody_was_told_ends_with_its_supervisor_and_nothing_else_of_the_container_does()
 {
    let mut pod = Sandbox::new("untold");
    let (own, told, untold) = (
        pod.dir.join("own"),
        pod.dir.join("told"),
        pod.dir.join("untold"),
    );
    // A process that has made a session of its own within the container.
    let script = format!(
        "setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000' & wait",
        own.display()
    );
    let container = with_cgroups(&mut pod, "c1", &script);
    started(&mut pod, container);
    let null = File::open("/dev/null").unwrap();
    let exec = |name: &str, command: Vec<String>| RequestBody::Exec {
        id: "c1".into(),
        exec: name.into(),
        command,
        tty: false,
    };
    let own = noted_pid(&own);
    let asked = pod
        .node
        .ask_with(exec("told", noted(&told, "")), &[null.as_fd(); 3]);
    pod.node.answer(asked).0.unwrap();
    let told = noted_pid(&told);
    pod.node.ask_with(
        exec("untold", noted(&untold, "unanswered")),
        &[null.as_fd(); 3],
    );
    let untold = noted_pid(&untold);
    pod.kill();
    pod.succeed(vec![]);
    until("it is gone", || !runs(untold));
    assert_eq!(left_of(&pod), [""; 0], "launchers live on");
    assert!(runs(own) && runs(told), "own {own}, told {told}");
    let (ReplyBody::State(all), _) = pod.node.ok(RequestBody::State) else {
        panic!()
    };
    assert_eq!(all[0].execs, ["told"]);
}

#[test]
fn an_exec_whose_launcher_dies_has_failed_and_nothing_of_it_runs_on() {
    let mut pod = Sandbox::new("halfway");
    let container = with_cgroups(&mut pod, "c1", "sleep 1000");
    let pid = started(&mut pod, container);
    let null = File::open("/dev/null").unwrap();
    let file = pod.dir.join("pid");
    let exec = |name: &str, manner: &str| RequestBody::Exec {
        id: "c1".into(),
        exec: name.into(),
        command: noted(&pod.dir.join(name), manner),
        tty: false,
    };
    let (fine, deserted) = (exec("fine", ""), exec("pid", "deserted"));
    let asked = pod.node.ask_with(fine, &[null.as_fd(); 3]);
    pod.node.answer(asked).0.unwrap();
    let asked = pod.node.ask_with(deserted, &[null.as_fd(); 3]);
    let failure = pod.node.answer(asked).0.unwrap_err();
    assert!(failure.cause.contains("signal 9"), "{}", failure.cause);
    let left = fs::read_to_string(file).ok();
    let left = left.and_then(|t| t.trim().parse().ok());
    until("it is gone", || left.is_none_or(|pid| !runs(pid)));
    assert!(runs(pid) && runs(noted_pid(&pod.dir.join("fine"))));
}

#[test]
fn an_exec_goes_on_and_its_end_is_told_also_one_that_came_in_between() {
    let mut pod = Sandbox::new("execs");
    let container = with_cgroups(&mut pod, "c1", "sleep 1000");
    started(&mut pod, container);
    let null = File::open("/dev/null").unwrap();
    let go = pod.dir.join("go");
    for (name, script) in [
        (
            "long",
            format!(
                "while [ ! -e {} ]; do sleep 0.01; done; exit 9",
                go.display()
            ),
        ),
        ("short", "sleep 0.3; exit 8".to_owned()),
    ] {
        let exec = RequestBody::Exec {
            id: "c1".into(),
            exec: name.into(),
            command: vec!["sh".into(), "-c".into(), script],
            tty: false,
        };
        let asked = pod.node.ask_with(exec, &[null.as_fd(); 3]);
        pod.node.answer(asked).0.unwrap();
    }
    let mut held: Vec<(String, OwnedFd)> = pod.hold("c1", None);
    held.extend(pod.hold("c1", Some("long")));
    held.extend(pod.hold("c1", Some("short")));
    pod.kill();
    std::thread::sleep(Duration::from_millis(500));
    pod.succeed(held);
    let told = pod.node.event();
    let Event::ExecExited { exec, code, .. } = told else {
        panic!("{told:?}")
    };
    assert_eq!(exec, "short");
    assert!(code == 8 || (!kernel_tells_ends() && code == 255), "{code}");
    let (body, _) = pod.node.ok(RequestBody::State);
    let ReplyBody::State(all) = body else {
        panic!()
    };
    assert_eq!(all[0].execs, ["long"]);
    File::create(go).unwrap();
    let told = pod.node.event();
    assert!(
        matches!(&told, Event::ExecExited { exec, code: 9 | 255, .. } if exec == "long"),
        "{told:?}"
    );
}

#[test]
fn a_container_whose_record_is_damaged_is_set_aside_and_the_others_are_adopted() {
    let mut pod = Sandbox::new("damaged");
    let mut pids = Vec::new();
    for id in ["c1", "c2"] {
        let container = with_cgroups(&mut pod, id, "echo up; exec sleep 1000");
        pids.push(started(&mut pod, container));
    }
    pod.kill();
    let record = pod.dir.join("state/c1.container");
    let mut bytes = fs::read(&record).unwrap();
    bytes[40] ^= 1;
    fs::write(&record, bytes).unwrap();
    pod.succeed(vec![]);
    assert_eq!(pod.state(), [("c2".to_owned(), None)]);
    let aside: PathBuf = pod.dir.join("state/c1.unreadable");
    assert!(aside.exists() && !record.exists());
    // Who knows its cgroup kills it: the node daemon.
    let held = pod_sys::pidfd::open(pids[0]).unwrap();
    pod_sys::pidfd::send_signal(&held, 9).unwrap();
    for name in ["c1.unreadable", "c1.out", "c1.mark"] {
        // What it printed may not have been read before the kill: then there is no file of it.
        let _ = fs::remove_file(pod.dir.join("state").join(name));
    }
    let _ = fs::remove_dir_all(pod.dir.join("ctr/c1"));
    until("its cgroups are empty", || {
        let name = pod.dir.file_name().unwrap().to_str().unwrap();
        ["freezer", "pids", "memory", ""].iter().all(|c| {
            let dir = PathBuf::from("/sys/fs/cgroup")
                .join(c)
                .join(format!("podwright-{name}/c1"));
            !dir.exists() || fs::remove_dir(&dir).is_ok()
        })
    });
}

#[test]
fn two_supervisors_never_work_in_one_folder() {
    let mut pod = Sandbox::new("lock");
    let container = with_cgroups(&mut pod, "c1", "sleep 1000");
    started(&mut pod, container);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_podwright-supervisor"));
    command
        .args(["--adopt", "--launch-fd", "3", "--node-fd", "4", "--dir"])
        .arg(&pod.dir);
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let null = File::open("/dev/null").unwrap();
    pod_sys::process::pass_descriptors(&mut command, vec![null.into(), theirs.into()]).unwrap();
    let output = command.output().unwrap();
    drop((ours, command));
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("another supervisor of this sandbox lives"),
        "{text}"
    );
    assert_eq!(pod.state(), [("c1".to_owned(), None)]);
}

#[test]
fn a_deletion_that_was_under_way_is_finished() {
    let mut pod = Sandbox::new("deletion");
    let container = with_cgroups(&mut pod, "c1", "exit 3");
    let dirs = container.cgroup_dirs.clone();
    started(&mut pod, container);
    pod.node.exited("c1");
    // Keeps the removal from being done.
    let busy = pod.dir.join("ctr/c1/busy");
    fs::create_dir(&busy).unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        let status = std::process::Command::new(program)
            .args(arguments)
            .arg(&busy)
            .status();
        assert!(status.unwrap().success());
    };
    mount("mount", &["-t", "tmpfs", "none"]);
    pod.node.ask(RequestBody::Delete { id: "c1".into() });
    until("its deletion is written down", || {
        fs::read_to_string(pod.dir.join("state/c1.container"))
            .unwrap()
            .contains("\"deleting\":true")
    });
    pod.kill();
    mount("umount", &[]);
    pod.succeed(vec![]);
    until("it is forgotten", || pod.state().is_empty());
    assert!(dirs.iter().all(|d| !d.exists()));
}
