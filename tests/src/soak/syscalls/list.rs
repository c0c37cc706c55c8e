//! The lists of points: which calls were seen, which of them change something, and which are covered.
//!
//! ```text
//! <folder>/<op>-<who>.txt      NAME HIGHEST CHANGING COVERED     one line a system call; the last two are counts, as ranges, or -
//! ```

use super::super::life::Op;
use super::super::processes::Who;
use super::ALL;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// One system call: by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The highest count that was seen.
    pub most: u32,
    /// Counts at which it changed something that outlives the process, or waited for somebody else.
    pub changing: BTreeSet<u32>,
    /// Counts at which a kill was survived.
    pub covered: BTreeSet<u32>,
}

/// The list of one operation and process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// By name.
    pub calls: BTreeMap<String, Call>,
}

/// How many points there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Every call of every name.
    pub points: usize,
    /// Those that change something.
    pub changing: usize,
    /// Those of them that are covered.
    pub covered: usize,
    /// Others that are covered all the same.
    pub more: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.points += other.points;
        self.changing += other.changing;
        self.covered += other.covered;
        self.more += other.more;
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} points, {} of which change something: {} of these covered, and {} others",
            self.points, self.changing, self.covered, self.more
        )
    }
}

impl List {
    /// Reads a list; none is an empty one.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut list = Self::default();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let mut words = line.split_whitespace();
            let (Some(name), Some(Ok(most))) = (words.next(), words.next().map(str::parse)) else {
                continue;
            };
            let mut next = || numbers(words.next().unwrap_or_default());
            let (changing, covered) = (next(), next());
            let call = Call {
                most,
                changing,
                covered,
            };
            list.calls.insert(name.to_owned(), call);
        }
        list
    }

    /// Takes in one more recording. Of calls that only wait, what every recording came to stays: how often a process is woken is chance, one
    /// time for two answers and another for each, and a wait changes nothing itself. Of all others, what any recording has seen is kept.
    pub fn join(&mut self, recording: Self) {
        let first = self.calls.is_empty();
        for (name, call) in self.calls.iter_mut().filter(|(name, _)| is_wait(name)) {
            let new = recording.calls.get(name);
            call.changing
                .retain(|n| new.is_some_and(|c| c.changing.contains(n)));
        }
        for (name, new) in recording.calls {
            let wait = is_wait(&name);
            let call = self.calls.entry(name).or_default();
            call.most = call.most.max(new.most);
            if first || !wait {
                call.changing.extend(new.changing);
            }
        }
    }

    /// Writes it, sorted.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut out = format!("# {}\n", self.counts());
        for (name, call) in &self.calls {
            let [changing, covered] = [ranges(&call.changing), ranges(&call.covered)];
            out.push_str(&format!("{name} {} {changing} {covered}\n", call.most));
        }
        let fresh = path.with_extension("new");
        fs::write(&fresh, out)?;
        fs::rename(fresh, path)
    }

    /// How many points it has.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for call in self.calls.values() {
            let covered = call.covered.intersection(&call.changing).count();
            counts.add(Counts {
                points: call.most as usize,
                changing: call.changing.len(),
                covered,
                more: call.covered.len() - covered,
            });
        }
        counts
    }
}

/// Whether a call does nothing but wait until something has come.
fn is_wait(name: &str) -> bool {
    let waits = [
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "poll",
        "ppoll",
        "select",
        "pselect6",
    ];
    waits.contains(&name)
}

fn numbers(text: &str) -> BTreeSet<u32> {
    text.split(',').filter_map(range).flatten().collect()
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u32>> {
    match text.split_once('-') {
        Some((from, to)) => Some(from.parse().ok()?..=to.parse().ok()?),
        None => text.parse().ok().map(|n| n..=n),
    }
}

fn ranges(numbers: &BTreeSet<u32>) -> String {
    let mut out: Vec<(u32, u32)> = Vec::new();
    for n in numbers {
        match out.last_mut().filter(|(_, to)| to + 1 == *n) {
            Some((_, to)) => *to = *n,
            None => out.push((*n, *n)),
        }
    }
    let text = |(from, to): &(u32, u32)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    };
    match out.is_empty() {
        true => "-".to_owned(),
        false => out.iter().map(text).collect::<Vec<_>>().join(","),
    }
}

/// Path of the list of an operation and process.
pub fn path(folder: &Path, op: Op, who: Who) -> PathBuf {
    folder.join(format!("{}-{}.txt", op.as_str(), who.as_str()))
}

/// Enters what shards have noted into the lists; gives the sum over all lists.
pub fn merge(folder: &Path, notes: &[PathBuf]) -> io::Result<Counts> {
    let text: String = notes
        .iter()
        .map(|n| fs::read_to_string(n).unwrap_or_default())
        .collect();
    let mut sum = Counts::default();
    for (op, who) in ALL {
        let path = path(folder, op, who);
        let mut list = List::read(&path);
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [o, w, name, count, "covered"] = words.as_slice() else {
                continue;
            };
            if let (true, Ok(count)) = (*o == op.as_str() && *w == who.as_str(), count.parse()) {
                let call = list.calls.entry((*name).to_owned()).or_default();
                call.most = call.most.max(count);
                call.covered.insert(count);
            }
        }
        if !list.calls.is_empty() {
            list.write(&path)?;
        }
        sum.add(list.counts());
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(most: u32, changing: &[u32], covered: &[u32]) -> Call {
        Call {
            most,
            changing: changing.iter().copied().collect(),
            covered: covered.iter().copied().collect(),
        }
    }

    fn of(calls: &[(&str, Call)]) -> List {
        let calls = calls.iter().map(|(n, c)| ((*n).to_owned(), c.clone()));
        List {
            calls: calls.collect(),
        }
    }

    #[test]
    fn of_waits_what_every_recording_came_to_is_kept_and_of_others_what_any_has_seen() {
        let mut list = List::default();
        list.join(of(&[
            ("epoll_wait", call(4, &[1, 2, 3, 4], &[])),
            ("write", call(2, &[1, 2], &[])),
            ("ppoll", call(1, &[1], &[])),
        ]));
        assert_eq!(
            list.calls["epoll_wait"].changing.len(),
            4,
            "the first recording counts"
        );
        list.join(of(&[
            ("epoll_wait", call(3, &[1, 2, 3], &[])),
            ("write", call(3, &[1, 3], &[])),
            ("poll", call(1, &[1], &[])),
            ("rename", call(1, &[1], &[])),
        ]));
        let expected = of(&[
            ("epoll_wait", call(4, &[1, 2, 3], &[])),
            ("write", call(3, &[1, 2, 3], &[])),
            ("ppoll", call(1, &[], &[])),
            ("poll", call(1, &[], &[])),
            ("rename", call(1, &[1], &[])),
        ]);
        assert_eq!(list, expected);
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let list = of(&[
            ("openat", call(9, &[2, 3, 9], &[2, 5])),
            ("read", call(3, &[], &[])),
        ]);
        let path = std::env::temp_dir().join(format!("pw-list-{}", std::process::id()));
        list.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("openat 9 2-3,9 2,5\nread 3 - -\n"), "{text}");
        assert_eq!(List::read(&path), list);
        let counts = list.counts();
        assert_eq!(
            (counts.points, counts.changing, counts.covered, counts.more),
            (12, 3, 1, 1)
        );
        fs::remove_file(path).unwrap();
    }
}
