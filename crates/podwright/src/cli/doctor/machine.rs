//! Limits, disks, and podwright's own programs.

use super::{Check, State, read};
use crate::cli::connect::Places;
use pod_print::text::bytes;
use std::path::{Path, PathBuf};

/// Everything about the machine besides its kernel.
pub(super) fn checks(places: &Places) -> Vec<Check> {
    let mut checks = vec![
        number(
            "pid_max",
            "/proc/sys/kernel/pid_max",
            4096,
            "the number of processes of all pods",
            "sysctl kernel.pid_max=4194304",
        ),
        number(
            "threads-max",
            "/proc/sys/kernel/threads-max",
            4096,
            "the number of threads of all pods",
            "sysctl kernel.threads-max=65536",
        ),
        number(
            "file-max",
            "/proc/sys/fs/file-max",
            65536,
            "open files of all pods and supervisors",
            "sysctl fs.file-max=1048576",
        ),
        number(
            "inotify instances",
            "/proc/sys/fs/inotify/max_user_instances",
            64,
            "following many logs at once",
            "sysctl fs.inotify.max_user_instances=512",
        ),
        number(
            "user namespaces",
            "/proc/sys/user/max_user_namespaces",
            1,
            "pods with hostUsers: false",
            "sysctl user.max_user_namespaces=65536",
        ),
    ];
    checks.push(space(
        "space for images",
        &places.root,
        1 << 30,
        "images, volumes and snapshots",
    ));
    checks.push(space(
        "space for logs",
        &places.logs,
        256 << 20,
        "logs of containers",
    ));
    checks.push(space(
        "space in /run",
        &places.run,
        16 << 20,
        "sockets and records of pods that run",
    ));
    checks.push(quarantine(&places.root, &places.run));
    for (name, needed_for) in [
        (
            "podwright-supervisor",
            "every pod: it is the parent of the containers",
        ),
        ("podwright-launch", "every container: it makes them"),
        ("podwright-pause", "every pod: it holds the namespaces"),
    ] {
        checks.push(program(name, needed_for));
    }
    checks
}

/// Records that were set aside because they were cut off or changed.
fn quarantine(root: &Path, run: &Path) -> Check {
    let folders = [root, run].map(|f| f.join(pod_host::QUARANTINE));
    let count = |f: &Path| std::fs::read_dir(f).map(Iterator::count).unwrap_or(0);
    let kept: Vec<String> = folders
        .iter()
        .map(|f| (count(f), f))
        .filter(|(n, _)| *n > 0)
        .map(|(n, f)| format!("{n} kept in {}", f.display()))
        .collect();
    let found = match kept.is_empty() {
        true => "none".to_owned(),
        false => kept.join(", "),
    };
    Check::of(
        "damaged records",
        kept.is_empty(),
        State::Warn,
        found,
        "pods to be found again after a restart",
        "look at the files and at the disk, then remove the folder; `podwright events` names the pods",
    )
}

fn number(
    name: &'static str,
    path: &str,
    least: u64,
    needed_for: &'static str,
    advice: &'static str,
) -> Check {
    let text = read(path);
    let enough = text.parse::<u64>().is_ok_and(|n| n >= least);
    let found = if text.is_empty() {
        "not there".to_owned()
    } else {
        text
    };
    Check::of(name, enough, State::Warn, found, needed_for, advice)
}

/// Free bytes where that folder is, or will be.
fn space(name: &'static str, folder: &Path, least: u64, needed_for: &'static str) -> Check {
    let there = folder
        .ancestors()
        .find(|p| p.exists())
        .unwrap_or(Path::new("/"));
    let free = rustix::fs::statvfs(there).map(|s| s.f_bavail.saturating_mul(s.f_frsize));
    let found = match free {
        Ok(free) => format!("{} free at {}", bytes(free), there.display()),
        Err(error) => format!("{}: {error}", there.display()),
    };
    Check::of(
        name,
        free.is_ok_and(|f| f >= least),
        State::Warn,
        found,
        needed_for,
        "free some, or put the node elsewhere: --root, --logs, --run",
    )
}

/// One of the programs that the daemon starts, beside this one or where `hack/install` puts it.
fn program(name: &'static str, needed_for: &'static str) -> Check {
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.parent().map(Path::to_owned).unwrap_or_default();
    let places: [PathBuf; 3] = [
        beside.clone(),
        beside.join("../lib/podwright"),
        beside.join("../libexec/podwright"),
    ];
    let found = places.iter().map(|p| p.join(name)).find(|p| p.is_file());
    Check::of(
        name,
        found.is_some(),
        State::Missing,
        match &found {
            Some(path) => path.display().to_string(),
            None => format!("not beside {}", own.display()),
        },
        needed_for,
        "hack/build makes it, hack/install puts it in place",
    )
}
