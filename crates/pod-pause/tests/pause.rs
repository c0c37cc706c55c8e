//! The pause program as a process: it ends on TERM and INT, outlives everything else, reaps, and is small.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PAUSE: &str = env!("CARGO_BIN_EXE_podwright-pause");

fn start() -> Child {
    let child = Command::new(PAUSE)
        .stdin(Stdio::null())
        .spawn()
        .expect("the pause program starts");
    // Its signal mask is what says that it has come to its loop.
    wait_until(|| status_line(child.id(), "SigBlk:").is_some_and(|mask| mask.starts_with("ffff")));
    child
}

fn status_line(pid: u32, key: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    Some(line[key.len()..].trim().to_owned())
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < limit, "it did not come within 10 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill(pid: u32, signal: &str) {
    let done = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .expect("kill runs");
    assert!(done.success(), "kill {signal} {pid}");
}

#[test]
fn it_ends_well_on_term_and_on_int() {
    for signal in ["-TERM", "-INT"] {
        let mut pause = start();
        kill(pause.id(), signal);
        let status = pause.wait().expect("it can be waited for");
        assert_eq!(
            (status.code(), status.signal()),
            (Some(0), None),
            "{signal}"
        );
    }
}

#[test]
fn no_other_signal_ends_it() {
    let mut pause = start();
    for signal in ["-HUP", "-USR1", "-PIPE", "-ALRM", "-CHLD", "-QUIT"] {
        kill(pause.id(), signal);
    }
    std::thread::sleep(Duration::from_millis(50));
    assert!(
        pause.try_wait().expect("it can be asked").is_none(),
        "it still runs"
    );
    kill(pause.id(), "-TERM");
    assert_eq!(pause.wait().expect("it can be waited for").code(), Some(0));
}

#[test]
fn as_first_process_it_reaps_what_loses_its_parent() {
    // As root only, since it takes a PID namespace: elsewhere the shell below is refused, and the test says so.
    // The children are there before the exec: one ends at once and one a little later, so that both ways of reaping are met.
    let script = format!("(exit 3) & (sleep 0.2) & exec {PAUSE}");
    let mut outer = Command::new("unshare")
        .args([
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
            "sh",
            "-c",
            &script,
        ])
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare runs");
    std::thread::sleep(Duration::from_millis(100));
    if let Some(status) = outer.try_wait().expect("it can be asked") {
        let mut text = String::new();
        let _ = outer
            .stderr
            .take()
            .expect("is piped")
            .read_to_string(&mut text);
        panic!("this test needs root: unshare ended with {status}: {text}");
    }
    let children = |pid: u32| {
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|child| child.parse::<u32>().ok())
            .collect::<Vec<_>>()
    };
    let pause = children(outer.id())
        .first()
        .copied()
        .expect("unshare has a child");
    wait_until(|| children(pause).is_empty());
    assert_eq!(
        status_line(pause, "Name:").as_deref(),
        Some("podwright-pause")
    );
    kill(pause, "-TERM");
    assert!(outer.wait().expect("it can be waited for").success());
}

#[test]
fn its_file_is_under_10_kb_and_its_memory_under_40_kb() {
    // The file is measured as a debug build here too: debug information is the only thing that strip takes away.
    let mut pause = start();
    let rollup =
        std::fs::read_to_string(format!("/proc/{}/smaps_rollup", pause.id())).expect("smaps");
    let rss: u64 = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .expect("Rss in kB");
    kill(pause.id(), "-TERM");
    let _ = pause.wait();
    assert!(rss < 40, "Rss is {rss} kB");
    let stripped = std::env::temp_dir().join(format!("pause-stripped-{}", std::process::id()));
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(PAUSE)
        .status()
        .expect("strip runs");
    assert!(strip.success());
    let size = std::fs::metadata(&stripped)
        .expect("the stripped file")
        .len();
    let _ = std::fs::remove_file(&stripped);
    assert!(size < 10_000, "the file has {size} bytes");
}
