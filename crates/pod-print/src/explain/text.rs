//! The explanation for a person.

use super::{About, Explanation, LastExit};
use crate::duration::since;
use crate::tabs::{Indented, align};
use jiff::Timestamp;

impl Explanation {
    /// As text: one sentence, then what is known, a line each.
    pub fn text(&self, now: Timestamp) -> String {
        let mut out = Indented::new();
        out.line(
            0,
            format!("{} is {}: {}.", self.pod, self.status, self.summary),
        );
        if let Some(about) = &self.container {
            container(&mut out, about, now);
        }
        if let Some(at) = self.next_at {
            let ms = i64::try_from(at.duration_since(now).as_millis()).unwrap_or(i64::MAX);
            let left = crate::timeline::took(ms);
            out.line(
                1,
                format!("next look\tat {}, in {left}", at.strftime("%H:%M:%SZ")),
            );
        }
        list(&mut out, "plan", &self.why);
        list(&mut out, "not true", &self.not_ready);
        list(&mut out, "warnings", &self.warnings);
        list(&mut out, "try", &self.try_next);
        align(&out.into_text(), 0, 3)
    }
}

fn container(out: &mut Indented, about: &About, now: Timestamp) {
    out.line(1, format!("waiting for\t{}", about.waiting_on));
    if about.restarts > 0 {
        out.line(1, format!("restarts\t{}", about.restarts));
    }
    if let Some(exit) = &about.last_exit {
        out.line(1, format!("last exit\t{}", exit_words(exit, now)));
        if !exit.message.is_empty() {
            let lines: Vec<String> = exit.message.lines().map(str::to_owned).collect();
            list(out, "it said", &lines);
        }
    }
    list(out, "last lines", &about.last_lines);
}

fn exit_words(exit: &LastExit, now: Timestamp) -> String {
    let mut words = format!("attempt {}: exit code {}", exit.attempt, exit.code);
    if let Some(signal) = exit.signal {
        words.push_str(&format!(", signal {signal}"));
    }
    if exit.out_of_memory {
        words.push_str(", out of memory: the kernel killed it at its memory limit");
    } else if !exit.reason.is_empty() {
        words.push_str(&format!(" ({})", exit.reason));
    }
    if let Some(at) = exit.at {
        words.push_str(&format!(", {} ago", since(Some(at), now)));
    }
    words
}

/// The title before the first line, the others below it.
fn list(out: &mut Indented, title: &str, lines: &[String]) {
    for (i, line) in lines.iter().enumerate() {
        let title = if i == 0 { title } else { "" };
        out.line(1, format!("{title}\t{}", line.replace('\t', " ")));
    }
}
