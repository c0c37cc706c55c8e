//! `describe pod`, byte for byte as kubectl 1.36 lays it out.

mod container;
mod extras;
mod field;
mod probe;
#[cfg(test)]
mod tests;
mod volume;

pub use container::containers;
pub use extras::{Extras, SpreadConstraint, Toleration};
pub use probe::probe_text;

use crate::duration::{rfc1123, since};
use crate::events;
use crate::tabs::{Indented, align};
use jiff::Timestamp;
use pod_model::event::Event;
use pod_model::pod::{Pod, Profile, ProfileType};
use pod_model::status::{Phase, PodStatus, QosClass};
use std::collections::BTreeMap;

/// Everything that `describe` shows of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// The pod with its status.
    pub pod: &'a Pod,
    /// Fields of the manifest that mean nothing on one node and are shown all the same.
    pub extras: &'a Extras,
    /// Its events; `None` leaves the section out.
    pub events: Option<&'a [Event]>,
    /// The time to count ages to.
    pub now: Timestamp,
}

/// The text of `describe pod`.
pub fn describe_pod(described: Described<'_>) -> String {
    let Described {
        pod, extras, now, ..
    } = described;
    let none = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&none);
    let mut out = Indented::new();
    identity(&mut out, pod, status, extras);
    state(&mut out, pod, status, extras, now);
    sections(&mut out, pod, status, extras);
    match described.events {
        None => align(&out.into_text(), 0, 2),
        Some([]) => {
            out.line(0, "Events:\t<none>");
            align(&out.into_text(), 0, 2)
        }
        // kubectl lays the events out by themselves.
        Some(all) => align(&out.into_text(), 0, 2) + &event_lines(all, now),
    }
}

fn identity(out: &mut Indented, pod: &Pod, status: &PodStatus, extras: &Extras) {
    let (meta, spec) = (&pod.metadata, &pod.spec);
    out.line(0, format!("Name:\t{}", meta.name));
    out.line(0, format!("Namespace:\t{}", meta.namespace));
    if let Some(priority) = spec.priority {
        out.line(0, format!("Priority:\t{priority}"));
    }
    let named = [
        ("Priority Class Name", &spec.priority_class_name),
        ("Runtime Class Name", &extras.runtime_class_name),
        ("Service Account", &spec.service_account_name),
    ];
    for (title, value) in named {
        if let Some(value) = value.as_deref().filter(|v| !v.is_empty()) {
            out.line(0, format!("{title}:\t{value}"));
        }
    }
    match spec.node_name.as_ref().filter(|n| !n.is_empty()) {
        None => out.line(0, "Node:\t<none>"),
        Some(node) => out.line(0, format!("Node:\t{node}/{}", status.host_ip)),
    }
    if status.start_time.is_some() {
        out.line(0, format!("Start Time:\t{}", rfc1123(status.start_time)));
    }
    pairs(out, "Labels", &meta.labels);
    annotations(out, &meta.annotations);
}

fn state(out: &mut Indented, pod: &Pod, status: &PodStatus, extras: &Extras, now: Timestamp) {
    match pod.metadata.deletion_timestamp {
        Some(_) if !status.phase.is_some_and(Phase::is_terminal) => {
            let lasts = since(pod.metadata.deletion_timestamp, now);
            out.line(0, format!("Status:\tTerminating (lasts {lasts})"));
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
            out.line(0, format!("Termination Grace Period:\t{grace}s"));
        }
        _ => out.line(
            0,
            format!("Status:\t{}", status.phase.map_or("", Phase::as_str)),
        ),
    }
    if !status.reason.is_empty() {
        out.line(0, format!("Reason:\t{}", status.reason));
    }
    if !status.message.is_empty() {
        out.line(0, format!("Message:\t{}", status.message));
    }
    let profile = pod.spec.security_context.as_ref();
    if let Some(profile) = profile.and_then(|s| s.seccomp_profile.as_ref()) {
        seccomp(out, profile, 0, 0);
    }
    out.line(0, format!("IP:\t{}", status.pod_ip));
    if status.pod_ips.is_empty() {
        out.line(0, "IPs:\t<none>");
    } else {
        out.line(0, "IPs:");
        for ip in &status.pod_ips {
            out.line(1, format!("IP:\t{}", ip.ip));
        }
    }
    if let Some(controller) = &extras.controlled_by {
        out.line(0, format!("Controlled By:\t{controller}"));
    }
    if !status.nominated_node_name.is_empty() {
        out.line(
            0,
            format!("NominatedNodeName:\t{}", status.nominated_node_name),
        );
    }
}

