//! pod-launch
fn main() {}
