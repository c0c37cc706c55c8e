//! What podwright does with each field that a Pod sets: nothing is ignored without a word.

mod list;
mod rule;
mod tables;
#[cfg(test)]
mod tests;

pub use list::{FieldRow, fields};
pub use rule::Support;

use crate::path::Path;
use k8s_openapi::api::core::v1::Pod;
use rule::{Rule, Table};
use serde_json::Value;
use std::fmt;

/// A field that is set, and what podwright does with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNote {
    /// Path of the field, such as `spec.containers[0].livenessProbe`.
    pub path: String,
    /// What podwright does with it.
    pub support: Support,
    /// Why it has no meaning here; else empty.
    pub note: String,
}

impl fmt::Display for FieldNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.support {
            Support::Honoured => write!(f, "{}: honoured", self.path),
            Support::NoMeaningHere => {
                write!(f, "{}: has no effect here: {}", self.path, self.note)
            }
            Support::NotSupported => write!(f, "{}: not supported yet", self.path),
        }
    }
}

/// The fields that a Pod sets, in the order of their names within each object.
///
/// Give it the pod as it was written: [`crate::defaults`] sets fields too.
pub fn support(pod: &Pod) -> Vec<FieldNote> {
    let mut notes = Vec::new();
    // A Pod always serializes; if it did not, there would be nothing to tell of.
    let value = serde_json::to_value(pod).unwrap_or_default();
    Walk.object(&value, &tables::POD, &Path::default(), &mut notes);
    notes
}

struct Walk;

impl Walk {
    fn object(&self, value: &Value, table: &Table, path: &Path, notes: &mut Vec<FieldNote>) {
        let Value::Object(fields) = value else {
            return;
        };
        for (name, value) in fields.iter().filter(|(_, v)| is_set(v)) {
            let path = path.child(name);
            // A test sees to it that every field has a rule; one without would be refused.
            let rule = table.rule(name).unwrap_or(Rule::NotYet);
            let (support, note) = match rule {
                Rule::Yes => (Support::Honoured, ""),
                Rule::Idle(why) => (Support::NoMeaningHere, why),
                Rule::NotYet => (Support::NotSupported, ""),
                Rule::Only(values) if Rule::is_among(value, values) => (Support::Honoured, ""),
                Rule::Only(_) => (Support::NotSupported, ""),
                Rule::Inside(table) => {
                    self.inside(value, table, &path, notes);
                    continue;
                }
            };
            notes.push(FieldNote {
                path: path.to_string(),
                support,
                note: note.to_owned(),
            });
        }
    }

    fn inside(&self, value: &Value, table: &Table, path: &Path, notes: &mut Vec<FieldNote>) {
        match value {
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.object(item, table, &path.index(i), notes);
                }
            }
            _ => self.object(value, table, path, notes),
        }
    }
}

/// An empty text or list says nothing; an empty object may (`livenessProbe: {}`).
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}
