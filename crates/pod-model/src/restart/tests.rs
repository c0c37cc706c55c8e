//! The rules of restarts, as tables.

use super::*;

use crate::pod::ExitCodes;
use crate::status::{ContainerState, Terminated};

fn rule(action: RestartAction, operator: ExitCodeOperator, values: &[i32]) -> RestartRule {
    RestartRule {
        action,
        exit_codes: Some(ExitCodes {
            operator,
            values: values.to_vec(),
        }),
    }
}

fn container(name: &str, own: Option<RestartPolicy>, rules: &[RestartRule]) -> Container {
    Container {
        name: name.into(),
        restart_policy: own,
        restart_policy_rules: rules.to_vec(),
        ..Container::default()
    }
}

fn record(name: &str, state: RunState, code: i32) -> ContainerRecord {
    ContainerRecord {
        id: name.into(),
        name: name.into(),
        sandbox: "s".into(),
        state,
        attempt: 0,
        image: String::new(),
        image_id: crate::ids::ImageId::default(),
        hash: None,
        created_at: None,
        started_at: None,
        exit: (state == RunState::Exited).then(|| crate::runtime::Exit {
            code,
            ..crate::runtime::Exit::default()
        }),
        user: None,
        clamped: Vec::new(),
    }
}

fn runtime(containers: &[ContainerRecord]) -> PodRuntime {
    PodRuntime {
        sandboxes: Vec::new(),
        containers: containers.to_vec(),
    }
}

use ExitCodeOperator::{In, NotIn};
use RestartAction::{Restart, RestartAllContainers};
use RestartPolicy::{Always, Never, OnFailure};

#[test]
fn a_container_runs_again_by_its_rules_then_its_own_policy_then_the_pods() {
    let on_3 = [rule(Restart, In, &[3])];
    let but_3 = [rule(Restart, NotIn, &[3])];
    for (pod, own, rules, code, again) in [
        (Always, None, &[][..], 0, true),
        (OnFailure, None, &[], 0, false),
        (OnFailure, None, &[], 1, true),
        (Never, None, &[], 1, false),
        (Never, Some(Always), &[], 0, true),
        (Always, Some(Never), &[], 1, false),
        (Always, Some(OnFailure), &[], 0, false),
        (Always, Some(OnFailure), &[], 1, true),
        (Never, Some(Never), &on_3, 3, true),
        (Never, Some(Never), &on_3, 4, false),
        (Never, Some(Never), &but_3, 3, false),
        (Never, Some(Never), &but_3, 4, true),
        // Rules of a container without a policy of its own count for nothing.
        (Never, None, &on_3, 3, false),
    ] {
        let spec = PodSpec {
            restart_policy: Some(pod),
            ..PodSpec::default()
        };
        let found = restarts_after(&spec, &container("c", own, rules), code);
        assert_eq!(found, again, "{pod:?} {own:?} {rules:?} {code}");
    }
}

#[test]
fn what_never_runs_again_has_no_policy_and_no_rule_that_lets_it() {
    let restart = [rule(Restart, In, &[3])];
    let all = [rule(RestartAllContainers, In, &[3])];
    for (pod, own, rules, may) in [
        (Always, None, &[][..], true),
        (OnFailure, None, &[], true),
        (Never, None, &[], false),
        (Never, Some(Always), &[], true),
        (Never, Some(OnFailure), &[], true),
        (Always, Some(Never), &[], false),
        (Always, Some(Never), &restart, true),
        (Always, Some(Never), &all, false),
        (Never, None, &restart, false),
    ] {
        let spec = PodSpec {
            restart_policy: Some(pod),
            ..PodSpec::default()
        };
        let found = is_restartable(&spec, &container("c", own, rules));
        assert_eq!(found, may, "{pod:?} {own:?} {rules:?}");
    }
}

