//! What a seed makes: a pod, how its containers behave, and when the host fails.

use fastrand::Rng;
use pod_model::common::Resources;
use pod_model::pod::{Container, Metadata, Pod, PodSpec, RestartPolicy};
use std::collections::BTreeMap;
use std::time::Duration;

/// One run of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How long it runs by itself; `None` = until it is stopped.
    pub lasts: Option<Duration>,
    /// Its exit code then.
    pub code: i32,
    /// Whether it ends at the stop signal, or only at SIGKILL.
    pub obeys: bool,
}

/// A pod's life as a seed has it.
#[derive(Clone, Debug)]
pub struct Script {
    /// The pod.
    pub pod: Pod,
    /// Runs by container, one after the other; the last one repeats.
    pub runs: BTreeMap<String, Vec<Run>>,
    /// How many verbs of a hundred fail before they have any effect.
    pub fail_before: u32,
    /// How many verbs of a hundred are done and still answer with a failure, as when the answer is lost.
    pub fail_after: u32,
    /// After how long sandboxes are lost, each time; empty = never.
    pub losses: Vec<Duration>,
    /// When deletion is asked for.
    pub delete_at: Duration,
    /// With which grace.
    pub grace: u64,
}

impl Script {
    /// The script of that seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let inits = rng.usize(0..4);
        let apps = rng.usize(1..4);
        let policy = match rng.usize(0..3) {
            0 => RestartPolicy::Always,
            1 => RestartPolicy::OnFailure,
            _ => RestartPolicy::Never,
        };
        let mut runs = BTreeMap::new();
        let mut list = |kind: &str, count: usize, rng: &mut Rng| -> Vec<Container> {
            let mut one = |i: usize, rng: &mut Rng| {
                let name = format!("{kind}{i}");
                runs.insert(name.clone(), behaviour(kind, rng));
                Container {
                    name: name.as_str().into(),
                    image: "busybox".into(),
                    resources: Resources::default(),
                    ..Container::default()
                }
            };
            (0..count).map(|i| one(i, rng)).collect()
        };
        let init_containers = list("init", inits, &mut rng);
        let containers = list("app", apps, &mut rng);
        let pod = Pod {
            metadata: Metadata {
                name: "p".into(),
                namespace: "default".into(),
                uid: format!("uid-{seed}").into(),
                ..Metadata::default()
            },
            spec: PodSpec {
                init_containers,
                containers,
                restart_policy: Some(policy),
                termination_grace_period_seconds: Some(rng.i64(0..20)),
                active_deadline_seconds: (rng.u32(0..5) == 0).then(|| rng.i64(1..200)),
                enable_service_links: Some(true),
                ..PodSpec::default()
            },
            status: None,
        };
        let faulty = rng.u32(0..3) == 0;
        let losses = if rng.u32(0..4) == 0 {
            (0..rng.usize(1..3))
                .map(|_| Duration::from_millis(rng.u64(10..60_000)))
                .collect()
        } else {
            Vec::new()
        };
        Self {
            pod,
            runs,
            fail_before: if faulty { rng.u32(0..15) } else { 0 },
            fail_after: if faulty { rng.u32(0..10) } else { 0 },
            losses,
            delete_at: Duration::from_millis(rng.u64(1..1_500_000)),
            grace: rng.u64(0..30),
        }
    }
}

fn behaviour(kind: &str, rng: &mut Rng) -> Vec<Run> {
    let long = kind == "app" && rng.bool();
    let count = rng.usize(1..4);
    let one = |last: bool, rng: &mut Rng| Run {
        lasts: if long && last {
            None
        } else {
            Some(Duration::from_millis(rng.u64(1..30_000)))
        },
        code: if rng.u32(0..3) == 0 {
            rng.i32(1..140)
        } else {
            0
        },
        obeys: rng.u32(0..4) != 0,
    };
    (0..count).map(|i| one(i + 1 == count, rng)).collect()
}
