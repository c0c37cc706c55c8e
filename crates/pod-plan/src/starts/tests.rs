use super::*;
use crate::memory::Stopping;
use crate::plan::{Plan, plan};
use crate::testing::{at, draft, ended, observed, pod, record, settled, steps, told};
use pod_model::container_status::ProbeResult;
use pod_model::pod::Pod;
use pod_model::status::Phase;
use serde_json::json;

fn one(policy: &str) -> Pod {
    pod(json!({
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 5,
        "containers": [{ "name": "a", "image": "i" }],
    }))
}

fn failed(reason: &str, message: &str, at: Timestamp) -> StartError {
    StartError {
        reason: reason.to_owned(),
        message: message.to_owned(),
        at,
        unhooked: None,
    }
}

#[test]
fn what_could_not_be_started_is_tried_again_at_once_where_a_back_off_speaks_and_else_after_ten_seconds()
 {
    let none = || vec![];
    let exited = || vec![ended("a", 1)];
    let made = || vec![record("a", RunState::Created)];
    for (reason, records, begun, at_once) in [
        ("CrashLoopBackOff", none(), None, true),
        ("ErrImagePull", none(), None, true),
        ("ImagePullBackOff", none(), None, true),
        // Its record has ended, and the back-off of restarts has let it go on.
        ("RunContainerError", exited(), Some(0), true),
        ("PostStartHookError", exited(), Some(0), true),
        ("RunContainerError", none(), Some(0), false),
        ("RunContainerError", made(), Some(0), false),
        // That record is of an attempt before.
        ("RunContainerError", exited(), Some(1), false),
        ("CreateContainerError", exited(), Some(0), false),
        ("CreateContainerConfigError", none(), None, false),
        ("InvalidImageName", none(), None, false),
    ] {
        let mut observed = observed(records);
        observed.memory = settled();
        let memory = &mut observed.memory;
        let error = failed(reason, "why", at(100));
        memory.start_errors.insert("a".into(), error);
        memory.attempts.extend(begun.map(|n| ("a".into(), n)));
        let starts = |second: i64| {
            let plan = plan(&one("Always"), &observed, at(second));
            let starts = told(&plan.steps);
            let starts = starts.iter().any(|s| s.starts_with("start a "));
            (starts, plan.wake_at)
        };
        let (now, wake) = starts(109);
        assert_eq!(now, at_once, "{reason}");
        assert_eq!(wake == Some(at(110)), !at_once, "{reason} {wake:?}");
        assert!(starts(110).0, "{reason}");
    }
}

#[test]
fn why_a_container_waits_is_told_anew_when_reason_or_message_changes() {
    let mut table = observed(vec![ended("a", 1)]);
    table.memory = settled();
    let pod = one("Always");
    // It has started again at once, and failed again: now it must wait.
    let again = plan(&pod, &table, at(1));
    table.memory = again.memory;
    table.memory.done(&again.steps[0], at(1));
    let mut second = ended("a", 1);
    second.id = "a-1".into();
    second.attempt = 1;
    table.runtime.containers.insert(0, second);
    let message = "back-off 10s restarting failed container=a pod=p_ns(u)";
    for (reason, text, news) in [
        ("CrashLoopBackOff", message, false),
        (
            "CrashLoopBackOff",
            "back-off 5s restarting failed container=a pod=p_ns(u)",
            true,
        ),
        ("ErrImagePull", message, true),
    ] {
        let mut observed = table.clone();
        let errors = &mut observed.memory.start_errors;
        errors.insert("a".into(), failed(reason, text, at(2)));
        let Plan {
            memory,
            events,
            wake_at,
            ..
        } = plan(&pod, &observed, at(3));
        let error = &memory.start_errors["a"];
        let now = (error.reason.as_str(), error.message.as_str());
        assert_eq!(now, ("CrashLoopBackOff", message));
        assert_eq!(events.iter().any(|e| e.reason == "BackOff"), news, "{text}");
        assert_eq!(wake_at == Some(at(3)), news, "{text}");
    }
}

#[test]
fn a_sidecar_that_waits_for_its_back_off_holds_up_no_app() {
    let pod = pod(json!({
        "restartPolicy": "Always",
        "initContainers": [{ "name": "s", "image": "j", "restartPolicy": "Always" }],
        "containers": [{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }],
    }));
    let mut observed = observed(vec![
        record("b", RunState::Running),
        ended("a", 1),
        ended("s", 1),
    ]);
    observed.memory = settled();
    let waits = failed("CreateContainerError", "why", at(99));
    observed.memory.start_errors.insert("s".into(), waits);
    let plan = plan(&pod, &observed, at(100));
    assert_eq!(told(&plan.steps), ["start a 1"]);
    assert_eq!(plan.wake_at, Some(at(109)));
}

