//! What a plan leaves for the next: what news voids of it, and what must be kept of it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as it says"
)]

use jiff::{SignedDuration, Timestamp};
use pod_model::ids::SandboxId;
use pod_model::ids::{ContainerId, ContainerName, ImageName};
use pod_model::pod::ContainerKind;
use pod_model::pod::Pod;
use pod_model::runtime::{NamespaceMode, PodRuntime, Sandbox};
use pod_plan::back_off::Limits;
use pod_plan::failure::Failure;
use pod_plan::memory::{Memory, Overdue, PreStop, Readiness, Retry, Stage, StartError, Stopping};
use pod_plan::observed::Observed;
use pod_plan::plan::plan;
use pod_plan::step::Step;
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

/// A pod whose sandbox runs, and of whose containers there is no record.
fn without_records(memory: Memory) -> Observed {
    let sandbox = Sandbox {
        id: SandboxId::new("s"),
        ready: true,
        attempt: 0,
        ip: None,
        network: NamespaceMode::Pod,
        created_at: Some(Timestamp::UNIX_EPOCH),
    };
    Observed {
        runtime: PodRuntime {
            sandboxes: vec![sandbox],
            containers: Vec::new(),
        },
        memory,
        ..Observed::default()
    }
}

#[test]
fn a_start_that_may_have_been_one_uses_up_its_number_though_its_answer_and_its_record_are_lost() {
    let text = || "why".to_owned();
    for (failure, next) in [
        (Failure::Other(text()), 1),
        (Failure::Start(text()), 1),
        (Failure::PostStart(text()), 1),
        // Of these it is known that there was none.
        (Failure::ImageName(text()), 0),
        (Failure::ImageNeverPull(text()), 0),
        (Failure::ImagePull(text()), 0),
        (Failure::Config(text()), 0),
        (Failure::Create(text()), 0),
        (Failure::Interrupted, 0),
    ] {
        let (pod, mut now) = (two_images(), Timestamp::UNIX_EPOCH);
        let mut memory = Memory::default();
        let asked = Step::StartContainer {
            kind: ContainerKind::App,
            index: 0,
            name: "a".into(),
            sandbox: SandboxId::new("s"),
            attempt: 0,
            back_off: None,
        };
        memory.failed(&pod, &asked, &failure, &Limits::default(), now);
        // Whatever is waited for is over then.
        now += SignedDuration::from_secs(60);
        let plan = plan(&pod, &without_records(memory), now);
        let attempt = plan.steps.iter().find_map(|step| match step {
            Step::StartContainer { name, attempt, .. } if name.as_str() == "a" => Some(*attempt),
            _ => None,
        });
        assert_eq!(attempt, Some(next), "{failure:?}");
    }
}

#[test]
fn a_container_whose_start_had_no_answer_has_the_size_that_was_granted_when_it_was_asked_for() {
    let mut memory = Memory::default();
    let mut pod = two_images();
    // The size that the pod began with is in force from its first plan on.
    memory = plan(&pod, &without_records(memory), Timestamp::UNIX_EPOCH).memory;
    let limits = &mut pod.spec.containers[0].resources.limits;
    limits.insert("cpu".to_owned(), "1".parse().expect("a quantity"));
    memory = plan(&pod, &without_records(memory), Timestamp::UNIX_EPOCH).memory;
    let in_force = |memory: &Memory| memory.sizes.in_force[&ContainerName::new("a")].clone();
    assert_ne!(in_force(&memory), pod.spec.containers[0].resources);
    let asked = Step::StartContainer {
        kind: ContainerKind::App,
        index: 0,
        name: "a".into(),
        sandbox: SandboxId::new("s"),
        attempt: 0,
        back_off: None,
    };
    let lost = Failure::Other("no answer".to_owned());
    memory.failed(
        &pod,
        &asked,
        &lost,
        &Limits::default(),
        Timestamp::UNIX_EPOCH,
    );
    assert_eq!(in_force(&memory), pod.spec.containers[0].resources);
}

