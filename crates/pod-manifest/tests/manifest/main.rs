//! Manifests, from text to model.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod bad_input;
mod good_input;
mod legacy;
mod other_kinds;
mod rules;
