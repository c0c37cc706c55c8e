//! What a seed makes: a pod, how its containers behave, and when the host fails.

use fastrand::Rng;
use pod_model::asked::{INIT_TIMEOUT, SHRINK_AFTER_INIT};
use pod_model::common::{ResourceList, Resources};
use pod_model::pod::{
    Container, ExecAction, Handler, Lifecycle, Metadata, Pod, PodSpec, Probe, ResizePolicy,
    RestartPolicy,
};
use pod_model::quantity::{Format, Quantity};
use pod_model::resources::MEMORY;
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
    /// After how long its startup probe succeeds.
    pub up_after: Duration,
    /// From when on its liveness probe fails; `None` = never.
    pub sick_after: Option<Duration>,
    /// Its readiness probe succeeds in every second stretch of that length.
    pub turns: Duration,
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
    /// When the oldest record of an ended container is lost, each time; empty = never.
    pub forgets: Vec<Duration>,
    /// How late the task hears of what happens, at most; what it hears, it may hear twice.
    pub hears_late: Duration,
    /// How long a verb of the host takes, at most, before its effect and again before its answer: meanwhile the world goes on.
    pub slow: Duration,
    /// When the daemon is killed and started again, each time, whatever it is at: a verb that has had no effect yet has none.
    pub kills: Vec<Duration>,
    /// When the user resizes the pod, and what it is then.
    pub resizes: Vec<(Duration, Pod)>,
    /// When the user gives the pod a second chance.
    pub retries: Vec<Duration>,
    /// When deletion is asked for.
    pub delete_at: Duration,
    /// With which grace.
    pub grace: u64,
}

impl Script {
    /// Whether nothing is lost, fails, is killed or is asked for besides: then what is due comes in time.
    pub fn is_faultless(&self) -> bool {
        let lost = [&self.losses, &self.forgets, &self.kills];
        let quiet = self.resizes.is_empty() && self.retries.is_empty();
        quiet && self.fail_before == 0 && self.fail_after == 0 && lost.iter().all(|l| l.is_empty())
    }

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
                let sidecar = kind == "init" && rng.u32(0..4) == 0;
                let name = format!("{kind}{i}");
                runs.insert(name.clone(), behaviour(kind, sidecar, rng));
                let mut container = Container {
                    name: name.as_str().into(),
                    image: "busybox".into(),
                    resources: Resources::default(),
                    restart_policy: sidecar.then_some(RestartPolicy::Always),
                    ..Container::default()
                };
                if sidecar || kind == "app" {
                    add_probes(&mut container, rng);
                    add_hooks(&mut container, rng);
                }
                container
            };
            (0..count).map(|i| one(i, rng)).collect()
        };
        let init_containers = list("init", inits, &mut rng);
        let containers = list("app", apps, &mut rng);
        let mut annotations = BTreeMap::new();
        for (i, init) in init_containers.iter().enumerate() {
            if i == 0 && !init.is_sidecar() && rng.u32(0..3) == 0 {
                let limit = format!("{}={}ms", init.name, rng.u32(1..40_000));
                annotations.insert(INIT_TIMEOUT.to_owned(), limit);
            }
        }
        if rng.u32(0..3) == 0 {
            annotations.insert(SHRINK_AFTER_INIT.to_owned(), "true".to_owned());
        }
        let mut pod = Pod {
            metadata: Metadata {
                annotations,
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
        if rng.bool() {
            pod = resized(&pod, &mut rng);
        }
        let faulty = rng.u32(0..3) == 0;
        let times = |one_in: u32, rng: &mut Rng| -> Vec<Duration> {
            if rng.u32(0..one_in) > 0 {
                return Vec::new();
            }
            (0..rng.usize(1..3))
                .map(|_| Duration::from_millis(rng.u64(10..60_000)))
                .collect()
        };
        let retries = times(4, &mut rng);
        let resizes = times(3, &mut rng)
            .into_iter()
            .map(|at| (at, resized(&pod, &mut rng)))
            .collect();
        let losses = times(4, &mut rng);
        let forgets = times(5, &mut rng);
        let delete_at = Duration::from_millis(rng.u64(1..1_500_000));
        // Some kills come while the pod is being taken away.
        let lifetime = u64::try_from(delete_at.as_millis()).unwrap_or(1) + 15_000;
        let kills = match rng.u32(0..3) {
            0 => (0..rng.usize(1..4))
                .map(|_| Duration::from_millis(rng.u64(0..lifetime)))
                .collect(),
            _ => Vec::new(),
        };
        Self {
            pod,
            runs,
            fail_before: if faulty { rng.u32(0..15) } else { 0 },
            fail_after: if faulty { rng.u32(0..10) } else { 0 },
            losses,
            forgets,
            hears_late: Duration::from_millis(if rng.bool() { rng.u64(1..800) } else { 0 }),
            slow: Duration::from_millis(match rng.u32(0..3) {
                0 => rng.u64(1..2_000),
                1 => rng.u64(1..60),
                _ => 0,
            }),
            kills,
            resizes,
            retries,
            delete_at,
            grace: rng.u64(0..30),
        }
    }
}

