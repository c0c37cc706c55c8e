//! Kinds about phase, conditions and container statuses.

use super::Check;
use super::facts::{get, get_or_default, runtime, same};
use pod_model::conditions;
use pod_model::container_status::{
    Facts, ProbeResults, Probed, apply_probes, container_statuses, restart_count_by_log_files,
};
use pod_model::ids::{ContainerName, SandboxId};
use pod_model::phase::phase;
use pod_model::pod::{ContainerKind, Pod};
use pod_model::pod_status::{StatusFacts, complete, draft};
use pod_model::status::{Condition, ContainerStatus, Phase, PodStatus};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of this area.
pub(super) const KINDS: &[(&str, Check)] = &[
    ("phase", check_phase),
    ("conditions", check_conditions),
    ("containerStatuses", check_container_statuses),
    ("podStatus", check_pod_status),
    ("probeStatus", check_probe_status),
    ("restartCountByLogDir", check_log_files),
];

fn check_phase(given: &Value, expect: &Value) -> Result<(), String> {
    let statuses: Vec<ContainerStatus> = get_or_default(given, "containerStatuses")?;
    let got = phase(
        &get::<Pod>(given, "pod")?,
        &statuses,
        get(given, "podIsTerminal")?,
        get(given, "podHasInitialized")?,
    );
    same(&json!({ "phase": got }), expect)
}

fn read_phase(given: &Value) -> Result<Phase, String> {
    let text: String = get_or_default(given, "phase")?;
    match text.as_str() {
        "" => Ok(Phase::Pending),
        _ => get(given, "phase"),
    }
}

fn check_conditions(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let statuses: Option<Vec<ContainerStatus>> = get_or_default(given, "containerStatuses")?;
    let statuses = statuses.as_deref();
    let others: Vec<Condition> = get_or_default(given, "conditions")?;
    let old: PodStatus = get_or_default(given, "oldStatus")?;
    let phase = read_phase(given)?;
    let (runtime, _) = runtime(given, &pod)?;
    let which: String = get(given, "condition")?;
    let got = match which.as_str() {
        "PodReadyToStartContainers" => conditions::ready_to_start_containers(&pod, &runtime),
        "Initialized" => conditions::initialized(&pod, &old.conditions, statuses, phase),
        "ContainersReady" => conditions::containers_ready(&pod, statuses, phase),
        "Ready" => conditions::ready(&pod, &others, statuses, phase),
        "AllContainersRestarting" => {
            conditions::all_containers_restarting(&pod, &old, &runtime, phase)
        }
        other => return Err(format!("condition {other} is not known")),
    };
    same(
        &json!({
            "type": got.kind,
            "status": got.status,
            "reason": got.reason,
            "message": got.message,
        }),
        expect,
    )
}

/// The cases leave out what is not set, and resources; so does this.
fn cut(statuses: &mut Value) {
    for status in statuses.as_array_mut().into_iter().flatten() {
        let Some(status) = status.as_object_mut() else {
            continue;
        };
        status.remove("resources");
        status.remove("allocatedResources");
        status.retain(|k, v| !((k == "state" || k == "lastState") && *v == json!({})));
    }
}

fn check_container_statuses(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let (runtime, _) = runtime(given, &pod)?;
    let names: Vec<ContainerName> = get(given, "containers")?;
    let previous: Vec<ContainerStatus> = get_or_default(given, "previousStatuses")?;
    let kind = match get(given, "isInitContainer")? {
        true => ContainerKind::Init,
        false => ContainerKind::App,
    };
    let find = |name: &ContainerName| pod.spec.find(name.as_str()).map(|(_, _, c)| c.clone());
    let containers: Vec<_> = names.iter().filter_map(find).collect();
    let facts = Facts {
        pod: &pod,
        runtime: &runtime,
        waiting: &BTreeMap::new(),
        id_prefix: "",
        restarting: get(given, "podRestarting")?,
    };
    let got = container_statuses(facts, kind, &containers, &previous);
    let mut got = json!({ "statuses": got });
    cut(&mut got["statuses"]);
    for status in got["statuses"].as_array_mut().into_iter().flatten() {
        if let Some(status) = status.as_object_mut() {
            status.remove("containerID");
            for state in ["state", "lastState"] {
                let end = status.get_mut(state).and_then(|s| s.get_mut("terminated"));
                if let Some(end) = end.and_then(Value::as_object_mut) {
                    end.remove("containerID");
                }
            }
        }
    }
    same(&got, expect)
}

fn check_pod_status(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let (mut runtime, _) = runtime(given, &pod)?;
    // Those that are not among the active ones are of another sandbox.
    let active = given.pointer("/runtime/activeContainers");
    let active = active.and_then(Value::as_array).into_iter().flatten();
    let active: Vec<&str> = active.filter_map(|c| c["id"].as_str()).collect();
    for record in &mut runtime.containers {
        if !active.contains(&record.id.as_str()) {
            record.sandbox = SandboxId::default();
        }
    }
    let previous: PodStatus = get_or_default(given, "previousStatus")?;
    let host_ips: Vec<String> = get(given, "nodeIPs")?;
    let facts = StatusFacts {
        pod: &pod,
        told: pod.status.as_ref(),
        runtime: &runtime,
        waiting: &BTreeMap::new(),
        previous: &previous,
        pod_ips: &[],
        host_ips: &host_ips,
        id_prefix: "",
        over: get(given, "podIsTerminal")?,
        evicted: None,
    };
    let mut status = draft(facts);
    // These cases come with a prober that says ready of all app containers but those named, and nothing of others.
    let failed: Vec<ContainerName> = get_or_default(given, "readinessFailed")?;
    for container in &mut status.container_statuses {
        container.ready = !failed.contains(&container.name);
    }
    complete(facts, &mut status);
    let gates: BTreeMap<String, bool> = get_or_default(given, "gates")?;
    if gates.get("PodReadyToStartContainersCondition") == Some(&false) {
        let mut list = status.conditions;
        list.retain(|c| c.kind != "PodReadyToStartContainers");
        status.conditions = list;
    }
    let mut got = serde_json::to_value(&status).map_err(|e| e.to_string())?;
    for list in [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ] {
        if let Some(list) = got.get_mut(list) {
            cut(list);
        }
    }
    same(&got, expect)
}

fn check_probe_status(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let mut status: PodStatus = get(given, "status")?;
    let results: ProbeResults = get_or_default(given, "results")?;
    let workers: Vec<String> = get_or_default(given, "workers")?;
    let of = |probe: &str| -> BTreeSet<ContainerName> {
        let pairs = workers.iter().filter_map(|w| w.split_once('/'));
        pairs
            .filter(|(_, p)| *p == probe)
            .map(|(c, _)| c.into())
            .collect()
    };
    let probed = Probed {
        startup: of("startup"),
        readiness: of("readiness"),
    };
    apply_probes(&pod.spec, &mut status, &probed, &results);
    let cells = |list: &[ContainerStatus]| -> Value {
        let cell =
            |s: &ContainerStatus| json!({ "name": s.name, "ready": s.ready, "started": s.started });
        list.iter().map(cell).collect()
    };
    same(
        &json!({
            "containerStatuses": cells(&status.container_statuses),
            "initContainerStatuses": cells(&status.init_container_statuses),
        }),
        expect,
    )
}

fn check_log_files(given: &Value, expect: &Value) -> Result<(), String> {
    let files: Vec<String> = get(given, "files")?;
    let count = restart_count_by_log_files(files.iter().map(String::as_str));
    same(&json!({ "restartCount": count }), expect)
}
