//! What the kernel must be able to do.

use super::{Check, State, read};
use std::path::Path;

/// Everything about the kernel.
pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![version(), exit_info()];
    checks.extend(cgroups());
    checks.push(file_system(
        "overlay",
        "overlayfs",
        State::Missing,
        "root file systems of containers",
    ));
    checks.push(file_system(
        "tmpfs",
        "tmpfs",
        State::Missing,
        "emptyDir in memory, secrets, /dev/shm",
    ));
    checks.push(namespaces());
    checks.push(seccomp());
    checks.push(app_armor());
    checks.push(memfd());
    checks.extend(capabilities());
    checks
}

/// Major and minor number of a release such as `6.1.0-18-amd64`.
fn numbers(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn version() -> Check {
    let release = read("/proc/sys/kernel/osrelease");
    Check::of(
        "kernel",
        numbers(&release) >= Some((5, 10)),
        State::Missing,
        format!("Linux {}", or(&release, "of unknown version")),
        "everything: pidfds, openat2, close_range, mounts by descriptor",
        "run Linux 5.10 or newer",
    )
}

fn exit_info() -> Check {
    let known = numbers(&read("/proc/sys/kernel/osrelease")) >= Some((6, 15));
    Check::of(
        "exit codes by pidfd",
        known,
        State::Warn,
        if known { "yes" } else { "no (Linux 6.15)" },
        "exit codes of containers whose supervisor was killed",
        "nothing to be done before Linux 6.15: such a container is reported as ContainerStatusUnknown",
    )
}

/// Controllers that pods use.
const CONTROLLERS: [(&str, State, &str); 5] = [
    ("cpu", State::Missing, "cpu requests and limits"),
    (
        "memory",
        State::Missing,
        "memory limits, reasons of ends (OOMKilled)",
    ),
    ("pids", State::Warn, "limits of the number of processes"),
    (
        "freezer",
        State::Warn,
        "stopping every process of a container at one moment",
    ),
    ("hugetlb", State::Warn, "huge page limits"),
];

fn cgroups() -> Vec<Check> {
    let mounts = read("/proc/self/mountinfo");
    let layout = Layout::read(&mounts, |path| read(&format!("{path}/cgroup.controllers")));
    let mut checks = vec![Check::of(
        "cgroups",
        layout.kind != "none",
        State::Missing,
        layout.kind,
        "limits and the end of pods",
        "mount cgroup2 at /sys/fs/cgroup (or boot with systemd, which does)",
    )];
    for (name, otherwise, needed_for) in CONTROLLERS {
        // The freezer of v2 is no controller but a file of every cgroup.
        let there = layout.controllers.iter().any(|c| c == name)
            || (name == "freezer" && layout.kind == "v2");
        checks.push(Check::of(
            controller_name(name),
            there,
            otherwise,
            if there { "there" } else { "not there" },
            needed_for,
            "enable it: in the kernel's configuration, on the kernel's command line (cgroup_enable=memory), or in cgroup.subtree_control of the parent",
        ));
    }
    checks
}

fn controller_name(controller: &str) -> &'static str {
    match controller {
        "cpu" => "cgroup cpu",
        "memory" => "cgroup memory",
        "pids" => "cgroup pids",
        "freezer" => "cgroup freezer",
        _ => "cgroup hugetlb",
    }
}

/// Which hierarchies are mounted.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    kind: &'static str,
    controllers: Vec<String>,
}

impl Layout {
    fn read(mountinfo: &str, controllers_at: impl Fn(&str) -> String) -> Self {
        let mut v1: Vec<String> = Vec::new();
        let mut v2: Option<Vec<String>> = None;
        for line in mountinfo.lines() {
            let Some((front, back)) = line.split_once(" - ") else {
                continue;
            };
            let mut back = back.split(' ');
            let path = front.split(' ').nth(4).unwrap_or_default();
            match (back.next(), back.next(), back.next()) {
                (Some("cgroup"), _, Some(options)) => {
                    v1.extend(options.split(',').map(str::to_owned));
                }
                (Some("cgroup2"), ..) => {
                    let there = controllers_at(path);
                    v2 = Some(there.split_whitespace().map(str::to_owned).collect());
                }
                _ => {}
            }
        }
        let kind = match (v1.is_empty(), &v2) {
            (true, None) => "none",
            (true, Some(_)) => "v2",
            (false, None) => "v1",
            (false, Some(_)) => "hybrid (v1 with an empty v2 beside it)",
        };
        v1.extend(v2.into_iter().flatten());
        Self {
            kind,
            controllers: v1,
        }
    }
}

fn file_system(
    name: &str,
    shown: &'static str,
    otherwise: State,
    needed_for: &'static str,
) -> Check {
    let all = read("/proc/filesystems");
    let there = all
        .lines()
        .any(|l| l.split_whitespace().next_back() == Some(name));
    Check::of(
        shown,
        there,
        otherwise,
        if there { "there" } else { "not registered" },
        needed_for,
        "load it: modprobe overlay (tmpfs is built in: CONFIG_TMPFS)",
    )
}

