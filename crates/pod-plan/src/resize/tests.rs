use super::*;
use crate::observed::Observed;
use crate::testing::{at, draft, ended, observed, pod, record, steps};
use pod_model::ids::ContainerName;
use serde_json::{Value, json};

fn resources(value: Value) -> Resources {
    serde_json::from_value(value).unwrap()
}

/// A plain init container, a sidecar and an app.
fn three() -> Pod {
    pod(json!({
        "initContainers": [{ "name": "i" }, { "name": "s", "restartPolicy": "Always" }],
        "containers": [{ "name": "a" }],
    }))
}

#[test]
fn init_is_over_once_no_plain_init_container_runs_or_is_to_and_an_app_does_or_is_to() {
    use RunState::{Created, Exited, Running};
    let some = |name: &str, state| vec![record(name, state)];
    let (init, sidecar, app) = (vec![0], vec![1], vec![0]);
    for (records, init_to_start, apps_to_start, kill_pod, over) in [
        (vec![], &init, vec![], false, false),
        (some("i", Exited), &vec![], app.clone(), false, true),
        (some("i", Exited), &vec![], vec![], false, false),
        // Beside an app: of a pod whose init containers run again.
        (
            vec![record("a", Running), record("i", Running)],
            &vec![],
            vec![],
            false,
            false,
        ),
        (some("a", Running), &init, vec![], false, false),
        (some("a", Running), &sidecar, vec![], false, true),
        (
            vec![record("a", Running), record("s", Running)],
            &vec![],
            vec![],
            false,
            true,
        ),
        (some("a", Running), &vec![], vec![], true, false),
        (some("a", Created), &vec![], vec![], false, true),
        (some("a", Exited), &vec![], vec![], false, false),
        (some("a", Exited), &vec![], app, false, true),
    ] {
        let actions = PodActions {
            kill_pod,
            init_to_start: init_to_start.clone(),
            apps_to_start,
            ..PodActions::default()
        };
        let observed = observed(records);
        let told = init_is_over(&three(), &observed.runtime, &actions);
        assert_eq!(told, over, "{:?} {actions:?}", observed.runtime.containers);
    }
}

/// A pod of one app with those resources, of which these are in force.
fn resized(old: &Value, new: &Value) -> (Pod, Observed) {
    let pod = pod(json!({ "containers": [{ "name": "a", "resources": new }] }));
    let mut observed = observed(vec![record("a", RunState::Running)]);
    let in_force = &mut observed.memory.sizes.in_force;
    in_force.insert("a".into(), resources(old.clone()));
    (pod, observed)
}

#[test]
fn a_share_grows_or_shrinks_by_its_limit_and_only_without_a_new_one_by_its_request() {
    let none = json!({});
    let limit = |cpu: &str| json!({ "limits": { "cpu": cpu } });
    let both = |request: &str, limit: &str| json!({ "requests": { "cpu": request }, "limits": { "cpu": limit } });
    for (old, new, told) in [
        (&none, &none, None),
        (&limit("1"), &limit("1"), None),
        (&limit("1"), &limit("2"), Some((true, Ordering::Greater))),
        (&limit("2"), &limit("1"), Some((true, Ordering::Less))),
        (&limit("1"), &none, Some((true, Ordering::Greater))),
        (&none, &limit("1"), Some((true, Ordering::Less))),
        (
            &both("1", "2"),
            &both("2", "2"),
            Some((false, Ordering::Greater)),
        ),
        (
            &both("2", "2"),
            &both("1", "2"),
            Some((false, Ordering::Less)),
        ),
        (
            &both("1", "2"),
            &both("2", "1"),
            Some((true, Ordering::Less)),
        ),
        (
            &both("1", "2"),
            &both("1", "3"),
            Some((true, Ordering::Greater)),
        ),
    ] {
        let (pod, observed) = resized(old, new);
        let draft = draft(&pod, &observed, at(0));
        let container = &pod.spec.containers[0];
        let got = changes(&draft, container, Resource::Cpu).map(|c| (c.limits, c.order));
        assert_eq!(got, told, "{old} to {new}");
        assert!(changes(&draft, container, Resource::Memory).is_none());
    }
}

