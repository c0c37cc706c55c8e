//! Kinds about validation.

use super::Check;

/// The kinds of this area.
pub const KINDS: &[(&str, Check)] = &[];
