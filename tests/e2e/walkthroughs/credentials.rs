//! `production-app`: credentials are fetched by an unprivileged user, a configuration is rendered, the app reads both.

use e2e::apart;
use e2e::lan::{example, node, shows};

#[test]
fn credentials_and_configuration_reach_the_app_once_the_template_exists() {
    apart(
        module_path!(),
        "credentials_and_configuration_reach_the_app_once_the_template_exists",
        || {
            let node = node("production");
            node.run(&["create", "-f", &example("production-app.yaml")])
                .ok();
            let missing = "configmap \"app-templates\" not found";
            shows(&node, &["describe", "pod", "production-app"], missing);
            assert_eq!(node.status("production-app"), "Init:0/2");
            node.run(&["create", "-f", &example("app-templates.yaml")])
                .ok();
            node.wait_status("production-app", &["Running"]);
            let seen = shows(&node, &["logs", "production-app"], "Read-only file system");
            assert!(
                seen.out.starts_with("port = 8080\nTOKEN=abc\n"),
                "{}",
                seen.out
            );
            assert!(
                seen.out.contains(" 1000     0 "),
                "the file belongs to its writer: {}",
                seen.out
            );
            node.finish();
        },
    );
}
