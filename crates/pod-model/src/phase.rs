//! Phase of a pod, from the statuses of its containers.

use crate::pod::{Container, Pod, PodSpec};
use crate::restart::restarts_after;
use crate::status::{ContainerState, ContainerStatus, Phase, Terminated};

/// Reason of a container that was ended and removed because all containers of its pod start anew.
pub const RESTARTING_ALL: &str = "RestartingAllContainers";

#[derive(Default)]
struct Count {
    pending_init: u32,
    pending_sidecar: u32,
    init_failed_for_good: u32,
    unknown: u32,
    running: u32,
    waiting: u32,
    stopped: u32,
    stopped_for_good: u32,
    succeeded: u32,
}

/// What one container is doing, as far as the phase asks.
enum Doing<'a> {
    Unknown,
    Running,
    Ended(&'a Terminated),
    /// Waiting after it ended once before.
    WaitingAgain(&'a Terminated),
    Waiting,
}

fn doing<'a>(statuses: &'a [ContainerStatus], container: &Container) -> Doing<'a> {
    let Some(status) = statuses.iter().find(|s| s.name == container.name) else {
        return Doing::Unknown;
    };
    match (&status.state, &status.last_state) {
        (
            ContainerState {
                running: Some(_), ..
            },
            _,
        ) => Doing::Running,
        (
            ContainerState {
                terminated: Some(end),
                ..
            },
            _,
        ) => Doing::Ended(end),
        (
            ContainerState {
                waiting: Some(_), ..
            },
            ContainerState {
                terminated: Some(end),
                ..
            },
        ) => Doing::WaitingAgain(end),
        (
            ContainerState {
                waiting: Some(_), ..
            },
            _,
        ) => Doing::Waiting,
        _ => Doing::Unknown,
    }
}

fn for_good(spec: &PodSpec, container: &Container, end: &Terminated) -> bool {
    !restarts_after(spec, container, end.exit_code) && end.reason != RESTARTING_ALL
}

impl Count {
    fn init(&mut self, spec: &PodSpec, container: &Container, doing: Doing<'_>) {
        match doing {
            Doing::Ended(end) | Doing::WaitingAgain(end) => {
                if end.exit_code != 0 && for_good(spec, container, end) {
                    self.init_failed_for_good += 1;
                }
            }
            Doing::Unknown | Doing::Running | Doing::Waiting => self.pending_init += 1,
        }
    }

    /// `known`: there is a status, whatever it says. A sidecar that ended never counts.
    fn sidecar(&mut self, doing: Doing<'_>, known: bool, started: bool) {
        match doing {
            Doing::Running => {
                self.running += 1;
                self.pending_sidecar += u32::from(!started);
            }
            Doing::Ended(_) | Doing::WaitingAgain(_) => {}
            Doing::Waiting => {
                self.waiting += 1;
                self.pending_sidecar += 1;
            }
            Doing::Unknown => {
                self.unknown += 1;
                self.pending_sidecar += u32::from(known);
            }
        }
    }

    fn app(&mut self, spec: &PodSpec, container: &Container, doing: Doing<'_>) {
        match doing {
            Doing::Unknown => self.unknown += 1,
            Doing::Running => self.running += 1,
            Doing::Waiting => self.waiting += 1,
            Doing::Ended(end) => {
                self.stopped += 1;
                self.stopped_for_good += u32::from(for_good(spec, container, end));
                self.succeeded += u32::from(end.exit_code == 0);
            }
            Doing::WaitingAgain(end) => {
                self.stopped += 1;
                self.stopped_for_good += u32::from(for_good(spec, container, end));
            }
        }
    }
}

/// The phase. `statuses`: those of init and app containers. `over`: nothing of the pod will be started again.
/// `initialized`: an app container has been made in the sandbox that is in use.
pub fn phase(pod: &Pod, statuses: &[ContainerStatus], over: bool, initialized: bool) -> Phase {
    let spec = &pod.spec;
    let mut n = Count::default();
    for container in &spec.init_containers {
        let doing = doing(statuses, container);
        if container.is_sidecar() {
            let status = statuses.iter().find(|s| s.name == container.name);
            let started = status.is_some_and(|s| s.started == Some(true));
            n.sidecar(doing, status.is_some(), started);
        } else {
            n.init(spec, container, doing);
        }
    }
    for container in &spec.containers {
        n.app(spec, container, doing(statuses, container));
    }
    let ended = || {
        if n.stopped == n.succeeded {
            Phase::Succeeded
        } else {
            Phase::Failed
        }
    };
    if n.init_failed_for_good > 0 {
        Phase::Failed
    } else if n.pending_init > 0 || (n.pending_sidecar > 0 && !initialized) || n.waiting > 0 {
        Phase::Pending
    } else if n.running > 0 && n.unknown == 0 {
        Phase::Running
    } else if n.running == 0 && n.stopped > 0 && n.unknown == 0 {
        match over || n.stopped == n.stopped_for_good {
            true => ended(),
            false => Phase::Running,
        }
    } else {
        Phase::Pending
    }
}

#[cfg(test)]
mod tests;
