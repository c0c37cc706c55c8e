//! The runtime half on a real node.
mod cgroup;
mod failure;
mod node;
mod paths;
mod volumes;
