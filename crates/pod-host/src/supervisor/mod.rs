//! Supervisors: starting one, and talking to one.

mod client;
mod holder;
mod keep;
mod spawn;

pub(crate) use client::{Answer, AskError, Asker, Client, Notices};
pub(crate) use holder::end as end_holder;
pub(crate) use keep::{Keep, called};
pub(crate) use spawn::{LAST_WORDS, start, succeed};
