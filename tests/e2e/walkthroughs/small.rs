//! The small ones: shared data, kernel parameters, what a failure looks like, sizes.

use e2e::apart;
use e2e::lan::{example, image, node, shows};
use e2e::node::until;
use std::time::Duration;

#[test]
fn data_is_handed_over_to_the_app() {
    apart(module_path!(), "data_is_handed_over_to_the_app", || {
        let node = node("shared");
        let run = node.run(&["run", "-q", &example("shared-data.yaml")]);
        assert_eq!(run.ok(), "[app] prepared\n");
        node.finish();
    });
}

#[test]
fn a_privileged_init_container_sets_a_parameter_that_the_app_cannot_change() {
    apart(
        module_path!(),
        "a_privileged_init_container_sets_a_parameter_that_the_app_cannot_change",
        || {
            let node = node("sysctl");
            node.run(&["create", "-f", &example("sysctl.yaml")]).ok();
            node.wait_status("tuned", &["Completed"]);
            let set = node.run(&["logs", "tuned", "-c", "sysctl"]);
            assert_eq!(set.ok(), "net.core.somaxconn = 1234\n");
            let seen = node.run(&["logs", "tuned"]);
            assert!(
                seen.ok().starts_with("1234\n") && seen.out.contains("\nrefused\n"),
                "{}",
                seen.out
            );
            node.finish();
        },
    );
}

#[test]
fn a_failing_init_container_is_found_in_every_view() {
    apart(
        module_path!(),
        "a_failing_init_container_is_found_in_every_view",
        || {
            let node = node("fails");
            node.run(&["create", "-f", &example("init-fails.yaml")])
                .ok();
            node.wait_status("init-fails", &["Init:Error"]);
            let tail = node.run(&["logs", "init-fails", "-c", "fails", "--tail", "2"]);
            assert_eq!(tail.ok(), "line 3\nno such database\n");
            let described = node.run(&["describe", "pod", "init-fails"]);
            for line in [
                "Init Containers:\n",
                "Exit Code:    3\n",
                "Reason:       Error\n",
            ] {
                assert!(described.ok().contains(line), "{line}{}", described.out);
            }
            node.finish();
        },
    );
}

#[test]
fn the_pods_cgroup_has_the_effective_request() {
    apart(
        module_path!(),
        "the_pods_cgroup_has_the_effective_request",
        || {
            let node = node("sized");
            node.run(&["create", "-f", &example("resources.yaml")]).ok();
            node.wait_status("sized", &["Running"]);
            shows(&node, &["get", "pods"], "2/2");
            let uid = node.pod("sized")["metadata"]["uid"]
                .as_str()
                .unwrap()
                .to_owned();
            let path = format!("burstable/pod{uid}");
            let file = |name: &str| node.cgroup_file(&path, name);
            let shares = file("cpu.shares").or_else(|| file("cpu.weight"));
            assert!(
                matches!(shares.as_deref(), Some("307" | "12")),
                "{shares:?}"
            );
            let qos = node.pod("sized")["status"]["qosClass"].clone();
            assert_eq!(qos, "Burstable");
            node.finish();
        },
    );
}

#[test]
fn an_init_container_waits_for_its_image_and_goes_on_when_it_is_there() {
    apart(
        module_path!(),
        "an_init_container_waits_for_its_image_and_goes_on_when_it_is_there",
        || {
            let node = node("noimage");
            let example = std::fs::read_to_string(example("init-fails.yaml")).expect("an example");
            let text = example
                .replacen("image: busybox", "image: not-yet", 1)
                .replace("exit 3", "exit 0");
            assert!(
                text.contains("not-yet") && text.contains("exit 0"),
                "{text}"
            );
            let file = node.file("pod.yaml", &text);
            let watch = node.start(&["get", "pods", "-w", "--no-headers"]);
            node.run(&["create", "-f", &file]).ok();
            node.wait_status("init-fails", &["Init:ImagePullBackOff"]);
            let words = ["Init:ErrImagePull", "Init:ImagePullBackOff"];
            until("both words", Duration::from_secs(40), || {
                let seen = watch.so_far().0;
                words.iter().all(|w| seen.contains(w))
            });
            // Not INT, which a job in the background of a shell ignores.
            watch.signal("TERM");
            watch.wait(Duration::from_secs(10));
            node.run(&["image", "import", &image("busybox128"), "--name", "not-yet"])
                .ok();
            node.wait_status("init-fails", &["Running", "Completed"]);
            node.finish();
        },
    );
}
