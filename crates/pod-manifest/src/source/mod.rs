//! The text of a manifest as a tree of nodes that know their lines: YAML by an event parser, JSON by a walk over text that serde_json took.

mod json;
mod node;
mod scalar;
mod yaml;

pub(crate) use node::{Entry, Map, Node, Value};
pub(crate) use scalar::{Meaning, Scalar};

use crate::problem::Problem;
use std::rc::Rc;

/// One JSON value of any kind; `None` if the text is none.
pub(crate) fn json_value(text: &str) -> Option<Rc<Node>> {
    let mut values = json::values(text)?;
    values.pop().filter(|_| values.is_empty())
}

/// Texts longer than this are refused (an API server takes requests of 3 MiB at most).
const MAX_TEXT: usize = 16 << 20;

/// Reads all documents of a text. Documents without content are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Rc<Node>>, Problem> {
    if text.len() > MAX_TEXT {
        return Err(Problem::new(
            1,
            format!(
                "the text has {} bytes; at most {MAX_TEXT} are read",
                text.len()
            ),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = match json::parse(text) {
        Some(documents) => documents,
        None => yaml::parse(text)?,
    };
    Ok(documents.into_iter().filter(|d| !d.is_null()).collect())
}
