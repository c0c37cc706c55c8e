//! Container logs: lines as a kubelet writes them, their rotated files, and reading them from any point on while they grow.

mod files;
mod line;
mod options;
mod reader;
#[cfg(test)]
mod tests;
mod watch;

pub use files::attempts;
pub use options::{LogOptions, Stream};
pub use reader::{LogReader, LogSource};
