//! The guest's kernel has AppArmor, without a profile loaded: what a pod that asks for one is told.

use super::{node, pod, run};
use std::fs;

#[test]
fn unconfined_is_what_a_container_is_without_a_profile() {
    let node = node("apparmor");
    run(&node, "u", &pod("u", "", "command: [sleep, '2011']"));
    let pid = node.pid_of("2011");
    match fs::read_to_string("/sys/module/apparmor/parameters/enabled") {
        Ok(enabled) if enabled.trim() == "Y" => {
            let label = fs::read_to_string(format!("/proc/{pid}/attr/apparmor/current")).unwrap();
            assert_eq!(label.trim(), "unconfined");
        }
        _ => assert!(fs::read_to_string(format!("/proc/{pid}/attr/apparmor/current")).is_err()),
    }
    node.finish();
}
