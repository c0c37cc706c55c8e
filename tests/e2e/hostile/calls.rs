//! What a container may ask of the kernel, asked from inside by a small C program: S33.

use super::Hostile;
use e2e::hostile_image::{Layer, import};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The program that asks.
pub(super) fn program(h: &Hostile) -> Vec<u8> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/hostile/probe.c");
    let program = h.node.folder().join("probe");
    let built = Command::new("cc")
        .args(["-static", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&program)
        .arg(source)
        .output()
        .expect("a C compiler: Debian's packages gcc and libc6-dev");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    std::fs::read(program).unwrap()
}

/// An image `probe` with the program at /probe.
fn probe(h: &Hostile) {
    let layer = Layer::default().file("probe", &program(h));
    import(&h.node, "probe", layer, json!({}));
}

/// Names of system calls by number, as the kernel's header has them.
fn names() -> BTreeMap<u32, String> {
    let print = Command::new("cc")
        .args([
            "-E",
            "-dM",
            "-include",
            "asm/unistd.h",
            "-x",
            "c",
            "/dev/null",
        ])
        .output()
        .expect("a C compiler");
    let text = String::from_utf8_lossy(&print.stdout).into_owned();
    let entry = |line: &str| {
        let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
        Some((number.parse().ok()?, name.to_owned()))
    };
    let found: BTreeMap<u32, String> = text.lines().filter_map(entry).collect();
    assert!(found.len() > 300, "{text}");
    found
}

/// Result of every system call in a container of that security context.
fn results(h: &Hostile, context: &str) -> BTreeMap<String, i32> {
    let more = format!(", securityContext: {{{context}}}");
    let said = h.once("probe", &more, "/probe calls");
    let names = names();
    let mut found = BTreeMap::new();
    for line in said.ok().lines() {
        let (number, result) = line.split_once(' ').expect(line);
        if let Some(name) = names.get(&number.parse().unwrap()) {
            found.insert(name.clone(), result.parse().unwrap());
        }
    }
    found
}

const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

/// What must never be let through to the kernel by default. Those that only some kernels or machines have are in it all the same.
const NEVER: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "get_kernel_syms",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "sysfs",
    "syslog",
    "_sysctl",
    "umount2",
    "unshare",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
];

#[test]
fn s33_every_system_call_is_answered_as_the_default_profile_says() {
    apart!(s33_every_system_call_is_answered_as_the_default_profile_says);
    let h = Hostile::new("s33");
    probe(&h);
    let free = results(&h, "seccompProfile: {type: Unconfined}");
    let bound = results(
        &h,
        "seccompProfile: {type: RuntimeDefault}, allowPrivilegeEscalation: false",
    );
    for name in NEVER {
        let Some(result) = bound.get(*name) else {
            continue;
        };
        assert!([EPERM, ENOSYS].contains(result), "{name}: {result}");
    }
    // What the profile itself has changed, so that a profile that allows or denies more shows here, by name.
    let changed: BTreeSet<&str> = bound
        .iter()
        .filter(|(name, result)| {
            [EPERM, ENOSYS].contains(*result) && free.get(*name) != Some(*result)
        })
        .map(|(name, _)| name.as_str())
        .collect();
    let golden = include_str!("denied-calls.txt");
    let golden: BTreeSet<&str> = golden
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .collect();
    let more: Vec<_> = changed.difference(&golden).collect();
    assert!(
        more.is_empty(),
        "denied, and not in denied-calls.txt: {more:?}"
    );
    // A kernel without a call answers ENOSYS to both.
    let less: Vec<_> = golden
        .difference(&changed)
        .filter(|name| {
            free.get(**name)
                .is_some_and(|r| ![ENOSYS, EPERM].contains(r))
        })
        .collect();
    assert!(
        less.is_empty(),
        "in denied-calls.txt, and let through: {less:?}"
    );
    h.finish();
}

/// Files of a process's own, which it may always write, and triggers of pressure, which tell and change nothing.
const WRITABLE: &[&str] = &[
    "/proc/PID/attr/",
    "/proc/PID/autogroup",
    "/proc/PID/clear_refs",
    "/proc/PID/comm",
    "/proc/PID/coredump_filter",
    "/proc/PID/gid_map",
    "/proc/PID/loginuid",
    "/proc/PID/make-it-fail",
    "/proc/PID/mem",
    "/proc/PID/net/",
    "/proc/PID/oom_adj",
    "/proc/PID/oom_score_adj",
    "/proc/PID/projid_map",
    "/proc/PID/sched",
    "/proc/PID/setgroups",
    "/proc/PID/timens_offsets",
    "/proc/PID/timerslack_ns",
    "/proc/PID/uid_map",
    "/proc/PID/fail-nth",
    "/proc/PID/ksm_merging_pages",
    "/proc/PID/seccomp",
    "/proc/pressure/",
];

#[test]
fn s33_nothing_of_the_node_in_proc_and_sys_can_be_opened_for_writing() {
    apart!(s33_nothing_of_the_node_in_proc_and_sys_can_be_opened_for_writing);
    let h = Hostile::new("s33w");
    probe(&h);
    let said = h.once("probe", "", "/probe writable");
    let text = said.ok();
    assert!(text.contains("/comm\n"), "it looked: {text}");
    let general = |line: &str| {
        let mut parts: Vec<&str> = line.split('/').collect();
        if parts.get(2).is_some_and(|p| p.parse::<u32>().is_ok()) {
            parts[2] = "PID";
        }
        parts.join("/")
    };
    let beyond: Vec<String> = text
        .lines()
        .map(general)
        .filter(|line| !WRITABLE.iter().any(|w| line.starts_with(w)))
        .collect();
    assert!(beyond.is_empty(), "{beyond:#?}");
    h.finish();
}
