//! Runs conformance cases (JSON files of `{id, source, kind, given, expect}`) against the pure crates and counts what agrees.
//!
//! `conformance DIR` reads every `*.json` in DIR and DIR/sweep. A kind that it does not know counts as failed; `--kinds` narrows the run.

#![allow(
    clippy::indexing_slicing,
    reason = "a field that a JSON value does not have reads as null, and only objects that are made here are written to"
)]

mod kinds;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Runs conformance cases against the pure crates")]
struct Arguments {
    /// Folder with case files (`*.json`, and those of its folder `sweep`).
    folder: PathBuf,
    /// Only these kinds, separated by commas.
    #[arg(long, value_delimiter = ',')]
    kinds: Vec<String>,
    /// Only the kinds that are built so far; the others are named, not counted.
    #[arg(long, conflicts_with = "kinds")]
    built: bool,
    /// Print only the table and the counts.
    #[arg(long)]
    quiet: bool,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    #[serde(default)]
    source: String,
    kind: String,
    given: Value,
    expect: Value,
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let known = kinds::all();
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    for file in case_files(&arguments.folder)? {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let cases: Vec<Case> =
            serde_json::from_str(&text).with_context(|| format!("parse {}", file.display()))?;
        for case in cases {
            if !arguments.kinds.is_empty() && !arguments.kinds.contains(&case.kind) {
                continue;
            }
            let check = known.get(case.kind.as_str());
            if check.is_none() && arguments.built {
                *left_out.entry(case.kind).or_default() += 1;
                continue;
            }
            let result = match check {
                Some(check) => check(&case.given, &case.expect),
                None => Err("this kind is not built yet".to_owned()),
            };
            let count = counts.entry(case.kind.clone()).or_default();
            match result {
                Ok(()) => count.passed += 1,
                Err(got) => {
                    count.failed += 1;
                    if !arguments.quiet {
                        println!("FAILED {} ({}; {})", case.id, case.kind, case.source);
                        println!("  expected {}\n  got      {got}", case.expect);
                    }
                }
            }
        }
    }
    for (kind, count) in &counts {
        println!(
            "{kind:34} {:6} passed {:6} failed",
            count.passed, count.failed
        );
    }
    for (kind, cases) in &left_out {
        println!("{kind:34} {cases:6} cases not run: the kind is not built yet");
    }
    let passed: usize = counts.values().map(|c| c.passed).sum();
    let failed: usize = counts.values().map(|c| c.failed).sum();
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn case_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for place in [folder.to_owned(), folder.join("sweep")] {
        if !place.is_dir() {
            continue;
        }
        for entry in
            std::fs::read_dir(&place).with_context(|| format!("list {}", place.display()))?
        {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "json") {
                files.push(path);
            }
        }
    }
    anyhow::ensure!(!files.is_empty(), "no *.json in {}", folder.display());
    files.sort();
    Ok(files)
}
