//! `explain` and `timeline`: what nobody should have to piece together from statuses and logs.

use e2e::Node;
use e2e::node::until;
use serde_json::Value;
use std::time::Duration;

const STUCK: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: stuck}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
  - {name: first, image: busybox, command: [sh, -c, "sleep 0.2"]}
  - {name: second, image: busybox, command: [sh, -c, "echo one; echo no route to host; exit 3"]}
  - {name: third, image: busybox, command: ["true"]}
  containers:
  - {name: app, image: busybox, command: [sleep, "1000"]}
"#;

#[test]
fn explain_names_the_init_container_that_fails_its_last_words_and_the_next_try() {
    let node = Node::new("explain");
    let file = node.file("pod.yaml", STUCK);
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("stuck", &["Init:CrashLoopBackOff"]);
    let text = node.run(&["explain", "stuck"]).ok().to_owned();
    for part in [
        "default/stuck is Init:CrashLoopBackOff: it is initialising: init container \"second\" (2 of 3) waits: CrashLoopBackOff",
        "waiting for   the end of its back-off",
        "exit code 3 (Error)",
        "no route to host",
        "next look",
        "Initialized=False: ContainersNotInitialized",
        "podwright logs stuck -c second",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let told: Value =
        serde_json::from_str(node.run(&["explain", "pod/stuck", "-o", "json"]).ok()).unwrap();
    assert_eq!(told["container"]["name"], "second");
    assert_eq!(told["container"]["position"], 2);
    assert_eq!(told["container"]["lastExit"]["code"], 3);
    assert_eq!(told["container"]["lastLines"][1], "no route to host");
    let one = node.run(&["explain", "stuck", "--lines", "1", "-o", "json"]);
    let told: Value = serde_json::from_str(one.ok()).unwrap();
    assert_eq!(
        told["container"]["lastLines"],
        serde_json::json!(["no route to host"])
    );
    assert!(told["nextAt"].is_string(), "{told}");
    node.run(&["explain", "nobody"]).fails(66);
    node.finish();
}

#[test]
fn explain_tells_a_missing_image_and_a_pod_that_is_well() {
    let node = Node::new("explainimage");
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  terminationGracePeriodSeconds: 0\n  \
                containers: [{name: app, image: nowhere/web:1, imagePullPolicy: Never, command: [sleep, '1000']}]\n";
    let file = node.file("pod.yaml", text);
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("p", &["ErrImageNeverPull"]);
    let told = node.run(&["explain", "p"]).ok().to_owned();
    assert!(
        told.contains("image \"nowhere/web:1\", which is not in the store"),
        "{told}"
    );
    assert!(
        told.contains("podwright image import ARCHIVE --name nowhere/web:1"),
        "{told}"
    );
    let archive = e2e::node::image().display().to_string();
    node.run(&["image", "import", &archive, "--name", "nowhere/web:1"])
        .ok();
    node.wait_status("p", &["Running"]);
    until("a pod that is ready", Duration::from_secs(10), || {
        node.run(&["explain", "p"])
            .ok()
            .contains("it runs, and everything of it is ready")
    });
    node.finish();
}

#[test]
fn the_timeline_shows_every_attempt_and_every_gap() {
    let node = Node::new("timeline");
    let file = node.file("pod.yaml", STUCK);
    node.run(&["create", "-f", &file]).ok();
    node.wait_status("stuck", &["Init:CrashLoopBackOff"]);
    let line: Value =
        serde_json::from_str(node.run(&["timeline", "stuck", "-o", "json"]).ok()).unwrap();
    let bars = line["bars"].as_array().unwrap();
    let of = |name: &str| {
        bars.iter()
            .filter(|b| b["name"] == name)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("pause").len(), 1);
    assert_eq!(of("first").len(), 1);
    assert_eq!(of("first")[0]["outcome"], "succeeded");
    assert!(!of("second").is_empty());
    assert_eq!(of("second")[0]["result"], "Error (3)");
    assert!(of("third").is_empty() && of("app").is_empty());
    let time = |v: &Value| v.as_str().unwrap().to_owned();
    assert!(
        time(&of("first")[0]["to"]) <= time(&of("second")[0]["from"]),
        "{line:#}"
    );
    let gaps = line["gaps"].as_array().unwrap();
    assert_eq!(gaps[0]["after"], "the pod's acceptance");
    assert_eq!(gaps[0]["before"], "first #0");
    let chart = node.run(&["timeline", "stuck"]).ok().to_owned();
    assert!(
        chart
            .lines()
            .any(|l| l.starts_with("init") && l.contains("second") && l.contains('█')),
        "{chart}"
    );
    assert!(!chart.contains('\u{1b}'), "no colours into a file");
    let picture = node
        .run(&["timeline", "stuck", "-o", "svg"])
        .ok()
        .to_owned();
    assert!(
        picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"),
        "{picture}"
    );
    assert!(picture.contains("second #0"), "{picture}");
    node.finish();
}
