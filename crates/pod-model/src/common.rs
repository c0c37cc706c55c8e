//! Types that spec, status and volumes share.

use crate::ids::ContainerName;
use crate::quantity::Quantity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Amounts by resource name (`cpu`, `memory`, `hugepages-2Mi`, …).
pub type ResourceList = BTreeMap<String, Quantity>;

/// `resources` of a container or a pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ResourceRequirements"
)]
pub struct Resources {
    pub requests: ResourceList,
    pub limits: ResourceList,
}

/// Names a field of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ObjectFieldSelector"
)]
pub struct FieldRef {
    pub api_version: Option<String>,
    pub field_path: String,
}

/// Names a resource of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ResourceFieldSelector"
)]
pub struct ResourceFieldRef {
    pub container_name: Option<ContainerName>,
    pub resource: String,
    pub divisor: Option<Quantity>,
}
