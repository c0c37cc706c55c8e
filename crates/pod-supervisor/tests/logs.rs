//! Logs under load, on a full disk, and moved away by somebody else.

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
use pod_wire::supervisor::RequestBody;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of a log, oldest first.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = (1..100)
        .map(|n| PathBuf::from(format!("{}.{n}", path.display())))
        .take_while(|p| p.exists())
        .collect();
    all.reverse();
    all.push(path.to_owned());
    all
}

#[test]
fn rotation_under_load_loses_and_tears_no_line() {
    let mut pod = Sandbox::new("rotate");
    let mut container = pod.container("c1", "seq 1 200000");
    let log = container.log.as_mut().unwrap();
    (log.max_bytes, log.max_files) = (200_000, 60);
    let path = log.path.clone();
    pod.node.ok(RequestBody::CreateAndStart(container));
    assert_eq!(pod.node.exited("c1").dropped_lines, 0);
    let files = files(&path);
    assert!(files.len() > 40, "{} files", files.len());
    assert!(
        files
            .iter()
            .all(|f| fs::metadata(f).unwrap().len() <= 200_000)
    );
    let want: Vec<String> = (1..=200_000).map(|n| n.to_string()).collect();
    assert!(texts(&files) == want);
}

#[test]
fn no_more_files_are_kept_than_asked_for() {
    let mut pod = Sandbox::new("keep");
    for (id, max_files) in [("c1", 3), ("c2", 1)] {
        let mut container = pod.container(id, "seq 1 20000");
        let log = container.log.as_mut().unwrap();
        (log.max_bytes, log.max_files) = (100_000, max_files);
        let path = log.path.clone();
        pod.node.ok(RequestBody::CreateAndStart(container));
        pod.node.exited(id);
        let files = files(&path);
        assert_eq!(files.len(), max_files as usize);
        assert_eq!(texts(&files).last().unwrap(), "20000");
    }
}

#[test]
fn a_log_that_somebody_moves_away_goes_on_in_a_new_file() {
    let mut pod = Sandbox::new("reopen");
    let script = "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo $n; [ $((n % 100)) != 0 ] || sleep 0.02; done; exit 0";
    let container = pod.container("c1", script);
    let path = container.log.as_ref().unwrap().path.clone();
    pod.node.ok(RequestBody::CreateAndStart(container));
    let mut moved = Vec::new();
    for n in 0..20 {
        let to = PathBuf::from(format!("{}.moved{n:02}", path.display()));
        fs::rename(&path, &to).unwrap();
        pod.node.ok(RequestBody::ReopenLog { id: "c1".into() });
        moved.push(to);
    }
    assert_eq!(pod.node.exited("c1").dropped_lines, 0);
    moved.push(path);
    let want: Vec<String> = (1..=3000).map(|n| n.to_string()).collect();
    assert!(texts(&moved) == want);
}

#[test]
fn on_a_full_disk_the_container_goes_on_and_lost_lines_are_counted() {
    let mut pod = Sandbox::with_own_mounts("full");
    let disk = pod.dir.join("disk");
    fs::create_dir(&disk).unwrap();
    pod.node.ok(RequestBody::State);
    let mounted = Command::new("nsenter")
        .args(["-m", "-t", &pod.child.id().to_string()])
        .args(["mount", "-t", "tmpfs", "-o", "size=64k", "none"])
        .arg(&disk)
        .status();
    assert!(mounted.unwrap().success());
    let done = pod.dir.join("c1.done");
    let script = format!("seq 1 100000; echo $? > {}; exit 5", done.display());
    let mut container = pod.container("c1", &script);
    let log = container.log.as_mut().unwrap();
    log.path = disk.join("c1.log");
    let path = pod.root().join(log.path.strip_prefix("/").unwrap());
    pod.node.ok(RequestBody::CreateAndStart(container));
    let record = pod.node.exited("c1");
    assert_eq!(
        (record.code, fs::read_to_string(done).unwrap().trim()),
        (5, "0")
    );
    let [(Some(cause), dropped)] = pod.node.troubles.as_slice() else {
        panic!("{:?}", pod.node.troubles)
    };
    assert!(cause.contains("c1.log: No space left on device"), "{cause}");
    assert!(*dropped > 0 && *dropped <= record.dropped_lines);
    let written = texts(std::slice::from_ref(&path));
    assert!(!written.is_empty());
    assert_eq!(written.len() as u64 + record.dropped_lines, 100_000);
    let first: Vec<String> = (1..=written.len()).map(|n| n.to_string()).collect();
    assert!(written == first, "lines are missing in the middle");
}

#[test]
fn lines_come_as_they_were_however_long_or_odd() {
    let mut pod = Sandbox::new("odd");
    let script =
        r"head -c 40000 /dev/zero | tr '\0' x; echo; printf 'a\0b\377\n'; echo; printf end";
    pod.run("c1", script);
    let text = fs::read(pod.dir.join("c1.log")).unwrap();
    let mut joined = Vec::new();
    for line in text.split_inclusive(|b| *b == b'\n') {
        let line = &line[..line.len() - 1];
        let (tag, rest) = (line[38], &line[40..]);
        assert!(rest.len() <= 16384);
        joined.extend_from_slice(rest);
        if tag == b'F' {
            joined.push(b'\n');
        }
    }
    let want = [&[b'x'; 40000][..], b"\na\0b\xff\n\nend"].concat();
    assert!(joined == want);
}

#[test]
fn s20_a_link_or_a_pipe_in_place_of_a_log_is_refused() {
    let mut pod = Sandbox::new("links");
    let target = pod.dir.join("target");
    fs::write(&target, "canary").unwrap();
    std::os::unix::fs::symlink(&target, pod.dir.join("c1.log")).unwrap();
    let ok = Command::new("mkfifo").arg(pod.dir.join("c2.log")).status();
    assert!(ok.unwrap().success());
    for id in ["c1", "c2"] {
        let container = pod.container(id, "echo x");
        assert_eq!(
            pod.node.fails(RequestBody::CreateAndStart(container)).step,
            "log"
        );
    }
    assert_eq!(fs::read_to_string(target).unwrap(), "canary");
    until("nothing is left", || {
        fs::read_dir(pod.dir.join("ctr")).is_err()
    });
}
