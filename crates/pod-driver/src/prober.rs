//! Probes one pod: an actor beside the pod's task. When what is due, and what its outcome means, is pod-plan's ([`Prober`]).
//!
//! The task shows it the pod's status; it sends results back through the task's queue. Between runs it sleeps until the next one is due.

use crate::actions::{Actions, Target};
use crate::clock::Watch;
use crate::queue::Message;
use crate::world::{Clock, Journal, Outside, WorldOf};
use jiff::Timestamp;
use pod_model::pod::{Pod, Probe};
use pod_model::status::PodStatus;
use pod_plan::action::{Purpose, action};
use pod_plan::probes::{Outcome, Prober, Run};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How often a probe that could not be done is tried before that is told.
const TRIES: u32 = 3;

/// What the task shows of its pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// Its status.
    pub(crate) status: PodStatus,
    /// It is going.
    pub(crate) deleted: bool,
}

/// Probes until the task is gone.
pub(crate) async fn probe<X: Outside>(
    world: WorldOf<X>,
    pod: Arc<Pod>,
    mut prober: Prober,
    mut shown: watch::Receiver<Shown>,
    queue: mpsc::WeakUnboundedSender<Message>,
) {
    let reference = pod.reference();
    let mut runs: JoinSet<(Run, Outcome)> = JoinSet::new();
    let mut told = prober.findings();
    let mut watch = Watch::new(&*world.clock);
    loop {
        {
            let seen = shown.borrow_and_update();
            prober.see(&seen.status, seen.deleted);
        }
        let findings = prober.findings();
        if findings != told {
            told = findings.clone();
            let Some(queue) = queue.upgrade() else {
                return;
            };
            // A task that has ended needs none any more.
            let _ = queue.send(Message::Probed(findings));
        }
        let (now, set) = watch.look(&*world.clock);
        if let Some(by) = set {
            prober.clock_was_set(by);
        }
        let (due, wake) = prober.due(now);
        for run in due {
            runs.spawn(once::<X>(world.clone(), Arc::clone(&pod), run, &shown));
        }
        tokio::select! {
            changed = shown.changed() => if changed.is_err() { return; },
            Some(done) = runs.join_next() => {
                // A run that panicked would end the daemon.
                if let Ok((run, outcome)) = done {
                    let event = prober.ended(&run, &outcome);
                    if let Some(event) = event {
                        world.journal.event(&reference, event, world.clock.now());
                    }
                }
            }
            () = sleep_until(wake, world.clock.now()) => {}
        }
    }
}

async fn sleep_until(wake: Option<Timestamp>, now: Timestamp) {
    match wake {
        Some(at) => {
            let time = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            tokio::time::sleep(time).await;
        }
        None => std::future::pending().await,
    }
}

/// One run, with another try where it could not be done.
fn once<X: Outside>(
    world: WorldOf<X>,
    pod: Arc<Pod>,
    run: Run,
    shown: &watch::Receiver<Shown>,
) -> impl Future<Output = (Run, Outcome)> + Send + 'static {
    let target = Target {
        pod: pod.metadata.uid.clone(),
        id: run.id.clone(),
        ip: shown.borrow().status.pod_ip.parse().ok(),
    };
    async move {
        let found = pod.spec.find(run.name.as_str());
        let probe = found.and_then(|(_, _, container)| {
            let probe = run.kind.of(container)?;
            Some((
                action(container, &probe.handler, Purpose::Probe),
                limit(probe),
            ))
        });
        let outcome = match probe {
            None => Outcome::Error("the container has no such probe".to_owned()),
            Some((Err(cause), _)) => Outcome::Error(cause),
            Some((Ok(action), limit)) => {
                let mut outcome = Outcome::Success;
                for _ in 0..TRIES {
                    let act = world
                        .actions
                        .act(&target, &action, Purpose::Probe, Some(limit));
                    outcome = act.await;
                    if !matches!(outcome, Outcome::Error(_)) {
                        break;
                    }
                }
                outcome
            }
        };
        (run, outcome)
    }
}

fn limit(probe: &Probe) -> Duration {
    let seconds = probe.timeout_seconds.and_then(|s| u64::try_from(s).ok());
    Duration::from_secs(seconds.filter(|s| *s > 0).unwrap_or(1))
}
