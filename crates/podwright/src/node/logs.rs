//! Restart counts as the log files tell them: `<container>/<attempt>.log`.

use pod_model::container_status::restart_count_by_log_files;
use pod_model::ids::ContainerName;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// For each container with log files: how many times it was started before its next start.
pub fn attempts(folder: &Path) -> BTreeMap<ContainerName, u32> {
    let containers = fs::read_dir(folder).into_iter().flatten().flatten();
    containers
        .filter_map(|entry| {
            let files: Vec<String> = fs::read_dir(entry.path())
                .ok()?
                .flatten()
                .map(|f| f.file_name().to_string_lossy().into_owned())
                .collect();
            let count = restart_count_by_log_files(files.iter().map(String::as_str));
            Some((
                ContainerName::new(entry.file_name().to_string_lossy()),
                u32::try_from(count).unwrap_or(u32::MAX),
            ))
        })
        .collect()
}
