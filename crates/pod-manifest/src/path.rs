//! The path of a field, written as Kubernetes writes it: `spec.containers[0].env[1].name`, `metadata.labels[app]`.

use std::fmt;

/// Path of a field. The empty path is the object itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// A path that begins with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The object itself where upstream names no field of it: it is printed so.
    pub(crate) fn nameless() -> Self {
        Self("[]".to_owned())
    }

    /// The field of that name below this one.
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            Self(name.to_owned())
        } else {
            Self(format!("{}.{name}", self.0))
        }
    }

    /// The element of that index of this list.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The value of that key of this map.
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
