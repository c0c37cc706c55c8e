//! One disk, several boots. `hack/vm` runs these in their order, each in a guest of its own with the same disk at /disk: `reboot::first` and
//! `reboot::second` with an orderly end between them, `reset::round` again and again with the power cut in the middle of it.

mod reboot;
mod reset;

use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// State and logs, which survive.
const DISK: &str = "/disk";
/// How long anything may take, on a machine of its own.
const PATIENCE: Duration = Duration::from_secs(30);
/// What does not.
const RUN: &str = "/run/podwright";

/// Fails unless this is the guest, with its disk.
fn in_the_guest() {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        table.lines().any(|l| l.split(' ').nth(4) == Some(DISK)),
        "nothing is mounted at {DISK}: hack/vm runs this case, in a guest with a disk"
    );
}

/// Runs one command of podwright to its end: exit status, output, errors.
fn podwright(arguments: &[&str]) -> (i32, String, String) {
    // Output goes to files: a pipe would wait for the daemon too.
    let (out, err) = ("/tmp/boots.out", "/tmp/boots.err");
    let mut child = Command::new(e2e::node::binary("podwright"))
        .args(arguments)
        .env("PODWRIGHT_ROOT", Path::new(DISK).join("root"))
        .env("PODWRIGHT_RUN", RUN)
        .env("PODWRIGHT_LOGS", Path::new(DISK).join("logs"))
        .env("PODWRIGHT_CGROUP_ROOT", "/pwboots")
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stdout(File::create(out).unwrap())
        .stderr(File::create(err).unwrap())
        .spawn()
        .unwrap();
    let text = |path| fs::read_to_string(path).unwrap();
    let end = Instant::now() + e2e::patient(PATIENCE);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let log = fs::read_to_string(format!("{RUN}/node.log")).unwrap_or_default();
            let said = format!("{}\n{}\nnode.log:\n{log}", text(out), text(err));
            panic!("podwright {} does not end\n{said}", arguments.join(" "));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    (status.code().unwrap_or(-1), text(out), text(err))
}

/// Likewise, for one that must succeed.
#[track_caller]
fn ok(arguments: &[&str]) -> String {
    let (status, out, err) = podwright(arguments);
    assert_eq!(status, 0, "podwright {}\n{out}\n{err}", arguments.join(" "));
    out
}

fn import(name: &str) {
    let image = e2e::node::image().display().to_string();
    ok(&["image", "import", &image, "--name", name]);
}

fn pod(name: &str) -> Value {
    serde_json::from_str(&ok(&["get", "pod", name, "-o", "json"])).unwrap()
}

/// Names of all pods.
fn pods() -> Vec<String> {
    let list: Value = serde_json::from_str(&ok(&["get", "pods", "-o", "json"])).unwrap();
    let items = list["items"].as_array().unwrap();
    let name = |p: &Value| p["metadata"]["name"].as_str().unwrap().to_owned();
    items.iter().map(name).collect()
}

/// Creates pods from text.
fn create(text: &str) {
    fs::write("/tmp/boots.yaml", text).unwrap();
    ok(&["create", "-f", "/tmp/boots.yaml"]);
}

/// Asks again until `done`; fails after [`PATIENCE`], scaled.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + e2e::patient(PATIENCE);
    while !done() {
        assert!(Instant::now() < end, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
