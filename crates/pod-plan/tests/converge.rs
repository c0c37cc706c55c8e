//! From any state, whatever its containers do, a pod comes to rest or goes on in good order; deleted, it is gone in time.
//!
//! The world checks the laws at each turn (see `world`); here is only chance.

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

use jiff::SignedDuration;
use pod_model::config::spec_hash;
use pod_model::ids::{ContainerId, ImageId, SandboxId};
use pod_model::pod::Pod;
use pod_model::runtime::{ContainerRecord, Exit, NamespaceMode, PodRuntime, RunState, Sandbox};
use pod_plan::failure::Failure;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use world::{Behaviour, World, pod};

fn policy() -> impl Strategy<Value = &'static str> {
    select(vec!["Always", "OnFailure", "Never"])
}

fn container(name: String, own: Option<&'static str>, rule: bool) -> Value {
    let mut c = json!({ "name": name, "image": "busybox" });
    if let Some(own) = own {
        c["restartPolicy"] = own.into();
        if rule && own != "Always" {
            c["restartPolicyRules"] = json!([
                { "action": "RestartAllContainers", "exitCodes": { "operator": "In", "values": [3] } },
            ]);
        }
    }
    c
}

fn containers(
    prefix: &'static str,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Value>> {
    let one = (proptest::option::weighted(0.4, policy()), any::<bool>());
    proptest::collection::vec(one, count).prop_map(move |list| {
        let named = list.into_iter().enumerate();
        named
            .map(|(i, (own, rule))| container(format!("{prefix}{i}"), own, rule))
            .collect()
    })
}

