//! End-to-end cases, by topic. Run by `hack/test`; one at a time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a case ends at the first thing that is not as it says"
)]

mod asking;
mod bad_input;
mod boots;
mod clock;
mod configs;
mod containers;
mod daemon;
mod faults;
mod first;
mod hostile;
mod insight;
mod kernel;
mod labels;
mod leak_check;
mod legacy;
mod lifecycle;
mod network;
mod running;
mod runtime;
mod second_chance;
mod security;
mod stats;
mod supervisor;
mod v2;
mod volumes;
mod walkthroughs;
