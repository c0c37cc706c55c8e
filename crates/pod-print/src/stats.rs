//! What a pod uses, as a table.

use crate::table::Table;
use crate::text::bytes;
use pod_model::stats::{PodStats, Pressure, Stalls, Usage};

const HEADER: [&str; 8] = [
    "NAME",
    "CPU TIME",
    "MEMORY",
    "LIMIT",
    "PIDS",
    "WAITS CPU",
    "WAITS MEMORY",
    "WAITS IO",
];

/// The pod in one row and each running container in another. The last columns are the share of the last 10 s for which at least one
/// process waited; cgroup v1 does not tell.
pub fn stats(name: &str, stats: &PodStats) -> String {
    let mut table = Table::new(HEADER);
    if let Some(usage) = &stats.pod {
        table.rows.push(row(&format!("pod/{name}"), usage));
    }
    for container in &stats.containers {
        table.rows.push(row(&container.name, &container.usage));
    }
    table.render(true)
}

fn row(name: &str, usage: &Usage) -> Vec<String> {
    let none = || "-".to_owned();
    let pressure = usage.pressure.clone().unwrap_or_default();
    let Pressure { cpu, memory, io } = pressure;
    let waits =
        |stalls: Option<Stalls>| stalls.map_or_else(none, |s| format!("{:.2}%", s.some.avg10));
    vec![
        name.to_owned(),
        usage.cpu_ns.map_or_else(none, seconds),
        usage.working_set_bytes.map_or_else(none, bytes),
        usage.memory_limit_bytes.map_or_else(none, bytes),
        usage.pids.map_or_else(none, |n| n.to_string()),
        waits(cpu),
        waits(memory),
        waits(io),
    ]
}

/// ns as seconds with ms.
fn seconds(ns: u64) -> String {
    format!("{}.{:03}s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::stats::{ContainerStats, Stall};

    #[test]
    fn what_the_node_does_not_tell_is_a_dash() {
        let pressed = Usage {
            cpu_ns: Some(1_234_567_890),
            working_set_bytes: Some(3_000_000),
            memory_limit_bytes: Some(64 << 20),
            pids: Some(3),
            pressure: Some(Pressure {
                cpu: Some(Stalls {
                    some: Stall {
                        avg10: 12.5,
                        ..Stall::default()
                    },
                    ..Stalls::default()
                }),
                ..Pressure::default()
            }),
            ..Usage::default()
        };
        let given = PodStats {
            pod: Some(pressed),
            containers: vec![ContainerStats {
                name: "app".to_owned(),
                usage: Usage::default(),
            }],
        };
        let text = stats("web", &given);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|l| {
                l.split("  ")
                    .map(str::trim)
                    .filter(|w| !w.is_empty())
                    .collect()
            })
            .collect();
        assert_eq!(rows[0], HEADER);
        assert_eq!(
            rows[1],
            [
                "pod/web",
                "1.234s",
                &bytes(3_000_000),
                &bytes(64 << 20),
                "3",
                "12.50%",
                "-",
                "-"
            ]
        );
        assert_eq!(rows[2], ["app", "-", "-", "-", "-", "-", "-", "-"]);
    }
}
