//! `plan`: what a manifest would do, before anything is done.

mod cgroups;
mod mounts;
mod steps;
#[cfg(test)]
mod tests;

pub use cgroups::{CgroupFiles, FileValue};
pub use mounts::ContainerMounts;

use pod_model::node::NodeFacts;
use pod_model::oom;
use pod_model::origin::origins;
use pod_model::pod::Pod;
use pod_model::qos::qos_class;
use pod_model::resources::Side;
use serde::Serialize;

/// Everything that `plan` tells of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanView {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// QoS class.
    pub qos_class: &'static str,
    /// What happens, in order.
    pub steps: Vec<String>,
    /// Effective requests and limits.
    pub resources: Vec<Effective>,
    /// Cgroup files that are written, the pod's first, then each container's.
    pub cgroups: Vec<CgroupFiles>,
    /// oom_score_adj of the pause process and of each container.
    pub oom_score_adj: Vec<OomScore>,
    /// What each container sees.
    pub mounts: Vec<ContainerMounts>,
    /// What else a user should know.
    pub notes: Vec<String>,
}

/// One effective number and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// `cpu`, `memory`, …
    pub resource: String,
    /// `request` or `limit`.
    pub side: &'static str,
    /// The amount.
    pub amount: String,
    /// The rule that decided, with its numbers.
    pub why: String,
}

/// One oom_score_adj.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OomScore {
    /// `pause`, or the container.
    pub process: String,
    /// -1000 to 1000.
    pub value: i32,
}

impl PlanView {
    /// What a node with these facts would make of the pod. `notes` are those of the manifest. The uid is not known yet.
    pub fn new(pod: &Pod, node: &NodeFacts, notes: Vec<String>) -> Self {
        let mut pod = pod.clone();
        pod.metadata.uid = "<uid>".into();
        let pod = &pod;
        let mut notes = notes;
        notes.extend(own_notes(pod));
        Self {
            namespace: pod.metadata.namespace.to_string(),
            name: pod.metadata.name.to_string(),
            qos_class: qos_class(pod).as_str(),
            steps: steps::steps(pod),
            resources: effective(pod),
            cgroups: cgroups::files(pod, node),
            oom_score_adj: scores(pod, node),
            mounts: mounts::mounts(pod),
            notes,
        }
    }

    /// The whole as text.
    pub fn text(&self) -> String {
        let mut out = format!("Pod {}/{}\n", self.namespace, self.name);
        section(&mut out, "Steps", self.steps.iter().cloned());
        out += "\nEffective requests and limits of the pod\n";
        let mut lines = String::new();
        for e in &self.resources {
            lines += &format!("  {} {}\t{}\t{}\n", e.resource, e.side, e.amount, e.why);
        }
        if lines.is_empty() {
            lines += "  none\n";
        }
        out += &crate::tabs::align(&lines, 0, 2);
        out += &format!("\nQoS class: {}\n", self.qos_class);
        for group in &self.cgroups {
            out += &format!("\nCgroup of {}: {}\n", group.of, group.path);
            out += &cgroups::text(group);
        }
        out += "\noom_score_adj\n";
        let mut lines = String::new();
        for score in &self.oom_score_adj {
            lines += &format!("  {}\t{}\n", score.process, score.value);
        }
        out += &crate::tabs::align(&lines, 0, 2);
        for container in &self.mounts {
            section(
                &mut out,
                &format!("Mounts of {}", container.container),
                container.mounts.iter().cloned(),
            );
        }
        if !self.notes.is_empty() {
            section(&mut out, "Notes", self.notes.iter().cloned());
        }
        out
    }
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    *out += &format!("\n{title}\n");
    for line in lines {
        *out += &format!("  {}\n", crate::text::harmless(&line));
    }
}

fn effective(pod: &Pod) -> Vec<Effective> {
    let both = [(Side::Requests, "request"), (Side::Limits, "limit")];
    let mut all = Vec::new();
    for (side, word) in both {
        for origin in origins(pod, side) {
            let text = origin.to_string();
            // The text begins with the resource, the side and the amount, which have fields of their own here.
            let why = text.split_once(": ").map_or(text.as_str(), |(_, why)| why);
            all.push(Effective {
                resource: origin.resource.clone(),
                side: word,
                amount: origin.amount.to_string(),
                why: why.to_owned(),
            });
        }
    }
    all
}

fn scores(pod: &Pod, node: &NodeFacts) -> Vec<OomScore> {
    let mut scores = vec![OomScore {
        process: "pause".to_owned(),
        value: oom::SANDBOX,
    }];
    for (kind, _, container) in pod.spec.all() {
        scores.push(OomScore {
            process: steps::call(kind, container),
            value: oom::oom_score_adj(pod, container, node.memory_capacity),
        });
    }
    scores
}

fn own_notes(pod: &Pod) -> Vec<String> {
    let mut notes = Vec::new();
    if !pod.spec.host_network {
        notes.push(
            "network: a namespace of its own, with an address on the node's bridge; with loopback only where the node has --network none"
                .to_owned(),
        );
    }
    for (name, why) in [("cpu", "cpu"), ("memory", "memory")] {
        let limited = origins(pod, Side::Limits)
            .iter()
            .any(|o| o.resource == name && !o.amount.is_zero());
        let without = pod_model::cgroup::without_limit(pod, name);
        if limited && !without.is_empty() {
            let names: Vec<&str> = without.iter().map(|n| n.as_str()).collect();
            notes.push(format!(
                "{why}: the pod as a whole has no {why} limit, because {} has none",
                names.join(", ")
            ));
        }
    }
    notes
}
