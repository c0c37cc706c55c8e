//! The facts a plan is made from.

use crate::back_off::Limits;
use crate::memory::Memory;
use jiff::Timestamp;
use pod_model::common::ResourceList;
use pod_model::container_status::ProbeResults;
use pod_model::ids::ContainerName;
use pod_model::runtime::PodRuntime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All facts that a plan may use, besides the pod itself and the time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// What the runtime half reports now.
    pub runtime: PodRuntime,
    /// Newest result of each probe; none while no probe runs.
    pub probes: ProbeResults,
    /// Deletion, once it has been asked for.
    pub deletion: Option<Deletion>,
    /// Addresses of this node, for `status.hostIPs` and for pods on its network.
    pub host_ips: Vec<String>,
    /// Restart count by container as its log files tell (`restart_count_by_log_files`); used only where neither record nor memory has one.
    pub log_attempts: BTreeMap<ContainerName, u32>,
    /// What this node can give; a resource that is not in it is not limited.
    pub allocatable: ResourceList,
    /// How long back-offs are on this node.
    pub limits: Limits,
    /// What earlier plans decided and what became of their steps.
    pub memory: Memory,
}

/// A wish to have the pod gone. A second wish may only bring the end closer ([`Deletion::shorten`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was asked for first.
    pub at: Timestamp,
    /// From the stop signal to SIGKILL, in seconds; 0 = at once.
    pub grace_seconds: u64,
}

impl Deletion {
    /// What holds after one more wish: the shorter grace, counted from the newer wish where that ends sooner.
    pub fn shorten(self, now: Timestamp, grace_seconds: u64) -> Self {
        let end = |d: Deletion| d.at.as_second().saturating_add_unsigned(d.grace_seconds);
        let newer = Self {
            at: now,
            grace_seconds,
        };
        if grace_seconds < self.grace_seconds && end(newer) <= end(self) {
            newer
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_wishes_to_delete_the_one_that_ends_sooner_holds() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = Deletion {
            at: at(100),
            grace_seconds: 30,
        };
        for (second, grace_seconds, holds) in [
            (100, 10, true),
            (100, 0, true),
            (120, 10, true),
            (121, 10, false),
            (100, 30, false),
            (90, 30, false),
            (100, 40, false),
            // Sooner in all, but not a shorter grace.
            (80, 40, false),
        ] {
            let newer = Deletion {
                at: at(second),
                grace_seconds,
            };
            let expect = if holds { newer } else { first };
            assert_eq!(
                first.shorten(at(second), grace_seconds),
                expect,
                "{second} {grace_seconds}"
            );
        }
    }
}
