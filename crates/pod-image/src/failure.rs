//! What can go wrong with the store's own files.

use std::io;
use std::path::{Path, PathBuf};

/// The store could not read or write its own files.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("image store: cannot {step} {}", path.display())]
    Io {
        /// What was being done, such as `write`.
        step: &'static str,
        /// To what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The disk or the quota is used up.
    #[error(
        "image store: the disk is full: cannot {step} {}; free space on that disk (`podwright image ls` and `podwright image rm NAME` show and remove images), or give another place with --root",
        path.display()
    )]
    DiskFull {
        /// What was being done.
        step: &'static str,
        /// Where; it lies in the store.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A file of the store is not what this program wrote.
    #[error("image store: {} is damaged: {problem}; remove the image with `podwright image rm` and import it again", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl StoreError {
    /// Whether the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }

    /// Whether it is the store that is not as it should be: a file was read and is not what this program wrote, or is not there. Anything
    /// else may go well another time, and says nothing about the store.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::DiskFull { .. } => false,
        }
    }
}

/// Gives a failed file operation its step and path.
pub(crate) trait At<T> {
    fn at(self, step: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|e| store_error(step, path, e.into()))
    }
}

pub(crate) fn store_error(step: &'static str, path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    if is_full(&source) {
        StoreError::DiskFull { step, path, source }
    } else {
        StoreError::Io { step, path, source }
    }
}

/// Whether an error means a full disk or a used-up quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
