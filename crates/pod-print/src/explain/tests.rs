//! Explanations of pods in the situations that users ask about.

use super::*;
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

fn pod(phase: &str, init: Value, apps: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "initContainers": [{"name": "fetch", "image": "busybox"}, {"name": "render", "image": "busybox"}],
            "containers": [{"name": "app", "image": "web", "readinessProbe": {"exec": {"command": ["true"]}}}],
        },
        "status": {
            "phase": phase, "initContainerStatuses": init, "containerStatuses": apps,
            "conditions": [
                {"type": "Initialized", "status": if init == json!([]) { "True" } else { "False" },
                 "reason": "ContainersNotInitialized", "message": "containers with incomplete status: [fetch render]"},
                {"type": "PodScheduled", "status": "True"},
            ],
        },
    }))
    .unwrap()
}

fn runtime(exits: &[(&str, u32, i32, Option<i32>, &str)]) -> PodRuntime {
    let containers: Vec<Value> = exits
        .iter()
        .map(|(name, attempt, code, signal, reason)| {
            json!({
                "id": format!("{name}{attempt}"), "name": name, "sandbox": "s", "state": "Exited", "attempt": attempt, "hash": null,
                "image": "busybox", "image_id": "x", "created_at": null, "started_at": null, "user": null, "clamped": [],
                "exit": {"code": code, "signal": signal, "reason": reason, "message": "", "finished_at": "2026-01-01T00:00:50Z"},
            })
        })
        .collect();
    serde_json::from_value(json!({
        "sandboxes": [{"id": "s", "ready": true, "attempt": 0, "ip": null, "network": "Pod", "created_at": null}],
        "containers": containers,
    }))
    .unwrap()
}

fn told(pod: &Pod, runtime: &PodRuntime, plan: &PlanFacts, lines: &[&str]) -> Explanation {
    let lines: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
    explain(Facts {
        pod,
        runtime,
        plan,
        events: &[],
        last_lines: &lines,
        now: now(),
    })
}

