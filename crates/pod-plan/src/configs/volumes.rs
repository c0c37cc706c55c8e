//! Volumes that are made for a pod before its first container.

use super::fields::field_path;
use super::resource_field::{MissingLimits, resource_field};
use super::security;
use super::sources::{Object, SourceKind, Sources};
use pod_model::cgroup::{PodCgroupPolicy, pod_cgroup};
use pod_model::config::{FileContent, PreparedVolume, VolumeToPrepare};
use pod_model::ids::{HostPath, VolumeName};
use pod_model::node::NodeFacts;
use pod_model::pod::Pod;
use pod_model::resources::{MEMORY, amount};
use pod_model::volume::{
    ConfigMapSource, DownwardApiFile, EmptyDir, HostPathSource, HostPathType, KeyToPath,
    ProjectedSource, SecretSource, Volume,
};
use std::collections::BTreeMap;

/// A volume that cannot be made (event `FailedMount`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume {:?} : {cause}", volume.as_str())]
pub struct VolumeProblem {
    /// Its name in the pod.
    pub volume: VolumeName,
    /// Why, in the kubelet's words.
    pub cause: String,
}

/// Mode of a file that no mode is given for.
const DEFAULT_MODE: i32 = 0o644;

type Files = BTreeMap<String, FileContent>;

/// All volumes of the pod that must be made, or all problems. A path of the node is among them where its type says what must be there;
/// the others are mounted as they are. `fsGroupChangePolicy` has no effect on any of these kinds.
pub fn volumes_to_prepare(
    pod: &Pod,
    sources: &Sources,
    node: &NodeFacts,
) -> Result<Vec<VolumeToPrepare>, Vec<VolumeProblem>> {
    let mut volumes = Vec::new();
    let mut problems = Vec::new();
    let fs_group = pod
        .spec
        .security_context
        .as_ref()
        .and_then(|s| s.fs_group)
        .map(|group| security::id("fsGroup", group).map_err(|e| e.to_string()))
        .transpose();
    for volume in &pod.spec.volumes {
        if let Some(source) = &volume.host_path {
            volumes.extend(host_path(volume, source));
            continue;
        }
        let made =
            prepared(pod, volume, sources, node).and_then(|kind| Ok((kind, fs_group.clone()?)));
        match made {
            Ok((kind, fs_group)) => volumes.push(VolumeToPrepare {
                name: volume.name.clone(),
                kind,
                fs_group,
                on_root_mismatch: false,
            }),
            Err(cause) => problems.push(VolumeProblem {
                volume: volume.name.clone(),
                cause,
            }),
        }
    }
    if problems.is_empty() {
        Ok(volumes)
    } else {
        Err(problems)
    }
}

/// What is at the path is looked at before anything of the pod starts, so that a wrong one is an event of the volume, not of a container.
fn host_path(volume: &Volume, source: &HostPathSource) -> Option<VolumeToPrepare> {
    (source.kind != HostPathType::Unset).then(|| VolumeToPrepare {
        name: volume.name.clone(),
        kind: PreparedVolume::HostPath {
            path: HostPath::new(&source.path),
            kind: source.kind,
        },
        fs_group: None,
        on_root_mismatch: false,
    })
}

fn prepared(
    pod: &Pod,
    volume: &Volume,
    sources: &Sources,
    node: &NodeFacts,
) -> Result<PreparedVolume, String> {
    let (in_memory, files) = if let Some(source) = &volume.config_map {
        (false, config_map(source, source.default_mode, sources)?)
    } else if let Some(source) = &volume.secret {
        (true, secret(source, sources)?)
    } else if let Some(source) = &volume.downward_api {
        (
            true,
            downward(pod, &source.items, source.default_mode, node)?,
        )
    } else if let Some(source) = &volume.projected {
        (true, projected(pod, source, sources, node)?)
    } else {
        let source = volume.empty_dir.clone().unwrap_or_default();
        return empty_dir(pod, &source, node);
    };
    match files.keys().find_map(|path| path_problem(path)) {
        Some(problem) => Err(problem),
        None => Ok(PreparedVolume::Files { in_memory, files }),
    }
}

/// A tmpfs is as large as the node allows, the pod's memory limit and `sizeLimit`: the least of them.
fn empty_dir(pod: &Pod, source: &EmptyDir, node: &NodeFacts) -> Result<PreparedVolume, String> {
    match source.medium.as_str() {
        "" => Ok(PreparedVolume::EmptyDir),
        "Memory" => {
            let of_node = match amount(&node.allocatable, MEMORY).value() {
                0 => node.memory_capacity,
                allocatable => allocatable,
            };
            let of_pod = pod_cgroup(pod, &PodCgroupPolicy::default()).memory;
            let of_volume = source
                .size_limit
                .as_ref()
                .map(pod_model::quantity::Quantity::saturating_value);
            let size = [Some(of_node), of_pod, of_volume]
                .into_iter()
                .flatten()
                .filter(|size| *size > 0)
                .min()
                .and_then(|size| u64::try_from(size).ok());
            Ok(PreparedVolume::MemoryEmptyDir { size })
        }
        medium if medium.starts_with("HugePages") => Err(format!(
            "emptyDir on huge pages (medium {medium:?}) is not supported yet; use medium \"Memory\" or none"
        )),
        medium => Err(format!("unknown storage medium {medium:?}")),
    }
}

