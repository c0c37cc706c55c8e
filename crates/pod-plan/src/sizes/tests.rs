use super::*;
use crate::testing::{at, pod};
use serde_json::json;

fn two(cpu: &str, memory: &str) -> Pod {
    let own = json!({ "requests": { "cpu": cpu, "memory": memory } });
    pod(json!({
        "initContainers": [{ "name": "i", "resources": { "limits": { "cpu": "1m" } } }],
        "containers": [{ "name": "a", "resources": own }, { "name": "b" }],
    }))
}

#[test]
fn a_node_lacks_what_is_more_than_all_that_it_has_and_memory_is_told_first() {
    let node = |list: &[(&str, &str)]| -> ResourceList {
        let each = list
            .iter()
            .map(|(k, v)| ((*k).to_owned(), v.parse().unwrap()));
        each.collect()
    };
    let both = node(&[("cpu", "1"), ("memory", "1Ki")]);
    let text = |what: &str| format!("Node didn't have enough capacity: {what}");
    for (cpu, memory, node, told) in [
        ("1", "1Ki", &both, None),
        (
            "1001m",
            "1Ki",
            &both,
            Some("cpu, requested: 1001, capacity: 1000"),
        ),
        (
            "1",
            "1025",
            &both,
            Some("memory, requested: 1025, capacity: 1024"),
        ),
        (
            "2",
            "2Ki",
            &both,
            Some("memory, requested: 2048, capacity: 1024"),
        ),
        // Of what is not told there is no end.
        ("9", "9Gi", &ResourceList::new(), None),
        ("9", "1Ki", &node(&[("memory", "1Ki")]), None),
    ] {
        assert_eq!(lacks(&two(cpu, memory), node), told.map(text));
    }
}

#[test]
fn events_of_a_resize_tell_what_each_container_has() {
    let containers = r#""initContainers":[{"name":"i","resources":{"limits":{"cpu":"1m"}}}],"containers":[{"name":"a","resources":{"requests":{"cpu":"1","memory":"1Ki"}}},{"name":"b","resources":{}}]"#;
    for (generation, error, rest) in [
        (Some(3), None, r#""generation":3"#),
        (None, Some("why"), r#""generation":0,"error":"why""#),
    ] {
        let told = summary(&two("1", "1Ki"), generation, error);
        assert_eq!(told, format!("{{{containers},{rest}}}"));
    }
}

#[test]
fn a_resize_stands_in_the_status_since_it_began_whatever_it_says_meanwhile() {
    let kinds = ["PodResizePending", "PodResizeInProgress"];
    let sizes = Sizes {
        pending: Some(Pending {
            reason: "Infeasible".to_owned(),
            message: "no".to_owned(),
            generation: Some(3),
        }),
        in_progress: Some(InProgress {
            generation: Some(2),
            error: Some("why".to_owned()),
        }),
        ..Sizes::default()
    };
    for (before, since) in [
        (&[][..], [9, 9]),
        (&[("PodResizePending", 1)], [1, 9]),
        (&[("PodResizeInProgress", 2)], [9, 2]),
        (
            &[("PodResizeInProgress", 2), ("PodResizePending", 1)],
            [1, 2],
        ),
        (&[("Ready", 5)], [9, 9]),
    ] {
        let previous = PodStatus {
            conditions: before
                .iter()
                .map(|(kind, second)| Condition {
                    kind: (*kind).to_owned(),
                    last_transition_time: Some(at(*second)),
                    ..Condition::default()
                })
                .collect(),
            ..PodStatus::default()
        };
        let mut status = PodStatus::default();
        sizes.show(&mut status, &previous, at(9));
        let told: Vec<_> = status
            .conditions
            .iter()
            .map(|c| (c.kind.as_str(), c.status.as_str(), c.reason.as_str()))
            .collect();
        let wanted = [
            (kinds[0], "True", "Infeasible"),
            (kinds[1], "True", "Error"),
        ];
        assert_eq!(told, wanted);
        let times: Vec<_> = status
            .conditions
            .iter()
            .map(|c| c.last_transition_time)
            .collect();
        assert_eq!(times, since.map(|s| Some(at(s))), "{before:?}");
        let of = status.conditions.iter().map(|c| c.observed_generation);
        assert_eq!(of.collect::<Vec<_>>(), [Some(3), Some(2)]);
    }
}
