//! What both ends of an exec session agree on: `v5.channel.k8s.io`.

use serde::{Deserialize, Serialize};

/// Bytes for the process's standard input.
pub const STDIN: u8 = 0;
/// Its standard output.
pub const STDOUT: u8 = 1;
/// Its standard error.
pub const STDERR: u8 = 2;
/// At the end: how it ended, as `v1.Status`.
pub const ERROR: u8 = 3;
/// Size of the terminal.
pub const RESIZE: u8 = 4;
/// The channel named by the next byte is at its end (v5 only).
pub const CLOSE: u8 = 255;

/// Subprotocols, the preferred one first.
pub const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// `reason` of a process that failed by itself.
pub const NON_ZERO_EXIT_CODE: &str = "NonZeroExitCode";
/// `reason` of the cause that holds the exit code.
pub const EXIT_CODE: &str = "ExitCode";

/// Message of the channel [`RESIZE`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Channel and data of a message; `None` for an empty one.
pub fn split(message: &[u8]) -> Option<(u8, &[u8])> {
    message
        .split_first()
        .map(|(channel, data)| (*channel, data))
}

/// A message for that channel.
pub fn message(channel: u8, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(data.len() + 1);
    message.push(channel);
    message.extend_from_slice(data);
    message
}