#[test]
fn a_new_attempt_must_fit_into_the_pod_as_it_is() {
    let of = |cpu: i64, memory: i64| PodCgroup {
        cpu_quota: Some(cpu),
        memory: Some(memory),
        ..PodCgroup::default()
    };
    let (mib, quota) = (1 << 20, 10_000);
    for (asked, cgroup, larger) in [
        (("100m", "64Mi"), Some(of(quota, 64 * mib)), [false, false]),
        (("101m", "65Mi"), Some(of(quota, 64 * mib)), [true, true]),
        (("99m", "63Mi"), Some(of(quota, 64 * mib)), [false, false]),
        (("1m", "1"), Some(of(quota, 64 * mib)), [false, false]),
        (("0", "0"), Some(of(quota, 64 * mib)), [false, false]),
        // Without a limit of its own it may become as large as anything.
        (("", ""), Some(of(quota, 64 * mib)), [true, true]),
        (("", ""), Some(of(-1, -1)), [false, false]),
        (("4", "8Gi"), Some(of(-1, -1)), [false, false]),
        (("1m", "1"), Some(of(0, 0)), [true, true]),
        (("4", "8Gi"), None, [false, false]),
    ] {
        let limits = match asked {
            ("", _) => json!({}),
            (cpu, memory) => json!({ "limits": { "cpu": cpu, "memory": memory } }),
        };
        let (pod, mut observed) = resized(&limits, &limits);
        observed.memory.sizes.cgroup = cgroup;
        let draft = draft(&pod, &observed, at(0));
        let got = [Resource::Cpu, Resource::Memory]
            .map(|what| outgrows(&draft, &pod.spec.containers[0], what));
        assert_eq!(got, larger, "{asked:?}");
    }
}

#[test]
fn a_container_runs_again_only_for_a_change_that_its_policy_names_and_a_cgroup_can_tell() {
    let policy = |cpu: &str, memory: &str| {
        json!([
            { "resourceName": "cpu", "restartPolicy": cpu },
            { "resourceName": "memory", "restartPolicy": memory },
        ])
    };
    let (stay, again) = ("NotRequired", "RestartContainer");
    let request = |name: &str, value: &str| json!({ "requests": { name: value } });
    let limit = |name: &str, value: &str| json!({ "limits": { name: value } });
    for (change, cpu, memory, restarts) in [
        (limit("cpu", "1"), again, stay, true),
        (limit("cpu", "1"), stay, again, false),
        (limit("memory", "1Gi"), stay, again, true),
        (limit("memory", "1Gi"), again, stay, false),
        (request("cpu", "1"), again, stay, true),
        // Nothing in a cgroup says what was requested of memory.
        (request("memory", "1Gi"), stay, again, false),
        (json!({}), again, again, false),
    ] {
        for (sidecar, mut before) in [(false, vec![]), (true, vec![]), (false, vec![0])] {
            let container = json!({
                "name": "a", "resources": change, "resizePolicy": policy(cpu, memory),
                "restartPolicy": sidecar.then_some("Always"),
            });
            let other = json!({ "name": "z" });
            let pod = match sidecar {
                true => pod(json!({ "initContainers": [container], "containers": [other] })),
                false => pod(json!({ "containers": [container] })),
            };
            let mut observed = observed(vec![record("a", RunState::Running)]);
            let in_force = &mut observed.memory.sizes.in_force;
            in_force.insert("a".into(), Resources::default());
            let draft = draft(&pod, &observed, at(0));
            // Something else is ended meanwhile.
            let other = Kill {
                id: "z-0".into(),
                name: "z".into(),
                reason: None,
                message: String::new(),
            };
            let mut actions = PodActions {
                apps_to_start: before.clone(),
                to_kill: vec![other.clone()],
                ..PodActions::default()
            };
            let runtime = &observed.runtime;
            super::restarts(&draft, runtime, &mut actions, &full(&pod));
            let killed: Vec<&str> = actions.to_kill[1..].iter().map(|k| k.id.as_str()).collect();
            let text = format!("{change} {cpu} {memory}");
            assert_eq!(killed, if restarts { &["a-0"][..] } else { &[] }, "{text}");
            let (inits, apps) = (actions.init_to_start.clone(), actions.apps_to_start.clone());
            if restarts && !sidecar {
                before = vec![0];
            }
            assert_eq!(apps, before, "{text}");
            assert_eq!(inits, if restarts && sidecar { vec![0] } else { vec![] });
            // What is to be ended anyway is ended once.
            super::restarts(&draft, runtime, &mut actions, &full(&pod));
            assert_eq!(actions.to_kill.len(), 1 + usize::from(restarts));
        }
    }
}

#[test]
fn what_is_settled_is_written_but_for_requests_of_memory_which_no_cgroup_tells() {
    let request = |name: &str| json!({ "requests": { name: "1" } });
    let limit = |name: &str| json!({ "limits": { name: "1" } });
    for (new, step) in [
        (request("cpu"), Some("resize cpu of a")),
        (request("memory"), None),
        (limit("cpu"), Some("resize cpu of a")),
        (limit("memory"), Some("resize memory of a")),
    ] {
        let (pod, observed) = resized(&json!({}), &new);
        let mut draft = draft(&pod, &observed, at(0));
        settle(&mut draft, &full(&pod));
        assert_eq!(steps(&draft), Vec::from_iter(step), "{new}");
        let known = &draft.memory.sizes.in_force[&ContainerName::new("a")];
        assert_eq!(*known == resources(new), step.is_none());
    }
}

