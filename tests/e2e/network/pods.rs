//! Pods on the bridge: their address wherever it is told, what they reach, and what stays after them.

use e2e::lan::{name_servers, node, shows};
use e2e::{Node, apart};
use std::fs;
use std::process::Command;
use std::time::Duration;

const SERVER: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: server}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "echo ip=$IP; cat /etc/hosts; mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www"]
    env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
    ports: [{containerPort: 80, hostPort: 8081}]
"#;

fn ip(node: &Node, pod: &str) -> String {
    node.pod(pod)["status"]["podIP"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn links() -> String {
    let output = Command::new("ip").args(["-o", "link"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_pods_address_is_in_its_status_its_environment_and_its_hosts_file() {
    apart(
        module_path!(),
        "a_pods_address_is_in_its_status_its_environment_and_its_hosts_file",
        || {
            let node = node("podip");
            node.run(&["run", "-d", &node.file("pod.yaml", SERVER)])
                .ok();
            node.wait_status("server", &["Running"]);
            let ip = ip(&node, "server");
            assert_eq!(ip, "10.88.0.2");
            let told = shows(&node, &["logs", "server"], "ip=");
            assert!(told.out.contains(&format!("ip={ip}\n")), "{}", told.out);
            assert!(
                told.out.contains(&format!("{ip}\tserver\n")),
                "{}",
                told.out
            );
            let wide = node.run(&["get", "pods", "-o", "wide"]);
            assert!(wide.ok().contains(&ip), "{}", wide.out);
            let resolver = node.run(&["exec", "server", "--", "cat", "/etc/resolv.conf"]);
            let text = resolver.ok();
            assert!(
                text.contains("search default.svc.cluster.local svc.cluster.local cluster.local"),
                "{text}"
            );
            assert!(text.contains("nameserver 10.88.0.1\n"), "{text}");
            assert!(text.contains("options ndots:5\n"), "{text}");
            node.finish();
        },
    );
}

#[test]
fn pods_reach_each_other_and_the_node_and_all_is_taken_away_with_the_last() {
    apart(
        module_path!(),
        "pods_reach_each_other_and_the_node_and_all_is_taken_away_with_the_last",
        || {
            let node = node("reach");
            node.run(&["run", "-d", &node.file("pod.yaml", SERVER)])
                .ok();
            let other = SERVER
                .replace("name: server", "name: other")
                .replace(", hostPort: 8081", "");
            node.run(&["run", "-d", &node.file("other.yaml", &other)])
                .ok();
            node.wait_status("server", &["Running"]);
            node.wait_status("other", &["Running"]);
            let url = format!("http://{}/", ip(&node, "server"));
            let fetched = shows(
                &node,
                &["exec", "other", "--", "wget", "-q", "-O", "-", &url],
                "hello",
            );
            assert_eq!(fetched.ok(), "hello\n");
            let by_host_port = shows(
                &node,
                &[
                    "exec",
                    "other",
                    "--",
                    "wget",
                    "-q",
                    "-O",
                    "-",
                    "http://10.88.0.1:8081/",
                ],
                "hello",
            );
            assert_eq!(by_host_port.ok(), "hello\n");
            assert!(links().contains(" pwtest: "), "{}", links());
            assert_eq!(name_servers().len(), 1);
            node.run(&["delete", "pod", "server"]).ok();
            assert!(links().contains(" pwtest: "), "{}", links());
            node.run(&["delete", "pod", "other"]).ok();
            assert!(!links().contains("pw"), "{}", links());
            assert!(name_servers().is_empty());
            let rules = Command::new("nft").args(["list", "tables"]).output();
            assert_eq!(rules.map(|o| o.stdout).unwrap_or_default(), b"");
            let leases = fs::read_dir(node.run_dir().join("network/leases")).map(Iterator::count);
            assert_eq!(leases.unwrap_or(0), 0);
            node.finish();
        },
    );
}

#[test]
fn a_killed_daemon_changes_nothing_and_the_next_one_mends_what_was_broken_meanwhile() {
    apart(
        module_path!(),
        "a_killed_daemon_changes_nothing_and_the_next_one_mends_what_was_broken_meanwhile",
        || {
            let node = node("netkill");
            node.run(&["run", "-d", &node.file("pod.yaml", SERVER)])
                .ok();
            node.wait_status("server", &["Running"]);
            let before = ip(&node, "server");
            let servers = name_servers();
            let daemon = node.daemon().unwrap();
            let kill = |pid: u32| {
                let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
                assert!(killed.is_ok_and(|s| s.success()));
            };
            kill(daemon);
            // The pod's link is removed behind the back of everybody.
            let name = links();
            let name = name
                .split_whitespace()
                .find(|w| w.starts_with("pwv"))
                .unwrap();
            let name = name.split('@').next().unwrap();
            assert!(
                Command::new("ip")
                    .args(["link", "del", name])
                    .status()
                    .unwrap()
                    .success()
            );
            node.wait_status("server", &["Running"]);
            assert_eq!(ip(&node, "server"), before);
            assert_eq!(name_servers(), servers, "the same process answers names");
            let fetched = shows(
                &node,
                &[
                    "exec",
                    "server",
                    "--",
                    "wget",
                    "-q",
                    "-O",
                    "-",
                    "http://10.88.0.1:8081/",
                ],
                "hello",
            );
            assert_eq!(fetched.ok(), "hello\n");
            // A name server that dies is replaced.
            kill(servers[0]);
            e2e::node::until("another name server", Duration::from_secs(20), || {
                name_servers().iter().any(|pid| *pid != servers[0])
            });
            node.finish();
        },
    );
}

#[test]
fn a_sandbox_that_is_lost_gives_its_address_back() {
    apart(
        module_path!(),
        "a_sandbox_that_is_lost_gives_its_address_back",
        || {
            let node = node("lost");
            node.run(&["run", "-d", &node.file("pod.yaml", SERVER)])
                .ok();
            node.wait_status("server", &["Running"]);
            let before = ip(&node, "server");
            let pause = e2e::lan::processes("podwright-pause");
            let killed = Command::new("kill")
                .args(["-9", &pause[0].to_string()])
                .status();
            assert!(killed.is_ok_and(|s| s.success()));
            e2e::node::until("a new address", Duration::from_secs(30), || {
                let now = ip(&node, "server");
                !now.is_empty() && now != before
            });
            node.wait_status("server", &["Running"]);
            let leases = fs::read_dir(node.run_dir().join("network/leases"))
                .unwrap()
                .count();
            assert_eq!(leases, 1);
            node.finish();
        },
    );
}

#[test]
fn without_a_network_a_pod_has_loopback_and_no_address() {
    apart(
        module_path!(),
        "without_a_network_a_pod_has_loopback_and_no_address",
        || {
            let node = Node::new("nonet");
            node.run(&[
                "run",
                "-d",
                &node.file("pod.yaml", &SERVER.replace(", hostPort: 8081", "")),
            ])
            .ok();
            node.wait_status("server", &["Running"]);
            assert_eq!(node.pod("server")["status"].get("podIP"), None);
            let fetched = shows(
                &node,
                &[
                    "exec",
                    "server",
                    "--",
                    "wget",
                    "-q",
                    "-O",
                    "-",
                    "http://127.0.0.1/",
                ],
                "hello",
            );
            assert_eq!(fetched.ok(), "hello\n");
            assert!(!links().contains("pw"), "{}", links());
            node.finish();
        },
    );
}
