//! pod-pause
fn main() {}
