//! The row of a pod in `get pods`: what each column says.

use crate::duration::since;
use crate::table::Table;
use jiff::Timestamp;
use pod_model::ids::ContainerName;
use pod_model::pod::Pod;
use pod_model::status::{ContainerState, ContainerStatus, Phase, PodStatus, Terminated};

/// The columns of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRow {
    /// NAME.
    pub name: String,
    /// READY: containers that are ready, of those that should stay (apps and sidecars).
    pub ready: String,
    /// STATUS: the one word.
    pub status: String,
    /// RESTARTS, with how long ago the latest was.
    pub restarts: String,
    /// AGE.
    pub age: String,
    /// IP; `<none>` where there is none.
    pub ip: String,
    /// NODE.
    pub node: String,
    /// NOMINATED NODE.
    pub nominated_node: String,
    /// READINESS GATES: how many of them are true.
    pub readiness_gates: String,
    /// Whether the pod is over.
    pub completed: bool,
}

/// What the columns say of that pod at `now`.
pub fn pod_row(pod: &Pod, now: Timestamp) -> PodRow {
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let words = Words::of(pod, status);
    let restarts = match words.last_restart {
        Some(time) if words.restarts != 0 => {
            format!("{} ({} ago)", words.restarts, since(Some(time), now))
        }
        _ => words.restarts.to_string(),
    };
    // The one address counts where it and the list differ, or where only it is set.
    let ip = match status.pod_ip.as_str() {
        "" => status.pod_ips.first().map_or("", |ip| ip.ip.as_str()),
        ip => ip,
    };
    let node = pod.spec.node_name.as_ref().map_or("", |n| n.as_str());
    PodRow {
        name: pod.metadata.name.to_string(),
        ready: format!("{}/{}", words.ready, words.total),
        status: words.reason,
        restarts,
        age: since(pod.metadata.creation_timestamp, now),
        ip: or_none(ip),
        node: or_none(node),
        nominated_node: or_none(&status.nominated_node_name),
        readiness_gates: readiness_gates(pod, status),
        completed: status.phase.is_some_and(Phase::is_terminal),
    }
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "<none>" } else { text }.to_owned()
}

fn readiness_gates(pod: &Pod, status: &PodStatus) -> String {
    let gates = &pod.spec.readiness_gates;
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let passed = gates
        .iter()
        .filter(|gate| is_true(status, &gate.condition_type))
        .count();
    format!("{passed}/{}", gates.len())
}

fn is_true(status: &PodStatus, condition: &str) -> bool {
    let found = status.conditions.iter().find(|c| c.kind == condition);
    found.is_some_and(|c| c.status == "True")
}

/// The parts of READY, STATUS and RESTARTS while they are worked out.
struct Words {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Words {
    /// The rules of kubectl's pod printer: the first unfinished init container decides; when none is left, the first app container
    /// that has something to say; deletion overrides both.
    fn of(pod: &Pod, status: &PodStatus) -> Self {
        let phase = status.phase.map_or("", Phase::as_str);
        let mut words = Words {
            ready: 0,
            total: pod.spec.containers.len()
                + pod
                    .spec
                    .init_containers
                    .iter()
                    .filter(|c| c.is_sidecar())
                    .count(),
            reason: or(&status.reason, phase).to_owned(),
            restarts: 0,
            last_restart: None,
        };
        if status
            .conditions
            .iter()
            .any(|c| c.kind == "PodScheduled" && c.reason == "SchedulingGated")
        {
            words.reason = "SchedulingGated".to_owned();
        }
        let sidecars = words.init(pod, status);
        let initializing = sidecars.is_none();
        if !initializing || is_true(status, "Initialized") {
            // While initialising, the count is that of every init container up to the unfinished one; afterwards only containers
            // that stay count.
            let (restarts, last) = sidecars.unwrap_or_else(|| sidecar_restarts(pod, status));
            words.restarts = restarts;
            words.last_restart = last;
            words.apps(status);
        }
        if pod.is_deleted() {
            if status.reason == "NodeLost" {
                words.reason = "Unknown".to_owned();
            } else if !status.phase.is_some_and(Phase::is_terminal) {
                words.reason = "Terminating".to_owned();
            }
        }
        words
    }

    /// Reads the init containers up to the first unfinished one. Gives the sidecars' restarts if there is none unfinished.
    fn init(&mut self, pod: &Pod, status: &PodStatus) -> Option<(i64, Option<Timestamp>)> {
        for (i, container) in status.init_container_statuses.iter().enumerate() {
            self.count(container);
            let sidecar = is_sidecar(pod, &container.name);
            let state = &container.state;
            if state.terminated.as_ref().is_some_and(|t| t.exit_code == 0) {
                continue;
            }
            if sidecar && container.started == Some(true) {
                self.ready += usize::from(container.ready);
                continue;
            }
            self.reason = match state {
                ContainerState {
                    terminated: Some(end),
                    ..
                } => format!("Init:{}", end_word(end)),
                ContainerState {
                    waiting: Some(waiting),
                    ..
                } if !matches!(waiting.reason.as_str(), "" | "PodInitializing") => {
                    format!("Init:{}", waiting.reason)
                }
                _ => format!("Init:{i}/{}", pod.spec.init_containers.len()),
            };
            return None;
        }
        Some(sidecar_restarts(pod, status))
    }

