use super::*;
use crate::observed::Deletion;
use crate::sight::Reset;
use crate::testing::{at, ended, observed, pod, record, sandbox, settled, steps, told};
use pod_model::asked::KEEP_FAILED;
use pod_model::runtime::NamespaceMode;
use pod_model::status::Ip;
use serde_json::{Value, json};

fn draft<'a>(pod: &'a Pod, observed: &'a Observed) -> Draft<'a> {
    crate::testing::draft(pod, observed, at(100))
}

/// Two apps.
fn two(policy: &str) -> Pod {
    pod(json!({
        "restartPolicy": policy,
        "terminationGracePeriodSeconds": 5,
        "containers": [{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }],
    }))
}

#[test]
fn the_address_is_that_of_the_newest_sandbox_and_stays_while_that_ends() {
    for (ip, ready, told) in [
        (Some(Some("10.0.0.2")), true, &["10.0.0.2"][..]),
        (Some(Some("10.0.0.2")), false, &["10.0.0.2"]),
        (Some(Some("")), true, &[]),
        (Some(None), true, &[]),
        (Some(Some("")), false, &["10.0.0.1"]),
        (Some(None), false, &["10.0.0.1"]),
        (None, false, &["10.0.0.1"]),
    ] {
        let newest = ip.map(|ip| {
            let mut newest = sandbox("s", ready);
            newest.ip = ip.map(str::to_owned);
            newest
        });
        let runtime = PodRuntime {
            sandboxes: newest.into_iter().chain([sandbox("old", false)]).collect(),
            containers: Vec::new(),
        };
        let runtime = match ip {
            None => PodRuntime::default(),
            Some(_) => runtime,
        };
        let previous = PodStatus {
            pod_ips: vec![Ip {
                ip: "10.0.0.1".to_owned(),
            }],
            ..PodStatus::default()
        };
        assert_eq!(pod_ips(&runtime, &previous), told, "{ip:?} {ready}");
    }
}

#[test]
fn the_status_tells_that_address() {
    let mut observed = observed(vec![]);
    observed.runtime.sandboxes[0].ip = Some("10.0.0.2".to_owned());
    let plan = plan(&two("Always"), &observed, at(100));
    assert_eq!(plan.status.pod_ip, "10.0.0.2");
}

#[test]
fn all_containers_have_ended_before_the_first_record_goes_for_a_restart_of_all() {
    use RunState::{Exited, Running, Unknown};
    let removes = &["remove b-0", "remove a-0"][..];
    for (state, asked_until, planned) in [
        (Running, None, &["stop a-0 0"][..]),
        // Asked, and nobody has told of its end.
        (Running, Some(99), &[]),
        (Running, Some(105), &["stop a-0 0"]),
        (Unknown, None, &["stop a-0 0"]),
        (Unknown, Some(105), &["stop a-0 0"]),
        // Of that nobody ever will.
        (Unknown, Some(100), removes),
        (Unknown, Some(99), removes),
        (Exited, Some(99), removes),
    ] {
        let (pod, observed) = (
            two("Always"),
            observed(vec![record("a", state), ended("b", 1)]),
        );
        let mut draft = draft(&pod, &observed);
        if let Some(second) = asked_until {
            let stopping = crate::memory::Stopping {
                deadline: at(second),
                asked: true,
                hook: Default::default(),
            };
            draft.memory.stopping.insert("a-0".into(), stopping);
        }
        let of = |name: &str, kill| Reset {
            id: format!("{name}-0").as_str().into(),
            name: name.into(),
            kill,
        };
        let actions = PodActions {
            to_reset: vec![of("b", false), of("a", true)],
            ..PodActions::default()
        };
        reset(&mut draft, &actions);
        assert_eq!(steps(&draft), planned, "{state:?} {asked_until:?}");
    }
}

