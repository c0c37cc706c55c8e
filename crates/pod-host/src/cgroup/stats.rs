//! What a cgroup says of those in it, on either version.

use super::layout::Layout;
use pod_model::ids::CgroupPath;
use pod_model::stats::{Pressure, Stalls, Usage};
use std::path::PathBuf;

/// Version 1 writes "no limit" as the largest number of pages, in bytes.
const NO_LIMIT: u64 = 1 << 60;

/// Reads what `cgroup` uses; `None` if there is no such cgroup.
pub(crate) fn usage(layout: &Layout, cgroup: &CgroupPath) -> Option<Usage> {
    let at = |controller: &str| -> Option<PathBuf> {
        let mount = match layout.is_v2() {
            true => layout.mounts.first().map(PathBuf::as_path),
            false => layout.controller(controller),
        };
        mount.map(|m| m.join(cgroup.relative()))
    };
    if !at("memory").or_else(|| at("cpu"))?.is_dir() {
        return None;
    }
    let read =
        |controller: &str, file: &str| std::fs::read_to_string(at(controller)?.join(file)).ok();
    Some(match layout.is_v2() {
        true => of_v2(|file| read("", file)),
        false => of_v1(read),
    })
}

fn of_v2(read: impl Fn(&str) -> Option<String>) -> Usage {
    let cpu = read("cpu.stat");
    let microseconds = |key| value_of(cpu.as_deref(), key).map(|us| us.saturating_mul(1000));
    let stalls = |resource: &str| Stalls::parse(&read(&format!("{resource}.pressure"))?);
    let pressure = Pressure {
        cpu: stalls("cpu"),
        memory: stalls("memory"),
        io: stalls("io"),
    };
    let memory = number(read("memory.current"));
    Usage {
        cpu_ns: microseconds("usage_usec"),
        throttled_ns: microseconds("throttled_usec"),
        memory_bytes: memory,
        working_set_bytes: working_set(memory, read("memory.stat"), "inactive_file"),
        memory_limit_bytes: number(read("memory.max")),
        oom_kills: value_of(read("memory.events").as_deref(), "oom_kill"),
        pids: number(read("pids.current")),
        pids_limit: number(read("pids.max")),
        // A kernel without it (psi=0) has no such files.
        pressure: Some(pressure).filter(|p| *p != Pressure::default()),
    }
}

fn of_v1(read: impl Fn(&str, &str) -> Option<String>) -> Usage {
    let memory = number(read("memory", "memory.usage_in_bytes"));
    Usage {
        cpu_ns: number(read("cpuacct", "cpuacct.usage")),
        throttled_ns: value_of(read("cpu", "cpu.stat").as_deref(), "throttled_time"),
        memory_bytes: memory,
        working_set_bytes: working_set(
            memory,
            read("memory", "memory.stat"),
            "total_inactive_file",
        ),
        memory_limit_bytes: number(read("memory", "memory.limit_in_bytes"))
            .filter(|limit| *limit < NO_LIMIT),
        oom_kills: value_of(read("memory", "memory.oom_control").as_deref(), "oom_kill"),
        pids: number(read("pids", "pids.current")),
        pids_limit: number(read("pids", "pids.max")),
        pressure: None,
    }
}

fn working_set(memory: Option<u64>, stat: Option<String>, inactive: &str) -> Option<u64> {
    let inactive = value_of(stat.as_deref(), inactive).unwrap_or(0);
    memory.map(|m| m.saturating_sub(inactive))
}

/// The number that is all of a file; `max` is none.
fn number(text: Option<String>) -> Option<u64> {
    text?.trim().parse().ok()
}

/// The number behind a key in a file of `key number` lines.
fn value_of(text: Option<&str>, key: &str) -> Option<u64> {
    let mut pairs = text?.lines().filter_map(|l| l.split_once(' '));
    let (_, value) = pairs.find(|(name, _)| *name == key)?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_tells_all_of_it_and_max_is_no_limit() {
        let usage = of_v2(|file| {
            let text = match file {
                "cpu.stat" => {
                    "usage_usec 1500\nuser_usec 1000\nnr_throttled 1\nthrottled_usec 20\n"
                }
                "memory.current" => "4096000\n",
                "memory.stat" => "anon 4096\ninactive_file 96000\n",
                "memory.max" => "max\n",
                "memory.events" => "low 0\noom 2\noom_kill 1\noom_group_kill 1\n",
                "pids.current" => "3\n",
                "pids.max" => "100\n",
                "cpu.pressure" => "some avg10=1.00 avg60=0.00 avg300=0.00 total=7\n",
                _ => return None,
            };
            Some(text.to_owned())
        });
        assert_eq!(usage.cpu_ns, Some(1_500_000));
        assert_eq!(usage.throttled_ns, Some(20_000));
        assert_eq!(usage.working_set_bytes, Some(4_000_000));
        assert_eq!(usage.memory_limit_bytes, None);
        assert_eq!(usage.oom_kills, Some(1));
        assert_eq!((usage.pids, usage.pids_limit), (Some(3), Some(100)));
        let pressure = usage.pressure.unwrap();
        assert_eq!(pressure.cpu.unwrap().some.total, 7);
        assert_eq!(pressure.io, None);
    }

    #[test]
    fn version_1_has_no_pressure_and_its_largest_number_is_no_limit() {
        let usage = of_v1(|controller, file| {
            let text = match (controller, file) {
                ("cpuacct", "cpuacct.usage") => "1500000\n",
                ("memory", "memory.usage_in_bytes") => "5000\n",
                ("memory", "memory.stat") => "inactive_file 1\ntotal_inactive_file 6000\n",
                ("memory", "memory.limit_in_bytes") => "9223372036854771712\n",
                ("memory", "memory.oom_control") => "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
                _ => return None,
            };
            Some(text.to_owned())
        });
        assert_eq!(usage.cpu_ns, Some(1_500_000));
        assert_eq!(usage.working_set_bytes, Some(0));
        assert_eq!(usage.memory_limit_bytes, None);
        assert_eq!(usage.oom_kills, Some(2));
        assert_eq!((usage.pids, usage.pressure), (None, None));
    }
}
