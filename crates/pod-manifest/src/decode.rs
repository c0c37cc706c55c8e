//! Strict reading of a node into a Kubernetes type, with every problem noted and not only the first.
//!
//! The types of k8s-openapi read leniently: they skip fields that they do not know. But each of them tells the deserializer the names of
//! its fields (`deserialize_struct(name, FIELDS, …)`), so the deserializer here can compare. Where a value does not fit, it notes the
//! problem and goes on with an empty value of the type; what comes out is used only if nothing was noted.

use crate::path::Path;
use crate::problem::Problem;
use crate::source::{Entry, Map, Meaning, Node, Scalar, Value};
use crate::suggest;
use k8s_openapi::ByteString;
use pod_model::quantity::Quantity;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use std::cell::{Cell, RefCell};
use std::fmt;

/// Reads a node as `T`; `Err` holds all problems.
pub(crate) fn decode<'n, T: Deserialize<'n>>(node: &'n Node) -> Result<T, Vec<Problem>> {
    let context = Context::default();
    let cursor = Cursor {
        node,
        path: Path::default(),
        form: Form::Plain,
        context: &context,
    };
    let result = T::deserialize(cursor);
    let mut problems = context.problems.into_inner();
    match result {
        Ok(value) if problems.is_empty() => Ok(value),
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(Problem::new(context.line.get(), error.0));
            Err(problems)
        }
    }
}

/// The names that a type lists for itself, by reading nothing into it.
#[cfg(test)]
pub(crate) fn field_names<T: for<'a> Deserialize<'a>>() -> &'static [&'static str] {
    let names = Cell::new(&[] as &[&str]);
    // The probe always answers with an error; only the names that it was asked for matter.
    let _refused = T::deserialize(Probe { names: &names }).map(drop);
    names.get()
}

#[derive(Default)]
struct Context {
    problems: RefCell<Vec<Problem>>,
    /// Line of the value read last, for errors that come without a place.
    line: Cell<usize>,
}

/// How the text of a scalar is to be understood.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    Quantity,
    Time,
    Base64,
    /// Any value at all (`managedFields`).
    Free,
}

struct Cursor<'n, 'c> {
    node: &'n Node,
    path: Path,
    form: Form,
    context: &'c Context,
}

