//! A node and a pod for tests.

use pod_model::ids::{CgroupPath, HostPath};
use pod_model::node::{CgroupVersion, NodeFacts};
use pod_model::pod::{Container, Pod};

/// A node without a cluster: 8 GiB, cgroup v2.
pub(super) fn node() -> NodeFacts {
    let amounts = [("cpu", "4"), ("memory", "8Gi")];
    NodeFacts {
        name: "node".into(),
        ips: vec!["10.0.0.1".to_owned()],
        memory_capacity: 8 << 30,
        allocatable: amounts
            .map(|(k, v)| (k.to_owned(), v.parse().unwrap()))
            .into(),
        resolv_conf: Some("nameserver 9.9.9.9\n".to_owned()),
        hosts: "127.0.0.1 localhost\n".to_owned(),
        cluster_dns: Vec::new(),
        cluster_domain: String::new(),
        page_sizes: vec![2 << 20],
        cgroup_version: CgroupVersion::V2,
        swap_controller: true,
        recursive_read_only: true,
        seccomp_default: false,
        seccomp_root: HostPath::new("/var/lib/podwright/seccomp"),
        cgroup_root: CgroupPath::parse("/podwright").unwrap(),
        log_root: HostPath::new("/var/log/pods"),
    }
}

/// A pod of one app `app` without any wishes.
pub(super) fn pod() -> Pod {
    let mut pod = Pod::default();
    pod.metadata.name = "web".into();
    pod.metadata.namespace = "ns".into();
    pod.metadata.uid = "1-2".into();
    pod.spec.enable_service_links = Some(true);
    pod.spec.containers = vec![Container {
        name: "app".into(),
        image: "busybox".into(),
        ..Container::default()
    }];
    pod
}
