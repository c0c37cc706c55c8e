//! What a supervisor bears: much output, long lines, no descriptors, processes that fork faster than they are killed.

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

use common::{Sandbox, texts, until};
use pod_wire::supervisor::{ReplyBody, RequestBody};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Private memory of a process, in kB: what only it has, without the pages of its program.
fn private_memory(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let lines = text.lines().filter(|l| l.starts_with("Private_Dirty"));
    lines
        .map(|l| l.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap())
        .sum()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn limit_descriptors(pid: u32, most: usize) {
    let status = Command::new("prlimit")
        .args([format!("--pid={pid}"), format!("--nofile={most}:")])
        .status();
    assert!(status.unwrap().success());
}

fn processor_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn r16_a_hundred_rotations_under_full_load_lose_and_tear_no_line() {
    const LINES: u64 = 2_500_000;
    let mut pod = Sandbox::new("load");
    let mut container = pod.container("c1", &format!("seq 1 {LINES}"));
    let log = container.log.as_mut().unwrap();
    (log.max_bytes, log.max_files) = (1_000_000, 300);
    let path = log.path.clone();
    pod.node.ok(RequestBody::CreateAndStart(container));
    assert_eq!(pod.node.exited("c1").dropped_lines, 0);
    let mut rotated: Vec<PathBuf> = (1..300)
        .map(|n| PathBuf::from(format!("{}.{n}", path.display())))
        .take_while(|p| p.exists())
        .collect();
    assert!(rotated.len() >= 100, "{} rotations", rotated.len());
    rotated.reverse();
    rotated.push(path);
    let mut next = 1;
    for file in rotated {
        assert!(fs::metadata(&file).unwrap().len() <= 1_000_000);
        for text in texts(&[file]) {
            assert_eq!(text.parse(), Ok(next), "lost or torn");
            next += 1;
        }
    }
    assert_eq!(next, LINES + 1);
}

#[test]
fn r16_a_log_moved_away_a_hundred_times_under_full_load_loses_and_tears_no_line() {
    let mut pod = Sandbox::new("moved");
    let stop = pod.dir.join("stop");
    // Numbers in bursts, so that there is always something on its way.
    let script = format!(
        "n=0; while [ ! -e {} ]; do seq $((n+1)) $((n+5000)); n=$((n+5000)); done; exit 0",
        stop.display()
    );
    let container = pod.container("c1", &script);
    let path = container.log.as_ref().unwrap().path.clone();
    pod.node.ok(RequestBody::CreateAndStart(container));
    let mut moved = Vec::new();
    for n in 0..100 {
        until("there is something", || {
            fs::metadata(&path).is_ok_and(|m| m.len() > 0)
        });
        let to = PathBuf::from(format!("{}.moved{n:03}", path.display()));
        fs::rename(&path, &to).unwrap();
        pod.node.ok(RequestBody::ReopenLog { id: "c1".into() });
        moved.push(to);
    }
    File::create(stop).unwrap();
    assert_eq!(pod.node.exited("c1").dropped_lines, 0);
    moved.push(path);
    let mut next = 1;
    for text in moved.into_iter().flat_map(|file| texts(&[file])) {
        assert_eq!(text.parse(), Ok(next), "lost or torn");
        next += 1;
    }
    assert!(next > 5000);
}

/// Length of the long line: 64 MiB, and 1 GiB in the long form (`PODWRIGHT_ROUNDS=2000`).
fn line_length() -> u64 {
    let rounds = std::env::var("PODWRIGHT_ROUNDS").ok();
    match rounds.and_then(|n| n.parse::<u64>().ok()) {
        Some(1000..) => 1 << 30,
        _ => 64 << 20,
    }
}

#[test]
fn r18_a_line_without_end_is_kept_exactly_and_costs_no_memory() {
    let whole = line_length();
    let mut pod = Sandbox::new("line");
    let script = format!("head -c {whole} /dev/zero | tr '\\0' x; echo; echo after; exit 0");
    let mut container = pod.container("c1", &script);
    container.log.as_mut().unwrap().max_bytes = 0;
    let idle = private_memory(pod.child.id());
    pod.node.ok(RequestBody::CreateAndStart(container));
    let path = pod.dir.join("c1.log");
    let mut most = 0;
    while !pod.node.has_something(Duration::from_millis(20)) {
        most = most.max(private_memory(pod.child.id()));
    }
    assert_eq!(pod.node.exited("c1").dropped_lines, 0);
    assert!(most <= idle + 400, "{idle} kB idle, {most} kB under load");
    let mut log = BufReader::new(File::open(&path).unwrap());
    let (mut line, mut length, mut after) = (Vec::new(), 0, false);
    loop {
        line.clear();
        if log.read_until(b'\n', &mut line).unwrap() == 0 {
            break;
        }
        let (head, text) = line.split_at(40);
        let text = &text[..text.len() - 1];
        if length == whole {
            assert!(head.ends_with(b" stdout F ") && text == b"after" && !after);
            after = true;
            continue;
        }
        assert!(text.len() <= 16 << 10 && text.iter().all(|b| *b == b'x'));
        length += text.len() as u64;
        let tag: &[u8] = if length == whole {
            b" stdout F "
        } else {
            b" stdout P "
        };
        assert!(head.ends_with(tag), "at {length}");
    }
    assert!(length == whole && after, "{length} bytes");
}

#[test]
fn r26_without_descriptors_single_calls_fail_ends_are_recorded_and_nothing_spins() {
    let mut pod = Sandbox::new("files");
    let container = pod.container("c1", "read x; exit 7");
    let mut held = {
        let mut container = container;
        container.stdin = true;
        pod.node.ok(RequestBody::CreateAndStart(container)).1
    };
    let supervisor = pod.child.id();
    let exit_file = pod.dir.join("bundles/c1/exit");
    for spare in 0..4 {
        limit_descriptors(supervisor, descriptors(supervisor) + spare);
        let container = pod.container("c2", "exit 1");
        let failure = pod.node.fails(RequestBody::CreateAndStart(container));
        assert!(
            failure.cause.contains("Too many open files") || failure.step == "create",
            "{failure:?}"
        );
    }
    limit_descriptors(supervisor, descriptors(supervisor));
    let waiting = pod_sys::socket::connect(&pod.dir.join("supervisor.sock")).unwrap();
    let before = processor_time(supervisor);
    std::thread::sleep(Duration::from_millis(1500));
    let spent = processor_time(supervisor) - before;
    assert!(
        spent < 20,
        "{spent} ticks spent on a connection that cannot be taken"
    );
    drop(held.remove(1));
    let (body, _) = pod.node.ok(RequestBody::Stop {
        id: "c1".into(),
        signal: 15,
        grace_ms: 0,
    });
    assert_eq!(body, ReplyBody::Done);
    assert_eq!(pod.node.exited("c1").code, 137);
    assert_eq!(fs::read(exit_file).unwrap()[0], b'{', "its end is on disk");
    limit_descriptors(supervisor, 1024);
    let mut late = common::Node::on(waiting, 1);
    late.ok(RequestBody::State);
    assert_eq!(pod.run("c3", "exit 5").code, 5);
}

#[test]
fn r11_a_container_that_forks_in_a_loop_is_deleted_within_its_bound() {
    let mut pod = Sandbox::new("forks");
    let script = "trap '' TERM; while :; do sleep 0.3 & sleep 0.001; done";
    let mut container = pod.container("c1", script);
    pod.give_cgroups(&mut container);
    let dirs = container.cgroup_dirs.clone();
    pod.node.ok(RequestBody::CreateAndStart(container));
    until("it forks", || {
        let listed = fs::read_to_string(dirs[0].join("cgroup.procs")).unwrap();
        listed.lines().count() > 20
    });
    let begun = Instant::now();
    pod.node.ok(RequestBody::Stop {
        id: "c1".into(),
        signal: 15,
        grace_ms: 0,
    });
    assert_eq!(pod.node.exited("c1").code, 137);
    pod.node.ok(RequestBody::Delete { id: "c1".into() });
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(dirs.iter().all(|d| !d.exists()));
}
