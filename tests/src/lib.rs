//! What every end-to-end case stands on: a node of its own, and the leak check that ends it.
//!
//! A [`Node`] has its own root, run and log folders, its own cgroup prefix, and talks to the real `podwright` binary. [`Node::finish`]
//! ends a case with the leak check. [`apart()`] runs a case in namespaces of its own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a case ends at the first thing that is not as it says"
)]

pub mod apart;
pub mod guest;
pub mod hostile_image;
pub mod lan;
pub mod leak;
pub mod node;
pub mod patience;
pub mod soak;

pub use apart::{apart, apart_with};
pub use node::{Node, Outcome};
pub use patience::patient;
