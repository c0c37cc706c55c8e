//! Is a created container what its bundle asked for? Read back from /proc while it waits at the start barrier, and compared.
//!
//! A container that differs is killed before any of its code has run.

mod compare;
mod gather;
pub(crate) mod parse;

pub(crate) use compare::compare;
pub(crate) use gather::{Subject, gather};
