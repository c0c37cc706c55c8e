use crate::actions::{PodActions, Sight, pod_actions};
use crate::sight::KillReason;
use crate::testing::{ended, observed, pod, record};
use pod_model::container_status::{ProbeResult, ProbeResults};
use pod_model::pod::Pod;
use pod_model::runtime::{ContainerRecord, RunState};
use serde_json::json;

/// The sidecar `s`, the init container `i`, the app `a`.
fn three(policy: &str) -> Pod {
    pod(json!({
        "restartPolicy": policy,
        "initContainers": [
            { "name": "s", "image": "i", "restartPolicy": "Always", "livenessProbe": {} },
            { "name": "i", "image": "i" },
        ],
        "containers": [{ "name": "a", "image": "i" }],
    }))
}

fn actions(pod: &Pod, records: Vec<ContainerRecord>, probes: &ProbeResults) -> PodActions {
    let sight = Sight {
        pod,
        runtime: &observed(records).runtime,
        probes,
    };
    pod_actions(sight, false)
}

/// Who is ended and why, which init containers start, and whether the pod ends.
type Short<'a> = (Vec<(&'a str, Option<KillReason>)>, Vec<usize>, bool);

fn short(actions: &PodActions) -> Short<'_> {
    let kills = actions.to_kill.iter();
    (
        kills.map(|k| (k.name.as_str(), k.reason)).collect(),
        actions.init_to_start.clone(),
        actions.kill_pod,
    )
}

#[test]
fn an_init_container_that_nobody_can_tell_of_runs_again_unless_its_pod_never_does() {
    let unknown = Some(KillReason::Unknown);
    let up = || record("s", RunState::Running);
    for (policy, name, kills, starts, over) in [
        ("Always", "i", vec![("i", unknown)], vec![1], false),
        ("OnFailure", "i", vec![("i", unknown)], vec![1], false),
        ("Never", "i", vec![], vec![], true),
        // A sidecar has a policy of its own.
        ("Never", "s", vec![("s", unknown)], vec![0], false),
        ("Always", "s", vec![("s", unknown)], vec![0], false),
    ] {
        let records = match name {
            "i" => vec![record("i", RunState::Unknown), up()],
            _ => vec![record("s", RunState::Unknown)],
        };
        let actions = actions(&three(policy), records, &ProbeResults::default());
        assert_eq!(short(&actions), (kills, starts, over), "{policy} {name}");
    }
    // An init container with a policy of its own goes by that.
    let mut pod = three("Never");
    pod.spec.init_containers[1].restart_policy = Some(pod_model::pod::RestartPolicy::OnFailure);
    let records = vec![record("i", RunState::Unknown), up()];
    let actions = actions(&pod, records, &ProbeResults::default());
    assert_eq!(short(&actions), (vec![("i", unknown)], vec![1], false));
}

#[test]
fn a_sidecar_starts_again_when_its_probe_gives_it_up_or_it_was_changed_and_the_next_one_starts_all_the_same()
 {
    let liveness = Some(KillReason::LivenessProbe);
    for (result, probed, changed, kills, starts) in [
        (None, true, false, vec![], vec![1]),
        (Some(ProbeResult::Success), true, false, vec![], vec![1]),
        (Some(ProbeResult::Unknown), true, false, vec![], vec![1]),
        (
            Some(ProbeResult::Failure),
            true,
            false,
            vec![("s", liveness)],
            vec![0, 1],
        ),
        // A result that is left from a probe that is gone.
        (Some(ProbeResult::Failure), false, false, vec![], vec![1]),
        (None, true, true, vec![("s", None)], vec![0, 1]),
    ] {
        let mut pod = three("Always");
        let sidecar = &mut pod.spec.init_containers[0];
        if !probed {
            sidecar.liveness_probe = None;
        }
        if changed {
            sidecar.image = "other".into();
        }
        let mut probes = ProbeResults::default();
        probes.liveness.extend(result.map(|r| ("s".into(), r)));
        let records = vec![record("s", RunState::Running)];
        let mut actions = actions(&pod, records, &probes);
        actions.init_to_start.sort_unstable();
        let text = format!("{result:?} {probed} {changed}");
        assert_eq!(short(&actions), (kills, starts, false), "{text}");
    }
}

#[test]
fn in_a_new_sandbox_apps_start_that_have_not_succeeded_once_and_for_all() {
    let two = |policy: &str| {
        pod(json!({
            "restartPolicy": policy,
            "containers": [{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }],
        }))
    };
    let run = |name| record(name, RunState::Running);
    for (policy, records, starts, creates) in [
        (
            "Always",
            vec![ended("a", 0), ended("b", 0)],
            vec![0, 1],
            true,
        ),
        (
            "OnFailure",
            vec![ended("a", 0), ended("b", 1)],
            vec![1],
            true,
        ),
        ("OnFailure", vec![ended("a", 0), run("b")], vec![1], true),
        ("OnFailure", vec![run("a"), run("b")], vec![0, 1], true),
        ("OnFailure", vec![ended("a", 0)], vec![1], true),
        (
            "OnFailure",
            vec![ended("a", 0), ended("b", 0)],
            vec![],
            false,
        ),
        ("Never", vec![ended("a", 0), run("b")], vec![], false),
    ] {
        let mut observed = observed(records);
        observed.runtime.sandboxes[0].ready = false;
        let sight = Sight {
            pod: &two(policy),
            runtime: &observed.runtime,
            probes: &ProbeResults::default(),
        };
        let actions = pod_actions(sight, false);
        assert!(actions.kill_pod);
        let got = (actions.apps_to_start, actions.create_sandbox);
        assert_eq!(got, (starts, creates), "{policy}");
    }
}
