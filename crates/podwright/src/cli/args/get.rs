//! `get`: which objects, and how they are printed.

use super::{CompatArg, FileArg, NamespaceArg, Output};
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, ValueEnum};
use pod_print::jsonpath::{Path, Template};
use std::ffi::OsStr;

/// `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// What, and which: pods, pods NAME…, pod/NAME, pods,configmaps, all.
    #[arg(value_name = "TYPE [NAME]")]
    pub what: Vec<String>,
    /// Files with the names.
    #[command(flatten)]
    pub files: FileArg,
    /// The Kubernetes that pods are printed for (yaml, json).
    #[command(flatten)]
    pub compat: CompatArg,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub all_namespaces: bool,
    /// Only objects with these labels: a=b,c!=d,e in (f,g).
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only objects with these fields: status.phase=Running.
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// How to print.
    #[arg(short = 'o', long, value_name = "FORMAT", value_parser = FormatParser)]
    pub output: Option<Format>,
    /// In the order of this field: .metadata.creationTimestamp.
    #[arg(long, value_name = "PATH", conflicts_with = "watch", value_parser = Path::parse)]
    pub sort_by: Option<Path>,
    /// Go on with every change.
    #[arg(short = 'w', long)]
    pub watch: bool,
    /// Leave the header out.
    #[arg(long)]
    pub no_headers: bool,
    /// A column for each of these labels.
    #[arg(short = 'L', long, value_name = "LABEL", value_delimiter = ',')]
    pub label_columns: Vec<String>,
    /// A last column with the labels.
    #[arg(long)]
    pub show_labels: bool,
    /// It is no error if it does not exist.
    #[arg(long)]
    pub ignore_not_found: bool,
}

/// How `get` prints.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// A word.
    Plain(Output),
    /// `jsonpath=TEMPLATE`
    Template(Template),
    /// `custom-columns=HEADER:PATH,…`
    Columns(Vec<(String, Path)>),
}

impl Format {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(template) = text.strip_prefix("jsonpath=") {
            let read = Template::parse(template);
            return read.map(Self::Template).map_err(|e| e.to_string());
        }
        if let Some(columns) = text.strip_prefix("custom-columns=") {
            let read: Result<_, _> = columns.split(',').map(column).collect();
            return read.map(Self::Columns);
        }
        match text {
            "jsonpath" => Err("a template is missing, such as jsonpath={.status.phase}".to_owned()),
            "custom-columns" => Err(
                "the columns are missing, such as custom-columns=NAME:.metadata.name".to_owned(),
            ),
            _ => Output::from_str(text, false).map(Self::Plain).map_err(|_| {
                "expected wide, json, yaml, name, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,…"
                    .to_owned()
            }),
        }
    }
}

fn column(text: &str) -> Result<(String, Path), String> {
    let (header, path) = text
        .split_once(':')
        .filter(|(header, path)| !header.is_empty() && !path.is_empty())
        .ok_or_else(|| {
            format!("column {text:?} must be HEADER:PATH, such as NAME:.metadata.name")
        })?;
    let path = Path::parse(path).map_err(|e| format!("column {header}: {e}"))?;
    Ok((header.to_owned(), path))
}

/// Reads a [`Format`], and knows what help and completions offer.
#[derive(Clone, Debug)]
struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Format, clap::Error> {
        let text = value.to_string_lossy();
        Format::parse(&text).map_err(|why| {
            let argument = argument.map(ToString::to_string).unwrap_or_default();
            let message = format!("invalid value '{text}' for '{argument}': {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = Output::value_variants().iter();
        let others = ["jsonpath=", "custom-columns="].map(PossibleValue::new);
        Some(Box::new(
            words.filter_map(Output::to_possible_value).chain(others),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_word_a_template_or_columns() {
        assert_eq!(Format::parse("wide"), Ok(Format::Plain(Output::Wide)));
        assert!(matches!(
            Format::parse("jsonpath={.items[*].metadata.name}"),
            Ok(Format::Template(_))
        ));
        let columns = Format::parse("custom-columns=NAME:.metadata.name,IP:status.podIP");
        assert!(matches!(columns, Ok(Format::Columns(all)) if all.len() == 2));
        for (text, said) in [
            (
                "bogus",
                "expected wide, json, yaml, name, jsonpath=TEMPLATE or custom-columns=HEADER:PATH,…",
            ),
            (
                "jsonpath",
                "a template is missing, such as jsonpath={.status.phase}",
            ),
            ("jsonpath={.a", "unclosed brace at the end"),
            (
                "custom-columns=",
                "column \"\" must be HEADER:PATH, such as NAME:.metadata.name",
            ),
            (
                "custom-columns=NAME",
                "column \"NAME\" must be HEADER:PATH, such as NAME:.metadata.name",
            ),
            (
                "custom-columns=A:.b,C:.d[",
                "column C: expected a number, a name in quotes or * at the end",
            ),
        ] {
            assert_eq!(Format::parse(text), Err(said.to_owned()), "{text}");
        }
    }
}
