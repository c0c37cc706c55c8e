//! The daemon runs out of descriptors, of processes, of threads.

use super::{kill, pod, start};
use e2e::Node;
use e2e::leak::{cpu_ticks, descriptors_and_threads};
use e2e::node::until;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Sets the soft limit of a process's open files.
fn limit_files(pid: u32, most: usize) {
    let done = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--nofile={most}:")])
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn r26_a_daemon_without_descriptors_fails_single_calls_and_recovers() {
    let node = Node::new("r26");
    start(&node, "witness", &pod("witness", "exec sleep 1000"));
    let daemon = node.daemon().expect("a daemon");
    let (open, _) = descriptors_and_threads(daemon);
    let file = node.file("p.yaml", &pod("p", "true"));
    // From nothing left to plenty: each number of descriptors makes another step of a pod's life fail.
    for spare in 0..24 {
        limit_files(daemon, open + spare);
        let began = Instant::now();
        let child = node.start(&["run", "-d", &file]);
        // Nothing left: nobody can even be told so. Then the client waits, and goes on when there is room.
        std::thread::sleep(Duration::from_millis(40));
        limit_files(daemon, 1024);
        let created = child.wait(Duration::from_secs(30));
        assert!(began.elapsed() < e2e::patient(Duration::from_secs(20)));
        if created.status == 0 {
            // What failed on the way is tried again.
            node.wait_status("p", &["Completed"]);
            node.run(&["delete", "pod", "p"]).ok();
        } else {
            assert!(!created.err.is_empty(), "an error without words");
        }
        assert_eq!(
            node.daemon(),
            Some(daemon),
            "with {spare} spare descriptors"
        );
    }
    assert_eq!(node.status("witness"), "Running");
    node.finish();
}

#[test]
fn r26_a_successor_with_few_descriptors_ends_no_container_and_loses_no_log() {
    let node = Node::new("r26heir");
    // So many that their supervisor needs more descriptors than the daemon, from which a successor has its limit.
    let names: Vec<String> = (0..14).map(|n| format!("c{n}")).collect();
    let containers = names.iter().map(|name| {
        format!("  - {{name: {name}, image: busybox, command: [sh, -c, 'while echo tick; do sleep 0.2; done']}}\n")
    });
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: many}}\nspec:\n  restartPolicy: Never\n  \
         terminationGracePeriodSeconds: 0\n  containers:\n{}",
        containers.collect::<String>()
    );
    start(&node, "many", &text);
    let daemon = node.daemon().expect("a daemon");
    let lines = |name: &str| {
        let said = node.run(&["logs", "many", "-c", name]);
        said.ok().lines().count()
    };
    for spare in (0..100).step_by(9) {
        // All that the daemon holds for the successor is copied for it.
        let (open, _) = descriptors_and_threads(daemon);
        limit_files(daemon, open + spare);
        kill(super::named(&node, "podwright-super")[0]);
        std::thread::sleep(Duration::from_millis(400));
        limit_files(daemon, 1024);
        until("a successor", Duration::from_secs(30), || {
            let said = node.run(&["exec", "many", "-c", "c0", "--", "echo", "hello"]);
            said.out == "hello\n"
        });
        assert_eq!(node.status("many"), "Running", "with {spare} to spare");
        let before: Vec<usize> = names.iter().map(|n| lines(n)).collect();
        for (name, before) in names.iter().zip(before) {
            until("another line", Duration::from_secs(10), || {
                lines(name) > before
            });
        }
    }
    assert_eq!(node.daemon(), Some(daemon));
    // And with a daemon that holds nothing of them, and has few itself.
    for most in (24..144).step_by(12) {
        kill(node.daemon().expect("a daemon"));
        kill(super::named(&node, "podwright-super")[0]);
        start_with_few(&node, most);
        // A successor that came to be keeps that limit.
        let successors = super::named(&node, "podwright-super");
        for few in daemon_of(&node).into_iter().chain(successors) {
            kill(few);
        }
        assert_eq!(node.status("many"), "Running", "after {most}");
        until("a successor", Duration::from_secs(30), || {
            let said = node.run(&["exec", "many", "-c", "c0", "--", "echo", "hello"]);
            said.out == "hello\n"
        });
        let before: Vec<usize> = names.iter().map(|n| lines(n)).collect();
        for (name, before) in names.iter().zip(before) {
            until(
                &format!("another line of {name} after {most}"),
                Duration::from_secs(10),
                || lines(name) > before,
            );
        }
    }
    node.finish();
}