    fn apps(&mut self, status: &PodStatus) {
        let mut running = false;
        let mut error: Option<String> = None;
        for container in status.container_statuses.iter().rev() {
            self.count(container);
            match &container.state {
                ContainerState {
                    waiting: Some(waiting),
                    ..
                } if !waiting.reason.is_empty() => self.reason.clone_from(&waiting.reason),
                ContainerState {
                    terminated: Some(end),
                    ..
                } => {
                    self.reason = end_word(end);
                    if end.exit_code != 0 {
                        error = Some(self.reason.clone());
                    }
                }
                ContainerState {
                    running: Some(_), ..
                } if container.ready => {
                    running = true;
                    self.ready += 1;
                }
                _ => {}
            }
        }
        if self.reason == "Completed" {
            if running && is_true(status, "Ready") {
                self.reason = "Running".to_owned();
            } else if let Some(error) = error {
                self.reason = error;
            } else if running {
                self.reason = "NotReady".to_owned();
            }
        }
    }

    fn count(&mut self, container: &ContainerStatus) {
        self.restarts += i64::from(container.restart_count);
        self.last_restart = self.last_restart.max(ended_before(container));
    }
}

fn or<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

fn is_sidecar(pod: &Pod, name: &ContainerName) -> bool {
    // Names are unique in a valid pod; of several the last one counts, as in kubectl.
    let named = pod.spec.init_containers.iter().rev();
    named
        .filter(|c| c.name == *name)
        .map(pod_model::pod::Container::is_sidecar)
        .next()
        .unwrap_or(false)
}

fn ended_before(container: &ContainerStatus) -> Option<Timestamp> {
    container.last_state.terminated.as_ref()?.finished_at
}

fn sidecar_restarts(pod: &Pod, status: &PodStatus) -> (i64, Option<Timestamp>) {
    let mut sum = 0;
    let mut last = None;
    for container in &status.init_container_statuses {
        if is_sidecar(pod, &container.name) {
            sum += i64::from(container.restart_count);
            last = last.max(ended_before(container));
        }
        // Reading stops where it stopped for STATUS.
        let ended = container.state.terminated.as_ref();
        let passed = ended.is_some_and(|t| t.exit_code == 0)
            || (is_sidecar(pod, &container.name) && container.started == Some(true));
        if !passed {
            break;
        }
    }
    (sum, last)
}

fn end_word(end: &Terminated) -> String {
    if !end.reason.is_empty() {
        end.reason.clone()
    } else if end.signal != 0 {
        format!("Signal:{}", end.signal)
    } else {
        format!("ExitCode:{}", end.exit_code)
    }
}

/// How `get pods` is asked to show them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// A first column NAMESPACE.
    pub namespace: bool,
    /// IP, NODE, NOMINATED NODE and READINESS GATES too.
    pub wide: bool,
    /// A last column LABELS.
    pub labels: bool,
    /// Names as `pod/NAME`.
    pub kind: bool,
}

/// The table of these pods.
pub fn pod_table<'a>(
    pods: impl IntoIterator<Item = &'a Pod>,
    columns: Columns,
    now: Timestamp,
) -> Table {
    let mut header = Vec::new();
    if columns.namespace {
        header.push("NAMESPACE");
    }
    header.extend(["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    if columns.wide {
        header.extend(["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]);
    }
    if columns.labels {
        header.push("LABELS");
    }
    let mut table = Table::new(header);
    for pod in pods {
        let row = pod_row(pod, now);
        let mut cells = Vec::new();
        if columns.namespace {
            cells.push(pod.metadata.namespace.to_string());
        }
        cells.push(if columns.kind {
            format!("pod/{}", row.name)
        } else {
            row.name
        });
        cells.extend([row.ready, row.status, row.restarts, row.age]);
        if columns.wide {
            cells.extend([row.ip, row.node, row.nominated_node, row.readiness_gates]);
        }
        if columns.labels {
            cells.push(crate::describe::label_list(&pod.metadata.labels));
        }
        table.rows.push(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::status::Ip;

    #[test]
    fn the_one_address_counts_where_it_and_the_list_differ() {
        for (one, list, shown) in [
            ("", &[][..], "<none>"),
            ("10.0.0.9", &[], "10.0.0.9"),
            ("", &["10.0.0.1", "fd00::1"], "10.0.0.1"),
            ("10.0.0.9", &["10.0.0.1", "fd00::1"], "10.0.0.9"),
        ] {
            let ips = list.iter().map(|ip| Ip {
                ip: (*ip).to_owned(),
            });
            let pod = Pod {
                status: Some(PodStatus {
                    pod_ip: one.to_owned(),
                    pod_ips: ips.collect(),
                    ..PodStatus::default()
                }),
                ..Pod::default()
            };
            assert_eq!(pod_row(&pod, Timestamp::UNIX_EPOCH).ip, shown);
        }
    }
}
