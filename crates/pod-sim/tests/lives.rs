//! Lives hold what must hold, and a host that is used wrongly says so.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

use pod_driver::host::Host;
use pod_model::config::{ImageFacts, SandboxConfig};
use pod_sim::clock::VirtualClock;
use pod_sim::host::SimHost;
use pod_sim::life::life;
use pod_sim::script::Script;
use std::sync::Arc;

#[test]
fn three_hundred_lives_hold_every_rule() {
    for seed in 0..300 {
        if let Err(wrong) = life(seed) {
            panic!("seed {seed}: {}\n{}", wrong.what, wrong.log.join("\n"));
        }
    }
}

#[test]
fn one_seed_is_one_life() {
    assert_eq!(life(12).unwrap(), life(12).unwrap());
}

/// A host of a faultless script whose pod has at least two init containers, none of them a sidecar.
fn careful_host(clock: &Arc<VirtualClock>) -> (SimHost, Script) {
    let mut script = (0..)
        .map(Script::new)
        .find(|s| {
            let inits = &s.pod.spec.init_containers;
            inits.len() >= 2 && !inits.iter().any(|c| c.is_sidecar())
        })
        .unwrap();
    (script.fail_before, script.fail_after) = (0, 0);
    (SimHost::new(script.clone(), 1, Arc::clone(clock)), script)
}

fn container(script: &Script, name: &str) -> pod_model::config::ContainerConfig {
    let text = serde_json::json!({
        "id": format!("id-{name}"), "sandbox": "s", "name": name, "attempt": 0, "hash": 0, "image": "busybox", "image_id": "i",
        "command": [], "args": [], "working_dir": null, "env": [], "mounts": [],
        "security": {"user": null, "group": null, "supplemental_groups": [], "merge_image_groups": true, "run_as_non_root": false,
            "privileged": false, "read_only_rootfs": false, "no_new_privileges": false, "add_capabilities": [],
            "drop_capabilities": [], "seccomp": "Unconfined", "unmasked_proc": false},
        "resources": {"cpu_shares": null, "cpu_quota": null, "cpu_period": null, "memory_limit": null, "huge_page_limit": {},
            "unified": {}, "oom_score_adj": 0},
        "termination_message_path": null, "message_from_log": false, "log_path": "x", "stdin": false, "stdin_once": false,
        "tty": false, "pid_target": null,
    });
    assert!(script.pod.spec.find(name).is_some());
    serde_json::from_value(text).unwrap()
}

fn sandbox(script: &Script) -> SandboxConfig {
    let text = serde_json::json!({
        "id": "s", "pod": script.pod.reference(), "attempt": 0, "hostname": null, "cgroup_parent": "/podwright/pod1",
        "network": "None", "ipc": "Pod", "pid": "Container", "sysctls": {}, "shm_size": 1, "oom_score_adj": 0,
        "resolv_conf": "", "hosts": "", "log_directory": "/logs",
    });
    serde_json::from_value(text).unwrap()
}

#[test]
fn the_host_says_when_a_container_is_started_out_of_order() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock = Arc::new(VirtualClock::new());
        for (first, second, said) in [
            (
                "init1",
                None,
                "init1 was started before init container init0 succeeded",
            ),
            (
                "app0",
                None,
                "app0 was started before init container init0 succeeded",
            ),
            (
                "init0",
                Some("init1"),
                "init1 was started while init container init0 runs",
            ),
            ("init0", Some("init0"), "init0 was started while it runs"),
        ] {
            let (host, script) = careful_host(&clock);
            let pod = script.pod.reference();
            host.run_sandbox(&sandbox(&script)).await.unwrap();
            host.start_container(&pod, &container(&script, first), &ImageFacts::default())
                .await
                .unwrap();
            if let Some(second) = second {
                host.start_container(&pod, &container(&script, second), &ImageFacts::default())
                    .await
                    .unwrap();
            }
            assert_eq!(host.broken().as_deref(), Some(said));
        }
        let (host, script) = careful_host(&clock);
        host.run_sandbox(&sandbox(&script)).await.unwrap();
        host.deletion_asked();
        let pod = script.pod.reference();
        host.start_container(&pod, &container(&script, "init0"), &ImageFacts::default())
            .await
            .unwrap();
        assert_eq!(
            host.broken().as_deref(),
            Some("init0 was started after the deletion")
        );
    });
}
