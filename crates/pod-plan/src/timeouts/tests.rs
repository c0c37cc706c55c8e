use super::*;
use crate::testing::{at, ended, observed, record};

#[test]
fn an_attempt_that_took_too_long_says_so_before_its_own_words_and_never_succeeds() {
    for (code, said, late_by, told) in [
        (
            0,
            "",
            0,
            (
                124,
                REASON,
                "did not end within 10s; then it ended with exit code 0",
            ),
        ),
        (
            0,
            "done",
            5,
            (
                124,
                REASON,
                "did not end within 10s; then it ended with exit code 0: done",
            ),
        ),
        (7, "", 5, (7, REASON, "did not end within 10s")),
        (7, "no", 5, (7, REASON, "did not end within 10s: no")),
        // It came to its own end before that.
        (0, "", -1, (0, "Completed", "")),
        (7, "no", -1, (7, "Completed", "no")),
    ] {
        let mut record = ended("a", code);
        let exit = record.exit.as_mut().unwrap();
        exit.message = said.to_owned();
        exit.finished_at = Some(at(10 + late_by));
        let mut runtime = observed(vec![record]).runtime;
        let overdue = Overdue {
            at: at(10),
            limit: "10s".to_owned(),
        };
        let mut memory = Memory::default();
        memory.overdue.insert("a-0".into(), overdue);
        seen(&memory, &mut runtime);
        let exit = runtime.containers[0].exit.as_ref().unwrap();
        let now = (exit.code, exit.reason.as_str(), exit.message.as_str());
        assert_eq!(now, told);
    }
}

#[test]
fn what_runs_on_or_had_time_enough_is_seen_as_it_is() {
    let overdue = Overdue {
        at: at(10),
        limit: "10s".to_owned(),
    };
    let mut memory = Memory::default();
    memory.overdue.insert("a-0".into(), overdue);
    for record in [record("a", RunState::Running), ended("b", 0)] {
        let mut runtime = observed(vec![record]).runtime;
        let before = runtime.clone();
        seen(&memory, &mut runtime);
        assert_eq!(runtime, before);
    }
}
