//! Kinds about what to do next, restarts and back-off.

use super::Check;
use super::facts::{get, get_or_default, runtime, same, state};
use jiff::Timestamp;
use pod_model::pod::{Container, Pod, PodSpec};
use pod_model::restart;
use pod_model::status::{ContainerStatus, PodStatus};
use pod_plan::actions::{KillReason, Sight, pod_actions};
use pod_plan::back_off::{BackOffKey, BackOffTable, Delays, Verdict, may_start};
use pod_plan::termination::grace_seconds;
use serde_json::{Value, json};

/// The kinds of this area.
pub(super) const KINDS: &[(&str, Check)] = &[
    ("computePodActions", compute_pod_actions),
    ("podSandboxChanged", pod_sandbox_changed),
    ("shouldContainerBeRestarted", should_container_be_restarted),
    ("containerShouldRestart", container_should_restart),
    ("findMatchingContainerRestartRule", find_matching_rule),
    ("isContainerRestartable", is_container_restartable),
    ("isInitContainerFailed", is_init_container_failed),
    ("allContainersCouldRestart", all_containers_could_restart),
    ("shouldAllContainersRestart", should_all_containers_restart),
    ("hasAnyRegularContainerStarted", any_regular_started),
    ("backoff", backoff),
    ("doBackOff", do_back_off),
    ("crashLoopBackOffConfig", crash_loop_config),
    ("killContainerGracePeriod", kill_grace_period),
];

fn reason_text(reason: KillReason) -> &'static str {
    match reason {
        KillReason::StartupProbe => "StartupProbe",
        KillReason::LivenessProbe => "LivenessProbe",
        KillReason::Unknown => "Unknown",
    }
}

fn compute_pod_actions(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let (runtime, probes) = runtime(given, &pod)?;
    let sight = Sight {
        pod: &pod,
        runtime: &runtime,
        probes: &probes,
    };
    let actions = pod_actions(sight, get_or_default(given, "restartAllContainers")?);
    let in_spec_order = |name: &str| {
        let all = pod.spec.all();
        all.map(|(_, _, c)| c).position(|c| c.name == *name)
    };
    let mut kills = actions.to_kill.clone();
    kills.sort_by_key(|k| in_spec_order(k.name.as_str()));
    let kills: Vec<Value> = kills
        .iter()
        .map(|k| {
            let mut kill = json!({ "name": k.name, "id": k.id });
            if let Some(reason) = k.reason {
                kill["reason"] = reason_text(reason).into();
            }
            if !k.message.is_empty() {
                kill["message"] = k.message.clone().into();
            }
            kill
        })
        .collect();
    let mut got = json!({
        "killPod": actions.kill_pod,
        "createSandbox": actions.create_sandbox,
        "attempt": actions.attempt,
        "sandboxId": actions.sandbox.map(|s| s.to_string()).unwrap_or_default(),
        "initContainersToStart": actions.init_to_start,
        "containersToStart": actions.apps_to_start,
        "ephemeralToStart": actions.ephemeral_to_start,
        "containersToKill": kills,
    });
    if expect.get("containersToReset").is_some() || !actions.to_reset.is_empty() {
        let resets = actions.to_reset.iter();
        let resets = resets.map(|r| json!({ "name": r.name, "id": r.id, "kill": r.kill }));
        got["containersToReset"] = resets.collect();
    }
    same(&got, expect)
}

fn pod_sandbox_changed(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let (runtime, _) = runtime(given, &pod)?;
    let need = restart::sandbox_need(&pod, &runtime);
    let id = need.newest.map(ToString::to_string).unwrap_or_default();
    same(
        &json!({ "changed": need.changed, "attempt": need.attempt, "sandboxId": id }),
        expect,
    )
}

fn should_container_be_restarted(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let (runtime, _) = runtime(given, &pod)?;
    let name: String = get(given, "container")?;
    let (_, _, container) = pod.spec.find(&name).ok_or("no such container")?;
    let restart = restart::should_restart(&pod, container, &runtime);
    same(&json!({ "restart": restart }), expect)
}

fn container_should_restart(given: &Value, expect: &Value) -> Result<(), String> {
    let spec: PodSpec = get(given, "podSpec")?;
    let container: Container = get(given, "container")?;
    let restart = restart::restarts_after(&spec, &container, get(given, "exitCode")?);
    same(&json!({ "restart": restart }), expect)
}

fn find_matching_rule(given: &Value, expect: &Value) -> Result<(), String> {
    let container: Container = get(given, "container")?;
    let rule = restart::matching_rule(&container, get(given, "exitCode")?);
    same(
        &match rule {
            Some(rule) => json!({ "found": true, "rule": rule }),
            None => json!({ "found": false }),
        },
        expect,
    )
}

