//! What is wrong with a field, printed as the API server prints it (`apimachinery/pkg/util/validation/field`).

use crate::path::Path;
use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// What kind of wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// It names something that is not there.
    NotFound,
    /// It is missing.
    Required,
    /// It is there twice.
    Duplicate,
    /// It is malformed or out of bounds.
    Invalid,
    /// It is none of the values that are taken.
    NotSupported,
    /// It is well formed and not allowed here.
    Forbidden,
    /// It has too many bytes.
    TooLong,
    /// It has too many items.
    TooMany,
    /// It is of another type.
    TypeInvalid,
    /// Something went wrong that is not the user's doing.
    Internal,
}

impl Kind {
    /// The name that an API client sees (`FieldValueRequired`).
    pub fn reason(self) -> &'static str {
        match self {
            Kind::NotFound => "FieldValueNotFound",
            Kind::Required => "FieldValueRequired",
            Kind::Duplicate => "FieldValueDuplicate",
            Kind::Invalid => "FieldValueInvalid",
            Kind::NotSupported => "FieldValueNotSupported",
            Kind::Forbidden => "FieldValueForbidden",
            Kind::TooLong => "FieldValueTooLong",
            Kind::TooMany => "FieldValueTooMany",
            Kind::TypeInvalid => "FieldValueTypeInvalid",
            Kind::Internal => "InternalError",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Kind::NotFound => "Not found",
            Kind::Required => "Required value",
            Kind::Duplicate => "Duplicate value",
            Kind::Invalid | Kind::TypeInvalid => "Invalid value",
            Kind::NotSupported => "Unsupported value",
            Kind::Forbidden => "Forbidden",
            Kind::TooLong => "Too long",
            Kind::TooMany => "Too many",
            Kind::Internal => "Internal error",
        }
    }

    /// Whether the value is printed.
    fn shows_value(self) -> bool {
        !matches!(
            self,
            Kind::Required | Kind::Forbidden | Kind::TooLong | Kind::Internal
        )
    }
}

/// The value that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum BadValue {
    /// A text, printed in quotes as Go does (`%q`).
    Text(String),
    /// Anything else, printed as JSON.
    Json(Value),
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadValue::Text(text) => write_quoted(text, f),
            BadValue::Json(value) => f.write_str(&escape_json(&value.to_string())),
        }
    }
}

/// Go's `%q` of a text.
fn write_quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\u{7}' => f.write_str("\\a")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{b}' => f.write_str("\\v")?,
            c if u32::from(c) < 0x20 || c == '\u{7f}' => write!(f, "\\x{:02x}", u32::from(c))?,
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                write!(f, "\\u{:04x}", u32::from(c))?;
            }
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// Go's JSON writes what HTML would mistake as an escape.
fn escape_json(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

impl From<&str> for BadValue {
    fn from(text: &str) -> Self {
        BadValue::Text(text.to_owned())
    }
}

impl From<i64> for BadValue {
    fn from(number: i64) -> Self {
        BadValue::Json(number.into())
    }
}

impl From<i32> for BadValue {
    fn from(number: i32) -> Self {
        BadValue::Json(number.into())
    }
}

impl From<bool> for BadValue {
    fn from(value: bool) -> Self {
        BadValue::Json(value.into())
    }
}

impl BadValue {
    /// An object, a list, or a word of a fixed set.
    pub(super) fn json(value: &impl Serialize) -> Self {
        // None of the Kubernetes types fails to serialize; null would be printed if one did.
        BadValue::Json(serde_json::to_value(value).unwrap_or_default())
    }
}

/// One thing that is wrong with one field. Displayed as `<path>: <kind>[: <value>][: <detail>]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// What kind of wrong.
    pub kind: Kind,
    /// Path of the field.
    pub field: String,
    /// The value found, for the kinds that have one.
    pub bad_value: Option<BadValue>,
    /// What would be right.
    pub detail: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path that was never begun prints so in Go.
        let field = match self.field.as_str() {
            "" => "<nil>",
            field => field,
        };
        write!(f, "{field}: {}", self.kind.text())?;
        if let Some(value) = self.bad_value.as_ref().filter(|_| self.kind.shows_value()) {
            write!(f, ": {value}")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldError {}

/// Gathers errors in the order in which they are found.
#[derive(Debug, Default)]
pub struct Errors {
    list: Vec<FieldError>,
}

impl Errors {
    fn push(&mut self, kind: Kind, path: &Path, bad_value: Option<BadValue>, detail: &str) {
        self.list.push(FieldError {
            kind,
            field: path.as_str().to_owned(),
            bad_value,
            detail: detail.to_owned(),
        });
    }

    pub(crate) fn required(&mut self, path: &Path, detail: &str) {
        self.push(Kind::Required, path, None, detail);
    }

    pub(crate) fn invalid(&mut self, path: &Path, value: impl Into<BadValue>, detail: &str) {
        self.push(Kind::Invalid, path, Some(value.into()), detail);
    }

    pub(crate) fn duplicate(&mut self, path: &Path, value: impl Into<BadValue>) {
        self.push(Kind::Duplicate, path, Some(value.into()), "");
    }

    pub(crate) fn not_found(&mut self, path: &Path, value: &str, detail: &str) {
        self.push(Kind::NotFound, path, Some(value.into()), detail);
    }

    pub(crate) fn forbidden(&mut self, path: &Path, detail: &str) {
        self.push(Kind::Forbidden, path, None, detail);
    }

    /// The allowed values stand in the order given.
    pub(crate) fn not_supported(&mut self, path: &Path, value: &str, allowed: &[&str]) {
        let quoted: Vec<String> = allowed.iter().map(|a| format!("\"{a}\"")).collect();
        let detail = format!("supported values: {}", quoted.join(", "));
        self.push(Kind::NotSupported, path, Some(value.into()), &detail);
    }

    /// `max` in bytes.
    pub(crate) fn too_long(&mut self, path: &Path, max: usize) {
        let detail = format!("may not be more than {max} bytes");
        self.push(Kind::TooLong, path, None, &detail);
    }

    pub(crate) fn too_many(&mut self, path: &Path, found: usize, max: usize) {
        let detail = format!("must have at most {max} items");
        let value = BadValue::Json(found.into());
        self.push(Kind::TooMany, path, Some(value), &detail);
    }

    pub(crate) fn internal(&mut self, path: &Path, detail: &str) {
        self.push(Kind::Internal, path, None, detail);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn append(&mut self, mut other: Errors) {
        self.list.append(&mut other.list);
    }

    /// What was found.
    pub fn into_list(self) -> Vec<FieldError> {
        self.list
    }
}
