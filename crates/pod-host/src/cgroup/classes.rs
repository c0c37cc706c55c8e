//! Weights of the two cgroups that pods of one class share, as the kubelet sets them: all BestEffort pods together get the least, all Burstable
//! pods together what they ask for. So what asked for nothing never takes time from what asked for some.

use super::layout::Layout;
use crate::failure::At;
use pod_driver::host::{HostError, HostErrorKind};
use pod_model::ids::CgroupPath;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// File, least and most of a weight.
const V1: (&str, u64, u64) = ("cpu.shares", 2, 262_144);
const V2: (&str, u64, u64) = ("cpu.weight", 1, 10_000);

/// Who reads and writes last has seen the values of all that came before.
static ORDER: Mutex<()> = Mutex::new(());

/// Weighs the class of that pod's cgroup anew, after the pod came, went or changed. Of a Guaranteed pod, which has no class cgroup, and of a
/// container nothing is done.
pub(crate) fn weigh_class(
    layout: &Layout,
    root: &CgroupPath,
    cgroup: &CgroupPath,
) -> Result<(), HostError> {
    let below = cgroup.relative().strip_prefix(root.relative());
    let mut names = below.unwrap_or(Path::new("")).components();
    let (Some(class), Some(_), None) = (names.next(), names.next(), names.next()) else {
        return Ok(());
    };
    let (v2, v1) = (layout.mounts.first(), layout.controller("cpu"));
    let (mount, (file, least, most)) = match layout.is_v2() {
        true => (v2.map(|m| m.as_path()), V2),
        false => (v1, V1),
    };
    let Some(mount) = mount else {
        return Ok(());
    };
    let folder = mount.join(root.relative()).join(class);
    let path = folder.join(file);
    let _one_at_a_time = ORDER.lock().unwrap_or_else(PoisonError::into_inner);
    let weight = match class.as_os_str().to_str() {
        Some("besteffort") => Ok(least),
        Some("burstable") => sum(&folder, file),
        _ => return Ok(()),
    };
    let written = weight.and_then(|w| {
        // Never made: where there is no such file, there is nothing to weigh.
        let mut open = fs::OpenOptions::new().write(true).open(&path)?;
        open.write_all(w.clamp(least, most).to_string().as_bytes())
    });
    match written {
        // The last pod of its class took the cgroup with it, or this node has no such controller.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.at_path(HostErrorKind::Other, "cgroup: writing", &path),
    }
}

/// What the cgroups right below a folder have together.
fn sum(folder: &Path, file: &str) -> io::Result<u64> {
    let mut sum: u64 = 0;
    for entry in fs::read_dir(folder)? {
        // Files have nothing below them; a pod that has just gone counts no more.
        let weight = fs::read_to_string(entry?.path().join(file)).unwrap_or_default();
        sum = sum.saturating_add(weight.trim().parse().unwrap_or(0));
    }
    Ok(sum)
}
