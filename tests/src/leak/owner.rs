//! Whose a thing is, by the words that its text holds.

use super::machine;
use super::processes::Process;
use std::collections::BTreeSet;

/// The words of this node and of all others that run.
#[derive(Debug)]
pub(super) struct Owners {
    words: Vec<String>,
    others: BTreeSet<String>,
}

impl Owners {
    /// Others are the cases that run in this process, and every podwright on the machine that is none of ours.
    pub(super) fn of(words: &[&str], processes: &[Process]) -> Self {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let ours = |text: &str| words.iter().any(|w| text.contains(w.as_str()));
        let mut others: BTreeSet<String> =
            machine::live().into_iter().filter(|w| !ours(w)).collect();
        let foreign = processes
            .iter()
            .filter(|p| p.is_podwright() && !p.names(&ours));
        others.extend(foreign.flat_map(Process::places));
        Self { words, others }
    }

    pub(super) fn ours(&self, text: &str) -> bool {
        self.words.iter().any(|w| text.contains(w.as_str()))
    }

    pub(super) fn foreign(&self, text: &str) -> bool {
        self.others.iter().any(|w| text.contains(w.as_str())) || names_a_node(text)
    }

    pub(super) fn alone(&self) -> bool {
        self.others.is_empty()
    }
}

/// Whether a text holds the name of any case's node (`pwt12x0name`): one that is none of ours belongs to another case, of which
/// a case in a PID namespace of its own sees cgroups and files but no process.
fn names_a_node(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    text.split("pwt").skip(1).any(|rest| {
        let first = digits(rest);
        let second = rest.get(first..).and_then(|r| r.strip_prefix('x'));
        first > 0 && second.is_some_and(|r| digits(r) > 0)
    })
}
