//! The verbs, one file a thing. Each leaves either its effect or nothing that asking again, or the matching removal, would not take care of.

pub(crate) mod container;
pub(crate) mod damage;
pub(crate) mod debug;
pub(crate) mod exec;
pub(crate) mod mounts;
pub(crate) mod pod;
pub(crate) mod recover;
pub(crate) mod resize;
pub(crate) mod sandbox;
pub(crate) mod settle;
pub(crate) mod successor;
