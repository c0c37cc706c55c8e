//! Printing to standard output and error. A reader that went away ends the program quietly.

use super::args::{DataOutput, Output};
use super::exit::{Code, Failure, Outcome};
use super::view::text;
use pod_api::client::Resource;
use pod_print::text::harmless;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};

/// Prints text as it is.
pub fn print(text: &str) -> Outcome<()> {
    print_bytes(text.as_bytes())
}

/// Prints bytes as they are.
pub fn print_bytes(bytes: &[u8]) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|e| Failure::output(&e))
}

/// Prints text out of objects as it is, but to a terminal without the power of its escape sequences.
pub fn print_harmless(text: &str) -> Outcome<()> {
    if io::stdout().is_terminal() {
        print(&harmless(text))
    } else {
        print(text)
    }
}

/// Prints a line to standard error; there is nobody to tell if that fails.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The object as text of that format.
pub fn data(value: &Value, format: DataOutput) -> Outcome<String> {
    let software = |e: String| Failure::new(Code::Software, format!("error: {e}"));
    match format {
        DataOutput::Json => {
            let text = serde_json::to_string_pretty(value).map_err(|e| software(e.to_string()))?;
            Ok(text + "\n")
        }
        DataOutput::Yaml => {
            let text = pod_api::yaml::to_string(value).map_err(|e| software(e.to_string()))?;
            Ok(if text.ends_with('\n') {
                text
            } else {
                text + "\n"
            })
        }
    }
}

/// JSON or YAML of an [`Output`], if it is one of them.
pub fn data_format(output: Option<Output>) -> Option<DataOutput> {
    match output {
        Some(Output::Json) => Some(DataOutput::Json),
        Some(Output::Yaml) => Some(DataOutput::Yaml),
        _ => None,
    }
}

/// What was done to an object: the object itself where JSON or YAML is asked for, `kind/name` where the name is, else `kind/name DONE`.
pub fn told(output: Option<Output>, resource: Resource, object: &Value, done: &str) -> Outcome<()> {
    if let Some(format) = data_format(output) {
        return print(&data(object, format)?);
    }
    let (kind, name) = (resource.singular(), text(object, "/metadata/name"));
    match output {
        Some(Output::Name) => print(&format!("{kind}/{name}\n")),
        _ => print(&format!("{kind}/{name} {done}\n")),
    }
}

/// One object as it is, several as a `v1.List`.
pub fn list_or_one(objects: Vec<Value>, asked_for_one: bool) -> Value {
    let mut objects = objects;
    match objects.pop() {
        Some(one) if asked_for_one && objects.is_empty() => one,
        last => {
            objects.extend(last);
            json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects})
        }
    }
}
