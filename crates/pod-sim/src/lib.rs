//! Drives plan and driver under virtual time against a host in memory that fails, loses and kills as a seed says.
//!
//! [`life`] plays one pod's life from creation to removal; what must always hold is checked by the host itself at every verb
//! ([`host::SimHost`]) and at the end. A failure is one number: `pod-sim --seed N` plays it again and tells each verb.

pub mod clock;
pub mod host;
pub mod life;
pub mod outside;
pub mod rules;
pub mod script;
