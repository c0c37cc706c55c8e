//! The path language of kubectl (`-o jsonpath=`, `custom-columns=`, `--sort-by`, `wait --for=jsonpath=`): text with paths in braces.
//! It is older than RFC 9535 and differs from it: templates, `range`, `\.` in names, no `$` needed, and what is not there is nothing.

mod parse;
#[cfg(test)]
mod tests;

use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// Why a path or template cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPath {
    /// What is wrong.
    pub why: String,
    /// What was left to read there.
    pub rest: String,
}

impl fmt::Display for BadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rest.is_empty() {
            write!(f, "{} at the end", self.why)
        } else {
            write!(f, "{} at {:?}", self.why, self.rest)
        }
    }
}

impl std::error::Error for BadPath {}

/// Text with paths in braces: `{range .items[*]}{.metadata.name}{"\n"}{end}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Path(Path),
    Range(Path, Vec<Piece>),
}

/// A way from a value to others: `.status.containerStatuses[0].ready`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// From the outermost value (`$`), not from the one at hand (`@`, or nothing).
    from_root: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    Slice {
        from: Option<i64>,
        to: Option<i64>,
        by: usize,
    },
    Any(Vec<Step>),
    All,
    /// The value and all below it.
    Deep,
    Filter(Box<Filter>),
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Path,
    right: Option<(Compare, Operand)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Literal(Value),
    Path(Path),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// An unclosed brace, bracket or `range`, an unknown word.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        parse::template(text).map(Self)
    }

    /// The text for that value. Several results of one path stand one space apart.
    pub fn text(&self, value: &Value) -> String {
        let mut out = String::new();
        write(&self.0, value, value, &mut out);
        out
    }
}

impl Path {
    /// Reads one path, in braces or not, with a first dot or not: `{.metadata.name}`, `.metadata.name`, `metadata.name`.
    ///
    /// # Errors
    /// What is no path.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        parse::alone(text)
    }

    /// Everything that it leads to.
    pub fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        self.walk(value, value)
    }

    fn walk<'a>(&self, root: &'a Value, at: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![if self.from_root { root } else { at }];
        for step in &self.steps {
            let mut next = Vec::new();
            for value in found {
                step.take(root, value, &mut next);
            }
            found = next;
        }
        found
    }
}

impl Step {
    fn take<'a>(&self, root: &'a Value, value: &'a Value, out: &mut Vec<&'a Value>) {
        match self {
            Step::Field(name) => out.extend(value.get(name)),
            Step::Index(n) => {
                let all = value.as_array().map_or(&[][..], Vec::as_slice);
                out.extend(place(*n, all.len()).and_then(|n| all.get(n)));
            }
            Step::Slice { from, to, by } => {
                let all = value.as_array().map_or(&[][..], Vec::as_slice);
                let from = from.map_or(0, |n| bound(n, all.len()));
                let to = to.map_or(all.len(), |n| bound(n, all.len()));
                let part = all.get(from..to).unwrap_or_default();
                out.extend(part.iter().step_by(*by));
            }
            Step::Any(steps) => steps.iter().for_each(|s| s.take(root, value, out)),
            Step::All => out.extend(children(value)),
            Step::Deep => deep(value, out),
            Step::Filter(filter) => {
                let kept = children(value).filter(|child| filter.keeps(root, child));
                out.extend(kept);
            }
        }
    }
}

impl Filter {
    fn keeps(&self, root: &Value, at: &Value) -> bool {
        let left = self.left.walk(root, at);
        let Some((compare, right)) = &self.right else {
            return !left.is_empty();
        };
        let Some(left) = left.first() else {
            return false;
        };
        let right = match right {
            Operand::Literal(value) => Some(value),
            Operand::Path(path) => path.walk(root, at).first().copied(),
        };
        right.is_some_and(|right| compare.holds(left, right))
    }
}

impl Compare {
    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = order(left, right);
        match self {
            Compare::Equal => order == Some(Ordering::Equal),
            Compare::NotEqual => order != Some(Ordering::Equal),
            Compare::Less => order == Some(Ordering::Less),
            Compare::LessOrEqual => order.is_some_and(Ordering::is_le),
            Compare::Greater => order == Some(Ordering::Greater),
            Compare::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

/// The order of two values of one type; none of values that have no order.
pub fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    }
}

/// A value as text: strings as they are, everything else as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn write(pieces: &[Piece], root: &Value, at: &Value, out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Path(path) => {
                let found: Vec<String> = path.walk(root, at).into_iter().map(plain).collect();
                out.push_str(&found.join(" "));
            }
            Piece::Range(path, inner) => {
                for value in path.walk(root, at) {
                    write(inner, root, value, out);
                }
            }
        }
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(all) => Box::new(all.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn deep<'a>(value: &'a Value, out: &mut Vec<&'a Value>) {
    out.push(value);
    for child in children(value) {
        deep(child, out);
    }
}

/// The place that a number means, counted from the end where it is negative.
fn place(n: i64, len: usize) -> Option<usize> {
    match usize::try_from(n) {
        Ok(n) => Some(n),
        Err(_) => len.checked_sub(usize::try_from(n.unsigned_abs()).ok()?),
    }
}

fn bound(n: i64, len: usize) -> usize {
    place(n, len).unwrap_or(0).min(len)
}
