//! Second chances, played in virtual time.

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

use pod_model::ids::ContainerName;
use pod_model::pod::Pod;
use pod_model::runtime::PodRuntime;
use pod_model::status::Phase;
use pod_plan::retry::Retried;
use serde_json::json;
use world::{Behaviour, World, pod};

fn three(policy: &str) -> Pod {
    pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": 30,
            "initContainers": [{ "name": "a" }, { "name": "b" }, { "name": "c" }],
            "containers": [{ "name": "app" }],
        },
    }))
}

/// `b` fails the first times.
fn b_fails(times: u32) -> impl Fn(&str, u32) -> Behaviour {
    move |name, attempt| match name {
        "b" if attempt < times => Behaviour::exits(1000, 3),
        "app" => Behaviour::forever(),
        _ => Behaviour::exits(1000, 0),
    }
}

fn retry(world: &mut World, from: Option<&str>) -> Retried {
    let from = from.map(ContainerName::from);
    let pod = world.pod.clone();
    let memory = &mut world.observed.memory;
    memory
        .retry(&pod, from.as_ref())
        .expect("a second chance")
        .0
}

fn starts(world: &World) -> Vec<&str> {
    let all = world.log.iter().map(|(_, s)| s.as_str());
    all.filter_map(|s| s.strip_prefix("start ")).collect()
}

#[test]
fn a_failed_pod_goes_on_at_the_init_container_that_failed_in_another_sandbox() {
    let mut world = World::new(three("Never"), b_fails(1));
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    let retried = retry(&mut world, None);
    assert_eq!(retried.text(), "Goes on at b; skipped: a");
    world.play_until(200.0);
    assert_eq!(starts(&world), ["a 0", "b 0", "b 1", "c 0", "app 0"]);
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.condition("Initialized").0, "True");
    let a = world.container("a");
    assert!(a.ready && a.state.terminated.is_some(), "{a:?}");
    assert_eq!(world.container("b").restart_count, 1);
    assert_eq!(world.observed.runtime.sandboxes[0].attempt, 1);
}

#[test]
fn what_succeeded_is_skipped_even_after_a_reboot_that_lost_every_record() {
    let mut world = World::new(three("Never"), b_fails(1));
    world.play_until(100.0);
    world.observed.runtime = PodRuntime::default();
    world.restart_daemon();
    world.play_until(110.0);
    assert_eq!(world.phase(), Phase::Failed);
    retry(&mut world, None);
    world.restart_daemon();
    world.play_until(200.0);
    assert_eq!(starts(&world), ["a 0", "b 0", "b 1", "c 0", "app 0"]);
    assert_eq!(world.phase(), Phase::Running);
    assert!(world.container("a").ready);
}

#[test]
fn it_may_fail_again_and_get_another_chance() {
    let mut world = World::new(three("Never"), b_fails(2));
    world.play_until(100.0);
    retry(&mut world, None);
    world.play_until(200.0);
    assert_eq!(world.phase(), Phase::Failed);
    retry(&mut world, None);
    world.play_until(300.0);
    assert_eq!(starts(&world), ["a 0", "b 0", "b 1", "b 2", "c 0", "app 0"]);
    assert_eq!(world.phase(), Phase::Running);
}

#[test]
fn a_pod_that_waits_for_its_back_off_is_started_at_once_where_it_is() {
    let mut world = World::new(three("Always"), b_fails(4));
    world.play_until(70.0);
    let before = starts(&world).len();
    let waiting = world.container("b").state.waiting.clone();
    assert_eq!(waiting.expect("it waits").reason, "CrashLoopBackOff");
    let retried = retry(&mut world, None);
    assert!(!retried.new_sandbox);
    world.play_until(71.5);
    assert_eq!(starts(&world)[before..], ["b 4", "c 0"]);
    world.play_until(76.0);
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.observed.runtime.sandboxes[0].attempt, 0);
}

#[test]
fn a_running_pod_begins_again_at_the_init_container_that_is_named() {
    for policy in ["Never", "OnFailure", "Always"] {
        let mut world = World::new(three(policy), b_fails(0));
        world.play_until(100.0);
        assert_eq!(world.phase(), Phase::Running);
        retry(&mut world, Some("b"));
        world.play_until(200.0);
        let all = ["a 0", "b 0", "c 0", "app 0", "b 1", "c 1", "app 1"];
        assert_eq!(starts(&world), all, "{policy}");
        assert_eq!(world.phase(), Phase::Running, "{policy}");
    }
}

