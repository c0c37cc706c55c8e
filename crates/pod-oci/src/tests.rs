//! What whole specs look like: golden tables, each from a base config and one change.

use crate::testing::{container, node_v1, node_v2, paths_for, sandbox, sandbox_paths, volume};
use crate::{Facts, NamespaceOf, NodeFacts, OciError, pause_spec, spec};
use oci_spec::runtime::{LinuxNamespaceType, Spec};
use pod_model::config::{
    ContainerConfig, ImageFacts, MountSource, NetworkMode, Propagation, SandboxConfig, Seccomp,
};
use pod_model::ids::{HostPath, PodPath};
use pod_model::runtime::NamespaceMode;
use pod_model::volume::HostPathType;
use std::path::{Path, PathBuf};

fn image() -> ImageFacts {
    ImageFacts {
        cmd: vec!["/bin/sh".into()],
        ..ImageFacts::default()
    }
}

fn make_on(
    node: &NodeFacts,
    change: impl FnOnce(&mut ContainerConfig, &mut SandboxConfig),
) -> Result<(Spec, Facts), OciError> {
    let (mut c, mut s) = (container(), sandbox());
    change(&mut c, &mut s);
    let own = paths_for(&c);
    spec(&c, &s, &image(), node, &sandbox_paths(), &own)
}

fn make(
    change: impl FnOnce(&mut ContainerConfig, &mut SandboxConfig),
) -> Result<(Spec, Facts), OciError> {
    make_on(&node_v2(), change)
}

fn destinations(spec: &Spec) -> Vec<String> {
    let mounts = spec.mounts().as_ref().unwrap();
    mounts
        .iter()
        .map(|m| m.destination().display().to_string())
        .collect()
}

fn options(spec: &Spec, target: &str) -> Vec<String> {
    let mounts = spec.mounts().as_ref().unwrap();
    let found = mounts
        .iter()
        .rev()
        .find(|m| m.destination() == Path::new(target));
    found.unwrap().options().clone().unwrap()
}

fn host(target: &str, propagation: Propagation) -> pod_model::config::Mount {
    pod_model::config::Mount {
        source: MountSource::Host(HostPath::new("/host"), HostPathType::Unset),
        propagation,
        ..volume(target)
    }
}

#[test]
fn a_plain_container_has_these_mounts_in_this_order() {
    let (spec, facts) = make(|c, _| {
        c.mounts = vec![volume("/data/deep/er"), volume("/data")];
        c.termination_message_path = Some(PodPath::new("/dev/termination-log"));
    })
    .unwrap();
    assert_eq!(
        destinations(&spec),
        [
            "/proc",
            "/dev",
            "/sys",
            "/data",
            "/dev/pts",
            "/dev/mqueue",
            "/dev/shm",
            "/etc/hosts",
            "/etc/hostname",
            "/etc/resolv.conf",
            "/dev/termination-log",
            "/sys/fs/cgroup",
            "/data/deep/er",
        ]
    );
    assert_eq!(
        options(&spec, "/data"),
        ["rbind", "rprivate", "rw", "nosuid", "nodev"]
    );
    assert_eq!(facts.make_dirs, [PathBuf::from("/data")]);
    let files: Vec<PathBuf> = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
        .map(PathBuf::from)
        .into();
    assert_eq!(facts.make_files, files);
}

