//! Statuses of the containers of a pod, from what the runtime and the probes report.

use crate::ids::ContainerName;
use crate::phase::RESTARTING_ALL;
use crate::pod::{Container, ContainerKind, Pod, PodSpec, RecursiveReadOnly, VolumeMount};
use crate::restart;
use crate::runtime::{ContainerRecord, PodRuntime, RunState};
use crate::status::{
    ContainerState, ContainerStatus, ContainerUser, PodStatus, Running, Terminated,
    VolumeMountStatus, Waiting,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Newest result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeResult {
    /// As often as its threshold asks.
    Success,
    /// As often as its threshold asks.
    Failure,
    /// The probe runs, nothing is known yet.
    #[serde(alias = "UNKNOWN")]
    Unknown,
}

/// Newest results of the probes of a pod's running attempts, by container; a probe without an entry has no result yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProbeResults {
    /// Of `startupProbe`.
    pub startup: BTreeMap<ContainerName, ProbeResult>,
    /// Of `livenessProbe`.
    pub liveness: BTreeMap<ContainerName, ProbeResult>,
    /// Of `readinessProbe`.
    pub readiness: BTreeMap<ContainerName, ProbeResult>,
}

/// Reason of a container whose end nobody can tell.
pub const STATUS_UNKNOWN: &str = "ContainerStatusUnknown";
const UNKNOWN_CODE: i32 = 137;
const REMOVED: &str = "The container is removed because RestartAllContainers in place";

/// Waiting reason and message of a container that could not be, or is not yet, started again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFor {
    /// `CrashLoopBackOff`, `ErrImagePull`, `CreateContainerError` and so on.
    pub reason: String,
    /// What went wrong, or how long it waits.
    pub message: String,
}

/// What the statuses of one list of containers are made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// What the runtime reports.
    pub runtime: &'a PodRuntime,
    /// Why containers are not started, by name.
    pub waiting: &'a BTreeMap<ContainerName, WaitingFor>,
    /// What stands before an id in `containerID`, such as `podwright://`.
    pub id_prefix: &'a str,
    /// All containers of the pod are being made anew in place.
    pub restarting: bool,
}

/// Statuses of one list of the pod's containers: init containers in order of the spec, others sorted by name.
/// `previous`: the statuses that were computed before. `started` and `ready` are filled in afterwards, by [`apply_probes`].
pub fn container_statuses(
    facts: Facts<'_>,
    kind: ContainerKind,
    containers: &[Container],
    previous: &[ContainerStatus],
) -> Vec<ContainerStatus> {
    let mut statuses: Vec<ContainerStatus> = containers
        .iter()
        .map(|container| {
            let old = previous.iter().rfind(|s| s.name == container.name);
            let mut records = facts
                .runtime
                .containers
                .iter()
                .filter(|r| r.name == container.name);
            let mut status = match records.next() {
                None => without_record(facts, container, old),
                Some(newest) => {
                    let mut status = of_record(facts, container, newest, old);
                    if let Some(older) = records.next() {
                        status.last_state = of_record(facts, container, older, old).state;
                    }
                    status
                }
            };
            explain(facts, kind, container, &mut status);
            status
        })
        .collect();
    if kind != ContainerKind::Init {
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
    }
    statuses
}

fn not_made_yet(pod: &Pod) -> &'static str {
    match pod.spec.init_containers.is_empty() {
        true => "ContainerCreating",
        false => "PodInitializing",
    }
}

fn waiting(reason: &str, message: &str) -> ContainerState {
    ContainerState {
        waiting: Some(Waiting {
            reason: reason.to_owned(),
            message: message.to_owned(),
        }),
        ..ContainerState::default()
    }
}

fn terminated(code: i32, reason: &str, message: &str) -> Terminated {
    Terminated {
        exit_code: code,
        reason: reason.to_owned(),
        message: message.to_owned(),
        ..Terminated::default()
    }
}

fn ended(end: Terminated) -> ContainerState {
    ContainerState {
        terminated: Some(end),
        ..ContainerState::default()
    }
}

