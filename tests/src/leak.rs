//! The leak check: what a case left on the machine that was not there before.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Everything on the machine that a node could leave behind, by the words that belong to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Processes whose command line, cgroup or environment of paths names the node's prefix.
    processes: BTreeSet<String>,
    /// Zombies anywhere that are named as one of podwright's programs.
    zombies: BTreeSet<String>,
    /// Mounts, in every mount namespace, that name the prefix.
    mounts: BTreeSet<String>,
    /// Cgroups of the prefix, in every hierarchy.
    cgroups: BTreeSet<PathBuf>,
    /// Inodes of all network namespaces that a process is in.
    network_namespaces: BTreeSet<String>,
    /// Links of this network namespace.
    links: BTreeSet<String>,
    /// Tables of nftables, where `nft` is installed.
    nft: BTreeSet<String>,
}

impl Snapshot {
    /// Takes stock. `words` are what belongs to the node: its folders' and its cgroup's name.
    pub fn take(words: &[&str]) -> Self {
        let mut all = Self {
            cgroups: cgroups(words),
            links: names("/sys/class/net"),
            nft: nft(),
            ..Self::default()
        };
        for pid in pids() {
            let base = PathBuf::from(format!("/proc/{pid}"));
            if let Ok(link) = fs::read_link(base.join("ns/net")) {
                all.network_namespaces
                    .insert(link.to_string_lossy().into_owned());
            }
            let command =
                String::from_utf8_lossy(&fs::read(base.join("cmdline")).unwrap_or_default())
                    .replace('\0', " ");
            let name = fs::read_to_string(base.join("comm"))
                .unwrap_or_default()
                .trim()
                .to_owned();
            let cgroup = fs::read_to_string(base.join("cgroup")).unwrap_or_default();
            let stat = fs::read_to_string(base.join("stat")).unwrap_or_default();
            let state = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next())
                .unwrap_or('?');
            let ours = words
                .iter()
                .any(|w| command.contains(w) || cgroup.contains(w));
            if state == 'Z' {
                if ours || name.starts_with("podwright") {
                    all.zombies.insert(format!("{pid} {name}"));
                }
            } else if ours && pid != std::process::id() {
                all.processes.insert(format!("{pid} {command}"));
            }
            for line in fs::read_to_string(base.join("mountinfo"))
                .unwrap_or_default()
                .lines()
            {
                if words.iter().any(|w| line.contains(w)) {
                    let place = line.split(' ').nth(4).unwrap_or(line);
                    all.mounts.insert(format!("{place} (seen by {pid} {name})"));
                }
            }
        }
        all
    }

    /// What is here and was not in `before`, each with its kind.
    pub fn since(&self, before: &Snapshot) -> Vec<String> {
        let mut found = Vec::new();
        let mut note = |kind: &str, now: Vec<String>, then: Vec<String>| {
            found.extend(
                now.into_iter()
                    .filter(|x| !then.contains(x))
                    .map(|x| format!("{kind}: {x}")),
            );
        };
        let text = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        let paths = |set: &BTreeSet<PathBuf>| {
            set.iter()
                .map(|p| p.display().to_string())
                .collect::<Vec<_>>()
        };
        note("process", text(&self.processes), text(&before.processes));
        note("zombie", text(&self.zombies), text(&before.zombies));
        note("mount", text(&self.mounts), text(&before.mounts));
        note("cgroup", paths(&self.cgroups), paths(&before.cgroups));
        note(
            "network namespace",
            text(&self.network_namespaces),
            text(&before.network_namespaces),
        );
        note("link", text(&self.links), text(&before.links));
        note("nft table", text(&self.nft), text(&before.nft));
        found
    }
}

/// Takes stock again until nothing is left over or `patience` is over; gives what is left then.
pub fn left_over(words: &[&str], before: &Snapshot, patience: Duration) -> Vec<String> {
    let end = Instant::now() + patience;
    loop {
        let left = Snapshot::take(words).since(before);
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every file below a folder, as sorted relative paths.
pub fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                open.push(path.clone());
            }
            if let Ok(relative) = path.strip_prefix(folder) {
                found.insert(relative.to_owned());
            }
        }
    }
    found
}

/// How many descriptors and threads a process has.
pub fn descriptors_and_threads(pid: u32) -> (usize, usize) {
    let count = |what: &str| {
        fs::read_dir(format!("/proc/{pid}/{what}"))
            .map(Iterator::count)
            .unwrap_or(0)
    };
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

fn pids() -> Vec<u32> {
    names("/proc")
        .iter()
        .filter_map(|n| n.parse().ok())
        .collect()
}

fn names(folder: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Cgroups whose path names one of the words, in every hierarchy below /sys/fs/cgroup.
fn cgroups(words: &[&str]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(place) = open.pop() {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                continue;
            }
            let path = entry.path();
            let name = path.to_string_lossy().into_owned();
            if words.iter().any(|w| name.contains(w)) {
                found.insert(path.clone());
            }
            open.push(path);
        }
    }
    found
}

fn nft() -> BTreeSet<String> {
    let output = std::process::Command::new("nft")
        .args(["list", "tables"])
        .output();
    let text = output
        .map(|o| String::from_utf8_lossy(&o.stdout).into_owned())
        .unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
