//! Reads what several areas have in common: `given.runtime`, and fields by name.

use jiff::Timestamp;
use pod_model::config::spec_hash;
use pod_model::container_status::ProbeResults;
use pod_model::ids::{ContainerName, ImageId, ImageName};
use pod_model::pod::Pod;
use pod_model::runtime::{ContainerRecord, Exit, NamespaceMode, PodRuntime, RunState, Sandbox};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A field that must be there.
pub(super) fn get<T: DeserializeOwned>(given: &Value, key: &str) -> Result<T, String> {
    let value = given.get(key).ok_or_else(|| format!("no {key} is given"))?;
    T::deserialize(value).map_err(|e| format!("{key}: {e}"))
}

/// A field, or its default.
pub(super) fn get_or_default<T: DeserializeOwned + Default>(
    given: &Value,
    key: &str,
) -> Result<T, String> {
    match given.get(key) {
        None | Some(Value::Null) => Ok(T::default()),
        Some(_) => get(given, key),
    }
}

/// `Ok` where both are the same.
pub(super) fn same(got: &Value, expect: &Value) -> Result<(), String> {
    if got == expect {
        Ok(())
    } else {
        Err(got.to_string())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Runtime {
    sandboxes: Vec<SandboxGiven>,
    containers: Vec<ContainerGiven>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SandboxGiven {
    id: String,
    state: String,
    attempt: u32,
    ip: Option<String>,
    network_mode: String,
    created_at: Option<Timestamp>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerGiven {
    name: ContainerName,
    id: String,
    state: String,
    exit_code: i32,
    reason: String,
    message: String,
    image: String,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    restart_count: u32,
    hash_matches: Option<bool>,
}

/// State of a container by its name in the cases.
pub(super) fn state(text: &str) -> RunState {
    match text {
        "created" => RunState::Created,
        "running" => RunState::Running,
        "exited" => RunState::Exited,
        _ => RunState::Unknown,
    }
}

/// `given.runtime`, and the probe results in it.
pub(super) fn runtime(given: &Value, pod: &Pod) -> Result<(PodRuntime, ProbeResults), String> {
    let read: Runtime = get_or_default(given, "runtime")?;
    let probes = get_or_default(given, "runtime")?;
    let sandboxes: Vec<Sandbox> = read
        .sandboxes
        .into_iter()
        .map(|s| Sandbox {
            id: s.id.into(),
            ready: s.state == "READY",
            attempt: s.attempt,
            ip: s.ip,
            network: match s.network_mode.as_str() {
                "NODE" => NamespaceMode::Node,
                _ => NamespaceMode::Pod,
            },
            created_at: s.created_at,
        })
        .collect();
    let newest = sandboxes.first().map(|s| s.id.clone()).unwrap_or_default();
    let containers = read
        .containers
        .into_iter()
        .map(|c| {
            let state = state(&c.state);
            let in_spec = pod.spec.find(c.name.as_str());
            let image = in_spec.map_or(ImageName::default(), |(_, _, c)| c.image.clone());
            let hash = spec_hash(&c.name, &image);
            ContainerRecord {
                hash: c.hash_matches.map(|same| if same { hash } else { !hash }),
                id: c.id.into(),
                name: c.name,
                sandbox: newest.clone(),
                state,
                attempt: c.restart_count,
                image: c.image,
                image_id: ImageId::default(),
                created_at: c.created_at,
                started_at: c.started_at,
                exit: (state == RunState::Exited).then_some(Exit {
                    code: c.exit_code,
                    signal: None,
                    reason: c.reason,
                    message: c.message,
                    finished_at: c.finished_at,
                }),
                user: None,
                clamped: Vec::new(),
            }
        })
        .collect();
    Ok((
        PodRuntime {
            sandboxes,
            containers,
        },
        probes,
    ))
}
