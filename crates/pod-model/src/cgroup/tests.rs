//! Pod and container cgroup values of whole pods.

use super::*;
use crate::ids::{CgroupPath, HostPath};
use crate::pod::{ContainerKind, PodSpec, RestartPolicy};

/// A pod of containers `(kind, sidecar, requests, limits)`; lists are `cpu/memory`, an empty part is absent.
fn pod(containers: &[(ContainerKind, bool, &str, &str)]) -> Pod {
    let list = |text: &str| -> ResourceList {
        [CPU, MEMORY]
            .into_iter()
            .zip(text.split('/'))
            .filter(|(_, amount)| !amount.is_empty())
            .map(|(name, amount)| (name.to_owned(), amount.parse().unwrap()))
            .collect()
    };
    let mut spec = PodSpec::default();
    for (index, (kind, sidecar, requests, limits)) in containers.iter().enumerate() {
        let container = Container {
            name: format!("c{index}").into(),
            resources: Resources {
                requests: list(requests),
                limits: list(limits),
            },
            restart_policy: sidecar.then_some(RestartPolicy::Always),
            ..Container::default()
        };
        match kind {
            ContainerKind::Init => spec.init_containers.push(container),
            _ => spec.containers.push(container),
        }
    }
    Pod {
        spec,
        ..Pod::default()
    }
}

use ContainerKind::{App, Init};

#[test]
fn the_effective_cpu_request_is_the_larger_of_apps_and_each_init_container() {
    type Case<'a> = (&'a [(ContainerKind, bool, &'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 5] = [
        (
            &[
                (App, false, "100m", ""),
                (App, false, "200m", ""),
                (Init, false, "500m", ""),
            ],
            "500m",
        ),
        (
            &[
                (App, false, "100m", ""),
                (App, false, "200m", ""),
                (Init, true, "100m", ""),
                (Init, false, "300m", ""),
            ],
            "400m",
        ),
        (
            &[
                (App, false, "100m", ""),
                (Init, true, "100m", ""),
                (Init, false, "500m", ""),
                (Init, true, "200m", ""),
                (Init, false, "50m", ""),
            ],
            "600m",
        ),
        (
            &[
                (App, false, "100m", ""),
                (Init, false, "500m", ""),
                (Init, true, "100m", ""),
            ],
            "500m",
        ),
        (&[(App, false, "100m", "")], "100m"),
    ];
    for (containers, expect) in cases {
        let requests = pod_requests(&pod(containers), &Options::default());
        assert_eq!(amount(&requests, CPU).to_string(), expect, "{containers:?}");
    }
}

#[test]
fn overhead_is_added_to_requests_and_to_limits_that_exist() {
    let mut pod = pod(&[(App, false, "100m", "200m"), (Init, false, "500m", "")]);
    pod.spec.overhead = [
        (CPU.to_owned(), "50m".parse().unwrap()),
        (MEMORY.to_owned(), "16Mi".parse().unwrap()),
    ]
    .into();
    let options = Options::default();
    assert_eq!(
        amount(&pod_requests(&pod, &options), CPU),
        "550m".parse().unwrap()
    );
    assert_eq!(
        amount(&pod_limits(&pod, &options), CPU),
        "250m".parse().unwrap()
    );
    assert!(!pod_limits(&pod, &options).contains_key(MEMORY));
}

#[test]
fn one_init_container_without_a_limit_leaves_the_pod_without_one() {
    let unlimited = pod(&[
        (App, false, "200m/100Mi", "400m/200Mi"),
        (Init, false, "500m/50Mi", ""),
    ]);
    let values = pod_cgroup(&unlimited, &PodCgroupPolicy::default());
    assert_eq!(values.cpu_shares, Some(512));
    assert_eq!(
        (values.cpu_quota, values.cpu_period, values.memory),
        (None, None, None)
    );
    assert_eq!(without_limit(&unlimited, CPU), ["c1"]);

    let limited = pod(&[
        (App, false, "200m/100Mi", "400m/200Mi"),
        (Init, false, "500m/50Mi", "1/300Mi"),
    ]);
    let values = pod_cgroup(&limited, &PodCgroupPolicy::default());
    assert_eq!(values.cpu_quota, Some(100_000));
    assert_eq!(values.memory, Some(314_572_800));
    assert_eq!(qos_class(&limited), QosClass::Burstable);
}

#[test]
fn a_container_gets_the_pods_limit_where_it_has_none() {
    let mut pod = pod(&[(App, false, "", ""), (App, false, "", "1/64Mi")]);
    pod.spec.resources = Some(Resources {
        limits: [(MEMORY.to_owned(), "256Mi".parse().unwrap())].into(),
        ..Resources::default()
    });
    let limits: Vec<_> = pod
        .spec
        .containers
        .iter()
        .map(|c| limit_of(&pod, c, MEMORY).value() >> 20)
        .collect();
    assert_eq!(limits, [256, 64]);
}

#[test]
fn a_containers_cgroup_has_its_own_values_and_those_of_the_node() {
    let mut pod = pod(&[
        (App, false, "250m/64Mi", "500m/128Mi"),
        (App, false, "", ""),
    ]);
    let huge = ("hugepages-2Mi".to_owned(), "4Mi".parse().unwrap());
    pod.spec.containers[0]
        .resources
        .limits
        .insert(huge.0, huge.1);
    for (cgroup_version, swap_controller, unified) in [
        (
            CgroupVersion::V2,
            true,
            &[("memory.oom.group", "1"), ("memory.swap.max", "0")][..],
        ),
        (CgroupVersion::V2, false, &[("memory.oom.group", "1")]),
        (CgroupVersion::V1, true, &[]),
        (CgroupVersion::V1, false, &[]),
    ] {
        let node = NodeFacts {
            cgroup_version,
            swap_controller,
            page_sizes: vec![2 << 20, 1 << 30],
            memory_capacity: 8 << 30,
            name: "n".into(),
            ips: Vec::new(),
            allocatable: ResourceList::new(),
            resolv_conf: None,
            hosts: String::new(),
            cluster_dns: Vec::new(),
            cluster_domain: String::new(),
            recursive_read_only: true,
            seccomp_default: false,
            seccomp_root: HostPath::new("/seccomp"),
            cgroup_root: CgroupPath::parse("/podwright").unwrap(),
            log_root: HostPath::new("/logs"),
        };
        let values = container_resources(&pod, &pod.spec.containers[0], &node);
        assert_eq!(
            (values.cpu_shares, values.cpu_quota, values.cpu_period),
            (Some(256), Some(50_000), Some(100_000))
        );
        assert_eq!(values.memory_limit, Some(128 << 20));
        assert_eq!(
            values.huge_page_limit,
            [(2 << 20, 4 << 20), (1 << 30, 0)].into()
        );
        let shown: Vec<(&str, &str)> = values
            .unified
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            shown, unified,
            "{cgroup_version:?}, swap: {swap_controller}"
        );
        let bare = container_resources(&pod, &pod.spec.containers[1], &node);
        assert_eq!(
            (bare.cpu_shares, bare.cpu_quota, bare.memory_limit),
            (Some(2), None, None)
        );
        assert!(
            values.oom_score_adj < bare.oom_score_adj,
            "who asked for memory goes later"
        );
    }
}

