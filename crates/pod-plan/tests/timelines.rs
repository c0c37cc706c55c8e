//! The worked examples of pods' lives, played in virtual time: init containers, sidecars, restarts and their back-off.

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

use pod_model::asked::ON_INIT_IMAGE_CHANGE;
use pod_model::status::Phase;
use pod_plan::failure::Failure;
use serde_json::json;
use world::lives::{one_init, starts, steps, with_sidecar, words};
use world::{Behaviour, World, pod};

#[test]
fn a_failing_init_container_under_always_is_tried_again_at_once_then_after_10_20_40_seconds_up_to_5_minutes()
 {
    let script = |name: &str, _| match name {
        "init" => Behaviour::exits(1000, 1),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(one_init("Always"), script);
    world.play_until(5.0);
    assert_eq!(world.phase(), Phase::Pending);
    let init = world.container("init").clone();
    let waiting = init.state.waiting.expect("it waits");
    assert_eq!(waiting.reason, "CrashLoopBackOff");
    assert_eq!(
        waiting.message,
        "back-off 10s restarting failed container=init pod=p_ns(u)"
    );
    let last = init.last_state.terminated.expect("it ended before");
    assert_eq!((last.exit_code, last.reason.as_str()), (1, "Error"));
    assert_eq!(init.restart_count, 1);
    let of = |status: &str, reason: &str, message: &str| {
        (status.to_owned(), reason.to_owned(), message.to_owned())
    };
    let unready = of(
        "False",
        "ContainersNotReady",
        "containers with unready status: [app]",
    );
    assert_eq!(world.condition("Ready"), unready);
    assert_eq!(world.condition("ContainersReady"), unready);
    assert_eq!(
        world.condition("Initialized"),
        of(
            "False",
            "ContainersNotInitialized",
            "containers with incomplete status: [init]"
        )
    );

    world.play_until(3000.0);
    let times: Vec<f64> = starts(&world).iter().map(|(at, _)| *at).collect();
    // Run, end one second later, wait.
    let expected = [0.0, 1.0, 12.0, 33.0, 74.0, 155.0, 316.0, 617.0, 918.0];
    assert_eq!(times[..expected.len()], expected);
    assert_eq!(starts(&world)[3].1, "start init 3");
    let delays: Vec<String> = world
        .statuses
        .iter()
        .filter_map(|(_, s)| s.init_container_statuses[0].state.waiting.clone())
        .filter(|w| w.reason == "CrashLoopBackOff")
        .filter_map(|w| w.message.split(' ').nth(1).map(str::to_owned))
        .fold(Vec::new(), |mut list, d| {
            if !list.contains(&d) {
                list.push(d);
            }
            list
        });
    assert_eq!(delays, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s"]);
    assert!(
        world
            .statuses
            .iter()
            .all(|(_, s)| s.phase == Some(Phase::Pending))
    );
    assert_eq!(
        words(&world)[..6],
        [
            "Init:0/1",
            "Init:Error",
            "Init:0/1",
            "Init:Error",
            "Init:CrashLoopBackOff",
            "Init:0/1"
        ]
    );
    let backed_off = world
        .events
        .iter()
        .find(|(_, reason, _)| reason == "BackOff")
        .expect("an event");
    assert_eq!(
        backed_off.2,
        "Back-off restarting failed container init in pod p_ns(u)"
    );
}

#[test]
fn a_failing_init_container_under_never_fails_the_pod_and_the_app_is_never_made() {
    let script = |name: &str, _| match name {
        "init" => Behaviour::exits(1000, 1),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(one_init("Never"), script);
    world.play_until(100.0);
    assert_eq!(world.phase(), Phase::Failed);
    assert_eq!(world.status().reason, "");
    let end = world
        .container("init")
        .state
        .terminated
        .clone()
        .expect("ended");
    assert_eq!((end.exit_code, end.reason.as_str()), (1, "Error"));
    let app = world.container("app").state.waiting.clone().expect("waits");
    assert_eq!(app.reason, "PodInitializing");
    assert_eq!(world.condition("Initialized").1, "ContainersNotInitialized");
    assert_eq!(world.condition("Ready").1, "PodFailed");
    assert_eq!(world.condition("ContainersReady").1, "PodFailed");
    assert_eq!(words(&world).last().map(String::as_str), Some("Init:Error"));
    assert_eq!(
        steps(&world),
        [
            (0.0, "ensure pod"),
            (0.0, "run sandbox 0"),
            (0.0, "start init 0"),
            (1.0, "stop sandbox s1"),
        ]
    );
    // The records stay until the pod is deleted.
    assert_eq!(world.observed.runtime.containers.len(), 1);
    world.delete(30);
    world.play_until(101.0);
    assert!(world.removed);
}

#[test]
fn two_init_containers_run_one_after_the_other_and_the_app_follows() {
    let script = |name: &str, _| match name {
        "app" => Behaviour::forever(),
        _ => Behaviour::exits(2000, 0),
    };
    let happy = pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "restartPolicy": "Always",
            "initContainers": [{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }],
            "containers": [{ "name": "app", "image": "i" }],
            "volumes": [{ "name": "v", "emptyDir": {} }],
        },
    }));
    let mut world = World::new(happy, script);
    world.play_until(60.0);
    assert_eq!(
        steps(&world),
        [
            (0.0, "ensure pod"),
            (0.0, "prepare volumes"),
            (0.0, "run sandbox 0"),
            (0.0, "start a 0"),
            (2.0, "start b 0"),
            (4.0, "start app 0"),
        ]
    );
    assert_eq!(
        words(&world),
        ["Init:0/2", "Init:1/2", "PodInitializing", "Running"]
    );
    assert_eq!(world.phase(), Phase::Running);
    for name in ["a", "b"] {
        let init = world.container(name);
        let end = init.state.terminated.clone().expect("ended");
        assert_eq!((end.exit_code, end.reason.as_str()), (0, "Completed"));
        assert_eq!(
            (init.ready, init.started, init.restart_count),
            (true, Some(false), 0)
        );
    }
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.condition("Initialized").0, "True");
    // All that was waited for was an exit: nothing here depends on time.
    let plan = pod_plan::plan::plan(&world.pod, &world.observed, world.now);
    assert_eq!(
        (plan.steps, plan.wake_at, plan.events),
        (vec![], None, vec![])
    );
}

