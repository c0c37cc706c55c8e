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
    /// It depends on its value: supported or not.
    If(fn(&Value) -> bool),
    /// The port of the node, which host network makes equal to the container's.
    HostPort,
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
