//! Services: made, shown, balanced over ready pods, and forgotten.

use e2e::apart;
use e2e::lan::{node, shows};
use e2e::node::until;
use std::time::Duration;

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

#[test]
fn a_service_of_type_nodeport_is_reached_by_a_port_of_the_node() {
    apart(
        module_path!(),
        "a_service_of_type_nodeport_is_reached_by_a_port_of_the_node",
        || {
            let node = node("nodeport");
            let file = node.file("web.yaml", &web("one"));
            node.run(&["create", "-f", &file]).ok();
            node.wait_status("one", &["Running"]);
            let service = SERVICE.replace("spec:\n", "spec:\n  type: NodePort\n");
            let file = node.file("service.yaml", &service);
            node.run(&["create", "-f", &file]).ok();
            let listed = node.run(&["get", "svc", "--no-headers"]);
            let words: Vec<&str> = listed.ok().split_whitespace().take(5).collect();
            let wanted = [
                "web-front",
                "NodePort",
                "10.89.0.1",
                "<none>",
                "80:30000/TCP",
            ];
            assert_eq!(words, wanted);
            let described = node.run(&["describe", "service", "web-front"]);
            for line in [
                "Type:                     NodePort\n",
                "NodePort:                 http  30000/TCP\n",
                "External Traffic Policy:  Cluster\n",
            ] {
                assert!(described.ok().contains(line), "{line}{}", described.out);
            }
            // From a pod, and from the node itself, by an address of the node.
            let fetch = "wget -q -O - http://10.88.0.1:30000/";
            let inside = ["exec", "one", "--", "sh", "-c", fetch];
            assert_eq!(shows(&node, &inside, "one").ok(), "one\n");
            let mut stream = std::net::TcpStream::connect(("10.88.0.1", 30000)).expect("the port");
            let ask = b"GET / HTTP/1.0\r\n\r\n";
            std::io::Write::write_all(&mut stream, ask).expect("to ask");
            let answer = std::io::read_to_string(stream).expect("an answer");
            assert!(answer.ends_with("one\n"), "{answer}");
            // Containers that start now find the Service in their environment, unless they wish not to.
            let mute = CLIENT
                .replace("name: client", "name: mute")
                .replace("spec:\n", "spec:\n  enableServiceLinks: false\n");
            for (name, text) in [("client", CLIENT), ("mute", mute.as_str())] {
                let file = node.file("client.yaml", text);
                node.run(&["create", "-f", &file]).ok();
                node.wait_status(name, &["Running"]);
            }
            let host = "WEB_FRONT_SERVICE_HOST=10.89.0.1\n";
            shows(&node, &["logs", "client"], host);
            let env = node.run(&["exec", "mute", "--", "env"]);
            assert!(!env.ok().contains("WEB_FRONT"), "{}", env.out);
            // Another one may not have that port, nor one beyond the range; a change of the Service keeps it.
            for (port, cause) in [
                ("30000", "provided port is already allocated"),
                ("80", "The range of valid ports is 30000-32767"),
            ] {
                let other = service
                    .replace("web-front", "other")
                    .replace("port: 80", &format!("port: 80, nodePort: {port}"));
                let refused = node.run(&["create", "-f", &node.file("other.yaml", &other)]);
                assert!(refused.err.contains(cause), "{}", refused.err);
            }
            let changed = service.replace("tier: front", "tier: back");
            let file = node.file("changed.yaml", &changed);
            node.run(&["replace", "-f", &file]).ok();
            let listed = node.run(&["get", "svc", "--no-headers"]);
            assert!(listed.ok().contains("80:30000/TCP"), "{}", listed.out);
            // Types that are not there are refused by their name.
            let balancer = service
                .replace("NodePort", "LoadBalancer")
                .replace("web-front", "other");
            let refused = node.run(&["create", "-f", &node.file("lb.yaml", &balancer)]);
            let text = "spec.type: LoadBalancer is not supported yet";
            assert!(refused.err.contains(text), "{}", refused.err);
            // Back to a Service of the inside: the port of the node is closed, the address stays.
            let inside = r#"{"spec": {"type": "ClusterIP"}}"#;
            let done = node.run(&["patch", "service", "web-front", "-p", inside, "-o", "json"]);
            let patched: serde_json::Value = serde_json::from_str(done.ok()).expect("JSON");
            assert_eq!(patched["spec"]["clusterIP"], "10.89.0.1");
            assert!(patched["spec"]["ports"][0]["nodePort"].is_null());
            let listed = node.run(&["get", "svc", "--no-headers"]);
            let words: Vec<&str> = listed.ok().split_whitespace().take(5).collect();
            let wanted = ["web-front", "ClusterIP", "10.89.0.1", "<none>", "80/TCP"];
            assert_eq!(words, wanted);
            until("the port to be closed", Duration::from_secs(20), || {
                std::net::TcpStream::connect(("10.88.0.1", 30000)).is_err()
            });
            node.finish();
        },
    );
}
