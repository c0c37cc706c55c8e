//! One task a pod: observe, plan, execute. Owns the traits that the outside is reached by.
//!
//! The task chooses nothing: [`pod_plan`] decides, the task does. What it reaches the outside by is a [`world::World`].

pub mod act;
pub mod actions;
mod clock;
mod execute;
mod hooks;
pub mod host;
pub mod images;
pub mod network;
mod prober;
pub mod queue;
pub mod task;
pub mod world;
