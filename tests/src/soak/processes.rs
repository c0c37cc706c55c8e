//! The node's own processes, by their exact pids.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The node daemon.
    Daemon,
    /// The supervisor of the sandbox.
    Supervisor,
    /// A launcher, at work or waiting.
    Launcher,
}

impl Who {
    /// All of them.
    pub const ALL: [Who; 3] = [Who::Daemon, Who::Supervisor, Who::Launcher];

    /// As files and messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Who::Daemon => "daemon",
            Who::Supervisor => "supervisor",
            Who::Launcher => "launcher",
        }
    }
}

/// Pids of the processes of that kind which belong to the node of this word.
pub fn find(word: &str, who: Who) -> Vec<i32> {
    pids().into_iter().filter(|p| is(*p, word, who)).collect()
}

/// Every pid of this PID namespace.
pub fn pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|e| e.file_name().to_str()?.parse().ok())
        .collect()
}

fn is(pid: i32, word: &str, who: Who) -> bool {
    let line = command_line(pid);
    let has = |argument: &str| line.iter().any(|a| a == argument);
    let named = line.iter().any(|a| a.contains(word));
    match who {
        Who::Daemon => named && has("node") && has("--on-demand"),
        Who::Supervisor => named && has("--dir") && has("--launch-fd"),
        Who::Launcher => {
            line.first().is_some_and(|a| a == "podwright-launch")
                && fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|c| c.contains(word))
        }
    }
}

/// Arguments of a process; none of one that is gone or a zombie.
pub fn command_line(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .split_terminator('\0')
        .map(str::to_owned)
        .collect()
}

/// Kills that process. `false`: it was gone.
pub fn kill(pid: i32) -> bool {
    rustix::process::Pid::from_raw(pid).is_some_and(|pid| {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok()
    })
}

/// Whether a process has ended; it may still wait to be reaped.
pub fn is_gone(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Whether a process is in a cgroup of that name, in any hierarchy.
pub fn lives_in_cgroup(name: &str) -> bool {
    pids().into_iter().any(|pid| {
        !is_gone(pid)
            && fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("cgroup"))
                .is_ok_and(|c| c.contains(name))
    })
}

/// What a node that is empty has: its cgroups and mounts. Cheap, so that it can be looked at after every kill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    cgroups: BTreeSet<PathBuf>,
    mounts: BTreeSet<String>,
}

impl Ground {
    /// Looks at it.
    pub fn of(word: &str) -> Self {
        let mut cgroups = BTreeSet::new();
        let roots = fs::read_dir("/sys/fs/cgroup")
            .into_iter()
            .flatten()
            .flatten();
        let mut open: Vec<PathBuf> = roots.map(|e| e.path().join(word)).collect();
        open.push(Path::new("/sys/fs/cgroup").join(word));
        while let Some(folder) = open.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            let below = entries
                .flatten()
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
            open.extend(below.map(|e| e.path()));
            cgroups.insert(folder);
        }
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let places = table.lines().filter_map(|l| l.split(' ').nth(4));
        Self {
            cgroups,
            mounts: places
                .filter(|p| p.contains(word))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// What is here and was not in `before`.
    pub fn since(&self, before: &Ground) -> Vec<String> {
        let cgroups = self.cgroups.difference(&before.cgroups);
        let mounts = self.mounts.difference(&before.mounts);
        cgroups
            .map(|c| format!("cgroup: {}", c.display()))
            .chain(mounts.map(|m| format!("mount: {m}")))
            .collect()
    }
}

/// Processes of the node but its daemon: whatever is in its cgroups or has its word among its arguments; zombies too.
pub fn others(word: &str) -> Vec<String> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let found = pids().into_iter().filter(|p| *p != own && *p != 1);
    let found = found.filter(|pid| {
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let named = command_line(*pid).iter().any(|a| a.contains(word));
        (cgroup.contains(word) || named) && !is(*pid, word, Who::Daemon)
    });
    found
        .map(|pid| format!("process: {pid} {}", command_line(pid).join(" ")))
        .collect()
}