#[test]
fn a_sidecar_is_up_again_before_what_failed_is_started() {
    let mut spec = three("Never");
    let sidecar = json!({ "name": "s", "restartPolicy": "Always" });
    let sidecar = serde_json::from_value(sidecar).expect("a sidecar");
    spec.spec.init_containers.insert(1, sidecar);
    let script = |name: &str, attempt| match name {
        "s" => Behaviour::forever(),
        other => b_fails(1)(other, attempt),
    };
    let mut world = World::new(spec, script);
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    retry(&mut world, None);
    world.play_until(200.0);
    let all = ["a 0", "s 0", "b 0", "s 1", "b 1", "c 0", "app 0"];
    assert_eq!(starts(&world), all);
}

/// `a`, the sidecar `s`, `b`, and an app that ends well.
fn with_sidecar() -> Pod {
    pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [{ "name": "a" }, { "name": "s", "restartPolicy": "Always" }, { "name": "b" }],
            "containers": [{ "name": "app" }],
        },
    }))
}

#[test]
fn what_comes_before_a_sidecar_is_not_run_again_while_the_sidecar_is_not_up() {
    let script = |name: &str, attempt| match name {
        "s" => Behaviour::forever(),
        other => b_fails(1)(other, attempt),
    };
    let mut world = World::new(with_sidecar(), script);
    world.play_until(100.0);
    world.observed.runtime = PodRuntime::default();
    world.restart_daemon();
    world.play_until(110.0);
    retry(&mut world, None);
    world.play_until(200.0);
    assert_eq!(starts(&world), ["a 0", "s 0", "b 0", "s 1", "b 1", "app 0"]);
}

#[test]
fn with_the_apps_its_sidecars_end_for_good() {
    let script = |name: &str, attempt| match name {
        "s" => Behaviour::forever(),
        "app" => Behaviour::exits(1000, i32::from(attempt == 0)),
        _ => Behaviour::exits(1000, 0),
    };
    let mut world = World::new(with_sidecar(), script);
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    retry(&mut world, None);
    world.play_until(200.0);
    assert_eq!(
        starts(&world),
        ["a 0", "s 0", "b 0", "app 0", "s 1", "app 1"]
    );
    assert_eq!(world.phase(), Phase::Succeeded);
}

#[test]
fn a_sandbox_that_is_lost_after_it_begins_everything_anew() {
    let mut world = World::new(three("Always"), b_fails(0));
    world.play_until(50.0);
    retry(&mut world, Some("c"));
    world.play_until(100.0);
    world.lose_sandbox();
    world.play_until(200.0);
    assert_eq!(
        starts(&world)[4..],
        ["c 1", "app 1", "a 1", "b 1", "c 2", "app 2"]
    );
}

#[test]
fn a_deadline_counts_anew() {
    let mut spec = three("Never");
    spec.spec.active_deadline_seconds = Some(5);
    let script = |name: &str, attempt| match (name, attempt) {
        ("b", 0) => Behaviour::forever(),
        (other, attempt) => b_fails(0)(other, attempt),
    };
    let mut world = World::new(spec, script);
    world.play_until(50.0);
    assert_eq!(world.status().reason, "DeadlineExceeded");
    retry(&mut world, None);
    world.play_until(53.0);
    assert_eq!(starts(&world), ["a 0", "b 0", "b 1", "c 0", "app 0"]);
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.status().reason, "");
}

#[test]
fn apps_that_succeeded_are_not_run_again() {
    let mut spec = three("Never");
    let other = serde_json::from_value(json!({ "name": "other" })).expect("a container");
    spec.spec.containers.push(other);
    let script = |name: &str, attempt| match (name, attempt) {
        ("other", 0) => Behaviour::exits(1000, 9),
        ("other", _) => Behaviour::exits(1000, 0),
        ("app", _) => Behaviour::exits(500, 0),
        (name, attempt) => b_fails(0)(name, attempt),
    };
    let mut world = World::new(spec, script);
    world.play_until(50.0);
    assert_eq!(world.phase(), Phase::Failed);
    // Also after a reboot.
    world.observed.runtime = PodRuntime::default();
    world.restart_daemon();
    let retried = retry(&mut world, None);
    assert_eq!(retried.text(), "Goes on at other; skipped: a, b, c, app");
    world.play_until(100.0);
    assert_eq!(starts(&world)[5..], ["other 1"]);
    assert_eq!(world.phase(), Phase::Succeeded);
}
