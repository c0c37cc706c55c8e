use super::*;
use crate::testing::{at, draft, observed, pod, record, steps};
use serde_json::json;

const SECOND: i64 = 1000;

fn after(ms: i64) -> Timestamp {
    at(100) + SignedDuration::from_millis(ms)
}

#[test]
fn a_second_wish_to_end_counts_where_it_comes_sooner_by_a_second_and_still_leaves_two() {
    let pod = pod(json!({ "containers": [{ "name": "a", "image": "i" }] }));
    let observed = observed(vec![record("a", RunState::Running)]);
    for (deadline, asked, wish, at_once, grace, then) in [
        // Not asked yet: the sooner one of both holds.
        (10_000, false, 5000, false, Some(5000), 5000),
        (5000, false, 10_000, false, Some(5000), 5000),
        (10_000, false, 500, false, Some(2000), 2000),
        // Asked: only what is sooner by a second is another wish.
        (10_000, true, 10_000, false, None, 10_000),
        (10_000, true, 9500, false, None, 10_000),
        (10_000, true, 9001, false, None, 10_000),
        (10_000, true, 9000, false, Some(9000), 9000),
        (10_000, true, 5000, false, Some(5000), 5000),
        (10_000, true, 20_000, false, None, 10_000),
        // Whatever is asked now has two seconds.
        (2500, true, 0, false, None, 2500),
        (3000, true, 0, false, Some(2000), 2000),
        (10_000, true, 0, true, Some(0), 0),
        // Less than a second is no other wish, even at once.
        (900, true, 0, true, None, 900),
        // Long over, and it runs still: killed.
        (-9000, true, 0, false, None, -9000),
        (-10_000, true, 0, false, Some(0), 0),
    ] {
        let mut draft = draft(&pod, &observed, at(100));
        let record = &observed.runtime.containers[0];
        let before = Stopping {
            deadline: after(deadline),
            asked,
            hook: PreStop::Over,
        };
        draft.memory.stopping.insert(record.id.clone(), before);
        let end = End {
            deadline: after(wish),
            at_once,
            turn: true,
            message: "",
        };
        draft.stop(record, end);
        let text = format!("{deadline} {asked} {wish} {at_once}");
        let stop = grace.map(|ms| format!("stop a-0 {ms}"));
        assert_eq!(steps(&draft), Vec::from_iter(stop), "{text}");
        let stopping = &draft.memory.stopping[&record.id];
        assert_eq!(stopping.deadline, after(then), "{text}");
        assert_eq!(stopping.asked, asked && grace.is_none(), "{text}");
        assert_eq!(draft.wake_at, Some(after(then + 10 * SECOND)), "{text}");
    }
}

#[test]
fn a_hook_runs_only_in_what_runs_and_has_time_left() {
    let hooked = json!({ "name": "a", "image": "i", "lifecycle": { "preStop": { "exec": { "command": ["x"] } } } });
    let pod = pod(json!({ "containers": [hooked] }));
    for (state, wish, at_once, runs) in [
        (RunState::Running, 5000, false, true),
        (RunState::Running, 1, false, true),
        (RunState::Running, 0, false, false),
        (RunState::Running, 5000, true, false),
        (RunState::Created, 5000, false, false),
        (RunState::Unknown, 5000, false, false),
    ] {
        let observed = observed(vec![record("a", state)]);
        let mut draft = draft(&pod, &observed, at(100));
        let end = End {
            deadline: after(wish),
            at_once,
            turn: true,
            message: "told",
        };
        draft.stop(&observed.runtime.containers[0], end);
        let hook = steps(&draft).iter().any(|s| s == "pre-stop hook of a-0");
        assert_eq!(hook, runs, "{state:?} {wish} {at_once}");
        assert_eq!(draft.events.len(), 1);
    }
}
