//! The Kubernetes-shaped HTTP API on the node's local socket: its server, its client, and what it needs of the node behind it.

pub mod admission;
pub mod backend;
pub mod channel;
pub mod client;
pub mod error;
pub mod events;
pub mod fd;
pub mod feed;
pub mod log;
pub mod patch;
pub mod selector;
pub mod server;
pub mod socket;
pub mod wire;
pub mod yaml;
