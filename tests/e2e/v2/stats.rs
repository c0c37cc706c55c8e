//! What `podwright stats` says on cgroup v2, pressure included.

use super::{node, pod, run};
use e2e::node::until;
use serde_json::Value;
use std::time::Duration;

fn stats(node: &e2e::Node, name: &str) -> Value {
    let outcome = node.run(&["stats", name, "-o", "json"]);
    serde_json::from_str(outcome.ok()).unwrap()
}

#[test]
fn pressure_of_a_container_that_is_held_back_is_told() {
    let node = node("pressure");
    // Two busy processes with a twentieth of a processor between them: each waits.
    let text = pod(
        "busy",
        "",
        "command: [sh, -c, 'while :; do :; done & while :; do :; done'], resources: {limits: {cpu: 50m, memory: 32Mi}}",
    );
    run(&node, "busy", &text);
    until("time spent waiting", Duration::from_secs(30), || {
        let told = stats(&node, "busy");
        let total = |who: &Value| who["pressure"]["cpu"]["some"]["total"].as_u64().unwrap();
        total(&told["pod"]) > 0 && total(&told["containers"][0]) > 0
    });
    let told = stats(&node, "busy");
    for who in [&told["pod"], &told["containers"][0]] {
        for resource in ["cpu", "memory", "io"] {
            let stalls = &who["pressure"][resource];
            assert!(stalls["full"]["avg300"].is_f64(), "{resource}: {who}");
        }
        assert!(who["throttledNs"].as_u64().unwrap() > 0, "{who}");
        assert_eq!(who["memoryLimitBytes"], Value::from(32 << 20));
    }
    node.finish();
}
