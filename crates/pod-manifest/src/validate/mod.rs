//! Validation with the rules, order and texts of the Kubernetes API server 1.36 (`pkg/apis/core/validation/validation.go`).
//!
//! One module an area. Where upstream reports an error at an odd path, it is reported there too, and a comment says so.

mod asked;
pub mod claim;
mod claim_template;
pub mod containers;
pub mod env;
mod error;
mod files;
pub(crate) mod metadata;
pub mod mounts;
pub(crate) mod names;
pub mod network;
mod options;
mod other_volumes;
mod paths;
pub mod pod;
pub mod pod_resources;
pub mod ports;
pub mod probes;
mod profiles;
mod projections;
pub mod resize;
pub mod resources;
mod scheduling;
pub mod security;
mod selectors;
pub mod service;
mod signers;
mod source;
pub mod status;
pub mod system;
mod text;
pub mod transition;
pub mod update;
mod visit;
pub mod volumes;
mod windows;

pub use asked::validate_asked;
pub use claim::{validate_claim, validate_claim_update};
pub use error::{BadValue, Errors, FieldError, Kind};
pub use options::Options;
pub use pod::validate_pod;
pub use service::{validate_service, validate_service_update};
