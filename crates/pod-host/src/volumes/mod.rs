//! Volumes of pods: made before the first container, updated in place, found again by name, and taken away with the pod.

mod atomic;
mod between;
mod host_path;
mod mounts;
mod owner;
mod prepare;
mod propagation;
mod sub_path;

pub(crate) use host_path::open as open_host_path;
pub(crate) use mounts::{mount_tmpfs, unmount_below};
pub(crate) use prepare::prepare;
pub(crate) use propagation::check as check_propagation;
pub(crate) use sub_path::{Problem, open as open_sub_path, open_volume, place};
