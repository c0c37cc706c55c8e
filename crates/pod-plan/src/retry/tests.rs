use super::*;
use jiff::Timestamp;
use pod_model::status::{Condition, Terminated};

fn pod(policy: &str) -> Pod {
    let json = serde_json::json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {
            "restartPolicy": policy,
            "initContainers": [{"name": "a"}, {"name": "s", "restartPolicy": "Always"}, {"name": "b"}, {"name": "c"}],
            "containers": [{"name": "x"}, {"name": "y"}],
        },
    });
    serde_json::from_value(json).expect("a pod")
}

fn memory(phase: Phase, codes: &[(&str, i32)]) -> Memory {
    let status = |(name, code): &(&str, i32)| ContainerStatus {
        name: (*name).into(),
        state: ContainerState {
            terminated: Some(Terminated {
                exit_code: *code,
                finished_at: Some(Timestamp::UNIX_EPOCH),
                ..Terminated::default()
            }),
            ..ContainerState::default()
        },
        ..ContainerStatus::default()
    };
    let mut memory = Memory::default();
    memory.status.phase = Some(phase);
    memory.status.init_container_statuses = codes.iter().map(status).collect();
    memory
}

#[test]
fn a_failed_pod_goes_on_at_what_failed_and_skips_what_succeeded() {
    let told = |policy, codes: &[(&str, i32)], from: Option<&str>| {
        let mut memory = memory(Phase::Failed, codes);
        let from = from.map(ContainerName::from);
        let retried = memory.retry(&pod(policy), from.as_ref());
        retried.map(|(r, _)| r.text()).map_err(|e| e.to_string())
    };
    for (codes, from, text) in [
        (&[("a", 0), ("b", 1)][..], None, "Goes on at b; skipped: a"),
        (&[("a", 3)], None, "Goes on at a; skipped: none"),
        (
            &[("a", 0), ("b", 0), ("c", 0), ("x", 0), ("y", 2)],
            None,
            "Goes on at y; skipped: a, b, c, x",
        ),
        (
            &[("a", 0), ("b", 0), ("c", 1)],
            Some("b"),
            "Goes on at b; skipped: a",
        ),
        (
            &[("a", 0), ("b", 0), ("c", 1)],
            Some("s"),
            "Goes on at s; skipped: a",
        ),
        (
            &[("a", 0), ("b", 1)],
            Some("a"),
            "Goes on at a; skipped: none",
        ),
    ] {
        assert_eq!(told("Never", codes, from).as_deref(), Ok(text), "{codes:?}");
    }
    for (codes, from, text) in [
        (
            &[("a", 0), ("b", 1)][..],
            "c",
            "init container \"b\", which comes before \"c\", has not succeeded yet; begin there",
        ),
        (
            &[("a", 0)],
            "x",
            "pod \"p\" has no init container \"x\"; it has: a, s, b, c",
        ),
    ] {
        let refused = told("Never", codes, Some(from));
        assert_eq!(refused.expect_err("a refusal"), text);
    }
}

#[test]
fn where_nothing_failed_there_is_nothing_to_try_again() {
    for phase in [Phase::Pending, Phase::Running, Phase::Succeeded] {
        let mut memory = memory(phase, &[("a", 0)]);
        let before = memory.clone();
        let refused = memory.retry(&pod("Never"), None).expect_err("a refusal");
        assert!(refused.to_string().contains(phase.as_str()), "{refused}");
        assert_eq!(memory, before);
    }
    let mut deleted = pod("Never");
    deleted.metadata.deletion_timestamp = Some(Timestamp::UNIX_EPOCH);
    let refused = memory(Phase::Failed, &[("a", 1)]).retry(&deleted, None);
    assert_eq!(refused, Err(RetryError::Deleted("p".to_owned())));
}

#[test]
fn an_app_that_ended_well_runs_again_where_its_policy_always_does() {
    let codes = [("a", 0), ("b", 0), ("c", 0), ("x", 0), ("y", 2)];
    let mut memory = memory(Phase::Failed, &codes);
    let (retried, _) = memory.retry(&pod("Always"), None).expect("a second chance");
    assert_eq!(retried.text(), "Goes on at x, y; skipped: a, b, c");
}

#[test]
fn only_the_way_to_initialized_begins_anew_with_a_second_chance() {
    let mut memory = memory(Phase::Failed, &[("a", 0), ("b", 1)]);
    for kind in ["Initialized", "PodScheduled"] {
        memory.status.conditions.push(Condition {
            kind: kind.to_owned(),
            ..Condition::default()
        });
    }
    memory.retry(&pod("Never"), None).expect("a second chance");
    let left: Vec<&str> = memory
        .status
        .conditions
        .iter()
        .map(|c| c.kind.as_str())
        .collect();
    assert_eq!(left, ["PodScheduled"]);
}