#[test]
fn a_pod_that_ends_by_itself_has_its_own_grace_from_when_that_was_found_and_a_deletion_only_less() {
    let deletion = |seconds| Deletion {
        at: at(100),
        grace_seconds: seconds,
    };
    for (phase, asked, ending, grace) in [
        (Phase::Failed, None, None, 5000),
        (Phase::Failed, None, Some(98), 3000),
        (Phase::Failed, Some(deletion(60)), None, 5000),
        (Phase::Failed, Some(deletion(3)), None, 3000),
        (Phase::Running, Some(deletion(60)), None, 60_000),
        (Phase::Running, Some(deletion(3)), None, 3000),
    ] {
        let (pod, mut observed) = (two("Never"), observed(vec![record("a", RunState::Running)]));
        observed.deletion = asked;
        let mut draft = draft(&pod, &observed);
        draft.memory.status.phase = Some(phase);
        draft.memory.ending = ending.map(at);
        end(&mut draft);
        let stop = format!("stop a-0 {grace}");
        assert_eq!(steps(&draft), [stop], "{phase:?} {asked:?} {ending:?}");
    }
}

#[test]
fn a_pod_that_is_marked_as_deleted_is_removed_however_that_was_heard_and_only_then() {
    let deletion = Deletion {
        at: at(100),
        grace_seconds: 0,
    };
    for (asked, marked, removed) in [
        (None, false, false),
        (Some(deletion), false, true),
        (None, true, true),
        (Some(deletion), true, true),
    ] {
        let mut pod = two("Never");
        let keep = (KEEP_FAILED.to_owned(), "true".to_owned());
        pod.metadata.annotations.extend([keep]);
        pod.metadata.deletion_timestamp = marked.then(|| at(100));
        let mut observed = observed(vec![ended("a", 1), ended("b", 1)]);
        observed.deletion = asked;
        observed.memory = settled();
        observed.memory.status.phase = Some(Phase::Failed);
        // Until then it is kept to be looked into.
        let first = told(&plan(&pod, &observed, at(100)).steps);
        let stop = removed.then(|| "stop sandbox s".to_owned());
        assert_eq!(first, Vec::from_iter(stop), "{asked:?} {marked}");
        observed.runtime.sandboxes.clear();
        let last = told(&plan(&pod, &observed, at(100)).steps);
        let remove = removed.then(|| "remove pod".to_owned());
        assert_eq!(last, Vec::from_iter(remove), "{asked:?} {marked}");
    }
}

#[test]
fn a_status_that_still_shows_something_to_come_is_made_final_at_once() {
    let init = json!({ "name": "i", "image": "i" });
    let app = json!({ "name": "a", "image": "i" });
    for (spec, records, again) in [
        (
            json!({ "initContainers": [init], "containers": [app] }),
            vec![ended("i", 1)],
            true,
        ),
        (json!({ "containers": [app] }), vec![ended("a", 1)], false),
    ] {
        let mut spec: Value = spec;
        spec["restartPolicy"] = "Never".into();
        let mut observed = observed(records);
        observed.runtime.sandboxes[0].ready = false;
        observed.memory = settled();
        observed.memory.stopped.insert("s".into());
        let plan = plan(&pod(spec), &observed, at(100));
        assert_eq!(plan.status.phase, Some(Phase::Failed));
        assert_eq!(told(&plan.steps), Vec::<String>::new());
        assert_eq!(plan.wake_at, again.then(|| at(100)));
    }
}

#[test]
fn a_pod_that_has_ended_or_is_to_is_granted_nothing_more() {
    for (phase, deleted, granted) in [
        (Phase::Running, false, true),
        (Phase::Pending, false, true),
        (Phase::Failed, false, false),
        (Phase::Succeeded, false, false),
        (Phase::Running, true, false),
        (Phase::Failed, true, false),
    ] {
        let mut pod = two("Never");
        let mut observed = observed(vec![ended("a", 1), ended("b", 1)]);
        let began = plan(&pod, &observed, at(0)).memory;
        let limits = &mut pod.spec.containers[0].resources.limits;
        limits.insert("cpu".to_owned(), "1".parse().unwrap());
        pod.metadata.deletion_timestamp = deleted.then(|| at(50));
        observed.memory = began;
        observed.memory.status.phase = Some(phase);
        let plan = plan(&pod, &observed, at(100));
        let told = plan.events.iter().any(|e| e.reason == "ResizeStarted");
        assert_eq!(told, granted, "{phase:?} {deleted}");
    }
}

