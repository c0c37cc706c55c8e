//! What a pod needs next: a pure decision from (pod, observed facts, time) to steps, and the rules it stands on.

mod draft;
mod ending;
mod housekeeping;
mod init_actions;
mod sight;
mod starts;

pub mod actions;
pub mod back_off;
pub mod configs;
pub mod events;
pub mod failure;
pub mod memory;
pub mod observed;
pub mod plan;
pub mod step;
pub mod termination;