#[test]
fn an_end_restarts_all_only_with_a_code_that_such_a_rule_names() {
    let all = container("c", Some(Never), &[rule(RestartAllContainers, In, &[3])]);
    let one = container("c", Some(Never), &[rule(Restart, In, &[3])]);
    for (container, state, code, triggers) in [
        (&all, RunState::Exited, 3, true),
        (&all, RunState::Exited, 4, false),
        (&all, RunState::Running, 0, false),
        (&all, RunState::Unknown, 0, false),
        (&one, RunState::Exited, 3, false),
    ] {
        let record = record("c", state, code);
        assert_eq!(
            triggers_restart_of_all(container, &record),
            triggers,
            "{state:?} {code}"
        );
    }
}

#[test]
fn all_restart_when_the_pod_is_marked_or_one_of_them_asks_for_it() {
    let mut pod = Pod::default();
    let rules = [rule(RestartAllContainers, In, &[3])];
    pod.spec.init_containers = vec![container("i", Some(Never), &rules)];
    pod.spec.containers = vec![
        container("a", Some(Never), &rules),
        container("b", None, &[]),
    ];
    let ended = |name: &str, code| ContainerStatus {
        name: name.into(),
        state: ContainerState {
            terminated: Some(Terminated {
                exit_code: code,
                ..Terminated::default()
            }),
            ..ContainerState::default()
        },
        ..ContainerStatus::default()
    };
    let marked = |kind: &str, status: &str| PodStatus {
        conditions: vec![crate::status::Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            ..crate::status::Condition::default()
        }],
        ..PodStatus::default()
    };
    let told = |statuses: &[ContainerStatus]| PodStatus {
        container_statuses: statuses.to_vec(),
        ..PodStatus::default()
    };
    let exited = |name, code| Some(runtime(&[record(name, RunState::Exited, code)]));
    let runs = |name| Some(runtime(&[record(name, RunState::Running, 0)]));
    for (case, (runtime, status, restart)) in [
        (None, None, false),
        (None, Some(marked(ALL_CONTAINERS_RESTARTING, "True")), true),
        (
            None,
            Some(marked(ALL_CONTAINERS_RESTARTING, "False")),
            false,
        ),
        (None, Some(marked("Ready", "True")), false),
        (exited("a", 3), None, true),
        (exited("i", 3), None, true),
        (exited("a", 4), None, false),
        (exited("b", 3), None, false),
        (runs("a"), None, false),
        (runs("a"), Some(told(&[ended("a", 3)])), false),
        (exited("a", 0), Some(told(&[ended("a", 3)])), true),
        (None, Some(told(&[ended("a", 3)])), true),
        (None, Some(told(&[ended("b", 3)])), false),
        (None, Some(told(&[ended("b", 3), ended("a", 0)])), false),
    ]
    .into_iter()
    .enumerate()
    {
        let found = all_should_restart(&pod, runtime.as_ref(), status.as_ref());
        assert_eq!(found, restart, "case {case}");
    }
    assert!(all_are_removed(&pod, &runtime(&[])));
    assert!(all_are_removed(
        &pod,
        &runtime(&[record("x", RunState::Exited, 0)])
    ));
    assert!(!all_are_removed(
        &pod,
        &runtime(&[record("i", RunState::Exited, 0)])
    ));
    assert!(all_could_restart(&pod.spec) && !all_could_restart(&PodSpec::default()));
}

#[test]
fn an_app_has_been_made_once_the_runtime_knows_one() {
    let mut pod = Pod::default();
    pod.spec.init_containers = vec![container("i", None, &[])];
    pod.spec.containers = vec![container("a", None, &[]), container("b", None, &[])];
    for (name, state, made) in [
        ("b", RunState::Created, true),
        ("a", RunState::Running, true),
        ("a", RunState::Exited, true),
        ("a", RunState::Unknown, false),
        ("i", RunState::Running, false),
    ] {
        let known = runtime(&[record(name, state, 0)]);
        assert_eq!(any_app_created(&pod.spec, &known), made, "{name} {state:?}");
    }
    assert!(!any_app_created(&pod.spec, &runtime(&[])));
}
