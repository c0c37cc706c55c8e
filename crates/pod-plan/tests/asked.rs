//! What pods ask of podwright by annotation, played in virtual time.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod world;

use pod_model::ids::ContainerId;
use pod_model::pod::Pod;
use pod_model::runtime::RunState;
use pod_model::status::Phase;
use serde_json::json;
use world::{Behaviour, World, pod};

fn asking(policy: &str, key: &str, value: &str) -> Pod {
    pod(json!({
        "metadata": {
            "name": "p", "namespace": "ns", "uid": "u",
            "annotations": { key: value },
        },
        "spec": {
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": 5,
            "initContainers": [{ "name": "a" }, { "name": "b" }],
            "containers": [{ "name": "app" }],
        },
    }))
}

fn timed(policy: &str) -> Pod {
    asking(policy, "podwright.io/init-timeout", "a=10s, b=1m")
}

fn steps(world: &World, word: &str) -> Vec<(f64, String)> {
    let all = world.log.iter().filter(|(_, s)| s.starts_with(word));
    all.cloned().collect()
}

/// `a` runs on the first times, and ends so at the stop signal.
fn a_runs_on(times: u32, stops: Option<(u64, i32)>) -> impl Fn(&str, u32) -> Behaviour {
    move |name, attempt| match name {
        "a" if attempt < times => Behaviour {
            stops,
            ..Behaviour::forever()
        },
        "app" => Behaviour::forever(),
        _ => Behaviour::exits(1000, 0),
    }
}

#[test]
fn an_attempt_that_takes_too_long_is_ended_and_fails_whatever_it_returns() {
    for (stops, code, ended) in [
        (Some((100, 0)), 124, 10.1),
        (Some((100, 7)), 7, 10.1),
        (None, 137, 15.0),
    ] {
        let mut world = World::new(timed("Never"), a_runs_on(1, stops));
        world.play_until(100.0);
        assert_eq!(world.phase(), Phase::Failed, "{stops:?}");
        assert_eq!(steps(&world, "stop a"), [(10.0, "stop a 5000".to_owned())]);
        let end = world.container("a").state.terminated.clone();
        let end = end.expect("its end");
        assert_eq!((end.reason.as_str(), end.exit_code), ("InitTimeout", code));
        assert!(end.message.starts_with("did not end within 10s"), "{end:?}");
        let took = end
            .finished_at
            .unwrap()
            .duration_since(end.started_at.unwrap());
        assert!((took.as_secs_f64() - ended).abs() < 0.01, "{took}");
        let told = world
            .events
            .iter()
            .filter(|(_, reason, _)| reason == "InitTimeout");
        let told: Vec<&str> = told.map(|(_, _, text)| text.as_str()).collect();
        assert_eq!(told, ["Init container a did not end within 10s"]);
    }
}

#[test]
fn it_is_tried_again_as_the_policy_says_and_each_attempt_has_its_own_time() {
    let mut world = World::new(timed("OnFailure"), a_runs_on(2, Some((0, 0))));
    world.play_until(300.0);
    let starts: Vec<f64> = steps(&world, "start a ")
        .iter()
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(starts, [0.0, 10.0, 30.0]);
    assert_eq!(world.phase(), Phase::Running);
}

#[test]
fn what_ends_in_time_is_no_failure_and_the_end_outlives_a_restart_of_the_daemon() {
    let mut world = World::new(timed("Never"), |name: &str, _| match name {
        "a" => Behaviour::exits(9_999, 0),
        "b" => Behaviour::exits(1000, 0),
        _ => Behaviour::forever(),
    });
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Running);

    let mut world = World::new(timed("Never"), a_runs_on(1, Some((3000, 0))));
    world.play_until(11.0);
    world.restart_daemon();
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    let end = world.container("a").state.terminated.clone();
    assert_eq!(end.expect("its end").reason, "InitTimeout");
}

#[test]
fn a_failed_pod_that_is_kept_has_its_sandbox_until_it_is_deleted() {
    let kept = asking("Never", "podwright.io/keep-failed", "true");
    let script = |name: &str, _| match name {
        "a" => Behaviour::exits(1000, 0),
        _ => Behaviour::exits(1000, 3),
    };
    let mut world = World::new(kept, script);
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    assert!(world.observed.runtime.sandboxes[0].ready);
    // What was made to look into it stays, too.
    let mut look = world.observed.runtime.containers[0].clone();
    look.id = ContainerId::new("look");
    look.name = "b.debug".into();
    look.state = RunState::Running;
    look.exit = None;
    world.observed.runtime.containers.insert(0, look);
    world.restart_daemon();
    let before = world.log.len();
    let plan = pod_plan::plan::plan(&world.pod, &world.observed, world.now);
    let verbs: Vec<String> = plan.steps.iter().map(pod_plan::step::Step::label).collect();
    assert_eq!(verbs, Vec::<String>::new());
    world.delete(30);
    world.play_until(200.0);
    assert!(world.removed);
    let rest: Vec<&str> = world.log[before..]
        .iter()
        .map(|(_, s)| s.as_str())
        .collect();
    assert_eq!(rest, ["stop b.debug 0", "stop sandbox s1", "remove pod"]);
}

#[test]
fn only_a_failed_pod_is_kept() {
    let kept = asking("Never", "podwright.io/keep-failed", "true");
    let mut world = World::new(kept, |_: &str, _| Behaviour::exits(1000, 0));
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Succeeded);
    assert!(!world.observed.runtime.sandboxes[0].ready);
}
