//! The files that hold a cgroup's values, by name, on either cgroup version: what `podwright plan` shows and tests read back.

use crate::config::{ContainerResources, PodCgroup};
use crate::cpu::{QUOTA_PERIOD, shares_to_container_weight, shares_to_pod_weight};
use crate::node::CgroupVersion;
use std::collections::BTreeMap;

/// One file and what is written to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CgroupFile {
    /// Its name, such as `cpu.max`.
    pub name: String,
    /// Its content, without a line break.
    pub value: String,
}

fn file(name: impl Into<String>, value: impl ToString) -> CgroupFile {
    CgroupFile {
        name: name.into(),
        value: value.to_string(),
    }
}

/// Files of a pod's cgroup. What is not among them keeps the kernel's default.
pub fn pod_files(values: &PodCgroup, version: CgroupVersion) -> Vec<CgroupFile> {
    let mut files = cpu_shares(values.cpu_shares, version, shares_to_pod_weight);
    files.extend(cpu_quota(values.cpu_quota, values.cpu_period, version));
    files.extend(values.memory.map(|bytes| memory(bytes, version)));
    files.extend(huge_pages(&values.huge_page_limit, version));
    files.extend(unified(&values.unified, version));
    files
}

/// Files of a container's cgroup. What is not among them keeps the kernel's default.
pub fn container_files(values: &ContainerResources, version: CgroupVersion) -> Vec<CgroupFile> {
    let mut files = cpu_shares(values.cpu_shares, version, shares_to_container_weight);
    let quota = values.cpu_quota.filter(|quota| *quota != 0);
    files.extend(cpu_quota(quota, values.cpu_period, version));
    let limit = values.memory_limit.filter(|bytes| *bytes != 0);
    files.extend(limit.map(|bytes| memory(bytes, version)));
    files.extend(huge_pages(&values.huge_page_limit, version));
    files.extend(unified(&values.unified, version));
    files
}

fn cpu_shares(
    shares: Option<u64>,
    version: CgroupVersion,
    weight: fn(u64) -> u64,
) -> Vec<CgroupFile> {
    let shares = shares.filter(|s| *s != 0);
    let file = shares.map(|shares| match version {
        CgroupVersion::V1 => file("cpu.shares", shares),
        CgroupVersion::V2 => file("cpu.weight", weight(shares)),
    });
    file.into_iter().collect()
}

/// A quota of -1 is none.
fn cpu_quota(quota: Option<i64>, period: Option<u64>, version: CgroupVersion) -> Vec<CgroupFile> {
    let Some(quota) = quota else {
        return Vec::new();
    };
    let period = period.unwrap_or(QUOTA_PERIOD.unsigned_abs());
    match version {
        CgroupVersion::V1 => vec![
            file("cpu.cfs_period_us", period),
            file("cpu.cfs_quota_us", quota),
        ],
        CgroupVersion::V2 if quota < 0 => vec![file("cpu.max", format!("max {period}"))],
        CgroupVersion::V2 => vec![file("cpu.max", format!("{quota} {period}"))],
    }
}

/// -1 is no limit.
fn memory(bytes: i64, version: CgroupVersion) -> CgroupFile {
    match version {
        CgroupVersion::V1 => file("memory.limit_in_bytes", bytes),
        CgroupVersion::V2 if bytes < 0 => file("memory.max", "max"),
        CgroupVersion::V2 => file("memory.max", bytes),
    }
}

fn huge_pages(limits: &BTreeMap<i64, i64>, version: CgroupVersion) -> Vec<CgroupFile> {
    let ending = match version {
        CgroupVersion::V1 => "limit_in_bytes",
        CgroupVersion::V2 => "max",
    };
    let limit = |(size, bytes): (&i64, &i64)| {
        file(format!("hugetlb.{}.{ending}", page_size_name(*size)), bytes)
    };
    limits.iter().map(limit).collect()
}

fn unified(files: &BTreeMap<String, String>, version: CgroupVersion) -> Vec<CgroupFile> {
    match version {
        CgroupVersion::V1 => Vec::new(),
        CgroupVersion::V2 => files.iter().map(|(k, v)| file(k, v)).collect(),
    }
}

/// A page size in bytes as the kernel names it in file names: `64KB`, `2MB`, `1GB`.
pub fn page_size_name(bytes: i64) -> String {
    let mut size = bytes;
    let mut unit = "B";
    for larger in ["KB", "MB", "GB"] {
        if size == 0 || size % 1024 != 0 {
            break;
        }
        size /= 1024;
        unit = larger;
    }
    format!("{size}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(files: Vec<CgroupFile>) -> Vec<String> {
        files
            .into_iter()
            .map(|f| format!("{}={}", f.name, f.value))
            .collect()
    }

    #[test]
    fn the_same_values_have_other_files_on_each_version() {
        let pod = PodCgroup {
            cpu_shares: Some(1024),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            memory: Some(64 << 20),
            huge_page_limit: [(2 << 20, 0), (1 << 30, 1 << 30)].into(),
            unified: [("memory.low".to_owned(), "1".to_owned())].into(),
        };
        let none = PodCgroup {
            memory: Some(-1),
            ..PodCgroup::default()
        };
        let unlimited = |version| lines(pod_files(&none, version));
        assert_eq!(unlimited(CgroupVersion::V1), ["memory.limit_in_bytes=-1"]);
        assert_eq!(unlimited(CgroupVersion::V2), ["memory.max=max"]);
        // Nothing at all is a limit too.
        let nothing = PodCgroup {
            memory: Some(0),
            cpu_quota: Some(0),
            ..PodCgroup::default()
        };
        assert_eq!(
            lines(pod_files(&nothing, CgroupVersion::V2)),
            ["cpu.max=0 100000", "memory.max=0"]
        );
        let no_quota = PodCgroup {
            cpu_quota: Some(-1),
            ..PodCgroup::default()
        };
        assert_eq!(
            lines(pod_files(&no_quota, CgroupVersion::V2)),
            ["cpu.max=max 100000"]
        );
        assert_eq!(
            lines(pod_files(&pod, CgroupVersion::V1)),
            [
                "cpu.shares=1024",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=50000",
                "memory.limit_in_bytes=67108864",
                "hugetlb.2MB.limit_in_bytes=0",
                "hugetlb.1GB.limit_in_bytes=1073741824",
            ]
        );
        assert_eq!(
            lines(pod_files(&pod, CgroupVersion::V2)),
            [
                "cpu.weight=39",
                "cpu.max=50000 100000",
                "memory.max=67108864",
                "hugetlb.2MB.max=0",
                "hugetlb.1GB.max=1073741824",
                "memory.low=1",
            ]
        );
    }

    #[test]
    fn what_is_not_limited_has_no_file_and_a_container_has_the_runtimes_weight() {
        let container = ContainerResources {
            cpu_shares: Some(1024),
            cpu_quota: Some(-1),
            memory_limit: Some(0),
            ..ContainerResources::default()
        };
        assert_eq!(
            lines(container_files(&container, CgroupVersion::V2)),
            ["cpu.weight=100", "cpu.max=max 100000"]
        );
        assert!(pod_files(&PodCgroup::default(), CgroupVersion::V1).is_empty());
    }

    #[test]
    fn page_sizes_are_named_as_the_kernel_does() {
        for (bytes, name) in [
            (64 << 10, "64KB"),
            (2 << 20, "2MB"),
            (1 << 30, "1GB"),
            (0, "0B"),
        ] {
            assert_eq!(page_size_name(bytes), name);
        }
    }
}
