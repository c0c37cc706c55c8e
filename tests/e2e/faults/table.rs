//! docs/faults.md is the list: every fault has a row, and the cases that it names exist and carry its id.

use std::path::{Path, PathBuf};

/// Every Rust file below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Names of all functions of the workspace's sources that may be cases.
fn functions() -> Vec<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["crates", "tests"] {
        sources(&top.join(folder), &mut files);
    }
    let mut names = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let after = text.split("fn ").skip(1);
        names.extend(after.filter_map(|t| t.split_once('(').map(|(name, _)| name.to_owned())));
    }
    names
}

/// Whether it is the name of a case, or of several: `r06_*`.
fn is_case(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '*';
    text.contains('_') && text.chars().all(plain)
}

#[test]
fn every_fault_has_a_row_and_every_case_that_it_names_exists() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md");
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| R")).collect();
    let ids: Vec<&str> = rows.iter().filter_map(|row| row.get(2..5)).collect();
    let all: Vec<String> = (1..=32).map(|n| format!("R{n:02}")).collect();
    assert_eq!(ids, all);
    let functions = functions();
    let (mut missing, mut unnamed) = (Vec::new(), Vec::new());
    for row in rows {
        let id = row[2..5].to_lowercase();
        let last = row
            .trim_end()
            .trim_end_matches('|')
            .rsplit(" | ")
            .next()
            .unwrap();
        let quoted = last.split('`').skip(1).step_by(2);
        let names: Vec<&str> = quoted.filter(|name| is_case(name)).collect();
        for name in &names {
            let exists = match name.strip_suffix('*') {
                Some(begin) => functions.iter().any(|f| f.starts_with(begin)),
                None => functions.iter().any(|f| f == name),
            };
            if !exists {
                missing.push(*name);
            }
        }
        if !names.iter().any(|name| name.starts_with(&id)) {
            unnamed.push(id);
        }
    }
    assert!(missing.is_empty(), "no such case: {missing:?}");
    // There are no plugins (27); a jump of the clock needs a machine of its own (15): the guest.
    unnamed.retain(|id| !["r15", "r27"].contains(&id.as_str()));
    assert!(unnamed.is_empty(), "faults without a case: {unnamed:?}");
}
