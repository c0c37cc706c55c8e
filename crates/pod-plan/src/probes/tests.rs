//! Probes over time: a table of outcomes, and a property for any order of them.

use super::*;
use jiff::SignedDuration;
use pod_model::status::{ContainerState, Running};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000 + second).unwrap()
}

fn pod(probes: &str) -> Pod {
    let text = format!(
        r#"{{"metadata": {{"name": "p", "namespace": "default", "uid": "u"}},
            "spec": {{"containers": [{{"name": "a", "image": "i", {probes}}}]}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

/// A status in which attempt `id` of `a` runs since `since`.
fn running(id: &str, since: i64, started: bool, ready: bool) -> PodStatus {
    PodStatus {
        container_statuses: vec![ContainerStatus {
            name: "a".into(),
            container_id: format!("{ID_PREFIX}{id}"),
            started: Some(started),
            ready,
            state: ContainerState {
                running: Some(Running {
                    started_at: Some(at(since)),
                }),
                ..ContainerState::default()
            },
            ..ContainerStatus::default()
        }],
        ..PodStatus::default()
    }
}

fn result(prober: &Prober, id: &str, kind: ProbeKind) -> Option<ProbeResult> {
    prober.findings().0.get(&(id.into(), kind)).copied()
}

/// Plays from `from` to `to` second by second; each run that becomes due ends at once with the next outcome. Gives the seconds of runs.
fn play(prober: &mut Prober, from: i64, to: i64, outcomes: &mut Vec<Outcome>) -> Vec<i64> {
    let mut seconds = Vec::new();
    for second in from..=to {
        let (runs, _) = prober.due(at(second));
        for run in runs {
            seconds.push(second);
            let outcome = if outcomes.is_empty() {
                Outcome::Success
            } else {
                outcomes.remove(0)
            };
            prober.ended(&run, &outcome);
        }
    }
    seconds
}

fn failure() -> Outcome {
    Outcome::Failure("no".to_owned())
}

#[test]
fn a_pod_without_probes_has_no_prober_and_a_plain_init_container_is_not_probed() {
    assert_eq!(Prober::new(&pod(r#""tty": false"#)), None);
    let mut pod = pod(r#""livenessProbe": {"exec": {"command": ["x"]}}"#);
    pod.spec.init_containers = std::mem::take(&mut pod.spec.containers);
    assert_eq!(Prober::new(&pod), None);
    pod.spec.init_containers[0].restart_policy = Some(pod_model::pod::RestartPolicy::Always);
    assert!(Prober::new(&pod).is_some());
}

#[test]
fn the_first_run_comes_after_the_delay_and_the_next_ones_a_period_apart() {
    let pod = pod(r#""livenessProbe": {"initialDelaySeconds": 5, "periodSeconds": 3}"#);
    let mut prober = Prober::new(&pod).unwrap();
    assert_eq!(prober.due(at(0)), (Vec::new(), None));
    prober.see(&running("1", 2, true, false), false);
    assert_eq!(prober.due(at(2)), (Vec::new(), Some(at(7))));
    assert_eq!(play(&mut prober, 2, 14, &mut Vec::new()), [7, 10, 13]);
}

#[test]
fn a_run_that_takes_longer_than_its_period_delays_the_next_one() {
    let pod = pod(r#""livenessProbe": {"periodSeconds": 2}"#);
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, true, false), false);
    let (runs, wake) = prober.due(at(0));
    assert_eq!((runs.len(), wake), (1, None));
    assert_eq!(prober.due(at(4)), (Vec::new(), None));
    prober.ended(&runs[0], &Outcome::Success);
    assert_eq!(prober.due(at(5)).0.len(), 1);
}

#[test]
fn a_result_changes_after_as_many_equal_outcomes_as_its_threshold_says() {
    let pod = pod(
        r#""readinessProbe": {"periodSeconds": 1, "successThreshold": 2, "failureThreshold": 3}"#,
    );
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, true, false), false);
    let kind = ProbeKind::Readiness;
    let wanted = [
        (Outcome::Success, ProbeResult::Failure),
        (failure(), ProbeResult::Failure),
        (Outcome::Success, ProbeResult::Failure),
        (Outcome::Warning("w".to_owned()), ProbeResult::Success),
        (failure(), ProbeResult::Success),
        (failure(), ProbeResult::Success),
        (Outcome::Error("e".to_owned()), ProbeResult::Success),
        (failure(), ProbeResult::Failure),
    ];
    for (second, (outcome, expected)) in (0_i64..).zip(wanted) {
        play(&mut prober, second, second, &mut vec![outcome.clone()]);
        let got = result(&prober, "1", kind);
        assert_eq!(got, Some(expected), "after {outcome:?} at {second}");
    }
}

#[test]
fn startup_gates_the_others_and_rests_until_there_is_another_container() {
    let pod = pod(
        r#""startupProbe": {"periodSeconds": 1, "failureThreshold": 5},
           "livenessProbe": {"periodSeconds": 1}, "readinessProbe": {"periodSeconds": 1}"#,
    );
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, false, false), false);
    let (runs, wake) = prober.due(at(0));
    assert_eq!(
        (runs.len(), runs[0].kind, wake),
        (1, ProbeKind::Startup, None)
    );
    prober.ended(&runs[0], &Outcome::Success);
    assert_eq!(
        result(&prober, "1", ProbeKind::Startup),
        Some(ProbeResult::Success)
    );
    prober.see(&running("1", 0, true, false), false);
    let kinds: Vec<_> = prober.due(at(0)).0.into_iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [ProbeKind::Liveness, ProbeKind::Readiness]);
    // Another attempt begins from the start.
    prober.see(&running("2", 9, false, false), false);
    assert_eq!(
        result(&prober, "2", ProbeKind::Startup),
        Some(ProbeResult::Unknown)
    );
    assert_eq!(prober.due(at(9)).0[0].kind, ProbeKind::Startup);
}

#[test]
fn a_failed_liveness_probe_rests_until_there_is_another_container() {
    let pod = pod(r#""livenessProbe": {"periodSeconds": 1, "failureThreshold": 2}"#);
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, true, false), false);
    let mut outcomes = vec![failure(), failure()];
    assert_eq!(play(&mut prober, 0, 9, &mut outcomes), [0, 1]);
    let kind = ProbeKind::Liveness;
    assert_eq!(result(&prober, "1", kind), Some(ProbeResult::Failure));
    prober.see(&running("2", 10, true, false), false);
    assert_eq!(result(&prober, "2", kind), Some(ProbeResult::Success));
    assert_eq!(result(&prober, "1", kind), None);
    // It needs the full count again.
    let mut outcomes = vec![failure()];
    assert_eq!(play(&mut prober, 10, 10, &mut outcomes), [10]);
    assert_eq!(result(&prober, "2", kind), Some(ProbeResult::Success));
}

#[test]
fn an_outcome_of_an_attempt_that_is_gone_counts_for_nothing() {
    let pod = pod(r#""livenessProbe": {"periodSeconds": 1, "failureThreshold": 1}"#);
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, true, false), false);
    let (runs, _) = prober.due(at(0));
    prober.see(&running("2", 1, true, false), false);
    assert_eq!(prober.ended(&runs[0], &failure()), None);
    assert_eq!(
        result(&prober, "2", ProbeKind::Liveness),
        Some(ProbeResult::Success)
    );
    assert_eq!(prober.due(at(1)).0.len(), 1);
}