impl<'n> Cursor<'n, '_> {
    fn note(&self, line: usize, message: String) {
        self.context
            .problems
            .borrow_mut()
            .push(Problem::new(line, message));
    }

    /// Notes that something else stands here than is wanted.
    fn mismatch(&self, wanted: &str, hint: Option<String>) {
        let found = describe(self.node);
        let hint = hint.map(|h| format!(" ({h})")).unwrap_or_default();
        let path = if self.path.as_str().is_empty() {
            "the document"
        } else {
            self.path.as_str()
        };
        self.note(
            self.node.line,
            format!("{path}: expected {wanted}, found {found}{hint}"),
        );
    }

    fn scalar(&self) -> Option<&'n Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn integer(&self, bits: u32) -> i64 {
        let meaning = self.scalar().map(Scalar::meaning);
        let fits = |n: i64| bits >= 64 || i32::try_from(n).is_ok();
        match meaning {
            Some(Meaning::Null) => return 0,
            Some(Meaning::Integer(n)) if fits(n) => return n,
            Some(Meaning::Number) if self.whole_number().is_some_and(fits) => {
                return self.whole_number().unwrap_or_default();
            }
            Some(Meaning::Integer(_)) => {
                self.mismatch(&format!("an integer of {bits} bits"), None);
            }
            _ => {
                let text = self.scalar().map(|s| s.text.as_str()).unwrap_or_default();
                let quoted =
                    self.scalar().is_some_and(|s| !s.plain) && text.parse::<i64>().is_ok_and(fits);
                self.mismatch(
                    "an integer",
                    quoted.then(|| format!("write it without quotes: {text}")),
                );
            }
        }
        0
    }

    /// A number with a point or exponent that is whole all the same (`1e3`), as Kubernetes takes it.
    fn whole_number(&self) -> Option<i64> {
        /// Up to here a double holds every whole number.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let number: f64 = self.scalar()?.text.parse().ok()?;
        let whole = number.fract() == 0.0 && number.abs() <= EXACT;
        whole.then(|| format!("{number:.0}").parse().ok())?
    }

    fn boolean(&self) -> bool {
        match self.scalar().map(Scalar::meaning) {
            Some(Meaning::Bool(b)) => b,
            Some(Meaning::Null) => false,
            _ => {
                let text = self.scalar().map(|s| s.text.as_str()).unwrap_or_default();
                let hint = matches!(text, "true" | "false")
                    .then(|| format!("write it without quotes: {text}"));
                self.mismatch("true or false", hint);
                false
            }
        }
    }

    /// The text of the scalar, checked for its form; an empty or neutral one where it does not fit.
    fn string(&self) -> &'n str {
        let Some(scalar) = self.scalar() else {
            self.mismatch("a string", None);
            return self.neutral();
        };
        let text = scalar.text.as_str();
        match (scalar.meaning(), self.form) {
            (Meaning::String, Form::Plain | Form::Free) => return text,
            (Meaning::Null, _) => return self.neutral(),
            (Meaning::Integer(n), Form::Quantity)
                if n.to_string() != text.trim_start_matches('+') =>
            {
                let hint = format!("YAML 1.1 reads it as {n}: write that, or quote it");
                self.mismatch("an amount in decimal", Some(hint));
            }
            (Meaning::String | Meaning::Integer(_) | Meaning::Number, Form::Quantity) => {
                match text.trim().parse::<Quantity>() {
                    Ok(_) => return text,
                    Err(error) => {
                        self.note(self.node.line, format!("{}: {text:?}: {error}", self.path));
                    }
                }
            }
            (Meaning::String, Form::Time) => match text.parse::<jiff::Timestamp>() {
                Ok(_) => return text,
                Err(_) => self.mismatch("a time such as 2026-01-31T12:00:00Z", None),
            },
            (Meaning::String, Form::Base64) => {
                let text_only: StrDeserializer<'_, Error> = text.into_deserializer();
                match ByteString::deserialize(Present(text_only)) {
                    Ok(_) => return text,
                    Err(error) => self.note(
                        self.node.line,
                        format!("{}: not base64: {error} (for plain text use stringData in a Secret, data in a ConfigMap)", self.path),
                    ),
                }
            }
            (Meaning::Bool(value), _) if scalar.is_old_boolean() => self.mismatch(
                "a string",
                Some(format!(
                    "without quotes YAML 1.1, which Kubernetes reads, takes it as {value}; quote it: {text:?}"
                )),
            ),
            _ => self.mismatch("a string", Some(format!("quote it: {text:?}"))),
        }
        self.neutral()
    }

    /// A text that the form takes.
    fn neutral(&self) -> &'n str {
        match self.form {
            Form::Quantity => "0",
            Form::Time => "1970-01-01T00:00:00Z",
            Form::Plain | Form::Base64 | Form::Free => "",
        }
    }

    fn note_repeated(&self, map: &Map) {
        for (key, line, first) in &map.repeated {
            let path = self.path.child(key);
            self.note(
                *line,
                format!(
                    "key {:?} stands here twice (first in line {first})",
                    path.as_str()
                ),
            );
        }
    }

    /// Passes the entries of a map on: those of a struct by its field names, those of a map all.
    fn visit_map<V: Visitor<'n>>(
        self,
        fields: Option<(&'static str, &'static [&'static str])>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let entries: &[Entry] = match &self.node.value {
            Value::Map(map) => {
                self.note_repeated(map);
                &map.entries
            }
            Value::Scalar(s) if s.is_null() => &[],
            _ => {
                self.mismatch("a map of fields", None);
                &[]
            }
        };
        let known = |entry: &&Entry| match fields {
            Some((_, names)) => {
                let known = names.contains(&entry.key.as_str());
                if !known {
                    let path = self.path.child(&entry.key);
                    let hint = suggest::field(&entry.key, names);
                    self.note(
                        entry.line,
                        format!("unknown field {:?}{hint}", path.as_str()),
                    );
                }
                known
            }
            None => true,
        };
        let entries: Vec<&Entry> = entries.iter().filter(known).collect();
        visitor.visit_map(Entries {
            entries: entries.into_iter(),
            value: None,
            path: self.path,
            form: self.form,
            owner: fields.map(|(name, _)| name),
            context: self.context,
        })
    }
}

/// What stands at a node, for messages.
fn describe(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Scalar(scalar) => {
            let text: String = scalar.text.chars().take(60).collect();
            match scalar.meaning() {
                Meaning::Null => "nothing".to_owned(),
                Meaning::Bool(_) => format!("the boolean {text}"),
                Meaning::Integer(_) => format!("an integer {text}"),
                Meaning::Number => format!("a number {text}"),
                Meaning::String => format!("a string {text:?}"),
            }
        }
    }
}

