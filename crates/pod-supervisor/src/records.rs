//! What outlives this process: exit records, and the state file for a successor.

use pod_wire::supervisor::{ExitRecord, Log};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Size of an exit record's file in bytes, taken at create so that a full disk loses no exit code.
pub(crate) const EXIT_FILE: usize = 4096;

/// Now, as records and logs have it: RFC 3339, UTC, nine digits.
pub(crate) fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

/// Makes the file of an exit record and takes its room. It holds zeros until the record is written.
pub(crate) fn reserve_exit_file(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let flags = rustix::fs::FallocateFlags::empty();
    match rustix::fs::fallocate(&file, flags, 0, EXIT_FILE as u64) {
        Err(rustix::io::Errno::OPNOTSUPP) => file.write_all_at(&[0; EXIT_FILE], 0),
        other => Ok(other?),
    }
}

/// Writes an exit record into its reserved file: JSON, then line breaks up to [`EXIT_FILE`] bytes. The first byte is written last, so a
/// file that begins with `{` is whole, and one that begins with NUL says nothing yet.
pub(crate) fn write_exit(path: &Path, record: &ExitRecord) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(record)?;
    bytes.resize(bytes.len().max(EXIT_FILE), b'\n');
    let (first, rest) = bytes.split_at(1);
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(rest, 1)?;
    file.write_all_at(first, 0)
}

/// What a successor of this supervisor needs, beside what the containers' processes themselves tell it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Version of this file.
    pub(crate) version: u32,
    /// Highest generation of a node daemon seen.
    pub(crate) generation: u64,
    /// This supervisor.
    pub(crate) pid: i32,
    /// Its containers.
    pub(crate) containers: Vec<SavedContainer>,
}

/// Version of [`Saved`].
pub(crate) const SAVED_VERSION: u32 = 1;

/// One container in [`Saved`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedContainer {
    /// Its id.
    pub(crate) id: String,
    /// Whether it is the pause process.
    pub(crate) pause: bool,
    /// Its pid.
    pub(crate) pid: i32,
    /// Start time of that process in clock ticks (`/proc/PID/stat`, field 22): with the pid it names one process until reboot.
    pub(crate) start_ticks: u64,
    /// When start was let through.
    pub(crate) started_at: Option<String>,
    /// Its cgroup folders.
    pub(crate) cgroup_dirs: Vec<PathBuf>,
    /// libcontainer's folder of it.
    pub(crate) state_dir: PathBuf,
    /// Where its output goes; a successor reads on from `/proc/PID/fd/1` and `2`.
    pub(crate) log: Option<Log>,
    /// Whether its streams are a terminal.
    pub(crate) tty: bool,
    /// File of its exit record.
    pub(crate) exit_file: PathBuf,
    /// Whether it has ended.
    pub(crate) exited: bool,
    /// Running exec'd processes: name and pid.
    pub(crate) execs: Vec<(String, i32)>,
}

/// Replaces the state file at one stroke.
pub(crate) fn save(path: &Path, saved: &Saved) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let bytes = serde_json::to_vec(saved)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(&bytes)?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_record_can_be_written_on_a_full_disk_and_is_read_back() {
        let path = std::env::temp_dir().join(format!("sup-exit-{}", std::process::id()));
        reserve_exit_file(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), vec![0; EXIT_FILE]);
        let record = ExitRecord {
            id: "c".into(),
            code: 37,
            signal: None,
            oom: false,
            started_at: Some(now()),
            finished_at: now(),
            dropped_lines: 0,
        };
        write_exit(&path, &record).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), EXIT_FILE);
        assert_eq!(
            serde_json::from_slice::<ExitRecord>(&bytes).unwrap(),
            record
        );
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_time_has_nine_digits_and_says_utc() {
        let time = now();
        assert!(
            time.len() == 30 && time.ends_with('Z') && time.as_bytes()[19] == b'.',
            "{time}"
        );
    }
}
