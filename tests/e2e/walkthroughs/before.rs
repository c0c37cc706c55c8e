//! What else may come before an app: time, a repository, the pod's own address in its configuration.

use e2e::apart;
use e2e::lan::{example, node};

/// An example with another text in it.
fn with(name: &str, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(example(name)).expect("an example");
    assert!(text.contains(from), "{name} has no {from:?}");
    text.replace(from, to)
}

/// The example waits for a minute; here it is two seconds.
#[test]
fn some_time_passes_before_the_app_starts() {
    apart(
        module_path!(),
        "some_time_passes_before_the_app_starts",
        || {
            let node = node("late");
            let file = node.file("late.yaml", &with("wait-60s.yaml", "sleep 60", "sleep 2"));
            node.run(&["create", "-f", &file]).ok();
            node.wait_status("late", &["Completed"]);
            let logs = node.run(&["logs", "late"]);
            assert_eq!(logs.ok(), "The app is running!\n");
            let status = node.pod("late")["status"].clone();
            let time = |pointer: &str| -> String {
                let text = status.pointer(pointer).and_then(|v| v.as_str());
                text.unwrap_or_else(|| panic!("{pointer} of {status:#}"))
                    .to_owned()
            };
            // Times of one form, to the second: they compare as texts.
            let begun = time("/initContainerStatuses/0/state/terminated/startedAt");
            let ended = time("/initContainerStatuses/0/state/terminated/finishedAt");
            let app = time("/containerStatuses/0/state/terminated/startedAt");
            assert!(begun < ended && ended <= app, "{begun} {ended} {app}");
            node.finish();
        },
    );
}

/// The repository of the example is `/srv/site.git`; here it is in the node's own folder, and a pod with the same image makes it.
#[test]
fn a_repository_is_cloned_into_a_volume() {
    apart(
        module_path!(),
        "a_repository_is_cloned_into_a_volume",
        || {
            let node = node("clone");
            let from = e2e::lan::image("git");
            node.run(&["image", "import", &from, "--name", "git"]).ok();
            let bare = node.folder().join("site.git");
            std::fs::create_dir(&bare).expect("a folder");
            let make = format!(
                r#"
apiVersion: v1
kind: Pod
metadata: {{name: origin}}
spec:
  restartPolicy: Never
  volumes: [{{name: r, hostPath: {{path: {}}}}}]
  containers:
  - name: git
    image: git
    volumeMounts: [{{name: r, mountPath: /r}}]
    command: [sh, -ec, "git init -q /w; cd /w; echo hello from git > index.html; git add .; git -c user.name=t -c user.email=t@t commit -q -m first; git init -q --bare /r; git push -q /r HEAD:refs/heads/master"]
"#,
                bare.display()
            );
            let file = node.file("origin.yaml", &make);
            node.run(&["run", "-q", &file]).ok();
            let example = with("clone.yaml", "/srv/site.git", &bare.display().to_string());
            let file = node.file("clone.yaml", &example);
            let run = node.run(&["run", "-q", &file]);
            assert_eq!(run.ok(), "[app] hello from git\n");
            node.finish();
        },
    );
}

#[test]
fn the_pods_address_is_rendered_into_its_configuration() {
    apart(
        module_path!(),
        "the_pods_address_is_rendered_into_its_configuration",
        || {
            let node = node("podip");
            node.run(&["create", "-f", &example("pod-ip.yaml")]).ok();
            node.wait_status("listener", &["Completed"]);
            let ip = node.pod("listener")["status"]["podIP"].clone();
            let ip = ip.as_str().expect("an address").to_owned();
            let logs = node.run(&["logs", "listener"]);
            let wanted = format!("server listener\nlisten {ip}:8080\n{ip}\n");
            assert_eq!(logs.ok(), wanted);
            node.finish();
        },
    );
}
