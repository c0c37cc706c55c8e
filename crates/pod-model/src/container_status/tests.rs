//! Tests of what is carried over from the status before, and of what probes add.

use super::*;
use crate::ids::ImageId;

fn record(name: &str, id: &str, state: RunState) -> ContainerRecord {
    ContainerRecord {
        id: id.into(),
        name: name.into(),
        sandbox: "s".into(),
        state,
        attempt: 0,
        image: String::new(),
        image_id: ImageId::default(),
        hash: None,
        created_at: None,
        started_at: None,
        exit: None,
        user: None,
        clamped: Vec::new(),
    }
}

fn status(name: &str, id: &str, started: Option<bool>) -> ContainerStatus {
    ContainerStatus {
        name: name.into(),
        container_id: id.to_owned(),
        started,
        ..ContainerStatus::default()
    }
}

fn running(name: &str, started: Option<bool>) -> ContainerStatus {
    let mut status = status(name, "1", started);
    status.state.running = Some(Running::default());
    status
}

#[test]
fn that_an_attempt_has_started_is_remembered_for_that_attempt_only() {
    let mut pod = Pod::default();
    pod.spec.containers = vec![Container {
        name: "app".into(),
        ..Container::default()
    }];
    let runtime = PodRuntime {
        sandboxes: Vec::new(),
        containers: vec![record("app", "1", RunState::Running)],
    };
    let facts = Facts {
        pod: &pod,
        runtime: &runtime,
        waiting: &BTreeMap::new(),
        id_prefix: "",
        restarting: false,
    };
    for (before, started) in [
        (status("app", "1", Some(true)), Some(true)),
        (status("app", "", Some(true)), Some(true)),
        (status("app", "0", Some(true)), Some(false)),
        (status("app", "1", None), None),
    ] {
        let list = container_statuses(facts, ContainerKind::App, &pod.spec.containers, &[before]);
        assert_eq!(list.first().and_then(|s| s.started), started);
    }
}

#[test]
fn of_two_statuses_of_one_name_the_last_counts() {
    let mut pod = Pod::default();
    pod.spec.containers = vec![Container {
        name: "app".into(),
        ..Container::default()
    }];
    let facts = Facts {
        pod: &pod,
        runtime: &PodRuntime::default(),
        waiting: &BTreeMap::new(),
        id_prefix: "",
        restarting: false,
    };
    let before = [1, 2].map(|restart_count| ContainerStatus {
        restart_count,
        ..status("app", "1", None)
    });
    let list = container_statuses(facts, ContainerKind::App, &pod.spec.containers, &before);
    assert_eq!(list.first().map(|s| s.restart_count), Some(2));
}

