//! YAML: composes parser events into nodes, with anchors, aliases and merge keys, and a bound on what aliases may expand to.

use super::node::{Entry, Map, Node, Value};
use super::scalar::{Meaning, Scalar};
use crate::problem::Problem;
use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::collections::HashMap;
use std::rc::Rc;

/// All that aliases may add to the documents of one text, in the weight of [`Node`].
const MAX_EXPANSION: usize = 4 << 20;

/// Levels that values may lie in each other, aliases followed. No Kubernetes type needs a tenth of it.
const MAX_DEPTH: usize = 200;

pub(super) fn parse(text: &str) -> Result<Vec<Rc<Node>>, Problem> {
    let options = granit_parser::options! { emit_comments: false };
    let mut composer = Composer {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        expanded: 0,
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = composer.next()? {
        match event {
            Event::StreamStart | Event::DocumentEnd => {}
            Event::DocumentStart(..) => composer.anchors.clear(),
            Event::StreamEnd => break,
            event => documents.push(composer.node(event, span)?),
        }
    }
    Ok(documents)
}

struct Composer<I> {
    events: I,
    anchors: HashMap<usize, Rc<Node>>,
    expanded: usize,
}

impl<'t, I> Composer<I>
where
    I: Iterator<Item = Result<(Event<'t>, Span), ScanError>>,
{
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Problem> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(e)) => Err(Problem {
                line: e.marker().line(),
                column: Some(e.marker().col() + 1),
                message: format!("not valid YAML: {}", e.info()),
            }),
        }
    }

    /// The node that this event begins.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Rc<Node>, Problem> {
        let line = span.start.line();
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.alias(anchor, line),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = match tag.as_deref().map(|t| core_tag(t, line)).transpose()? {
                    Some("str") => false,
                    Some("int" | "float" | "bool" | "null") => true,
                    Some(other) => {
                        return Err(Problem::new(
                            line,
                            format!("the tag !!{other} is not supported on a single value"),
                        ));
                    }
                    None => style == ScalarStyle::Plain,
                };
                let text = text.into_owned();
                (anchor, Value::Scalar(Scalar { text, plain }))
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "seq", line)?;
                (anchor, Value::List(self.list(line)?))
            }
            Event::MappingStart(_, anchor, tag) => {
                check_collection_tag(tag.as_deref(), "map", line)?;
                (anchor, Value::Map(self.map(line)?))
            }
            _ => return Err(Problem::new(line, "not valid YAML: a value was expected")),
        };
        let node = Rc::new(Node::new(line, value));
        if node.depth > MAX_DEPTH {
            return Err(Problem::new(
                line,
                format!("values lie deeper than {MAX_DEPTH} levels in each other: refused"),
            ));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        Ok(node)
    }

    /// The node that an alias stands for; its size counts each time.
    fn alias(&mut self, anchor: usize, line: usize) -> Result<Rc<Node>, Problem> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Problem::new(
                line,
                "not valid YAML: an alias stands inside the value that it names",
            ));
        };
        self.expanded = self.expanded.saturating_add(node.weight);
        if self.expanded > MAX_EXPANSION {
            return Err(Problem::new(
                line,
                "the aliases of this text expand to more than 4 MiB: refused",
            ));
        }
        Ok(Rc::clone(node))
    }

    fn list(&mut self, line: usize) -> Result<Vec<Rc<Node>>, Problem> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, span)?);
        }
        Err(Problem::new(line, "not valid YAML: the list has no end"))
    }

    fn map(&mut self, line: usize) -> Result<Map, Problem> {
        let mut map = Map::default();
        let mut merged: Vec<(usize, Rc<Node>)> = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                for (line, source) in &merged {
                    merge(&mut map, *line, source)?;
                }
                return Ok(map);
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.node(event, span)?;
            let Some((event, span)) = self.next()? else {
                break;
            };
            let value = self.node(event, span)?;
            if is_merge {
                merged.push((key.line, value));
                continue;
            }
            let Value::Scalar(scalar) = &key.value else {
                return Err(Problem::new(
                    key.line,
                    "a key must be a single word or text, not a list or a map",
                ));
            };
            if let Some(read_as) = key_read_as(scalar) {
                return Err(Problem::new(
                    key.line,
                    format!(
                        "the key {0} is {read_as} in YAML 1.1, which Kubernetes reads: quote it: \"{0}\"",
                        scalar.text
                    ),
                ));
            }
            map.push(Entry {
                key: scalar.text.clone(),
                line: key.line,
                value,
            });
        }
        Err(Problem::new(line, "not valid YAML: the map has no end"))
    }
}

/// What a bare key would turn into, where that is another text: `y` → `true`, `010` → `8`.
fn key_read_as(key: &Scalar) -> Option<String> {
    let read_as = match key.meaning() {
        Meaning::Bool(value) => value.to_string(),
        Meaning::Integer(value) => value.to_string(),
        Meaning::Null | Meaning::Number | Meaning::String => return None,
    };
    (read_as != key.text).then_some(read_as)
}

/// Adds the entries of `<<: source` that the map does not have itself.
fn merge(map: &mut Map, line: usize, source: &Node) -> Result<(), Problem> {
    match &source.value {
        Value::Map(other) => {
            other.entries.iter().for_each(|entry| map.merge(entry));
            Ok(())
        }
        Value::List(items) => items.iter().try_for_each(|item| match &item.value {
            Value::Map(_) => merge(map, line, item),
            _ => Err(merge_problem(line)),
        }),
        Value::Scalar(_) => Err(merge_problem(line)),
    }
}

fn merge_problem(line: usize) -> Problem {
    Problem::new(
        line,
        "the merge key << takes a map or a list of maps, usually by an alias",
    )
}

/// The name of a tag of the core schema (`!!str`); others are refused.
fn core_tag(tag: &Tag, line: usize) -> Result<&str, Problem> {
    tag.core_suffix()
        .ok_or_else(|| Problem::new(line, format!("the tag {} is not supported", tag.original())))
}

fn check_collection_tag(tag: Option<&Tag>, wanted: &str, line: usize) -> Result<(), Problem> {
    match tag.map(|t| core_tag(t, line)).transpose()? {
        Some(name) if name != wanted => Err(Problem::new(
            line,
            format!("the tag !!{name} does not fit here: !!{wanted} would"),
        )),
        _ => Ok(()),
    }
}
