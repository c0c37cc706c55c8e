//! What a pod and its containers use, as their cgroups say it.

use serde::{Deserialize, Serialize};

/// What the cgroup of a pod or of a container says. What this node's cgroup version does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Processor time used so far, in ns.
    pub cpu_ns: Option<u64>,
    /// Time for which its CPU limit has held it back so far, in ns.
    pub throttled_ns: Option<u64>,
    /// Memory charged to it, in bytes.
    pub memory_bytes: Option<u64>,
    /// Memory without file pages that the kernel would drop first, in bytes: what Kubernetes compares with limits.
    pub working_set_bytes: Option<u64>,
    /// Its memory limit in bytes; absent: none.
    pub memory_limit_bytes: Option<u64>,
    /// Its processes that the kernel has killed for memory.
    pub oom_kills: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// How many it may have; absent: no limit.
    pub pids_limit: Option<u64>,
    /// How long its processes had to wait, by what for; cgroup v2 only.
    pub pressure: Option<Pressure>,
}

/// Pressure stall information (Documentation/accounting/psi.rst of Linux).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pressure {
    /// For a processor.
    pub cpu: Option<Stalls>,
    /// For memory.
    pub memory: Option<Stalls>,
    /// For disks.
    pub io: Option<Stalls>,
}

/// Waiting for one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stalls {
    /// At least one process waited.
    pub some: Stall,
    /// All of them waited at once.
    pub full: Stall,
}

/// Shares of time in percent over the last 10, 60 and 300 s, and the whole time so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "names are the kernel's")]
pub struct Stall {
    pub avg10: f64,
    pub avg60: f64,
    pub avg300: f64,
    /// In µs.
    pub total: u64,
}

impl Stalls {
    /// Reads a file such as `cpu.pressure`. A kind that the file lacks (`full` of cpu before Linux 5.13) is zero; `None` if nothing is in it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut stalls = Self::default();
        let mut found = false;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let stall = match words.next() {
                Some("some") => &mut stalls.some,
                Some("full") => &mut stalls.full,
                _ => continue,
            };
            found = true;
            for (key, value) in words.filter_map(|w| w.split_once('=')) {
                let share = || value.parse().unwrap_or_default();
                match key {
                    "avg10" => stall.avg10 = share(),
                    "avg60" => stall.avg60 = share(),
                    "avg300" => stall.avg300 = share(),
                    "total" => stall.total = value.parse().unwrap_or_default(),
                    _ => {}
                }
            }
        }
        found.then_some(stalls)
    }
}

/// What a pod uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStats {
    /// The pod as a whole; absent while it has no cgroup.
    pub pod: Option<Usage>,
    /// Its running containers, in the order of the pod.
    pub containers: Vec<ContainerStats>,
}

/// What one running container uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStats {
    /// Its name.
    pub name: String,
    /// What its cgroup says.
    #[serde(flatten)]
    pub usage: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_is_read_line_by_line_and_an_empty_file_is_none() {
        let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.10 total=56\n";
        let stalls = Stalls::parse(text).unwrap();
        assert_eq!((stalls.some.avg10, stalls.some.total), (1.5, 1234));
        assert_eq!((stalls.some.avg60, stalls.some.avg300), (0.25, 0.0));
        assert_eq!((stalls.full.avg300, stalls.full.total), (0.1, 56));
        let only_some = Stalls::parse("some avg10=2.00 avg60=0.00 avg300=0.00 total=9\n").unwrap();
        assert_eq!((only_some.some.avg10, only_some.full.total), (2.0, 0));
        assert_eq!(Stalls::parse(""), None);
    }
}
