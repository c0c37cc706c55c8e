//! How pods and their containers come to an end, played in virtual time: hooks, deletions, lost sandboxes, deadlines, probes.

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

use pod_model::container_status::ProbeResult;
use pod_model::pod::{ExecAction, Handler, Lifecycle, Pod};
use pod_model::status::Phase;
use pod_plan::failure::Failure;
use serde_json::json;
use world::lives::{one_init, starts, steps, with_sidecar, words};
use world::{Behaviour, World, pod};

#[test]
fn the_active_deadline_counts_init_containers_and_fails_the_pod() {
    let mut late = one_init("Always");
    late.spec.active_deadline_seconds = Some(5);
    let mut world = World::new(late, |_, _| Behaviour::forever());
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    assert_eq!(world.status().reason, "DeadlineExceeded");
    let message = "Pod was active on the node longer than the specified deadline";
    assert_eq!(world.status().message, message);
    assert_eq!(
        steps(&world),
        [
            (0.0, "ensure pod"),
            (0.0, "run sandbox 0"),
            (0.0, "start init 0"),
            (5.0, "stop init 30000"),
            (5.1, "stop sandbox s1"),
        ]
    );
    let told: Vec<(f64, &str, &str)> = world
        .events
        .iter()
        .map(|(at, r, m)| (*at, r.as_str(), m.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (5.0, "DeadlineExceeded", message),
            (5.0, "Killing", "Stopping container init")
        ]
    );
    let end = world
        .container("init")
        .state
        .terminated
        .clone()
        .expect("ended");
    assert_eq!((end.exit_code, end.reason.as_str()), (143, "Error"));
    let app = world.container("app").state.waiting.clone().expect("waits");
    assert_eq!(app.reason, "PodInitializing");
    assert_eq!(words(&world).last().map(String::as_str), Some("Init:Error"));
}

#[test]
fn a_sidecar_whose_turn_never_comes_has_two_seconds_after_the_grace() {
    let script = |name: &str, _| match name {
        "i" => Behaviour::exits(1000, 0),
        _ => Behaviour::deaf(),
    };
    let mut world = World::new(with_sidecar(), script);
    world.play_until(10.0);
    world.log.clear();
    world.delete(5);
    world.play_until(100.0);
    assert_eq!(
        steps(&world),
        [
            (10.0, "stop a 5000"),
            (15.0, "stop t 2000"),
            (15.0, "stop s 2000"),
            (17.0, "stop sandbox s1"),
            (17.0, "remove pod"),
        ]
    );
    assert_eq!(world.phase(), Phase::Failed);
}

#[test]
fn a_pod_ends_when_its_apps_have_whatever_its_sidecars_do() {
    let script = |name: &str, _| match name {
        "i" => Behaviour::exits(1000, 0),
        "a" => Behaviour::exits(5000, 0),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(with_sidecar(), script);
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Succeeded);
    assert_eq!(
        world.condition("Initialized"),
        ("True".into(), "PodCompleted".into(), String::new())
    );
}

/// `with_sidecar`, where the hook of each container takes so many milliseconds.
fn with_hooks(milliseconds: &[(&str, u64)]) -> Pod {
    let mut pod = with_sidecar();
    let spec = &mut pod.spec;
    for container in spec.init_containers.iter_mut().chain(&mut spec.containers) {
        let found = milliseconds.iter().find(|(n, _)| container.name == *n);
        container.lifecycle = found.map(|(_, ms)| Lifecycle {
            pre_stop: Some(Handler {
                exec: Some(ExecAction {
                    command: vec![ms.to_string()],
                }),
                ..Handler::default()
            }),
            ..Lifecycle::default()
        });
    }
    pod
}

#[test]
fn hooks_of_all_containers_run_at_once_and_take_from_their_grace() {
    let script = |name: &str, _| match name {
        "i" => Behaviour::exits(1000, 0),
        _ => Behaviour::deaf(),
    };
    let mut world = World::new(with_hooks(&[("a", 3000), ("s", 1000)]), script);
    world.play_until(10.0);
    world.log.clear();
    world.events.clear();
    world.delete(10);
    world.play_until(100.0);
    assert_eq!(
        steps(&world),
        [
            (10.0, "pre-stop hook of a-0-5"),
            (10.0, "pre-stop hook of s-0-2"),
            (13.0, "stop a 7000"),
            (20.0, "stop t 2000"),
            (20.0, "stop s 2000"),
            (22.0, "stop sandbox s1"),
            (22.0, "remove pod"),
        ]
    );
    // All are told of at once, before any hook.
    let killing = world.events.iter().filter(|(_, r, _)| r == "Killing");
    let times: Vec<f64> = killing.map(|(at, _, _)| *at).collect();
    assert_eq!(times, [10.0, 10.0, 10.0]);
}

