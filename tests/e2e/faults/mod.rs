//! Faults of the node. Names carry the ids of `docs/faults.md`.

mod clients;
mod daemon;
mod disk;
mod frozen;
mod gone;
mod history;
mod limits;
mod links;
mod lost;
mod objects;
mod processes;
mod streams;
mod table;
mod unread;
mod upgrade;

use e2e::Node;
use e2e::node::kill;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A pod of one container that runs this script; no restarts, no grace.
fn pod(name: &str, script: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n  \
         containers:\n  - {{name: app, image: busybox, command: [sh, -c, {script:?}]}}\n"
    )
}

/// Starts a pod from text and waits until it runs.
#[track_caller]
fn start(node: &Node, name: &str, text: &str) {
    let file = node.file(&format!("{name}.yaml"), text);
    node.run(&["run", "-d", &file]).ok();
    node.wait_status(name, &["Running"]);
}

/// Runs a tool of the machine.
#[track_caller]
fn tool(line: &[&str]) {
    let output = Command::new(line[0]).args(&line[1..]).output().unwrap();
    assert!(output.status.success(), "{line:?}: {output:?}");
}

/// Processes of the node with that name, by pid.
fn named(node: &Node, name: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|e| {
        let pid: u32 = e.file_name().to_str()?.parse().ok()?;
        let read = |what: &str| fs::read_to_string(e.path().join(what)).ok();
        let mine = read("cgroup")?.contains(node.word()) || read("cmdline")?.contains(node.word());
        (mine && read("comm")?.starts_with(name)).then_some(pid)
    })
    .collect()
}

/// Memory of a process that nobody else has, in KiB.
fn private_memory(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let kib = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        line.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    kib("Private_Clean:") + kib("Private_Dirty:")
}

/// The container's state as `get -o json` has it.
fn terminated(node: &Node, pod: &str) -> serde_json::Value {
    node.pod(pod)["status"]["containerStatuses"][0]["state"]["terminated"].clone()
}

/// A file that not even root removes, for as long as this lives.
struct Stuck(PathBuf);

impl Stuck {
    fn new(path: PathBuf) -> Self {
        fs::write(&path, "").unwrap();
        tool(&["chattr", "+i", path.to_str().unwrap()]);
        Self(path)
    }

    /// One that is so already.
    fn taken(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}
