//! End-to-end cases, by topic. Run by `hack/test`; one at a time.

mod bad_input;
mod configs;
mod daemon;
mod first;
mod kernel;
mod lifecycle;
mod running;
mod runtime;
mod security;
mod volumes;