/// Has a daemon started that may have so many files open; whether it answered, and what was said.
fn start_with_few(node: &Node, most: usize) -> (bool, String) {
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={most}:{most}"))
        .arg(e2e::node::binary("podwright"))
        .args(["get", "pods"]);
    for (name, value) in node.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // To files: the daemon must not keep a pipe open.
    let (out, err) = (node.folder().join("few.out"), node.folder().join("few.err"));
    let status = command
        .stdin(std::process::Stdio::null())
        .stdout(fs::File::create(&out).unwrap())
        .stderr(fs::File::create(&err).unwrap())
        .status()
        .unwrap();
    let said = if status.success() { out } else { err };
    (status.success(), fs::read_to_string(said).unwrap())
}

fn daemon_of(node: &Node) -> Option<u32> {
    let mut all = super::named(node, "podwright").into_iter();
    all.find(|p| is_daemon(*p))
}

#[test]
fn r26_an_api_that_cannot_accept_does_not_spin() {
    let node = Node::new("r26accept");
    node.run(&["get", "pods"]).ok();
    let daemon = node.daemon().expect("a daemon");
    let (open, _) = descriptors_and_threads(daemon);
    limit_files(daemon, open);
    let sockets: Vec<UnixStream> = (0..8)
        .map(|_| UnixStream::connect(node.run_dir().join("api.sock")).unwrap())
        .collect();
    let before = cpu_ticks(daemon);
    std::thread::sleep(Duration::from_secs(2));
    let used = cpu_ticks(daemon) - before;
    limit_files(daemon, 1024);
    // 100 ticks are a second.
    assert!(
        used < 20,
        "{used} ticks of processor time while nobody could be let in"
    );
    drop(sockets);
    node.run(&["get", "pods"]).ok();
    assert_eq!(node.daemon(), Some(daemon));
    node.finish();
}

/// A cgroup of this case with a limit of processes, in the hierarchy that has it.
fn pids_cgroup(node: &Node) -> PathBuf {
    let v1 = PathBuf::from("/sys/fs/cgroup/pids");
    let base = if v1.is_dir() {
        v1
    } else {
        PathBuf::from("/sys/fs/cgroup")
    };
    let place = base.join(format!("{}-few", node.word()));
    fs::create_dir(&place).unwrap();
    place
}

#[test]
fn r09_a_daemon_that_may_start_no_process_or_thread_says_so_and_recovers() {
    let node = Node::new("r09");
    start(&node, "witness", &pod("witness", "exec sleep 1000"));
    let few = pids_cgroup(&node);
    let home = |daemon: u32| fs::write(few.join("cgroup.procs"), daemon.to_string()).unwrap();
    let mut daemon = node.daemon().expect("a daemon");
    home(daemon);
    let file = node.file("p.yaml", &pod("p", "exec sleep 1000"));
    for more in 0..8 {
        let (_, threads) = descriptors_and_threads(daemon);
        fs::write(few.join("pids.max"), (threads + more).to_string()).unwrap();
        let child = node.start(&["run", "-d", &file]);
        std::thread::sleep(Duration::from_millis(150));
        fs::write(few.join("pids.max"), "max").unwrap();
        let created = child.wait(Duration::from_secs(30));
        assert_eq!(
            node.daemon(),
            Some(daemon),
            "it ended, with {more} processes to spare: {}",
            created.err
        );
        if created.status == 0 {
            node.wait_status("p", &["Running"]);
            node.run(&["delete", "pod", "p"]).ok();
        }
    }
    assert_eq!(node.status("witness"), "Running");
    // It leaves the cgroup by its end; the next one is in no cgroup of this case.
    kill(daemon);
    until("an empty cgroup", Duration::from_secs(5), || {
        fs::remove_dir(&few).is_ok()
    });
    daemon = {
        node.run(&["get", "pods"]).ok();
        node.daemon().expect("a daemon")
    };
    assert!(daemon > 0);
    node.finish();
}

