//! The words of podwright: identifiers, quantities, the validated Pod, what the runtime half is told to make of it, and what it reports back.
//!
//! This crate is pure: no I/O, clock, environment, thread or async. What a function needs is an argument of it.

pub mod common;
pub mod config;
pub mod container_status;
pub mod event;
pub mod ids;
pub mod pod;
pub mod quantity;
pub mod runtime;
pub mod status;
pub mod volume;
