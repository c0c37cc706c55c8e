//! The words of podwright: identifiers, quantities, the validated Pod, what the runtime half is told to make of it, and what it reports back.
//!
//! This crate is pure: no I/O, clock, environment, thread or async. What a function needs is an argument of it.

pub mod asked;
pub mod cgroup;
pub mod cgroup_files;
pub mod cgroup_name;
pub mod common;
pub mod conditions;
pub mod config;
pub mod container_status;
pub mod cpu;
pub mod event;
pub mod ids;
pub mod image_name;
pub mod node;
pub mod oom;
pub mod origin;
pub mod phase;
pub mod pod;
pub mod pod_status;
pub mod qos;
pub mod quantity;
pub mod resources;
pub mod restart;
pub mod runtime;
pub mod service;
pub mod stats;
pub mod status;
pub mod volume;
