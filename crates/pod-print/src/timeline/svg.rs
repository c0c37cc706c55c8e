//! The timeline as a picture that any browser shows.

use super::{Bar, Lane, Outcome, Timeline, took};
use crate::text::harmless;
use jiff::Timestamp;
use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Text, Title};

const NAMES: i64 = 220;
const CHART: i64 = 900;
const RESULTS: i64 = 220;
const ROW: i64 = 22;
const TOP: i64 = 56;

impl Timeline {
    /// An SVG document of 1340 user units width; each bar has a title with its times for whoever points at it.
    pub fn svg(&self) -> String {
        let rows = i64::try_from(self.bars.len()).unwrap_or(i64::MAX / ROW);
        let bottom = TOP.saturating_add(rows.saturating_mul(ROW));
        let (width, height) = (NAMES + CHART + RESULTS, bottom + 16);
        let mut picture = Document::new()
            .set("viewBox", (0, 0, width, height))
            .set("width", width)
            .set("height", height)
            .set("font-family", "sans-serif")
            .set("font-size", 12)
            .add(Title::new(format!(
                "timeline of pod {}",
                harmless(&self.pod)
            )))
            .add(
                Rectangle::new()
                    .set("width", width)
                    .set("height", height)
                    .set("fill", "#ffffff"),
            )
            .add(
                label(8, 20, &self.pod)
                    .set("font-size", 15)
                    .set("font-weight", "bold"),
            )
            .add(label(
                8,
                38,
                &format!("{} to {} ({})", self.from, self.to, took(self.length_ms())),
            ));
        for gap in &self.gaps {
            picture = picture.add(self.gap(gap, bottom));
        }
        for tenth in 0..=10 {
            picture = picture.add(self.tick(tenth, bottom));
        }
        let mut y = TOP;
        for bar in &self.bars {
            picture = picture.add(self.row(bar, y));
            y = y.saturating_add(ROW);
        }
        picture.to_string() + "\n"
    }

    fn x(&self, at: Timestamp) -> i64 {
        let whole = self.length_ms().max(1);
        let part = super::millis(self.from, at).clamp(0, whole);
        let x = i128::from(part) * i128::from(CHART) / i128::from(whole);
        NAMES + i64::try_from(x).unwrap_or(CHART)
    }

    fn tick(&self, tenth: i64, bottom: i64) -> Group {
        let x = NAMES + CHART * tenth / 10;
        let at = took(self.length_ms() / 10 * tenth);
        Group::new()
            .add(
                Line::new()
                    .set("x1", x)
                    .set("x2", x)
                    .set("y1", TOP - 4)
                    .set("y2", bottom)
                    .set("stroke", "#d0d7de"),
            )
            .add(
                label(x, TOP - 8, &at)
                    .set("text-anchor", "middle")
                    .set("font-size", 10)
                    .set("fill", "#57606a"),
            )
    }

    fn gap(&self, gap: &super::Gap, bottom: i64) -> Group {
        let (begin, end) = (self.x(gap.from), self.x(gap.to));
        let next = gap.before.as_deref().unwrap_or("now or the end");
        let words = format!(
            "nothing ran for {}: from {} to {next}",
            took(gap.ms),
            gap.after
        );
        Group::new().add(Title::new(harmless(&words))).add(
            Rectangle::new()
                .set("x", begin)
                .set("y", TOP)
                .set("width", (end - begin).max(1))
                .set("height", bottom - TOP)
                .set("fill", "#f6f8fa"),
        )
    }

    fn row(&self, bar: &Bar, y: i64) -> Group {
        let end = bar.to.unwrap_or(self.to);
        let length = took(super::millis(bar.from, end));
        let name = match bar.lane {
            Lane::Sandbox => format!("sandbox #{}", bar.attempt),
            _ => format!("{} {} #{}", bar.lane.as_str(), bar.name, bar.attempt),
        };
        let (x, width) = (self.x(bar.from), (self.x(end) - self.x(bar.from)).max(2));
        let words = format!("{name}: {}, {} to {end} ({length})", bar.result, bar.from);
        Group::new()
            .add(Title::new(harmless(&words)))
            .add(label(8, y + 15, &name))
            .add(
                Rectangle::new()
                    .set("x", x)
                    .set("y", y + 3)
                    .set("width", width)
                    .set("height", ROW - 6)
                    .set("rx", 2)
                    .set("fill", color(bar.outcome, bar.lane)),
            )
            .add(label(
                NAMES + CHART + 8,
                y + 15,
                &format!("{length}  {}", bar.result),
            ))
    }
}

fn label(x: i64, y: i64, text: &str) -> Text {
    Text::new(harmless(text)).set("x", x).set("y", y)
}

fn color(outcome: Outcome, lane: Lane) -> &'static str {
    match (outcome, lane) {
        (_, Lane::Sandbox) => "#8c959f",
        (Outcome::Running, _) => "#0969da",
        (Outcome::Succeeded, _) => "#1a7f37",
        (Outcome::Failed, _) => "#cf222e",
        (Outcome::Unknown, _) => "#9a6700",
    }
}
