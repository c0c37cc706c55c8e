//! `doctor`: what this machine has, what it lacks, which feature needs it, and what to do. Looks only, changes nothing.

mod kernel;
mod machine;
mod network;

use super::args::DoctorArgs;
use super::connect::Places;
use super::exit::{Code, Outcome};
use super::output::{data, print};
use super::style::{Color, Style, paint};
use serde::Serialize;
use serde_json::json;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Pods run, with less than they could have.
    Warn,
    /// Pods do not run.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// Which feature needs it.
    pub needed_for: &'static str,
    /// What to do, where it is not as it should be.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub advice: &'static str,
}

impl Check {
    /// One that is as it should be if `ok`, else in the other state with this advice.
    fn of(
        name: &'static str,
        ok: bool,
        otherwise: State,
        found: impl Into<String>,
        needed_for: &'static str,
        advice: &'static str,
    ) -> Self {
        Self {
            name,
            state: if ok { State::Ok } else { otherwise },
            found: found.into(),
            needed_for,
            advice: if ok { "" } else { advice },
        }
    }
}

/// Looks at everything; fails with EX_CONFIG if something that every pod needs is missing.
pub fn doctor(args: &DoctorArgs, places: &Places, style: Style) -> Outcome<u8> {
    let mut checks = kernel::checks();
    checks.extend(network::checks(&places.network));
    checks.extend(machine::checks(places));
    let worst = checks.iter().map(|c| c.state).max().unwrap_or(State::Ok);
    match args.output {
        Some(format) => print(&data(&json!({"state": worst, "checks": checks}), format)?)?,
        None => print(&text(&checks, style.stdout))?,
    }
    Ok(match worst {
        State::Missing => Code::Config as u8,
        State::Ok | State::Warn => 0,
    })
}

fn text(checks: &[Check], color: bool) -> String {
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        let (word, paint_it) = match check.state {
            State::Ok => ("ok     ", Color::Green),
            State::Warn => ("warn   ", Color::Yellow),
            State::Missing => ("missing", Color::Red),
        };
        let word = paint(color, paint_it, word);
        out += &format!("{word}  {:width$}  {}\n", check.name, check.found);
        if check.state != State::Ok {
            out += &format!(
                "         {:width$}    needed for: {}\n",
                "", check.needed_for
            );
            out += &format!("         {:width$}    to do: {}\n", "", check.advice);
        }
    }
    let count = |state| checks.iter().filter(|c| c.state == state).count();
    out += &format!(
        "\n{} ok, {} to look at, {} missing\n",
        count(State::Ok),
        count(State::Warn),
        count(State::Missing)
    );
    out
}

/// The text of a file without its line end; "" if it cannot be read.
fn read(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::args::NetworkArgs;
    use super::*;
    use crate::cli::connect::Places;
    use std::path::PathBuf;

    #[test]
    fn what_is_wrong_says_what_for_and_what_to_do() {
        let bad = Check::of("x", false, State::Warn, "none", "speed", "buy one");
        let good = Check::of("longer", true, State::Missing, "here", "life", "unused");
        assert_eq!((good.state, good.advice), (State::Ok, ""));
        assert_eq!(
            text(&[bad, good], false),
            "warn     x       none\n                   needed for: speed\n                   to do: buy one\nok       longer  here\n\n1 ok, 1 to look at, 0 missing\n"
        );
    }

    #[test]
    fn every_check_of_this_machine_can_be_told() {
        let places = Places {
            root: PathBuf::from("/nonexistent/root"),
            run: PathBuf::from("/nonexistent/run"),
            logs: PathBuf::from("/nonexistent/logs"),
            cgroup_root: "/podwright".to_owned(),
            network: NetworkArgs::default(),
        };
        let mut checks = kernel::checks();
        checks.extend(network::checks(&places.network));
        checks.extend(machine::checks(&places));
        assert!(checks.len() > 15, "{}", checks.len());
        for check in &checks {
            assert!(
                !check.found.is_empty() && !check.needed_for.is_empty(),
                "{check:?}"
            );
            assert_eq!(
                check.state == State::Ok,
                check.advice.is_empty(),
                "{check:?}"
            );
        }
    }
}