#[test]
fn a_pod_that_is_deleted_is_only_asked_whether_it_is_ready() {
    let pod = pod(
        r#""livenessProbe": {"periodSeconds": 1, "failureThreshold": 1}, "readinessProbe": {"periodSeconds": 1}"#,
    );
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, true, true), true);
    let kinds: Vec<_> = prober.due(at(0)).0.into_iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [ProbeKind::Readiness]);
    let mut status = running("1", 0, true, true);
    status.phase = Some(Phase::Failed);
    prober.see(&status, true);
    assert_eq!(prober.due(at(99)), (Vec::new(), None));
}

#[test]
fn what_was_known_before_a_restart_of_the_node_still_holds_and_runs_are_spread() {
    let pod = pod(
        r#""startupProbe": {"periodSeconds": 10}, "livenessProbe": {"periodSeconds": 10}, "readinessProbe": {"periodSeconds": 10}"#,
    );
    let status = running("1", 0, true, true);
    let mut prober = Prober::found_again(&pod, &status, at(100)).unwrap();
    for kind in ProbeKind::ALL {
        assert_eq!(result(&prober, "1", kind), Some(ProbeResult::Success));
    }
    prober.see(&status, false);
    let (runs, wake) = prober.due(at(100));
    assert!(runs.is_empty() && wake.is_some_and(|w| w > at(100) && w <= at(110)));
    assert_eq!(play(&mut prober, 100, 111, &mut Vec::new()).len(), 2);
    // One that was not ready then is not ready now.
    let prober = Prober::found_again(&pod, &running("1", 0, false, false), at(100)).unwrap();
    assert_eq!(
        result(&prober, "1", ProbeKind::Readiness),
        Some(ProbeResult::Failure)
    );
    assert_eq!(
        result(&prober, "1", ProbeKind::Startup),
        Some(ProbeResult::Unknown)
    );
}

