//! What leaks from the node into containers, and what they make it hold: S04, S06, S14, S15, S16, S17, S37.

use super::{Hostile, rounds};
use e2e::Node;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SLEEPER: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - {name: app, image: busybox, command: [sleep, '1000']CONTEXT}\n";

fn sleeper(node: &Node, context: &str) {
    let file = node.file("pod.yaml", &SLEEPER.replace("CONTEXT", context));
    node.run(&["run", "-d", &file]).ok();
    node.wait_status("s", &["Running"]);
}

#[test]
fn s04_a_process_that_is_started_later_has_no_more_rights_than_the_first() {
    apart!(s04_a_process_that_is_started_later_has_no_more_rights_than_the_first);
    let h = Hostile::new("s04");
    for (context, root) in [
        ("", true),
        (", securityContext: {runAsUser: 1000}", false),
        (", securityContext: {capabilities: {drop: [ALL]}}", true),
        (
            ", securityContext: {capabilities: {add: [NET_ADMIN]}, seccompProfile: {type: RuntimeDefault}, allowPrivilegeEscalation: false}",
            true,
        ),
        (
            ", securityContext: {runAsUser: 1000, capabilities: {add: [SYS_ADMIN]}}",
            false,
        ),
    ] {
        sleeper(&h.node, context);
        let lines = |text: &str| -> Vec<String> {
            let kept = |l: &&str| {
                ["Cap", "NoNewPrivs", "Seccomp:", "Uid", "Gid", "Groups"]
                    .iter()
                    .any(|k| l.starts_with(k))
            };
            text.lines().filter(kept).map(str::to_owned).collect()
        };
        let first = fs::read_to_string(format!("/proc/{}/status", h.node.pid_of("1000"))).unwrap();
        let second = h.node.run(&["exec", "s", "--", "cat", "/proc/self/status"]);
        assert_eq!(lines(second.ok()), lines(&first), "{context}");
        let of = |key: &str| {
            lines(&first)
                .into_iter()
                .find(|l| l.starts_with(key))
                .unwrap_or_default()
        };
        for key in ["CapInh", "CapAmb"] {
            assert!(
                of(key).ends_with("0000000000000000"),
                "{context}: {}",
                of(key)
            );
        }
        if !root {
            assert!(
                of("CapPrm").ends_with("0000000000000000")
                    && of("CapEff").ends_with("0000000000000000"),
                "{context}: {first}"
            );
        }
        h.node.run(&["delete", "pod", "s"]).ok();
    }
    h.finish();
}

#[test]
fn s06_descriptors_and_variables_of_the_daemon_reach_no_container() {
    apart!(s06_descriptors_and_variables_of_the_daemon_reach_no_container);
    // The first command starts the daemon, which so inherits what a careless parent has.
    let node = Node::empty("s06");
    let leaks: Vec<fs::File> = (0..50).map(|_| fs::File::open("/").unwrap()).collect();
    for leak in &leaks {
        rustix::io::fcntl_setfd(leak, rustix::io::FdFlags::empty()).unwrap();
    }
    let image = e2e::node::image().display().to_string();
    let script = "ls -l /proc/self/fd | sed 's/.* -> //'; env; ls -l /proc/1/fd | sed 's/.* -> //'";
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: s}}\nspec:\n  restartPolicy: Never\n  containers:\n  - {{name: app, image: busybox, command: [sh, -c, {script:?}]}}\n"
    );
    let file = node.file("pod.yaml", &text);
    let mut out = String::new();
    for arguments in [
        vec!["image", "import", &image, "--name", "busybox"],
        vec!["run", &file],
    ] {
        let done = node
            .command(&arguments)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "leak")
            .env("MARKER", "of-the-node")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        out = String::from_utf8_lossy(&done.stdout).into_owned();
    }
    drop(leaks);
    assert!(
        !out.contains("LISTEN_FD") && !out.contains("of-the-node"),
        "{out}"
    );
    // A folder would be the node's root.
    assert!(!out.lines().any(|line| line == "/"), "{out}");
    let descriptors = out
        .lines()
        .filter(|l| {
            l.starts_with("pipe:") || l.starts_with("/dev/null") || l.starts_with("socket:")
        })
        .count();
    assert!((6..=8).contains(&descriptors), "{out}");
    node.finish();
}

/// Every socket and every folder below a folder.
fn below(folder: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|e| e.path()),
            );
        }
        found.push((path, meta));
    }
    found
}