prop_compose! {
    fn any_pod()(
        policy in policy(),
        inits in containers("init", 0..4),
        apps in containers("app", 1..4),
        grace in 0..40_i64,
        deadline in proptest::option::weighted(0.2, 1..600_i64),
        volumes in any::<bool>(),
        host_network in any::<bool>(),
    ) -> Pod {
        let mut spec = json!({
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": grace,
            "hostNetwork": host_network,
            "initContainers": inits,
            "containers": apps,
        });
        if let Some(deadline) = deadline {
            spec["activeDeadlineSeconds"] = deadline.into();
        }
        if volumes {
            spec["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
        }
        pod(json!({ "metadata": { "name": "p", "namespace": "ns", "uid": "u" }, "spec": spec }))
    }
}

/// What happens to a pod from outside.
#[derive(Clone, Debug)]
enum Blow {
    LoseSandbox,
    RestartDaemon,
    LoseRecords,
    ChangeImage,
    Fault(&'static str),
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        Just(Blow::LoseSandbox),
        Just(Blow::RestartDaemon),
        Just(Blow::LoseRecords),
        Just(Blow::ChangeImage),
        select(vec![
            "ensure pod",
            "prepare volumes",
            "run sandbox 0",
            "run sandbox 1",
            "stop sandbox s1",
            "remove pod"
        ])
        .prop_map(Blow::Fault),
    ]
}

fn strike(world: &mut World, blow: &Blow) {
    match blow {
        Blow::LoseSandbox => world.lose_sandbox(),
        Blow::RestartDaemon => world.restart_daemon(),
        Blow::LoseRecords => {
            let containers = &mut world.observed.runtime.containers;
            containers.retain(|r| r.state != RunState::Exited);
            world.forgetful = true;
        }
        Blow::ChangeImage => {
            let app = world.pod.spec.containers.last_mut();
            app.expect("an app").image = "other".into();
        }
        Blow::Fault(label) => *world.faults.entry((*label).to_owned()).or_default() += 2,
    }
}

/// A behaviour made of a number, so that an attempt always does the same.
fn behaviour(seed: u64, name: &str, attempt: u32) -> Behaviour {
    let mut n = name.bytes().fold(seed ^ u64::from(attempt), |n, b| {
        (n ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    n ^= n >> 29;
    let code = i32::try_from(n % 5).unwrap_or(0);
    let runs_ms = match (n >> 8) % 6 {
        0 => None,
        1 => Some(0),
        2 => Some(700_000),
        k => Some(k * 1000),
    };
    let stops = match (n >> 16) % 4 {
        0 => None,
        k => Some((k * 900, if k == 1 { 0 } else { 143 })),
    };
    let fails = match (n >> 24) % 12 {
        0 => Some(Failure::ImagePull("no".to_owned())),
        1 => Some(Failure::Create("no".to_owned())),
        2 => Some(Failure::Start("no".to_owned())),
        _ => None,
    };
    // What fails must not fail in the same way for ever: it fails while its turn is even.
    let fails = fails.filter(|_| attempt.is_multiple_of(2) && name != "app0");
    Behaviour {
        fails,
        runs_ms,
        code,
        stops,
    }
}

/// Records that a pod may be found with, sensible or not.
fn any_runtime(pod: &Pod, picks: &[u8], sandboxes: &[(bool, bool)]) -> PodRuntime {
    let at = |seconds: i64| {
        jiff::Timestamp::from_second(1_767_225_600 - 1000 + seconds).expect("a time")
    };
    let network = match pod.spec.host_network {
        true => NamespaceMode::Node,
        false => NamespaceMode::Pod,
    };
    let other = match network {
        NamespaceMode::Node => NamespaceMode::Pod,
        _ => NamespaceMode::Node,
    };
    let count = sandboxes.len();
    let sandboxes: Vec<Sandbox> = sandboxes
        .iter()
        .enumerate()
        .map(|(i, (ready, right))| Sandbox {
            id: SandboxId::new(format!("old{i}")),
            ready: *ready,
            attempt: u32::try_from(count - i).unwrap_or(0),
            ip: Some("10.0.0.1".to_owned()),
            network: if *right { network } else { other },
            created_at: None,
        })
        .collect();
    let mut containers = Vec::new();
    let Some(newest) = sandboxes.first() else {
        return PodRuntime::default();
    };
    for ((_, _, container), pick) in pod.spec.all().zip(picks.iter().cycle()) {
        let state = match pick % 8 {
            0 | 1 => continue,
            2 => RunState::Created,
            3 => RunState::Unknown,
            4 => RunState::Running,
            _ => RunState::Exited,
        };
        let code = i32::from(pick / 8 % 2);
        containers.push(ContainerRecord {
            id: ContainerId::new(format!("old-{}", container.name)),
            name: container.name.clone(),
            sandbox: newest.id.clone(),
            state,
            attempt: u32::from(pick / 16 % 3),
            hash: Some(spec_hash(&container.name, &container.image)),
            image: container.image.to_string(),
            image_id: ImageId::default(),
            created_at: Some(at(0)),
            started_at: Some(at(1)),
            exit: (state == RunState::Exited).then(|| Exit {
                code,
                reason: "Error".to_owned(),
                finished_at: Some(at(2)),
                ..Exit::default()
            }),
            user: None,
            clamped: Vec::new(),
        });
    }
    PodRuntime {
        sandboxes,
        containers,
    }
}

/// Deletes the pod and sees that it is gone once grace, two seconds for late sidecars and the wait after faults are over.
fn must_go(world: &mut World, grace: u64) {
    let asked = world.seconds();
    if world.removed {
        return;
    }
    world.delete(grace);
    let faults: u32 = world.faults.values().sum();
    let limit = asked + grace.max(2) as f64 + 5.0 + 10.0 * f64::from(faults);
    world.play_until(limit);
    assert!(world.removed, "not gone after {limit} s: {:?}", world.log);
}

/// Each plays for a quarter of an hour to an hour, so a few by default, for every run of the tests; `PROPTEST_CASES` asks for more.
fn lives() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.and_then(|n| n.parse().ok()).unwrap_or(40),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(lives())]

    #[test]
    fn a_new_pod_lives_in_good_order_under_blows_and_goes_when_deleted(
        pod in any_pod(),
        seed in any::<u64>(),
        blows in proptest::collection::vec((0.5..400.0_f64, blow()), 0..5),
        grace in 0..40_u64,
    ) {
        let mut world = World::new(pod, move |name, attempt| behaviour(seed, name, attempt));
        let mut time = 0.0;
        for (wait, blow) in &blows {
            time += wait;
            world.play_until(time);
            strike(&mut world, blow);
        }
        world.play_until(time + 2000.0);
        must_go(&mut world, grace);
    }

    #[test]
    fn a_pod_found_in_any_state_comes_into_good_order(
        pod in any_pod(),
        seed in any::<u64>(),
        picks in proptest::collection::vec(any::<u8>(), 8),
        sandboxes in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..3),
        grace in 0..40_u64,
    ) {
        let runtime = any_runtime(&pod, &picks, &sandboxes);
        let mut world = World::new(pod, move |name, attempt| behaviour(seed, name, attempt));
        world.observed.runtime = runtime;
        world.orderly = false;
        world.play_until(1500.0);
        must_go(&mut world, grace);
    }

    #[test]
    fn the_third_start_after_short_runs_never_comes_before_its_delay(
        pod in any_pod(),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(pod, move |name, attempt| Behaviour {
            fails: None,
            ..behaviour(seed, name, attempt)
        });
        world.play_until(1500.0);
        if world.pod.spec.containers.iter().chain(&world.pod.spec.init_containers).any(|c| !c.restart_policy_rules.is_empty()) {
            // A restart of all begins without history, so without delay.
            return Ok(());
        }
        let mut records: Vec<_> = world.observed.runtime.containers.iter().collect();
        records.sort_by_key(|r| (r.name.clone(), r.attempt));
        for pair in records.windows(2) {
            let [before, after] = pair else { continue };
            if before.name != after.name || after.attempt != before.attempt + 1 || before.attempt == 0 {
                continue;
            }
            let ended = before.exit.as_ref().and_then(|e| e.finished_at).expect("an end");
            let ran = ended.duration_since(before.started_at.expect("a start"));
            let gap = after.started_at.expect("a start").duration_since(ended);
            if ran < SignedDuration::from_secs(300) {
                prop_assert!(gap >= SignedDuration::from_secs(10), "{} {} after {gap:?}", after.name, after.attempt);
            }
            // An app waits for a sidecar that backs off itself.
            if !world.pod.spec.init_containers.iter().any(|c| c.is_sidecar()) {
                prop_assert!(gap <= SignedDuration::from_secs(301), "{} {} after {gap:?}", after.name, after.attempt);
            }
        }
    }
}
