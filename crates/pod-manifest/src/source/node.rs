//! The tree that a text is read into.

use super::scalar::Scalar;
use std::collections::HashMap;
use std::rc::Rc;

/// A value with the line it stands on.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
    /// Size of the whole tree below, aliases counted each time: keeps expansion bounded.
    pub(super) weight: usize,
    /// Levels below and including this one, aliases followed: keeps recursion bounded.
    pub(super) depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Map),
}

/// A map in the order of the text.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    /// Keys that stand there more than once: key, line, line of the first.
    pub(crate) repeated: Vec<(String, usize, usize)>,
    /// Line of each key.
    lines: HashMap<String, usize>,
}

/// One key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) value: Rc<Node>,
}

impl Node {
    pub(super) fn new(line: usize, value: Value) -> Self {
        let (below, depth) = match &value {
            Value::Scalar(scalar) => (scalar.text.len(), 0),
            Value::List(items) => sum(items.iter().map(|i| (0, i.as_ref()))),
            Value::Map(map) => sum(map.entries.iter().map(|e| (e.key.len(), e.value.as_ref()))),
        };
        Self {
            line,
            value,
            weight: below.saturating_add(16),
            depth: depth + 1,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(s) if s.is_null())
    }

    /// The value of a key, where this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(map) => map
                .entries
                .iter()
                .find(|e| e.key == key)
                .map(|e| e.value.as_ref()),
            _ => None,
        }
    }

    /// The node below these keys, one after the other.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text, where this is a scalar that reads as a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(s) if s.is_string() => Some(&s.text),
            _ => None,
        }
    }
}

/// Weight and depth of children, each with the weight of its key.
fn sum<'a>(children: impl Iterator<Item = (usize, &'a Node)>) -> (usize, usize) {
    children.fold((0, 0), |(weight, depth), (key, child)| {
        let weight = weight.saturating_add(key).saturating_add(child.weight);
        (weight, depth.max(child.depth))
    })
}

impl Map {
    /// Adds an entry, or notes that its key was there already.
    pub(super) fn push(&mut self, entry: Entry) {
        match self.lines.get(&entry.key) {
            Some(first) => self.repeated.push((entry.key, entry.line, *first)),
            None => {
                self.lines.insert(entry.key.clone(), entry.line);
                self.entries.push(entry);
            }
        }
    }

    /// Adds an entry of another map unless its key is there already.
    pub(super) fn merge(&mut self, entry: &Entry) {
        if !self.lines.contains_key(&entry.key) {
            self.push(entry.clone());
        }
    }
}
