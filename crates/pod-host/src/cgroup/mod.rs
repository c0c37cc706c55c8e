//! Control groups of pods: where they are mounted, the pod-level one with its values, and how one is emptied and removed.
//!
//! Nothing here ever touches a cgroup outside the node's own root.

mod classes;
mod hasten;
mod kill;
mod layout;
mod pod;
mod resize;
mod stats;

pub(crate) use classes::weigh_class;
pub(crate) use hasten::Hasten;
pub(crate) use kill::{find, processes_of, remove, remove_empty};
pub(crate) use layout::{Layout, detect};
pub(crate) use pod::{ensure, leave_pods_alone, own_leaf};
pub(crate) use resize::{lift_quotas, resize};
pub(crate) use stats::usage;

#[cfg(test)]
mod tests;
