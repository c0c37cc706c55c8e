//! JSON: a walk over text that serde_json has already accepted, to learn the line of each value.

use super::node::{Entry, Map, Node, Value};
use super::scalar::Scalar;
use serde::de::IgnoredAny;
use std::rc::Rc;

/// Levels that values may lie in each other; deeper text is left to the YAML parser, which refuses it.
const MAX_DEPTH: usize = 200;

/// The values of a text that is JSON from beginning to end (one value, or several after each other); `None` if it is not.
pub(super) fn parse(text: &str) -> Option<Vec<Rc<Node>>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    values(text)
}

/// The same for values of any kind, not only objects.
pub(super) fn values(text: &str) -> Option<Vec<Rc<Node>>> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let count = values
        .collect::<Result<Vec<_>, _>>()
        .map(|v| v.len())
        .ok()?;
    let mut walk = Walk {
        text,
        position: 0,
        line: 1,
        depth: 0,
    };
    (0..count).map(|_| walk.value()).collect()
}

struct Walk<'t> {
    text: &'t str,
    position: usize,
    line: usize,
    depth: usize,
}

impl<'t> Walk<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// Skips white space and the given punctuation.
    fn skip(&mut self, punctuation: &[u8]) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                other if punctuation.contains(&other) => {}
                _ => return,
            }
            self.position += 1;
        }
    }

    /// Takes bytes as long as they are wanted.
    fn take(&mut self, mut wanted: impl FnMut(u8) -> bool) -> Option<&'t str> {
        let start = self.position;
        while self.peek().is_some_and(&mut wanted) {
            self.position += 1;
        }
        self.text.get(start..self.position)
    }

    fn value(&mut self) -> Option<Rc<Node>> {
        self.skip(b"");
        let line = self.line;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = match self.peek()? {
            b'{' => Value::Map(self.map()?),
            b'[' => Value::List(self.list()?),
            b'"' => Value::Scalar(Scalar {
                text: self.string()?,
                plain: false,
            }),
            _ => Value::Scalar(Scalar {
                text: self
                    .take(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))?
                    .to_owned(),
                plain: true,
            }),
        };
        self.depth -= 1;
        Some(Rc::new(Node::new(line, value)))
    }

    fn map(&mut self) -> Option<Map> {
        let mut map = Map::default();
        self.position += 1;
        loop {
            self.skip(b",");
            if self.peek()? == b'}' {
                self.position += 1;
                return Some(map);
            }
            let line = self.line;
            let key = self.string()?;
            self.skip(b":");
            let value = self.value()?;
            map.push(Entry { key, line, value });
        }
    }

    fn list(&mut self) -> Option<Vec<Rc<Node>>> {
        let mut items = Vec::new();
        self.position += 1;
        loop {
            self.skip(b",");
            if self.peek()? == b']' {
                self.position += 1;
                return Some(items);
            }
            items.push(self.value()?);
        }
    }

    /// A string with its quotes; serde_json takes the escapes away.
    fn string(&mut self) -> Option<String> {
        let start = self.position;
        self.position += 1;
        let mut escaped = false;
        self.take(|b| {
            let go_on = escaped || b != b'"';
            escaped = !escaped && b == b'\\';
            go_on
        })?;
        self.position += 1;
        serde_json::from_str(self.text.get(start..self.position)?).ok()
    }
}
