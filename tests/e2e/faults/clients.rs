//! Many clients that act on one pod at once, slow ones, and those that go away half way.

use super::{pod, private_memory, start};
use e2e::Node;
use e2e::node::until;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

#[test]
fn r17_a_reader_of_logs_that_does_not_read_costs_the_daemon_nothing() {
    let node = Node::new("r17logs");
    start(
        &node,
        "p",
        &pod(
            "p",
            "i=0; while [ $i -lt 400000 ]; do echo line $i of a log that nobody reads to its end; i=$((i+1)); done; echo done; exec sleep 1000",
        ),
    );
    let daemon = node.daemon().expect("a daemon");
    let readers: Vec<UnixStream> = (0..4)
        .map(|_| {
            let mut socket = UnixStream::connect(node.run_dir().join("api.sock")).unwrap();
            write!(
                socket,
                "GET /api/v1/namespaces/default/pods/p/log?follow=true HTTP/1.1\r\nhost: x\r\n\r\n"
            )
            .unwrap();
            socket
        })
        .collect();
    let before = private_memory(daemon);
    // The container is not held up by them.
    until("the end of the writing", Duration::from_secs(60), || {
        node.run(&["logs", "p", "--tail", "1"]).out == "done\n"
    });
    let grown = private_memory(daemon).saturating_sub(before);
    // A few pieces for each of them, and what the allocator keeps.
    assert!(grown < 8 * 1024, "the daemon grew by {grown} KiB");
    drop(readers);
    node.finish();
}

#[test]
fn r17_a_client_of_exec_that_does_not_read_holds_up_only_its_own_command() {
    let node = Node::new("r17exec");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let daemon = node.daemon().expect("a daemon");
    let mut socket = UnixStream::connect(node.run_dir().join("api.sock")).unwrap();
    write!(
        socket,
        "GET /api/v1/namespaces/default/pods/p/exec?command=yes HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: v5.channel.k8s.io\r\n\r\n"
    )
    .unwrap();
    let mut head = [0; 64];
    let n = socket.read(&mut head).unwrap();
    assert!(
        head[..n].starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head[..n])
    );
    let yes = || node_process(&node, "yes");
    until("the command", Duration::from_secs(5), || yes().is_some());
    // It fills every buffer and then waits.
    let pid = yes().unwrap();
    until("a command that waits", Duration::from_secs(20), || {
        let before = e2e::leak::cpu_ticks(pid);
        std::thread::sleep(Duration::from_millis(200));
        e2e::leak::cpu_ticks(pid) == before
    });
    let before = private_memory(daemon);
    assert_eq!(
        node.run(&["exec", "p", "--", "echo", "hello"]).ok(),
        "hello\n"
    );
    let grown = private_memory(daemon).saturating_sub(before);
    assert!(grown < 4 * 1024, "the daemon grew by {grown} KiB");
    // Gone without a word: its command goes with it.
    drop(socket);
    until("the end of the command", Duration::from_secs(10), || {
        yes().is_none()
    });
    node.finish();
}

fn node_process(node: &Node, argument: &str) -> Option<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| {
            let read = |what: &str| {
                std::fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default()
            };
            read("cgroup").contains(node.word())
                && read("cmdline").split('\0').any(|a| a == argument)
        })
}

#[test]
fn s16_exec_comes_back_though_what_it_started_in_the_background_goes_on_writing() {
    let node = Node::new("s16");
    start(&node, "p", &pod("p", "exec sleep 1000"));
    let began = Instant::now();
    let outcome = node.run(&["exec", "p", "--", "sh", "-c", "yes & exit 3"]);
    outcome.fails(3);
    assert!(
        began.elapsed() < e2e::patient(Duration::from_secs(10)),
        "{:?}",
        began.elapsed()
    );
    node.finish();
}

#[test]
fn r28_an_import_that_is_cut_off_anywhere_leaves_nothing_and_can_be_done_again() {
    let node = Node::empty("r28");
    let archive = node.folder().join("image.tar");
    super::tool(&[
        "tar",
        "-cf",
        archive.to_str().unwrap(),
        "-C",
        e2e::node::image().to_str().unwrap(),
        ".",
    ]);
    let bytes = std::fs::read(&archive).unwrap();
    node.run(&["get", "pods"]).ok();
    let cuts = (0..12)
        .map(|i| bytes.len() * i / 12)
        .chain([511, 512, 513, 1024, bytes.len() - 1]);
    for cut in cuts {
        let mut socket = UnixStream::connect(node.run_dir().join("api.sock")).unwrap();
        write!(
            socket,
            "POST /apis/podwright.io/v1/images/import?name=busybox HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-tar\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        )
        .unwrap();
        // It may have been refused already.
        let _ = socket.write_all(&bytes[..cut]);
        drop(socket);
        until("a store without leftovers", Duration::from_secs(10), || {
            let blobs = node.root().join("images/blobs/sha256");
            let empty =
                |p: std::path::PathBuf| std::fs::read_dir(p).map_or(true, |d| d.count() == 0);
            empty(blobs) && empty(node.root().join("layers")) && empty(node.root().join("tmp"))
        });
        assert!(
            !node.run(&["image", "ls"]).ok().contains("busybox"),
            "cut at {cut}"
        );
    }
    node.run(&[
        "image",
        "import",
        archive.to_str().unwrap(),
        "--name",
        "busybox",
    ])
    .ok();
    let file = node.file("p.yaml", &pod("p", "echo whole"));
    assert_eq!(node.run(&["run", &file]).ok(), "whole\n");
    node.finish();
}
