//! Kinds about env, DNS, hosts file, hostname and security rules.

use super::Check;

/// The kinds of this area.
pub const KINDS: &[(&str, Check)] = &[];
