//! The classic walkthroughs of init containers, as people type them, view by view. Their manifests stand in `examples/`.

mod before;
mod credentials;
mod database;
mod myapp;
mod small;
