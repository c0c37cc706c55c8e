//! Container logs: streams of bytes become entries, and entries a file that is rotated. Nothing is lost when this process is killed.
//!
//! ```text
//! pipe ──splice──▶ spool (a file that outlives us) ──entries──▶ log file
//!                                                      ▲
//!                              journal: what is about to be written, and where
//! ```
//!
//! The kernel moves bytes from the pipe to the spool in one step, so they are always in one of the two. Before entries are written the
//! journal says from which bytes of the spool they are made, at what time, and how long the log is; so a successor makes the very same
//! entries again and writes what is missing of them.

mod entries;
mod file;
mod journal;
mod spool;
mod stream;

pub(crate) use spool::{Read, read};
pub(crate) use stream::{Log, Scratch, Trouble, Which, forget};
