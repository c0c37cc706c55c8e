//! What `describe` shows of a manifest that podwright itself does not read.

use crate::tabs::Indented;
use std::collections::BTreeMap;

/// Fields of `v1.Pod` that mean nothing on one node, as they stand in the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// `spec.runtimeClassName`.
    pub runtime_class_name: Option<String>,
    /// `Kind/name` of the owner that is its controller.
    pub controlled_by: Option<String>,
    /// `spec.nodeSelector`.
    pub node_selector: BTreeMap<String, String>,
    /// `spec.tolerations`.
    pub tolerations: Vec<Toleration>,
    /// `spec.topologySpreadConstraints`.
    pub topology_spread: Vec<SpreadConstraint>,
    /// `volumeDevices` of each container that has some: path and volume.
    pub devices: BTreeMap<String, Vec<(String, String)>>,
}

/// One of `spec.tolerations`; empty texts stand for absent fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "field names are those of v1.Toleration")]
pub struct Toleration {
    pub key: String,
    pub operator: String,
    pub value: String,
    pub effect: String,
    pub toleration_seconds: Option<i64>,
}

/// One of `spec.topologySpreadConstraints`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "field names are those of v1.TopologySpreadConstraint"
)]
pub struct SpreadConstraint {
    pub topology_key: String,
    pub when_unsatisfiable: String,
    pub max_skew: i64,
    /// The label selector in words; `None` where there is none.
    pub selector: Option<String>,
}

pub(super) fn tolerations(out: &mut Indented, all: &[Toleration]) {
    if all.is_empty() {
        out.line(0, "Tolerations:\t<none>");
    }
    let mut sorted: Vec<&Toleration> = all.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut head = "Tolerations:".to_owned();
    for t in sorted {
        let mut text = t.key.clone();
        if !t.value.is_empty() {
            text += &format!("={}", t.value);
        }
        if !t.effect.is_empty() {
            text += &format!(":{}", t.effect);
        }
        if t.operator == "Exists" && t.value.is_empty() {
            // Alone it tolerates everything.
            let gap = if text.is_empty() { "" } else { " " };
            text += &format!("{gap}op=Exists");
        }
        if let Some(seconds) = t.toleration_seconds {
            text += &format!(" for {seconds}s");
        }
        out.line(0, format!("{head}\t{text}"));
        head.clear();
    }
}

pub(super) fn spread(out: &mut Indented, all: &[SpreadConstraint]) {
    let mut sorted: Vec<&SpreadConstraint> = all.iter().collect();
    sorted.sort_by(|a, b| a.topology_key.cmp(&b.topology_key));
    let mut head = "Topology Spread Constraints:".to_owned();
    for c in sorted {
        let mut text = format!(
            "{}:{} when max skew {} is exceeded",
            c.topology_key, c.when_unsatisfiable, c.max_skew
        );
        if let Some(selector) = &c.selector {
            text += &format!(" for selector {selector}");
        }
        out.line(0, format!("{head}\t{text}"));
        head.clear();
    }
}
