//! From a Pod to what the runtime half is told: sandbox, containers, volumes, each rule in a file of its own. Nothing here knows plans.

pub mod container;
pub mod dns;
pub mod env;
pub mod expansion;
pub mod fields;
pub mod hostname;
pub mod hosts;
pub mod mounts;
mod names;
pub mod resource_field;
pub mod sandbox;
pub mod security;
pub mod service_env;
pub mod sources;
pub mod subpath;
pub mod sysctls;
#[cfg(test)]
mod testing;
pub mod volumes;
