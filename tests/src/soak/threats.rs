//! The list of threats as a run: every test that THREATS.md names, with so many rounds of what is a race.
//!
//! The table of that file is the list: a test that it names and that does not exist is a failure, so it cannot drift from the code.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

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

/// Runs all of them, or those of the named threats, and says whether all passed. The last line on standard output is the sum. All programs are built first, so that nobody
/// who changes the sources meanwhile changes what is run.
pub fn run(rounds: u64, only: &[String]) -> Result<bool, String> {
    let mut threats = read().map_err(|e| format!("THREATS.md: {e}"))?;
    threats.retain(|t| only.is_empty() || only.contains(&t.id));
    let mut groups: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for test in threats.iter().flat_map(|t| &t.tests) {
        let group = groups.entry((&test.package, &test.target)).or_default();
        group.insert(&test.path);
    }
    // All crates at once: built one by one, each would have another selection of features, and what they share would be built for each.
    let packages: BTreeSet<&str> = groups.keys().map(|(package, _)| *package).collect();
    let (cases, crates) = packages.into_iter().partition(|package| *package == "e2e");
    let mut built = BTreeMap::new();
    for packages in [crates, cases] {
        built.extend(programs(packages)?);
    }
    // The next build may replace them.
    let place = std::env::temp_dir().join(format!("pwthreats{}", std::process::id()));
    fs::create_dir_all(&place).map_err(|e| format!("{}: {e}", place.display()))?;
    let mut passed = BTreeSet::new();
    for ((package, target), paths) in groups {
        let program = built.get(&(package.to_owned(), target.to_owned()));
        let program = program.ok_or_else(|| format!("{package}/{target} was not built"))?;
        let begun = Instant::now();
        let good = program.run(&place, &paths, rounds)?;
        eprintln!(
            "{package}/{target}: {} of {} tests passed in {} s",
            good.len(),
            paths.len(),
            begun.elapsed().as_secs()
        );
        passed.extend(good.into_iter().map(|path| (package, target, path)));
    }
    let _ = fs::remove_dir_all(&place);
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

/// A built program of tests, and the folder that cargo would run it in.
struct Program {
    path: PathBuf,
    folder: PathBuf,
}

/// Builds the programs of tests of these packages; by package and target.
fn programs(packages: Vec<&str>) -> Result<BTreeMap<(String, String), Program>, String> {
    if packages.is_empty() {
        return Ok(BTreeMap::new());
    }
    eprintln!("building the tests of {}", packages.join(" "));
    let built = Command::new("cargo")
        .args(["test", "--locked", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .args(packages.iter().flat_map(|package| ["-p", package]))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    if !built.status.success() {
        return Err("the tests could not be built".to_owned());
    }
    let text = String::from_utf8_lossy(&built.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = messages.filter_map(|message| {
        let of = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        let folder = Path::new(of("/manifest_path")?).parent()?;
        let package = match folder.ends_with("tests") {
            true => "e2e",
            false => folder.file_name()?.to_str()?,
        };
        let target = match of("/target/kind/0")? {
            "test" => of("/target/name")?,
            kind => kind,
        };
        let is_test = message.pointer("/profile/test") == Some(&Value::Bool(true));
        let program = Program {
            path: of("/executable")?.into(),
            folder: folder.to_owned(),
        };
        is_test.then(|| ((package.to_owned(), target.to_owned()), program))
    });
    Ok(found.collect())
}

impl Program {
    /// Runs tests of a copy of it in `place`; gives those that passed.
    fn run(
        &self,
        place: &Path,
        paths: &BTreeSet<&str>,
        rounds: u64,
    ) -> Result<Vec<String>, String> {
        let own = place.join(self.path.file_name().unwrap_or_default());
        fs::copy(&self.path, &own).map_err(|e| format!("{}: {e}", own.display()))?;
        // To a file: what the tests leave running must not keep a pipe open.
        let log = place.join("log");
        let file = fs::File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let errors = file.try_clone().map_err(|e| e.to_string())?;
        Command::new(&own)
            .args(["--exact", "--test-threads=1"])
            .args(paths)
            .env("PODWRIGHT_ROUNDS", rounds.to_string())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .status()
            .map_err(|e| format!("{}: {e}", self.path.display()))?;
        let text = fs::read_to_string(&log).map_err(|e| e.to_string())?;
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
}
