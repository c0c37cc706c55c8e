//! The launcher as a program, on this node: real containers of busybox, each test in namespaces of its own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod create;
mod errors;
mod escapes;
mod exec;
mod hostile;
mod races;
mod rig;
mod speed;
