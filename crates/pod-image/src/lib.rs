//! The image store: references, import, unpacked layers, and what a container needs to know of an image.
//!
//! # Use
//! [`Store::open`] gives one object for one folder; share it between threads. Its methods block.
//!
//! | verb | method |
//! |---|---|
//! | `image import PATH[:TAG]` | [`Store::import_path`] |
//! | `image import -` | [`Store::import_stream`] |
//! | `image ls` | [`Store::list`] |
//! | `image rm NAME|ID` | [`Store::remove`] |
//! | a container start | [`Store::facts`] |
//!
//! # What it promises
//! - Names are Docker's: `busybox`, `busybox:latest` and `docker.io/library/busybox` are one ([`Reference`]). Imported names stay until they
//!   are removed or given to another image. An image that lost its name stays, for its layers may be in use, until it is removed by id
//!   or by [`Store::prune`].
//! - `images/` is an OCI image layout that skopeo and umoci read. Every blob in it was checked against digest and size before it got its name.
//! - `layers/<chain id>/` holds each layer unpacked once, in the form that overlayfs takes. A layer gets its name when it is whole and on disk.
//! - Whoever changes the store holds a lock on a file, so a command and a daemon do not collide. Reading takes no lock.
//! - An image cannot reach out of its layer's folder, fill memory, or take more than [`Limits`] allow. It can still hold setuid files and
//!   device nodes: hence the folders are 0700.
//!
//! Unpacking needs root: owners, devices and `trusted.` attributes.
//!
//! # Deliberately absent
//! No registry client. No snapshots: the launcher mounts overlayfs over [`pod_model::config::ImageFacts::layers`].

mod choose;
mod digest;
mod dirs;
mod disk;
mod facts;
mod failure;
mod images;
mod import;
mod index;
mod layer;
mod limits;
mod manifest;
mod merged;
mod progress;
mod reference;
mod remove;
mod source;
mod store;
mod tape;
mod unpack;
mod weakened;

pub use choose::ChooseError;
pub use digest::{Digest, DigestError};
pub use failure::StoreError;
pub use images::Freed;
pub use import::{ImportError, ImportOptions, Imported};
pub use layer::LayerError;
pub use limits::Limits;
pub use progress::{OnProgress, Phase, Progress};
pub use reference::{Reference, ReferenceError};
pub use remove::{RemoveError, Removed};
pub use source::SourceError;
pub use store::{FactsError, Found, Listed, Store};
pub use tape::TapeError;
pub use unpack::UnpackError;
