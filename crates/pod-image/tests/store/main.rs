//! The store from outside, with images that the tests make themselves.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod forms;
mod keeping;
mod killed;
mod kit;
mod refusals;
mod tools;
mod unpack;
