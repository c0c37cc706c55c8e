//! New values for a cgroup in which something runs. A memory limit never becomes smaller than what is in use.

use super::layout::Layout;
use crate::failure::At;
use pod_driver::host::{HostError, HostErrorKind};
use pod_model::cgroup_files::CgroupFile;
use pod_model::ids::CgroupPath;
use std::fs;
use std::io;
use std::path::Path;

const OTHER: HostErrorKind = HostErrorKind::Other;

/// Writes the files, each where a hierarchy has it.
pub(crate) fn resize(
    layout: &Layout,
    root: &CgroupPath,
    cgroup: &CgroupPath,
    files: &[CgroupFile],
) -> Result<(), HostError> {
    if !cgroup.is_within(root) || cgroup == root {
        return Err(HostError::new(
            OTHER,
            format!("cgroup {cgroup}: not below this node's cgroup root {root}"),
        ));
    }
    for file in files {
        let folders = layout.folders(cgroup);
        let folder = folders.iter().find(|f| f.join(&file.name).exists());
        let Some(folder) = folder else {
            return Err(HostError::new(
                OTHER,
                format!("cgroup {cgroup}: no hierarchy has {}", file.name),
            ));
        };
        let path = folder.join(&file.name);
        let written = match file.name.as_str() {
            "memory.max" => shrink_v2(folder, &file.value),
            "memory.limit_in_bytes" => limit_v1(folder, &file.value),
            _ => write(&path, &file.value),
        };
        written.at_path(OTHER, "cgroup: writing", &path)?;
    }
    Ok(())
}

/// Version 1 lets no cgroup have less cpu time than one below it, though that holds nobody: the leaves of ended containers give theirs up.
pub(crate) fn lift_quotas(layout: &Layout, ended: &[CgroupPath]) {
    if layout.is_v2() {
        return;
    }
    for folder in ended.iter().flat_map(|cgroup| layout.folders(cgroup)) {
        // One that is gone already, or not of this hierarchy, is as good; what stays in the way shows in the write after it.
        let _ = write(&folder.join("cpu.cfs_quota_us"), "-1");
    }
}

/// The kernel would kill where too much is in use, so what can be given back is asked back first.
fn shrink_v2(folder: &Path, value: &str) -> io::Result<()> {
    if let Ok(limit) = value.parse::<u64>() {
        // Taken for nothing, what cannot be read would have the kernel kill.
        let current = || number(&folder.join("memory.current"));
        let over = current()?.saturating_sub(limit);
        if over > 0 {
            // Since 5.19; it fails where not all of it could be had.
            let _ = write(&folder.join("memory.reclaim"), &over.to_string());
        }
        let used = current()?;
        if used > limit {
            return Err(in_use(limit, used));
        }
    }
    write(&folder.join("memory.max"), value)
}

/// Here the kernel gives back what it can, and refuses the rest (EBUSY). Memory and swap together may never be less than memory alone.
fn limit_v1(folder: &Path, value: &str) -> io::Result<()> {
    let limit = folder.join("memory.limit_in_bytes");
    let both = folder.join("memory.memsw.limit_in_bytes");
    let wanted = value.parse::<u64>().unwrap_or(u64::MAX);
    // Only where it was limited: a pod's own cgroup is not.
    let limited = both.try_exists()? && number(&both)? < UNLIMITED;
    let write_limit = || {
        write(&limit, value).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => match number(&folder.join("memory.usage_in_bytes")) {
                Ok(used) => in_use(wanted, used),
                Err(_) => error,
            },
            _ => error,
        })
    };
    if limited && number(&both)? < wanted {
        write(&both, value)?;
        return write_limit();
    }
    write_limit()?;
    match limited {
        true => write(&both, value),
        false => Ok(()),
    }
}

/// Version 1 writes no limit as the largest number of pages; anything near it is none.
const UNLIMITED: u64 = 1 << 62;

fn in_use(limit: u64, used: u64) -> io::Error {
    let text = format!("attempting to set a memory limit ({limit}) below current usage ({used})");
    io::Error::new(io::ErrorKind::ResourceBusy, text)
}

fn number(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let number = text.trim().parse();
    number.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{text:?}: {e}")))
}

fn write(path: &Path, value: &str) -> io::Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_that_cannot_be_read_is_not_none() {
        let dir = tempfile::tempdir().unwrap();
        let (most, used) = (
            dir.path().join("memory.max"),
            dir.path().join("memory.current"),
        );
        fs::write(&most, "max").unwrap();
        // A link to itself: it is there, and every read of it fails.
        std::os::unix::fs::symlink(&used, &used).unwrap();
        assert!(shrink_v2(dir.path(), "4096").is_err());
        assert_eq!(fs::read_to_string(&most).unwrap(), "max");
        fs::remove_file(&used).unwrap();
        fs::write(&used, "8192").unwrap();
        let told = shrink_v2(dir.path(), "4096").unwrap_err();
        assert!(
            told.to_string().contains("below current usage (8192)"),
            "{told}"
        );
        fs::write(&used, "1024").unwrap();
        shrink_v2(dir.path(), "4096").unwrap();
        assert_eq!(fs::read_to_string(&most).unwrap(), "4096");
    }
}
