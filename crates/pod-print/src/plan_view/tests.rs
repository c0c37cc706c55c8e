//! The plan of the classic example: two init containers ask for more than the apps.

use super::*;
use pod_model::ids::{CgroupPath, HostPath, NodeName};
use pod_model::node::CgroupVersion;
use std::collections::BTreeMap;

fn node() -> NodeFacts {
    NodeFacts {
        name: NodeName::from("n"),
        ips: Vec::new(),
        memory_capacity: 8 << 30,
        allocatable: BTreeMap::new(),
        resolv_conf: None,
        hosts: String::new(),
        cluster_dns: Vec::new(),
        cluster_domain: String::new(),
        page_sizes: vec![2 << 20],
        cgroup_version: CgroupVersion::V2,
        swap_controller: true,
        recursive_read_only: true,
        seccomp_default: false,
        seccomp_root: HostPath::new("/seccomp"),
        cgroup_root: CgroupPath::parse("/podwright").unwrap(),
        log_root: HostPath::new("/logs"),
    }
}

fn view(spec: &str) -> PlanView {
    let text = format!(r#"{{"metadata": {{"name": "p", "namespace": "ns"}}, "spec": {spec}}}"#);
    PlanView::new(&serde_json::from_str(&text).unwrap(), &node(), Vec::new())
}

const SPEC: &str = r#"{
    "restartPolicy": "Never",
    "initContainers": [
      {"name": "a", "image": "i", "resources": {"requests": {"cpu": "100m"}}},
      {"name": "b", "image": "i", "resources": {"requests": {"cpu": "300m"}}}],
    "containers": [
      {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
       "volumeMounts": [{"name": "v", "mountPath": "/data/deep"}, {"name": "k", "mountPath": "/conf"}]},
      {"name": "d", "image": "i", "resources": {"requests": {"cpu": "100m"}}}],
    "volumes": [{"name": "v", "emptyDir": {}}, {"name": "k", "configMap": {"name": "cm"}}]
}"#;

fn value(files: &[FileValue], file: &str) -> String {
    let found = files.iter().find(|f| f.file == file);
    found.map(|f| f.value.clone()).unwrap_or_default()
}

#[test]
fn the_pods_cgroup_has_the_larger_of_init_and_apps_on_both_versions() {
    let view = view(SPEC);
    assert_eq!(view.qos_class, "Burstable");
    let pod = view.cgroups.first().unwrap();
    assert_eq!(pod.path, "/podwright/burstable/pod<uid>");
    assert_eq!(value(&pod.v1, "cpu.shares"), "307");
    assert_eq!(value(&pod.v2, "cpu.weight"), "12");
    assert_eq!(value(&pod.v2, "hugetlb.2MB.max"), "0");
    assert_eq!(
        value(&pod.v1, "memory.limit_in_bytes"),
        "",
        "not every container has a limit"
    );
    let c = &view
        .cgroups
        .iter()
        .find(|g| g.of == "container \"c\"")
        .unwrap();
    assert_eq!(value(&c.v1, "memory.memsw.limit_in_bytes"), "67108864");
    assert_eq!(value(&c.v2, "memory.max"), "67108864");
    assert_eq!(value(&c.v2, "cpu.weight"), "17");
    assert_eq!(value(&c.v2, "memory.swap.max"), "0");
    let cpu = view.resources.iter().find(|e| e.resource == "cpu").unwrap();
    assert_eq!((cpu.side, cpu.amount.as_str()), ("request", "300m"));
    assert!(cpu.why.contains("\"b\" (300m)"), "{}", cpu.why);
    assert!(
        view.notes
            .iter()
            .any(|n| n.starts_with("memory: the pod as a whole has no memory limit"))
    );
}

#[test]
fn steps_come_in_the_order_in_which_they_are_taken() {
    let steps = view(SPEC).steps.join("\n");
    let places: Vec<usize> = [
        "cgroup",
        "volumes v, k",
        "sandbox",
        "\"a\"",
        "\"b\"",
        "\"c\"",
        "\"d\"",
        "deleted",
    ]
    .iter()
    .map(|word| steps.find(word).unwrap())
    .collect();
    assert!(places.is_sorted(), "{steps}");
    assert!(steps.contains("run init container \"a\" to its end (image i, pull policy IfNotPresent); if it fails, the pod fails"));
}

#[test]
fn mounts_are_listed_with_their_sources_and_deeper_ones_later() {
    let view = view(SPEC);
    let c = view
        .mounts
        .iter()
        .find(|m| m.container == "container \"c\"")
        .unwrap();
    let first: Vec<&str> = c.mounts.iter().take(2).map(String::as_str).collect();
    assert_eq!(
        first,
        [
            "/conf: k (ConfigMap cm), read-only",
            "/data/deep: v (emptyDir on disk), read-write"
        ]
    );
}

#[test]
fn the_text_shows_both_cgroup_versions_side_by_side() {
    let text = view(SPEC).text();
    assert!(text.contains("\nQoS class: Burstable\n"), "{text}");
    assert!(
        text.contains("  cpu.shares                  307  cpu.weight       12\n"),
        "{text}"
    );
    assert!(
        text.contains("\noom_score_adj\n  pause               -998\n"),
        "{text}"
    );
}
