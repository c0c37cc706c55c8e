//! What a plan leaves for the next: what news voids of it, and what must be kept of it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as it says"
)]

use jiff::Timestamp;
use pod_model::ids::{ContainerId, ContainerName, ImageName};
use pod_model::pod::Pod;
use pod_plan::memory::{Memory, Overdue, PreStop, Readiness, Retry, Stage, StartError, Stopping};
use serde_json::json;
use std::collections::BTreeSet;

fn two_images() -> Pod {
    let pod = json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": { "containers": [{ "name": "a", "image": "one" }, { "name": "b", "image": "two" }] },
    });
    serde_json::from_value(pod).expect("a pod")
}

fn failed(memory: &mut Memory, container: &str, reason: &str) {
    let error = StartError {
        reason: reason.to_owned(),
        message: String::new(),
        at: Timestamp::UNIX_EPOCH,
        unhooked: None,
    };
    memory
        .start_errors
        .insert(ContainerName::new(container), error);
}

fn failing(memory: &Memory) -> Vec<&str> {
    memory
        .start_errors
        .keys()
        .map(ContainerName::as_str)
        .collect()
}

#[test]
fn an_image_that_arrives_is_news_for_those_containers_only_that_wait_for_it() {
    let mut memory = Memory::default();
    for container in ["a", "b"] {
        failed(&mut memory, container, "ErrImagePull");
    }
    memory.image_arrived(&two_images(), &ImageName::new("one"));
    assert_eq!(failing(&memory), ["b"]);
}

#[test]
fn changed_sources_void_what_was_known_of_volumes_and_of_missing_configuration_only() {
    let mut memory = Memory {
        volumes: Readiness::Ready,
        pod: Readiness::Ready,
        ..Memory::default()
    };
    failed(&mut memory, "a", "CreateContainerConfigError");
    failed(&mut memory, "b", "CreateContainerError");
    memory.sources_changed();
    assert_eq!(failing(&memory), ["b"]);
    assert_eq!(memory.volumes, Readiness::Unknown);
    assert_eq!(memory.pod, Readiness::Ready);
}

#[test]
fn a_new_daemon_makes_sure_of_everything_and_asks_again_for_every_end() {
    let stopping = |hook| Stopping {
        deadline: Timestamp::UNIX_EPOCH,
        asked: true,
        hook,
    };
    let mut memory = Memory {
        pod: Readiness::Ready,
        volumes: Readiness::Ready,
        sandbox: Readiness::Ready,
        ..Memory::default()
    };
    for (id, hook) in [
        ("due", PreStop::Due),
        ("running", PreStop::Running),
        ("over", PreStop::Over),
    ] {
        memory.stopping.insert(ContainerId::new(id), stopping(hook));
    }
    memory.after_restart();
    for readiness in [&memory.pod, &memory.volumes, &memory.sandbox] {
        assert_eq!(*readiness, Readiness::Unknown);
    }
    assert!(memory.stopping.values().all(|s| !s.asked));
    // A hook that ran under the daemon before is run again; one that is over is not.
    let hook = |id| memory.stopping[&ContainerId::new(id)].hook;
    assert_eq!(
        [hook("due"), hook("running"), hook("over")],
        [PreStop::Due, PreStop::Due, PreStop::Over]
    );
}

#[test]
fn what_no_status_tells_is_kept() {
    let kept = Memory::default();
    assert!(!Memory::default().differs_unseen(&kept));
    let mut told = Memory::default();
    failed(&mut told, "a", "ErrImagePull");
    assert!(!told.differs_unseen(&kept));
    let mut overdue = Memory::default();
    let late = Overdue {
        at: Timestamp::UNIX_EPOCH,
        limit: "1s".to_owned(),
    };
    overdue.overdue.insert(ContainerId::new("c"), late);
    let retry = Memory {
        retry: Some(Retry {
            skip: BTreeSet::new(),
            stage: Stage::Asked,
        }),
        ..Memory::default()
    };
    let mut sizes = Memory::default();
    sizes.sizes.shrunk = true;
    for memory in [overdue, retry, sizes] {
        assert!(memory.differs_unseen(&kept), "{memory:?}");
    }
}