#[test]
fn sidecars_start_in_order_beside_init_containers_and_end_after_the_apps_in_reverse_order() {
    let script = |name: &str, _| match name {
        "i" => Behaviour::exits(1000, 0),
        "a" => Behaviour {
            stops: Some((4000, 0)),
            ..Behaviour::forever()
        },
        _ => Behaviour::forever(),
    };
    let mut world = World::new(with_sidecar(), script);
    world.play_until(10.0);
    assert_eq!(
        starts(&world),
        [
            (0.0, "start s 0"),
            (0.0, "start t 0"),
            (0.0, "start i 0"),
            (1.0, "start a 0")
        ]
    );
    assert_eq!(world.phase(), Phase::Running);
    world.log.clear();
    world.delete(30);
    world.play_until(100.0);
    assert_eq!(
        steps(&world),
        [
            (10.0, "stop a 30000"),
            (14.0, "stop t 26000"),
            (14.1, "stop s 25900"),
            (14.2, "stop sandbox s1"),
            (14.2, "remove pod"),
        ]
    );
    // The sidecars ended with 143, and do not count.
    assert_eq!(world.phase(), Phase::Succeeded);
}

#[test]
fn a_changed_init_image_begins_the_pod_anew_only_where_it_asks_for_that() {
    for policy in ["Always", "OnFailure", "Never"] {
        for asks in [false, true] {
            let script = |name: &str, _| match name {
                "init" => Behaviour::exits(1000, 0),
                _ => Behaviour::forever(),
            };
            let mut world = World::new(one_init(policy), script);
            world.play_until(10.0);
            if asks {
                let annotations = &mut world.pod.metadata.annotations;
                annotations.insert(ON_INIT_IMAGE_CHANGE.to_owned(), "restart".to_owned());
            }
            world.pod.spec.init_containers[0].image = "other".into();
            world.log.clear();
            world.play_until(100.0);
            let begun: Vec<_> = steps(&world)
                .into_iter()
                .map(|(_, step)| step)
                .filter(|step| step.starts_with("start ") || step.starts_with("run "))
                .collect();
            let wanted: &[&str] = match asks {
                true => &["run sandbox 1", "start init 1", "start app 1"],
                false => &[],
            };
            assert_eq!(begun, wanted, "{policy}");
            assert_eq!(world.phase(), Phase::Running);
        }
    }
}

