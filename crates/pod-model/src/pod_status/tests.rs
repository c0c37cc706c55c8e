//! What the status of a pod says as a whole.

use super::*;
use crate::pod::Container;

#[test]
fn messages_of_all_containers_share_twelve_kibibytes() {
    let ended = |message: &str| ContainerStatus {
        state: ContainerState {
            terminated: Some(Terminated {
                message: message.to_owned(),
                ..Terminated::default()
            }),
            ..ContainerState::default()
        },
        ..ContainerStatus::default()
    };
    for (containers, text, left) in [
        (1, "x".repeat(4096), 4096),
        (4, "x".repeat(4096), 3072),
        (5, "x".repeat(4096), 2457),
        (4, "é".repeat(2048), 3072),
        (5, "é".repeat(2048), 2456),
    ] {
        let mut pod = Pod::default();
        pod.spec.containers = vec![Container::default(); containers];
        let mut status = PodStatus {
            container_statuses: vec![ended(&text)],
            ..PodStatus::default()
        };
        cut_messages(&pod, &mut status);
        let messages = status.container_statuses.iter();
        let lengths: Vec<usize> = messages
            .filter_map(|s| s.state.terminated.as_ref())
            .map(|t| t.message.len())
            .collect();
        assert_eq!(lengths, [left], "{containers} containers");
    }
}

#[test]
fn a_disruption_takes_the_place_that_it_has_among_the_others() {
    let named = |kind: &str, reason: &str| Condition {
        kind: kind.to_owned(),
        reason: reason.to_owned(),
        ..Condition::default()
    };
    let pod = Pod::default();
    let told = PodStatus {
        conditions: vec![named(DISRUPTION, "old"), named("example.com/gate", "")],
        ..PodStatus::default()
    };
    let previous = PodStatus {
        conditions: vec![named(DISRUPTION, "new")],
        ..PodStatus::default()
    };
    let facts = StatusFacts {
        pod: &pod,
        told: Some(&told),
        runtime: &PodRuntime::default(),
        waiting: &BTreeMap::new(),
        previous: &previous,
        pod_ips: &[],
        host_ips: &[],
        id_prefix: "",
        over: false,
        evicted: None,
    };
    let mut status = PodStatus::default();
    complete(facts, &mut status);
    let first: Vec<(&str, &str)> = status
        .conditions
        .iter()
        .take(2)
        .map(|c| (c.kind.as_str(), c.reason.as_str()))
        .collect();
    assert_eq!(first, [(DISRUPTION, "new"), ("example.com/gate", "")]);
}

/// A status in one of these states: `W` waiting, `R` running, `R+` running and started, `3` ended with that code, `W3` waiting after that.
fn status(name: &str, text: &str) -> ContainerStatus {
    let end = |code: &str| Terminated {
        exit_code: code.parse().unwrap(),
        reason: "Error".to_owned(),
        ..Terminated::default()
    };
    let mut status = ContainerStatus {
        name: name.into(),
        started: Some(text.ends_with('+')),
        ..ContainerStatus::default()
    };
    let code = text.trim_matches(['W', 'R', '+']);
    if text.starts_with('W') {
        status.state.waiting = Some(Default::default());
        status.last_state.terminated = (!code.is_empty()).then(|| end(code));
    } else if text.starts_with('R') {
        status.state.running = Some(Default::default());
    } else {
        status.state.terminated = Some(end(code));
    }
    status
}

