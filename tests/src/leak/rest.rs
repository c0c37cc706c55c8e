//! What may remain of a node that runs and has no pods: files under root, run and logs, descriptors and threads of its daemon.

use super::processes::{entries, link};
use super::tree::files;
use std::collections::BTreeMap;
use std::path::Path;

/// Under root. `*` is any beginning of one name; what ends in `/**` may hold anything.
const ROOT: &[&str] = &[
    "node.lock",
    "images",
    "images/**",
    "layers",
    // By chain id: shared by images, removed with the last of them.
    "layers/**",
    "pause",
    "pause/**",
    "pods",
    "records",
    "records/configs",
    // One a ConfigMap or Secret that still exists.
    "records/configs/*",
    "records/memory",
    "records/pods",
    // One a Service that still exists.
    "records/services",
    "records/services/*",
    // Which network the node has.
    "records/network.json",
    // Set aside because it cannot be trusted: kept for whoever looks into it.
    "quarantine",
    "quarantine/*",
    // Put there by the user.
    "seccomp",
    "seccomp/**",
    "snapshots",
    "tmp",
];

/// Under run.
const RUN: &[&str] = &[
    "api.sock",
    "intents",
    "node.lock",
    "node.log",
    "quarantine",
    "quarantine/*",
    "sandboxes",
    // The leases of addresses in it go with their sandboxes.
    "network",
    "network/leases",
    "network/names",
];

/// What a quiet daemon holds, and how many of each.
const DESCRIPTORS: [(&str, usize); 7] = [
    // Standard input, and what took the place of the pipe that told that it is ready.
    ("/dev/null", 3),
    ("node.log", 2),
    ("node.lock", 2),
    ("anon_inode:[eventpoll]", 3),
    ("anon_inode:[eventfd]", 2),
    // The API, and the pair that tells of signals, thrice.
    ("socket:", 4),
    ("/memfd:podwright-launch", 1),
];

/// The runtime's own, and those for work that blocks.
const THREADS: usize = 9;

/// Files that should be gone once every pod is deleted.
pub fn files_of(root: &Path, run: &Path, logs: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for (name, folder, allowed) in [("root", root, ROOT), ("run", run, RUN), ("logs", logs, &[])] {
        for file in files(folder) {
            let path = file.to_string_lossy().into_owned();
            if !allowed.iter().any(|a| fits(a, &path)) {
                found.push(format!("file: {name}/{path}"));
            }
        }
    }
    found
}

fn fits(allowed: &str, path: &str) -> bool {
    if let Some(folder) = allowed.strip_suffix("**") {
        return path.starts_with(folder);
    }
    let (a, p): (Vec<&str>, Vec<&str>) = (allowed.split('/').collect(), path.split('/').collect());
    a.len() == p.len()
        && a.iter().zip(&p).all(|(a, p)| match a.strip_prefix('*') {
            Some(end) => p.ends_with(end),
            None => a == p,
        })
}

/// Descriptors and threads that a daemon without pods and clients should not have.
pub fn held_by(daemon: u32) -> Vec<String> {
    let folder = Path::new("/proc").join(daemon.to_string());
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut found = Vec::new();
    for fd in entries(&folder.join("fd")) {
        let target = link(&folder.join("fd").join(&fd));
        // Closed while we looked.
        if target.is_empty() {
            continue;
        }
        let kind = DESCRIPTORS.iter().find(|(k, _)| match k.ends_with(':') {
            true => target.starts_with(k),
            false => target.trim_end_matches(" (deleted)").ends_with(k),
        });
        match kind {
            Some((kind, _)) => kinds
                .entry(kind)
                .or_default()
                .push(format!("{fd} {target}")),
            None => found.push(format!("descriptor of the daemon: {fd} {target}")),
        }
    }
    for (kind, most) in DESCRIPTORS {
        let here = kinds.remove(kind).unwrap_or_default();
        if here.len() > most {
            found.push(format!(
                "descriptors of the daemon: {} of {kind}, not {most}: {here:?}",
                here.len()
            ));
        }
    }
    let threads = entries(&folder.join("task")).len();
    if threads > THREADS {
        found.push(format!("threads of the daemon: {threads}, not {THREADS}"));
    }
    found
}