#[test]
fn an_app_that_ran_for_long_starts_again_without_delay_and_with_a_fresh_back_off() {
    let script = |name: &str, attempt| match (name, attempt) {
        ("init", _) => Behaviour::exits(0, 0),
        // Short, short, then longer than twice the longest delay.
        (_, 2) => Behaviour::exits(601_000, 1),
        _ => Behaviour::exits(1000, 1),
    };
    let mut world = World::new(one_init("Always"), script);
    world.play_until(700.0);
    let times: Vec<f64> = starts(&world).iter().skip(1).map(|(at, _)| *at).collect();
    assert_eq!(times, [0.0, 1.0, 12.0, 613.0, 624.0, 645.0, 686.0]);
}

#[test]
fn a_missing_image_backs_off_and_an_import_ends_the_wait() {
    let failure = || Failure::ImagePull("not found".to_owned());
    let mut world = World::new(one_init("Always"), move |_, _| Behaviour::cannot(failure()));
    world.play_until(45.0);
    // Tried at 0, then 10 and 20 seconds later.
    let times: Vec<f64> = starts(&world).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0.0, 10.0, 30.0]);
    // A start that never came to a process is no restart.
    assert!(starts(&world).iter().all(|(_, s)| *s == "start init 0"));
    let waiting = world
        .container("init")
        .state
        .waiting
        .clone()
        .expect("waits");
    assert_eq!(waiting.reason, "ImagePullBackOff");
    assert_eq!(
        waiting.message,
        "Back-off pulling image \"busybox\": ErrImagePull: not found"
    );
    assert_eq!(
        words(&world)[..3],
        ["Init:0/1", "Init:ErrImagePull", "Init:ImagePullBackOff"]
    );
    let told: Vec<&str> = world
        .events
        .iter()
        .take(4)
        .map(|(_, _, m)| m.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "Failed to pull image \"busybox\": not found",
            "Error: ErrImagePull",
            "Back-off pulling image \"busybox\"",
            "Error: ImagePullBackOff",
        ]
    );
    let pod = world.pod.clone();
    world.observed.memory.image_arrived(&pod, &"busybox".into());
    world.turn();
    assert_eq!(starts(&world).last().map(|(at, _)| *at), Some(45.0));
}

#[test]
fn a_container_that_cannot_be_made_is_tried_again_every_ten_seconds() {
    let script =
        |_: &str, _| Behaviour::cannot(Failure::Config("secret \"s\" not found".to_owned()));
    let mut world = World::new(one_init("Always"), script);
    world.play_until(35.0);
    let times: Vec<f64> = starts(&world).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0.0, 10.0, 20.0, 30.0]);
    let waiting = world
        .container("init")
        .state
        .waiting
        .clone()
        .expect("waits");
    assert_eq!(waiting.reason, "CreateContainerConfigError");
    assert_eq!(waiting.message, "secret \"s\" not found");
}

#[test]
fn volumes_that_cannot_be_made_hold_up_the_pod_until_their_sources_come() {
    let mut waits = one_init("Always");
    waits.spec.volumes =
        serde_json::from_value(json!([{ "name": "v", "emptyDir": {} }])).expect("volumes");
    let mut world = World::new(waits, |name: &str, _| match name {
        "init" => Behaviour::exits(1000, 0),
        _ => Behaviour::forever(),
    });
    world.faults.insert("prepare volumes".to_owned(), 2);
    world.play_until(5.0);
    assert_eq!(world.events[0].1, "FailedMount");
    assert_eq!(
        steps(&world),
        [(0.0, "ensure pod"), (0.0, "prepare volumes")]
    );
    world.observed.memory.sources_changed();
    world.turn();
    world.play_until(40.0);
    assert_eq!(
        steps(&world)[2..5],
        [
            (5.0, "prepare volumes"),
            (15.0, "prepare volumes"),
            (15.0, "run sandbox 0")
        ]
    );
    assert_eq!(world.phase(), Phase::Running);
}

