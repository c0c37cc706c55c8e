//! What outlives this process: exit records, and what a successor needs to know.
//!
//! `<sandbox>/state/` holds `supervisor` (this process), `<id>.container` for each container, and the files of their logs. Each is one
//! checksum and one JSON text, replaced at one stroke.

use crate::identity::Identity;
use pod_wire::supervisor::{ExitRecord, Log};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
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

/// Writes an exit record into its reserved file: one line of JSON, one with its checksum, then line breaks up to [`EXIT_FILE`] bytes. The first byte is written last, so a
/// file that begins with `{` is whole, and one that begins with NUL says nothing yet.
pub(crate) fn write_exit(path: &Path, record: &ExitRecord) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(record)?;
    let sum = format!("\n{:08x}\n", crc32fast::hash(&bytes));
    bytes.extend_from_slice(sum.as_bytes());
    bytes.resize(bytes.len().max(EXIT_FILE), b'\n');
    let (first, rest) = bytes.split_at(1);
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(rest, 1)?;
    file.write_all_at(first, 0)
}

/// The record in an exit file; `None` while it holds none, or where it was changed since.
///
/// # Errors
/// It is there, and cannot be read now.
pub(crate) fn read_exit(path: &Path) -> io::Result<Option<ExitRecord>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(exit_in(&bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn exit_in(bytes: &[u8]) -> Option<ExitRecord> {
    let mut lines = bytes.split(|b| *b == b'\n');
    let (body, sum) = (lines.next()?, lines.next()?);
    let whole = sum == format!("{:08x}", crc32fast::hash(body)).as_bytes();
    whole.then(|| serde_json::from_slice(body).ok())?
}

/// Version of what is saved.
pub(crate) const VERSION: u32 = 1;

/// A supervisor, for its successor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedSupervisor {
    pub(crate) version: u32,
    pub(crate) boot_id: String,
    pub(crate) process: Identity,
    /// Highest generation of a node daemon seen.
    pub(crate) generation: u64,
}

/// One container, from before its launcher is started.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SavedContainer {
    pub(crate) version: u32,
    pub(crate) id: String,
    pub(crate) pause: bool,
    /// Its process. `None`: it is being made.
    pub(crate) process: Option<Identity>,
    pub(crate) clamped: Vec<String>,
    /// When start was let through. Written before it is, so a successor does it once more.
    pub(crate) started_at: Option<String>,
    pub(crate) bundle: PathBuf,
    pub(crate) cgroup_dirs: Vec<PathBuf>,
    /// libcontainer's folder of it.
    pub(crate) state_dir: PathBuf,
    pub(crate) log: Option<Log>,
    /// Whether its streams are a terminal.
    pub(crate) tty: bool,
    /// Inodes of the pipes of its standard output and error: whoever holds one open in `/proc/PID/fd` leads to it.
    pub(crate) pipes: [Option<u64>; 2],
    /// File of its exit record.
    pub(crate) exit_file: PathBuf,
    /// How it ended.
    pub(crate) exit: Option<ExitRecord>,
    /// Somebody asked for its end.
    pub(crate) stopped: bool,
    /// When it is to be killed, in ns of CLOCK_MONOTONIC.
    pub(crate) kill_at: Option<u64>,
    /// Somebody asked to have it forgotten.
    pub(crate) deleting: bool,
    pub(crate) execs: Vec<SavedExec>,
}

/// A process that was started in a container.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedExec {
    pub(crate) name: String,
    /// `None`: it is being started.
    pub(crate) process: Option<Identity>,
    /// It is not older than this, in clock ticks since boot: when its launcher was started.
    #[serde(default)]
    pub(crate) since: u64,
}

