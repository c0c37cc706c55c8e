//! The verbs that change what is there.

use super::{NamespaceArg, Output};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `replace`.
#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// The manifest: a file, a folder, or - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Replace only this part of a pod: ephemeralcontainers, or resize (amounts of cpu and memory).
    #[arg(long, value_name = "PART", value_parser = ["ephemeralcontainers", "resize"])]
    pub subresource: Option<String>,
    /// Print what came of it so.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<Output>,
    /// Where the manifest names none.
    #[command(flatten)]
    pub namespace: NamespaceArg,
}

/// `patch`.
#[derive(Debug, Args)]
pub struct PatchArgs {
    /// What, and which: pod NAME, pod/NAME, service/NAME.
    #[arg(value_name = "TYPE NAME", required = true)]
    pub what: Vec<String>,
    /// The patch, as JSON or YAML.
    #[arg(
        short = 'p',
        long,
        value_name = "PATCH",
        required_unless_present = "patch_file"
    )]
    pub patch: Option<String>,
    /// Likewise, in a file; - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "patch")]
    pub patch_file: Option<PathBuf>,
    /// What it is: strategic (lists of containers, variables, volumes, … are merged by their keys), merge (lists are replaced), or json (a
    /// list of operations).
    #[arg(long = "type", value_name = "TYPE", default_value = "strategic", value_parser = ["json", "merge", "strategic"], hide_possible_values = true)]
    pub kind: String,
    /// Change only this part of a pod: ephemeralcontainers, or resize (amounts of cpu and memory).
    #[arg(long, value_name = "PART", value_parser = ["ephemeralcontainers", "resize"])]
    pub subresource: Option<String>,
    /// Print what came of it so.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<Output>,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
}

/// `label` and `annotate`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// What, which, and the changes: pod NAME KEY=VALUE OTHER-.
    #[arg(value_name = "TYPE NAME KEY=VALUE", required = true)]
    pub words: Vec<String>,
    /// Of all objects of that type.
    #[arg(long)]
    pub all: bool,
    /// Of the objects of that type with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "all")]
    pub selector: Option<String>,
    /// Change what has another value already.
    #[arg(long)]
    pub overwrite: bool,
    /// Print what came of it so.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<Output>,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
}

/// `set`.
#[derive(Debug, Subcommand)]
pub enum SetCommand {
    /// Change images of containers, which run again for it; an init container's is used when it runs next.
    Image(SetImageArgs),
}

/// `set image`.
#[derive(Debug, Args)]
pub struct SetImageArgs {
    /// Which pods, and the images: pod NAME CONTAINER=IMAGE; * for all containers.
    #[arg(value_name = "TYPE NAME CONTAINER=IMAGE", required = true)]
    pub words: Vec<String>,
    /// Print what came of it so.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<Output>,
    /// The namespace.
    #[command(flatten)]
    pub namespace: NamespaceArg,
}