fn is_container_restartable(given: &Value, expect: &Value) -> Result<(), String> {
    let spec: PodSpec = get(given, "podSpec")?;
    let container: Container = get(given, "container")?;
    let restartable = restart::is_restartable(&spec, &container);
    same(&json!({ "restartable": restartable }), expect)
}

fn is_init_container_failed(given: &Value, expect: &Value) -> Result<(), String> {
    let text: String = get(given, "state")?;
    let reason: String = get_or_default(given, "reason")?;
    // A state that was never set is none of the four; only the reason can tell then.
    let state = if text.is_empty() {
        pod_model::runtime::RunState::Created
    } else {
        state(&text)
    };
    let failed = restart::init_failed(state, get(given, "exitCode")?, &reason);
    same(&json!({ "failed": failed }), expect)
}

fn all_containers_could_restart(given: &Value, expect: &Value) -> Result<(), String> {
    let could = restart::all_could_restart(&get(given, "podSpec")?);
    same(&json!({ "could": could }), expect)
}

fn should_all_containers_restart(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let (runtime, _) = runtime(given, &pod)?;
    let status: Option<PodStatus> = get_or_default(given, "apiPodStatus")?;
    let restart = restart::all_should_restart(&pod, Some(&runtime), status.as_ref());
    same(&json!({ "restart": restart }), expect)
}

fn any_regular_started(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let statuses: Vec<ContainerStatus> = get_or_default(given, "containerStatuses")?;
    let started = restart::any_app_started(&pod.spec, &statuses);
    same(&json!({ "started": started }), expect)
}

fn delays(given: &Value) -> Result<Delays, String> {
    Ok(Delays {
        initial_seconds: get(given, "initialSeconds")?,
        max_seconds: get(given, "maxSeconds")?,
    })
}

fn backoff(given: &Value, expect: &Value) -> Result<(), String> {
    let delays = delays(given)?;
    let key = BackOffKey::new("one");
    let mut table = BackOffTable::default();
    let mut steps = Vec::new();
    for step in get::<Vec<Value>>(expect, "steps")? {
        let seconds: i64 = get(&step, "atSeconds")?;
        let now = Timestamp::from_second(seconds).map_err(|e| e.to_string())?;
        steps.push(json!({ "atSeconds": seconds, "backoffSeconds": table.seconds(&key) }));
        table.enter(table.next(&key, delays, now, now));
    }
    same(&json!({ "steps": steps }), expect)
}

fn do_back_off(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let (runtime, _) = runtime(given, &pod)?;
    let name: String = get(given, "container")?;
    let (_, _, container) = pod.spec.find(&name).ok_or("no such container")?;
    let (delays, now) = (delays(given)?, get(given, "now")?);
    let mut table = BackOffTable::default();
    if get(given, "backoffUpdatedAtFinish")? {
        let exit = runtime.containers.first().and_then(|c| c.exit.as_ref());
        let at = exit.and_then(|e| e.finished_at).ok_or("no finish time")?;
        let key = BackOffKey::for_restart(&pod, container);
        table.enter(table.next(&key, delays, at, at));
    }
    let got = match may_start(&table, delays, &pod, container, &runtime, now) {
        Verdict::Go(_) => json!({ "inBackOff": false, "message": "", "error": "" }),
        Verdict::Wait { message, .. } => json!({
            "inBackOff": true,
            "message": message,
            "error": "CrashLoopBackOff",
        }),
    };
    same(&got, expect)
}

fn crash_loop_config(given: &Value, expect: &Value) -> Result<(), String> {
    let gates: Value = get_or_default(given, "gates")?;
    let reduced = get_or_default(&gates, "ReduceDefaultCrashLoopBackOffDecay")?;
    let delays = Delays::of_restarts(get(given, "configuredMaxSeconds")?, reduced);
    let got = json!({
        "initialSeconds": delays.initial_seconds,
        "maxSeconds": delays.max_seconds,
    });
    same(&got, expect)
}

fn kill_grace_period(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let name: String = get(given, "container")?;
    let (_, _, container) = pod.spec.find(&name).ok_or("no such container")?;
    let text: String = get_or_default(given, "reason")?;
    let reason = match text.as_str() {
        "StartupProbe" => Some(KillReason::StartupProbe),
        "LivenessProbe" => Some(KillReason::LivenessProbe),
        "Unknown" => Some(KillReason::Unknown),
        _ => None,
    };
    let seconds = grace_seconds(&pod, container, reason, None);
    same(&json!({ "gracePeriodSeconds": seconds }), expect)
}
