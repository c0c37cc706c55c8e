//! Colours, and whether they are wanted.

use super::args::ColorWhen;
use std::io::IsTerminal;

/// Whether each of the two outputs takes colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// A colour of the terminal's own palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    Faint,
}

impl Style {
    /// As the option, the environment and the terminal have it.
    pub fn of(when: ColorWhen) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let wanted = |terminal: bool| match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => terminal && !no_color,
        };
        Self {
            stdout: wanted(std::io::stdout().is_terminal()),
            stderr: wanted(std::io::stderr().is_terminal()),
        }
    }
}

/// The text in that colour, if colours are `on`.
pub fn paint(on: bool, color: Color, text: &str) -> String {
    if !on || text.is_empty() {
        return text.to_owned();
    }
    let code = match color {
        Color::Red => "31",
        Color::Green => "32",
        Color::Yellow => "33",
        Color::Blue => "34",
        Color::Magenta => "35",
        Color::Cyan => "36",
        Color::Faint => "2",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// The colour of a word in the column STATUS.
pub fn status_color(status: &str) -> Color {
    let word = status.strip_prefix("Init:").unwrap_or(status);
    match word {
        "Running" | "Completed" | "Succeeded" => Color::Green,
        "Pending" | "PodInitializing" | "ContainerCreating" | "Terminating" | "NotReady" => {
            Color::Yellow
        }
        _ if word
            .split_once('/')
            .is_some_and(|(a, b)| a.parse::<u32>().is_ok() && b.parse::<u32>().is_ok()) =>
        {
            Color::Yellow
        }
        _ => Color::Red,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_good_or_under_way_or_bad() {
        for (word, color) in [
            ("Running", Color::Green),
            ("Init:0/2", Color::Yellow),
            ("PodInitializing", Color::Yellow),
            ("Init:CrashLoopBackOff", Color::Red),
            ("Init:ExitCode:3", Color::Red),
            ("OOMKilled", Color::Red),
        ] {
            assert_eq!(status_color(word), color, "{word}");
        }
        assert_eq!(paint(false, Color::Red, "x"), "x");
        assert_eq!(paint(true, Color::Red, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
