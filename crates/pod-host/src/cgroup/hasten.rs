//! Saves a start most of the wait for its cgroup.
//!
//! Whoever moves a process into a cgroup by `cgroup.procs` waits until the kernel has stopped forks on every processor (percpu_down_write of
//! cgroup_threadgroup_rwsem: an RCU grace period, 5 ms here). It stays that way for as long again, and who moves a process meanwhile does not
//! wait. So the wait is begun where a start begins, beside all that comes before its launcher moves a process.

use super::layout::Layout;
use super::pod::own_leaf;
use pod_model::ids::CgroupPath;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

/// Begins the wait, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Hasten {
    under_way: AtomicBool,
}

impl Hasten {
    /// Moves this process to where it is: nothing changes, and the wait is over when it returns. Only ever a gain of time, so
    /// its failure is no failure. Blocks.
    pub(crate) fn wait(&self, layout: &Layout, root: &CgroupPath) {
        if self.under_way.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Ok(leaf) = own_leaf(root)
            && let Some(folder) = layout.folders(&leaf).first()
        {
            // 0 is the writing process.
            let _ = fs::OpenOptions::new()
                .write(true)
                .open(folder.join("cgroup.procs"))
                .and_then(|mut file| std::io::Write::write_all(&mut file, b"0"));
        }
        self.under_way.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::detect;

    #[test]
    fn without_a_leaf_of_the_node_nothing_is_moved_and_the_next_one_may_try() {
        let before = fs::read_to_string("/proc/self/cgroup").unwrap();
        let root = CgroupPath::parse("/podwright-hasten-that-is-not-there").unwrap();
        let hasten = Hasten::default();
        hasten.wait(&detect().unwrap(), &root);
        assert_eq!(fs::read_to_string("/proc/self/cgroup").unwrap(), before);
        assert!(!hasten.under_way.load(Ordering::Acquire));
    }
}
