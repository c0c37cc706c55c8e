//! Every case has its place, and every name in `tests/labels` is a case's or a topic's.

use e2e::guest::{LABELS, Place, label_of, labels};
use std::process::Command;

fn cases() -> Vec<String> {
    let listed = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_case_has_a_place_and_every_name_is_a_case_or_a_topic() {
    let rows = labels(LABELS).unwrap();
    let cases = cases();
    assert!(cases.len() > 10, "{cases:?}");
    for case in &cases {
        assert!(
            label_of(&rows, case).is_some(),
            "{case} has no row in tests/labels: add one for its topic"
        );
    }
    for row in &rows {
        assert!(
            cases.iter().any(|case| row.covers(case)),
            "tests/labels names {}, which is no case and no topic",
            row.name
        );
        let same = rows.iter().filter(|r| r.name == row.name).count();
        assert_eq!(same, 1, "tests/labels names {} more than once", row.name);
    }
}

#[test]
fn the_longer_name_counts_and_a_row_needs_a_reason() {
    let rows = labels("# all\nboth  a\nhost  a::b::c  for a reason\n").unwrap();
    let place = |case| label_of(&rows, case).map(|l| l.place);
    assert_eq!(place("a::b"), Some(Place::Both));
    assert_eq!(place("a::b::c"), Some(Place::Host));
    assert_eq!(place("a::b::cd"), Some(Place::Both));
    assert_eq!(place("ab::c"), None);
    for bad in ["host a", "both", "elsewhere a why", "boots a  "] {
        assert!(labels(bad).is_err(), "{bad}");
    }
}
