//! Supervisors: starting one, and talking to one.

mod client;
mod keep;
mod spawn;

pub(crate) use client::{Answer, AskError, Client, Notices};
pub(crate) use keep::{Keep, called};
pub(crate) use spawn::{LAST_WORDS, start, succeed};
