//! Version 2 allows no process in a cgroup whose children have controllers: where podwright's own processes live, and where it may be started.

use super::{cgroup_of, node, pod, read, run, tree};
use e2e::Node;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOP: &str = "/sys/fs/cgroup";

#[test]
fn no_process_is_in_an_inner_node_and_none_of_ours_in_a_pods_cgroup() {
    let node = node("inner");
    let text = pod(
        "i",
        "",
        "command: [sleep, '2008'], resources: {requests: {cpu: 10m}}",
    );
    run(&node, "i", &text);
    let root = Path::new(TOP).join(node.word());
    let mut inner = 0;
    for folder in tree(&root) {
        if read(&folder.join("cgroup.subtree_control")).is_empty() {
            continue;
        }
        inner += 1;
        assert_eq!(
            read(&folder.join("cgroup.procs")),
            "",
            "{}",
            folder.display()
        );
    }
    // The root, the class, the pod.
    assert!(inner >= 3, "{inner}");
    let own = root.join("podwright-system");
    assert_eq!(cgroup_of(node.daemon().expect("a daemon")), own);
    let members = read(&own.join("cgroup.procs"));
    for pid in members.lines() {
        let name = read(&PathBuf::from(format!("/proc/{pid}/comm")));
        // The launcher runs from a memfd.
        let ours = ["podwright", "memfd:podwright", "tokio-runtime-w"];
        assert!(ours.iter().any(|o| name.starts_with(o)), "{name}");
    }
    let leaf = cgroup_of(node.pid_of("2008"));
    for controller in ["cpu", "memory", "pids", "io", "cpuset"] {
        let has = read(&leaf.join("cgroup.controllers"));
        assert!(
            has.split(' ').any(|c| c == controller),
            "{controller}: {has}"
        );
    }
    node.finish();
}

/// One command of podwright, begun by a shell that has moved into a cgroup.
fn from(node: &Node, cgroup: &Path, root: Option<&str>, arguments: &[&str]) -> (i32, String) {
    let plain = node.command(arguments);
    let out = node.folder().join("out.from");
    let mut command = Command::new("sh");
    command
        .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
        .arg(cgroup)
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear()
        .envs(plain.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .current_dir(node.folder())
        .stdin(std::process::Stdio::null())
        .stdout(fs::File::create(&out).unwrap())
        .stderr(fs::OpenOptions::new().append(true).open(&out).unwrap());
    if let Some(root) = root {
        command.env("PODWRIGHT_CGROUP_ROOT", root);
    }
    let status = command.status().unwrap().code().unwrap_or(-1);
    (status, fs::read_to_string(out).unwrap())
}

#[test]
fn a_node_starts_from_a_shell_in_the_root_and_in_an_inner_cgroup() {
    let root = Path::new(TOP);
    let node = node("fromshell");
    run(&node, "a", &pod("a", "", "command: [sleep, '2009']"));
    node.run(&["reset", "--yes"]).ok();
    let shell = root.join(format!("{}-shell", node.word()));
    let below = shell.join("below");
    fs::create_dir_all(&below).unwrap();
    let file = node.file("b.yaml", &pod("b", "", "command: [sleep, '2010']"));
    let image = e2e::node::image().display().to_string();
    for place in [root, &shell] {
        let (status, said) = from(
            &node,
            place,
            None,
            &["image", "import", &image, "--name", "busybox"],
        );
        assert_eq!(status, 0, "{said}");
        let (status, said) = from(&node, place, None, &["run", "-d", &file]);
        assert_eq!(status, 0, "{said}");
        node.wait_status("b", &["Running"]);
        let daemon = node.daemon().unwrap().to_string();
        assert!(
            !read(&place.join("cgroup.procs"))
                .lines()
                .any(|p| p == daemon)
        );
        node.run(&["reset", "--yes"]).ok();
    }
    fs::remove_dir(&below).unwrap();
    fs::remove_dir(&shell).unwrap();
    node.finish();
}

#[test]
fn a_cgroup_root_that_has_processes_in_it_is_refused_with_what_to_do() {
    let node = node("busyroot");
    let name = format!("/{}-busy", node.word());
    let busy = Path::new(TOP).join(name.trim_start_matches('/'));
    fs::create_dir_all(&busy).unwrap();
    node.run(&["reset", "--yes"]).ok();
    let (status, said) = from(&node, &busy, Some(&name), &["get", "pods"]);
    assert_ne!(status, 0, "{said}");
    assert!(
        said.contains(&name) && said.contains("processes in it") && said.contains("--cgroup-root"),
        "{said}"
    );
    for folder in tree(&busy).iter().rev() {
        fs::remove_dir(folder).unwrap();
    }
    node.finish();
}
