//! One pod's life: from creation over losses, failures and restarts of the daemon to its removal.

use crate::clock::VirtualClock;
use crate::host::SimHost;
use crate::outside::{AllImages, NoNetwork, NoObjects, Simulated, Told};
use crate::script::Script;
use pod_driver::queue::{Answer, Message};
use pod_driver::task::{Begin, pod_task};
use pod_driver::world::{Clock, World, WorldOf};
use pod_model::ids::{CgroupPath, HostPath};
use pod_model::node::{CgroupVersion, NodeFacts};
use pod_plan::back_off::Limits;
use std::sync::Arc;
use std::time::Duration;

/// How a life went wrong.
#[derive(Debug)]
pub struct Wrong {
    /// What must not have happened.
    pub what: String,
    /// Every verb until then.
    pub log: Vec<String>,
}

/// How long after its deletion, with the grace of that and of the pod, a pod may still be there.
const REMOVED_WITHIN: Duration = Duration::from_secs(3600);

/// Plays the life of that seed; gives every verb of it.
pub fn life(seed: u64) -> Result<Vec<String>, Wrong> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(play(seed)),
        Err(error) => Err(Wrong {
            what: format!("no runtime: {error}"),
            log: Vec::new(),
        }),
    }
}

async fn play(seed: u64) -> Result<Vec<String>, Wrong> {
    let script = Script::new(seed);
    let clock = Arc::new(VirtualClock::new());
    let host = SimHost::new(script.clone(), seed, Arc::clone(&clock));
    let told = Arc::new(Told::of(host.clone()));
    let wrong = |what: String| Wrong {
        what,
        log: host.log(),
    };
    let cgroup_root = CgroupPath::parse("/podwright").map_err(|e| wrong(e.to_string()))?;
    let world: WorldOf<Simulated> = World {
        host: Arc::new(host.clone()),
        images: Arc::new(AllImages),
        network: Arc::new(NoNetwork),
        journal: Arc::clone(&told),
        objects: Arc::new(NoObjects),
        clock: Arc::clone(&clock),
        actions: Arc::new(host.clone()),
        node: node(cgroup_root),
        limits: Limits::default(),
    };
    let (handle, task) = pod_task::<Simulated>(world.clone(), script.pod.clone(), Begin::default());
    host.tell(handle.clone());
    let task = tokio::spawn(task);
    for loss in &script.losses {
        let host = host.clone();
        let after = *loss;
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            host.lose_sandbox();
        });
    }
    for time in &script.forgets {
        let host = host.clone();
        let after = *time;
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            host.forget_a_record();
        });
    }
    let under_way = script.slow * 2 + Duration::from_secs(1);
    for (after, pod) in script.resizes.clone() {
        let host = host.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            host.resized(&pod, under_way);
            host.send(Message::Update(Box::new(pod)));
        });
    }
    for after in script.retries.clone() {
        let host = host.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            host.retried(under_way);
            let (answer, _) = Answer::new();
            host.send(Message::Retry { from: None, answer });
        });
    }
    let mut turns: Vec<(Duration, Turn)> = script.kills.iter().map(|k| (*k, Turn::Kill)).collect();
    turns.push((script.delete_at, Turn::Delete));
    turns.sort();
    let (mut task, mut handle) = (task, handle);
    let (began, mut pod) = (tokio::time::Instant::now(), script.pod.clone());
    for (at, turn) in turns {
        tokio::time::sleep_until(began + at).await;
        if task.is_finished() {
            break;
        }
        match turn {
            Turn::Delete => {
                host.deletion_begins();
                pod.metadata.deletion_timestamp = Some(clock.now());
                pod.metadata.deletion_grace_period_seconds = i64::try_from(script.grace).ok();
                handle.send(Message::Delete {
                    at: clock.now(),
                    grace_seconds: Some(script.grace),
                });
                // The task takes the deletion before it may begin anything more.
                tokio::time::sleep(Duration::from_millis(1)).await;
                host.deletion_asked();
            }
            Turn::Kill => {
                task.abort();
                let _ = (&mut task).await;
                host.daemon_died();
                let begin = Begin {
                    memory: Some(told.memory()),
                    ..Begin::default()
                };
                let newest = host.pod();
                pod.spec = newest.spec;
                let (again, next) = pod_task::<Simulated>(world.clone(), pod.clone(), begin);
                host.tell(again.clone());
                (task, handle) = (tokio::spawn(next), again);
            }
        }
    }
    end(&host, &told, &mut task, handle).await
}

/// What is done to the task from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// The daemon is killed, and another takes over.
    Kill,
    /// Deletion is asked for.
    Delete,
}

async fn end(
    host: &SimHost,
    told: &Told,
    task: &mut tokio::task::JoinHandle<()>,
    handle: pod_driver::queue::Handle,
) -> Result<Vec<String>, Wrong> {
    let ended = tokio::time::timeout(REMOVED_WITHIN, task).await;
    drop(handle);
    let problem = match ended {
        Err(_) => Some("the pod was not removed within an hour of its deletion".to_owned()),
        Ok(Err(error)) => Some(format!("the task ended badly: {error}")),
        Ok(Ok(())) if !told.is_removed() => {
            Some("the task ended without telling of the removal".to_owned())
        }
        Ok(Ok(())) if !host.left().is_empty() => {
            Some(format!("left behind: {}", host.left().join(", ")))
        }
        Ok(Ok(())) => host.broken().or(told.broken()),
    };
    match problem.or(host.broken()) {
        Some(what) => Err(Wrong {
            what,
            log: host.log(),
        }),
        None => Ok(host.log()),
    }
}

fn node(cgroup_root: CgroupPath) -> NodeFacts {
    NodeFacts {
        name: "sim".into(),
        ips: vec!["192.0.2.1".to_owned()],
        memory_capacity: 8 << 30,
        allocatable: Default::default(),
        resolv_conf: None,
        hosts: String::new(),
        cluster_dns: Vec::new(),
        cluster_domain: "cluster.local".to_owned(),
        page_sizes: Vec::new(),
        cgroup_version: CgroupVersion::V2,
        swap_controller: false,
        recursive_read_only: true,
        seccomp_default: false,
        seccomp_root: HostPath::new("/seccomp"),
        cgroup_root,
        log_root: HostPath::new("/logs"),
    }
}
