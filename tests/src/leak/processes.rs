//! Processes, and what they hold: namespaces, mounts, descriptors.

use super::Snapshot;
use super::owner::Owners;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One process, as `/proc` shows it. What cannot be read is empty: it is gone, or a thread of the kernel.
#[derive(Debug, Default)]
pub(super) struct Process {
    pid: u32,
    parent: u32,
    state: char,
    name: String,
    arguments: String,
    environment: String,
    cgroups: String,
    /// Program, root and working directory.
    paths: String,
    /// The line of its root file system in its mount namespace.
    root_mount: String,
    namespaces: BTreeMap<String, String>,
    descriptors: Vec<Held>,
}

/// One open descriptor.
#[derive(Debug)]
struct Held {
    target: String,
    /// `[identity]` where it is a namespace. Its target does not tell once the file that it was opened by is unmounted.
    namespace: Option<String>,
}

impl Held {
    fn read(path: &Path, namespaces: u64) -> Self {
        let target = link(path);
        let namespace = fs::metadata(path).ok().filter(|m| m.dev() == namespaces);
        Self {
            target,
            namespace: namespace.map(|m| format!("[{}]", m.ino())),
        }
    }

    /// All of one process.
    fn all(process: &Path) -> Vec<Self> {
        let namespaces = fs::metadata("/proc/self/ns/net").map_or(0, |m| m.dev());
        let folder = process.join("fd");
        let fds = entries(&folder);
        fds.iter()
            .map(|fd| Self::read(&folder.join(fd), namespaces))
            .collect()
    }
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let base = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(base.join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let mut process = Self {
            pid,
            state: fields.next()?.chars().next()?,
            parent: fields.next()?.parse().ok()?,
            name: head.split_once('(')?.1.to_owned(),
            ..Self::default()
        };
        /// `PF_KTHREAD` of the kernel: a thread of its own.
        const OF_THE_KERNEL: u64 = 0x0020_0000;
        let flags: u64 = fields.nth(4)?.parse().ok()?;
        if flags & OF_THE_KERNEL != 0 {
            return None;
        }
        let text = |what: &str| {
            String::from_utf8_lossy(&fs::read(base.join(what)).unwrap_or_default())
                .replace('\0', " ")
        };
        process.arguments = text("cmdline");
        process.environment = text("environ");
        process.cgroups = text("cgroup");
        for what in ["exe", "root", "cwd"] {
            process.paths += &link(&base.join(what));
            process.paths.push(' ');
        }
        for kind in entries(&base.join("ns")) {
            // Those for children are the same namespaces, or show up in the children.
            if !kind.ends_with("_for_children") {
                let id = link(&base.join("ns").join(&kind));
                process.namespaces.insert(kind, id);
            }
        }
        process.descriptors = Held::all(&base);
        for thread in entries(&base.join("task")).iter().skip(1) {
            // A thread may have joined a network namespace of its own.
            let id = link(&base.join("task").join(thread).join("ns/net"));
            process
                .namespaces
                .insert(format!("net of thread {thread}"), id);
        }
        Some(process)
    }

    pub(super) fn is_podwright(&self) -> bool {
        self.name.starts_with("podwright")
    }

    /// Whether anything that tells where it came from is named so.
    pub(super) fn names(&self, ours: &dyn Fn(&str) -> bool) -> bool {
        [
            &self.arguments,
            &self.cgroups,
            &self.environment,
            &self.paths,
            &self.root_mount,
        ]
        .into_iter()
        .any(|t| ours(t))
    }

    /// The folders and cgroups of the node that it belongs to, as its arguments, its environment and its cgroup say.
    pub(super) fn places(&self) -> Vec<String> {
        let mut found = Vec::new();
        // Not its own program: that is everybody's.
        let arguments = self.arguments.split(' ').skip(1);
        let arguments = arguments.chain(self.environment.split(' '));
        for word in arguments {
            let value = word.split_once('=').map_or(word, |(_, v)| v);
            let folder = value.split("/sandboxes").next().unwrap_or(value);
            // Not the top of the tree, nor a folder that everybody has.
            if folder.starts_with('/') && folder.matches('/').count() > 1 && !common(folder) {
                found.push(folder.to_owned());
            }
        }
        let cgroups = self.cgroups.lines().filter_map(|l| l.splitn(3, ':').nth(2));
        found.extend(
            cgroups
                .filter_map(|p| p.split_once("/podwright-system"))
                .map(|(p, _)| p.to_owned()),
        );
        if found.is_empty() && self.name.starts_with("podwright") {
            // Nothing is known of it but that it is there.
            found.push(format!("podwright with pid {}", self.pid));
        }
        found
    }

    fn title(&self) -> String {
        format!("{} {}", self.pid, self.name)
    }
}

fn common(folder: &str) -> bool {
    ["/usr/", "/bin/", "/sbin/", "/etc/", "/root/.", "/dev/null"]
        .iter()
        .any(|c| folder.starts_with(c))
}