/// The files of a successor's knowledge.
#[derive(Clone, Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Those of the sandbox in that folder.
    pub(crate) fn in_sandbox(dir: &Path) -> Self {
        Self(dir.join("state"))
    }

    /// Makes the folder.
    pub(crate) fn make(&self) -> io::Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
    }

    /// The file that a living supervisor holds locked.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn supervisor(&self) -> PathBuf {
        self.0.join("supervisor")
    }

    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.container"))
    }

    /// Path of a log's own files, without suffix.
    pub(crate) fn log(&self, id: &str) -> PathBuf {
        self.0.join(id)
    }

    /// All containers that are written down. What is damaged is set aside under another name: nobody acts on half a truth.
    ///
    /// # Errors
    /// One cannot be read now: it runs all the same.
    pub(crate) fn containers(&self) -> io::Result<Vec<SavedContainer>> {
        let mut containers = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.extension().is_none_or(|e| e != "container") {
                continue;
            }
            match load(&path) {
                Ok(container) => containers.push(container),
                Err(e) if is_damage(&e) => {
                    // It tells a person what was there; it goes with the sandbox.
                    let _ = std::fs::rename(&path, path.with_extension("unreadable"));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(containers)
    }

    /// The predecessor; `None` where it was not written down, or that is damaged.
    ///
    /// # Errors
    /// It cannot be read now.
    pub(crate) fn predecessor(&self) -> io::Result<Option<SavedSupervisor>> {
        match load(&self.supervisor()) {
            Ok(found) => Ok(Some(found)),
            Err(e) if is_damage(&e) || e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Removes what is known of a container.
    pub(crate) fn forget(&self, id: &str) {
        let _ = std::fs::remove_file(self.container(id));
        crate::logs::forget(&self.log(id));
    }
}

/// Replaces a file at one stroke.
pub(crate) fn save(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(value)?;
    let mut bytes = format!("{:08x}\n", crc32fast::hash(&body)).into_bytes();
    bytes.extend_from_slice(&body);
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(&fresh)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| std::fs::rename(&fresh, path));
    written.inspect_err(|_| {
        // What is half written is nothing, and takes room on a disk that may be full.
        let _ = std::fs::remove_file(&fresh);
    })
}

/// Whether what [`load`] has met is damage: it was read, and is not what was written. Anything else may be read another time.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(error.kind(), InvalidData | UnexpectedEof)
}

/// Reads what [`save`] has written.
///
/// # Errors
/// `InvalidData` or `UnexpectedEof` when it is not that, whole and unchanged; those of reading, with the path.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let at = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
    let bytes = std::fs::read(path).map_err(at)?;
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "is damaged");
    let (sum, rest) = bytes.split_at_checked(8).ok_or_else(broken)?;
    let body = rest.strip_prefix(b"\n").ok_or_else(broken)?;
    if sum != format!("{:08x}", crc32fast::hash(body)).as_bytes() {
        return Err(broken());
    }
    Ok(serde_json::from_slice(body)?)
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
            unknown: false,
        };
        write_exit(&path, &record).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), EXIT_FILE);
        assert_eq!(read_exit(&path).unwrap(), Some(record.clone()));
        let length = bytes.iter().position(|b| *b == b'\n').unwrap() + 9;
        for bit in 0..length * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &changed).unwrap();
            assert_eq!(read_exit(&path).unwrap(), None, "bit {bit}");
            std::fs::write(&path, &bytes[..bit / 8]).unwrap();
            assert_eq!(read_exit(&path).unwrap(), None, "{} bytes", bit / 8);
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_neither_gone_nor_damaged() {
        let dir = std::env::temp_dir().join(format!("sup-unread-{}", std::process::id()));
        let place = Place::in_sandbox(&dir);
        place.make().unwrap();
        assert!(place.predecessor().unwrap().is_none());
        let (own, one) = (place.supervisor(), place.container("c1"));
        for path in [&own, &one] {
            // A link to itself: it is there, and every read of it fails.
            std::os::unix::fs::symlink(path, path).unwrap();
        }
        assert!(place.predecessor().is_err() && place.containers().is_err());
        assert!(read_exit(&one).is_err());
        assert!(one.is_symlink());
        std::fs::remove_file(&one).unwrap();
        std::fs::write(&one, "half").unwrap();
        assert!(place.containers().unwrap().is_empty() && !one.exists());
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(place.containers().is_err());
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing() {
        let dir = std::env::temp_dir().join(format!("sup-place-{}", std::process::id()));
        let path = dir.join("c1.container");
        // A file does not take the place of a folder.
        std::fs::create_dir_all(&path).unwrap();
        assert!(save(&path, &"text").is_err());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_torn_or_changed_anywhere_is_not_read() {
        let path = std::env::temp_dir().join(format!("sup-saved-{}", std::process::id()));
        let saved = SavedSupervisor {
            version: VERSION,
            boot_id: "b".into(),
            process: Identity {
                pid: 7,
                start_ticks: 8,
            },
            generation: 9,
        };
        save(&path, &saved).unwrap();
        let back: SavedSupervisor = load(&path).unwrap();
        assert_eq!((back.process, back.generation), (saved.process, 9));
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(load::<SavedSupervisor>(&path).is_err(), "{length} bytes");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            assert!(load::<SavedSupervisor>(&path).is_err(), "bit {bit}");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn r31_what_a_supervisor_of_the_version_before_has_saved_is_read() {
        let before = |name: &str| {
            let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/run-1");
            Path::new(fixtures).join(name)
        };
        let supervisor: SavedSupervisor = load(&before("supervisor")).unwrap();
        assert_eq!((supervisor.version, supervisor.process.pid), (1, 13));
        let app: SavedContainer = load(&before("app.container")).unwrap();
        assert!(app.started_at.is_some() && app.exit.is_none() && app.execs.len() == 1);
        let ended: SavedContainer = load(&before("ended.container")).unwrap();
        assert_eq!(ended.exit.map(|e| e.code), Some(5));
        assert_eq!(read_exit(&before("exit")).unwrap().map(|e| e.code), Some(5));
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
