//! THREATS.md says what is so: every threat has a row, and every test that it names exists.

use e2e::soak::threats;
use std::collections::BTreeSet;
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

#[test]
fn every_threat_has_a_row_and_every_test_that_it_names_exists() {
    let threats = threats::read().unwrap();
    let ids: Vec<String> = threats.iter().map(|t| t.id.clone()).collect();
    let all: Vec<String> = (1..=40).map(|n| format!("S{n:02}")).collect();
    assert_eq!(ids, all);
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut missing = BTreeSet::new();
    for test in threats.iter().flat_map(|t| &t.tests) {
        let folder = match test.package.as_str() {
            "e2e" => top.join("tests"),
            name => top.join("crates").join(name),
        };
        let mut files = Vec::new();
        sources(&folder, &mut files);
        let name = test.path.rsplit("::").next().unwrap_or_default();
        let function = format!("fn {name}(");
        if !files
            .iter()
            .any(|f| std::fs::read_to_string(f).is_ok_and(|t| t.contains(&function)))
        {
            missing.insert(format!("{}/{}::{}", test.package, test.target, test.path));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    let none: Vec<&str> = threats
        .iter()
        .filter(|t| t.tests.is_empty())
        .map(|t| t.id.as_str())
        .collect();
    assert_eq!(none, ["S31", "S39"], "threats without a test");
}
