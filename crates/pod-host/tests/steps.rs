//! Every step of every operation fails in turn, with every undo run twice; and the daemon ends before every step, so that the next one
//! must do or undo what was begun. Privileged.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]
#![allow(dead_code, reason = "the rig serves other tests too")]

mod support;

use pod_driver::host::{Host, HostResult};
use pod_host::{Fault, Steps};
use pod_model::config::{ExecConfig, PodCgroup, PreparedVolume, VolumeToPrepare};
use pod_model::ids::ContainerId;
use pod_model::runtime::RunState;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use support::{Rig, pod};

/// What is done; each stands on those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Op {
    Ensure,
    Volumes,
    Run,
    Start,
    Exec,
    Stop,
    Remove,
    End,
    RemovePod,
}

const ALL: [Op; 9] = [
    Op::Ensure,
    Op::Volumes,
    Op::Run,
    Op::Start,
    Op::Exec,
    Op::Stop,
    Op::Remove,
    Op::End,
    Op::RemovePod,
];

/// The steps that came by since it was armed, and which of them is broken.
#[derive(Debug, Default)]
struct Judge {
    seen: Vec<String>,
    broken: Option<(usize, Fault)>,
    armed: bool,
}

#[derive(Clone, Default)]
struct Breaker(Arc<Mutex<Judge>>);

impl Breaker {
    fn steps(&self) -> Steps {
        let judge = Arc::clone(&self.0);
        Steps::judged(move |step| {
            let mut judge = judge.lock().unwrap_or_else(PoisonError::into_inner);
            if !judge.armed {
                return Fault::None;
            }
            judge.seen.push(step.to_owned());
            let last = judge.seen.len() - 1;
            let (at, fault) = judge.broken.unwrap();
            match last == at {
                true => fault,
                false => Fault::None,
            }
        })
    }

    fn arm(&self, at: usize, fault: Fault) {
        *self.0.lock().unwrap() = Judge {
            seen: Vec::new(),
            broken: Some((at, fault)),
            armed: true,
        };
    }

    /// The broken step, if the operation came to it.
    fn disarm(&self, at: usize) -> Option<String> {
        let mut judge = self.0.lock().unwrap();
        judge.armed = false;
        judge.seen.get(at).cloned()
    }
}

async fn act(rig: &Rig, op: Op) -> HostResult<()> {
    let id = ContainerId::new("c1");
    let values = PodCgroup {
        cpu_shares: Some(512),
        ..PodCgroup::default()
    };
    match op {
        Op::Ensure => rig.host.ensure_pod(&pod(), &rig.cgroup(), &values).await,
        Op::Volumes => {
            let volume = VolumeToPrepare {
                name: "data".into(),
                kind: PreparedVolume::EmptyDir,
                fs_group: None,
                on_root_mismatch: false,
            };
            let prepared = rig.host.prepare_volumes(&pod(), &[volume]).await;
            prepared.map_err(|errors| {
                let kind = pod_driver::host::HostErrorKind::Other;
                pod_driver::host::HostError::new(kind, errors[0].cause.clone())
            })
        }
        Op::Run => rig.host.run_sandbox(&rig.sandbox("s1")).await.map(drop),
        Op::Start => {
            let config = rig.container("c1", "app", "sleep 1000");
            rig.host.start_container(&pod(), &config, &rig.image).await
        }
        Op::Exec => {
            let config = ExecConfig {
                command: vec!["/bin/true".into()],
                stdin: false,
                tty: false,
            };
            let session = rig.host.exec(&pod().uid, &id, &config).await?;
            assert_eq!(session.exit.await.unwrap(), 0);
            Ok(())
        }
        Op::Stop => rig.host.stop_container(&pod().uid, &id, 0).await,
        Op::Remove => {
            // Its end comes a moment after it was asked for.
            for _ in 0..500 {
                let seen = rig.host.observe(&pod().uid).await;
                let running = |c: &pod_model::runtime::ContainerRecord| {
                    c.id == id && c.state == RunState::Running
                };
                if !seen.containers.iter().any(running) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            rig.host.remove_container(&pod().uid, &id, true).await
        }
        Op::End => {
            let id = "s1".into();
            match rig.host.observe(&pod().uid).await.sandboxes.is_empty() {
                true => Ok(()),
                false => rig.host.remove_sandbox(&pod().uid, &id).await,
            }
        }
        Op::RemovePod => rig.host.remove_pod(&pod(), &rig.cgroup()).await,
    }
}

/// A rig on which everything before `op` is done.
async fn before(op: Op, steps: Steps) -> Option<Rig> {
    let rig = Rig::with_steps(steps).await?;
    for earlier in ALL.into_iter().filter(|o| *o < op) {
        // The removal of a pod begins with one that runs.
        if op == Op::RemovePod && earlier >= Op::Stop {
            continue;
        }
        act(&rig, earlier).await.unwrap();
    }
    Some(rig)
}

fn names(rig: &Rig, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(rig.dir.path().join(folder));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What a making operation has begun and not done is gone. Before its last step a sandbox runs: the next daemon takes it as done.
async fn is_done_or_undone(rig: &Rig, op: Op, step: &str, fault: Fault) {
    let seen = rig.host.observe(&pod().uid).await;
    let runs = seen.sandboxes.iter().any(|s| s.ready);
    match op {
        Op::Run if runs => assert_eq!((step, fault), ("run: namespaces", Fault::Crash)),
        Op::Run => assert!(names(rig, "run/sandboxes").is_empty(), "{step}"),
        Op::Start => {
            assert!(names(rig, "root/snapshots").is_empty(), "{step}");
            assert_eq!(names(rig, "run/sandboxes/s1/containers"), ["s1"], "{step}");
            let messages = names(rig, "root/pods/u1/containers/app");
            assert!(messages.is_empty(), "{step}: {messages:?}");
        }
        _ => {}
    }
}

async fn every_step(fault: Fault) {
    let mut broken = Vec::new();
    for op in ALL {
        for at in 0.. {
            let breaker = Breaker::default();
            let Some(mut rig) = before(op, breaker.steps()).await else {
                return;
            };
            breaker.arm(at, fault);
            let result = act(&rig, op).await;
            let Some(step) = breaker.disarm(at) else {
                result.unwrap();
                rig.down().await;
                break;
            };
            assert!(result.is_err(), "{op:?} succeeded without {step:?}");
            if fault == Fault::Crash {
                rig.reopen().await;
                let left = names(&rig, "run/intents");
                assert_eq!(left, ["pod-u1"], "{op:?} after {step:?}");
            }
            is_done_or_undone(&rig, op, &step, fault).await;
            act(&rig, op).await.unwrap();
            act(&rig, op).await.unwrap();
            rig.down().await;
            broken.push(step);
        }
    }
    // As many as there are today: a step that is no longer asked about would go untested.
    assert_eq!(broken.len(), 35, "{broken:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_each_operation_may_fail_and_every_undo_may_run_twice() {
    every_step(Fault::Fail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_that_is_cut_off_before_any_of_its_steps_is_done_or_undone_by_the_next_daemon()
 {
    every_step(Fault::Crash).await;
}
