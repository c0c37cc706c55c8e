//! From a container's config to its OCI runtime spec. Pure: no file is read or written, nothing is asked of the node.
//!
//! [`spec`] and [`pause_spec`] give the spec and, beside it, [`Facts`]: what the launcher must prepare, what the verification must find,
//! and what the node could not give. Where libcontainer 0.7.0 differs from the specification, the spec is written for libcontainer, and the
//! place says so.

mod apparmor;
mod capability;
mod container;
mod devices;
mod facts;
mod mounts;
mod namespaces;
mod process;
mod resources;
mod sandbox;
mod seccomp;
#[rustfmt::skip]
mod seccomp_table;
#[cfg(test)]
mod testing;
mod user;

pub use apparmor::{DEFAULT_PROFILE, default_profile};
pub use container::spec;
pub use facts::{
    AppArmorSupport, CgroupLayout, ContainerPaths, Expected, Facts, Hierarchy, HostDevice, Machine,
    NamespaceOf, NodeFacts, OciError, ResolvedMount, SandboxPaths,
};
pub use resources::page_size_name;
pub use sandbox::{PAUSE_PROGRAM, pause_spec};
pub use user::verify_non_root;

#[cfg(test)]
mod tests;
