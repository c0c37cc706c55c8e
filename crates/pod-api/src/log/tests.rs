//! Logs written as a supervisor writes them: partial lines, rotation, growth.

use super::*;
use std::fs::{self, OpenOptions};
use std::future::pending;
use std::io::Write;
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

fn record(second: u32, stream: &str, tag: &str, text: &str) -> String {
    format!("2026-01-01T00:00:{second:02}.123456789Z {stream} {tag} {text}\n")
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn rotate(folder: &Path, files: u32) {
    for n in (1..files).rev() {
        let from = folder.join(format!("0.log.{n}"));
        if from.exists() {
            fs::rename(from, folder.join(format!("0.log.{}", n + 1))).unwrap();
        }
    }
    fs::rename(folder.join("0.log"), folder.join("0.log.1")).unwrap();
    append(&folder.join("0.log"), "");
}

fn source(folder: &Path) -> LogSource {
    LogSource {
        folder: folder.to_owned(),
        attempt: 0,
    }
}

fn all(folder: &Path, options: LogOptions) -> String {
    let mut reader = LogReader::open(source(folder), options).unwrap();
    let mut out = Vec::new();
    while let Some(piece) = reader.read().unwrap() {
        out.extend(piece);
    }
    out.extend(reader.rest());
    String::from_utf8(out).unwrap()
}

fn tail(n: u64) -> LogOptions {
    LogOptions {
        tail: Some(n),
        ..LogOptions::default()
    }
}

#[test]
fn partial_lines_of_both_streams_come_out_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("0.log");
    append(&log, &record(1, "stdout", "P", "a"));
    append(&log, &record(2, "stderr", "F", "error"));
    append(&log, &record(3, "stdout", "F:x", "b"));
    append(&log, "cut off by a cra");
    let text = |o| all(folder.path(), o);
    assert_eq!(text(LogOptions::default()), "error\nab\n");
    let stamped = LogOptions {
        timestamps: true,
        stream: Some(Stream::Stdout),
        ..LogOptions::default()
    };
    assert_eq!(text(stamped), "2026-01-01T00:00:01.123456789Z ab\n");
    let since = LogOptions {
        since: "2026-01-01T00:00:02.5Z".parse().ok(),
        ..LogOptions::default()
    };
    assert_eq!(text(since), "b\n");
    let limited = LogOptions {
        limit_bytes: Some(7),
        ..LogOptions::default()
    };
    assert_eq!(text(limited), "error\na");
}

#[test]
fn a_line_that_was_never_ended_is_shown_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("0.log");
    append(&log, &record(1, "stdout", "P", "prompt> "));
    assert_eq!(all(folder.path(), LogOptions::default()), "prompt> ");
    assert_eq!(all(folder.path(), tail(1)), "prompt> ");
}

#[test]
fn a_tail_reaches_back_into_rotated_files() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("0.log");
    for n in 0..7 {
        append(&log, &record(n, "stdout", "F", &n.to_string()));
        if n % 2 == 1 {
            rotate(folder.path(), 5);
        }
    }
    for (n, text) in [
        (0, ""),
        (1, "6\n"),
        (2, "5\n6\n"),
        (4, "3\n4\n5\n6\n"),
        (7, "0\n1\n2\n3\n4\n5\n6\n"),
        (99, "0\n1\n2\n3\n4\n5\n6\n"),
    ] {
        assert_eq!(all(folder.path(), tail(n)), text, "tail {n}");
    }
    assert_eq!(
        all(folder.path(), LogOptions::default()),
        "0\n1\n2\n3\n4\n5\n6\n"
    );
    assert_eq!(attempts(folder.path()).unwrap(), [0]);
}

#[test]
fn attempts_are_the_log_files_by_number() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["10.log", "2.log", "2.log.1", "x.log", "1.log.gz"] {
        append(&folder.path().join(name), "");
    }
    assert_eq!(attempts(folder.path()).unwrap(), [2, 10]);
    assert!(attempts(&folder.path().join("none")).unwrap().is_empty());
}

#[test]
fn s20_a_log_that_was_replaced_by_a_link_or_a_pipe_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    append(&secret, &record(0, "stdout", "F", "secret"));
    let place = folder.path().join("logs");
    fs::create_dir(&place).unwrap();
    let log = place.join("0.log");
    let attempt = || LogReader::open(source(&place), LogOptions::default()).map(drop);
    std::os::unix::fs::symlink(&secret, &log).unwrap();
    assert!(attempt().is_err(), "a link");
    fs::remove_file(&log).unwrap();
    append(&log, &record(0, "stdout", "F", "own"));
    std::os::unix::fs::symlink(&secret, place.join("0.log.1")).unwrap();
    assert!(attempt().is_err(), "a link among the rotated ones");
    fs::remove_file(place.join("0.log.1")).unwrap();
    attempt().unwrap();
    fs::remove_file(&log).unwrap();
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &log, kind, mode, 0).unwrap();
    assert!(
        attempt().is_err(),
        "a pipe, and nobody waits for its writer"
    );
}

#[tokio::test]
async fn following_goes_on_through_rotations_and_ends_with_the_container() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("0.log");
    append(&log, &record(0, "stdout", "F", "first"));
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let reader = LogReader::open(source(folder.path()), options).unwrap();
    let (to, mut from) = mpsc::channel(4);
    let (end, ended) = oneshot::channel::<()>();
    let task = tokio::spawn(async move { reader.send(&to, async { drop(ended.await) }).await });
    let mut got = Vec::new();
    got.extend(from.recv().await.unwrap().unwrap());
    assert_eq!(got, b"first\n");
    let mut expected = "first\n".to_owned();
    for n in 0..50 {
        // Sometimes several rotations happen before the reader looks again, and something is written right before each.
        append(&log, &record(n, "stdout", "F", &n.to_string()));
        expected += &format!("{n}\n");
        if n % 3 == 0 {
            rotate(folder.path(), 5);
        }
        if n % 5 == 0 {
            while got.len() < expected.len() {
                got.extend(from.recv().await.unwrap().unwrap());
            }
        }
    }
    append(&log, &record(59, "stdout", "F", "last"));
    expected += "last\n";
    end.send(()).unwrap();
    while let Some(piece) = from.recv().await {
        got.extend(piece.unwrap());
    }
    assert_eq!(String::from_utf8(got).unwrap(), expected);
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn following_ends_when_nobody_listens_any_more() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("0.log"), "");
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let reader = LogReader::open(source(folder.path()), options).unwrap();
    let (to, from) = mpsc::channel(1);
    drop(from);
    reader.send(&to, pending()).await.unwrap();
}
