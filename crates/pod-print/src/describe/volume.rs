//! The section of volumes.

use crate::tabs::Indented;
use pod_model::volume::{HostPathType, Projection, Volume};

pub(super) fn volumes(out: &mut Indented, list: &[Volume]) {
    if list.is_empty() {
        out.line(0, "Volumes:\t<none>");
        return;
    }
    out.line(0, "Volumes:");
    for volume in list {
        out.line(1, format!("{}:", volume.name));
        source(out, volume);
    }
}

fn source(out: &mut Indented, volume: &Volume) {
    if let Some(host) = &volume.host_path {
        out.line(2, "Type:\tHostPath (bare host directory volume)");
        out.line(2, format!("Path:\t{}", host.path));
        out.line(2, format!("HostPathType:\t{}", host_path_type(host.kind)));
    } else if let Some(dir) = &volume.empty_dir {
        let limit = dir.size_limit.as_ref().filter(|q| q.sign() > 0);
        let limit = limit.map_or_else(|| "<unset>".to_owned(), ToString::to_string);
        out.line(
            2,
            "Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)",
        );
        out.line(2, format!("Medium:\t{}", dir.medium));
        out.line(2, format!("SizeLimit:\t{limit}"));
    } else if let Some(secret) = &volume.secret {
        out.line(2, "Type:\tSecret (a volume populated by a Secret)");
        out.line(2, format!("SecretName:\t{}", secret.secret_name));
        out.line(
            2,
            format!("Optional:\t{}", secret.optional.unwrap_or(false)),
        );
    } else if let Some(map) = &volume.config_map {
        out.line(2, "Type:\tConfigMap (a volume populated by a ConfigMap)");
        out.line(2, format!("Name:\t{}", map.name));
        out.line(2, format!("Optional:\t{}", map.optional.unwrap_or(false)));
    } else if let Some(projected) = &volume.projected {
        out.line(
            2,
            "Type:\tProjected (a volume that contains injected data from multiple sources)",
        );
        for part in &projected.sources {
            projection(out, part);
        }
    } else if let Some(api) = &volume.downward_api {
        out.line(
            2,
            "Type:\tDownwardAPI (a volume populated by information about the pod)",
        );
        out.line(2, "Items:");
        for item in &api.items {
            if let Some(field) = &item.field_ref {
                out.line(3, format!("{} -> {}", field.field_path, item.path));
            }
            if let Some(field) = &item.resource_field_ref {
                out.line(3, format!("{} -> {}", field.resource, item.path));
            }
        }
    } else {
        out.line(1, "<unknown>");
    }
}

fn projection(out: &mut Indented, part: &Projection) {
    if let Some(secret) = &part.secret {
        out.line(2, format!("SecretName:\t{}", secret.name));
        out.line(
            2,
            format!("Optional:\t{}", secret.optional.unwrap_or(false)),
        );
    } else if part.downward_api.is_some() {
        out.line(2, "DownwardAPI:\ttrue");
    } else if let Some(map) = &part.config_map {
        out.line(2, format!("ConfigMapName:\t{}", map.name));
        out.line(2, format!("Optional:\t{}", map.optional.unwrap_or(false)));
    }
}

fn host_path_type(kind: HostPathType) -> &'static str {
    match kind {
        HostPathType::Unset => "",
        HostPathType::DirectoryOrCreate => "DirectoryOrCreate",
        HostPathType::Directory => "Directory",
        HostPathType::FileOrCreate => "FileOrCreate",
        HostPathType::File => "File",
        HostPathType::Socket => "Socket",
        HostPathType::CharDevice => "CharDevice",
        HostPathType::BlockDevice => "BlockDevice",
    }
}
