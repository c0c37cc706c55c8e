//! Configs and facts that the tests of this crate begin from.

use crate::facts::{
    AppArmorSupport, CgroupLayout, ContainerPaths, Hierarchy, Machine, NodeFacts, ResolvedMount,
    SandboxPaths,
};
use pod_model::config::{
    ContainerConfig, ContainerResources, Mount, MountSource, NetworkMode, Propagation,
    SandboxConfig, Security,
};
use pod_model::ids::{CgroupPath, HostPath, PodPath, PodRef};
use pod_model::runtime::NamespaceMode;
use std::collections::BTreeMap;

pub(crate) fn sandbox() -> SandboxConfig {
    SandboxConfig {
        id: "s1".into(),
        pod: PodRef {
            namespace: "ns".into(),
            name: "web".into(),
            uid: "u1".into(),
        },
        attempt: 0,
        hostname: Some("web".into()),
        cgroup_parent: CgroupPath::parse("/podwright/podu1").unwrap(),
        network: NetworkMode::None,
        ipc: NamespaceMode::Pod,
        pid: NamespaceMode::Container,
        sysctls: BTreeMap::new(),
        shm_size: 64 << 20,
        oom_score_adj: -998,
        resolv_conf: String::new(),
        hosts: String::new(),
        log_directory: HostPath::new("/var/log/pods/x"),
    }
}

pub(crate) fn container() -> ContainerConfig {
    ContainerConfig {
        id: "c1".into(),
        sandbox: "s1".into(),
        name: "app".into(),
        attempt: 0,
        hash: 0,
        image: "busybox".into(),
        image_id: "sha256:0".into(),
        command: Vec::new(),
        args: Vec::new(),
        working_dir: None,
        env: Vec::new(),
        mounts: Vec::new(),
        security: Security::default(),
        resources: ContainerResources::default(),
        termination_message_path: None,
        message_from_log: false,
        log_path: "app/0.log".into(),
        stdin: false,
        stdin_once: false,
        tty: false,
        pid_target: None,
    }
}

pub(crate) fn node_v2() -> NodeFacts {
    NodeFacts {
        cgroup: CgroupLayout::V2,
        bounding: (1 << 41) - 1,
        app_armor: AppArmorSupport::Missing("AppArmor is not enabled on the host".to_owned()),
        hugetlb: true,
        swap: true,
        thermal_throttle: Vec::new(),
        devices: Vec::new(),
        machine: Machine::X86_64,
    }
}

pub(crate) fn node_v1() -> NodeFacts {
    let hierarchy = |name: &str| Hierarchy {
        controller: name.into(),
        mount: HostPath::new(format!("/sys/fs/cgroup/{name}")),
    };
    NodeFacts {
        cgroup: CgroupLayout::V1(vec![hierarchy("cpu"), hierarchy("memory")]),
        hugetlb: false,
        ..node_v2()
    }
}

pub(crate) fn sandbox_paths() -> SandboxPaths {
    let at = |name: &str| HostPath::new(format!("/s/{name}"));
    SandboxPaths {
        net: at("ns/net"),
        ipc: at("ns/ipc"),
        uts: at("ns/uts"),
        pid: at("ns/pid"),
        shm: at("shm"),
        hosts: at("hosts"),
        hostname: at("hostname"),
        resolv_conf: at("resolv.conf"),
    }
}

pub(crate) fn volume(target: &str) -> Mount {
    Mount {
        volume: "v".into(),
        source: MountSource::Prepared,
        target: PodPath::new(target),
        sub_path: None,
        read_only: false,
        recursive_read_only: false,
        propagation: Propagation::Private,
    }
}

/// Paths for a container whose volumes are all folders.
pub(crate) fn paths_for(container: &ContainerConfig) -> ContainerPaths {
    ContainerPaths {
        volumes: container
            .mounts
            .iter()
            .map(|m| ResolvedMount {
                source: HostPath::new(format!("/vol{}", m.target.as_path().display())),
                folder: true,
            })
            .collect(),
        termination_file: Some(HostPath::new("/t/msg")),
        seccomp_profile: None,
        pid_target: None,
    }
}