#[test]
fn a_pod_that_runs_keeps_its_volumes_and_restarts_though_their_sources_are_gone() {
    let mut runs = one_init("Always");
    runs.spec.volumes =
        serde_json::from_value(json!([{ "name": "v", "emptyDir": {} }])).expect("volumes");
    let mut world = World::new(runs, |name: &str, attempt| match (name, attempt) {
        ("init", _) => Behaviour::exits(1000, 0),
        (_, 0) => Behaviour::exits(10_000, 1),
        _ => Behaviour::forever(),
    });
    world.play_until(5.0);
    assert_eq!(world.phase(), Phase::Running);
    world.faults.insert("prepare volumes".to_owned(), u32::MAX);
    // Its ConfigMap is deleted; and another daemon finds it so.
    world.observed.memory.sources_changed();
    world.play_until(15.0);
    world.restart_daemon();
    world.play_until(40.0);
    assert_eq!(world.container("app").restart_count, 1);
    assert!(world.container("app").state.running.is_some());
    let tries = steps(&world);
    let tries = tries.iter().filter(|(_, s)| *s == "prepare volumes");
    assert!(tries.count() >= 3, "it is tried again all the same");
    assert!(world.events.iter().any(|e| e.1 == "FailedMount"));
    // A new sandbox needs them.
    world.lose_sandbox();
    world.play_until(80.0);
    assert!(!steps(&world).iter().any(|(_, s)| *s == "run sandbox 1"));
    world.faults.clear();
    world.play_until(120.0);
    assert!(steps(&world).iter().any(|(_, s)| *s == "run sandbox 1"));
    assert!(world.container("app").state.running.is_some());
}

#[test]
fn a_changed_image_restarts_the_container_even_under_never() {
    let mut world = World::new(one_init("Never"), |name: &str, _| match name {
        "init" => Behaviour::exits(1000, 0),
        _ => Behaviour::forever(),
    });
    world.play_until(10.0);
    world.log.clear();
    world.pod.spec.containers[0].image = "other".into();
    world.play_until(100.0);
    assert_eq!(
        steps(&world),
        [(10.0, "stop app 30000"), (10.1, "start app 1")]
    );
    assert_eq!(world.phase(), Phase::Running);
    assert!(
        world
            .statuses
            .iter()
            .all(|(_, s)| s.phase != Some(Phase::Failed))
    );
}

#[test]
fn a_rule_restarts_all_containers_in_the_same_sandbox() {
    let ruled = pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "restartPolicy": "Never",
            "initContainers": [{ "name": "init", "image": "i" }],
            "containers": [
                { "name": "a", "image": "i" },
                { "name": "b", "image": "i", "restartPolicy": "Never", "restartPolicyRules":
                    [{ "action": "RestartAllContainers", "exitCodes": { "operator": "In", "values": [42] } }] },
            ],
        },
    }));
    let script = |name: &str, attempt| match (name, attempt) {
        ("init", _) => Behaviour::exits(1000, 0),
        ("b", 0) => Behaviour::exits(3000, 42),
        _ => Behaviour::deaf(),
    };
    let mut world = World::new(ruled, script);
    world.play_until(100.0);
    let names: Vec<(f64, String)> = steps(&world)[5..]
        .iter()
        .map(|(at, s)| (*at, s.split(' ').take(2).collect::<Vec<_>>().join(" ")))
        .collect();
    let expected = [
        (4.0, "stop a"),
        (4.0, "remove a"),
        (4.0, "remove init"),
        (4.0, "remove b"),
        (4.0, "start init"),
        (5.0, "start a"),
        (5.0, "start b"),
    ];
    assert_eq!(names, expected.map(|(at, s)| (at, s.to_owned())));
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.container("b").restart_count, 1);
    assert_eq!(world.condition("Initialized").0, "True");
    assert_eq!(world.condition("AllContainersRestarting").0, "False");
}

#[test]
fn the_first_and_the_newest_twenty_attempts_are_kept() {
    let mut world = World::new(one_init("Always"), |_, _| Behaviour::exits(1000, 1));
    world.play_until(40.0 * 300.0);
    let attempts: Vec<u32> = world
        .observed
        .runtime
        .containers
        .iter()
        .map(|r| r.attempt)
        .collect();
    let newest = attempts[0];
    assert!(newest > 30, "{newest}");
    let ended = if attempts.len() == 22 { 1 } else { 0 };
    assert_eq!(attempts[ended..].len(), 21);
    assert_eq!(attempts.last(), Some(&0));
    assert_eq!(attempts[attempts.len() - 2], newest - 19 - ended as u32);
}

#[test]
fn what_was_decided_survives_a_restart_of_the_daemon() {
    let mut world = World::new(one_init("Always"), |name: &str, _| match name {
        "init" => Behaviour::exits(1000, 1),
        _ => Behaviour::forever(),
    });
    world.play_until(20.0);
    world.restart_daemon();
    world.play_until(40.0);
    let times: Vec<f64> = starts(&world).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0.0, 1.0, 12.0, 33.0]);
}
