//! Conditions of pods, as tables.

use super::*;
use crate::pod::{PodSpec, ReadinessGate};

#[test]
fn a_pod_is_ready_once_its_containers_and_every_gate_are() {
    let gate = |name: &str| ReadinessGate {
        condition_type: name.to_owned(),
    };
    let pod = Pod {
        spec: PodSpec {
            readiness_gates: vec![gate("example.com/a"), gate("example.com/b")],
            ..PodSpec::default()
        },
        ..Pod::default()
    };
    let other = |name: &str, status: &str| Condition {
        kind: name.to_owned(),
        status: status.to_owned(),
        ..Condition::default()
    };
    for (others, status, message) in [
        (
            &[][..],
            "False",
            "corresponding condition of pod readiness gate \"example.com/a\" does not exist., corresponding condition of pod readiness gate \"example.com/b\" does not exist.",
        ),
        (
            &[
                other("example.com/a", "True"),
                other("example.com/b", "False"),
            ],
            "False",
            "the status of pod readiness gate \"example.com/b\" is not \"True\", but False",
        ),
        (
            &[
                other("example.com/a", "True"),
                other("example.com/b", "True"),
            ],
            "True",
            "",
        ),
    ] {
        let found = ready(&pod, others, Some(&[]), Phase::Running);
        assert_eq!(
            (found.status.as_str(), found.message.as_str()),
            (status, message)
        );
    }
}

fn named(name: &str, sidecar: bool) -> Container {
    Container {
        name: name.into(),
        restart_policy: sidecar.then_some(crate::pod::RestartPolicy::Always),
        ..Container::default()
    }
}

/// A status `NAME`, `NAME!` (ready), `NAME+` (started, not ready) or `NAME~` (running, neither).
fn status(text: &str) -> ContainerStatus {
    let name = text.trim_end_matches(['!', '+', '~']);
    let runs = text != name;
    ContainerStatus {
        name: name.into(),
        ready: text.ends_with('!'),
        started: Some(text.ends_with('+')),
        state: crate::status::ContainerState {
            running: runs.then(Default::default),
            ..Default::default()
        },
        ..ContainerStatus::default()
    }
}

#[test]
fn a_pod_is_initialized_once_its_init_containers_are_done_and_then_for_good() {
    let pod = Pod {
        spec: PodSpec {
            init_containers: vec![named("i", false), named("s", true), named("j", false)],
            containers: vec![named("a", false)],
            ..PodSpec::default()
        },
        ..Pod::default()
    };
    let before = |kind: &str, status: &str| {
        vec![Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            ..Condition::default()
        }]
    };
    let waiting = "ContainersNotInitialized";
    for (old, statuses, phase, expect) in [
        (vec![], "i! s+ j! a", Phase::Pending, ("True", "", "")),
        (
            vec![],
            "i! s+ j a",
            Phase::Pending,
            ("False", waiting, "containers with incomplete status: [j]"),
        ),
        (
            vec![],
            "i! s j a",
            Phase::Pending,
            ("False", waiting, "containers with incomplete status: [s j]"),
        ),
        // A sidecar counts when it has started, a plain one when it is ready.
        (
            vec![],
            "i+ s! j! a",
            Phase::Pending,
            ("False", waiting, "containers with incomplete status: [i s]"),
        ),
        (
            vec![],
            "i!",
            Phase::Pending,
            ("False", waiting, "containers with unknown status: [s j]"),
        ),
        (
            vec![],
            "i s+",
            Phase::Pending,
            (
                "False",
                waiting,
                "containers with unknown status: [j], containers with incomplete status: [i]",
            ),
        ),
        (vec![], "i s j a~", Phase::Running, ("True", "", "")),
        (
            before("Initialized", "True"),
            "i s j a",
            Phase::Running,
            ("True", "", ""),
        ),
        (
            before("Initialized", "False"),
            "i! s+ j a",
            Phase::Running,
            ("False", waiting, "containers with incomplete status: [j]"),
        ),
        (
            before("Ready", "True"),
            "i! s+ j a",
            Phase::Running,
            ("False", waiting, "containers with incomplete status: [j]"),
        ),
        (
            vec![],
            "i s j a",
            Phase::Succeeded,
            ("True", "PodCompleted", ""),
        ),
        (
            vec![],
            "i! s+",
            Phase::Succeeded,
            ("False", waiting, "containers with unknown status: [j]"),
        ),
    ] {
        let list: Vec<ContainerStatus> = statuses.split(' ').map(status).collect();
        let found = initialized(&pod, &old, Some(&list), phase);
        let shown = (
            found.status.as_str(),
            found.reason.as_str(),
            found.message.as_str(),
        );
        assert_eq!(shown, expect, "{statuses} {phase:?}");
    }
    let unknown = initialized(&pod, &[], None, Phase::Pending);
    assert_eq!(
        (unknown.status.as_str(), unknown.reason.as_str()),
        ("False", "UnknownContainerStatuses")
    );
    assert_eq!(
        initialized(&Pod::default(), &[], None, Phase::Pending).status,
        "True"
    );
}

