//! The one crate with unsafe code: kernel interfaces that no crate wraps safely, behind signatures that speak
//! [`OwnedFd`](std::os::fd::OwnedFd) and [`BorrowedFd`](std::os::fd::BorrowedFd).
//!
//! Each `unsafe` block names the invariant that it relies on. Nothing here decides anything.

#![allow(unsafe_code)]

pub mod bpf;
pub mod child;
pub mod frame;
pub mod link;
pub mod memfd;
pub mod mount;
pub mod namespace;
pub mod pidfd;
pub mod process;
pub mod socket;
pub mod tty;
pub mod weakened;