#[test]
fn a_failure_voids_the_rest_of_a_plan_only_where_that_builds_on_it() {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u" },
        "spec": {
            "initContainers": [{ "name": "i" }, { "name": "s", "restartPolicy": "Always" }],
            "containers": [{ "name": "a" }],
            "ephemeralContainers": [{ "name": "e" }],
        },
    }))
    .expect("a pod");
    let start = |kind, index, name: &str| Step::StartContainer {
        kind,
        index,
        name: name.into(),
        sandbox: SandboxId::new("s"),
        attempt: 0,
        back_off: None,
    };
    let id = || ContainerId::new("c");
    let stop = Step::StopContainer {
        id: id(),
        name: "a".into(),
        grace_ms: 2000,
        message: String::new(),
    };
    let remove = Step::RemoveContainer {
        id: id(),
        name: "a".into(),
        logs: false,
    };
    let hook = Step::PreStop {
        id: id(),
        name: "a".into(),
        kind: ContainerKind::App,
        index: 0,
    };
    let sandbox = || SandboxId::new("s");
    for (step, events, stop, held) in [
        (
            Step::EnsurePod,
            &["FailedCreatePodContainer"][..],
            true,
            false,
        ),
        (Step::PrepareVolumes, &["FailedMount"], true, false),
        (
            Step::RunSandbox { attempt: 0 },
            &["FailedCreatePodSandBox"],
            true,
            false,
        ),
        // An init container that cannot start holds up all that follow; nothing else does.
        (start(ContainerKind::Init, 0, "i"), &["Failed"], true, false),
        (
            start(ContainerKind::Init, 1, "s"),
            &["Failed"],
            false,
            false,
        ),
        (start(ContainerKind::App, 0, "a"), &["Failed"], false, false),
        (
            start(ContainerKind::Ephemeral, 0, "e"),
            &["Failed"],
            false,
            false,
        ),
        // The others must end all the same.
        (stop, &["FailedKillPod"], false, true),
        (hook, &[], false, false),
        (remove, &["FailedKillPod"], true, true),
        (
            Step::StopSandbox { id: sandbox() },
            &["FailedKillPod"],
            true,
            true,
        ),
        (
            Step::RemoveSandbox { id: sandbox() },
            &["FailedKillPod"],
            true,
            true,
        ),
        (Step::RemovePod, &["FailedKillPod"], true, true),
    ] {
        let (limits, now) = (Limits::default(), Timestamp::UNIX_EPOCH);
        let mut memory = Memory::default();
        let failure = Failure::Other("why".to_owned());
        let noted = memory.failed(&pod, &step, &failure, &limits, now);
        let told: Vec<&str> = noted.events.iter().map(|e| e.reason.as_str()).collect();
        assert_eq!((told.as_slice(), noted.stop), (events, stop), "{step:?}");
        assert_eq!(memory.held.contains_key(&step.label()), held, "{step:?}");
        // What was given up for something more urgent is as if it had not been begun.
        let mut memory = Memory::default();
        let noted = memory.failed(&pod, &step, &Failure::Interrupted, &limits, now);
        assert_eq!((noted.events, noted.stop), (vec![], true), "{step:?}");
        assert_eq!(memory, Memory::default(), "{step:?}");
    }
}

#[test]
fn each_volume_that_cannot_be_made_is_told_of() {
    let volumes = [("v", "no such ConfigMap"), ("w", "no space")];
    let volumes = volumes.map(|(name, cause)| (name.to_owned(), cause.to_owned()));
    for (failure, texts) in [
        (
            Failure::Volumes(volumes.to_vec()),
            &[
                "MountVolume.SetUp failed for volume \"v\" : no such ConfigMap",
                "MountVolume.SetUp failed for volume \"w\" : no space",
            ][..],
        ),
        (Failure::Other("no answer".to_owned()), &["no answer"]),
    ] {
        let mut memory = Memory::default();
        let (limits, now) = (Limits::default(), Timestamp::UNIX_EPOCH);
        let step = Step::PrepareVolumes;
        let noted = memory.failed(&two_images(), &step, &failure, &limits, now);
        let told: Vec<&str> = noted.events.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(told, texts);
        let found = Readiness::Failed {
            problems: failure.problems(),
            at: now,
        };
        assert_eq!(memory.volumes, found);
    }
}