#[test]
fn what_nobody_can_tell_of_is_ended_once_and_counts_as_ended_when_its_time_is_over() {
    let mut observed = observed(vec![record("a", RunState::Unknown)]);
    observed.memory = settled();
    let pod = one("Always");
    let first = plan(&pod, &observed, at(10));
    assert_eq!(told(&first.steps), ["stop a-0 5000"]);
    assert_eq!(first.wake_at, Some(at(15)));
    observed.memory = first.memory;
    observed.memory.done(&first.steps[0], at(10));
    for (second, steps) in [(12, &[][..]), (14, &[]), (15, &["start a 1"])] {
        let next = plan(&pod, &observed, at(second));
        assert_eq!(told(&next.steps), steps, "{second}");
        assert_eq!(next.wake_at == Some(at(15)), steps.is_empty());
    }
    // What runs tells its end itself: nobody waits for its time but to ask again.
    observed.runtime.containers[0].state = RunState::Running;
    observed.memory = settled();
    let stopping = Stopping {
        deadline: at(15),
        asked: true,
        hook: Default::default(),
    };
    observed.memory.stopping.insert("a-0".into(), stopping);
    let probes = &mut observed.probes.liveness;
    probes.insert("a".into(), ProbeResult::Failure);
    for (second, steps) in [(12, &[][..]), (16, &[]), (25, &["stop a-0 0"])] {
        let next = plan(&pod, &observed, at(second));
        assert_eq!(told(&next.steps), steps, "{second}");
        assert_ne!(next.wake_at, Some(at(15)));
    }
}

#[test]
fn what_is_ended_for_good_is_not_taken_for_something_that_starts_again() {
    for (policy, again) in [("Always", true), ("OnFailure", true), ("Never", false)] {
        let others = record("b", RunState::Running);
        let mut observed = observed(vec![record("a", RunState::Running), others.clone()]);
        observed.memory = settled();
        let probes = &mut observed.probes.liveness;
        probes.insert("a".into(), ProbeResult::Failure);
        let mut pod = one(policy);
        let mut other = pod.spec.containers[0].clone();
        other.name = "b".into();
        pod.spec.containers.push(other);
        let first = plan(&pod, &observed, at(10));
        assert_eq!(told(&first.steps), ["stop a-0 5000"]);
        let kept = first.memory.start_again.contains("a");
        assert_eq!(kept, again, "{policy}");
        observed.memory = first.memory;
        observed.runtime.containers = vec![ended("a", 0), others];
        let next = plan(&pod, &observed, at(11));
        assert_eq!(next.status.phase, Some(Phase::Running), "{policy}");
        let starts = told(&next.steps).iter().any(|s| s == "start a 1");
        assert_eq!(starts, again, "{policy}");
    }
}

#[test]
fn starts_come_in_order_and_only_a_plain_init_container_that_waits_holds_up_what_follows() {
    let pod = pod(json!({
        "initContainers": [{ "name": "i" }, { "name": "s", "restartPolicy": "Always" }],
        "containers": [{ "name": "a" }, { "name": "b" }],
        "ephemeralContainers": [{ "name": "e" }],
    }));
    for (waits, starts) in [
        ("", &["e", "i", "s", "a", "b"][..]),
        ("e", &["i", "s", "a", "b"]),
        ("i", &["e"]),
        ("s", &["e", "i", "a", "b"]),
        ("a", &["e", "i", "s", "b"]),
    ] {
        let mut observed = observed(vec![]);
        let error = failed("CreateContainerError", "why", at(99));
        let errors = &mut observed.memory.start_errors;
        errors.insert(waits.into(), error);
        let mut draft = draft(&pod, &observed, at(100));
        let actions = PodActions {
            init_to_start: vec![0, 1],
            apps_to_start: vec![0, 1],
            ephemeral_to_start: vec![0],
            ..PodActions::default()
        };
        kill_and_start(&mut draft, &actions, &"s".into());
        let all = starts.iter().map(|name| format!("start {name} 0"));
        assert_eq!(steps(&draft), all.collect::<Vec<_>>(), "{waits}");
    }
}