#[test]
fn s14_s37_there_are_no_abstract_sockets_and_the_named_ones_are_roots() {
    apart!(s14_s37_there_are_no_abstract_sockets_and_the_named_ones_are_roots);
    let h = Hostile::new("s14");
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: s}\nspec:\n  hostNetwork: true\n  terminationGracePeriodSeconds: 0\n  containers:\n  - {name: app, image: busybox, command: [sleep, '1000']}\n";
    let file = h.node.file("pod.yaml", text);
    h.node.run(&["run", "-d", &file]).ok();
    h.node.wait_status("s", &["Running"]);
    let seen = h.node.run(&["exec", "s", "--", "cat", "/proc/net/unix"]);
    let word = h.node.word();
    let abstract_ones: Vec<&str> = seen
        .ok()
        .lines()
        .filter(|l| l.contains(" @") && (l.contains(word) || l.contains("podwright")))
        .collect();
    assert!(abstract_ones.is_empty(), "{abstract_ones:?}");
    let sockets: Vec<_> = below(&h.node.run_dir())
        .into_iter()
        .filter(|(_, m)| m.file_type().is_socket())
        .collect();
    assert!(
        sockets.len() >= 2,
        "the daemon's and a supervisor's: {sockets:?}"
    );
    for (path, _) in sockets {
        // libcontainer's own has whatever mode the umask left; no other user gets as far as to it.
        let private =
            |folder: &Path| fs::metadata(folder).is_ok_and(|m| m.permissions().mode() & 0o077 == 0);
        assert!(path.ancestors().skip(1).any(private), "{}", path.display());
    }
    assert_eq!(
        fs::metadata(h.node.run_dir()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    h.node.run(&["delete", "pod", "s"]).ok();
    h.finish();
}

#[test]
fn s15_no_other_user_gets_into_any_folder_of_the_node() {
    apart!(s15_no_other_user_gets_into_any_folder_of_the_node);
    let h = Hostile::new("s15");
    // As an older version, or a package, could have left them.
    h.node.run(&["reset", "--yes"]).ok();
    for folder in [h.node.root(), h.node.run_dir()] {
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let image = e2e::node::image().display().to_string();
    h.node
        .run(&["image", "import", &image, "--name", "busybox"])
        .ok();
    sleeper(&h.node, "");
    for folder in [h.node.root(), h.node.run_dir()] {
        for (path, _) in below(&folder).into_iter().filter(|(_, m)| m.is_dir()) {
            let listed = Command::new("setpriv")
                .args(["--reuid=1000", "--regid=1000", "--clear-groups", "ls", "-a"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(
                !listed.status.success(),
                "{} can be listed by anybody",
                path.display()
            );
        }
    }
    for (path, meta) in below(&h.node.folder().join("logs")) {
        if meta.is_file() {
            assert_eq!(meta.permissions().mode() & 0o007, 0, "{}", path.display());
        }
    }
    h.node.run(&["delete", "pod", "s"]).ok();
    h.finish();
}

#[test]
fn s16_an_exec_whose_child_stays_behind_returns_and_leaves_nothing() {
    apart!(s16_an_exec_whose_child_stays_behind_returns_and_leaves_nothing);
    let h = Hostile::new("s16");
    sleeper(&h.node, "");
    let daemon = h.node.daemon().expect("a daemon");
    let exec = || {
        let begin = Instant::now();
        let said = h
            .node
            .run(&["exec", "s", "--", "sh", "-c", "sleep 999 & echo $!"]);
        let child: String = said.ok().trim().to_owned();
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "{:?}",
            begin.elapsed()
        );
        h.node.run(&["exec", "s", "--", "kill", "-9", &child]).ok();
    };
    let supervisors =
        e2e::soak::processes::find(h.node.word(), e2e::soak::processes::Who::Supervisor);
    let supervisor = supervisors[0].cast_unsigned();
    // Descriptors and threads of both, and their memory in KiB.
    let held = || {
        let (daemon_fds, daemon_threads) = e2e::leak::descriptors_and_threads(daemon);
        let (fds, threads) = e2e::leak::descriptors_and_threads(supervisor);
        let memory = [resident(daemon), resident(supervisor)].map(|kib| kib as usize);
        [
            daemon_fds,
            daemon_threads,
            fds,
            threads,
            memory[0],
            memory[1],
        ]
    };
    let settle = || {
        // The last session's end is told a moment after its client's.
        let mut least = held();
        for _ in 0..50 {
            std::thread::sleep(Duration::from_millis(20));
            let now = held();
            least = std::array::from_fn(|i| least[i].min(now[i]));
        }
        least
    };
    // What is made once, and what the allocator keeps.
    for _ in 0..rounds().min(50) {
        exec();
    }
    let before = settle();
    for _ in 0..rounds().div_ceil(2) {
        exec();
    }
    let after = settle();
    // A thread for work that blocks may come late; of memory the twentieth part, or what a few pages make of a small program.
    let most: [usize; 6] = std::array::from_fn(|i| {
        before[i] + [0, 2, 0, 0, before[4] / 20 + 512, before[5] / 20 + 64][i]
    });
    assert!(
        after.iter().zip(&most).all(|(now, most)| now <= most),
        "descriptors and threads of daemon and supervisor, memory of both: {before:?}, then {after:?}"
    );
    h.node.run(&["delete", "pod", "s"]).ok();
    h.finish();
}

/// Resident memory of a process in KiB.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn s17_output_that_nobody_reads_fills_no_memory() {
    apart!(s17_output_that_nobody_reads_fills_no_memory);
    let h = Hostile::new("s17");
    sleeper(&h.node, "");
    let daemon = h.node.daemon().expect("a daemon");
    h.node.run(&["exec", "s", "--", "true"]).ok();
    let before = resident(daemon);
    // Clients that take nothing: what the container prints must wait in it.
    let mut clients: Vec<_> = (0..4)
        .map(|_| {
            h.node
                .command(&["exec", "s", "--", "sh", "-c", "yes & yes >&2"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut most = 0;
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        most = most.max(resident(daemon));
        std::thread::sleep(Duration::from_millis(50));
    }
    for client in &mut clients {
        // A client that waits for room on one of the two hands on nothing of the other.
        let mut errors = client.stderr.take().unwrap();
        let drain = std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        let mut some = [0; 2];
        client
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut some)
            .unwrap();
        assert_eq!(&some, b"y\n", "it did print");
        client.kill().unwrap();
        client.wait().unwrap();
        drain.join().unwrap().unwrap();
    }
    assert!(most < before + 40 * 1024, "{before} KiB, then {most} KiB");
    h.node.run(&["delete", "pod", "s"]).ok();
    h.finish();
}
