//! The connection between the node daemon and a supervisor ends, and both live.

use super::{kill, named, start, tool};
use e2e::Node;
use e2e::node::until;
use rustix::net::{Shutdown, shutdown, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// A process by number.
fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

/// The supervisor's connections to the daemon: copies of its descriptors whose other end the daemon has made.
fn connections(supervisor: u32, daemon: u32) -> Vec<OwnedFd> {
    let handle = pidfd_open(pid(supervisor), PidfdFlags::empty()).unwrap();
    let all = fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap();
    all.flatten()
        .filter(|e| {
            fs::read_link(e.path()).is_ok_and(|l| l.to_string_lossy().starts_with("socket:"))
        })
        .filter_map(|e| {
            let number = e.file_name().to_str()?.parse().ok()?;
            let fd = pidfd_getfd(&handle, number, PidfdGetfdFlags::empty()).ok()?;
            let listens = sockopt::socket_acceptconn(&fd).unwrap();
            let peer = sockopt::socket_peercred(&fd).ok()?;
            (!listens && peer.pid == pid(daemon)).then_some(fd)
        })
        .collect()
}

/// Ends the one connection of the one pod of the node; gives its supervisor.
fn cut(node: &Node) -> u32 {
    let daemon = node.daemon().expect("a daemon");
    let [supervisor] = named(node, "podwright-super")[..] else {
        panic!("{:?}", named(node, "podwright-super"))
    };
    // The one before may just be closing.
    until("one connection", Duration::from_secs(5), || {
        connections(supervisor, daemon).len() == 1
    });
    let [connection] = &connections(supervisor, daemon)[..] else {
        panic!("more than one connection")
    };
    shutdown(connection, Shutdown::Both).unwrap();
    supervisor
}

/// A pod whose container ends as soon as there is a file `/end`, and starts again.
const ENDS_WHEN_TOLD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  terminationGracePeriodSeconds: 0\n  \
    containers:\n  - {name: app, image: busybox, command: [sh, -c, 'echo up; while [ ! -e /end ]; do sleep 0.05; done']}\n";

/// Every verb of a running pod: exec with its status, the end of a container and its next start, stats, and a container that joins.
fn everything_works(node: &Node, starts: usize) {
    let said = node.run(&["exec", "p", "--", "sh", "-c", "echo in; exit 42"]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (42, "in\n"),
        "{}",
        said.err
    );
    node.run_to_its_end(&["exec", "p", "--", "touch", "/end"]);
    until("the next attempt", Duration::from_secs(60), || {
        let status = node.pod("p")["status"]["containerStatuses"][0].clone();
        status["restartCount"] == starts && status["state"]["running"].is_object()
    });
    let before = node.run(&["logs", "p", "--previous"]);
    assert_eq!(before.ok(), "up\n");
}

#[test]
fn r03_a_connection_that_ends_is_made_anew_and_no_answer_is_one_to_an_older_request() {
    let node = Node::new("link");
    start(&node, "p", ENDS_WHEN_TOLD);
    let before = cut(&node);
    everything_works(&node, 1);
    // And once more: the numbers of requests go on where they were.
    assert_eq!(cut(&node), before);
    let said = node.run(&["exec", "p", "--", "sh", "-c", "exit 7"]);
    assert_eq!(said.status, 7, "{}", said.err);
    assert_eq!(
        cut(&node),
        before,
        "the supervisor lives: nobody takes its place"
    );
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn r03_a_supervisor_that_nobody_can_connect_to_is_ended_and_its_containers_go_on() {
    let node = Node::new("unnamed");
    start(&node, "p", ENDS_WHEN_TOLD);
    let app = || node.pod("p")["status"]["containerStatuses"][0].clone();
    let running = app();
    // As what tidies up in /run may do.
    let sandboxes = fs::read_dir(node.run_dir().join("sandboxes")).unwrap();
    for sandbox in sandboxes.flatten() {
        fs::remove_file(sandbox.path().join("supervisor.sock")).unwrap();
    }
    let before = cut(&node);
    until("another supervisor", Duration::from_secs(10), || {
        let now = named(&node, "podwright-super");
        now.len() == 1 && now != [before]
    });
    // A dead one would be started again, as another.
    node.run(&["exec", "p", "--", "true"]).ok();
    assert_eq!(app(), running, "the container has lived on");
    everything_works(&node, 1);
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

/// Ends the daemon and does something to the one sandbox's folder before there is another one.
fn meanwhile(node: &Node, act: impl Fn(&Path)) {
    kill(node.daemon().expect("a daemon"));
    let sandboxes = fs::read_dir(node.run_dir().join("sandboxes")).unwrap();
    sandboxes.flatten().for_each(|s| act(&s.path()));
}

#[test]
fn a_supervisor_whose_record_is_gone_is_ended_with_its_folder() {
    let node = Node::new("norecord");
    start(&node, "p", ENDS_WHEN_TOLD);
    let before = named(&node, "podwright-super");
    meanwhile(&node, |s| fs::remove_file(s.join("record.json")).unwrap());
    node.run(&["get", "pods"]).ok();
    until("its end", Duration::from_secs(10), || {
        let now = named(&node, "podwright-super");
        before.iter().all(|pid| !now.contains(pid))
    });
    // To its pod this is a sandbox that was lost: it gets another one, and goes on.
    node.wait_status("p", &["Running"]);
    node.run(&["delete", "pod", "p"]).ok();
    node.nothing_left_of_pods();
    node.finish();
}

#[test]
fn reset_ends_a_supervisor_whose_folder_is_gone() {
    let node = Node::new("nofolder");
    start(&node, "p", ENDS_WHEN_TOLD);
    let before = named(&node, "podwright-super");
    meanwhile(&node, |s| {
        tool(&["umount", &s.join("shm").display().to_string()]);
        fs::remove_dir_all(s).unwrap();
    });
    let told = node.run(&["reset", "--yes"]);
    assert!(told.ok().is_empty(), "{}", told.out);
    assert!(
        told.err.contains("nothing of this node is left"),
        "{}",
        told.err
    );
    assert_eq!(before.len(), 1);
    assert!(named(&node, "podwright").is_empty());
    node.finish();
}
