//! How a container's end is told: reason, and the message it left.

use crate::paths::{ContainerDir, Paths};
use jiff::Timestamp;
use pod_model::config::ContainerConfig;
use pod_model::ids::PodUid;
use pod_model::runtime::Exit;
use pod_wire::supervisor::ExitRecord;
use rustix::fs::{FileType, Mode, OFlags, fstat};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// Most bytes of a termination message file that are read: its last ones.
const MESSAGE_BYTES: u64 = 4096;

/// Most bytes and lines of the log that stand in for a message.
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 80;

/// How much of the end of a log file is looked at for them; a log line holds up to 16 KiB.
const LOG_WINDOW: u64 = 256 << 10;

/// Why nobody can know how a container ended that outlived its supervisor.
const UNSEEN: &str = "it ended while its supervisor was dead, and the kernel does not tell how";

/// How often an exit record is read again that cannot be read, and how long is waited between.
const READS: u32 = 10;
const READ_PAUSE: Duration = Duration::from_millis(50);

/// Exit code where nobody can know.
const UNKNOWN: i32 = 255;

/// Exit code of a container whose program could not be started.
const NOT_STARTED: i32 = 128;

/// The end that the supervisor has recorded, in the words of a pod's status.
pub(crate) fn known(
    paths: &Paths,
    uid: &PodUid,
    config: &ContainerConfig,
    log: &Path,
    record: &ExitRecord,
) -> Exit {
    if record.unknown {
        return Exit {
            finished_at: record.finished_at.parse().ok(),
            ..unknown(UNSEEN)
        };
    }
    let reason = match (record.oom, record.code) {
        (true, _) => "OOMKilled",
        (false, 0) => "Completed",
        (false, _) => "Error",
    };
    Exit {
        code: record.code,
        signal: record.signal,
        reason: reason.to_owned(),
        message: message(paths, uid, config, log, record.code),
        finished_at: record.finished_at.parse().ok(),
    }
}

/// The end of a container that nobody saw.
pub(crate) fn unknown(cause: &str) -> Exit {
    Exit {
        code: UNKNOWN,
        signal: None,
        reason: "ContainerStatusUnknown".to_owned(),
        message: cause.to_owned(),
        finished_at: Some(Timestamp::now()),
    }
}

/// The end of a container whose program could not be started.
pub(crate) fn not_started(cause: &str) -> Exit {
    Exit {
        code: NOT_STARTED,
        signal: None,
        reason: "StartError".to_owned(),
        message: cause.to_owned(),
        finished_at: Some(Timestamp::now()),
    }
}

/// The record in a supervisor's exit file; `None` while it holds none, or where it was changed since: then nobody knows how it ended.
///
/// # Errors
/// It is there, and cannot be read now.
pub(crate) fn recorded(dir: &ContainerDir) -> io::Result<Option<ExitRecord>> {
    let mut read = std::fs::read(dir.exit());
    for _ in 0..READS {
        match &read {
            // Nobody reads it again once the end is entered.
            Err(e) if e.kind() != io::ErrorKind::NotFound => std::thread::sleep(READ_PAUSE),
            _ => break,
        }
        read = std::fs::read(dir.exit());
    }
    match read {
        Ok(bytes) => Ok(recorded_in(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// A line of JSON, one with its checksum, then padding. Before it is written there are zeros, and no line.
fn recorded_in(bytes: &[u8]) -> Option<ExitRecord> {
    let mut lines = bytes.split(|b| *b == b'\n');
    let (body, sum) = (lines.next()?, lines.next()?);
    let whole = sum == format!("{:08x}", crc32fast::hash(body)).as_bytes();
    whole.then(|| serde_json::from_slice(body).ok())?
}

fn message(paths: &Paths, uid: &PodUid, config: &ContainerConfig, log: &Path, code: i32) -> String {
    let Some(inside) = &config.termination_message_path else {
        return String::new();
    };
    let file = paths.message(uid, &config.name, &config.id);
    match tail(&file, MESSAGE_BYTES) {
        Ok(text) if text.is_empty() && code != 0 && config.message_from_log => from_log(log),
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(e) => format!(
            "Error on reading termination log {}: {e}",
            inside.as_path().display()
        ),
    }
}

/// The last bytes of a file that a container could write to, and could have replaced by anything: no link is followed, nothing is waited for.
fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, !pod_sys::weakened::is("s24"));
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a regular file",
        ));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let mut file = File::from(fd);
    file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
    let mut out = Vec::new();
    file.take(most).read_to_end(&mut out)?;
    Ok(out)
}

/// The end of a log, without its times and tags.
fn from_log(path: &Path) -> String {
    let Ok(bytes) = tail(path, LOG_WINDOW) else {
        return String::new();
    };
    last_lines(&String::from_utf8_lossy(&bytes))
}

fn last_lines(log: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in log.lines() {
        // <time> <stream> <P or F> <text>
        let mut words = line.splitn(4, ' ');
        let (Some(_), Some(_), Some(tag), text) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let text = text.unwrap_or_default();
        match lines.last_mut().filter(|_| open) {
            Some(last) => last.push_str(text),
            None => lines.push(text.to_owned()),
        }
        open = tag == "P";
    }
    let from = lines.len().saturating_sub(LOG_LINES);
    let mut out: String = lines
        .drain(from..)
        .map(|l| l + "\n")
        .collect::<Vec<_>>()
        .concat();
    let mut cut = out.len().saturating_sub(LOG_BYTES);
    while !out.is_char_boundary(cut) {
        cut += 1;
    }
    out.split_off(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_end_of_a_log_is_its_last_lines_without_times() {
        let log = "t stdout F one\nt stderr P tw\nt stderr F o\nt stdout F \nbroken\n";
        assert_eq!(last_lines(log), "one\ntwo\n\n");
        let long: String = (0..200).map(|n| format!("t stdout F line{n}\n")).collect();
        let got = last_lines(&long);
        assert_eq!(got.lines().count(), LOG_LINES);
        assert!(got.ends_with("line199\n"));
        let wide = format!("t stdout F {}é\n", "é".repeat(4000));
        assert!(last_lines(&wide).len() <= LOG_BYTES);
    }

    #[test]
    fn s24_only_the_end_of_a_regular_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("big"), "x".repeat(10_000) + "end").unwrap();
        let got = tail(&at("big"), MESSAGE_BYTES).unwrap();
        assert_eq!(got.len(), 4096);
        assert!(got.ends_with(b"end"));
        symlink("/etc/passwd", at("link")).unwrap();
        assert!(tail(&at("link"), MESSAGE_BYTES).is_err());
        assert!(tail(dir.path(), MESSAGE_BYTES).is_err());
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo"),
            FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(tail(&at("fifo"), MESSAGE_BYTES).is_err());
    }
}