/// Every process but this one and the kernel's threads.
pub(super) fn all() -> Vec<Process> {
    let host = link(Path::new("/proc/self/ns/mnt"));
    let mut roots: BTreeMap<String, String> = BTreeMap::new();
    let pids = entries(Path::new("/proc"));
    let mut found: Vec<Process> = pids
        .iter()
        .filter_map(|n| n.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(Process::read)
        .collect();
    for process in &mut found {
        let id = process.namespaces.get("mnt").cloned().unwrap_or_default();
        if id.is_empty() || id == host {
            continue;
        }
        let pid = process.pid;
        let root = roots.entry(id).or_insert_with(|| {
            let lines = mounts(pid);
            let root = lines.iter().rfind(|l| l.split(' ').nth(4) == Some("/"));
            root.cloned().unwrap_or_default()
        });
        process.root_mount.clone_from(root);
    }
    found
}

/// Notes processes, zombies, namespaces, mounts and descriptors.
pub(super) fn look(processes: &[Process], owners: &Owners, all: &mut Snapshot) {
    let ours = |t: &str| owners.ours(t);
    let of_node: BTreeSet<u32> = processes
        .iter()
        .filter(|p| p.names(&ours))
        .map(|p| p.pid)
        .collect();
    // Namespaces that need no explanation: this process's, and those of processes that are not the node's.
    let mut known: BTreeSet<String> = entries(Path::new("/proc/self/ns"))
        .iter()
        .map(|k| link(&Path::new("/proc/self/ns").join(k)))
        .collect();
    let foreign = processes.iter().filter(|p| !of_node.contains(&p.pid));
    known.extend(foreign.flat_map(|p| p.namespaces.values().cloned()));
    let mut seen = BTreeSet::new();
    mounts_of("self", "this mount namespace", owners, all, &mut seen);
    for process in processes {
        let title = process.title();
        let mine = of_node.contains(&process.pid);
        match process.state {
            'Z' if mine || of_node.contains(&process.parent) => all.ours("zombie", &title),
            // A child of this process that ended and was not waited for yet is the business of its case.
            'Z' if process.parent == std::process::id() => {}
            'Z' if process.name.starts_with("podwright") => all.note(owners, "zombie", &title),
            'Z' => {}
            _ if mine => {
                all.ours("process", format!("{title}: {}", process.arguments));
                for id in process.namespaces.values() {
                    if !known.contains(id) && !id.is_empty() {
                        all.ours("namespace", format!("{id} (process {title})"));
                    }
                }
                let id = process.namespaces.get("mnt").cloned().unwrap_or_default();
                if !known.contains(&id) && seen.insert(id.clone()) {
                    mounts_of(
                        &process.pid.to_string(),
                        &format!("{id}, process {title}"),
                        owners,
                        all,
                        &mut BTreeSet::new(),
                    );
                }
            }
            _ => {}
        }
        for held in &process.descriptors {
            match &held.namespace {
                Some(id) if mine && !known.iter().any(|k| k.ends_with(id.as_str())) => {
                    all.ours("namespace", format!("{id} (descriptor of {title})"));
                }
                None if owners.ours(&held.target) => {
                    all.ours("descriptor", format!("{} (of {title})", held.target));
                }
                _ => {}
            }
        }
    }
    let own = Held::all(Path::new("/proc/self"));
    for id in own.into_iter().filter_map(|h| h.namespace) {
        all.note(
            owners,
            "namespace",
            format!("{id} (descriptor of this process)"),
        );
    }
}

/// Notes the mounts of one namespace: those that name the node, and in this namespace all others that name no other node.
fn mounts_of(
    pid: &str,
    place: &str,
    owners: &Owners,
    all: &mut Snapshot,
    seen: &mut BTreeSet<String>,
) {
    for line in mounts(pid) {
        // Without the identifiers, which are given anew to the same mount.
        let text = line.splitn(4, ' ').nth(3).unwrap_or(&line);
        if pid == "self" {
            if seen.insert(text.to_owned()) {
                all.note(owners, "mount", format!("{text} ({place})"));
            } else {
                all.note(owners, "mount", format!("{text} ({place}, once more)"));
            }
        } else if owners.ours(text) {
            all.ours("mount", format!("{text} ({place})"));
        }
    }
}

fn mounts(pid: impl std::fmt::Display) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// How many descriptors and threads a process has.
pub fn descriptors_and_threads(pid: u32) -> (usize, usize) {
    let count = |what: &str| entries(Path::new(&format!("/proc/{pid}/{what}"))).len();
    (count("fd"), count("task"))
}

/// Processor time that a process has used, in clock ticks (1/100 s).
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.split(' ').collect::<Vec<_>>());
    let number = |i: usize| fields.as_ref()?.get(i)?.parse::<u64>().ok();
    number(11).unwrap_or(0) + number(12).unwrap_or(0)
}

/// Where a link points, "" where it cannot be read.
pub(super) fn link(path: &Path) -> String {
    fs::read_link(path)
        .map(|p| p.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Names in a folder, sorted.
pub(super) fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
