//! Kinds about quantities, effective resources, QoS, cgroup values and names.

use super::Check;

/// The kinds of this area.
pub const KINDS: &[(&str, Check)] = &[];