#[test]
fn texts_are_those_of_kubernetes() {
    let pod = pod(r#""livenessProbe": {}"#);
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, true, false), false);
    let run = Run {
        kind: ProbeKind::Liveness,
        name: "a".into(),
        id: "1".into(),
    };
    for (outcome, reason, text) in [
        (failure(), "Unhealthy", "Liveness probe failed: no"),
        (
            Outcome::Warning("w".to_owned()),
            "ProbeWarning",
            "Liveness probe warning: w",
        ),
        (
            Outcome::Error("e".to_owned()),
            "Unhealthy",
            "Liveness probe errored and resulted in unknown state: e",
        ),
    ] {
        let event = prober.ended(&run, &outcome).unwrap();
        assert_eq!(
            (event.reason.as_str(), event.message.as_str()),
            (reason, text)
        );
        assert_eq!(event.field_path, "spec.containers{a}");
    }
    assert_eq!(prober.ended(&run, &Outcome::Success), None);
}

proptest! {
    /// Whatever comes: the result is what the last long enough row of equal outcomes says, and nothing runs twice in a period.
    #[test]
    fn the_result_is_that_of_the_last_row_that_reached_its_threshold(
        outcomes in prop::collection::vec(any::<bool>(), 1..60),
        success in 1_u32..4, failure_threshold in 1_u32..4, period in 1_i64..5,
    ) {
        let pod = pod(&format!(
            r#""readinessProbe": {{"periodSeconds": {period}, "successThreshold": {success}, "failureThreshold": {failure_threshold}}}"#
        ));
        let mut prober = Prober::new(&pod).unwrap();
        prober.see(&running("1", 0, true, false), false);
        let mut expected = ProbeResult::Failure;
        let (mut row, mut last) = (0_u32, None);
        let mut now = at(0);
        for good in outcomes {
            let (runs, _) = prober.due(now);
            prop_assert_eq!(runs.len(), 1);
            prop_assert_eq!(prober.due(now), (Vec::new(), None));
            let outcome = if good { Outcome::Success } else { failure() };
            prober.ended(&runs[0], &outcome);
            row = if last == Some(good) { row + 1 } else { 1 };
            last = Some(good);
            match good {
                true if row >= success => expected = ProbeResult::Success,
                false if row >= failure_threshold => expected = ProbeResult::Failure,
                _ => {}
            }
            prop_assert_eq!(result(&prober, "1", ProbeKind::Readiness), Some(expected));
            let (_, wake) = prober.due(now);
            prop_assert_eq!(wake, Some(now + SignedDuration::from_secs(period)));
            now = wake.unwrap();
        }
    }
}

#[test]
fn results_speak_only_of_the_attempt_that_runs() {
    let id = |n: u32| ContainerId::new(format!("a-{n}"));
    let findings = Findings(
        [
            ((id(0), ProbeKind::Liveness), ProbeResult::Failure),
            ((id(1), ProbeKind::Readiness), ProbeResult::Success),
            ((id(1), ProbeKind::Startup), ProbeResult::Failure),
        ]
        .into(),
    );
    let attempt = |n: u32, state| {
        let mut record = crate::testing::record("a", state);
        record.id = id(n);
        record
    };
    for (state, known) in [(RunState::Running, true), (RunState::Exited, false)] {
        let runtime = PodRuntime {
            sandboxes: Vec::new(),
            containers: vec![attempt(1, state), attempt(0, RunState::Exited)],
        };
        let results = findings.results(&runtime);
        let of = |list: &BTreeMap<ContainerName, ProbeResult>| list.get("a").copied();
        assert_eq!(of(&results.liveness), None);
        let ready = known.then_some(ProbeResult::Success);
        assert_eq!(of(&results.readiness), ready, "{state:?}");
        let started = known.then_some(ProbeResult::Failure);
        assert_eq!(of(&results.startup), started, "{state:?}");
    }
}