#[test]
fn a_status_tells_what_its_record_and_its_spec_say() {
    let mut pod = Pod::default();
    let mut container = Container {
        name: "b".into(),
        image: "busybox".into(),
        ..Container::default()
    };
    let list: crate::common::ResourceList = [("cpu".to_owned(), "1".parse().unwrap())].into();
    container.resources.requests = list.clone();
    container.volume_mounts = vec![VolumeMount {
        name: "v".into(),
        mount_path: "/v".to_owned(),
        read_only: true,
        ..VolumeMount::default()
    }];
    let other = Container {
        name: "a".into(),
        ..Container::default()
    };
    pod.spec.containers = vec![container.clone(), other.clone()];
    let runtime = PodRuntime {
        sandboxes: Vec::new(),
        containers: vec![ContainerRecord {
            attempt: 2,
            image: "busybox:1".to_owned(),
            image_id: "sha256:1".into(),
            ..record("b", "2", RunState::Running)
        }],
    };
    let facts = Facts {
        pod: &pod,
        runtime: &runtime,
        waiting: &BTreeMap::new(),
        id_prefix: "podwright://",
        restarting: false,
    };
    let statuses = container_statuses(facts, ContainerKind::App, &pod.spec.containers, &[]);
    let [first, made] = statuses.as_slice() else {
        panic!("two statuses: {statuses:?}");
    };
    // Apps are sorted by name, init containers stay as they are.
    assert_eq!((first.name.as_str(), made.name.as_str()), ("a", "b"));
    let inits = container_statuses(facts, ContainerKind::Init, &pod.spec.containers, &[]);
    assert_eq!(inits.first().map(|s| s.name.as_str()), Some("b"));
    assert_eq!(made.restart_count, 2);
    assert_eq!(
        (made.image.as_str(), made.image_id.as_str()),
        ("busybox:1", "sha256:1")
    );
    assert_eq!(made.container_id, "podwright://2");
    assert_eq!(made.allocated_resources, list);
    assert_eq!(made.resources.as_ref(), Some(&container.resources));
    let mount = made.volume_mounts.first().unwrap();
    assert_eq!(
        (
            mount.name.as_str(),
            mount.mount_path.as_str(),
            mount.read_only
        ),
        ("v", "/v", true)
    );
    // Without a record: what is to be made.
    let empty = Facts {
        runtime: &PodRuntime::default(),
        ..facts
    };
    let fresh = container_statuses(empty, ContainerKind::App, &[container], &[]);
    let fresh = fresh.first().unwrap();
    assert_eq!(
        (fresh.image.as_str(), fresh.volume_mounts.len()),
        ("busybox", 1)
    );
    assert_eq!(
        fresh.state.waiting.as_ref().map(|w| w.reason.as_str()),
        Some("ContainerCreating")
    );
}

#[test]
fn the_end_before_is_carried_over_until_another_attempt_has_ended() {
    let mut pod = Pod::default();
    pod.spec.containers = vec![Container {
        name: "app".into(),
        ..Container::default()
    }];
    let end = |code| Terminated {
        exit_code: code,
        ..Terminated::default()
    };
    let mut before = status("app", "1", None);
    before.restart_count = 3;
    before.state.terminated = Some(end(7));
    before.last_state.terminated = Some(end(5));
    let look = |id: &str, attempt, before: &ContainerStatus| {
        let runtime = PodRuntime {
            sandboxes: Vec::new(),
            containers: vec![ContainerRecord {
                attempt,
                ..record("app", id, RunState::Running)
            }],
        };
        let facts = Facts {
            pod: &pod,
            runtime: &runtime,
            waiting: &BTreeMap::new(),
            id_prefix: "",
            restarting: false,
        };
        let list = container_statuses(
            facts,
            ContainerKind::App,
            &pod.spec.containers,
            std::slice::from_ref(before),
        );
        let status = list.into_iter().next().unwrap();
        (
            status.restart_count,
            status.last_state.terminated.map(|t| t.exit_code),
        )
    };
    // Another attempt runs: what was the end then is the last one now, and it is one restart more, or its own number where that is more.
    assert_eq!(look("2", 0, &before), (4, Some(7)));
    assert_eq!(look("2", 4, &before), (4, Some(7)));
    // The same attempt: nothing new has ended.
    assert_eq!(look("1", 3, &before), (3, Some(5)));
    before.state.terminated = None;
    assert_eq!(look("2", 0, &before), (3, Some(5)));
}

#[test]
fn only_what_can_be_ready_is_probed() {
    use crate::pod::Probe;
    let named = |name: &str, sidecar: bool, probed: bool| Container {
        name: name.into(),
        restart_policy: sidecar.then_some(crate::pod::RestartPolicy::Always),
        startup_probe: probed.then(Probe::default),
        readiness_probe: probed.then(Probe::default),
        ..Container::default()
    };
    let spec = PodSpec {
        init_containers: vec![named("init", false, true), named("sidecar", true, true)],
        containers: vec![named("app", false, true), named("plain", false, false)],
        ephemeral_containers: vec![named("debug", false, true)],
        ..PodSpec::default()
    };
    let all: BTreeSet<ContainerName> = ["app".into(), "sidecar".into()].into();
    let probed = Probed::of(&spec);
    assert_eq!((&probed.startup, &probed.readiness), (&all, &all));
}

