//! System call filters: the default profile (the rule set that containerd and Docker use), the pause process's, and profiles of the node.

use crate::capability::Sets;
use crate::facts::{Machine, OciError};
use crate::seccomp_table as table;
use oci_spec::runtime::{
    Arch, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use pod_model::config::Seccomp;
use std::collections::BTreeSet;
use std::path::PathBuf;

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// AF_VSOCK reaches the hypervisor past every network policy.
const AF_VSOCK: u64 = 40;

/// Every CLONE_NEW* flag that clone(2) knows.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// Values of personality(2) that are harmless: PER_LINUX, PER_LINUX32, each with UNAME26, and the query.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Allowed with a capability.
const WITH_CAPABILITY: [(Capability, &[&str]); 14] = [
    (Capability::DacReadSearch, &["open_by_handle_at"]),
    (Capability::SysAdmin, table::SYS_ADMIN),
    (Capability::SysBoot, &["reboot"]),
    (Capability::SysChroot, &["chroot"]),
    (Capability::SysModule, table::SYS_MODULE),
    (Capability::SysPacct, &["acct"]),
    (Capability::SysPtrace, table::SYS_PTRACE),
    (Capability::SysRawio, &["iopl", "ioperm"]),
    (Capability::SysTime, table::SYS_TIME),
    (Capability::SysTtyConfig, &["vhangup"]),
    (Capability::SysNice, table::SYS_NICE),
    (Capability::Syslog, &["syslog"]),
    (Capability::Bpf, &["bpf"]),
    (Capability::Perfmon, &["perf_event_open"]),
];

/// The filter that `asked` means; a privileged container has none.
pub(crate) fn filter(
    asked: &Seccomp,
    privileged: bool,
    localhost: Option<&str>,
    sets: Sets,
    machine: Machine,
) -> Result<Option<LinuxSeccomp>, OciError> {
    if privileged {
        return Ok(None);
    }
    match asked {
        Seccomp::Unconfined => Ok(None),
        Seccomp::RuntimeDefault => default_profile(sets, machine).map(Some),
        Seccomp::Localhost(path) => {
            let path = path.as_path().to_owned();
            let text = localhost.ok_or(OciError::NotResolved {
                what: format!("seccomp profile {}", path.display()),
            })?;
            let read: LinuxSeccomp =
                serde_json::from_str(text).map_err(|e| broken(path, e.to_string()))?;
            for_libcontainer(read).map(Some)
        }
    }
}

/// Deny with EPERM; allow what ordinary programs need, and what the capabilities in `sets` would be pointless without.
pub(crate) fn default_profile(sets: Sets, machine: Machine) -> Result<LinuxSeccomp, OciError> {
    let by_machine = match machine {
        Machine::X86_64 => table::X86,
        Machine::Aarch64 => table::ARM,
    };
    let always = [
        table::FILES,
        table::MEMORY,
        table::PROCESSES,
        table::WAITING,
        table::TALKING,
        by_machine,
    ];
    let granted = WITH_CAPABILITY
        .iter()
        .filter(|(capability, _)| sets.has(*capability))
        .map(|(_, names)| *names);
    // One rule, each name once: libseccomp need not know which names came twice.
    let names: BTreeSet<&str> = always
        .into_iter()
        .chain(granted)
        .flatten()
        .copied()
        .collect();
    let mut rules = vec![allow(names)?];
    for value in PERSONALITIES {
        let equal = arg(value, None, LinuxSeccompOperator::ScmpCmpEq)?;
        rules.push(allow_if("personality", equal)?);
    }
    let not_vsock = arg(AF_VSOCK, None, LinuxSeccompOperator::ScmpCmpNe)?;
    rules.push(allow_if("socket", not_vsock)?);
    if !sets.has(Capability::SysAdmin) {
        let masked = LinuxSeccompOperator::ScmpCmpMaskedEq;
        rules.push(allow_if("clone", arg(NEW_NAMESPACES, Some(0), masked)?)?);
        // Its flags lie in memory, out of a filter's reach; "no such call" makes libc fall back to clone.
        rules.push(
            LinuxSyscallBuilder::default()
                .names(vec!["clone3".to_owned()])
                .action(LinuxSeccompAction::ScmpActErrno)
                .errno_ret(ENOSYS)
                .build()
                .map_err(internal)?,
        );
    }
    assemble(rules, architectures(machine)).and_then(for_libcontainer)
}

/// Swaps the two values of every masked comparison. OCI (and libseccomp) have the mask in `value` and the result in `valueTwo`;
/// libcontainer 0.7.0 reads them the other way round, so that a rule as it stands in OCI's words would never match.
fn for_libcontainer(mut filter: LinuxSeccomp) -> Result<LinuxSeccomp, OciError> {
    let mut rules = filter.syscalls().clone().unwrap_or_default();
    for rule in &mut rules {
        let mut args = rule.args().clone().unwrap_or_default();
        for arg in &mut args {
            if arg.op() == LinuxSeccompOperator::ScmpCmpMaskedEq {
                *arg = LinuxSeccompArgBuilder::default()
                    .index(arg.index())
                    .op(arg.op())
                    .value(arg.value_two().unwrap_or(0))
                    .value_two(arg.value())
                    .build()
                    .map_err(internal)?;
            }
        }
        if !args.is_empty() {
            rule.set_args(Some(args));
        }
    }
    filter.set_syscalls(Some(rules));
    Ok(filter)
}

/// The pause process's own: its loop and the way to it, nothing else. Only the native architecture.
pub(crate) fn pause_profile(machine: Machine) -> Result<LinuxSeccomp, OciError> {
    let native = match machine {
        Machine::X86_64 => Arch::ScmpArchX86_64,
        Machine::Aarch64 => Arch::ScmpArchAarch64,
    };
    assemble(vec![allow(table::PAUSE.iter().copied())?], vec![native])
}

fn architectures(machine: Machine) -> Vec<Arch> {
    match machine {
        Machine::X86_64 => vec![Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32],
        Machine::Aarch64 => vec![Arch::ScmpArchAarch64, Arch::ScmpArchArm],
    }
}

fn assemble(rules: Vec<LinuxSyscall>, arches: Vec<Arch>) -> Result<LinuxSeccomp, OciError> {
    LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(EPERM)
        .architectures(arches)
        .syscalls(rules)
        .build()
        .map_err(internal)
}

fn allow<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<LinuxSyscall, OciError> {
    LinuxSyscallBuilder::default()
        .names(names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        .action(LinuxSeccompAction::ScmpActAllow)
        .build()
        .map_err(internal)
}

fn allow_if(name: &str, condition: LinuxSeccompArg) -> Result<LinuxSyscall, OciError> {
    LinuxSyscallBuilder::default()
        .names(vec![name.to_owned()])
        .action(LinuxSeccompAction::ScmpActAllow)
        .args(vec![condition])
        .build()
        .map_err(internal)
}

/// A condition on the first argument.
fn arg(
    value: u64,
    second: Option<u64>,
    op: LinuxSeccompOperator,
) -> Result<LinuxSeccompArg, OciError> {
    let mut builder = LinuxSeccompArgBuilder::default()
        .index(0_usize)
        .value(value)
        .op(op);
    if let Some(second) = second {
        builder = builder.value_two(second);
    }
    builder.build().map_err(internal)
}

fn internal(e: impl std::fmt::Display) -> OciError {
    broken(PathBuf::from("default"), e.to_string())
}

fn broken(path: PathBuf, cause: String) -> OciError {
    OciError::SeccompProfile { path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability;
    use pod_model::config::Security;
    use std::collections::BTreeSet;

    fn profile(add: &[&str]) -> LinuxSeccomp {
        let security = Security {
            add_capabilities: add.iter().map(|s| (*s).to_owned()).collect(),
            ..Security::default()
        };
        let (sets, _) = capability::sets(&security, 0, u64::MAX).unwrap();
        default_profile(sets, Machine::X86_64).unwrap()
    }

    fn plainly_allowed(profile: &LinuxSeccomp) -> BTreeSet<String> {
        let rules = profile.syscalls().iter().flatten();
        rules
            .filter(|r| r.args().is_none() && r.action() == LinuxSeccompAction::ScmpActAllow)
            .flat_map(|r| r.names().clone())
            .collect()
    }

    #[test]
    fn s33_what_could_change_the_node_is_not_allowed_by_default() {
        let allowed = plainly_allowed(&profile(&[]));
        for name in [
            "mount",
            "umount2",
            "unshare",
            "setns",
            "bpf",
            "keyctl",
            "add_key",
            "request_key",
            "io_uring_setup",
            "io_uring_enter",
            "init_module",
            "kexec_load",
            "reboot",
            "swapon",
            "userfaultfd",
            "perf_event_open",
            "open_by_handle_at",
            "clone",
            "clone3",
            "socket",
            "personality",
            "acct",
            "quotactl",
            "settimeofday",
            "iopl",
            "pivot_root",
            "syslog",
            "move_pages",
            "nfsservctl",
        ] {
            assert!(!allowed.contains(name), "{name}");
        }
        for name in [
            "chroot",
            "execve",
            "openat2",
            "futex_waitv",
            "ptrace",
            "fchmodat2",
            "arch_prctl",
        ] {
            assert!(allowed.contains(name), "{name}");
        }
        assert!(allowed.len() > 330, "{}", allowed.len());
    }

    #[test]
    fn each_capability_brings_its_calls() {
        for (capability, name) in [
            ("SYS_ADMIN", "mount"),
            ("SYS_MODULE", "finit_module"),
            ("SYS_TIME", "clock_settime"),
            ("SYS_PTRACE", "pidfd_getfd"),
            ("SYS_NICE", "mbind"),
            ("BPF", "bpf"),
            ("PERFMON", "perf_event_open"),
            ("SYSLOG", "syslog"),
            ("SYS_BOOT", "reboot"),
            ("DAC_READ_SEARCH", "open_by_handle_at"),
        ] {
            assert!(!plainly_allowed(&profile(&[])).contains(name));
            assert!(
                plainly_allowed(&profile(&[capability])).contains(name),
                "{capability}"
            );
        }
    }

    #[test]
    fn clone_is_compared_in_the_order_that_libcontainer_reads() {
        let profile = profile(&[]);
        let rules = profile.syscalls().as_ref().unwrap();
        let clone = rules.iter().find(|r| r.names() == &["clone"]).unwrap();
        let arg = clone.args().as_ref().unwrap()[0];
        assert_eq!((arg.value(), arg.value_two()), (0, Some(NEW_NAMESPACES)));
    }

    #[test]
    fn clone3_says_that_it_does_not_exist_unless_namespaces_are_allowed() {
        let with = |add: &[&str]| {
            let profile = profile(add);
            let rules = profile.syscalls().as_ref().unwrap().clone();
            rules
                .into_iter()
                .find(|r| r.names() == &["clone3"])
                .and_then(|r| r.errno_ret())
        };
        assert_eq!(with(&[]), Some(ENOSYS));
        assert_eq!(with(&["SYS_ADMIN"]), None);
    }

    #[test]
    fn no_name_is_allowed_twice() {
        let profile = profile(&["ALL"]);
        let mut seen = BTreeSet::new();
        for rule in profile.syscalls().iter().flatten() {
            let plain = rule.args().is_none();
            for name in rule.names().iter().filter(|_| plain) {
                assert!(seen.insert(name.clone()), "{name}");
            }
        }
    }

    #[test]
    fn a_profile_of_the_node_is_read_strictly() {
        let (sets, _) = capability::sets(&Security::default(), 0, u64::MAX).unwrap();
        let asked = Seccomp::Localhost(pod_model::ids::HostPath::new("/p.json"));
        let read = |text| filter(&asked, false, text, sets, Machine::X86_64);
        let good = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["clone"],"action":"SCMP_ACT_ERRNO",
            "args":[{"index":0,"value":7,"valueTwo":3,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#;
        let got = read(Some(good)).unwrap().unwrap();
        let arg = got.syscalls().as_ref().unwrap()[0].args().as_ref().unwrap()[0];
        assert_eq!((arg.value(), arg.value_two()), (3, Some(7)));
        let error = read(Some("{}")).unwrap_err().to_string();
        assert!(error.contains("/p.json"), "{error}");
        assert!(matches!(read(None), Err(OciError::NotResolved { .. })));
    }
}