#[test]
fn the_next_run_is_moved_with_the_clock() {
    let pod = pod(r#""livenessProbe": {"initialDelaySeconds": 5, "periodSeconds": 3}"#);
    let mut prober = Prober::new(&pod).unwrap();
    prober.see(&running("1", 0, true, false), false);
    assert_eq!(play(&mut prober, 0, 6, &mut Vec::new()), [5]);
    prober.clock_was_set(SignedDuration::from_secs(100));
    assert_eq!(prober.due(at(106)), (Vec::new(), Some(at(108))));
}

#[test]
fn runs_are_spread_by_a_hash_that_anybody_can_check() {
    // FNV-1a of 32 bits.
    for (text, hash) in [
        ("", 0x811c_9dc5_u32),
        ("a", 0xe40c_292c),
        ("foobar", 0xbf9c_f968),
    ] {
        let share = f64::from(hash) / f64::from(u32::MAX);
        assert!((spread(text) - share).abs() < 1e-9, "{text}");
    }
}

#[test]
fn senseless_times_and_thresholds_are_as_the_defaults() {
    for (given, seconds) in [(0, [0, 10, 20]), (-1, [0, 10, 20]), (4, [4, 8, 12])] {
        let times = format!(
            r#""livenessProbe": {{"periodSeconds": {given}, "initialDelaySeconds": {given}, "failureThreshold": {given}}}"#
        );
        let mut prober = Prober::new(&pod(&times)).unwrap();
        prober.see(&running("1", 0, true, false), false);
        let mut outcomes = vec![failure(), failure()];
        let runs = play(&mut prober, 0, seconds[1], &mut outcomes);
        assert_eq!(runs, seconds[..2], "{given}");
        let after = result(&prober, "1", ProbeKind::Liveness);
        assert_eq!(after, Some(ProbeResult::Success), "{given}");
        if given <= 0 {
            let runs = play(&mut prober, 11, seconds[2], &mut vec![failure()]);
            assert_eq!(runs, [20]);
            let after = result(&prober, "1", ProbeKind::Liveness);
            assert_eq!(after, Some(ProbeResult::Failure), "{given}");
        }
    }
}

#[test]
fn nothing_is_probed_in_a_pod_that_has_ended() {
    let pod = pod(r#""livenessProbe": {"periodSeconds": 3}"#);
    for (phase, runs) in [(Phase::Running, &[0, 3, 6][..]), (Phase::Failed, &[])] {
        let mut prober = Prober::new(&pod).unwrap();
        let mut status = running("1", 0, true, false);
        prober.see(&status, false);
        status.phase = Some(phase);
        prober.see(&status, false);
        let seconds = play(&mut prober, 0, 8, &mut Vec::new());
        assert_eq!(seconds, runs, "{phase:?}");
    }
}

#[test]
fn what_was_found_for_good_stays_when_the_container_ends() {
    let ended = |id: &str| {
        let mut status = running(id, 0, true, false);
        status.container_statuses[0].state = ContainerState::default();
        status
    };
    // A startup probe that has succeeded; a liveness probe of a pod that is being deleted; one that is neither.
    for (probe, kind, started, deleted, left) in [
        (
            "startupProbe",
            ProbeKind::Startup,
            false,
            false,
            ProbeResult::Success,
        ),
        (
            "livenessProbe",
            ProbeKind::Liveness,
            true,
            true,
            ProbeResult::Success,
        ),
        (
            "livenessProbe",
            ProbeKind::Liveness,
            true,
            false,
            ProbeResult::Failure,
        ),
    ] {
        let pod = pod(&format!(r#""{probe}": {{"periodSeconds": 3}}"#));
        let mut prober = Prober::new(&pod).unwrap();
        prober.see(&running("1", 0, started, false), deleted);
        play(&mut prober, 0, 1, &mut vec![Outcome::Success]);
        prober.see(&ended("1"), deleted);
        assert_eq!(result(&prober, "1", kind), Some(left), "{probe} {deleted}");
    }
}
