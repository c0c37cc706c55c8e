//! Pods that several tests play, and what they read of the world's log.

use super::{World, pod};
use pod_model::pod::Pod;
use pod_model::status::PodStatus;
use serde_json::json;

/// Every step with its second.
pub(crate) fn steps(world: &World) -> Vec<(f64, &str)> {
    world.log.iter().map(|(at, s)| (*at, s.as_str())).collect()
}

/// The starts among them.
pub(crate) fn starts(world: &World) -> Vec<(f64, &str)> {
    let mut all = steps(world);
    all.retain(|(_, s)| s.starts_with("start "));
    all
}

/// The word that `kubectl get` shows for the first init container that is not done.
fn init_word(status: &PodStatus) -> String {
    let inits = &status.init_container_statuses;
    for (i, init) in inits.iter().enumerate() {
        match (&init.state.terminated, &init.state.waiting) {
            (Some(end), _) if end.exit_code == 0 => continue,
            (Some(end), _) => return format!("Init:{}", end.reason),
            (_, Some(w)) if !w.reason.is_empty() && w.reason != "PodInitializing" => {
                return format!("Init:{}", w.reason);
            }
            _ => return format!("Init:{i}/{}", inits.len()),
        }
    }
    match status.container_statuses.first() {
        Some(app) if app.state.running.is_some() => "Running".to_owned(),
        Some(app) => app.state.waiting.clone().unwrap_or_default().reason,
        None => "Pending".to_owned(),
    }
}

/// Those words, each as long as it stands.
pub(crate) fn words(world: &World) -> Vec<String> {
    let mut words: Vec<String> = world.statuses.iter().map(|(_, s)| init_word(s)).collect();
    words.dedup();
    words
}

/// An init container and an app.
pub(crate) fn one_init(policy: &str) -> Pod {
    pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "restartPolicy": policy,
            "terminationGracePeriodSeconds": 30,
            "initContainers": [{ "name": "init", "image": "busybox" }],
            "containers": [{ "name": "app", "image": "busybox" }],
        },
    }))
}

/// Two sidecars, an init container and an app.
pub(crate) fn with_sidecar() -> Pod {
    pod(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 30,
            "initContainers": [
                { "name": "s", "image": "i", "restartPolicy": "Always" },
                { "name": "t", "image": "i", "restartPolicy": "Always" },
                { "name": "i", "image": "i" },
            ],
            "containers": [{ "name": "a", "image": "i" }],
        },
    }))
}
