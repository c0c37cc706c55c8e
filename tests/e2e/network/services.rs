//! Services: made, shown, balanced over ready pods, and forgotten.

use e2e::apart;
use e2e::lan::{node, shows};

const SERVICE: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web-front, labels: {tier: front}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
"#;

fn web(name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "mkdir /www; echo {name} > /www/index.html; exec httpd -f -p 8080 -h /www"]
    ports: [{{name: http, containerPort: 8080}}]
"#
    )
}

const CLIENT: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, command: [sh, -c, "env | grep WEB_FRONT | sort; exec sleep 1000"]}
"#;

#[test]
fn a_service_is_created_shown_described_and_deleted() {
    apart(
        module_path!(),
        "a_service_is_created_shown_described_and_deleted",
        || {
            let node = node("svc");
            let file = node.file("service.yaml", SERVICE);
            assert_eq!(
                node.run(&["create", "-f", &file]).ok(),
                "service/web-front created\n"
            );
            let again = node.run(&["create", "-f", &file]);
            assert!(
                again.err.contains("services \"web-front\" already exists"),
                "{}",
                again.err
            );
            let listed = node.run(&["get", "svc", "--no-headers"]);
            let words: Vec<&str> = listed.ok().split_whitespace().take(5).collect();
            assert_eq!(
                words,
                ["web-front", "ClusterIP", "10.89.0.1", "<none>", "80/TCP"]
            );
            let described = node.run(&["describe", "service", "web-front"]);
            for line in [
                "Name:                     web-front\n",
                "Labels:                   tier=front\n",
                "Selector:                 app=web\n",
                "IP:                       10.89.0.1\n",
                "Port:                     http  80/TCP\n",
                "TargetPort:               http/TCP\n",
            ] {
                assert!(described.ok().contains(line), "{line}{}", described.out);
            }
            let taken = SERVICE
                .replace("web-front", "other")
                .replace("spec:\n", "spec:\n  clusterIP: 10.89.0.1\n");
            let refused = node.run(&["create", "-f", &node.file("taken.yaml", &taken)]);
            assert!(
                refused.err.contains("provided IP is already allocated"),
                "{}",
                refused.err
            );
            let outside = taken.replace("10.89.0.1", "10.1.2.3");
            let refused = node.run(&["create", "-f", &node.file("outside.yaml", &outside)]);
            assert!(
                refused
                    .err
                    .contains("is not in the valid range. The range of valid IPs is 10.89.0.0/24"),
                "{}",
                refused.err
            );
            assert_eq!(
                node.run(&["delete", "service", "web-front"]).ok(),
                "service \"web-front\" deleted from default namespace\n"
            );
            assert_eq!(
                node.run(&["get", "svc"]).err,
                "No resources found in default namespace.\n"
            );
            node.finish();
        },
    );
}

#[test]
fn connections_spread_over_the_ready_pods_and_follow_them() {
    apart(
        module_path!(),
        "connections_spread_over_the_ready_pods_and_follow_them",
        || {
            let node = node("balance");
            node.run(&["create", "-f", &node.file("service.yaml", SERVICE)])
                .ok();
            node.run(&["create", "-f", &node.file("client.yaml", CLIENT)])
                .ok();
            node.wait_status("client", &["Running"]);
            let environment = shows(&node, &["logs", "client"], "WEB_FRONT_SERVICE_PORT_HTTP=80");
            assert!(
                environment
                    .out
                    .contains("WEB_FRONT_SERVICE_HOST=10.89.0.1\n"),
                "{}",
                environment.out
            );
            let ask = [
                "exec",
                "client",
                "--",
                "wget",
                "-q",
                "-O",
                "-",
                "http://web-front/",
            ];
            let refused = node.run(&ask);
            assert!(
                refused.err.contains("Connection refused"),
                "{} {}",
                refused.out,
                refused.err
            );
            for name in ["one", "two"] {
                node.run(&[
                    "create",
                    "-f",
                    &node.file(&format!("{name}.yaml"), &web(name)),
                ])
                .ok();
                node.wait_status(name, &["Running"]);
            }
            for name in ["one", "two"] {
                shows(&node, &ask, name);
            }
            let described = shows(&node, &["describe", "service", "web-front"], ",10.88.0.");
            assert!(described.ok().contains(":8080"), "{}", described.out);
            // By itself, through the Service.
            node.run(&["delete", "pod", "two"]).ok();
            for _ in 0..10 {
                assert_eq!(node.run(&ask).ok(), "one\n");
            }
            let itself = [
                "exec",
                "one",
                "--",
                "wget",
                "-q",
                "-O",
                "-",
                "http://web-front/",
            ];
            assert_eq!(node.run(&itself).ok(), "one\n");
            node.finish();
        },
    );
}

#[test]
fn services_outlive_the_daemon_with_their_addresses() {
    apart(
        module_path!(),
        "services_outlive_the_daemon_with_their_addresses",
        || {
            let node = node("svckill");
            let fixed = SERVICE.replace("spec:\n", "spec:\n  clusterIP: 10.89.0.77\n");
            node.run(&["create", "-f", &node.file("service.yaml", &fixed)])
                .ok();
            let uid = |node: &e2e::Node| {
                node.run(&["get", "service", "web-front", "-o", "json"])
                    .ok()
                    .to_owned()
            };
            let before: serde_json::Value = serde_json::from_str(&uid(&node)).unwrap();
            let daemon = node.daemon().unwrap();
            let killed = std::process::Command::new("kill")
                .args(["-9", &daemon.to_string()])
                .status();
            assert!(killed.is_ok_and(|s| s.success()));
            let after: serde_json::Value = serde_json::from_str(&uid(&node)).unwrap();
            assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
            assert_eq!(after["spec"]["clusterIP"], "10.89.0.77");
            node.run(&[
                "create",
                "--replace",
                "-f",
                &node.file("again.yaml", SERVICE),
            ])
            .ok();
            let replaced: serde_json::Value = serde_json::from_str(&uid(&node)).unwrap();
            assert_eq!(replaced["spec"]["clusterIP"], "10.89.0.77");
            node.finish();
        },
    );
}
