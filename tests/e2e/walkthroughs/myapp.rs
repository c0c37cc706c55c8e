//! `myapp-pod`: two init containers wait for two Services.

use e2e::lan::{example, node, shows};
use e2e::{Node, apart};

/// READY, STATUS and RESTARTS of the pod.
fn row(node: &Node) -> Vec<String> {
    let listed = node.run(&["get", "-f", &example("myapp-pod.yaml"), "--no-headers"]);
    let words = listed.ok().split_whitespace().skip(1).take(3);
    words.map(str::to_owned).collect()
}

/// The section of one container in `describe`.
fn section(text: &str, container: &str) -> String {
    let start = text
        .find(&format!("  {container}:\n"))
        .unwrap_or_else(|| panic!("no {container} in\n{text}"));
    let rest = &text[start + 2..];
    let lines = rest.lines().skip(1).take_while(|l| l.starts_with("    "));
    lines
        .map(|l| format!("{}\n", l.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

fn service(node: &Node, name: &str) -> String {
    let all = std::fs::read_to_string(example("services.yaml")).unwrap();
    let one = all
        .split("---\n")
        .find(|d| d.contains(&format!("name: {name}\n")))
        .unwrap();
    node.file(&format!("{name}.yaml"), one)
}

#[test]
fn each_init_container_waits_for_its_service_and_every_view_shows_where_the_pod_is() {
    apart(
        module_path!(),
        "each_init_container_waits_for_its_service_and_every_view_shows_where_the_pod_is",
        || {
            let node = node("myapp");
            let file = example("myapp-pod.yaml");
            assert_eq!(
                node.run(&["create", "-f", &file]).ok(),
                "pod/myapp-pod created\n"
            );
            node.wait_status("myapp-pod", &["Init:0/2"]);
            assert_eq!(row(&node), ["0/1", "Init:0/2", "0"]);
            let waiting = shows(
                &node,
                &["logs", "myapp-pod", "-c", "init-myservice"],
                "waiting for myservice\n",
            );
            assert!(
                waiting.out.contains("nslookup: can't resolve 'myservice'"),
                "{}",
                waiting.out
            );
            let later = node.run(&["logs", "myapp-pod", "-c", "init-mydb"]);
            assert!(
                later.err.contains("container \"init-mydb\" in pod \"myapp-pod\" is waiting to start: PodInitializing"),
                "{}",
                later.err
            );
            let described = node.run(&["describe", "-f", &file]).ok().to_owned();
            assert!(
                described
                    .lines()
                    .any(|l| l.split_whitespace().eq(["Status:", "Pending"])),
                "{described}"
            );
            let first = section(&described, "init-myservice");
            assert!(first.contains("State: Running\n"), "{first}");
            let second = section(&described, "init-mydb");
            assert!(
                second.contains("State: Waiting\nReason: PodInitializing\nReady: False\n"),
                "{second}"
            );
            let app = section(&described, "myapp-container");
            assert!(
                app.contains("State: Waiting\nReason: PodInitializing\nReady: False\n"),
                "{app}"
            );
            let conditions = |text: &str, name: &str| {
                let line = text
                    .lines()
                    .find(|l| l.trim_start().starts_with(&format!("{name} ")));
                line.and_then(|l| l.split_whitespace().nth(1))
                    .unwrap_or("")
                    .to_owned()
            };
            assert_eq!(conditions(&described, "Initialized"), "False");
            let events = node.run(&["events", "--for", "pod/myapp-pod"]);
            for reason in ["Pulled", "Created", "Started"] {
                let told = events.ok().lines().any(|l| {
                    l.contains(reason) && l.contains("spec.initContainers{init-myservice}")
                });
                assert!(told, "{reason}: {}", events.out);
            }

            let began = std::time::Instant::now();
            assert_eq!(
                node.run(&["create", "-f", &service(&node, "myservice")])
                    .ok(),
                "service/myservice created\n"
            );
            node.wait_status("myapp-pod", &["Init:1/2"]);
            let took = began.elapsed();
            assert!(took < std::time::Duration::from_secs(6), "{took:?}");
            assert_eq!(row(&node), ["0/1", "Init:1/2", "0"]);
            let described = node.run(&["describe", "-f", &file]).ok().to_owned();
            let first = section(&described, "init-myservice");
            assert!(
                first.contains("State: Terminated\nReason: Completed\nExit Code: 0\n"),
                "{first}"
            );
            assert!(first.contains("\nReady: True\n"), "{first}");
            let found = node.run(&["logs", "myapp-pod", "-c", "init-myservice"]);
            assert!(
                found
                    .ok()
                    .contains("Name:      myservice\nAddress 1: 10.89.0."),
                "{}",
                found.out
            );
            shows(
                &node,
                &["logs", "myapp-pod", "-c", "init-mydb"],
                "waiting for mydb\n",
            );

            node.run(&["create", "-f", &service(&node, "mydb")]).ok();
            node.wait_status("myapp-pod", &["Running"]);
            shows(&node, &["get", "pods"], "1/1");
            assert_eq!(row(&node), ["1/1", "Running", "0"]);
            shows(&node, &["logs", "myapp-pod"], "The app is running!\n");
            let described = node.run(&["describe", "-f", &file]).ok().to_owned();
            for condition in ["Initialized", "Ready", "ContainersReady", "PodScheduled"] {
                assert_eq!(
                    conditions(&described, condition),
                    "True",
                    "{condition} {described}"
                );
            }
            for container in ["init-myservice", "init-mydb"] {
                node.run(&["logs", "myapp-pod", "-c", container]).ok();
            }
            node.run(&["delete", "-f", &file, "--grace-period", "1"])
                .ok();
            node.finish();
        },
    );
}

#[test]
fn a_wait_of_a_hundred_seconds_ends_when_the_service_comes() {
    apart(
        module_path!(),
        "a_wait_of_a_hundred_seconds_ends_when_the_service_comes",
        || {
            let node = node("patient");
            node.run(&["create", "-f", &example("wait-100s.yaml")]).ok();
            shows(
                &node,
                &["logs", "patient", "-c", "wait"],
                "can't resolve 'myservice'",
            );
            node.run(&["create", "-f", &example("services.yaml")]).ok();
            node.wait_status("patient", &["Completed"]);
            assert_eq!(node.run(&["logs", "patient"]).ok(), "The app is running!\n");
            node.finish();
        },
    );
}

#[test]
fn the_pod_as_kubernetes_1_5_wrote_it_waits_likewise_and_elsewhere_its_annotation_is_warned_of() {
    apart(
        module_path!(),
        "the_pod_as_kubernetes_1_5_wrote_it_waits_likewise_and_elsewhere_its_annotation_is_warned_of",
        || {
            let node = node("myapp15");
            let file = example("myapp-pod-1.5.yaml");
            let created = node.run(&["create", "--api-compat", "1.5", "-f", &file]);
            assert_eq!(created.ok(), "pod/myapp-pod created\n");
            node.wait_status("myapp-pod", &["Init:0/2"]);
            shows(
                &node,
                &["logs", "myapp-pod", "-c", "init-myservice"],
                "waiting for myservice\n",
            );
            node.run(&["create", "-f", &service(&node, "myservice")])
                .ok();
            node.wait_status("myapp-pod", &["Init:1/2"]);
            // As that version showed it: in the annotations, of both names, and not in the spec.
            let old = [
                "get",
                "pod",
                "myapp-pod",
                "-o",
                "json",
                "--api-compat",
                "1.5",
            ];
            let old: serde_json::Value = serde_json::from_str(node.run(&old).ok()).unwrap();
            assert!(old["spec"].get("initContainers").is_none(), "{old:#}");
            for word in ["alpha", "beta"] {
                let key = |of: &str| format!("pod.{word}.kubernetes.io/init-{of}");
                let list = |of: &str| {
                    let text = old["metadata"]["annotations"][key(of)].as_str();
                    serde_json::from_str::<serde_json::Value>(text.unwrap_or("null")).unwrap()
                };
                assert_eq!(list("containers")[1]["name"], "init-mydb");
                let first = list("container-statuses")[0].clone();
                assert_eq!(first["state"]["terminated"]["exitCode"], 0, "{first}");
            }
            node.run(&["create", "-f", &service(&node, "mydb")]).ok();
            node.wait_status("myapp-pod", &["Running"]);
            shows(&node, &["logs", "myapp-pod"], "The app is running!\n");
            node.run(&["delete", "pod", "myapp-pod", "--grace-period", "1"])
                .ok();
            // Today the annotation means nothing: the app starts at once, and the user is told why.
            let created = node.run(&["create", "-f", &file]);
            created.ok();
            let key = "pod.beta.kubernetes.io/init-containers";
            assert!(
                created.err.contains("Warning: ") && created.err.contains(key),
                "{}",
                created.err
            );
            node.wait_status("myapp-pod", &["Running"]);
            assert!(
                node.pod("myapp-pod")["spec"]
                    .get("initContainers")
                    .is_none()
            );
            node.run(&["delete", "pod", "myapp-pod", "--grace-period", "1"])
                .ok();
            node.finish();
        },
    );
}
