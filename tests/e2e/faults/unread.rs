//! What cannot be read when the daemon starts is there all the same.

use super::{kill, pod, start};
use e2e::Node;
use e2e::node::until;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All below `folder` whose path ends so.
fn below(folder: &Path, ends: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(ends) {
            found.push(path.clone());
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(below(&path, ends));
        }
    }
    found
}

#[test]
fn r26_what_cannot_be_read_at_a_start_is_neither_forgotten_nor_ended() {
    let node = Node::new("r26unread");
    let words = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata: {a: b}\n";
    let words = node.file("words.yaml", words);
    node.run(&["create", "-f", &words]).ok();
    start(&node, "witness", &pod("witness", "exec sleep 4262"));
    let witness = node.pid_of("4262");
    let (records, run) = (node.root().join("records"), node.run_dir());
    let mut unread = vec![records.join("pods"), records.join("configs")];
    unread.extend(below(&records, ".json").into_iter().filter(|p| {
        // What it takes for damaged or of another daemon's network is not for this case.
        !p.ends_with("network.json")
    }));
    unread.extend(below(&run.join("sandboxes"), "/containers"));
    unread.extend(below(&run.join("sandboxes"), "/record.json"));
    unread.extend(below(&run.join("intents"), ""));
    assert!(unread.len() >= 8, "{unread:?}");
    let aside = node.folder().join("aside");
    for path in unread {
        kill(node.daemon().expect("a daemon"));
        fs::rename(&path, &aside).unwrap();
        // A link to itself: it is there, and whoever reads it gets an error. It stands for one of the disk, or for no descriptor.
        symlink(&path, &path).unwrap();
        let said = node.run(&["get", "pods"]);
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            said.status != 0 && said.err.contains(name),
            "{path:?}: {}",
            said.err
        );
        assert_eq!(node.status("witness"), "Running", "{path:?}");
        assert_eq!(node.pid_of("4262"), witness, "{path:?}");
    }
    let said = node.run(&["exec", "witness", "--", "echo", "unharmed"]);
    assert_eq!(said.ok(), "unharmed\n");
    node.run(&["get", "configmap", "words"]).ok();
    assert!(!node.run_dir().join("quarantine").exists());
    node.finish();
}

#[test]
fn r26_what_a_successor_cannot_read_of_its_containers_ends_none_of_them() {
    let node = Node::new("r26successor");
    start(&node, "witness", &pod("witness", "exec sleep 4263"));
    let witness = node.pid_of("4263");
    let sandboxes = node.run_dir().join("sandboxes");
    let mut unread = below(&sandboxes, ".container");
    unread.extend(below(&sandboxes, "/state/supervisor"));
    // Of the pause process too.
    assert_eq!(unread.len(), 3, "{unread:?}");
    let aside = node.folder().join("aside");
    for path in unread {
        // Also with none of what the daemon holds of it.
        for alone in [true, false] {
            fs::rename(&path, &aside).unwrap();
            symlink(&path, &path).unwrap();
            if !alone {
                kill(node.daemon().expect("a daemon"));
            }
            kill(super::named(&node, "podwright-super")[0]);
            let said = node.run(&["exec", "witness", "--", "echo", "hello"]);
            assert!(
                said.status != 0 && !said.err.is_empty(),
                "{path:?}: {said:?}"
            );
            fs::remove_file(&path).unwrap();
            fs::rename(&aside, &path).unwrap();
            until("a successor", Duration::from_secs(20), || {
                let said = node.run(&["exec", "witness", "--", "echo", "unharmed"]);
                said.out == "unharmed\n"
            });
            assert_eq!(node.status("witness"), "Running", "{path:?}");
            assert_eq!(node.pid_of("4263"), witness, "{path:?}");
        }
    }
    assert!(below(&sandboxes, ".unreadable").is_empty());
    node.finish();
}
