//! Kinds about phase, conditions and container statuses.

use super::Check;

/// The kinds of this area.
pub const KINDS: &[(&str, Check)] = &[];