/// The same pod with other memory limits.
fn resized(pod: &Pod, rng: &mut Rng) -> Pod {
    let mut pod = pod.clone();
    let spec = &mut pod.spec;
    let restarts = spec.restart_policy != Some(RestartPolicy::Never);
    for container in spec.init_containers.iter_mut().chain(&mut spec.containers) {
        let bytes = Quantity::from_value(rng.i64(1..9) << 20, Format::BinarySI);
        let own = [(MEMORY.to_owned(), bytes)];
        container.resources = Resources {
            requests: ResourceList::from(own.clone()),
            limits: ResourceList::from(own),
        };
        let again = match rng.bool() {
            true => "RestartContainer",
            false => "NotRequired",
        };
        // An API server refuses it where nothing may restart.
        if container.resize_policy.is_empty() && restarts {
            container.resize_policy = vec![ResizePolicy {
                resource_name: MEMORY.to_owned(),
                restart_policy: again.to_owned(),
            }];
        }
    }
    pod
}

fn behaviour(kind: &str, sidecar: bool, rng: &mut Rng) -> Vec<Run> {
    let long = (kind == "app" || sidecar) && rng.u32(0..3) > 0;
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
        up_after: Duration::from_millis(rng.u64(0..40_000)),
        sick_after: (rng.u32(0..4) == 0).then(|| Duration::from_millis(rng.u64(0..120_000))),
        turns: Duration::from_millis(rng.u64(1_000..60_000)),
    };
    (0..count).map(|i| one(i + 1 == count, rng)).collect()
}

/// Hooks: the command of one says how long it takes, and whether it succeeds.
fn add_hooks(container: &mut Container, rng: &mut Rng) {
    let hook = |kind: &str, rng: &mut Rng| {
        (rng.u32(0..5) == 0).then(|| {
            let takes = rng.u64(0..8_000).to_string();
            let ends = if rng.u32(0..4) == 0 { "bad" } else { "good" };
            Handler {
                exec: Some(ExecAction {
                    command: vec![kind.to_owned(), takes, ends.to_owned()],
                }),
                ..Handler::default()
            }
        })
    };
    container.lifecycle = Some(Lifecycle {
        post_start: hook("postStart", rng),
        pre_stop: hook("preStop", rng),
        stop_signal: None,
    });
}

/// Probes whose command says which of the three they are, so that the host can answer for each.
fn add_probes(container: &mut Container, rng: &mut Rng) {
    let probe = |kind: &str, rng: &mut Rng| {
        (rng.u32(0..3) == 0).then(|| Probe {
            handler: Handler {
                exec: Some(ExecAction {
                    command: vec![kind.to_owned()],
                }),
                ..Handler::default()
            },
            initial_delay_seconds: Some(rng.i32(0..10)),
            timeout_seconds: Some(1),
            period_seconds: Some(rng.i32(1..15)),
            success_threshold: Some(if kind == "readiness" {
                rng.i32(1..4)
            } else {
                1
            }),
            failure_threshold: Some(rng.i32(1..5)),
            termination_grace_period_seconds: (kind != "readiness" && rng.bool())
                .then(|| rng.i64(1..10)),
        })
    };
    container.startup_probe = probe("startup", rng);
    container.liveness_probe = probe("liveness", rng);
    container.readiness_probe = probe("readiness", rng);
}