fn sections(out: &mut Indented, pod: &Pod, status: &PodStatus, extras: &Extras) {
    let spec = &pod.spec;
    if let Some(resources) = &spec.resources {
        out.line(0, "Resources:");
        container::resources(out, resources, 1);
    }
    if !spec.init_containers.is_empty() {
        let statuses = &status.init_container_statuses;
        container::section(
            out,
            "Init Containers",
            &spec.init_containers,
            statuses,
            pod,
            extras,
        );
    }
    let statuses = &status.container_statuses;
    container::section(out, "Containers", &spec.containers, statuses, pod, extras);
    if !spec.ephemeral_containers.is_empty() {
        let statuses = &status.ephemeral_container_statuses;
        let list = &spec.ephemeral_containers;
        container::section(out, "Ephemeral Containers", list, statuses, pod, extras);
    }
    if !spec.readiness_gates.is_empty() {
        out.line(0, "Readiness Gates:");
        out.line(1, "Type\tStatus");
        for gate in &spec.readiness_gates {
            let found = status
                .conditions
                .iter()
                .find(|c| c.kind == gate.condition_type);
            let value = found.map_or("<none>", |c| c.status.as_str());
            out.line(1, format!("{} \t{value} ", gate.condition_type));
        }
    }
    if !status.conditions.is_empty() {
        out.line(0, "Conditions:");
        out.line(1, "Type\tStatus");
        for condition in &status.conditions {
            out.line(1, format!("{} \t{} ", condition.kind, condition.status));
        }
    }
    volume::volumes(out, &spec.volumes);
    let qos = status.qos_class.map_or("", qos_word);
    out.line(0, format!("QoS Class:\t{qos}"));
    pairs(out, "Node-Selectors", &extras.node_selector);
    extras::tolerations(out, &extras.tolerations);
    extras::spread(out, &extras.topology_spread);
}

fn qos_word(class: QosClass) -> &'static str {
    match class {
        QosClass::Guaranteed => "Guaranteed",
        QosClass::Burstable => "Burstable",
        QosClass::BestEffort => "BestEffort",
    }
}

fn seccomp(out: &mut Indented, profile: &Profile, level: usize, path_level: usize) {
    let word = match profile.kind {
        ProfileType::RuntimeDefault => "RuntimeDefault",
        ProfileType::Unconfined => "Unconfined",
        ProfileType::Localhost => "Localhost",
    };
    out.line(level, format!("SeccompProfile:\t{word}"));
    if profile.kind == ProfileType::Localhost {
        let path = profile.localhost_profile.as_deref().unwrap_or_default();
        out.line(path_level, format!("LocalhostProfile:\t{path}"));
    }
}

/// `Title:  a=1`, further pairs below the first.
pub(crate) fn pairs(out: &mut Indented, title: &str, map: &BTreeMap<String, String>) {
    if map.is_empty() {
        out.line(0, format!("{title}:\t<none>"));
    }
    let mut head = format!("{title}:");
    for (key, value) in map {
        out.line(0, format!("{head}\t{key}={value}"));
        head.clear();
    }
}

/// Labels in one cell: `a=1,b=2`.
pub fn label_list(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return "<none>".to_owned();
    }
    let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}

/// Longest annotation that stays on its own line, in bytes, its key and the colon counted.
const LONG: usize = 140;
/// Holds the whole object once more: never shown.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

pub(crate) fn annotations(out: &mut Indented, map: &BTreeMap<String, String>) {
    let mut head = "Annotations:".to_owned();
    for (key, value) in map.iter().filter(|(key, _)| *key != LAST_APPLIED) {
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + key.len() + 2 > LONG || value.contains('\n') {
            out.line(0, format!("{head}\t{key}:"));
            for line in value.split('\n') {
                out.line(0, format!("\t  {}", shortened(line, LONG - 2)));
            }
        } else {
            out.line(0, format!("{head}\t{key}: {value}"));
        }
        head.clear();
    }
    if !head.is_empty() {
        out.line(0, "Annotations:\t<none>");
    }
}

/// The first `most` bytes and dots; never half a character.
fn shortened(line: &str, most: usize) -> String {
    if line.len() <= most {
        return line.to_owned();
    }
    let end = (0..=most)
        .rev()
        .find(|i| line.is_char_boundary(*i))
        .unwrap_or(0);
    format!("{}...", line.get(..end).unwrap_or_default())
}

fn event_lines(all: &[Event], now: Timestamp) -> String {
    let mut out = Indented::new();
    out.line(0, "Events:");
    out.line(1, "Type\tReason\tAge\tFrom\tMessage");
    out.line(1, "----\t------\t----\t----\t-------");
    for event in events::sorted(all) {
        let line = format!(
            "{}\t{}\t{}\t{}\t{}",
            event.kind.as_str(),
            event.reason,
            events::interval(event, now),
            event.component,
            events::message_with_field(event)
        );
        out.line(1, line);
    }
    align(&out.into_text(), 0, 2)
}