#[test]
fn a_hook_that_outlives_the_grace_is_not_waited_for() {
    let script = |name: &str, _| match name {
        "i" => Behaviour::exits(1000, 0),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(with_hooks(&[("a", 60_000)]), script);
    world.play_until(10.0);
    world.log.clear();
    world.delete(5);
    world.play_until(100.0);
    let stops: Vec<_> = steps(&world).into_iter().take(2).collect();
    assert_eq!(
        stops,
        [(10.0, "pre-stop hook of a-0-5"), (15.0, "stop a 2000")]
    );
}

#[test]
fn a_deletion_without_grace_runs_no_hook_and_ends_one_that_runs() {
    let script = |name: &str, _| match name {
        "i" => Behaviour::exits(1000, 0),
        _ => Behaviour::deaf(),
    };
    for before in [None, Some(30)] {
        let mut world = World::new(with_hooks(&[("a", 5000)]), script);
        world.play_until(10.0);
        if let Some(grace) = before {
            world.delete(grace);
            world.play_until(12.0);
        }
        world.log.clear();
        world.delete(0);
        world.play_until(100.0);
        let first = steps(&world).into_iter().next();
        assert_eq!(
            first.map(|(_, s)| s.to_owned()),
            Some("stop a 0".to_owned())
        );
    }
}

#[test]
fn a_container_whose_start_hook_fails_ends_and_starts_again_after_its_back_off() {
    let script = |name: &str, attempt| match (name, attempt) {
        ("app", 0) => Behaviour {
            fails: Some(Failure::PostStart("no".to_owned())),
            ..Behaviour::forever()
        },
        ("init", _) => Behaviour::exits(1000, 0),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(one_init("Always"), script);
    world.play_until(1.05);
    let waiting = world
        .container("app")
        .state
        .waiting
        .clone()
        .expect("it waits");
    assert_eq!(
        (waiting.reason.as_str(), waiting.message.as_str()),
        ("PostStartHookError", "no")
    );
    world.play_until(60.0);
    let told: Vec<(&str, &str)> = world
        .events
        .iter()
        .filter(|(_, reason, _)| reason == "FailedPostStartHook" || reason == "Killing")
        .map(|(_, reason, message)| (reason.as_str(), message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("FailedPostStartHook", "PostStartHook failed"),
            ("Killing", "FailedPostStartHook")
        ]
    );
    assert_eq!(world.container("app").restart_count, 1);
    assert!(world.container("app").state.running.is_some());
}

#[test]
fn a_second_deletion_brings_the_end_closer_and_never_puts_it_off() {
    let mut world = World::new(one_init("Always"), |_, _| Behaviour::deaf());
    world.play_until(1.0);
    world.log.clear();
    world.delete(30);
    world.play_until(3.0);
    world.delete(60);
    world.play_until(4.0);
    world.delete(0);
    world.play_until(100.0);
    assert_eq!(
        steps(&world),
        [
            (1.0, "stop init 30000"),
            (4.0, "stop init 0"),
            (4.0, "stop sandbox s1"),
            (4.0, "remove pod"),
        ]
    );
}

#[test]
fn a_deletion_during_init_starts_no_app() {
    let script = |name: &str, _| match name {
        "init" => Behaviour {
            stops: Some((500, 0)),
            ..Behaviour::forever()
        },
        _ => Behaviour::forever(),
    };
    let mut world = World::new(one_init("Always"), script);
    world.play_until(1.0);
    world.delete(30);
    world.play_until(100.0);
    assert_eq!(starts(&world), [(0.0, "start init 0")]);
    assert!(world.removed);
    assert_eq!(world.phase(), Phase::Failed);
}

#[test]
fn a_lost_sandbox_ends_everything_and_init_begins_anew() {
    let script = |name: &str, _| match name {
        "init" => Behaviour::exits(1000, 0),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(one_init("Always"), script);
    world.play_until(10.0);
    world.log.clear();
    world.events.clear();
    world.lose_sandbox();
    world.play_until(100.0);
    let init = "remove init init-0-2";
    assert_eq!(
        steps(&world),
        [
            (10.0, "stop app 30000"),
            (10.1, "stop sandbox s1"),
            (10.1, init),
            (10.1, "run sandbox 1"),
            (10.1, "start init 1"),
            (11.1, "start app 1"),
        ]
    );
    assert_eq!(world.events[0].1, "SandboxChanged");
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.container("app").restart_count, 1);
}

#[test]
fn a_lost_sandbox_under_never_fails_the_pod_instead_of_leaving_it_pending() {
    let mut world = World::new(one_init("Never"), |name: &str, _| match name {
        "init" => Behaviour {
            stops: Some((100, 0)),
            ..Behaviour::forever()
        },
        _ => Behaviour::forever(),
    });
    world.play_until(1.0);
    world.lose_sandbox();
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    assert_eq!(world.status().reason, "SandboxLost");
}

#[test]
fn a_failed_liveness_probe_restarts_a_container_even_under_never_with_its_own_policy() {
    let probed = pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
            "containers": [{ "name": "app", "image": "i", "restartPolicy": "Always",
                "livenessProbe": { "terminationGracePeriodSeconds": 3 } }],
        },
    }));
    let mut world = World::new(probed, |_, _| Behaviour::deaf());
    world.play_until(1.0);
    world
        .observed
        .probes
        .liveness
        .insert("app".into(), ProbeResult::Failure);
    world.turn();
    world.observed.probes.liveness.clear();
    world.play_until(10.0);
    assert_eq!(
        steps(&world)[3..],
        [(1.0, "stop app 3000"), (4.0, "start app 1")]
    );
    assert_eq!(
        world.events[0].2,
        "Container app failed liveness probe, will be restarted"
    );
    assert_eq!(world.phase(), Phase::Running);
}

#[test]
fn a_sandbox_that_cannot_be_stopped_is_tried_again_and_nothing_is_removed_before() {
    let mut world = World::new(one_init("Never"), |_, _| Behaviour::exits(1000, 1));
    world.faults.insert("stop sandbox s1".to_owned(), 2);
    world.faults.insert("remove pod".to_owned(), 1);
    world.play_until(5.0);
    world.delete(1);
    world.play_until(100.0);
    assert_eq!(
        steps(&world)[3..],
        [
            (1.0, "stop sandbox s1"),
            (11.0, "stop sandbox s1"),
            (21.0, "stop sandbox s1"),
            (21.0, "remove pod"),
            (31.0, "remove pod"),
        ]
    );
    assert!(world.removed);
}
