//! Kinds about what to do next, restarts and back-off.

use super::Check;

/// The kinds of this area.
pub const KINDS: &[(&str, Check)] = &[];
