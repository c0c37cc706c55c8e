//! What is lost with a node that dies at once, or with its machine: links and leases (R12), everything (R13).

use super::{Stuck, kill, named, pod, start, tool};
use e2e::node::until;
use e2e::soak::processes;
use e2e::{Node, lan};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Goes on in namespaces of the case's own only.
macro_rules! apart {
    ($case:ident) => {
        let mut inside = false;
        e2e::apart(module_path!(), stringify!($case), || inside = true);
        if !inside {
            return;
        }
    };
}

fn links() -> Vec<String> {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap();
    let names = table.lines().filter_map(|l| l.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

fn leases(node: &Node) -> Vec<String> {
    let folder = node.run_dir().join("network/leases");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Everything of the node but what stands on the disk.
fn kill_all(node: &Node) {
    until("the end of all processes", Duration::from_secs(20), || {
        let all = processes::pids().into_iter().filter(|pid| {
            let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            let line = processes::command_line(*pid).join(" ");
            let own = i32::try_from(std::process::id()).unwrap();
            *pid != own && (cgroup.contains(node.word()) || line.contains(node.word()))
        });
        let alive: Vec<i32> = all.filter(|pid| !processes::is_gone(*pid)).collect();
        for pid in &alive {
            processes::kill(*pid);
        }
        alive.is_empty()
    });
}

/// Waits until what the tasks of so many pods remember of their containers is on the disk, where it goes a little late.
fn remembered(node: &Node, pods: usize) {
    let folder = node.root().join("records/memory");
    until("all is written down", Duration::from_secs(10), || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let texts = entries.map(|e| fs::read_to_string(e.path()).unwrap_or_default());
        texts.filter(|t| t.contains("\"containerID\"")).count() == pods
    });
}

#[test]
fn r12_links_and_leases_of_a_killed_node_are_given_back_and_nobody_elses() {
    apart!(r12_links_and_leases_of_a_killed_node_are_given_back_and_nobody_elses);
    let node = lan::node("r12links");
    for name in ["p", "q"] {
        start(&node, name, &pod(name, "exec sleep 1000"));
    }
    assert_eq!(leases(&node).len(), 2);
    remembered(&node, 2);
    // Of somebody else, and much alike: a pair of links, a table, a namespace.
    tool(&[
        "ip",
        "link",
        "add",
        "pwforeign",
        "type",
        "veth",
        "peer",
        "name",
        "pwother",
    ]);
    tool(&["nft", "add", "table", "inet", "pwforeign"]);
    let mut other = Command::new("unshare")
        .args(["-n", "sleep", "1000"])
        .spawn()
        .unwrap();
    kill_all(&node);
    // Whose it was is forgotten too: what the next daemon finds is links and leases without a sandbox.
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let run = node.run_dir().display().to_string();
    let places = table.lines().filter_map(|l| l.split(' ').nth(4));
    for place in places.filter(|p| p.starts_with(&run)) {
        tool(&["umount", "-l", place]);
    }
    fs::remove_dir_all(node.run_dir().join("sandboxes")).unwrap();
    until("the ends of the pods", Duration::from_secs(20), || {
        ["p", "q"]
            .iter()
            .all(|name| node.pod(name)["status"]["phase"] == "Failed")
    });
    assert_eq!(leases(&node), Vec::<String>::new());
    let left = links();
    let foreign = |name: &&String| *name == "lo" || *name == "pwforeign" || *name == "pwother";
    assert!(
        left.iter().all(|l| foreign(&l)) && left.len() == 3,
        "{left:?}"
    );
    let tables = Command::new("nft")
        .args(["list", "tables"])
        .output()
        .unwrap();
    assert_eq!(tables.stdout, b"table inet pwforeign\n");
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
    tool(&["ip", "link", "del", "pwforeign"]);
    tool(&["nft", "delete", "table", "inet", "pwforeign"]);
    // The node works as before.
    start(&node, "again", &pod("again", "exec sleep 1000"));
    assert_eq!(leases(&node).len(), 1);
    node.finish();
}

#[test]
fn r12_an_address_that_could_not_be_given_back_is_given_back_later() {
    apart!(r12_an_address_that_could_not_be_given_back_is_given_back_later);
    let node = lan::node("r12owed");
    // Programs of this case's own; its supervisor cannot live, and sees to it that the address cannot be given back either.
    let own = node.folder().join("programs");
    fs::create_dir(&own).unwrap();
    for name in [
        "podwright",
        "podwright-launch",
        "podwright-pause",
        "podwright-dns",
    ] {
        fs::copy(e2e::node::binary(name), own.join(name)).unwrap();
    }
    let supervisor = own.join("podwright-supervisor");
    let script = format!(
        "#!/bin/sh\nchattr +i {}/network/leases/*\nexit 1\n",
        node.run_dir().display()
    );
    fs::write(&supervisor, script).unwrap();
    fs::set_permissions(&supervisor, fs::Permissions::from_mode(0o755)).unwrap();
    kill(node.daemon().expect("a daemon"));
    let mut command = Command::new(own.join("podwright"));
    command.args(["get", "pods"]);
    for (name, value) in node.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let file = node.file("p.yaml", &pod("p", "exec sleep 1000"));
    node.run(&["run", "-d", &file]).ok();
    until("a word about it", Duration::from_secs(20), || {
        let said = node.run(&["describe", "pod", "p"]).out;
        said.contains("giving its address back failed")
    });
    let held = leases(&node);
    assert_eq!(held.len(), 1, "{held:?}");
    let stuck = Stuck::taken(node.run_dir().join("network/leases").join(&held[0]));
    fs::remove_file(&supervisor).unwrap();
    fs::copy(e2e::node::binary("podwright-supervisor"), &supervisor).unwrap();
    drop(stuck);
    // The next try of the sandbox has an address of its own, and what was owed is paid.
    node.wait_status("p", &["Running"]);
    let now = leases(&node);
    assert_eq!(now.len(), 1, "{now:?}");
    assert_eq!(
        node.pod("p")["status"]["podIP"],
        Value::from(now[0].clone())
    );
    node.run(&["delete", "pod", "p"]).ok();
    assert_eq!(leases(&node), Vec::<String>::new());
    assert_eq!(links(), ["lo"]);
    node.finish();
}

/// Processes that have the numbers of others which are gone.
struct Strangers(Vec<Child>);

impl Strangers {
    fn with(pids: &[u32]) -> Self {
        let find = |pid: &u32| loop {
            fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
            let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
            if child.id() == *pid {
                break child;
            }
            child.kill().unwrap();
            child.wait().unwrap();
        };
        Self(pids.iter().map(find).collect())
    }

    fn live(&mut self) -> bool {
        self.0.iter_mut().all(|c| c.try_wait().unwrap().is_none())
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn r13_after_a_boot_that_left_the_run_folder_nobody_with_an_old_number_is_harmed() {
    apart!(r13_after_a_boot_that_left_the_run_folder_nobody_with_an_old_number_is_harmed);
    let node = Node::new("r13");
    let never = pod("never", "exec sleep 4101");
    let always = pod("always", "exec sleep 4102").replace("Policy: Never", "Policy: Always");
    start(&node, "never", &never);
    start(&node, "always", &always);
    start(&node, "ended", &pod("ended", "sleep 0.3; exit 5"));
    node.wait_status("ended", &["Error"]);
    let mut old = vec![node.pid_of("4101"), node.pid_of("4102")];
    old.extend(named(&node, "podwright-pause"));
    old.extend(named(&node, "podwright-super"));
    remembered(&node, 3);
    kill_all(&node);
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let places = table.lines().filter_map(|l| l.split(' ').nth(4));
    for place in places.filter(|p| p.contains(node.word())) {
        tool(&["umount", "-l", place]);
    }
    // Another boot, as everybody here sees it.
    let boot = node.file("boot_id", "00000000-0000-4000-8000-000000000000\n");
    tool(&["mount", "--bind", &boot, "/proc/sys/kernel/random/boot_id"]);
    let mut strangers = Strangers::with(&old);
    node.wait_status("always", &["Running"]);
    assert_eq!(
        node.pod("always")["status"]["containerStatuses"][0]["restartCount"],
        1
    );
    until(
        "the end of what may not restart",
        Duration::from_secs(10),
        || super::terminated(&node, "never")["reason"] == "ContainerStatusUnknown",
    );
    assert_eq!(super::terminated(&node, "never")["exitCode"], 255);
    assert_eq!(super::terminated(&node, "ended")["exitCode"], 5);
    assert!(node.run(&["image", "ls"]).ok().contains("busybox"));
    node.run(&["delete", "pods", "--all", "--force"]).ok();
    node.nothing_left_of_pods();
    assert!(strangers.live(), "somebody with an old number was harmed");
    drop(strangers);
    tool(&["umount", "/proc/sys/kernel/random/boot_id"]);
    node.finish();
}
