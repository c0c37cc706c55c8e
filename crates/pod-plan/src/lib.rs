//! What a pod needs next: a pure decision from (pod, observed facts, time) to steps, and the rules it stands on.

pub mod action;
pub mod actions;
pub mod back_off;
pub mod clock;
pub mod configs;
mod draft;
mod ending;
pub mod endpoints;
pub mod events;
pub mod failure;
mod housekeeping;
mod init_actions;
pub mod memory;
pub mod observed;
pub mod plan;
pub mod probes;
pub mod resize;
pub mod retry;
mod sight;
pub mod sizes;
mod starts;
pub mod step;
pub mod termination;
#[cfg(test)]
mod testing;
pub mod timeouts;
mod whole;
