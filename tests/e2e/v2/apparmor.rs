//! The guest's kernel has AppArmor: each container has the default profile, another one where it asks for that, and none where it asks for none.

use super::{node, pod, run};
use e2e::Node;
use std::fs;
use std::process::{Command, Stdio};

/// Where the kernel lists what is loaded.
const LOADED: &str = "/sys/kernel/security/apparmor/profiles";

fn enabled() -> bool {
    let text = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    text.is_ok_and(|t| t.trim() == "Y")
}

/// The profile that a process has, and its mode.
fn label(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/attr/apparmor/current"));
    text.unwrap().trim().to_owned()
}

/// A pod whose container has this `securityContext` and sleeps so long.
fn with(name: &str, context: &str, sleep: &str) -> String {
    let fields = format!("securityContext: {{{context}}}, command: [sleep, '{sleep}']");
    pod(name, "", &fields)
}

/// The message of a container that could not be made.
fn refused(node: &Node, name: &str, context: &str) -> String {
    let file = node.file("refused.yaml", &with(name, context, "1"));
    node.run(&["create", "-f", &file]).ok();
    node.wait_status(name, &["CreateContainerError"]);
    let pod = node.pod(name);
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    let message = waiting["message"].as_str().unwrap().to_owned();
    node.run(&["delete", "pod", name]).ok();
    message
}

#[test]
fn a_container_has_the_default_profile_and_what_is_executed_in_it_too() {
    let node = node("apparmor");
    if !enabled() {
        let said = refused(&node, "r", "appArmorProfile: {type: RuntimeDefault}");
        assert!(
            said.contains("AppArmor is not enabled on the host"),
            "{said}"
        );
        return node.finish();
    }
    for (name, context, sleep, want) in [
        ("none", "", "2011", "podwright-default-1 (enforce)"),
        (
            "asked",
            "appArmorProfile: {type: RuntimeDefault}",
            "2012",
            "podwright-default-1 (enforce)",
        ),
        (
            "free",
            "appArmorProfile: {type: Unconfined}",
            "2013",
            "unconfined",
        ),
        ("privileged", "privileged: true", "2014", "unconfined"),
    ] {
        run(&node, name, &with(name, context, sleep));
        assert_eq!(label(node.pid_of(sleep)), want, "{name}");
        let shown = node.run(&["exec", name, "--", "cat", "/proc/self/attr/current"]);
        assert_eq!(shown.ok().trim(), want, "executed in {name}");
    }
    node.finish();
}

#[test]
fn the_default_profile_forbids_mounts_even_with_the_capability() {
    let node = node("aamount");
    let script = "mkdir /tmp/m; mount -t tmpfs none /tmp/m && echo mounted || echo refused";
    let bound = if enabled() { "refused" } else { "mounted" };
    for (name, profile, want) in [
        ("free", ", appArmorProfile: {type: Unconfined}", "mounted"),
        ("bound", "", bound),
    ] {
        let script = serde_json::json!(script);
        let fields = format!(
            "securityContext: {{capabilities: {{add: [SYS_ADMIN]}}{profile}}}, command: [sh, -c, {script}]"
        );
        let file = node.file("pod.yaml", &pod(name, "", &fields));
        let outcome = node.run(&["run", &file]);
        let said = outcome.ok().trim_start_matches("[a] ");
        assert_eq!(said.lines().last(), Some(want), "{name}");
    }
    node.finish();
}

#[test]
fn a_profile_of_the_node_is_applied_when_it_is_loaded_and_refused_by_name_when_not() {
    let node = node("aalocal");
    let context = "appArmorProfile: {type: Localhost, localhostProfile: podwright-e2e-quiet}";
    let said = refused(&node, "l", context);
    if !enabled() {
        assert!(
            said.contains("AppArmor is not enabled on the host"),
            "{said}"
        );
        return node.finish();
    }
    assert!(
        said.contains("apparmor profile not found podwright-e2e-quiet"),
        "{said}"
    );
    let profile = "profile podwright-e2e-quiet flags=(attach_disconnected) {\n  file,\n  signal,\n  deny /tmp/** w,\n}\n";
    let path = node.file("profile", profile);
    let parser = |option: &str| {
        let done = Command::new("/sbin/apparmor_parser")
            .args(["--skip-cache", option, &path])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{option}: {done:?}");
    };
    parser("--replace");
    assert!(
        fs::read_to_string(LOADED)
            .unwrap()
            .contains("podwright-e2e-quiet")
    );
    run(&node, "l", &with("l", context, "2015"));
    assert_eq!(label(node.pid_of("2015")), "podwright-e2e-quiet (enforce)");
    let write = node.run(&["exec", "l", "--", "sh", "-c", "echo x >/tmp/x"]);
    assert!(
        write.status != 0 && write.err.contains("Permission denied"),
        "{write:?}"
    );
    node.run(&["delete", "pod", "l"]).ok();
    parser("--remove");
    node.finish();
}
