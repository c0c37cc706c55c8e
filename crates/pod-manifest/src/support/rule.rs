//! What podwright does with one field.

use serde_json::Value;

/// What podwright does with a field that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Support {
    /// It does what the Kubernetes API reference says.
    Honoured,
    /// It speaks of a cluster; on one node it changes nothing.
    NoMeaningHere,
    /// This version cannot do it.
    NotSupported,
}

/// How a field is judged.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// Honoured, with all that is in it.
    Yes,
    /// Without meaning here, and why.
    Idle(&'static str),
    /// Not supported yet.
    NotYet,
    /// It depends on the fields in it.
    Inside(&'static Table),
    /// Honoured with these values only: words, or `true` or `false`.
    Only(&'static [&'static str]),
}

impl Rule {
    /// Whether the value is one of those.
    pub(super) fn is_among(value: &Value, values: &[&str]) -> bool {
        match value {
            Value::String(text) => values.contains(&text.as_str()),
            other => values.contains(&other.to_string().as_str()),
        }
    }
}

/// The rules of one Kubernetes type, by field name.
pub(super) struct Table {
    pub(super) rows: &'static [(&'static str, Rule)],
}

impl Table {
    pub(super) fn rule(&self, field: &str) -> Option<Rule> {
        let row = self.rows.iter().find(|(name, _)| *name == field);
        row.map(|(_, rule)| *rule)
    }
}