fn namespaces() -> Check {
    let wanted = ["mnt", "pid", "net", "ipc", "uts"];
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|n| !Path::new(&format!("/proc/self/ns/{n}")).exists())
        .collect();
    let found = if missing.is_empty() {
        wanted.join(", ")
    } else {
        format!("without {}", missing.join(", "))
    };
    Check::of(
        "namespaces",
        missing.is_empty(),
        State::Missing,
        found,
        "separating pods from the node and from each other",
        "run a kernel with these namespaces (CONFIG_NAMESPACES)",
    )
}

fn seccomp() -> Check {
    let actions = read("/proc/sys/kernel/seccomp/actions_avail");
    let there = actions.split_whitespace().any(|a| a == "errno");
    Check::of(
        "seccomp",
        there,
        State::Warn,
        or(&actions, "not there"),
        "seccompProfile: RuntimeDefault and Localhost",
        "run a kernel with CONFIG_SECCOMP_FILTER; until then only Unconfined works",
    )
}

fn app_armor() -> Check {
    let enabled = read("/sys/module/apparmor/parameters/enabled") == "Y";
    let parser = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"];
    let parser = parser.iter().find(|p| Path::new(p).exists());
    let found = match (enabled, parser) {
        (false, _) => "not enabled: containers run without".to_owned(),
        (true, Some(parser)) => format!("enabled, profiles are loaded by {parser}"),
        (true, None) => "enabled, and no apparmor_parser to load a profile".to_owned(),
    };
    Check::of(
        "AppArmor",
        !enabled || parser.is_some(),
        State::Warn,
        found,
        "the default AppArmor profile, and pods that ask for one",
        "install the package apparmor; until then containers run without a profile, and those that ask for one are refused",
    )
}

fn memfd() -> Check {
    let text = read("/proc/sys/vm/memfd_noexec");
    Check::of(
        "programs in memfds",
        text != "2",
        State::Missing,
        match text.as_str() {
            "2" => "forbidden (vm.memfd_noexec=2)",
            _ => "allowed",
        },
        "starting containers: the launcher runs from a sealed memfd",
        "sysctl vm.memfd_noexec=1 (or 0)",
    )
}

/// Number and name of the capabilities that pods need.
const CAPABILITIES: [(u32, &str); 11] = [
    (0, "CHOWN"),
    (1, "DAC_OVERRIDE"),
    (3, "FOWNER"),
    (5, "KILL"),
    (6, "SETGID"),
    (7, "SETUID"),
    (8, "SETPCAP"),
    (12, "NET_ADMIN"),
    (18, "SYS_CHROOT"),
    (21, "SYS_ADMIN"),
    (27, "MKNOD"),
];
/// CAP_SYS_RESOURCE.
const SYS_RESOURCE: u32 = 24;

fn capabilities() -> [Check; 2] {
    let status = read("/proc/self/status");
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let set = line
        .and_then(|l| u64::from_str_radix(l.trim(), 16).ok())
        .unwrap_or(0);
    let has = |number: u32| set >> number & 1 == 1;
    let missing: Vec<&str> = CAPABILITIES
        .iter()
        .filter(|(number, _)| !has(*number))
        .map(|(_, name)| *name)
        .collect();
    let found = if missing.is_empty() {
        "all that are needed".to_owned()
    } else {
        format!("without {}", missing.join(", "))
    };
    [
        Check::of(
            "capabilities",
            missing.is_empty(),
            State::Missing,
            found,
            "running pods (`plan` and `doctor` need none)",
            "run as root, outside of a container that takes capabilities away",
        ),
        Check::of(
            "CAP_SYS_RESOURCE",
            has(SYS_RESOURCE),
            State::Warn,
            if has(SYS_RESOURCE) {
                "there"
            } else {
                "not there"
            },
            "oom_score_adj below the daemon's own, and raised resource limits",
            "nothing, if that is as it should be: such values are clamped, and an event of the pod says so",
        ),
    ]
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(numbers("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(numbers("5.10-rc1"), Some((5, 10)));
        assert!(numbers("4.19.0") < Some((5, 10)));
        assert_eq!(numbers("x"), None);
    }

    #[test]
    fn the_layout_of_cgroups_is_seen_from_the_mounts() {
        let v1 = "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
        let v2 = "31 24 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        let at = |path: &str| {
            if path == "/sys/fs/cgroup/unified" {
                "cpu pids"
            } else {
                ""
            }
            .to_owned()
        };
        for (text, kind) in [
            (String::new(), "none"),
            (v1.to_owned(), "v1"),
            (v2.to_owned(), "v2"),
            (
                format!("{v1}\n{v2}"),
                "hybrid (v1 with an empty v2 beside it)",
            ),
        ] {
            assert_eq!(Layout::read(&text, at).kind, kind);
        }
        let both = Layout::read(&format!("{v1}\n{v2}"), at).controllers;
        assert!(
            ["memory", "cpu", "pids"]
                .iter()
                .all(|c| both.iter().any(|b| b == c))
        );
    }
}
