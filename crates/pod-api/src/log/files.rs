//! The files of one attempt: `<attempt>.log`, and what was rotated away: `.1` (newest), `.2`, …

use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One file, open, and what tells it from the others however it is called by now.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) file: File,
    pub(super) inode: u64,
}

/// The attempts of a container that have a log, lowest first.
pub fn attempts(folder: &Path) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                let name = entry?.file_name();
                let number = name.to_str().and_then(|n| n.strip_suffix(".log"));
                found.extend(number.and_then(|n| n.parse::<u32>().ok()));
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    found.sort_unstable();
    Ok(found)
}

/// All files of that attempt, oldest first. Rotation may go on meanwhile: a listing counts when the next one agrees with it.
pub(super) fn generations(folder: &Path, attempt: u32) -> io::Result<Vec<Generation>> {
    let mut last = open_all(folder, attempt)?;
    // A rotation takes far less time than the 10 MiB before the next one, so a handful of tries is plenty.
    for _ in 0..8 {
        let again = open_all(folder, attempt)?;
        let same =
            again.len() == last.len() && again.iter().zip(&last).all(|(a, b)| a.inode == b.inode);
        last = again;
        if same {
            break;
        }
    }
    Ok(last)
}

fn open_all(folder: &Path, attempt: u32) -> io::Result<Vec<Generation>> {
    let mut found = Vec::new();
    let mut path = folder.join(format!("{attempt}.log"));
    for number in 1.. {
        match open(&path) {
            Ok(found_now) => found.push(found_now),
            // Right in the middle of a rotation the newest file is missing for a moment, the older ones are not.
            Err(e) if e.kind() == io::ErrorKind::NotFound && number == 1 => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => break,
            Err(e) => return Err(e),
        }
        path = rotated(folder, attempt, number);
    }
    found.reverse();
    Ok(found)
}

/// Opens a log. Who may write to the node's `/var/log` can put anything in its place (threat S20): no link is followed, nothing waits for
/// the writer of a pipe, and what is no regular file is refused.
fn open(path: &Path) -> io::Result<Generation> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        let text = format!("{} is no regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let inode = meta.ino();
    Ok(Generation { file, inode })
}

fn rotated(folder: &Path, attempt: u32, number: u32) -> PathBuf {
    folder.join(format!("{attempt}.log.{number}"))
}