#[test]
fn containers_are_ready_when_apps_and_sidecars_are() {
    let mut pod = Pod::default();
    pod.metadata.generation = Some(7);
    pod.spec.init_containers = vec![named("i", false), named("s", true)];
    pod.spec.containers = vec![named("a", false)];
    let bad = "ContainersNotReady";
    for (statuses, phase, expect) in [
        ("i s! a!", Phase::Running, ("True", "", "")),
        (
            "i! s a!",
            Phase::Running,
            ("False", bad, "containers with unready status: [s]"),
        ),
        (
            "s! a",
            Phase::Running,
            ("False", bad, "containers with unready status: [a]"),
        ),
        (
            "s!",
            Phase::Running,
            ("False", bad, "containers with unknown status: [a]"),
        ),
        ("s a", Phase::Succeeded, ("False", "PodCompleted", "")),
        (
            "s",
            Phase::Succeeded,
            (
                "False",
                bad,
                "containers with unknown status: [a], containers with unready status: [s]",
            ),
        ),
        ("s! a!", Phase::Failed, ("False", "PodFailed", "")),
    ] {
        let list: Vec<ContainerStatus> = statuses.split(' ').map(status).collect();
        let found = containers_ready(&pod, Some(&list), phase);
        let shown = (
            found.status.as_str(),
            found.reason.as_str(),
            found.message.as_str(),
        );
        assert_eq!(shown, expect, "{statuses} {phase:?}");
        assert_eq!(
            (found.kind.as_str(), found.observed_generation),
            ("ContainersReady", Some(7))
        );
    }
    pod.metadata.generation = Some(0);
    let unknown = containers_ready(&pod, None, Phase::Running);
    assert_eq!(
        (unknown.reason.as_str(), unknown.observed_generation),
        ("UnknownContainerStatuses", None)
    );
}

#[test]
fn the_mark_of_a_restart_of_all_stands_while_records_are_left_and_the_pod_has_not_ended() {
    let mut pod = Pod::default();
    pod.metadata.generation = Some(7);
    pod.spec.containers = vec![named("a", false)];
    let old = PodStatus {
        conditions: vec![Condition {
            kind: ALL_CONTAINERS_RESTARTING.to_owned(),
            status: "True".to_owned(),
            ..Condition::default()
        }],
        ..PodStatus::default()
    };
    let left = PodRuntime {
        sandboxes: Vec::new(),
        containers: vec![crate::runtime::ContainerRecord {
            id: "1".into(),
            name: "a".into(),
            sandbox: "s".into(),
            state: crate::runtime::RunState::Running,
            attempt: 0,
            image: String::new(),
            image_id: crate::ids::ImageId::default(),
            hash: None,
            created_at: None,
            started_at: None,
            exit: None,
            user: None,
            clamped: Vec::new(),
        }],
    };
    let (none, nothing) = (PodRuntime::default(), PodStatus::default());
    for (old, runtime, phase, expect) in [
        (
            &old,
            &left,
            Phase::Running,
            ("True", "RestartAllContainersStarted"),
        ),
        (&old, &none, Phase::Running, ("False", "")),
        (&nothing, &left, Phase::Running, ("False", "")),
        (&old, &left, Phase::Succeeded, ("False", "PodCompleted")),
        (&old, &left, Phase::Failed, ("False", "PodFailed")),
    ] {
        let found = all_containers_restarting(&pod, old, runtime, phase);
        assert_eq!(
            (found.status.as_str(), found.reason.as_str()),
            expect,
            "{phase:?}"
        );
        assert_eq!(
            (found.kind.as_str(), found.observed_generation),
            (ALL_CONTAINERS_RESTARTING, None)
        );
    }
    let ready = ready_to_start_containers(&pod, &none);
    assert_eq!(
        (ready.kind.as_str(), ready.status.as_str()),
        ("PodReadyToStartContainers", "False")
    );
    assert_eq!(
        (
            scheduled(&pod).kind.as_str(),
            scheduled(&pod).status.as_str()
        ),
        ("PodScheduled", "True")
    );
}