#[test]
fn what_the_pods_cgroup_holds_is_known_from_when_it_is_made() {
    let (pod, mut observed) = (two("Always"), Observed::default());
    let first = plan(&pod, &observed, at(0)).memory;
    assert_eq!(first.sizes.cgroup, Some(resize::full(&pod)));
    // Of one that was made before sizes were remembered nobody knows.
    observed.memory = settled();
    let found = plan(&pod, &observed, at(0)).memory;
    assert_eq!(found.sizes.cgroup, None);
}

#[test]
fn without_its_cgroup_nothing_of_a_pod_goes_on_though_its_sandbox_runs() {
    let failed = || Readiness::Failed {
        problems: vec!["why".to_owned()],
        at: at(95),
    };
    let mut pod = two("Always");
    pod.spec.volumes = serde_json::from_value(json!([{ "name": "v", "emptyDir": {} }])).unwrap();
    for (cgroup, volumes, runs, goes_on) in [
        (Readiness::Ready, Readiness::Ready, true, true),
        (failed(), Readiness::Ready, true, false),
        (Readiness::Ready, failed(), true, true),
        (Readiness::Ready, failed(), false, false),
    ] {
        let mut observed = observed(vec![ended("a", 1), record("b", RunState::Running)]);
        observed.memory = settled();
        observed.memory.pod = cgroup;
        observed.memory.volumes = volumes;
        if !runs {
            observed.runtime = PodRuntime::default();
        }
        let plan = plan(&pod, &observed, at(100));
        assert_eq!(!plan.steps.is_empty(), goes_on, "{:?}", plan.why);
        if !goes_on {
            assert_eq!(plan.wake_at, Some(at(105)));
        }
    }
}

#[test]
fn apps_that_ran_when_the_sandbox_was_lost_and_only_those_start_again_however_they_end() {
    for policy in ["Always", "OnFailure"] {
        let mut observed = observed(vec![record("a", RunState::Running), ended("b", 1)]);
        observed.memory = settled();
        observed.runtime.sandboxes[0].ready = false;
        let plan = plan(&two(policy), &observed, at(100));
        assert_eq!(told(&plan.steps), ["stop a-0 5000"], "{policy}");
        let again: Vec<&str> = plan.memory.start_again.iter().map(|n| n.as_str()).collect();
        assert_eq!(again, ["a"], "{policy}");
        assert_eq!(plan.memory.replaced["a"], 0);
        assert!(plan.events.iter().any(|e| e.reason == "SandboxChanged"));
    }
}

#[test]
fn a_sandbox_that_must_go_is_told_of_once_though_nothing_runs_in_it() {
    let mut observed = observed(vec![]);
    observed.memory = settled();
    observed.runtime.sandboxes[0].network = NamespaceMode::Node;
    let pod = two("Always");
    let told_of = |plan: &Plan| plan.events.iter().any(|e| e.reason == "SandboxChanged");
    let first = plan(&pod, &observed, at(100));
    assert_eq!(told(&first.steps), ["stop sandbox s"]);
    assert!(told_of(&first));
    observed.memory = first.memory;
    assert!(!told_of(&plan(&pod, &observed, at(101))));
    // One that has ended is only followed by another.
    observed.memory = settled();
    observed.memory.stopped.insert("s".into());
    observed.runtime.sandboxes[0].ready = false;
    let next = plan(&pod, &observed, at(100));
    assert_eq!(told(&next.steps), ["run sandbox 1"]);
    assert!(!told_of(&next));
}