fn shown(list: &[ContainerStatus]) -> String {
    let one = |s: &ContainerStatus| match (&s.state.running, &s.state.terminated) {
        (Some(_), _) => "R".to_owned(),
        (_, Some(end)) if end.reason == STATUS_UNKNOWN => {
            assert_eq!(end.exit_code, 137);
            assert_eq!(
                end.message,
                "The container could not be located when the pod was terminated"
            );
            "lost".to_owned()
        }
        (_, Some(end)) => end.exit_code.to_string(),
        _ => "W".to_owned(),
    };
    list.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn pod_of(inits: &[&str], apps: &[&str]) -> Pod {
    let mut pod = Pod::default();
    for (index, text) in inits.iter().enumerate() {
        pod.spec.init_containers.push(Container {
            name: format!("i{index}").into(),
            restart_policy: text
                .starts_with('s')
                .then_some(crate::pod::RestartPolicy::Always),
            ..Container::default()
        });
    }
    for index in 0..apps.len() {
        pod.spec.containers.push(Container {
            name: format!("a{index}").into(),
            ..Container::default()
        });
    }
    pod
}

#[test]
fn a_final_status_says_lost_of_all_that_began_and_of_nothing_that_did_not() {
    // Init containers (sidecars after an `s`) and apps before; both afterwards.
    for (inits, apps, inits_after, apps_after) in [
        ("", "R", "", "lost"),
        ("", "W", "", "lost"),
        ("", "0 R", "", "0 lost"),
        // Not initialized: apps did not begin, and of init containers those up to the last that did.
        ("R", "W", "lost", "W"),
        ("W", "W", "lost", "W"),
        ("W W", "W", "lost W", "W"),
        ("R W", "W", "lost W", "W"),
        ("0 R", "W", "0 lost", "W"),
        ("0 W", "W", "0 W", "W"),
        ("0 W1", "W", "0 lost", "W"),
        ("0 W1 W", "W", "0 lost W", "W"),
        ("1", "W", "1", "W"),
        // Initialized: the last init container has succeeded, now or before, or an app has begun.
        ("0", "W", "0", "lost"),
        ("1 0", "W", "1 0", "lost"),
        ("0 1", "W", "0 1", "W"),
        ("W0", "W", "lost", "lost"),
        ("W", "R", "lost", "lost"),
        ("W", "W1", "lost", "lost"),
        ("W", "1 W", "lost", "1 lost"),
        // A sidecar at the end: it must have started and run.
        ("sR+", "W", "lost", "lost"),
        ("sR", "W", "lost", "W"),
        ("s0", "W", "0", "W"),
    ] {
        let (before, list): (Vec<&str>, Vec<&str>) = (
            inits.split_whitespace().collect(),
            apps.split_whitespace().collect(),
        );
        let named = |prefix: &str, all: &[&str]| {
            let all = all.iter().enumerate();
            all.map(|(i, text)| status(&format!("{prefix}{i}"), text.trim_start_matches('s')))
                .collect()
        };
        let mut found = PodStatus {
            init_container_statuses: named("i", &before),
            container_statuses: named("a", &list),
            ..PodStatus::default()
        };
        finalize(&pod_of(&before, &list), &mut found);
        let after = (
            shown(&found.init_container_statuses),
            shown(&found.container_statuses),
        );
        assert_eq!(
            after,
            (inits_after.to_owned(), apps_after.to_owned()),
            "{inits} | {apps}"
        );
        assert_eq!(
            found.phase,
            Some(Phase::Failed),
            "what has no terminal phase has failed"
        );
    }
    let mut done = PodStatus {
        phase: Some(Phase::Succeeded),
        ..PodStatus::default()
    };
    finalize(&Pod::default(), &mut done);
    assert_eq!(done.phase, Some(Phase::Succeeded));
}

#[test]
fn a_status_takes_over_what_is_decided_once_and_makes_the_rest_anew() {
    let mut pod = pod_of(&["i"], &["a"]);
    pod.metadata.generation = Some(4);
    pod.spec.ephemeral_containers = vec![Container {
        name: "e".into(),
        ..Container::default()
    }];
    let at = |second| Timestamp::from_second(second).unwrap();
    let condition = |kind: &str, status: &str, second| Condition {
        kind: kind.to_owned(),
        status: status.to_owned(),
        last_transition_time: Some(at(second)),
        ..Condition::default()
    };
    let previous = PodStatus {
        start_time: Some(at(5)),
        nominated_node_name: "n".to_owned(),
        conditions: vec![
            condition("PodScheduled", "True", 6),
            condition("Ready", "True", 7),
            condition("example.com/gate", "True", 8),
        ],
        ..PodStatus::default()
    };
    let facts = StatusFacts {
        pod: &pod,
        told: Some(&previous),
        runtime: &PodRuntime::default(),
        waiting: &BTreeMap::new(),
        previous: &previous,
        pod_ips: &[],
        host_ips: &[],
        id_prefix: "",
        over: false,
        evicted: None,
    };
    let found = pod_status(facts, &Default::default(), at(100));
    assert_eq!(
        (found.start_time, found.nominated_node_name.as_str()),
        (Some(at(5)), "n")
    );
    assert_eq!(found.observed_generation, Some(4));
    let lists = [
        &found.init_container_statuses,
        &found.container_statuses,
        &found.ephemeral_container_statuses,
    ];
    let names: Vec<&str> = lists
        .into_iter()
        .flatten()
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(names, ["i0", "a0", "e"]);
    let times: Vec<(&str, &str, Option<Timestamp>)> = found
        .conditions
        .iter()
        .map(|c| (c.kind.as_str(), c.status.as_str(), c.last_transition_time))
        .collect();
    // A time stays with a status that stays; each condition stands there once.
    assert_eq!(
        times,
        [
            ("example.com/gate", "True", Some(at(8))),
            ("PodReadyToStartContainers", "False", Some(at(100))),
            ("Initialized", "False", Some(at(100))),
            ("Ready", "False", Some(at(100))),
            ("ContainersReady", "False", Some(at(100))),
            ("PodScheduled", "True", Some(at(6))),
        ]
    );
    let fresh = StatusFacts {
        told: None,
        previous: &PodStatus::default(),
        ..facts
    };
    assert_eq!(
        pod_status(fresh, &Default::default(), at(100)).start_time,
        Some(at(100))
    );
}

#[test]
fn a_pod_counts_as_initialized_by_apps_of_the_sandbox_that_is_in_use() {
    let pod = pod_of(&["i"], &["a"]);
    let record = |name: &str, sandbox: &str| crate::runtime::ContainerRecord {
        id: name.into(),
        name: name.into(),
        sandbox: sandbox.into(),
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
    };
    let sandbox = |id: &str| crate::runtime::Sandbox {
        id: id.into(),
        ready: true,
        attempt: 0,
        ip: None,
        network: crate::runtime::NamespaceMode::Pod,
        created_at: None,
    };
    for (sandboxes, name, of, made) in [
        (&["new", "old"][..], "a0", "new", true),
        (&["new", "old"], "a0", "old", false),
        (&["new", "old"], "i0", "new", false),
        (&["new", "old"], "i0", "old", false),
        (&[], "a0", "new", false),
    ] {
        let runtime = PodRuntime {
            sandboxes: sandboxes.iter().map(|id| sandbox(id)).collect(),
            containers: vec![record(name, of)],
        };
        assert_eq!(
            app_in_newest_sandbox(&pod, &runtime),
            made,
            "{sandboxes:?}: {name} in {of}"
        );
    }
}
