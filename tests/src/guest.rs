//! Where a case runs: on the host, in the guest of `hack/vm`, or both; see `tests/labels`.

use std::fs;

/// The file that says it.
pub const LABELS: &str = include_str!("../labels");

/// Where a case runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the host and in the guest.
    Both,
    /// On the host only.
    Host,
    /// Where there is cgroup v2.
    V2,
    /// In the guest only: it does to a machine what nobody's own shall suffer.
    Guest,
    /// In the guest only, by `hack/vm` itself.
    Boots,
}

/// One row of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// Where it runs.
    pub place: Place,
    /// A topic, or a case.
    pub name: &'a str,
    /// Why not in both places.
    pub why: &'a str,
}

impl Label<'_> {
    /// Whether it is about that case.
    pub fn covers(&self, case: &str) -> bool {
        case.strip_prefix(self.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// All rows; a line that is none is the error.
pub fn labels(text: &str) -> Result<Vec<Label<'_>>, String> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (place, rest) = line.split_once(' ').unwrap_or((line, ""));
            let (name, why) = rest
                .trim_start()
                .split_once(' ')
                .unwrap_or((rest.trim_start(), ""));
            let place = match place {
                "both" => Place::Both,
                "host" => Place::Host,
                "v2" => Place::V2,
                "guest" => Place::Guest,
                "boots" => Place::Boots,
                other => return Err(format!("no such place: {other:?} in {line:?}")),
            };
            let why = why.trim();
            match (name, place, why) {
                ("", ..) => Err(format!("no name in {line:?}")),
                (_, Place::Host | Place::V2 | Place::Guest | Place::Boots, "") => {
                    Err(format!("no reason in {line:?}"))
                }
                _ => Ok(Label { place, name, why }),
            }
        })
        .collect()
}

/// Fails unless this is the guest of `hack/vm`: what follows changes the machine.
#[track_caller]
pub fn only_in_the_guest() {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    assert!(
        text.lines().any(|l| l == "ID=podwright-guest"),
        "this case changes the machine: it runs only in the guest of hack/vm"
    );
}

/// The row that counts for a case: the longest that is about it.
pub fn label_of<'a, 'b>(labels: &'a [Label<'b>], case: &str) -> Option<&'a Label<'b>> {
    labels
        .iter()
        .filter(|l| l.covers(case))
        .max_by_key(|l| l.name.len())
}
