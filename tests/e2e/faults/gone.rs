//! What a client was told is gone stays gone when the power goes.

use super::{pod, start};
use e2e::Node;
use e2e::node::until;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A strace of what a process removes, writes out and says, once it is attached to all its threads.
fn strace(pid: u32, out: &str) -> Child {
    let calls = "trace=unlink,unlinkat,fsync,write,writev,sendto,sendmsg";
    let child = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", calls, "-o", out, "-p"])
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .spawn()
        .expect("start strace");
    until("strace to be attached", Duration::from_secs(10), || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.flatten().all(|task| {
            fs::read_to_string(task.path().join("status"))
                .is_ok_and(|s| !s.contains("TracerPid:\t0\n"))
        })
    });
    child
}

#[test]
fn r14_the_record_of_what_is_deleted_is_gone_from_the_disk_before_anybody_is_told() {
    let node = Node::new("r14gone");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let others = node.file(
        "others.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n\
         stringData: {a: b}\n",
    );
    node.run(&["create", "-f", &others]).ok();
    let trace = node.file("trace", "");
    let mut tracing = strace(node.daemon().expect("a daemon"), &trace);
    for (kind, name) in [("configmap", "c"), ("secret", "s"), ("pod", "p")] {
        node.run(&["delete", kind, name]).ok();
    }
    e2e::node::kill(tracing.id());
    tracing.wait().unwrap();
    let trace = fs::read_to_string(&trace).unwrap();
    for (folder, ends) in [
        ("configs", "ConfigMap_default_c.json\""),
        ("configs", "Secret_default_s.json\""),
        ("pods", ".json\""),
    ] {
        let path = format!("{}/records/{folder}", node.root().display());
        let mut lines = trace
            .lines()
            .skip_while(|l| !(l.contains("unlink") && l.contains(&path) && l.contains(ends)));
        assert!(lines.next().is_some(), "no {path}/…{ends} went: {trace}");
        let told = lines.find(|l| l.contains("fsync(") || l.contains("<socket:"));
        assert!(
            told.is_some_and(|l| l.contains("fsync(") && l.contains(&format!("<{path}>"))),
            "after {path}/…{ends} was removed: {told:?}"
        );
    }
    node.finish();
}
