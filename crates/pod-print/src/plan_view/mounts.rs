//! What each container sees besides its image.

use super::steps::call;
use pod_model::pod::{Container, MountPropagation, Pod, VolumeMount};
use pod_model::volume::{HostPathType, Volume};
use serde::Serialize;

/// The mounts of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerMounts {
    /// Which one.
    pub container: String,
    /// A line each, in the order in which they are made.
    pub mounts: Vec<String>,
}

/// Files that every container gets unless it mounts something there itself.
const ALWAYS: [&str; 4] = [
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
];

pub(super) fn mounts(pod: &Pod) -> Vec<ContainerMounts> {
    let all = pod.spec.all().map(|(kind, _, container)| ContainerMounts {
        container: call(kind, container),
        mounts: lines(pod, container),
    });
    all.collect()
}

fn lines(pod: &Pod, container: &Container) -> Vec<String> {
    let mut own: Vec<&VolumeMount> = container.volume_mounts.iter().collect();
    // Deeper ones are made later, or the others would hide them.
    own.sort_by_key(|m| m.mount_path.split('/').filter(|p| !p.is_empty()).count());
    let mut lines: Vec<String> = own.iter().map(|mount| line(pod, mount)).collect();
    for path in ALWAYS {
        if !own
            .iter()
            .any(|m| m.mount_path.trim_end_matches('/') == path)
        {
            lines.push(format!("{path}: the pod's"));
        }
    }
    let message = container.termination_message_path.as_deref();
    if let Some(path) = message.filter(|p| !p.is_empty()) {
        lines.push(format!("{path}: termination message"));
    }
    lines
}

fn line(pod: &Pod, mount: &VolumeMount) -> String {
    let volume = pod.spec.volumes.iter().find(|v| v.name == mount.name);
    let source = volume.map_or_else(|| "no such volume".to_owned(), source);
    let files = volume.is_some_and(|v| {
        v.config_map.is_some()
            || v.secret.is_some()
            || v.downward_api.is_some()
            || v.projected.is_some()
    });
    let mut words = vec![if mount.read_only || files {
        "read-only".to_owned()
    } else {
        "read-write".to_owned()
    }];
    if let Some(path) = mount.sub_path.as_deref().filter(|p| !p.is_empty()) {
        words.push(format!("only {path} of it"));
    }
    if let Some(path) = mount.sub_path_expr.as_deref().filter(|p| !p.is_empty()) {
        words.push(format!("only {path} of it, variables filled in"));
    }
    match mount.mount_propagation {
        Some(MountPropagation::HostToContainer) => {
            words.push("mounts made on the node appear in it".to_owned());
        }
        Some(MountPropagation::Bidirectional) => {
            words.push("mounts appear on both sides".to_owned());
        }
        _ => {}
    }
    format!(
        "{}: {} ({source}), {}",
        mount.mount_path,
        mount.name,
        words.join(", ")
    )
}

fn source(volume: &Volume) -> String {
    if let Some(host) = &volume.host_path {
        let check = match host.kind {
            HostPathType::Unset => "",
            HostPathType::DirectoryOrCreate => ", folder, made if missing",
            HostPathType::Directory => ", must be a folder",
            HostPathType::FileOrCreate => ", file, made if missing",
            HostPathType::File => ", must be a file",
            HostPathType::Socket => ", must be a socket",
            HostPathType::CharDevice => ", must be a character device",
            HostPathType::BlockDevice => ", must be a block device",
        };
        return format!("the node's {}{check}", host.path);
    }
    if let Some(dir) = &volume.empty_dir {
        let medium = if dir.medium.is_empty() {
            "disk"
        } else {
            &dir.medium
        };
        let limit = dir.size_limit.as_ref().filter(|q| q.sign() > 0);
        let limit = limit.map_or_else(String::new, |q| format!(", at most {q}"));
        return format!("emptyDir on {medium}{limit}");
    }
    let optional = |o: Option<bool>| if o == Some(true) { ", optional" } else { "" };
    if let Some(map) = &volume.config_map {
        return format!("ConfigMap {}{}", map.name, optional(map.optional));
    }
    if let Some(secret) = &volume.secret {
        let name = &secret.secret_name;
        return format!("Secret {name} in memory{}", optional(secret.optional));
    }
    if volume.downward_api.is_some() {
        return "fields of the pod".to_owned();
    }
    if volume.projected.is_some() {
        return "several sources projected into one".to_owned();
    }
    "of a kind that this version does not know".to_owned()
}