/// The folder of a process's cgroup in the hierarchy that counts processes.
fn counted(pid: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let v1 = text.lines().find_map(|l| l.split_once(":pids:"));
    match v1 {
        Some((_, path)) => PathBuf::from(format!("/sys/fs/cgroup/pids{path}")),
        None => {
            let path = text.trim().trim_start_matches("0::");
            PathBuf::from(format!("/sys/fs/cgroup{path}"))
        }
    }
}

#[test]
fn r09_a_supervisor_that_may_start_no_process_says_so_and_recovers() {
    let node = Node::new("r09sup");
    start(&node, "witness", &pod("witness", "exec sleep 1000"));
    let supervisor = super::named(&node, "podwright-super")[0];
    let folder = counted(supervisor);
    let limit = folder.join("pids.max");
    let current = || {
        let text = fs::read_to_string(folder.join("pids.current")).unwrap();
        text.trim().parse::<usize>().unwrap()
    };
    let mut refused = 0;
    for more in 0..5 {
        fs::write(&limit, (current() + more).to_string()).unwrap();
        // A launcher of this pod's own, or none.
        let said = node.run(&["exec", "witness", "--", "echo", "hello"]);
        fs::write(&limit, "max").unwrap();
        match said.status {
            0 => assert_eq!(said.out, "hello\n"),
            _ => {
                assert!(!said.err.is_empty(), "an error without words");
                refused += 1;
            }
        }
        let again = node.run(&["exec", "witness", "--", "echo", "again"]);
        assert_eq!(again.ok(), "again\n", "with {more} processes to spare");
    }
    assert!(refused > 0, "the limit was never met");
    assert_eq!(super::named(&node, "podwright-super"), [supervisor]);
    node.finish();
}

#[test]
fn r26_a_daemon_that_starts_with_few_descriptors_works_or_says_so() {
    let node = Node::new("r26few");
    start(&node, "witness", &pod("witness", "exec sleep 4261"));
    let witness = node.pid_of("4261");
    for most in (4..40).step_by(3) {
        kill(node.daemon().expect("a daemon"));
        let began = Instant::now();
        let (answered, said) = start_with_few(&node, most);
        assert!(
            began.elapsed() < e2e::patient(Duration::from_secs(40)),
            "{most}: {:?}",
            began.elapsed()
        );
        match answered {
            true => assert!(said.contains("witness"), "{most}: {said}"),
            false => assert!(!said.is_empty(), "{most}: an error without words"),
        }
        // Whatever it did: with room it is all there.
        if let Some(few) = daemon_of(&node) {
            kill(few);
        }
        assert_eq!(node.status("witness"), "Running", "after {most}");
        assert_eq!(node.pid_of("4261"), witness, "restarted after {most}");
    }
    let said = node.run(&["exec", "witness", "--", "echo", "unharmed"]);
    assert_eq!(said.ok(), "unharmed\n");
    node.finish();
}

fn is_daemon(pid: u32) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split('\0').any(|a| a == "--on-demand")
}

#[test]
fn what_the_node_cannot_give_is_told_by_an_event() {
    let node = Node::new("clamped");
    // Guaranteed: its score would be -997, which takes CAP_SYS_RESOURCE.
    let text = pod("p", "exec sleep 4201").replace(
        "{name: app,",
        "{name: app, resources: {limits: {cpu: 100m, memory: 64Mi}},",
    );
    start(&node, "p", &text);
    let pid = node.pid_of("4201");
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    let said = node.run(&["describe", "pod", "p"]).out;
    match score.trim() {
        "-997" => assert!(!said.contains("gives less than asked for"), "{said}"),
        other => {
            let told = format!("oom_score_adj -997 raised to {other}");
            assert!(said.contains(&told), "{told}: {said}");
        }
    }
    assert!(said.contains("Guaranteed"), "{said}");
    node.finish();
}