/// Why the files of a volume could not be gathered, and whether that is the volume's only trouble.
fn config_map(
    source: &ConfigMapSource,
    default_mode: Option<i32>,
    sources: &Sources,
) -> Result<Files, String> {
    keys(
        SourceKind::ConfigMap,
        &source.name,
        &source.items,
        default_mode,
        source.optional == Some(true),
        sources,
    )
}

fn secret(source: &SecretSource, sources: &Sources) -> Result<Files, String> {
    keys(
        SourceKind::Secret,
        &source.secret_name,
        &source.items,
        source.default_mode,
        source.optional == Some(true),
        sources,
    )
}

/// A file for each key, or for each of `items`.
fn keys(
    kind: SourceKind,
    name: &str,
    items: &[KeyToPath],
    default_mode: Option<i32>,
    optional: bool,
    sources: &Sources,
) -> Result<Files, String> {
    let empty = Object::new();
    let object = match sources.get(kind, name) {
        Ok(object) => object,
        Err(_) if optional => &empty,
        Err(error) => return Err(error.to_string()),
    };
    let default_mode = mode(None, default_mode)?;
    if items.is_empty() {
        let file = |(key, data): (&String, &Vec<u8>)| (key.clone(), content(data, default_mode));
        return Ok(object.iter().map(file).collect());
    }
    let mut files = Files::new();
    for item in items {
        match object.get(&item.key) {
            Some(data) => {
                let mode = mode(item.mode, Some(default_mode.cast_signed()))?;
                files.insert(item.path.clone(), content(data, mode));
            }
            None if optional => {}
            None => {
                let key = &item.key;
                return Err(match kind {
                    SourceKind::ConfigMap => {
                        format!("configmap references non-existent config key: {key}")
                    }
                    SourceKind::Secret => format!("references non-existent secret key: {key}"),
                });
            }
        }
    }
    Ok(files)
}

fn downward(
    pod: &Pod,
    items: &[DownwardApiFile],
    default_mode: Option<i32>,
    node: &NodeFacts,
) -> Result<Files, String> {
    let mut files = Files::new();
    let mut problems = Vec::new();
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), _) => field_path(pod, &field.field_path).map_err(|e| e.to_string()),
            (None, Some(field)) => {
                let allocatable = &node.allocatable;
                resource_field(pod, None, field, allocatable, MissingLimits::Node)
                    .map_err(|e| e.to_string())
            }
            (None, None) => Ok(String::new()),
        };
        match text.and_then(|text| Ok((text, mode(item.mode, default_mode)?))) {
            Ok((text, mode)) => {
                files.insert(clean(&item.path), content(text.as_bytes(), mode));
            }
            Err(problem) => problems.push(problem),
        }
    }
    together(problems).map_or(Ok(files), Err)
}

fn projected(
    pod: &Pod,
    source: &ProjectedSource,
    sources: &Sources,
    node: &NodeFacts,
) -> Result<Files, String> {
    let mut files = Files::new();
    let mut problems = Vec::new();
    let default_mode = source.default_mode;
    for projection in &source.sources {
        let part = if let Some(secret) = &projection.secret {
            let optional = secret.optional == Some(true);
            let kind = SourceKind::Secret;
            keys(
                kind,
                &secret.name,
                &secret.items,
                default_mode,
                optional,
                sources,
            )
        } else if let Some(source) = &projection.config_map {
            config_map(source, default_mode, sources)
        } else if let Some(source) = &projection.downward_api {
            downward(pod, &source.items, default_mode, node)
        } else {
            Ok(Files::new())
        };
        match part {
            Ok(part) => files.extend(part),
            Err(problem) => problems.push(problem),
        }
    }
    together(problems).map_or(Ok(files), Err)
}

/// Several problems as one text: `[a, b]`, each once.
fn together(mut problems: Vec<String>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    problems.retain(|p| seen.insert(p.clone()));
    match problems.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        more => Some(format!("[{}]", more.join(", "))),
    }
}

fn content(data: &[u8], mode: u32) -> FileContent {
    FileContent {
        data: data.to_vec(),
        mode,
    }
}

fn mode(own: Option<i32>, default: Option<i32>) -> Result<u32, String> {
    let mode = own.or(default).unwrap_or(DEFAULT_MODE);
    u32::try_from(mode)
        .ok()
        .filter(|m| *m <= 0o777)
        .ok_or_else(|| {
            format!("file mode {mode} is not between 0 and 0777 octal (0 and 511 decimal)")
        })
}

/// A path without `.` and doubled slashes.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let cleaned = parts.join("/");
    if path.starts_with('/') {
        format!("/{cleaned}")
    } else {
        cleaned
    }
}

/// A file must stay in its volume, and may not stand where the volume keeps its own links.
fn path_problem(path: &str) -> Option<String> {
    let problem = if path.is_empty() {
        "invalid path: must not be empty: "
    } else if path.starts_with('/') {
        "invalid path: must be relative path: "
    } else if path.split('/').any(|part| part == "..") {
        "invalid path: must not contain '..': "
    } else if path.starts_with("..") {
        "invalid path: must not start with '..': "
    } else if path.len() > 4096 {
        "invalid path: must be less than or equal to 4096 characters: "
    } else {
        return None;
    };
    Some(format!("{problem}{path}"))
}

#[cfg(test)]
mod tests;
