//! `volumes[]` of a pod: the sources that podwright mounts.

use crate::common::{FieldRef, ResourceFieldRef};
use crate::ids::VolumeName;
use crate::quantity::Quantity;
use serde::{Deserialize, Serialize};

/// A volume of a pod. At most one source is set; none means an emptyDir (validation and defaults see to both).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.Volume"
)]
pub struct Volume {
    pub name: VolumeName,
    pub empty_dir: Option<EmptyDir>,
    pub host_path: Option<HostPathSource>,
    pub config_map: Option<ConfigMapSource>,
    pub secret: Option<SecretSource>,
    #[serde(rename = "downwardAPI")]
    pub downward_api: Option<DownwardApiSource>,
    pub projected: Option<ProjectedSource>,
}

/// `emptyDir`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.EmptyDirVolumeSource"
)]
pub struct EmptyDir {
    /// "" (disk), `Memory`, `HugePages`, `HugePages-2Mi`, …
    pub medium: String,
    pub size_limit: Option<Quantity>,
}

/// `hostPath`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.HostPathVolumeSource"
)]
pub struct HostPathSource {
    pub path: String,
    #[serde(rename = "type")]
    pub kind: HostPathType,
}

/// `hostPath.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum HostPathType {
    #[default]
    #[serde(rename = "")]
    Unset,
    DirectoryOrCreate,
    Directory,
    FileOrCreate,
    File,
    Socket,
    CharDevice,
    BlockDevice,
}

/// `configMap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ConfigMapVolumeSource"
)]
pub struct ConfigMapSource {
    pub name: String,
    pub items: Vec<KeyToPath>,
    pub default_mode: Option<i32>,
    pub optional: Option<bool>,
}

/// `secret`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.SecretVolumeSource"
)]
pub struct SecretSource {
    pub secret_name: String,
    pub items: Vec<KeyToPath>,
    pub default_mode: Option<i32>,
    pub optional: Option<bool>,
}

/// `items[]`: which key becomes which file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.KeyToPath"
)]
pub struct KeyToPath {
    pub key: String,
    pub path: String,
    pub mode: Option<i32>,
}

/// `downwardAPI`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.DownwardAPIVolumeSource"
)]
pub struct DownwardApiSource {
    pub items: Vec<DownwardApiFile>,
    pub default_mode: Option<i32>,
}

/// One file of a downwardAPI volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.DownwardAPIVolumeFile"
)]
pub struct DownwardApiFile {
    pub path: String,
    pub field_ref: Option<FieldRef>,
    pub resource_field_ref: Option<ResourceFieldRef>,
    pub mode: Option<i32>,
}

/// `projected`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.ProjectedVolumeSource"
)]
pub struct ProjectedSource {
    pub sources: Vec<Projection>,
    pub default_mode: Option<i32>,
}

/// One source of a projected volume; exactly one is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.VolumeProjection"
)]
pub struct Projection {
    pub config_map: Option<ConfigMapSource>,
    pub secret: Option<ProjectedSecret>,
    #[serde(rename = "downwardAPI")]
    pub downward_api: Option<DownwardApiSource>,
}

/// A secret inside a projected volume: here its name stands under `name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "field names and meanings are those of v1.SecretProjection"
)]
pub struct ProjectedSecret {
    pub name: String,
    pub items: Vec<KeyToPath>,
    pub optional: Option<bool>,
}
