//! The list of threats as a run: every test that THREATS.md names, with so many rounds of what is a race.
//!
//! The table of that file is the list: a test that it names and that does not exist is a failure, so it cannot drift from the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// One threat: its id and the tests that show what stops it. A threat that does not apply has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threat {
    /// `S01` to `S40`.
    pub id: String,
    /// Its tests.
    pub tests: Vec<Test>,
}

/// A test, as THREATS.md names it: `crate/target::path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    /// The crate.
    pub package: String,
    /// `lib`, `bin`, or the name of one of its test programs.
    pub target: String,
    /// Its path in that.
    pub path: String,
}

/// The table of THREATS.md: every row that begins with an id, and what stands in backticks in its last column.
pub fn table(text: &str) -> Vec<Threat> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| S"));
    rows.filter_map(|row| {
        let id = format!("S{}", row.get(..2)?);
        let last = row.trim_end().trim_end_matches('|').rsplit(" | ").next()?;
        let quoted = last.split('`').skip(1).step_by(2);
        Some(Threat {
            id,
            tests: quoted.filter_map(test).collect(),
        })
    })
    .collect()
}

fn test(text: &str) -> Option<Test> {
    let (package, rest) = text.split_once('/')?;
    let (target, path) = rest.split_once("::")?;
    Some(Test {
        package: package.to_owned(),
        target: target.to_owned(),
        path: path.to_owned(),
    })
}

/// Reads THREATS.md of the project.
pub fn read() -> std::io::Result<Vec<Threat>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../THREATS.md");
    Ok(table(&fs::read_to_string(file)?))
}

/// Runs all of them, and says whether all passed. The last line on standard output is the sum.
pub fn run(rounds: u64) -> Result<bool, String> {
    let threats = read().map_err(|e| format!("THREATS.md: {e}"))?;
    let mut groups: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for test in threats.iter().flat_map(|t| &t.tests) {
        let group = groups.entry((&test.package, &test.target)).or_default();
        group.insert(&test.path);
    }
    let mut passed = BTreeSet::new();
    for ((package, target), paths) in &groups {
        eprintln!("{package}/{target}: {} tests", paths.len());
        passed.extend(
            run_group(package, target, paths, rounds)?
                .into_iter()
                .map(|path| (*package, *target, path)),
        );
    }
    let (mut good, mut bad, mut absent) = (0, 0, 0);
    for threat in &threats {
        let has_passed =
            |t: &&Test| passed.contains(&(t.package.as_str(), t.target.as_str(), t.path.clone()));
        let failed: Vec<&Test> = threat.tests.iter().filter(|t| !has_passed(t)).collect();
        let verdict = match (threat.tests.len(), failed.len()) {
            (0, _) => {
                absent += 1;
                "does not apply yet".to_owned()
            }
            (n, 0) => {
                good += 1;
                format!("stopped ({n} tests)")
            }
            (_, n) => {
                bad += 1;
                format!("{n} tests FAILED: {failed:?}")
            }
        };
        println!("{}  {verdict}", threat.id);
    }
    println!(
        "{} threats: {good} stopped, {bad} not, {absent} do not apply yet; {rounds} rounds of each race",
        threats.len()
    );
    Ok(bad == 0 && good > 0)
}

/// Runs tests of one program; gives those that passed.
fn run_group(
    package: &str,
    target: &str,
    paths: &BTreeSet<&str>,
    rounds: u64,
) -> Result<Vec<String>, String> {
    let target = match target {
        "lib" => "--lib".to_owned(),
        "bin" => "--bins".to_owned(),
        name => format!("--test={name}"),
    };
    // To a file: what the tests leave running must not keep a pipe open.
    let log = std::env::temp_dir().join(format!("pwthreats{}", std::process::id()));
    let file = fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let errors = file.try_clone().map_err(|e| e.to_string())?;
    Command::new("cargo")
        .args([
            "test",
            "--locked",
            "--no-fail-fast",
            "-p",
            package,
            &target,
            "--",
        ])
        .args(["--exact", "--test-threads=1"])
        .args(paths)
        .env("PODWRIGHT_ROUNDS", rounds.to_string())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdout(file)
        .stderr(errors)
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    let text = fs::read_to_string(&log).map_err(|e| e.to_string())?;
    let _ = fs::remove_file(log);
    let of = |line: &str| {
        Some(
            line.strip_prefix("test ")?
                .strip_suffix(" ... ok")?
                .to_owned(),
        )
    };
    let passed: Vec<String> = text.lines().filter_map(of).collect();
    if passed.len() < paths.len() {
        eprintln!("{text}");
    }
    Ok(passed)
}