#[test]
fn what_begins_anew_waits_for_the_pod_and_the_rest_stays_as_it_is() {
    let mut status = memory(Phase::Failed, &[("a", 0), ("b", 1)]).status;
    let before = status.clone();
    forget_ends(&mut status, &["a".into()].into());
    let [a, b] = status.init_container_statuses.as_slice() else {
        panic!("two statuses");
    };
    assert_eq!(*a, before.init_container_statuses[0]);
    assert_eq!(b.state.terminated, None);
    let waiting = b.state.waiting.as_ref().expect("it waits");
    assert_eq!(waiting.reason, "PodInitializing");
}

/// Of the second chance that skips `a` and `b` in sandbox `s`, beside those records: which of `a`, `b`, `c` are seen.
fn seen_beside(
    records: Vec<ContainerRecord>,
    probed: bool,
    up: Option<ProbeResult>,
) -> Vec<String> {
    let mut pod = pod("Never");
    if probed {
        pod.spec.init_containers[1].startup_probe = Some(Default::default());
    }
    let mut memory = memory(Phase::Pending, &[("a", 0), ("b", 0)]);
    memory.retry = Some(Retry {
        skip: ["a".into(), "b".into()].into(),
        stage: Stage::In("s".into()),
    });
    let mut observed = crate::testing::observed(records);
    observed.probes.startup.extend(up.map(|r| ("s".into(), r)));
    let mut runtime = observed.runtime.clone();
    seen(&memory, &pod, &observed, &mut runtime);
    let inits = ["a", "b", "c"].into_iter();
    inits
        .filter(|name| runtime.newest(&(*name).into()).is_some())
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_is_skipped_after_a_sidecar_is_seen_as_done_once_that_is_up_or_something_later_has_begun() {
    use ProbeResult::{Failure, Success};
    use RunState::{Created, Exited, Running};
    let elsewhere = |name: &str, state| {
        let mut record = crate::testing::record(name, state);
        record.sandbox = "before".into();
        record
    };
    let record = |name: &str, state| crate::testing::record(name, state);
    let (hidden, all) = (&["a"][..], &["a", "b"][..]);
    for (records, probed, up, seen) in [
        (vec![], false, None, hidden),
        (vec![record("s", Running)], false, None, all),
        (vec![record("s", Created)], false, None, hidden),
        (vec![record("s", Exited)], false, None, hidden),
        (vec![elsewhere("s", Running)], false, None, hidden),
        (vec![record("s", Running)], true, None, hidden),
        (vec![record("s", Running)], true, Some(Failure), hidden),
        (vec![record("s", Running)], true, Some(Success), all),
        (vec![], true, Some(Success), hidden),
        // It was up before: an app has begun here, or the init container after it.
        (vec![record("x", Running)], false, None, all),
        (vec![record("y", Exited)], true, Some(Failure), all),
        (vec![elsewhere("x", Running)], false, None, hidden),
        (vec![record("c", Running)], false, None, &["a", "b", "c"]),
        (vec![elsewhere("c", Exited)], false, None, &["a", "c"]),
        // What is earlier, or it itself, tells nothing.
        (vec![record("a", Exited)], false, None, hidden),
        (vec![record("b", Exited)], false, None, hidden),
        (vec![elsewhere("b", Exited)], false, None, hidden),
    ] {
        let text = format!("{records:?} {probed} {up:?}");
        assert_eq!(seen_beside(records, probed, up), seen, "{text}");
    }
}

#[test]
fn a_sidecar_that_begins_the_list_hides_all_that_follows_until_it_is_up() {
    let json = serde_json::json!({
        "metadata": {"name": "p", "uid": "u"},
        "spec": {
            "initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "a"}],
            "containers": [{"name": "x"}],
        },
    });
    let pod: Pod = serde_json::from_value(json).expect("a pod");
    let mut memory = memory(Phase::Pending, &[("a", 0)]);
    memory.retry = Some(Retry {
        skip: ["a".into()].into(),
        stage: Stage::In("s".into()),
    });
    for (records, known) in [
        (vec![], false),
        (vec![record_of("s")], true),
        (vec![record_of("x")], true),
    ] {
        let observed = crate::testing::observed(records);
        let mut runtime = observed.runtime.clone();
        seen(&memory, &pod, &observed, &mut runtime);
        assert_eq!(runtime.newest(&"a".into()).is_some(), known);
    }
}

fn record_of(name: &str) -> ContainerRecord {
    crate::testing::record(name, RunState::Running)
}
