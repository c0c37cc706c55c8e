//! Real cgroups below a root of their own. Privileged.

use super::{Layout, detect, ensure, remove, weigh_class};
use pod_model::config::PodCgroup;
use pod_model::ids::CgroupPath;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `test` with a root cgroup that is gone afterwards.
fn with_root(name: &str, test: impl FnOnce(&Layout, &CgroupPath)) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root to make cgroups");
        return;
    }
    let layout = detect().unwrap();
    let text = format!("/podwright-host-unit-{}-{name}", std::process::id());
    let root = CgroupPath::parse(&text).unwrap();
    test(&layout, &root);
    for folder in layout.all_folders(&root) {
        if folder.exists() {
            fs::remove_dir(folder).unwrap();
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn the_pods_values_are_what_the_kernel_reads_back() {
    with_root("values", |layout, root| {
        let pod = root.child("pod1").unwrap();
        let values = PodCgroup {
            cpu_shares: Some(512),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            memory: Some(64 << 20),
            ..PodCgroup::default()
        };
        for _ in 0..2 {
            ensure(layout, root, &pod, &values).unwrap();
        }
        if layout.is_v2() {
            let at =
                |file: &str| read(&Path::new("/sys/fs/cgroup").join(pod.relative()).join(file));
            assert_eq!(at("cpu.weight"), "20");
            assert_eq!(at("cpu.max"), "50000 100000");
            assert_eq!(at("memory.max"), (64 << 20).to_string());
        } else {
            let at = |controller: &str, file: &str| {
                let mount = layout.controller(controller).unwrap();
                read(&mount.join(pod.relative()).join(file))
            };
            assert_eq!(at("cpu", "cpu.shares"), "512");
            assert_eq!(at("cpu", "cpu.cfs_quota_us"), "50000");
            assert_eq!(
                at("memory", "memory.limit_in_bytes"),
                (64 << 20).to_string()
            );
        }
        remove(layout, root, &pod).unwrap();
        remove(layout, root, &pod).unwrap();
    });
}

#[test]
fn removal_kills_what_is_in_a_cgroup_and_in_those_below() {
    with_root("kill", |layout, root| {
        let pod = root.child("pod1").unwrap();
        ensure(layout, root, &pod, &PodCgroup::default()).unwrap();
        let leaf = pod.child("c").unwrap().child("nested").unwrap();
        ensure(layout, root, &leaf, &PodCgroup::default()).unwrap();
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        for folder in layout.folders(&leaf) {
            fs::write(folder.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
        // Its zombie stays in the cgroup until it is waited for, as here by its own parent.
        let waiter = std::thread::spawn(move || child.wait().unwrap());
        remove(layout, root, &pod).unwrap();
        assert!(!waiter.join().unwrap().success());
        assert!(layout.all_folders(&pod).iter().all(|f| !f.exists()));
    });
}

#[test]
fn nothing_outside_the_nodes_own_root_is_touched() {
    let layout = detect().unwrap();
    let root = CgroupPath::parse("/podwright-host-unit-none").unwrap();
    for outside in ["/", "/podwright-host-unit", "/podwright-host-unit-none"] {
        let Ok(path) = CgroupPath::parse(outside) else {
            continue;
        };
        assert!(
            ensure(&layout, &root, &path, &PodCgroup::default()).is_err(),
            "{outside}"
        );
        assert!(remove(&layout, &root, &path).is_err(), "{outside}");
    }
}

#[test]
fn pods_of_a_class_have_together_what_they_ask_for_and_those_that_ask_for_nothing_the_least() {
    with_root("classes", |layout, root| {
        let class = |name: &str| root.child(name).unwrap();
        let weight = |name: &str| {
            let (mount, file) = match layout.controller("cpu") {
                Some(mount) => (mount, "cpu.shares"),
                None => (Path::new("/sys/fs/cgroup"), "cpu.weight"),
            };
            read(&mount.join(class(name).relative()).join(file))
        };
        let v2 = layout.is_v2();
        let shares = |n| PodCgroup {
            cpu_shares: Some(n),
            ..PodCgroup::default()
        };
        let pods = [("burstable", 307), ("burstable", 102), ("besteffort", 2)];
        for (n, (name, asked)) in pods.iter().enumerate() {
            let pod = class(name).child(&format!("pod{n}")).unwrap();
            ensure(layout, root, &pod, &shares(*asked)).unwrap();
        }
        assert_eq!(weight("burstable"), if v2 { "16" } else { "409" });
        assert_eq!(weight("besteffort"), if v2 { "1" } else { "2" });
        let first = class("burstable").child("pod0").unwrap();
        remove(layout, root, &first).unwrap();
        weigh_class(layout, root, &first).unwrap();
        assert_eq!(weight("burstable"), if v2 { "4" } else { "102" });
        for name in ["burstable", "besteffort"] {
            remove(layout, root, &class(name)).unwrap();
        }
        // Neither the last pod's end nor a pod without a class is an error.
        weigh_class(layout, root, &first).unwrap();
        weigh_class(layout, root, &root.child("pod9").unwrap()).unwrap();
    });
}
