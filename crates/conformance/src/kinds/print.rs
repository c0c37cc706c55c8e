//! Kinds about what kubectl shows.

use super::Check;
use jiff::{SignedDuration, Timestamp};
use pod_model::pod::Pod;
use pod_print::describe::{Extras, containers};
use pod_print::duration::{human_duration, short_human_duration};
use pod_print::pod_row::pod_row;
use pod_print::tabs::align;
use serde_json::{Value, json};

/// The kinds of this area.
pub(super) const KINDS: &[(&str, Check)] = &[
    ("printPod", print_pod),
    ("describeContainer", describe_container),
    ("humanDuration", human),
    ("shortHumanDuration", short),
];

fn compare(got: Value, expect: &Value) -> Result<(), String> {
    if got == *expect {
        Ok(())
    } else {
        Err(got.to_string())
    }
}

/// The model holds the phases that the API knows; upstream's tables use others, too. STATUS begins with `status.reason` if there is
/// one and with the phase otherwise, so such a word is put there.
fn pod_of(given: &Value) -> Result<Pod, String> {
    let mut pod = given["pod"].clone();
    let status = &mut pod["status"];
    if let Some(phase) = status["phase"].as_str().map(str::to_owned)
        && !["Pending", "Running", "Succeeded", "Failed", "Unknown"].contains(&phase.as_str())
        && let Some(status) = status.as_object_mut()
    {
        status.remove("phase");
        status.entry("reason").or_insert(Value::String(phase));
    }
    if pod["status"].is_null()
        && let Some(pod) = pod.as_object_mut()
    {
        pod.remove("status");
    }
    serde_json::from_value(pod).map_err(|e| format!("unreadable pod: {e}"))
}

fn print_pod(given: &Value, expect: &Value) -> Result<(), String> {
    let now: Timestamp =
        serde_json::from_value(given["now"].clone()).map_err(|e| format!("now: {e}"))?;
    let row = pod_row(&pod_of(given)?, now);
    let conditions = if row.completed {
        &["Completed"][..]
    } else {
        &[]
    };
    let mut got = json!({
        "name": row.name, "ready": row.ready, "status": row.status, "restarts": row.restarts, "age": row.age,
        "rowConditions": conditions,
    });
    if given["wide"] == true {
        got["ip"] = row.ip.into();
        got["node"] = row.node.into();
        got["nominatedNode"] = row.nominated_node.into();
        got["readinessGates"] = row.readiness_gates.into();
    }
    compare(got, expect)
}

/// Upstream's text still has its tabs; that they are laid out as `text/tabwriter` does is tested in pod-print itself.
fn describe_container(given: &Value, expect: &Value) -> Result<(), String> {
    let mut extras = Extras::default();
    for container in given["pod"]["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let devices: Vec<_> = container["volumeDevices"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|d| (text(&d["devicePath"]), text(&d["name"])))
            .collect();
        if !devices.is_empty() {
            extras.devices.insert(text(&container["name"]), devices);
        }
    }
    let text = containers(&pod_of(given)?, &extras);
    for part in expect["mustContain"].as_array().into_iter().flatten() {
        let part = part.as_str().unwrap_or_default();
        if !text.contains(part) && !align(&text, 0, 2).contains(part) {
            return Err(format!("{part:?} is missing in {text:?}"));
        }
    }
    compare(Value::String(text), &expect["text"])
}

fn duration(given: &Value) -> Result<SignedDuration, String> {
    let n = given["nanoseconds"].as_i64().ok_or("no nanoseconds")?;
    Ok(SignedDuration::from_nanos(n))
}

fn human(given: &Value, expect: &Value) -> Result<(), String> {
    compare(json!({"text": human_duration(duration(given)?)}), expect)
}

fn short(given: &Value, expect: &Value) -> Result<(), String> {
    compare(
        json!({"text": short_human_duration(duration(given)?)}),
        expect,
    )
}
