//! Names inside pods.

use e2e::apart;
use e2e::lan::{node, shows};

const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: sql, port: 5432}]
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, labels: {app: db}}
spec:
  hostname: db-0
  subdomain: db
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: busybox, command: [sleep, "1000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: busybox, command: [sleep, "1000"]}]
"#;

#[test]
fn a_service_without_address_is_named_by_its_pods_and_what_is_unknown_is_so_at_once() {
    apart(
        module_path!(),
        "a_service_without_address_is_named_by_its_pods_and_what_is_unknown_is_so_at_once",
        || {
            let node = node("headless");
            node.run(&["create", "-f", &node.file("all.yaml", OBJECTS)])
                .ok();
            node.wait_status("db-0", &["Running"]);
            node.wait_status("client", &["Running"]);
            let ip = node.pod("db-0")["status"]["podIP"]
                .as_str()
                .unwrap()
                .to_owned();
            for name in [
                "db",
                "db-0.db",
                "db.default",
                "db.default.svc.cluster.local",
            ] {
                let found = shows(
                    &node,
                    &["exec", "client", "--", "getent", "ahostsv4", name],
                    &ip,
                );
                assert!(found.ok().starts_with(&ip), "{name}: {}", found.out);
            }
            let began = std::time::Instant::now();
            let unknown = [
                "exec",
                "client",
                "--",
                "getent",
                "ahostsv4",
                "nobody.default.svc.cluster.local",
            ];
            assert_ne!(node.run(&unknown).status, 0);
            assert!(
                began.elapsed() < e2e::patient(std::time::Duration::from_secs(3)),
                "{:?}",
                began.elapsed()
            );
            node.finish();
        },
    );
}

#[test]
fn names_resolve_while_no_daemon_runs() {
    apart(module_path!(), "names_resolve_while_no_daemon_runs", || {
        let node = node("nodaemon");
        let looks = OBJECTS.replace(
            r#"command: [sleep, "1000"]}]
"#,
            r#"command: [sh, -c, "while true; do getent ahostsv4 db && date +%s; sleep 0.2; done"]}]
"#,
        );
        node.run(&["create", "-f", &node.file("all.yaml", &looks)])
            .ok();
        node.wait_status("db-0", &["Running"]);
        shows(&node, &["logs", "client"], "10.88.0.");
        let daemon = node.daemon().unwrap();
        let stopped = std::process::Command::new("kill")
            .args(["-9", &daemon.to_string()])
            .status();
        assert!(stopped.is_ok_and(|s| s.success()));
        let log = || {
            let logs = e2e::leak::files(&node.logs());
            let log = logs
                .iter()
                .find(|p| p.to_string_lossy().contains("client") && p.extension().is_some())
                .unwrap();
            std::fs::read_to_string(node.logs().join(log))
                .unwrap()
                .lines()
                .count()
        };
        let before = log();
        e2e::node::until("more answers", std::time::Duration::from_secs(10), || {
            log() > before + 8
        });
        node.finish();
    });
}
