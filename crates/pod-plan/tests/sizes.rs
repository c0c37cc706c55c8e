//! Resizes in place and cgroups that become smaller after init, played in virtual time.

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

use pod_model::common::Resources;
use pod_model::pod::Pod;
use serde_json::{Value, json};
use world::{Behaviour, World, pod};

fn amounts(cpu: &str, memory: &str) -> Value {
    let own = json!({ "cpu": cpu, "memory": memory });
    json!({ "requests": own, "limits": own })
}

fn two(policy: Value) -> Pod {
    pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u", "generation": 1 },
        "spec": {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 5,
            "containers": [
                { "name": "a", "resources": amounts("100m", "64Mi") },
                { "name": "b", "resources": amounts("100m", "64Mi"), "resizePolicy": policy },
            ],
        },
    }))
}

fn resize(world: &mut World, index: usize, cpu: &str, memory: &str) {
    let new: Resources = serde_json::from_value(amounts(cpu, memory)).expect("resources");
    world.pod.spec.containers[index].resources = new;
    let generation = &mut world.pod.metadata.generation;
    *generation = generation.map(|g| g + 1);
}

fn since(world: &World, from: usize) -> Vec<&str> {
    world.log[from..].iter().map(|(_, s)| s.as_str()).collect()
}

fn running(pod: Pod) -> World {
    let mut world = World::new(pod, |_: &str, _| Behaviour::forever());
    world.play_until(10.0);
    world
}

#[test]
fn memory_comes_before_cpu_the_pod_grows_first_and_shrinks_last_and_less_comes_before_more() {
    for (sizes, steps) in [
        (
            [("200m", "128Mi"), ("100m", "64Mi")],
            &[
                "resize pod's memory",
                "resize pod's cpu",
                "resize memory of a",
                "resize cpu of a",
            ][..],
        ),
        (
            [("50m", "32Mi"), ("100m", "64Mi")],
            &[
                "resize memory of a",
                "resize pod's memory",
                "resize cpu of a",
                "resize pod's cpu",
            ],
        ),
        (
            [("200m", "128Mi"), ("50m", "32Mi")],
            &[
                "resize pod's memory",
                "resize pod's cpu",
                "resize memory of b",
                "resize memory of a",
                "resize cpu of b",
                "resize cpu of a",
            ],
        ),
        ([("100m", "64Mi"), ("100m", "64Mi")], &[]),
    ] {
        let mut world = running(two(json!([])));
        let before = world.log.len();
        for (i, (cpu, memory)) in sizes.into_iter().enumerate() {
            resize(&mut world, i, cpu, memory);
        }
        world.play_until(20.0);
        assert_eq!(since(&world, before), steps, "{sizes:?}");
        for (i, name) in ["a", "b"].into_iter().enumerate() {
            let status = world.container(name).clone();
            let wanted = &world.pod.spec.containers[i].resources;
            assert_eq!(status.resources.as_ref(), Some(wanted));
            assert_eq!(status.allocated_resources, wanted.requests);
            assert_eq!(status.restart_count, 0);
        }
        let kinds: Vec<&str> = world.events.iter().map(|(_, r, _)| r.as_str()).collect();
        let told = [
            kinds.contains(&"ResizeStarted"),
            kinds.contains(&"ResizeCompleted"),
        ];
        assert_eq!(told, [!steps.is_empty(); 2]);
        let left = world.status().conditions.iter();
        assert_eq!(left.filter(|c| c.kind.starts_with("PodResize")).count(), 0);
    }
}

#[test]
fn a_container_runs_again_for_a_resize_where_its_policy_says_so_and_the_pod_shrinks_after_its_end()
{
    let policy = json!([{ "resourceName": "memory", "restartPolicy": "RestartContainer" }]);
    for (memory, steps) in [
        ("32Mi", ["stop b 5000", "resize pod's memory", "start b 1"]),
        ("128Mi", ["resize pod's memory", "stop b 5000", "start b 1"]),
    ] {
        let mut world = running(two(policy.clone()));
        let before = world.log.len();
        resize(&mut world, 1, "100m", memory);
        world.play_until(10.05);
        let conditions = &world.status().conditions;
        let progress = conditions.iter().find(|c| c.kind == "PodResizeInProgress");
        let progress = progress.expect("a resize in progress");
        assert_eq!(progress.observed_generation, Some(2));
        world.play_until(20.0);
        let mut done = since(&world, before);
        done.sort_unstable();
        let mut wanted = steps.to_vec();
        wanted.sort_unstable();
        assert_eq!(done, wanted, "{memory}");
        let place = |step: &str| since(&world, before).iter().position(|s| *s == step);
        let shrinks = place("resize pod's memory") > place("stop b 5000");
        assert_eq!(shrinks, memory == "32Mi");
        let told = world.events.iter().map(|(_, _, text)| text.as_str());
        assert!(
            told.clone()
                .any(|t| t == "Container b resize requires restart")
        );
        assert_eq!(world.container("b").restart_count, 1);
        assert_eq!(world.container("a").restart_count, 0);
        let status = world.container("b").clone();
        assert_eq!(
            status.resources.as_ref(),
            Some(&world.pod.spec.containers[1].resources)
        );
    }
}

