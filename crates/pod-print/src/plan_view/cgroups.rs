//! Cgroup files and values, on v1 and on v2 side by side.

use super::steps::call;
use pod_model::cgroup::{PodCgroupPolicy, container_resources, limit_other_page_sizes, pod_cgroup};
use pod_model::cgroup_name::pod_cgroup_path;
use pod_model::config::{ContainerResources, PodCgroup};
use pod_model::cpu::{shares_to_container_weight, shares_to_pod_weight};
use pod_model::node::{CgroupVersion, NodeFacts};
use pod_model::pod::Pod;
use pod_model::quantity::{Format, Quantity};
use serde::Serialize;
use std::collections::BTreeMap;

/// One cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFiles {
    /// `the pod`, `init container "a"`, …
    pub of: String,
    /// Below the mount point of each hierarchy; `<uid>` and `<id>` are not known yet.
    pub path: String,
    /// Files of cgroup v1.
    pub v1: Vec<FileValue>,
    /// Files of cgroup v2.
    pub v2: Vec<FileValue>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileValue {
    /// Its name.
    pub file: String,
    /// What is written to it.
    pub value: String,
}

/// The values of a cgroup before they become files.
struct Values<'a> {
    shares: Option<u64>,
    weight: fn(u64) -> u64,
    quota: Option<i64>,
    period: Option<u64>,
    memory: Option<i64>,
    /// v1: memory and swap together.
    with_swap: bool,
    huge_pages: &'a BTreeMap<i64, i64>,
    unified: &'a BTreeMap<String, String>,
}

pub(super) fn files(pod: &Pod, node: &NodeFacts) -> Vec<CgroupFiles> {
    let path = match pod_cgroup_path(&node.cgroup_root, pod) {
        Ok(path) => path.to_string(),
        Err(error) => error.to_string(),
    };
    let on = |version| NodeFacts {
        cgroup_version: version,
        ..node.clone()
    };
    let (v1, v2) = (on(CgroupVersion::V1), on(CgroupVersion::V2));
    let mut values = pod_cgroup(pod, &PodCgroupPolicy::default());
    limit_other_page_sizes(&mut values.huge_page_limit, &node.page_sizes);
    let mut all = vec![CgroupFiles {
        of: "the pod".to_owned(),
        path: path.clone(),
        v1: v1_files(&of_pod(&values)),
        v2: v2_files(&of_pod(&values)),
    }];
    for (kind, _, container) in pod.spec.all() {
        let first = container_resources(pod, container, &v1);
        let second = container_resources(pod, container, &v2);
        all.push(CgroupFiles {
            of: call(kind, container),
            path: format!("{path}/<id>"),
            v1: v1_files(&of_container(&first)),
            v2: v2_files(&of_container(&second)),
        });
    }
    all
}

fn of_pod(values: &PodCgroup) -> Values<'_> {
    Values {
        shares: values.cpu_shares,
        weight: shares_to_pod_weight,
        quota: values.cpu_quota,
        period: values.cpu_period,
        memory: values.memory,
        with_swap: false,
        huge_pages: &values.huge_page_limit,
        unified: &values.unified,
    }
}

fn of_container(values: &ContainerResources) -> Values<'_> {
    Values {
        shares: values.cpu_shares,
        weight: shares_to_container_weight,
        quota: values.cpu_quota,
        period: values.cpu_period,
        memory: values.memory_limit,
        with_swap: true,
        huge_pages: &values.huge_page_limit,
        unified: &values.unified,
    }
}

fn v1_files(values: &Values<'_>) -> Vec<FileValue> {
    let mut files = Vec::new();
    let mut add = |file: String, value: String| files.push(FileValue { file, value });
    if let Some(shares) = values.shares {
        add("cpu.shares".to_owned(), shares.to_string());
    }
    if let Some(quota) = values.quota.filter(|q| *q != 0) {
        if let Some(period) = values.period {
            add("cpu.cfs_period_us".to_owned(), period.to_string());
        }
        add("cpu.cfs_quota_us".to_owned(), quota.to_string());
    }
    if let Some(memory) = values.memory.filter(|m| *m != 0) {
        add("memory.limit_in_bytes".to_owned(), memory.to_string());
        if values.with_swap {
            add("memory.memsw.limit_in_bytes".to_owned(), memory.to_string());
        }
    }
    for (size, limit) in values.huge_pages {
        add(
            format!("hugetlb.{}.limit_in_bytes", page_size(*size)),
            limit.to_string(),
        );
    }
    files
}

fn v2_files(values: &Values<'_>) -> Vec<FileValue> {
    let mut files = Vec::new();
    let mut add = |file: String, value: String| files.push(FileValue { file, value });
    if let Some(shares) = values.shares {
        add("cpu.weight".to_owned(), (values.weight)(shares).to_string());
    }
    if let Some(quota) = values.quota.filter(|q| *q != 0) {
        let quota = match quota {
            ..=-1 => "max".to_owned(),
            quota => quota.to_string(),
        };
        let period = values.period.unwrap_or(100_000);
        add("cpu.max".to_owned(), format!("{quota} {period}"));
    }
    if let Some(memory) = values.memory.filter(|m| *m != 0) {
        add("memory.max".to_owned(), memory.to_string());
    }
    for (size, limit) in values.huge_pages {
        add(
            format!("hugetlb.{}.max", page_size(*size)),
            limit.to_string(),
        );
    }
    for (file, value) in values.unified {
        add(file.clone(), value.clone());
    }
    files
}

/// As the kernel names it: `2MB`, `1GB`.
fn page_size(bytes: i64) -> String {
    let text = Quantity::from_value(bytes, Format::BinarySI).to_string();
    text.trim_end_matches('i').to_owned() + "B"
}

/// Both versions side by side.
pub(super) fn text(group: &CgroupFiles) -> String {
    let mut lines = "  v1\t\tv2\t\n".to_owned();
    let cell = |file: Option<&FileValue>| match file {
        Some(file) => format!("{}\t{}", file.file, file.value),
        None => "\t".to_owned(),
    };
    for i in 0..group.v1.len().max(group.v2.len()) {
        lines += &format!("  {}\t{}\n", cell(group.v1.get(i)), cell(group.v2.get(i)));
    }
    if group.v1.is_empty() && group.v2.is_empty() {
        return "  nothing is written\n".to_owned();
    }
    let aligned = crate::tabs::align(&lines, 0, 2);
    let trimmed: Vec<&str> = aligned.lines().map(str::trim_end).collect();
    trimmed.join("\n") + "\n"
}
