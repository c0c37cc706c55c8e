//! Supervisors: starting one, and talking to one.

mod client;
mod spawn;

pub(crate) use client::{Answer, AskError, Client, Notices};
pub(crate) use spawn::{LAST_WORDS, start};
