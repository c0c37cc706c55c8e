//! The timeline for a terminal.

use super::{Bar, Lane, Outcome, Timeline, took};
use crate::table::Table;
use crate::text::harmless;
use jiff::Timestamp;

/// The narrowest chart that still shows anything.
const NARROWEST: usize = 10;

/// One line of the chart, and what colour it deserves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line without its break.
    pub text: String,
    /// How the attempt in it went; `None` for headers and gaps.
    pub outcome: Option<Outcome>,
}

impl Timeline {
    /// The chart for a terminal of that many columns: a line an attempt, `░` for the wait before it, `█` while it ran; then the gaps.
    pub fn lines(&self, columns: usize) -> Vec<Line> {
        let mut head = Table::new(["KIND", "NAME", "ATTEMPT", "TOOK", "RESULT", ""]);
        for bar in &self.bars {
            head.rows.push(self.cells(bar));
        }
        let table = head.render(true);
        let left = table
            .lines()
            .map(|l| l.chars().count())
            .max()
            .unwrap_or_default();
        let width = columns.saturating_sub(left).max(NARROWEST);
        let mut lines = vec![plain(format!(
            "{}   from {} to {} ({})",
            harmless(&self.pod),
            clock(self.from),
            clock(self.to),
            took(self.length_ms())
        ))];
        for (i, row) in table.lines().enumerate() {
            let pad = " ".repeat(left.saturating_sub(row.chars().count()));
            let bar = i.checked_sub(1).and_then(|i| self.bars.get(i));
            let drawn = match bar {
                Some(bar) => self.drawn(bar, width),
                None => self.scale(width),
            };
            lines.push(Line {
                text: format!("{row}{pad}{drawn}").trim_end().to_owned(),
                outcome: bar.map(|b| b.outcome),
            });
        }
        if !self.gaps.is_empty() || self.forgotten > 0 {
            lines.push(plain(String::new()));
        }
        for gap in &self.gaps {
            let until = match &gap.before {
                Some(next) => format!("to the start of {next}"),
                None => "until now".to_owned(),
            };
            let text = format!(
                "nothing ran for {}: from {} {until}",
                took(gap.ms),
                gap.after
            );
            lines.push(plain(text));
        }
        if self.forgotten > 0 {
            lines.push(plain(format!(
                "not shown: {} earlier attempts, whose records are gone",
                self.forgotten
            )));
        }
        lines
    }

    fn cells(&self, bar: &Bar) -> Vec<String> {
        let end = bar.to.unwrap_or(self.to);
        let length = super::millis(bar.from, end);
        vec![
            bar.lane.as_str().to_owned(),
            match bar.lane {
                Lane::Sandbox => String::new(),
                _ => bar.name.clone(),
            },
            bar.attempt.to_string(),
            took(length),
            bar.result.clone(),
            String::new(),
        ]
    }

    fn cell_of(&self, at: Timestamp, width: usize) -> usize {
        let whole = self.length_ms().max(1);
        let part = super::millis(self.from, at).clamp(0, whole);
        let cell =
            i128::from(part) * i128::try_from(width).unwrap_or(i128::MAX) / i128::from(whole);
        usize::try_from(cell).unwrap_or(0).min(width)
    }

    fn drawn(&self, bar: &Bar, width: usize) -> String {
        // Every attempt shows, however short it was.
        let begin = self.cell_of(bar.from, width).min(width - 1);
        let end = self
            .cell_of(bar.to.unwrap_or(self.to), width)
            .max(begin + 1);
        let waited = bar
            .waited_ms
            .and_then(|ms| {
                bar.from
                    .checked_sub(jiff::SignedDuration::from_millis(ms))
                    .ok()
            })
            .map_or(begin, |at| self.cell_of(at, width).min(begin));
        let mut drawn = " ".repeat(waited);
        drawn.push_str(&"░".repeat(begin - waited));
        drawn.push_str(&"█".repeat(end - begin));
        drawn
    }

    fn scale(&self, width: usize) -> String {
        let end = took(self.length_ms());
        let line = width.saturating_sub(end.chars().count() + 4);
        format!("0s {} {end}", "─".repeat(line))
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn plain(text: String) -> Line {
    Line {
        text,
        outcome: None,
    }
}
