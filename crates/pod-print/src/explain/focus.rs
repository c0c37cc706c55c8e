//! Which container a pod waits for.

use crate::duration::since;
use jiff::Timestamp;
use pod_model::pod::{Container, Pod};
use pod_model::status::{ContainerState, ContainerStatus, Phase};

/// Where the container stands in the life of its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The pod is not initialised because of it.
    Init,
    /// It is an app container (or a sidecar of an initialised pod).
    App,
}

/// The container that a pod waits for, or that has ended it.
#[derive(Clone, Copy, Debug)]
pub struct Focus<'a> {
    /// The container.
    pub container: &'a Container,
    /// Its status, if it has one.
    pub status: Option<&'a ContainerStatus>,
    /// Where it stands.
    pub standing: Standing,
    /// The k-th of its list, from 1.
    pub position: usize,
    /// Length of that list.
    pub of: usize,
}

impl Focus<'_> {
    /// What it is called.
    pub fn kind(&self) -> &'static str {
        match self.standing {
            _ if self.container.is_sidecar() => "sidecar",
            Standing::Init => "init container",
            Standing::App => "container",
        }
    }

    /// Its state as the end of a sentence.
    pub fn state(&self, now: Timestamp) -> String {
        let Some(state) = self.status.map(|s| &s.state) else {
            return "has not been started".to_owned();
        };
        match state {
            ContainerState {
                running: Some(running),
                ..
            } => match running.started_at {
                Some(at) => format!("has been running for {}", since(Some(at), now)),
                None => "runs".to_owned(),
            },
            ContainerState {
                terminated: Some(end),
                ..
            } => {
                let how = match end.reason.as_str() {
                    "" | "Error" | "Completed" => String::new(),
                    reason => format!(" ({reason})"),
                };
                format!("ended with exit code {}{how}", end.exit_code)
            }
            ContainerState {
                waiting: Some(waiting),
                ..
            } => match (waiting.reason.as_str(), waiting.message.as_str()) {
                ("", _) => "has not been started".to_owned(),
                (reason, "") => format!("waits: {reason}"),
                (reason, message) => format!("waits: {reason}: {message}"),
            },
            ContainerState { .. } => "has not been started".to_owned(),
        }
    }
}

/// The first container, in the order in which they start, that is not as it should be; `None` where all are.
pub fn focus(pod: &Pod) -> Option<Focus<'_>> {
    let status = pod.status.as_ref();
    let phase = status.and_then(|s| s.phase);
    if phase == Some(Phase::Succeeded) {
        return None;
    }
    let inits = status.map_or(&[][..], |s| &s.init_container_statuses);
    let apps = status.map_or(&[][..], |s| &s.container_statuses);
    let failed = phase == Some(Phase::Failed);
    let init = find(&pod.spec.init_containers, inits, Standing::Init, |c, s| {
        if failed {
            failed_itself(s)
        } else {
            !init_is_done(c, s)
        }
    });
    init.or_else(|| {
        find(&pod.spec.containers, apps, Standing::App, |_, s| {
            if failed {
                failed_itself(s)
            } else {
                !s.is_some_and(|s| s.ready) && !ended_well(s)
            }
        })
    })
}

fn find<'a>(
    list: &'a [Container],
    statuses: &'a [ContainerStatus],
    standing: Standing,
    wrong: impl Fn(&Container, Option<&ContainerStatus>) -> bool,
) -> Option<Focus<'a>> {
    list.iter().enumerate().find_map(|(i, container)| {
        let status = statuses.iter().find(|s| s.name == container.name);
        wrong(container, status).then_some(Focus {
            container,
            status,
            standing,
            position: i + 1,
            of: list.len(),
        })
    })
}

fn init_is_done(container: &Container, status: Option<&ContainerStatus>) -> bool {
    if container.is_sidecar() {
        return status.is_some_and(|s| s.started == Some(true) && s.ready) || ended_well(status);
    }
    ended_well(status)
}

fn ended_well(status: Option<&ContainerStatus>) -> bool {
    status
        .and_then(|s| s.state.terminated.as_ref())
        .is_some_and(|t| t.exit_code == 0)
}

fn failed_itself(status: Option<&ContainerStatus>) -> bool {
    status
        .and_then(|s| s.state.terminated.as_ref())
        .is_some_and(|t| t.exit_code != 0)
}