/// Status of a container that the runtime knows nothing of.
fn without_record(
    facts: Facts<'_>,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let fresh = ContainerStatus {
        name: container.name.clone(),
        image: container.image.to_string(),
        state: waiting(not_made_yet(facts.pod), ""),
        volume_mounts: volume_mounts(container),
        ..ContainerStatus::default()
    };
    let Some(old) = old else {
        return fresh;
    };
    let mut status = match &old.state.terminated {
        Some(_) => old.clone(),
        None => ContainerStatus {
            restart_count: old.restart_count,
            last_state: old.last_state.clone(),
            ..fresh
        },
    };
    if facts.restarting && old.state.waiting.is_none() {
        status.state = waiting(RESTARTING_ALL, REMOVED);
        status.last_state = ended(terminated(UNKNOWN_CODE, RESTARTING_ALL, REMOVED));
        status.restart_count = old.restart_count.saturating_add(1);
    } else if old.state.running.is_some() && status.last_state.terminated.is_none() {
        // It was running when it was last seen, so it has ended: without this the pod would seem to be pending again.
        status.last_state = ended(terminated(
            UNKNOWN_CODE,
            STATUS_UNKNOWN,
            "The container could not be located when the pod was deleted.  The container used to be Running",
        ));
        if !facts.pod.is_deleted() {
            status.restart_count = status.restart_count.saturating_add(1);
        }
    }
    status
}

/// Status of a container as one record of the runtime has it.
fn of_record(
    facts: Facts<'_>,
    container: &Container,
    record: &ContainerRecord,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let id = format!("{}{}", facts.id_prefix, record.id);
    let attempt = i32::try_from(record.attempt).unwrap_or(i32::MAX);
    let mut status = ContainerStatus {
        name: container.name.clone(),
        restart_count: attempt,
        image: record.image.clone(),
        image_id: record.image_id.to_string(),
        container_id: id.clone(),
        resources: Some(container.resources.clone()),
        allocated_resources: container.resources.requests.clone(),
        volume_mounts: volume_mounts(container),
        user: record
            .user
            .clone()
            .map(|linux| ContainerUser { linux: Some(linux) }),
        ..ContainerStatus::default()
    };
    if let Some(old) = old {
        status.restart_count = attempt.max(old.restart_count);
        // Records of a restart of all are gone, so what is known of the end before must be carried over.
        let carried = match &old.state.terminated {
            Some(end) if old.container_id != id => Some(end),
            _ => old.last_state.terminated.as_ref(),
        };
        status.last_state.terminated = carried.cloned();
    }
    match record.state {
        RunState::Running => {
            status.state.running = Some(Running {
                started_at: record.started_at,
            });
            // That an attempt has passed its startup probe is not forgotten when the daemon is; another attempt starts anew.
            let same = |o: &ContainerStatus| o.container_id == id || o.container_id.is_empty();
            status.started = old.and_then(|o| o.started.map(|started| started && same(o)));
            let counted = old.filter(|o| {
                o.state.terminated.is_some() && o.container_id != id && o.restart_count >= attempt
            });
            if let Some(old) = counted {
                status.restart_count = old.restart_count.saturating_add(1);
            }
        }
        RunState::Created => status.state.waiting = Some(Waiting::default()),
        RunState::Exited => {
            let exit = record.exit.clone().unwrap_or_default();
            status.state.terminated = Some(Terminated {
                exit_code: exit.code,
                signal: 0,
                reason: exit.reason,
                message: exit.message,
                started_at: record.started_at,
                finished_at: exit.finished_at,
                container_id: id,
            });
        }
        RunState::Unknown => match old.filter(|o| o.state.running.is_some()) {
            Some(old) => {
                let reason = match facts.restarting {
                    true => RESTARTING_ALL,
                    false => STATUS_UNKNOWN,
                };
                status.state = ended(terminated(
                    UNKNOWN_CODE,
                    reason,
                    "The container could not be located when the pod was terminated",
                ));
                status.restart_count = old.restart_count.saturating_add(1);
            }
            None => status.state.waiting = Some(Waiting::default()),
        },
    }
    status
}

