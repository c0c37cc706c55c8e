//! The door: Kubernetes manifests → model.
//!
//! A pod comes in by these steps, each with all its problems at once:
//! 1. [`read_documents`]: text → wire types, strictly; problems carry their line;
//! 2. [`defaults`]: what an API server fills in;
//! 3. [`validate_pod`]: the API server's rules in its own words;
//! 4. [`support`]: what podwright does with each field that is set (give it the pod as written, before step 2);
//! 5. [`to_model`]: wire type → [`pod_model::pod::Pod`].
//!
//! The other kinds have the same steps as far as they need them: [`validate_config_map`], [`validate_secret`]; [`service_defaults`],
//! [`validate_service`], [`service_to_model`]; [`claim_defaults`], [`validate_claim`]. A changed object takes over what the server gave it
//! ([`keep_metadata`], [`keep_service`]) and has a validation of its own, such as [`validate_service_update`].
//!
//! The wire types are those of k8s-openapi, under [`wire`]; past this crate and pod-api nothing knows them.

mod claim;
mod convert;
mod decode;
mod defaults;
mod legacy;
mod objects;
mod path;
mod pod_level;
mod problem;
mod read;
mod service;
mod source;
mod suggest;
mod support;
mod token;
mod update;
pub mod validate;

pub use claim::claim_defaults;
pub use convert::{ConvertError, from_model, from_model_status, status_to_model, to_model};
pub use defaults::{GRACE_PERIOD_SECONDS, defaults};
pub use k8s_openapi::api::core::v1 as wire;
pub use legacy::{Compat, mirror};
pub use objects::{
    MAX_DATA_BYTES, config_map_data, secret_data, validate_config_map, validate_config_map_update,
    validate_secret, validate_secret_update,
};
pub use path::Path;
pub use problem::{Problem, Problems};
pub use read::{Document, Object, read_documents, read_documents_as};
pub use service::{service_defaults, service_to_model};
pub use support::{FieldNote, FieldRow, Support, fields, support};
pub use token::drop_cluster_token;
pub use update::{keep_metadata, keep_service};
pub use validate::{
    FieldError, Options, validate_asked, validate_claim, validate_claim_update, validate_pod,
    validate_service, validate_service_update,
};