#[test]
fn a_resize_is_complete_when_everything_holds_it_and_nothing_is_to_start_again_for_it() {
    let size = json!({ "limits": { "cpu": "1" } });
    for (old, again, asked, complete) in [
        (&size, false, false, true),
        (&json!({}), false, false, false),
        (&size, true, false, false),
        (&size, false, true, false),
        (&json!({}), true, false, false),
    ] {
        let (pod, mut observed) = resized(old, &size);
        let memory = &mut observed.memory;
        memory.sizes.cgroup = Some(full(&pod));
        memory.sizes.in_progress = Some(crate::sizes::InProgress::default());
        if again {
            memory.start_again.insert("a".into());
        }
        if asked {
            let values = part(&full(&pod), Resource::Memory);
            memory.sizes.asked.insert(Resource::Memory, values);
        }
        let mut draft = draft(&pod, &observed, at(0));
        settle(&mut draft, &full(&pod));
        let told = draft.events.iter().any(|e| e.reason == "ResizeCompleted");
        assert_eq!(told, complete, "{old} {again} {asked}");
        assert_eq!(draft.memory.sizes.in_progress.is_none(), complete);
        assert_eq!(draft.wake_at == Some(at(0)), complete);
    }
}

#[test]
fn a_step_of_the_pods_cgroup_says_which_way_it_goes() {
    let of = |memory: i64| PodCgroup {
        memory: Some(memory),
        ..PodCgroup::default()
    };
    for (known, wanted, when, why) in [
        (
            of(1),
            of(2),
            Ordering::Greater,
            Some("the pod's cgroup grows: memory"),
        ),
        (
            of(2),
            of(1),
            Ordering::Less,
            Some("the pod's cgroup shrinks: memory"),
        ),
        (of(1), of(2), Ordering::Less, None),
        (of(2), of(1), Ordering::Greater, None),
        (of(1), of(1), Ordering::Greater, None),
        (of(1), of(1), Ordering::Less, None),
        (
            of(1),
            of(-1),
            Ordering::Greater,
            Some("the pod's cgroup grows: memory"),
        ),
    ] {
        let pod = three();
        let mut observed = observed(vec![ended("i", 0)]);
        observed.memory.sizes.cgroup = Some(known);
        let mut draft = draft(&pod, &observed, at(0));
        pod_step(&mut draft, &wanted, Resource::Memory, when);
        assert_eq!(draft.why, Vec::from_iter(why.map(str::to_owned)));
        assert_eq!(draft.steps.len(), usize::from(why.is_some()));
        let asked = draft.memory.sizes.asked.keys().copied();
        let written = why.map(|_| Resource::Memory);
        assert_eq!(asked.collect::<Vec<_>>(), Vec::from_iter(written));
    }
}

#[test]
fn a_cgroup_that_may_be_smaller_than_it_shall_be_grows_to_what_it_held_and_shrinks_from_there() {
    let of = |memory: i64| PodCgroup {
        memory: Some(memory),
        ..PodCgroup::default()
    };
    for (held, asked, wanted, written) in [
        // It held 4, may hold 1, and shall hold 2.
        (4, 1, 2, 4),
        (2, 1, 2, 2),
        (1, 1, 3, 3),
    ] {
        let pod = three();
        let mut observed = observed(vec![]);
        let sizes = &mut observed.memory.sizes;
        sizes.cgroup = Some(of(held));
        sizes.asked.insert(Resource::Memory, of(asked));
        let mut draft = draft(&pod, &observed, at(0));
        let wanted = of(wanted);
        pod_step(&mut draft, &wanted, Resource::Memory, Ordering::Greater);
        let step = Step::ResizePod {
            what: Resource::Memory,
            values: of(written),
        };
        assert_eq!(draft.steps, [step], "{held} {asked} {wanted:?}");
        // Until that is answered it may be as small as before.
        let mark = &draft.memory.sizes.asked[&Resource::Memory];
        assert_eq!(*mark, of(asked));
    }
}

#[test]
fn what_is_not_limited_any_more_is_written_as_minus_one() {
    let open = PodCgroup {
        cpu_shares: Some(102),
        ..PodCgroup::default()
    };
    assert_eq!(part(&open, Resource::Memory).memory, Some(-1));
    let cpu = part(&open, Resource::Cpu);
    assert_eq!(
        (cpu.cpu_shares, cpu.cpu_quota, cpu.cpu_period),
        (Some(102), Some(-1), Some(100_000))
    );
}
