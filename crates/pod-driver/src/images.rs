//! What the driver needs of the image store.

use pod_model::config::ImageFacts;
use pod_model::ids::ImageName;
use pod_model::pod::PullPolicy;
use std::future::Future;
use std::sync::Arc;

/// A name that was resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The unpacked image.
    pub facts: Arc<ImageFacts>,
    /// Whether it was there already.
    pub already_present: bool,
    /// Bytes of its blobs.
    pub size: u64,
}

/// Why an image cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The name is not a reference (waiting reason `InvalidImageName`).
    #[error("couldn't parse image name {name:?}: {cause}")]
    InvalidName {
        /// As it was written.
        name: String,
        /// What is wrong.
        cause: String,
    },
    /// Policy Never, and it is not there (`ErrImageNeverPull`).
    #[error("Container image {name:?} is not present with pull policy of Never")]
    NeverPull {
        /// As it was written.
        name: String,
    },
    /// It is not there and cannot be fetched (`ErrImagePull`).
    #[error("{cause}")]
    Pull {
        /// Why, and what to do about it.
        cause: String,
    },
}

/// The image store, as the driver uses it.
pub trait Images: Send + Sync + 'static {
    /// What that name stands for, fetched if policy asks and it can be.
    fn ensure(
        &self,
        name: &ImageName,
        policy: PullPolicy,
    ) -> impl Future<Output = Result<Resolved, ImageError>> + Send;
}