#[test]
fn cpu_of_its_own_has_no_quota_and_a_node_may_enforce_none() {
    let (cpu, memory): (Quantity, Quantity) = ("2".parse().unwrap(), "1Gi".parse().unwrap());
    let kubelet = ContainerCgroupPolicy::new(CgroupVersion::V2);
    for (policy, quota, period) in [
        (kubelet, Some(200_000), Some(100_000)),
        (
            ContainerCgroupPolicy {
                exclusive_cpus: true,
                ..kubelet
            },
            Some(-1),
            Some(100_000),
        ),
        (
            ContainerCgroupPolicy {
                enforce_cpu_limits: false,
                ..kubelet
            },
            None,
            None,
        ),
        (
            ContainerCgroupPolicy {
                single_process_oom_kill: true,
                ..kubelet
            },
            Some(200_000),
            Some(100_000),
        ),
    ] {
        let values = cpu_and_memory(None, &cpu, &memory, &policy);
        assert_eq!(
            (values.cpu_shares, values.cpu_quota, values.cpu_period),
            (Some(2048), quota, period),
            "{policy:?}"
        );
        assert_eq!(
            values.unified.contains_key("memory.oom.group"),
            !policy.single_process_oom_kill
        );
    }
    let one = pod(&[(App, false, "1/64Mi", "1/64Mi")]);
    let unenforced = PodCgroupPolicy {
        enforce_cpu_limits: false,
        ..PodCgroupPolicy::default()
    };
    assert_eq!(pod_cgroup(&one, &unenforced).cpu_quota, Some(-1));
}

#[test]
fn a_node_that_reserves_memory_protects_what_was_asked_for() {
    let reserve = PodCgroupPolicy {
        reserve_memory: true,
        ..PodCgroupPolicy::default()
    };
    for (requests, limits, expect) in [
        ("1/64Mi", "1/64Mi", Some(("memory.min", "67108864"))),
        ("1/64Mi", "", Some(("memory.low", "67108864"))),
        ("1", "", None),
        ("", "", None),
    ] {
        let pod = pod(&[(App, false, requests, limits)]);
        let values = pod_cgroup(&pod, &reserve);
        let shown = values
            .unified
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .next();
        assert_eq!(shown, expect, "{requests} {limits}");
        assert!(
            pod_cgroup(&pod, &PodCgroupPolicy::default())
                .unified
                .is_empty()
        );
    }
    let mut huge = pod(&[(App, false, "1", "")]);
    let pages = ("hugepages-2Mi".to_owned(), "4Mi".parse().unwrap());
    huge.spec.containers[0]
        .resources
        .requests
        .insert(pages.0, pages.1);
    assert_eq!(
        pod_cgroup(&huge, &reserve).huge_page_limit,
        [(2 << 20, 4 << 20)].into()
    );
}

#[test]
fn page_sizes_that_nobody_asked_for_are_limited_to_nothing() {
    let mut list = ResourceList::new();
    list.insert("hugepages-2Mi".to_owned(), "4Mi".parse().unwrap());
    list.insert("hugepages-2048Ki".to_owned(), "2Mi".parse().unwrap());
    list.insert("memory".to_owned(), "1Gi".parse().unwrap());
    let mut limits = huge_page_limits(&list);
    limit_other_page_sizes(&mut limits, &[2 << 20, 1 << 30]);
    assert_eq!(limits, [(2 << 20, 6 << 20), (1 << 30, 0)].into());
}

#[test]
fn a_page_size_that_the_node_does_not_have_is_nowhere_written() {
    let mut list = ResourceList::new();
    for name in ["hugepages-", "hugepages-large", "hugepages-64Ki"] {
        list.insert(name.to_owned(), "4Mi".parse().unwrap());
    }
    let mut limits = huge_page_limits(&list);
    assert_eq!(
        limits,
        [(0, 8 << 20), (64 << 10, 4 << 20)].into(),
        "what cannot be read counts as 0"
    );
    limit_other_page_sizes(&mut limits, &[2 << 20]);
    assert_eq!(limits, [(2 << 20, 0)].into());
}