#[test]
fn nothing_that_libcontainer_stumbles_over_is_ever_in_a_spec() {
    for (name, (spec, _)) in [
        ("container", make(|_, _| {}).unwrap()),
        ("pause", pause_spec(&sandbox(), &node_v2()).unwrap()),
    ] {
        let process = spec.process().as_ref().unwrap();
        assert_eq!(process.oom_score_adj(), None, "{name}");
        assert_eq!(*process.rlimits(), None, "{name}");
        assert_ne!(process.no_new_privileges(), Some(false), "{name}");
        let linux = spec.linux().as_ref().unwrap();
        let resources = linux.resources().as_ref().unwrap();
        assert_eq!(*resources.pids(), None, "{name}");
        let env = process.env().as_ref().unwrap();
        assert!(env.iter().any(|e| e.starts_with("HOME=")), "{name}");
        assert!(env.iter().any(|e| e.starts_with("PATH=")), "{name}");
        assert!(process.capabilities().is_some(), "{name}");
        assert!(process.cwd().is_absolute(), "{name}");
        assert!(spec.annotations().is_none(), "{name}");
        assert!(spec.hooks().is_none(), "{name}");
    }
}

#[test]
fn the_cgroup_is_a_leaf_of_the_pods() {
    let (spec, facts) = make(|_, _| {}).unwrap();
    let path = spec.linux().as_ref().unwrap().cgroups_path().clone();
    assert_eq!(path, Some(PathBuf::from("/podwright/podu1/c1")));
    assert_eq!(facts.expected.cgroup, "/podwright/podu1/c1");
    let odd = make(|c, _| c.id = "../x".into()).unwrap_err();
    assert!(matches!(odd, OciError::Cgroup { .. }), "{odd}");
}