#[test]
fn an_init_container_that_cannot_start_again_is_shown_waiting_each_time_one_looks() {
    let mut pod = Pod::default();
    let named = |name: &str| Container {
        name: name.into(),
        ..Container::default()
    };
    pod.spec.init_containers = vec![named("init")];
    pod.spec.containers = vec![named("app")];
    // Its record went with the sandbox before; that of the app is still there.
    let runtime = PodRuntime {
        sandboxes: Vec::new(),
        containers: vec![record("app", "1", RunState::Exited)],
    };
    let why = WaitingFor {
        reason: "ErrImagePull".to_owned(),
        message: "no".to_owned(),
    };
    let facts = Facts {
        pod: &pod,
        runtime: &runtime,
        waiting: &[("init".into(), why)].into(),
        id_prefix: "",
        restarting: false,
    };
    let mut list = Vec::new();
    for look in 1..=3 {
        list = container_statuses(facts, ContainerKind::Init, &pod.spec.init_containers, &list);
        let state = list.first().map(|s| &s.state);
        let reason = state
            .and_then(|s| s.waiting.as_ref())
            .map(|w| w.reason.as_str());
        assert_eq!(reason, Some("ErrImagePull"), "look {look}");
    }
}

#[test]
fn a_container_that_has_started_needs_no_new_result_of_its_startup_probe() {
    let probed = Probed {
        startup: [ContainerName::new("app")].into(),
        readiness: BTreeSet::new(),
    };
    for (before, result, started) in [
        (Some(true), None, true),
        (Some(false), None, false),
        (None, None, false),
        (None, Some(ProbeResult::Success), true),
        (Some(true), Some(ProbeResult::Unknown), false),
    ] {
        let mut of_pod = PodStatus {
            container_statuses: vec![running("app", before)],
            ..PodStatus::default()
        };
        let results = ProbeResults {
            startup: result.map(|r| ("app".into(), r)).into_iter().collect(),
            ..ProbeResults::default()
        };
        apply_probes(&PodSpec::default(), &mut of_pod, &probed, &results);
        let got = of_pod.container_statuses.first().and_then(|s| s.started);
        assert_eq!(got, Some(started), "{before:?} {result:?}");
    }
}

#[test]
fn nothing_is_said_of_an_init_status_that_does_not_stand_at_its_containers_place() {
    let init = |name: &str| Container {
        name: name.into(),
        ..Container::default()
    };
    let spec = PodSpec {
        init_containers: vec![init("first"), init("second")],
        ..PodSpec::default()
    };
    let done = |name: &str| {
        let mut status = status(name, "1", None);
        status.state.terminated = Some(Terminated::default());
        status
    };
    for (names, ready) in [
        (&["first", "second"][..], &[true, true][..]),
        (&["second"], &[false]),
        (&["second", "first"], &[false, false]),
    ] {
        let mut of_pod = PodStatus {
            init_container_statuses: names.iter().map(|n| done(n)).collect(),
            ..PodStatus::default()
        };
        apply_probes(
            &spec,
            &mut of_pod,
            &Probed::default(),
            &ProbeResults::default(),
        );
        let got: Vec<bool> = of_pod
            .init_container_statuses
            .iter()
            .map(|s| s.ready)
            .collect();
        assert_eq!(got, ready, "{names:?}");
    }
}

#[test]
fn a_log_file_counts_if_its_number_is_one_that_the_kubelet_can_hold() {
    for (names, count) in [
        (&[][..], 0),
        (&["0.log"], 1),
        (&["7.logx", "6.LOG", "+9.log"], 8),
        (&["4294967296.log"], 4_294_967_297),
        (&["9223372036854775807.log", "1.log"], 2),
        (&["99999999999999999999.log", "1.log"], 2),
    ] {
        let got = restart_count_by_log_files(names.iter().copied());
        assert_eq!(got, count, "{names:?}");
    }
}
