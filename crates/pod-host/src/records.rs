//! What is written down beside each sandbox and container, so that the next node daemon finds them again. Mode 0600 (it holds the
//! containers' environment), in a folder of mode 0700 on a tmpfs: written without fsync.
//!
//! A file is eight hexadecimal digits (the CRC-32 of what follows), a line break, and one JSON text. It is replaced at one stroke; what is
//! torn or changed anywhere is not read.

use jiff::Timestamp;
use pod_model::config::{ContainerConfig, SandboxConfig};
use pod_model::ids::PodRef;
use pod_model::runtime::Exit;
use pod_model::status::LinuxUser;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SandboxFile {
    pub(crate) config: SandboxConfig,
    pub(crate) created_at: Timestamp,
    /// Its address, as the network gave it.
    pub(crate) ip: Option<String>,
}

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ContainerFile {
    pub(crate) pod: PodRef,
    pub(crate) config: ContainerConfig,
    pub(crate) created_at: Timestamp,
    pub(crate) user: LinuxUser,
    /// Signal number that asks it to end.
    pub(crate) stop_signal: i32,
    /// What the spec could not give it; what was clamped later is known to the supervisor.
    pub(crate) clamped: Vec<String>,
}

/// How a container ended, with reason and message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndedFile {
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) exit: Exit,
}

/// Writes a record at one stroke.
pub(crate) fn save(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let bytes = sealed(&serde_json::to_vec(record)?);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(&fresh)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| fs::rename(&fresh, path));
    written.inspect_err(|_| {
        // What is half written is nothing, and takes room on a disk that may be full.
        let _ = fs::remove_file(&fresh);
    })
}

/// A record's bytes with their checksum before them.
pub fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:08x}\n", crc32fast::hash(body)).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The body of what [`sealed`] has made.
///
/// # Errors
/// `InvalidData`: it is cut off or changed.
pub fn unsealed(bytes: &[u8]) -> io::Result<&[u8]> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (sum, rest) = bytes
        .split_at_checked(8)
        .ok_or_else(|| damaged("it is cut off"))?;
    let body = rest
        .strip_prefix(b"\n")
        .ok_or_else(|| damaged("it does not begin with its checksum"))?;
    match sum == format!("{:08x}", crc32fast::hash(body)).as_bytes() {
        true => Ok(body),
        false => Err(damaged("its checksum does not fit")),
    }
}

/// Whether what [`load`] has met is damage: it was read, and is not what was written. Anything else may be read another time.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(error.kind(), InvalidData | UnexpectedEof)
}

/// Reads a record. `None`: it is not there.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(unsealed(&bytes)?)?)),
        Err(e) if matches!(e.kind(), NotFound | NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_cannot_be_put_in_place_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        // A file does not take the place of a folder.
        fs::create_dir(&path).unwrap();
        assert!(save(&path, &"text").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_torn_or_changed_anywhere_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        let record = EndedFile {
            started_at: Some(Timestamp::UNIX_EPOCH),
            exit: Exit {
                code: 37,
                signal: None,
                reason: "Error".to_owned(),
                message: "said".to_owned(),
                finished_at: None,
            },
        };
        assert!(load::<EndedFile>(&path).unwrap().is_none());
        save(&path, &record).unwrap();
        let back: EndedFile = load(&path).unwrap().unwrap();
        assert_eq!(back.exit, record.exit);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(load::<EndedFile>(&path).is_err(), "{length} bytes");
        }
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(load::<EndedFile>(&path).is_err(), "bit {bit}");
        }
    }

    /// What the version before this one has left on disk, and said.
    fn before(name: &str) -> std::path::PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures")).join(name)
    }

    #[test]
    fn r31_records_of_the_version_before_are_read() {
        let sandbox: SandboxFile = load(&before("run-1/sandbox.json")).unwrap().unwrap();
        assert_eq!(sandbox.config.pod.name.as_str(), "p");
        let container: ContainerFile = load(&before("run-1/container.json")).unwrap().unwrap();
        assert_eq!(
            (container.config.name.as_str(), container.stop_signal),
            ("app", 15)
        );
        let ended: EndedFile = load(&before("run-1/ended.json")).unwrap().unwrap();
        assert_eq!((ended.exit.code, ended.exit.reason.as_str()), (5, "Error"));
    }

    #[test]
    fn r31_frames_of_the_version_before_are_understood_on_both_sides() {
        use pod_wire::supervisor::{Event, FromSupervisor, Hello, Request, RequestBody};
        let frames = |name: &str| fs::read_to_string(before("wire-1").join(name)).unwrap();
        let (node, supervisor) = (frames("node.jsonl"), frames("supervisor.jsonl"));
        for text in [&node, &supervisor] {
            let hello: Hello = serde_json::from_str(text.lines().next().unwrap()).unwrap();
            assert!(hello.version == 1 && hello.version >= pod_wire::VERSION - 1);
        }
        let asked: Vec<Request> = node
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str(line).expect(line))
            .collect();
        assert!(matches!(asked.last().unwrap().body, RequestBody::Shutdown));
        let told: Vec<FromSupervisor> = supervisor
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str(line).expect(line))
            .collect();
        let answered = told.iter().filter_map(|frame| match frame {
            FromSupervisor::Reply(reply) => Some(reply.id),
            FromSupervisor::Event(_) => None,
        });
        let answered: Vec<u64> = answered.collect();
        assert!(
            asked.iter().all(|a| answered.contains(&a.id)),
            "{answered:?}"
        );
        let ends = told.iter().filter_map(|frame| match frame {
            FromSupervisor::Event(Event::Exited(exit)) => Some((exit.code, exit.unknown)),
            _ => None,
        });
        assert_eq!(ends.collect::<Vec<_>>(), [(137, false)]);
    }
}
