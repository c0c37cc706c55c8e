//! All fields of a Pod at once, for the table in docs/kubernetes.md.

use super::rule::{Rule, Support, Table};
use super::tables;

/// One field of a Pod, whatever its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRow {
    /// Path of the field; `[]` stands for each element of a list: `spec.containers[].env[].name`.
    pub path: String,
    /// What podwright does with it. A field that is honoured with some values only counts as honoured.
    pub support: Support,
    /// Why it has no meaning here, or with which values it is honoured; else empty.
    pub note: String,
}

/// Fields whose values are lists of objects.
const LISTS: &[&str] = &[
    "containers",
    "env",
    "ephemeralContainers",
    "initContainers",
    "ports",
    "sources",
    "volumeMounts",
    "volumes",
];

/// Every field that [`super::support`] knows, in the order of their names within each object; fields that are honoured or not as a whole
/// are one row.
pub fn fields() -> Vec<FieldRow> {
    let mut rows = Vec::new();
    walk(&tables::POD, "", &mut rows);
    rows
}

fn walk(table: &Table, prefix: &str, rows: &mut Vec<FieldRow>) {
    for (name, rule) in table.rows {
        let path = format!("{prefix}{name}");
        let (support, note) = match rule {
            Rule::Inside(table) => {
                let list = if LISTS.contains(name) { "[]." } else { "." };
                walk(table, &format!("{path}{list}"), rows);
                continue;
            }
            Rule::Yes => (Support::Honoured, String::new()),
            Rule::Idle(why) => (Support::NoMeaningHere, (*why).to_owned()),
            Rule::NotYet => (Support::NotSupported, String::new()),
            Rule::Only(values) => {
                let values = values.iter().map(|v| format!("`{v:?}`"));
                let values: Vec<String> = values.map(|v| v.replace('"', "")).collect();
                (Support::Honoured, format!("only {}", values.join(", ")))
            }
        };
        rows.push(FieldRow {
            path,
            support,
            note,
        });
    }
}