#[test]
fn what_the_node_lacks_is_not_granted_and_a_new_attempt_gets_what_was() {
    let script = |name: &str, attempt| match (name, attempt) {
        ("a", 0) => Behaviour::exits(30_000, 1),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(two(json!([])), script);
    let node = amounts("2", "1Gi");
    world.observed.allocatable = serde_json::from_value(node["limits"].clone()).expect("a list");
    world.play_until(10.0);
    let before = world.log.len();
    resize(&mut world, 0, "3", "64Mi");
    world.play_until(20.0);
    assert_eq!(since(&world, before), Vec::<&str>::new());
    let (_, reason, message) = world.condition("PodResizePending");
    assert_eq!(reason, "Infeasible");
    assert_eq!(
        message,
        "Node didn't have enough capacity: cpu, requested: 3100, capacity: 2000"
    );
    world.play_until(50.0);
    let again = world.container("a").clone();
    assert_eq!(again.restart_count, 1);
    let shown = again.resources.expect("resources");
    assert_eq!(shown.limits["cpu"].to_string(), "100m");
    resize(&mut world, 0, "100m", "64Mi");
    world.play_until(60.0);
    let conditions = &world.status().conditions;
    assert!(conditions.iter().all(|c| c.kind != "PodResizePending"));
}

#[test]
fn what_fails_is_told_and_tried_again_and_what_builds_on_it_waits() {
    let mut world = running(two(json!([])));
    let before = world.log.len();
    world.faults.insert("resize memory of a".to_owned(), 2);
    resize(&mut world, 0, "50m", "32Mi");
    world.play_until(15.0);
    let (_, reason, message) = world.condition("PodResizeInProgress");
    assert_eq!((reason.as_str(), message.as_str()), ("Error", "a fault"));
    // Cpu is another matter; the pod does not shrink before what is in it.
    assert_eq!(
        since(&world, before),
        ["resize memory of a", "resize cpu of a", "resize pod's cpu"]
    );
    world.play_until(60.0);
    let times: Vec<f64> = world.log[before..]
        .iter()
        .filter(|(_, s)| s == "resize memory of a")
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(times, [10.0, 20.0, 30.0]);
    assert_eq!(world.log.last().expect("steps").1, "resize pod's memory");
    assert!(
        world
            .status()
            .conditions
            .iter()
            .all(|c| c.kind != "PodResizeInProgress")
    );
}

#[test]
fn a_policy_holds_for_its_own_resource_and_for_sidecars_too() {
    let policy = json!([
        { "resourceName": "memory", "restartPolicy": "NotRequired" },
        { "resourceName": "cpu", "restartPolicy": "RestartContainer" },
    ]);
    let mut world = running(two(policy.clone()));
    for (cpu, memory, until, restarts) in [
        ("100m", "128Mi", 30.0, 0),
        ("200m", "128Mi", 60.0, 1),
        ("200m", "32Mi", 90.0, 1),
        ("50m", "32Mi", 120.0, 2),
    ] {
        resize(&mut world, 1, cpu, memory);
        world.play_until(until);
        let told = world.container("b");
        assert_eq!(told.restart_count, restarts, "{cpu} {memory}");
        let own: Resources = serde_json::from_value(amounts(cpu, memory)).expect("resources");
        assert_eq!(
            told.resources.clone().expect("resources").limits,
            own.limits
        );
    }
    let sidecar = json!({
        "name": "s", "restartPolicy": "Always", "resources": amounts("100m", "64Mi"), "resizePolicy": policy,
    });
    let mut pod = two(json!([]));
    let sidecar = serde_json::from_value(sidecar).expect("a sidecar");
    pod.spec.init_containers.push(sidecar);
    let mut world = running(pod);
    let new: Resources = serde_json::from_value(amounts("200m", "64Mi")).expect("resources");
    world.pod.spec.init_containers[0].resources = new;
    world.pod.metadata.generation = Some(2);
    let before = world.log.len();
    world.play_until(60.0);
    assert_eq!(
        since(&world, before),
        ["resize pod's cpu", "stop s 5000", "start s 1"]
    );
}

#[test]
fn a_pod_whose_shrinking_had_no_answer_is_made_as_large_as_it_must_be_before_anything_grows_in_it()
{
    let mut world = running(two(json!([])));
    world.faults.insert("resize pod's memory".to_owned(), 1);
    resize(&mut world, 0, "100m", "32Mi");
    world.play_until(15.0);
    // It may hold either, so neither going back nor staying is done without writing it.
    let before = world.log.len();
    resize(&mut world, 0, "100m", "64Mi");
    world.play_until(60.0);
    let steps = since(&world, before);
    let place = |step: &str| steps.iter().position(|s| *s == step).expect(step);
    assert!(
        place("resize pod's memory") < place("resize memory of a"),
        "{steps:?}"
    );
    assert!(world.observed.memory.sizes.asked.is_empty());
}

#[test]
fn limits_of_the_pod_as_a_whole_are_those_of_containers_without_own_ones_and_the_status_tells_them()
{
    let mut pod = two(json!([]));
    pod.spec.containers[0].resources = Resources::default();
    let whole = |cpu, memory| serde_json::from_value(amounts(cpu, memory)).expect("resources");
    pod.spec.resources = Some(whole("1", "256Mi"));
    let mut world = running(pod);
    assert_eq!(world.status().resources, Some(whole("1", "256Mi")));
    let before = world.log.len();
    world.pod.spec.resources = Some(whole("2", "128Mi"));
    world.play_until(20.0);
    let steps = [
        "resize pod's cpu",
        "resize memory of a",
        "resize pod's memory",
        "resize cpu of a",
    ];
    assert_eq!(since(&world, before), steps);
    let status = world.status();
    assert_eq!(status.resources, Some(whole("2", "128Mi")));
    assert_eq!(status.allocated_resources, whole("2", "128Mi").requests);
}

#[test]
fn nothing_is_larger_before_its_pod_is_neither_what_runs_again_for_it_nor_what_has_crashed_meanwhile()
 {
    let policy = json!([{ "resourceName": "memory", "restartPolicy": "RestartContainer" }]);
    let script = |name: &str, attempt| match (name, attempt) {
        ("a", 0) => Behaviour::exits(15_000, 1),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(two(policy), script);
    world.play_until(10.0);
    let before = world.log.len();
    world.faults.insert("resize pod's memory".to_owned(), 2);
    resize(&mut world, 0, "100m", "128Mi");
    resize(&mut world, 1, "100m", "128Mi");
    // One crashes at 15 s; at 20 s the pod fails to grow again.
    world.play_until(29.0);
    assert_eq!(since(&world, before), ["resize pod's memory"; 2]);
    assert_eq!(world.container("b").restart_count, 0);
    let mut killed = world.events.iter().filter(|(_, r, _)| r == "Killing");
    assert_eq!(killed.next(), None);
    world.play_until(60.0);
    let steps = since(&world, before);
    let place = |step: &str| steps.iter().position(|s| *s == step).expect(step);
    let grown = steps.iter().rposition(|s| *s == "resize pod's memory");
    let grown = grown.expect("the pod has grown");
    for later in ["start a 1", "stop b 5000", "start b 1"] {
        assert!(grown < place(later), "{steps:?}");
    }
}

#[test]
fn a_container_that_stays_as_it_is_runs_again_although_its_pod_cannot_grow() {
    let script = |name: &str, attempt| match (name, attempt) {
        ("b", 0) => Behaviour::exits(15_000, 1),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(two(json!([])), script);
    world.play_until(10.0);
    world.faults.insert("resize pod's memory".to_owned(), 9);
    resize(&mut world, 0, "100m", "128Mi");
    world.play_until(29.0);
    assert_eq!(world.container("b").restart_count, 1);
    assert_eq!(
        world
            .container("a")
            .resources
            .clone()
            .expect("resources")
            .limits["memory"]
            .to_string(),
        "64Mi"
    );
}

fn shrinking() -> Pod {
    pod(json!({
        "metadata": {
            "name": "p", "namespace": "ns", "uid": "u",
            "annotations": { "podwright.io/shrink-after-init": "true" },
        },
        "spec": {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 5,
            "initContainers": [
                { "name": "big", "resources": amounts("1", "512Mi") },
                { "name": "s", "restartPolicy": "Always", "resources": amounts("50m", "16Mi") },
            ],
            "containers": [{ "name": "app", "resources": amounts("100m", "64Mi") }],
        },
    }))
}

#[test]
fn the_pods_cgroup_shrinks_once_init_is_over_and_grows_before_it_runs_again() {
    let script = |name: &str, _| match name {
        "big" => Behaviour::exits(5000, 0),
        _ => Behaviour::forever(),
    };
    let mut world = World::new(shrinking(), script);
    world.play_until(4.0);
    let memory = |world: &World| {
        let known = world.observed.memory.sizes.cgroup.clone();
        known.expect("a cgroup").memory.map(|m| m >> 20)
    };
    assert_eq!(memory(&world), Some(512));
    world.play_until(20.0);
    assert_eq!(memory(&world), Some(80));
    let told = |world: &World| {
        let all = world
            .events
            .iter()
            .filter(|(_, reason, _)| reason == "Shrunk");
        all.map(|(_, _, text)| text.clone()).collect::<Vec<_>>()
    };
    let text =
        "Init is over: the pod's cgroup has cpu shares 153, cpu quota 15000, memory limit 83886080";
    assert_eq!(told(&world), [text]);
    // A new daemon writes what is there, and says nothing of it.
    world.restart_daemon();
    world.play_until(30.0);
    assert_eq!(memory(&world), Some(80));
    assert_eq!(told(&world).len(), 1);
    let before = world.log.len();
    world.lose_sandbox();
    world.play_until(40.0);
    let steps = since(&world, before);
    let place = |step: &str| steps.iter().position(|s| *s == step).expect(step);
    assert!(
        place("resize pod's memory") < place("start big 1"),
        "{steps:?}"
    );
    world.play_until(60.0);
    assert_eq!(memory(&world), Some(80));
    assert_eq!(told(&world).len(), 2);
}
