//! Waiting for a port behind a Service, fetching a page, registering with a server.

use e2e::apart;
use e2e::lan::{example, node, shows};

#[test]
fn an_init_container_waits_until_the_database_listens() {
    apart(
        module_path!(),
        "an_init_container_waits_until_the_database_listens",
        || {
            let node = node("mysql");
            node.run(&["create", "-f", &example("check-mysql.yaml")])
                .ok();
            let waiting = shows(
                &node,
                &["logs", "app-server", "-c", "check-mysql"],
                "等待 MySQL 启动...\n",
            );
            assert_eq!(node.status("app-server"), "Init:0/1", "{}", waiting.out);
            node.run(&["create", "-f", &example("mysql.yaml")]).ok();
            node.wait_status("app-server", &["Running"]);
            shows(&node, &["logs", "app-server"], "connected\n");
            let log = node.run(&["logs", "app-server", "-c", "check-mysql", "--tail", "1"]);
            assert!(log.ok().contains("3306"), "{}", log.out);
            node.finish();
        },
    );
}

#[test]
fn a_page_that_an_init_container_fetched_is_served() {
    apart(
        module_path!(),
        "a_page_that_an_init_container_fetched_is_served",
        || {
            let node = node("workdir");
            node.run(&["create", "-f", &example("work-dir.yaml")]).ok();
            node.wait_status("init-demo-web", &["Running"]);
            let served = shows(
                &node,
                &[
                    "exec",
                    "init-demo-web",
                    "--",
                    "wget",
                    "-q",
                    "-O",
                    "-",
                    "http://localhost/",
                ],
                "afar",
            );
            assert_eq!(served.ok(), "<h1>a page from afar</h1>\n");
            node.finish();
        },
    );
}

#[test]
fn a_pod_registers_with_its_name_and_address() {
    apart(
        module_path!(),
        "a_pod_registers_with_its_name_and_address",
        || {
            let node = node("register");
            node.run(&["create", "-f", &example("management.yaml")])
                .ok();
            node.run(&["create", "-f", &example("register.yaml")]).ok();
            node.wait_status("registered", &["Completed"]);
            let pod = node.pod("registered");
            let ip = pod["status"]["podIP"].as_str().unwrap();
            shows(
                &node,
                &["logs", "management"],
                &format!("instance=registered&ip={ip}"),
            );
            assert_eq!(node.run(&["logs", "registered"]).ok(), "registered\n");
            node.finish();
        },
    );
}
