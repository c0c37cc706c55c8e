//! One task a pod: observe, plan, execute. Owns the traits that the outside is reached by.

pub mod host;
pub mod images;
pub mod network;
