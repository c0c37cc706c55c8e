//! What is wrong with a manifest, with the place where it stands.

use std::fmt;

/// One thing that is wrong (or, as a warning, doubtful) in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line in the source, counted from 1.
    pub line: usize,
    /// Column in that line, counted from 1; only syntax errors have one.
    pub column: Option<usize>,
    /// What is wrong, with the path of the field where there is one.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column: None,
            message: message.into(),
        }
    }

    /// The problem with the name of its source before it: `pod.yaml:14: …`.
    pub fn in_source(&self, source: &str) -> String {
        match self.column {
            Some(column) => format!("{source}:{}:{column}: {}", self.line, self.message),
            None => format!("{source}:{}: {}", self.line, self.message),
        }
    }
}

/// All problems of one source, in the order of their lines. Never empty.
///
/// Displayed as one line a problem, each with the name of the source and the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// Name of the source as the user gave it: a file name, or `-` for standard input.
    pub source_name: String,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(source_name: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self {
            source_name: source_name.to_owned(),
            problems,
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.in_source(&self.source_name))?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
