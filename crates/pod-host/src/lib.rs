//! The runtime half on a real node: implements the driver's [`Host`](pod_driver::host::Host).
//!
//! ```text
//! host ─▶ verbs ─▶ node_state ─▶ state ─▶ supervisor (client)
//!           │          └──▶ exit, records
//!           └──▶ bundle (pod-oci), cgroup, volumes          intents, steps, paths, options, failure: below all
//! ```
//!
//! Nothing here decides: the driver says what to do, and is told what happened. What a daemon must find again stands in the run folder.

mod apparmor;
mod bundle;
mod cgroup;
mod exit;
mod failure;
mod host;
mod inspect;
mod intents;
mod networks;
mod node;
mod node_state;
mod options;
mod paths;
mod pause_root;
mod quarantine;
mod records;
mod signal;
mod state;
mod steps;
mod supervisor;
mod verbs;
mod volumes;

pub use host::{NodeHost, Opened};
pub use inspect::{HelperProcess, remove_empty_cgroups};
pub use networks::SandboxNetwork;
pub use options::{HostOptions, LogLimits, Programs};
pub use quarantine::{QUARANTINE, set_aside};
pub use records::{sealed, unsealed};
pub use steps::{Fault, Steps};
pub use verbs::debug::{Left, LookInto};
