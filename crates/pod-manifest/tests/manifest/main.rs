//! Manifests, from text to model.

mod bad_input;
mod good_input;
mod rules;
