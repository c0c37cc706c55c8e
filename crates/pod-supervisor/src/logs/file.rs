//! One log file: appended to, never torn, and rotated.

use pod_wire::supervisor::Log as Settings;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct LogFile {
    settings: Settings,
    file: File,
    /// Its inode: it names the file however it is renamed.
    inode: u64,
    size: u64,
}

impl LogFile {
    /// Opens the log for appending; made with mode 0640 when missing. A symlink, a FIFO or a folder there is refused.
    pub(crate) fn open(settings: Settings) -> io::Result<Self> {
        let file = open(&settings.path, false)?;
        Self::on(settings, file)
    }

    /// The file of that inode beside the log, if there is one: what was the log before it was renamed.
    pub(crate) fn renamed(settings: &Settings, inode: u64) -> Option<Self> {
        let entries = std::fs::read_dir(settings.path.parent()?).ok()?;
        let mut entries = entries.flatten();
        let found =
            entries.find(|e| e.metadata().is_ok_and(|m| m.is_file() && m.ino() == inode))?;
        let file = open(&found.path(), false).ok()?;
        Self::on(settings.clone(), file)
            .ok()
            .filter(|f| f.inode == inode)
    }

    fn on(settings: Settings, file: File) -> io::Result<Self> {
        let about = file.metadata()?;
        Ok(Self {
            settings,
            file,
            inode: about.ino(),
            size: about.len(),
        })
    }

    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// So many bytes fit before it must be rotated.
    pub(crate) fn room(&self) -> usize {
        if self.settings.max_bytes == 0 {
            return usize::MAX;
        }
        let room = self.settings.max_bytes.saturating_sub(self.size);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    /// Appends entries. Gives how many bytes of them are in the file for good, always whole entries but where even that cannot be had,
    /// and why it is not all of them.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let (written, failed) = write(&mut self.file, bytes);
        // An entry ends with the only line break in it: what was written of a torn one is taken back.
        let whole = bytes
            .get(..written)
            .and_then(|w| w.iter().rposition(|b| *b == b'\n'))
            .map_or(0, |at| at + 1);
        let kept = match whole < written && self.file.set_len(self.size + whole as u64).is_err() {
            true => written,
            false => whole,
        };
        self.size += kept as u64;
        (kept, failed)
    }

    /// What is in the file from there on, at most so many bytes.
    pub(crate) fn read_from(&self, from: u64, most: u64) -> io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        // By its own descriptor: its name may have changed.
        let mut file = File::open(format!(
            "/proc/self/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(&self.file)
        ))?;
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes back everything behind the first `size` bytes.
    pub(crate) fn cut(&mut self, size: u64) -> io::Result<()> {
        self.file.set_len(size)?;
        self.size = size;
        Ok(())
    }

    /// Opens the file anew: something else has moved it away.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.settings.clone())?;
        Ok(())
    }

    /// Writes elsewhere from now on.
    #[cfg(test)]
    pub(crate) fn replace(&mut self, file: File) {
        self.file = file;
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.settings.path
    }

    /// `x.log` becomes `x.log.1`, that `x.log.2`, and so on; the oldest goes. When any of it fails, the current file goes on growing:
    /// better a file too long than a line lost.
    pub(crate) fn rotate(&mut self) {
        let path = &self.settings.path;
        let fresh = numbered(path, "new");
        // Left over from a supervisor that died here.
        let _ = std::fs::remove_file(&fresh);
        let Ok(new) = open(&fresh, true).and_then(|file| Self::on(self.settings.clone(), file))
        else {
            return;
        };
        // A rotation that was cut off has left a gap in the row: it is filled, so that the row is whole again.
        let oldest = self.settings.max_files.saturating_sub(1).max(1);
        let gap = (1..oldest).find(|n| !numbered(path, n).exists());
        for n in (1..gap.unwrap_or(oldest)).rev() {
            let (from, to) = (numbered(path, n), numbered(path, n + 1));
            let _ = std::fs::rename(from, to);
        }
        if self.settings.max_files > 1 && std::fs::rename(path, numbered(path, 1)).is_err() {
            let _ = std::fs::remove_file(&fresh);
            return;
        }
        if std::fs::rename(&fresh, path).is_ok() {
            *self = new;
        }
    }
}

/// Writes as much as can be; says how much, and why the rest failed.
fn write(file: &mut File, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|r| !r.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (written, Some(e)),
        }
    }
    (written, None)
}

fn open(path: &Path, fresh: bool) -> io::Result<File> {
    // O_NONBLOCK: opening a FIFO must not wait for a reader; it means nothing for a regular file.
    let mut flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    flags.set(rustix::fs::OFlags::NOFOLLOW, !pod_sys::weakened::is("s20"));
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .create_new(fresh)
        .mode(0o640)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is no regular file",
        ));
    }
    Ok(file)
}

fn numbered(path: &Path, suffix: impl std::fmt::Display) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{suffix}"));
    PathBuf::from(name)
}
