//! Messages between the node daemon and a sandbox's supervisor, and between a supervisor and its launchers. Types only.
//!
//! Framing on every socket: a length (u32, little endian, at most [`MAX_FRAME`]) and that many bytes of JSON. Descriptors travel as
//! SCM_RIGHTS with the first byte of the frame that speaks of them.
//!
//! ```text
//! node ──Request{id}──▶ supervisor ──LaunchRequest──▶ launcher (one an operation)
//!      ◀──Reply{id}────            ◀──LaunchReply + pidfd──
//!      ◀──Event────────
//! ```

pub mod launch;
pub mod supervisor;
pub mod verify;

/// Version of the protocol; a peer takes this one and the one before.
///
/// 2: descriptors that come with an answer are named in it; [`supervisor::RequestBody::Hold`], [`supervisor::Event::Log`],
/// [`supervisor::Event::Made`].
pub const VERSION: u32 = 2;

/// Exit status of a supervisor that could not look at what it was to adopt, and has touched nothing of it: another one may (EX_TEMPFAIL).
pub const NOT_NOW: i32 = 75;

/// Longest frame in bytes; what is larger travels as a memfd.
pub const MAX_FRAME: usize = 16 << 20;
