//! Container logs in the format that the kubelet reads: `<time> <stream> <P|F> <text>`, rotated by size.

mod file;
mod split;

pub(crate) use file::LogFile;
pub(crate) use split::{Splitter, Tag};
