//! The sentences that tell where a number came from.

use super::*;
use crate::common::Resources;
use crate::pod::{Container, RestartPolicy};

fn container(name: &str, cpu: &str, sidecar: bool) -> Container {
    let requests = [("cpu".to_owned(), cpu.parse().unwrap())].into();
    Container {
        name: name.into(),
        resources: Resources {
            requests,
            ..Resources::default()
        },
        restart_policy: sidecar.then_some(RestartPolicy::Always),
        ..Container::default()
    }
}

#[test]
fn each_number_tells_which_containers_made_it() {
    let mut pod = Pod::default();
    let mut check = |change: fn(&mut Pod), text: &str| {
        change(&mut pod);
        let texts: Vec<String> = origins(&pod, Side::Requests)
            .iter()
            .map(Origin::to_string)
            .collect();
        assert_eq!(texts, [text]);
    };
    check(
        |p| p.spec.containers = vec![container("a", "300m", false)],
        r#"cpu request 300m: container "a" (300m)"#,
    );
    check(
        |p| p.spec.init_containers = vec![container("b", "500m", false)],
        r#"cpu request 500m: init container "b" (500m) needs more than all that runs afterwards together (300m)"#,
    );
    check(
        |p| {
            p.spec
                .init_containers
                .insert(0, container("s", "100m", true))
        },
        r#"cpu request 600m: init container "b" (500m) beside the sidecars before it, "s" (100m), needs more than all that runs afterwards together (400m)"#,
    );
    check(
        |p| p.spec.containers.push(container("c", "1", false)),
        r#"cpu request 1400m: containers "a" (300m), "c" (1) and "s" (100m) together; init container "b" needs no more than that (600m)"#,
    );
    check(
        |p| p.spec.overhead = [("cpu".to_owned(), "50m".parse().unwrap())].into(),
        r#"cpu request 1450m: containers "a" (300m), "c" (1) and "s" (100m) together; init container "b" needs no more than that (600m); plus overhead 50m"#,
    );
    check(
        |p| {
            p.spec.resources = Some(Resources {
                requests: [("cpu".to_owned(), "2".parse().unwrap())].into(),
                ..Resources::default()
            });
        },
        "cpu request 2050m: spec.resources of the pod; its containers come to 1400m; plus overhead 50m",
    );
}

#[test]
fn overhead_alone_is_called_so() {
    let mut pod = Pod::default();
    pod.spec.overhead = [("memory".to_owned(), "16Mi".parse().unwrap())].into();
    let texts: Vec<String> = origins(&pod, Side::Requests)
        .iter()
        .map(Origin::to_string)
        .collect();
    assert_eq!(
        texts,
        ["memory request 16Mi: overhead of the pod; no container names it"]
    );
    assert!(origins(&pod, Side::Limits).is_empty());
}
