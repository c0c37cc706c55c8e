//! Pods and records for the tests of rules.

use crate::draft::Draft;
use crate::memory::Memory;
use crate::observed::Observed;
use jiff::Timestamp;
use pod_model::config::spec_hash;
use pod_model::ids::{ContainerId, ImageId, SandboxId};
use pod_model::pod::Pod;
use pod_model::runtime::{ContainerRecord, Exit, NamespaceMode, PodRuntime, RunState, Sandbox};
use serde_json::{Value, json};

/// A second of a day.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

/// A pod with that spec.
pub(crate) fn pod(spec: Value) -> Pod {
    let metadata = json!({ "name": "p", "namespace": "ns", "uid": "u" });
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).unwrap()
}

/// The first attempt of a container, in sandbox `s`; `a-0` is its id. What has ended has succeeded.
pub(crate) fn record(name: &str, state: RunState) -> ContainerRecord {
    ContainerRecord {
        id: ContainerId::new(format!("{name}-0")),
        name: name.into(),
        sandbox: SandboxId::new("s"),
        state,
        attempt: 0,
        hash: Some(spec_hash(&name.into(), &"i".into())),
        image: "i".to_owned(),
        image_id: ImageId::default(),
        created_at: Some(at(0)),
        started_at: Some(at(0)),
        exit: (state == RunState::Exited).then(|| Exit {
            code: 0,
            reason: "Completed".to_owned(),
            finished_at: Some(at(1)),
            ..Exit::default()
        }),
        user: None,
        clamped: Vec::new(),
    }
}

/// One that has ended with that code.
pub(crate) fn ended(name: &str, code: i32) -> ContainerRecord {
    let mut record = record(name, RunState::Exited);
    record.exit.as_mut().unwrap().code = code;
    record
}

/// A sandbox on the pod's network.
pub(crate) fn sandbox(id: &str, ready: bool) -> Sandbox {
    Sandbox {
        id: SandboxId::new(id),
        ready,
        attempt: 0,
        ip: None,
        network: NamespaceMode::Pod,
        created_at: Some(at(0)),
    }
}

/// Those records beside the sandbox `s`, which runs.
pub(crate) fn observed(containers: Vec<ContainerRecord>) -> Observed {
    Observed {
        runtime: PodRuntime {
            sandboxes: vec![sandbox("s", true)],
            containers,
        },
        ..Observed::default()
    }
}

/// A plan in the making, of what was observed and is remembered.
pub(crate) fn draft<'a>(pod: &'a Pod, observed: &'a Observed, now: Timestamp) -> Draft<'a> {
    Draft::new(pod, observed, observed.memory.clone(), now)
}

/// The steps that a draft has by now, with the grace of ends.
pub(crate) fn steps(draft: &Draft<'_>) -> Vec<String> {
    crate::testing::told(&draft.steps)
}

/// Steps in short, with the grace of ends.
pub(crate) fn told(steps: &[crate::step::Step]) -> Vec<String> {
    let one = |step: &crate::step::Step| match step {
        crate::step::Step::StopContainer { id, grace_ms, .. } => format!("stop {id} {grace_ms}"),
        other => other.label(),
    };
    steps.iter().map(one).collect()
}

/// What is remembered of a pod whose cgroup and volumes are there.
pub(crate) fn settled() -> Memory {
    use crate::memory::Readiness::Ready;
    Memory {
        pod: Ready,
        volumes: Ready,
        sandbox: Ready,
        ..Memory::default()
    }
}
