//! pod-supervisor
fn main() {}
