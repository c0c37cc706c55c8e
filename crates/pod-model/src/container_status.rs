//! Statuses of the containers of a pod, from what the runtime and the probes report.

use crate::ids::ContainerName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