#[test]
fn namespaces_follow_the_modes_of_the_sandbox() {
    use NamespaceOf::{Node, Own, Sandbox};
    type Change = fn(&mut ContainerConfig, &mut SandboxConfig);
    type Case<'a> = (&'a str, Change, [(&'a str, NamespaceOf); 7]);
    let table: &[Case<'_>] = &[
        (
            "plain",
            |_, _| {},
            [
                ("cgroup", Own),
                ("ipc", Sandbox),
                ("mnt", Own),
                ("net", Sandbox),
                ("pid", Own),
                ("user", Node),
                ("uts", Sandbox),
            ],
        ),
        (
            "shared processes",
            |_, s| s.pid = NamespaceMode::Pod,
            [
                ("cgroup", Own),
                ("ipc", Sandbox),
                ("mnt", Own),
                ("net", Sandbox),
                ("pid", Sandbox),
                ("user", Node),
                ("uts", Sandbox),
            ],
        ),
        (
            "all of the node's",
            |_, s| {
                s.pid = NamespaceMode::Node;
                s.ipc = NamespaceMode::Node;
                s.network = NetworkMode::Host;
            },
            [
                ("cgroup", Own),
                ("ipc", Node),
                ("mnt", Own),
                ("net", Node),
                ("pid", Node),
                ("user", Node),
                ("uts", Node),
            ],
        ),
        (
            "privileged",
            |c, _| c.security.privileged = true,
            [
                ("cgroup", Node),
                ("ipc", Sandbox),
                ("mnt", Own),
                ("net", Sandbox),
                ("pid", Own),
                ("user", Node),
                ("uts", Sandbox),
            ],
        ),
    ];
    for (name, change, want) in table {
        let (spec, facts) = make(change).unwrap();
        let got: Vec<_> = facts.expected.namespaces.into_iter().collect();
        assert_eq!(got, want, "{name}");
        let list = spec.linux().as_ref().unwrap().namespaces().clone().unwrap();
        for (kind, whose) in want {
            let typ = LinuxNamespaceType::try_from(match *kind {
                "mnt" => "mount",
                "net" => "network",
                other => other,
            })
            .unwrap();
            let entry = list.iter().find(|n| n.typ() == typ);
            let path = entry.map(|n| n.path().is_some());
            let expected = match whose {
                Node => None,
                Sandbox => Some(true),
                Own => Some(false),
            };
            assert_eq!(path, expected, "{name}: {kind}");
        }
    }
}

#[test]
fn a_target_that_was_not_resolved_is_an_error() {
    let error = make(|c, _| c.pid_target = Some("other".into())).unwrap_err();
    assert!(matches!(error, OciError::NotResolved { .. }), "{error}");
}

#[test]
fn cgroup_v1_gets_a_container_its_own_folder_of_each_hierarchy_read_only() {
    let (spec, facts) = make_on(&node_v1(), |_, _| {}).unwrap();
    let mounts = spec.mounts().as_ref().unwrap();
    let memory = mounts
        .iter()
        .find(|m| m.destination() == Path::new("/sys/fs/cgroup/memory"))
        .unwrap();
    assert_eq!(
        memory.source().as_deref(),
        Some(Path::new("/sys/fs/cgroup/memory/podwright/podu1/c1"))
    );
    assert!(options(&spec, "/sys/fs/cgroup/memory").contains(&"ro".to_owned()));
    assert!(options(&spec, "/sys/fs/cgroup").contains(&"nr_inodes=3".to_owned()));
    assert_eq!(facts.expected.namespaces["cgroup"], NamespaceOf::Node);
}

#[test]
fn a_privileged_container_has_all_capabilities_devices_and_no_masks() {
    let (spec, facts) = make(|c, _| {
        c.security.privileged = true;
        c.security.seccomp = Seccomp::RuntimeDefault;
    })
    .unwrap();
    let linux = spec.linux().as_ref().unwrap();
    assert!(linux.seccomp().is_none());
    assert!(linux.masked_paths().as_ref().unwrap().is_empty());
    assert!(linux.readonly_paths().as_ref().unwrap().is_empty());
    assert!(options(&spec, "/sys").contains(&"rw".to_owned()));
    assert!(options(&spec, "/sys/fs/cgroup").contains(&"rw".to_owned()));
    // Not mounted anew: that would change the options of the node's own mount.
    assert!(options(&spec, "/sys/fs/cgroup").contains(&"bind".to_owned()));
    assert_eq!(facts.expected.cap_bounding, (1 << 41) - 1);
    let rules = linux
        .resources()
        .as_ref()
        .unwrap()
        .devices()
        .clone()
        .unwrap();
    assert_eq!(rules.len(), 1);
    assert!(rules[0].allow());
}

#[test]
fn s09_no_device_node_is_made_in_a_volume() {
    let mut node = node_v2();
    node.devices = ["/dev/net/tun", "/dev/fuse", "/dev/snd/seq"]
        .map(|path| crate::facts::HostDevice {
            path: path.into(),
            block: false,
            major: 10,
            minor: 200,
            mode: 0o600,
            uid: 0,
            gid: 0,
        })
        .to_vec();
    let (spec, _) = make_on(&node, |c, _| {
        c.security.privileged = true;
        c.mounts = vec![volume("/dev/net"), host("/dev/fuse", Propagation::Private)];
    })
    .unwrap();
    let devices = spec.linux().as_ref().unwrap().devices().clone().unwrap();
    let paths: Vec<_> = devices.iter().map(|d| d.path().clone()).collect();
    assert_eq!(paths, [Path::new("/dev/snd/seq")]);
}

#[test]
fn an_ordinary_container_may_use_only_harmless_devices() {
    let (spec, _) = make(|_, _| {}).unwrap();
    let resources = spec.linux().as_ref().unwrap().resources().clone().unwrap();
    let rules: Vec<String> = resources
        .devices()
        .iter()
        .flatten()
        .map(|r| format!("{} {r}", r.allow()))
        .collect();
    assert_eq!(
        rules,
        [
            "false a *:* rwm",
            "true c *:* m",
            "true b *:* m",
            "true c 1:3 rwm",
            "true c 1:5 rwm",
            "true c 1:7 rwm",
            "true c 1:8 rwm",
            "true c 1:9 rwm",
            "true c 5:0 rwm",
            "true c 5:1 rwm",
            "true c 5:2 rwm",
            "true c 136:* rwm",
        ]
    );
}

#[test]
fn masked_and_read_only_paths_are_those_of_kubernetes() {
    let mut node = node_v2();
    node.thermal_throttle = vec!["/sys/devices/system/cpu/cpu0/thermal_throttle".into()];
    let (spec, facts) = make_on(&node, |_, _| {}).unwrap();
    let linux = spec.linux().as_ref().unwrap();
    let masked = linux.masked_paths().clone().unwrap();
    assert_eq!(masked.len(), 13);
    for path in [
        "/proc/kcore",
        "/sys/firmware",
        "/sys/devices/system/cpu/cpu0/thermal_throttle",
    ] {
        assert!(masked.contains(&path.to_owned()), "{path}");
    }
    assert_eq!(
        *linux.readonly_paths(),
        Some(
            [
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger"
            ]
            .map(String::from)
            .into()
        )
    );
    assert_eq!(facts.expected.masked.len(), 13);
}

#[test]
fn resources_are_written_only_where_they_are_asked_for() {
    let (spec, _) = make(|_, _| {}).unwrap();
    let none = spec.linux().as_ref().unwrap().resources().clone().unwrap();
    assert!(none.cpu().is_none() && none.memory().is_none() && none.hugepage_limits().is_none());
    let full = |c: &mut ContainerConfig, _: &mut SandboxConfig| {
        c.resources.cpu_shares = Some(512);
        c.resources.cpu_quota = Some(50_000);
        c.resources.cpu_period = Some(100_000);
        c.resources.memory_limit = Some(1 << 20);
        c.resources.huge_page_limit = [(2 << 20, 0), (1 << 30, 1 << 30)].into();
        c.resources.unified = [
            ("memory.oom.group".into(), "1".into()),
            ("memory.high".into(), "5".into()),
        ]
        .into();
    };
    let (spec, facts) = make(full).unwrap();
    let got = spec.linux().as_ref().unwrap().resources().clone().unwrap();
    let cpu = got.cpu().clone().unwrap();
    assert_eq!(
        (cpu.shares(), cpu.quota(), cpu.period()),
        (Some(512), Some(50_000), Some(100_000))
    );
    let memory = got.memory().unwrap();
    assert_eq!(
        (memory.limit(), memory.swap()),
        (Some(1 << 20), Some(1 << 20))
    );
    let pages: Vec<_> = got
        .hugepage_limits()
        .iter()
        .flatten()
        .map(|h| h.page_size().clone())
        .collect();
    assert_eq!(pages, ["2MB", "1GB"]);
    assert_eq!(got.unified().as_ref().unwrap().len(), 2);
    assert!(facts.clamped.is_empty());

    let (spec, facts) = make_on(&node_v1(), full).unwrap();
    let got = spec.linux().as_ref().unwrap().resources().clone().unwrap();
    assert!(got.hugepage_limits().is_none() && got.unified().is_none());
    assert_eq!(
        facts.clamped,
        [
            "huge page limits: not set, this node has no hugetlb controller",
            "memory.high: not set, this node has cgroup v1"
        ]
    );
}

#[test]
fn page_sizes_are_named_as_the_kernel_names_them() {
    for (bytes, name) in [
        (65_536, "64KB"),
        (2 << 20, "2MB"),
        (512 << 20, "512MB"),
        (16 << 30, "16GB"),
    ] {
        assert_eq!(crate::page_size_name(bytes), name);
    }
}

#[test]
fn mount_propagation_is_one_mode_a_container_or_refused() {
    use Propagation::{Private, Shared, Slave};
    type Case<'a> = (&'a str, &'a [(Propagation, bool)], bool, Option<&'a str>);
    let table: &[Case<'_>] = &[
        ("none", &[], false, Some("private")),
        (
            "private",
            &[(Private, true), (Private, false)],
            false,
            Some("private"),
        ),
        ("slave", &[(Slave, true)], false, Some("slave")),
        (
            "slave beside the pod's own",
            &[(Slave, true), (Private, false)],
            false,
            Some("slave"),
        ),
        (
            "slave beside a private host path",
            &[(Slave, true), (Private, true)],
            false,
            None,
        ),
        ("shared", &[(Shared, true)], true, Some("shared")),
        ("shared, unprivileged", &[(Shared, true)], false, None),
        (
            "shared beside slave",
            &[(Shared, true), (Slave, true)],
            true,
            None,
        ),
        (
            "shared beside the pod's own",
            &[(Shared, true), (Private, false)],
            true,
            None,
        ),
    ];
    for (name, mounts, privileged, want) in table {
        let got = make(|c, _| {
            c.security.privileged = *privileged;
            c.mounts = mounts
                .iter()
                .enumerate()
                .map(|(n, (propagation, of_host))| {
                    let target = format!("/m{n}");
                    match of_host {
                        true => host(&target, *propagation),
                        false => volume(&target),
                    }
                })
                .collect();
        });
        let mode = got
            .ok()
            .and_then(|(s, _)| s.linux().as_ref().unwrap().rootfs_propagation().clone());
        assert_eq!(mode.as_deref(), *want, "{name}");
    }
}

#[test]
fn a_read_only_mount_says_so_and_submounts_on_request() {
    let (spec, _) = make(|c, _| {
        let mut m = host("/m", Propagation::Private);
        (m.read_only, m.recursive_read_only) = (true, true);
        c.mounts = vec![m];
    })
    .unwrap();
    assert_eq!(options(&spec, "/m"), ["rbind", "rprivate", "ro", "rro"]);
    let error = make(|c, _| {
        let mut m = host("/m", Propagation::Private);
        m.recursive_read_only = true;
        c.mounts = vec![m];
    });
    assert!(matches!(error, Err(OciError::RecursiveReadOnly { .. })));
}

#[test]
fn what_must_not_be_covered_is_refused() {
    for (target, privileged, fine) in [
        ("/", false, false),
        ("/.", false, false),
        ("rel", false, false),
        ("/a/../b", false, false),
        ("/proc", true, false),
        ("/proc/self", false, false),
        ("/proc/sys/kernel", true, false),
        ("/sys", false, false),
        ("/sys", true, true),
        ("/sys/fs/bpf", false, true),
        ("/dev", true, false),
        ("/dev/", true, false),
        ("/dev/snd", true, true),
        ("/procfs", false, true),
        ("/a\0", false, false),
    ] {
        let got = make(|c, _| {
            c.security.privileged = privileged;
            c.mounts = vec![volume(target)];
        });
        assert_eq!(got.is_ok(), fine, "{target:?} privileged={privileged}");
    }
}

#[test]
fn a_volume_at_the_place_of_a_usual_mount_takes_it() {
    let (spec, _) = make(|c, _| c.mounts = vec![volume("/etc/hosts"), volume("/dev/shm")]).unwrap();
    for target in ["/etc/hosts", "/dev/shm"] {
        let count = destinations(&spec).iter().filter(|d| *d == target).count();
        assert_eq!(count, 1, "{target}");
    }
    let (spec, _) = make(|c, _| {
        let mut m = volume("/etc");
        m.read_only = true;
        c.mounts = vec![m];
    })
    .unwrap();
    assert!(!destinations(&spec).iter().any(|d| d.starts_with("/etc/")));
}

#[test]
fn the_nodes_ipc_brings_the_nodes_shm() {
    let (spec, _) = make(|_, s| s.ipc = NamespaceMode::Node).unwrap();
    let mounts = spec.mounts().as_ref().unwrap();
    let shm = mounts
        .iter()
        .find(|m| m.destination() == Path::new("/dev/shm"))
        .unwrap();
    assert_eq!(shm.source().as_deref(), Some(Path::new("/dev/shm")));
}

#[test]
fn the_working_folder_is_made_unless_it_lies_in_a_mount() {
    let dirs = |cwd: &str| {
        let (_, facts) = make(|c, _| {
            c.working_dir = Some(cwd.into());
            c.mounts = vec![volume("/data")];
        })
        .unwrap();
        facts.make_dirs.contains(&PathBuf::from(cwd))
    };
    assert!(dirs("/srv/app"));
    assert!(!dirs("/data/app"));
    assert!(!dirs("/dev/app"));
    assert!(!dirs("/"));
}

#[test]
fn no_new_privileges_is_true_or_absent() {
    for (asked, want) in [(true, Some(true)), (false, None)] {
        let (spec, facts) = make(|c, _| c.security.no_new_privileges = asked).unwrap();
        assert_eq!(spec.process().as_ref().unwrap().no_new_privileges(), want);
        assert_eq!(facts.expected.no_new_privileges, asked);
    }
}

#[test]
fn running_as_root_is_refused_where_it_must_not_be() {
    let error = make(|c, _| c.security.run_as_non_root = true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "container has runAsNonRoot and image will run as root (pod: \"web_ns(u1)\", container: app)"
    );
}

#[test]
fn the_pause_process_has_no_rights_and_nothing_to_write() {
    let (spec, facts) = pause_spec(&sandbox(), &node_v2()).unwrap();
    let e = &facts.expected;
    assert_eq!((e.cap_bounding, e.cap_effective, e.uid), (0, 0, 65535));
    assert!(e.seccomp && e.no_new_privileges && e.read_only_rootfs);
    assert_eq!(e.cgroup, "/podwright/podu1/s1");
    assert_eq!(*spec.hostname(), Some("web".to_owned()));
    assert!(options(&spec, "/proc").contains(&"ro".to_owned()));
    for kind in ["net", "ipc", "uts", "pid", "mnt"] {
        assert_eq!(e.namespaces[kind], NamespaceOf::Own, "{kind}");
    }
}

#[test]
fn a_pause_process_on_the_nodes_namespaces_makes_none_and_sets_nothing() {
    let mut s = sandbox();
    (s.network, s.ipc, s.pid) = (NetworkMode::Host, NamespaceMode::Node, NamespaceMode::Node);
    let (spec, facts) = pause_spec(&s, &node_v2()).unwrap();
    assert_eq!(*spec.hostname(), None);
    let linux = spec.linux().as_ref().unwrap();
    assert!(linux.sysctl().is_none());
    assert_eq!(linux.namespaces().as_ref().unwrap().len(), 1);
    assert_eq!(facts.expected.namespaces["net"], NamespaceOf::Node);
}

#[test]
fn s18_sysctls_reach_only_the_sandboxs_own_namespaces() {
    let with = |name: &str, value: &str, network| {
        let mut s = sandbox();
        s.network = network;
        s.sysctls = [(name.to_owned(), value.to_owned())].into();
        pause_spec(&s, &node_v2()).is_ok()
    };
    let own = NetworkMode::None;
    assert!(with("net.core.somaxconn", "1024", own));
    assert!(with("kernel.shm_rmid_forced", "1", own));
    assert!(with("fs.mqueue.msg_max", "10", own));
    assert!(!with("net.core.somaxconn", "1024", NetworkMode::Host));
    for (name, value) in [
        ("kernel.core_pattern", "|/x"),
        ("vm.swappiness", "1"),
        ("net/core/somaxconn", "1"),
        ("net..x", "1"),
        ("net.core/../../kernel/core_pattern", "1"),
        ("net.core.somaxconn", "1\nkernel.core_pattern=x"),
        ("net.core.somaxconn", "1\0"),
        ("", "1"),
    ] {
        assert!(!with(name, value, own), "{name:?}={value:?}");
    }
}

#[test]
fn a_hostname_that_the_kernel_would_not_take_is_refused() {
    for name in ["a".repeat(65), "a\nb".into(), "a b".into(), "a/b".into()] {
        let mut s = sandbox();
        s.hostname = Some(name.clone());
        assert!(pause_spec(&s, &node_v2()).is_err(), "{name:?}");
    }
}
