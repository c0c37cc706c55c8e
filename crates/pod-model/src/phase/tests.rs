//! The rule of the phase as a table: policy, containers and what each is doing against the phase.

use super::*;
use crate::pod::RestartPolicy;
use crate::status::{Running, Waiting};

/// State of a container as the tables write it: `-` no status, `?` one that says nothing, `R` running, `W` waiting, `3` ended with that code,
/// `W3` waiting after such an end, `r3` ended so because all containers restart, `R+` and `W+` the same with `started`.
fn status(name: &str, text: &str) -> Option<ContainerStatus> {
    let end = |code: &str, reason: &str| {
        Some(Terminated {
            exit_code: code.parse().unwrap(),
            reason: reason.to_owned(),
            ..Terminated::default()
        })
    };
    let mut status = ContainerStatus {
        name: name.into(),
        ..ContainerStatus::default()
    };
    let text = text
        .strip_suffix('+')
        .inspect(|_| status.started = Some(true))
        .unwrap_or(text);
    match text {
        "-" => return None,
        "?" => {}
        "R" => status.state.running = Some(Running::default()),
        _ if text.starts_with('W') => {
            status.state.waiting = Some(Waiting::default());
            let code = text.trim_start_matches('W');
            if !code.is_empty() {
                status.last_state.terminated = end(code, "Error");
            }
        }
        _ if text.starts_with('r') => {
            status.state.terminated = end(text.trim_start_matches('r'), RESTARTING_ALL);
        }
        code => status.state.terminated = end(code, "Error"),
    }
    Some(status)
}

/// The phase of a pod whose init containers, sidecars (after an `s`) and apps do that.
fn phase_of(
    policy: RestartPolicy,
    inits: &str,
    apps: &str,
    over: bool,
    initialized: bool,
) -> Phase {
    let mut pod = Pod::default();
    pod.spec.restart_policy = Some(policy);
    let mut statuses = Vec::new();
    for (index, text) in inits.split_whitespace().enumerate() {
        let name = format!("init{index}");
        let sidecar = text.strip_prefix('s');
        statuses.extend(status(&name, sidecar.unwrap_or(text)));
        pod.spec.init_containers.push(Container {
            name: name.as_str().into(),
            restart_policy: sidecar.map(|_| RestartPolicy::Always),
            ..Container::default()
        });
    }
    for (index, text) in apps.split_whitespace().enumerate() {
        let name = format!("app{index}");
        statuses.extend(status(&name, text));
        pod.spec.containers.push(Container {
            name: name.as_str().into(),
            ..Container::default()
        });
    }
    phase(&pod, &statuses, over, initialized)
}

use Phase::{Failed, Pending, Running as Runs, Succeeded};
use RestartPolicy::{Always, Never, OnFailure};

#[test]
fn the_phase_of_apps_is_that_of_the_rule() {
    for (policy, apps, over, expect) in [
        (Always, "R", false, Runs),
        (Always, "R R", false, Runs),
        (Always, "R 1", false, Runs),
        (Always, "R W1", false, Runs),
        (Never, "R 1", false, Runs),
        (Always, "R W", false, Pending),
        (Always, "W", false, Pending),
        (Always, "0 W", false, Pending),
        (Always, "R -", false, Pending),
        (Always, "R ?", false, Pending),
        (Always, "-", false, Pending),
        (Never, "0 -", false, Pending),
        (Never, "1 ?", true, Pending),
        // All have ended, and some will run again.
        (Always, "0", false, Runs),
        (Always, "1", false, Runs),
        (Always, "W0", false, Runs),
        (OnFailure, "0 1", false, Runs),
        (OnFailure, "0 W1", false, Runs),
        // For good.
        (OnFailure, "0", false, Succeeded),
        (OnFailure, "0 0", false, Succeeded),
        (Never, "0", false, Succeeded),
        (Never, "0 0", false, Succeeded),
        (Never, "1", false, Failed),
        (Never, "0 1", false, Failed),
        (Never, "0 W1", false, Failed),
        (Never, "W0", false, Failed),
        // Ended by a restart of all: not for good, whatever the policy says.
        (Never, "r137", false, Runs),
        (Never, "0 r0", false, Runs),
        // Nothing will be started again.
        (Always, "0", true, Succeeded),
        (Always, "0 0", true, Succeeded),
        (Always, "0 1", true, Failed),
        (Always, "1", true, Failed),
        (OnFailure, "W1", true, Failed),
        (Always, "R 0", true, Runs),
    ] {
        let found = phase_of(policy, "", apps, over, false);
        assert_eq!(found, expect, "{policy:?}: {apps}, over: {over}");
    }
}

#[test]
fn an_init_container_keeps_the_pod_pending_until_it_has_succeeded_or_failed_for_good() {
    for (policy, inits, apps, expect) in [
        (Always, "R", "W", Pending),
        (Always, "W", "W", Pending),
        (Always, "-", "R", Pending),
        (Always, "?", "R", Pending),
        (Always, "0 R", "R", Pending),
        (Always, "0", "W", Pending),
        (Always, "0", "R", Runs),
        (Always, "0 0", "R", Runs),
        (Always, "W0", "R", Runs),
        (Never, "0", "0", Succeeded),
        // It runs again.
        (Always, "1", "R", Runs),
        (OnFailure, "1", "W", Pending),
        (OnFailure, "W1", "W", Pending),
        // It does not.
        (Never, "1", "W", Failed),
        (Never, "W1", "W", Failed),
        (Never, "1", "R", Failed),
        (Never, "0 1", "W", Failed),
        (Never, "1 R", "W", Failed),
        (Never, "r1", "W", Pending),
    ] {
        let found = phase_of(policy, inits, apps, false, false);
        assert_eq!(found, expect, "{policy:?}: {inits}, then {apps}");
    }
}

#[test]
fn a_sidecar_keeps_the_pod_pending_until_it_has_started_or_apps_have() {
    for (inits, apps, initialized, expect) in [
        ("sR", "R", false, Pending),
        ("sR", "R", true, Runs),
        ("sR+", "R", false, Runs),
        ("sR+ sR", "R", false, Pending),
        ("s?", "R", false, Pending),
        ("s?", "R", true, Pending),
        ("s-", "R", true, Pending),
        ("s-", "0", true, Pending),
        ("sW", "R", false, Pending),
        ("sW", "R", true, Pending),
        ("s1", "R", false, Runs),
        ("sW1", "R", false, Runs),
        ("s1", "W", false, Pending),
        // One that runs keeps a pod running whose apps have ended.
        ("sR+", "0", true, Runs),
        ("s0", "0", true, Succeeded),
        ("s1", "0", true, Succeeded),
        ("s1", "1", true, Failed),
    ] {
        let found = phase_of(Never, inits, apps, false, initialized);
        assert_eq!(
            found, expect,
            "{inits}, then {apps}, initialized: {initialized}"
        );
    }
}