struct Entries<'n, 'c> {
    entries: std::vec::IntoIter<&'n Entry>,
    value: Option<&'n Entry>,
    path: Path,
    form: Form,
    /// Name of the struct, where this is one.
    owner: Option<&'static str>,
    context: &'c Context,
}

impl<'n> MapAccess<'n> for Entries<'n, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.value = self.entries.next();
        match self.value {
            Some(entry) => {
                let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
                seed.deserialize(key).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let entry = self
            .value
            .take()
            .ok_or_else(|| Error("a value was asked for before its key".to_owned()))?;
        self.context.line.set(entry.line);
        let form = match (self.owner, entry.key.as_str()) {
            (Some("Secret"), "data") | (Some("ConfigMap"), "binaryData") => Form::Base64,
            (Some(_), _) => Form::Plain,
            (None, _) => self.form,
        };
        let path = match self.owner {
            Some(_) => self.path.child(&entry.key),
            None => self.path.key(&entry.key),
        };
        seed.deserialize(Cursor {
            node: &entry.value,
            path,
            form,
            context: self.context,
        })
    }
}

struct Items<'n, 'c> {
    items: std::iter::Enumerate<std::slice::Iter<'n, std::rc::Rc<Node>>>,
    path: Path,
    form: Form,
    context: &'c Context,
}

impl<'n> SeqAccess<'n> for Items<'n, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'n>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        let cursor = Cursor {
            node,
            path: self.path.index(index),
            form: self.form,
            context: self.context,
        };
        if node.is_null() && self.form != Form::Free {
            cursor.mismatch("a value", Some("a list item is empty".to_owned()));
        }
        seed.deserialize(cursor).map(Some)
    }
}

impl<'de> Deserializer<'de> for Cursor<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.form == Form::Free {
            return match &self.node.value {
                Value::List(_) => self.deserialize_seq(visitor),
                Value::Map(_) => self.deserialize_map(visitor),
                Value::Scalar(s) => match s.meaning() {
                    Meaning::Null => visitor.visit_unit(),
                    Meaning::Bool(b) => visitor.visit_bool(b),
                    Meaning::Integer(n) => visitor.visit_i64(n),
                    Meaning::Number | Meaning::String => visitor.visit_str(&s.text),
                },
            };
        }
        // Quantity takes numbers too, and would print them in its own way: it gets the text as it stands.
        if self.form == Form::Quantity {
            return visitor.visit_str(self.string());
        }
        // The only other type that asks so is IntOrString.
        match self.scalar().map(Scalar::meaning) {
            Some(Meaning::Integer(_)) => visitor.visit_i64(self.integer(32)),
            Some(Meaning::String) => visitor.visit_str(self.string()),
            Some(Meaning::Null) => visitor.visit_str(""),
            _ => {
                self.mismatch("an integer or a string", None);
                visitor.visit_i64(0)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.boolean())
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.integer(32);
        visitor.visit_i32(i32::try_from(value).unwrap_or_default())
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(self.integer(64))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.string())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.form = match name {
            "Quantity" => Form::Quantity,
            "Time" | "MicroTime" => Form::Time,
            "FieldsV1" | "JSON" | "RawExtension" => Form::Free,
            _ => self.form,
        };
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let items: &[_] = match &self.node.value {
            Value::List(items) => items,
            Value::Scalar(s) if s.is_null() => &[],
            _ => {
                self.mismatch("a list", Some("begin each item with \"- \"".to_owned()));
                &[]
            }
        };
        visitor.visit_seq(Items {
            items: items.iter().enumerate(),
            path: self.path,
            form: self.form,
            context: self.context,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_map(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.visit_map(Some((name, fields)), visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        enum identifier
    }
}

/// A text that is there, for types that ask for an option first.
struct Present<'t>(StrDeserializer<'t, Error>);

impl<'de> Deserializer<'de> for Present<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Remembers which names a struct asks for.
#[cfg(test)]
struct Probe<'p> {
    names: &'p Cell<&'static [&'static str]>,
}

#[cfg(test)]
impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(Error("no struct".to_owned()))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        self.names.set(fields);
        Err(Error("names only".to_owned()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}