/// What only the pod as a whole tells: an init container whose record was lost has done its work once an app container was made;
/// a container that should run and does not is waiting, for a reason.
fn explain(
    facts: Facts<'_>,
    kind: ContainerKind,
    container: &Container,
    status: &mut ContainerStatus,
) {
    let newest = facts.runtime.newest(&container.name);
    if kind == ContainerKind::Init {
        match newest {
            Some(r) if r.state == RunState::Exited && r.exit_code() == 0 => return,
            None if restart::any_app_created(&facts.pod.spec, facts.runtime)
                && !container.is_sidecar()
                && status.state.waiting.is_some() =>
            {
                status.state = ended(terminated(
                    0,
                    "Completed",
                    "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally",
                ));
            }
            _ => {}
        }
    }
    if !restart::should_restart(facts.pod, container, facts.runtime) {
        return;
    }
    if let Some(why) = facts.waiting.get(&container.name) {
        if status.state.terminated.is_some() {
            status.last_state = status.state.clone();
        }
        status.state = waiting(&why.reason, &why.message);
    }
}

fn volume_mounts(container: &Container) -> Vec<VolumeMountStatus> {
    let of = |mount: &VolumeMount| {
        let recursive = match mount.recursive_read_only {
            None | Some(RecursiveReadOnly::Disabled) => "Disabled",
            Some(RecursiveReadOnly::IfPossible | RecursiveReadOnly::Enabled) => "Enabled",
        };
        VolumeMountStatus {
            name: mount.name.to_string(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only,
            recursive_read_only: mount.read_only.then(|| recursive.to_owned()),
        }
    };
    container.volume_mounts.iter().map(of).collect()
}

/// Which containers have a probe that takes part in `started` and `ready`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// Those with a `startupProbe`.
    pub startup: BTreeSet<ContainerName>,
    /// Those with a `readinessProbe`.
    pub readiness: BTreeSet<ContainerName>,
}

impl Probed {
    /// As the spec says. Plain init containers are never probed.
    pub fn of(spec: &PodSpec) -> Self {
        let probed = |has: fn(&Container) -> bool| {
            spec.all()
                .filter(|(kind, _, c)| match kind {
                    ContainerKind::Init => c.is_sidecar(),
                    ContainerKind::App => true,
                    ContainerKind::Ephemeral => false,
                })
                .filter(|(_, _, c)| has(c))
                .map(|(_, _, c)| c.name.clone())
                .collect()
        };
        Self {
            startup: probed(|c| c.startup_probe.is_some()),
            readiness: probed(|c| c.readiness_probe.is_some()),
        }
    }
}

/// Fills in `started` and `ready` of init and app containers.
pub fn apply_probes(
    spec: &PodSpec,
    status: &mut PodStatus,
    probed: &Probed,
    results: &ProbeResults,
) {
    for status in &mut status.container_statuses {
        let started = is_started(status, probed, results);
        status.started = Some(started);
        if started {
            status.ready = is_ready(status, probed, results);
        }
    }
    for (index, status) in status.init_container_statuses.iter_mut().enumerate() {
        let started = is_started(status, probed, results);
        status.started = Some(started);
        // Statuses of init containers stand as in the spec; nothing is said of one that does not.
        let in_spec = spec.init_containers.get(index);
        let Some(container) = in_spec.filter(|c| c.name == status.name) else {
            continue;
        };
        if !container.is_sidecar() {
            let end = status.state.terminated.as_ref();
            status.ready |= end.is_some_and(|t| t.exit_code == 0);
        } else if started {
            status.ready = is_ready(status, probed, results);
        }
    }
}

fn is_started(status: &ContainerStatus, probed: &Probed, results: &ProbeResults) -> bool {
    status.state.running.is_some()
        && match results.startup.get(&status.name) {
            Some(result) => *result == ProbeResult::Success,
            None => status.started == Some(true) || !probed.startup.contains(&status.name),
        }
}

fn is_ready(status: &ContainerStatus, probed: &Probed, results: &ProbeResults) -> bool {
    status.state.running.is_some()
        && (results.readiness.get(&status.name) == Some(&ProbeResult::Success)
            || !probed.readiness.contains(&status.name))
}

/// Restart count that the names of a container's log files tell (`3.log`, `3.log.20260101`): one more than the highest, 0 without any.
pub fn restart_count_by_log_files<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    let count = |name: &str| {
        let (number, rest) = name.split_once('.')?;
        let is_log = rest.starts_with("log");
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        // A number that is too long for the kubelet was not written by it.
        let number = || u64::try_from(number.parse::<i64>().ok()?.checked_add(1)?).ok();
        (is_log && digits).then(number)?
    };
    names.filter_map(count).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
