//! podwright
fn main() {}