#[test]
fn a_failing_init_container_is_named_with_its_place_its_last_exit_its_last_words_and_its_next_try()
{
    let init = json!([
        {"name": "fetch", "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}},
         "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}},
        {"name": "render", "state": {"waiting": {"reason": "PodInitializing"}}},
    ]);
    let pod = pod("Pending", init, json!([]));
    let plan = PlanFacts {
        wake_at: Some("2026-01-01T00:01:10Z".parse().unwrap()),
        why: vec!["fetch is in back-off".to_owned()],
    };
    let told = told(
        &pod,
        &runtime(&[("fetch", 2, 3, None, "Error")]),
        &plan,
        &["no route to host"],
    );
    assert_eq!(
        told.text(now()),
        "default/p is Init:CrashLoopBackOff: it is initialising: init container \"fetch\" (1 of 2) waits: CrashLoopBackOff: back-off 20s.\n\
         \x20 waiting for   the end of its back-off, then it is started again\n\
         \x20 restarts      2\n\
         \x20 last exit     attempt 2: exit code 3 (Error), 10s ago\n\
         \x20 last lines    no route to host\n\
         \x20 next look     at 00:01:10Z, in 10.0s\n\
         \x20 plan          fetch is in back-off\n\
         \x20 not true      Initialized=False: ContainersNotInitialized: containers with incomplete status: [fetch render]\n\
         \x20 try           podwright logs p -c fetch --all-attempts\n\
         \x20               podwright debug p --target fetch\n\
         \x20               podwright retry p\n"
    );
}

#[test]
fn a_kill_for_memory_and_a_signal_are_told_apart() {
    let init = json!([{"name": "fetch", "restartCount": 1, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]);
    let pod = pod("Failed", init, json!([]));
    for (signal, reason, words) in [
        (
            Some(9),
            "OOMKilled",
            "exit code 137, signal 9, out of memory: the kernel killed it at its memory limit, 10s ago",
        ),
        (
            Some(11),
            "Error",
            "exit code 137, signal 11 (Error), 10s ago",
        ),
    ] {
        let runtime = runtime(&[("fetch", 0, 137, signal, reason)]);
        let text = told(&pod, &runtime, &PlanFacts::default(), &[]).text(now());
        assert!(text.contains(words), "{text}");
        assert!(text.contains("it has failed: init container \"fetch\" (1 of 2) ended with exit code 137 (OOMKilled)"), "{text}");
    }
}

#[test]
fn the_second_init_container_is_the_one_once_the_first_is_done() {
    let init = json!([
        {"name": "fetch", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        {"name": "render", "state": {"running": {"startedAt": "2026-01-01T00:00:30Z"}}},
    ]);
    let told = told(
        &pod("Pending", init, json!([])),
        &runtime(&[]),
        &PlanFacts::default(),
        &[],
    );
    let about = told.container.unwrap();
    assert_eq!(
        (about.name.as_str(), about.position, about.of),
        ("render", 2, 2)
    );
    assert_eq!(about.state, "has been running for 30s");
    assert_eq!(
        about.waiting_on,
        "its own end with exit code 0; the next one starts then"
    );
    assert_eq!(
        told.try_next,
        [
            "podwright logs p -c render",
            "podwright exec -it p -c render -- sh"
        ]
    );
}

#[test]
fn an_app_that_runs_and_is_not_ready_waits_for_its_probe() {
    let done = json!([
        {"name": "fetch", "state": {"terminated": {"exitCode": 0}}},
        {"name": "render", "state": {"terminated": {"exitCode": 0}}},
    ]);
    let app = json!([{"name": "app", "ready": false, "started": true, "state": {"running": {}}}]);
    let text = told(
        &pod("Running", done, app),
        &runtime(&[]),
        &PlanFacts::default(),
        &[],
    )
    .text(now());
    assert!(
        text.contains("it is not ready: container \"app\" runs"),
        "{text}"
    );
    assert!(text.contains("waiting for   its readiness probe"), "{text}");
}

#[test]
fn a_missing_image_is_named_and_so_is_what_to_do() {
    let init = json!([{"name": "fetch", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"busybox\""}}}]);
    let told = told(
        &pod("Pending", init, json!([])),
        &runtime(&[]),
        &PlanFacts::default(),
        &[],
    );
    assert_eq!(
        told.container.unwrap().waiting_on,
        "image \"busybox\", which is not in the store"
    );
    assert_eq!(
        told.try_next,
        ["podwright image import ARCHIVE --name busybox"]
    );
}

#[test]
fn a_pod_with_nothing_wrong_is_said_to_be_well() {
    let done = json!([
        {"name": "fetch", "state": {"terminated": {"exitCode": 0}}},
        {"name": "render", "state": {"terminated": {"exitCode": 0}}},
    ]);
    let app = json!([{"name": "app", "ready": true, "started": true, "state": {"running": {}}}]);
    let told = told(
        &pod("Running", done, app),
        &runtime(&[]),
        &PlanFacts::default(),
        &[],
    );
    assert_eq!(told.container, None);
    assert_eq!(told.summary, "it runs, and everything of it is ready");
}

#[test]
fn an_attempt_that_took_too_long_is_told_as_the_status_tells_it() {
    let ended = json!({"exitCode": 124, "reason": "InitTimeout", "message": "did not end within 1s", "containerID": "podwright://fetch0"});
    let init = json!([{"name": "fetch", "state": {"terminated": ended}}]);
    let pod = pod("Failed", init, json!([]));
    let runtime = runtime(&[("fetch", 0, 0, None, "Completed")]);
    let text = told(&pod, &runtime, &PlanFacts::default(), &[]).text(now());
    let words = "last exit     attempt 0: exit code 124 (InitTimeout), 10s ago";
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_pod_that_is_being_deleted_waits_for_the_end_of_what_runs() {
    let init = json!([{"name": "fetch", "state": {"waiting": {"reason": "PodInitializing"}}}]);
    let mut pod = pod("Pending", init, json!([]));
    pod.metadata.deletion_timestamp = Some(now());
    let mut runtime = runtime(&[
        ("fetch", 0, 0, None, "Completed"),
        ("render", 0, 0, None, ""),
        ("app", 0, 0, None, ""),
    ]);
    for (running, words) in [
        (
            2,
            "it is being deleted; 2 containers still run.\n  waiting for   the end of the containers render, app\n",
        ),
        (
            1,
            "it is being deleted; one container still runs.\n  waiting for   the end of container \"app\"\n",
        ),
        (
            0,
            "it is being deleted; nothing of it runs any more.\n  waiting for   the removal of what is left of it\n",
        ),
    ] {
        for (n, record) in runtime.containers.iter_mut().enumerate() {
            record.state = if n >= 3 - running {
                RunState::Running
            } else {
                RunState::Exited
            };
        }
        let text = told(&pod, &runtime, &PlanFacts::default(), &[]).text(now());
        assert!(text.contains(words), "{text}");
    }
}
