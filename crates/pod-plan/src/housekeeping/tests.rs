use super::*;
use crate::memory::Stopping;
use crate::sizes::Resource;
use crate::testing::{at, draft, ended, observed, pod, record, sandbox, steps};
use pod_model::config::PodCgroup;
use pod_model::ids::{ContainerId, SandboxId};
use pod_model::pod::Pod;
use serde_json::json;

fn three() -> Pod {
    pod(json!({
        "initContainers": [{ "name": "i" }, { "name": "s", "restartPolicy": "Always" }],
        "containers": [{ "name": "a" }, { "name": "b", "resources": { "limits": { "memory": "1" } } }],
    }))
}

#[test]
fn a_start_whose_answer_was_lost_is_known_by_its_record_and_a_number_never_falls() {
    for (known, found, after) in [
        (None, 0, 0),
        (None, 3, 3),
        (Some(1), 3, 3),
        (Some(3), 3, 3),
        (Some(5), 3, 5),
    ] {
        let mut memory = Memory::default();
        memory.attempts.extend(known.map(|n| ("a".into(), n)));
        memory.sizes.granted = Some(crate::sizes::Granted {
            containers: [("a".into(), Default::default())].into(),
            pod: None,
        });
        let mut newest = record("a", RunState::Running);
        newest.attempt = found;
        note_starts(&mut memory, &observed(vec![newest]).runtime);
        assert_eq!(memory.attempts["a"], after, "{known:?} {found}");
        // It has what was granted until then, if it is one that nobody knew of.
        let sized = memory.sizes.in_force.contains_key("a");
        assert_eq!(sized, known.is_none_or(|n| n < found), "{known:?} {found}");
    }
}

#[test]
fn only_what_has_not_ended_is_remembered_as_ending() {
    let pod = three();
    let observed = observed(vec![
        record("a", RunState::Running),
        ended("b", 0),
        record("s", RunState::Unknown),
    ]);
    let mut draft = draft(&pod, &observed, at(0));
    for id in ["a-0", "b-0", "s-0", "gone"] {
        let stopping = Stopping {
            deadline: at(9),
            asked: true,
            hook: Default::default(),
        };
        draft.memory.stopping.insert(ContainerId::new(id), stopping);
    }
    forget(&mut draft);
    let left: Vec<&str> = draft.memory.stopping.keys().map(|id| id.as_str()).collect();
    assert_eq!(left, ["a-0", "s-0"]);
}

#[test]
fn an_older_sandbox_is_stopped_then_removed_once_no_record_needs_it() {
    for (ready, stopped, record_left, step) in [
        (true, false, false, Some("stop sandbox old")),
        (true, true, false, Some("stop sandbox old")),
        (false, false, false, Some("stop sandbox old")),
        (false, true, false, Some("remove sandbox old")),
        (false, true, true, None),
        (false, false, true, Some("stop sandbox old")),
    ] {
        let pod = three();
        let mut observed = observed(vec![record("a", RunState::Running)]);
        observed.runtime.sandboxes.push(sandbox("old", ready));
        if record_left {
            let mut old = ended("b", 0);
            old.sandbox = SandboxId::new("old");
            observed.runtime.containers.push(old);
        }
        let mut draft = draft(&pod, &observed, at(0));
        if stopped {
            draft.memory.stopped.insert(SandboxId::new("old"));
        }
        tidy(&mut draft);
        let wanted = Vec::from_iter(step.map(str::to_owned));
        assert_eq!(steps(&draft), wanted, "{ready} {stopped} {record_left}");
    }
}

fn start(kind: ContainerKind, index: usize, name: &str) -> Step {
    Step::StartContainer {
        kind,
        index,
        name: name.into(),
        sandbox: SandboxId::new("s"),
        attempt: 0,
        back_off: None,
    }
}

#[test]
fn while_the_pod_cannot_grow_what_fits_starts_and_only_a_plain_init_container_holds_up_the_rest() {
    let grow = || Step::ResizePod {
        what: Resource::Memory,
        values: PodCgroup {
            memory: Some(2),
            ..PodCgroup::default()
        },
    };
    let init = || start(ContainerKind::Init, 0, "i");
    let sidecar = || start(ContainerKind::Init, 1, "s");
    let large = || start(ContainerKind::App, 0, "a");
    let small = || start(ContainerKind::App, 1, "b");
    for (planned, left) in [
        (vec![grow(), large(), small()], &["start b 0"][..]),
        (vec![grow(), sidecar(), small()], &["start b 0"]),
        (vec![grow(), init(), small()], &[]),
        // Nothing waits that stands before it.
        (vec![large(), grow(), init()], &["start a 0"]),
    ] {
        let pod = three();
        let mut observed = observed(vec![]);
        let memory = &mut observed.memory;
        memory.sizes.cgroup = Some(PodCgroup {
            memory: Some(1),
            ..PodCgroup::default()
        });
        memory.held.insert(grow().label(), at(10));
        let mut draft = draft(&pod, &observed, at(0));
        draft.steps = planned;
        hold_back(&mut draft);
        assert_eq!(steps(&draft), left);
        assert_eq!(draft.wake_at, Some(at(10)));
    }
}

#[test]
fn an_end_that_failed_a_moment_ago_waits_alone_and_is_not_taken_for_asked() {
    let stop = |name: &str| Step::StopContainer {
        id: ContainerId::new(format!("{name}-0")),
        name: name.into(),
        grace_ms: 2000,
        message: String::new(),
    };
    let last = Step::StopSandbox {
        id: SandboxId::new("s"),
    };
    let pod = three();
    let mut observed = observed(vec![]);
    observed.memory.held.insert(stop("a").label(), at(10));
    let asked = Stopping {
        deadline: at(2),
        asked: true,
        hook: Default::default(),
    };
    let stopping = &mut observed.memory.stopping;
    stopping.insert(ContainerId::new("a-0"), asked);
    let mut draft = draft(&pod, &observed, at(0));
    draft.steps = vec![stop("a"), stop("b"), last.clone()];
    hold_back(&mut draft);
    assert_eq!(steps(&draft), ["stop b-0 2000", "stop sandbox s"]);
    assert!(!draft.memory.stopping[&ContainerId::new("a-0")].asked);
    assert_eq!(draft.wake_at, Some(at(10)));
    // Everything else holds up what follows.
    draft.memory.held.insert(last.label(), at(5));
    draft.steps = vec![last, stop("b")];
    hold_back(&mut draft);
    assert_eq!(steps(&draft), Vec::<String>::new());
    assert_eq!(draft.wake_at, Some(at(5)));
}
