//! A node of its own for one case: folders, cgroup prefix, daemon on demand, and what a user would type.

use crate::leak::{self, Canary, Machine, Snapshot, rest};
use crate::patient;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// How long the last of a node may take to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// How one command went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit status; 128+n for a signal.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// What was run, for messages.
    pub line: String,
}

impl Outcome {
    /// Fails the case unless the command succeeded; gives its standard output.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(
            self.status, 0,
            "{} failed\nstdout: {}\nstderr: {}",
            self.line, self.out, self.err
        );
        &self.out
    }

    /// Fails the case unless the command ended with that status; gives its standard error.
    #[track_caller]
    pub fn fails(&self, status: i32) -> &str {
        assert_eq!(
            self.status, status,
            "{} ended with another status\nstdout: {}\nstderr: {}",
            self.line, self.out, self.err
        );
        &self.err
    }
}

/// A node with everything of its own. [`Node::finish`] ends a case; a case that panics removes its node all the same.
#[derive(Debug)]
pub struct Node {
    name: String,
    base: PathBuf,
    before: Snapshot,
    machine: Option<Machine>,
    canary: Canary,
    variables: Vec<(String, String)>,
    finished: bool,
}

impl Node {
    /// A fresh node with the image `busybox` in its store.
    pub fn new(case: &str) -> Self {
        let node = Self::empty(case);
        node.run(&[
            "image",
            "import",
            &image().display().to_string(),
            "--name",
            "busybox",
        ])
        .ok();
        node
    }

    /// A fresh node with an empty store.
    pub fn empty(case: &str) -> Self {
        assert!(is_root(), "end-to-end cases need root");
        let short: String = case
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(12)
            .collect();
        let name = format!(
            "pwt{}x{}{short}",
            crate::apart::number(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let machine = Machine::enter(&name);
        let base = PathBuf::from("/tmp").join(&name);
        fs::create_dir_all(&base).expect("make the node's folder");
        let canary = Canary::make(&base.with_extension("canary")).expect("make the canary tree");
        let before = Snapshot::take(&[&name]);
        Self {
            name,
            base,
            before,
            machine: Some(machine),
            canary,
            variables: Vec::new(),
            finished: false,
        }
    }

    /// With one more variable in the environment of every command.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The word that all of this node's folders and cgroups carry.
    pub fn word(&self) -> &str {
        &self.name
    }

    /// Folder for this case's own files.
    pub fn folder(&self) -> &Path {
        &self.base
    }

    /// The state folder.
    pub fn root(&self) -> PathBuf {
        self.base.join("root")
    }

    /// The run folder.
    pub fn run_dir(&self) -> PathBuf {
        self.base.join("run")
    }

    /// The folder of logs.
    pub fn logs(&self) -> PathBuf {
        self.base.join("logs")
    }

    /// The cgroup below which everything of this node lies.
    pub fn cgroup_root(&self) -> String {
        format!("/{}", self.name)
    }

    /// A command of podwright on this node.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("podwright"));
        command
            .args(arguments)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("PODWRIGHT_ROOT", self.root())
            .env("PODWRIGHT_RUN", self.run_dir())
            .env("PODWRIGHT_LOGS", self.logs())
            .env("PODWRIGHT_CGROUP_ROOT", self.cgroup_root())
            // The machine's links are not for tests: cases about the network say so, and run apart.
            .env("PODWRIGHT_NETWORK", "none")
            .envs(self.variables.iter().cloned())
            .current_dir(&self.base)
            .stdin(Stdio::null());
        command
    }

    /// Runs one command of podwright to its end. Output goes to files: a pipe would wait for every grandchild.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Likewise for an exec by which its container ends: it may be killed with it before it has ended by itself.
    #[track_caller]
    pub fn run_to_its_end(&self, arguments: &[&str]) {
        let outcome = self.run(arguments);
        assert!([0, 137].contains(&outcome.status), "{outcome:?}");
    }

    /// Likewise, with text on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let running = self.start_with(arguments, input);
        running.wait(Duration::from_secs(120))
    }

    /// Starts one command of podwright and leaves it running.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, "")
    }

    fn start_with(&self, arguments: &[&str], input: &str) -> Running {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (
            self.base.join(format!("out.{number}")),
            self.base.join(format!("err.{number}")),
        );
        let mut command = self.command(arguments);
        command.stdout(File::create(&out).expect("make a file for output"));
        command.stderr(File::create(&err).expect("make a file for output"));
        if !input.is_empty() {
            let file = self.base.join(format!("in.{number}"));
            fs::write(&file, input).expect("write the input");
            command.stdin(File::open(&file).expect("open the input"));
        }
        let child = command.spawn().expect("start podwright");
        Running {
            child,
            out,
            err,
            line: format!("podwright {}", arguments.join(" ")),
        }
    }

    /// Writes a file into the case's folder and gives its path.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.base.join(name);
        fs::write(&path, text).expect("write a file");
        path.display().to_string()
    }

    /// The pod as the API has it.
    pub fn pod(&self, name: &str) -> serde_json::Value {
        let outcome = self.run(&["get", "pod", name, "-o", "json"]);
        serde_json::from_str(outcome.ok()).expect("a pod in JSON")
    }

    /// The STATUS column of one pod.
    pub fn status(&self, name: &str) -> String {
        let outcome = self.run(&["get", "pods"]);
        let line = outcome
            .out
            .lines()
            .find(|l| l.split_whitespace().next() == Some(name));
        line.and_then(|l| l.split_whitespace().nth(2))
            .unwrap_or("")
            .to_owned()
    }

    /// Waits until the STATUS column of a pod is one of these; fails the case after 30 s.
    #[track_caller]
    pub fn wait_status(&self, name: &str, wanted: &[&str]) -> String {
        let mut seen = String::new();
        until(
            &format!("status {wanted:?} of {name}"),
            Duration::from_secs(30),
            || {
                seen = self.status(name);
                wanted.contains(&seen.as_str())
            },
        );
        seen
    }

    /// The value of a cgroup file, in the hierarchy that has it. `path` is below the cgroup root.
    pub fn cgroup_file(&self, path: &str, file: &str) -> Option<String> {
        let below = format!("{}/{path}", self.name);
        let mut places = vec![PathBuf::from("/sys/fs/cgroup")];
        places.extend(
            fs::read_dir("/sys/fs/cgroup")
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path()),
        );
        places
            .iter()
            .find_map(|p| fs::read_to_string(p.join(&below).join(file)).ok())
            .map(|t| t.trim().to_owned())
    }

    /// Pid of the container process that has this word among its arguments.
    #[track_caller]
    pub fn pid_of(&self, argument: &str) -> u32 {
        let found = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .find_map(|entry| {
                let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
                let command = fs::read(entry.path().join("cmdline")).ok()?;
                let cgroup = fs::read_to_string(entry.path().join("cgroup")).ok()?;
                let matches = String::from_utf8_lossy(&command)
                    .split('\0')
                    .any(|a| a == argument);
                (matches && cgroup.contains(&self.name)).then_some(pid)
            });
        found.unwrap_or_else(|| panic!("no process of {} has the argument {argument}", self.name))
    }

    /// Pid of the node daemon, if one runs.
    pub fn daemon(&self) -> Option<u32> {
        let text = self.run(&["version", "-o", "json"]).out;
        let value: serde_json::Value = serde_json::from_str(&text).ok()?;
        value
            .pointer("/node/pid")
            .and_then(serde_json::Value::as_u64)
            .and_then(|p| u32::try_from(p).ok())
    }

    /// Ends the case: deletes every pod and fails unless the daemon holds nothing of them any more, then resets the node and fails
    /// unless nothing of it is left on the machine.
    #[track_caller]
    pub fn finish(mut self) {
        let deleted = self.run(&["delete", "pods", "--all", "-A", "--force"]);
        // Asked once: a client that has just gone is a descriptor of the daemon for another moment.
        let daemon = self.daemon();
        let mut left = leak::again(PATIENCE, || self.held(daemon));
        // From here on a failure leaves nothing behind: everything is taken away before anything is asserted.
        self.finished = true;
        let reset = self.run(&["reset", "--yes"]);
        left.extend(leak::left_over(&[&self.name], &self.before, PATIENCE));
        for folder in [self.root(), self.run_dir(), self.logs()] {
            let files = leak::files(&folder).into_iter();
            left.extend(files.map(|f| format!("after reset: {}", folder.join(f).display())));
        }
        left.extend(self.canary.changes());
        self.remove();
        left.extend(
            self.machine
                .take()
                .map(|m| m.leave(PATIENCE))
                .unwrap_or_default(),
        );
        deleted.ok();
        reset.ok();
        assert!(left.is_empty(), "leaks: {left:#?}");
    }

    /// What is left of pods while the node still runs, once all are deleted: files under root, run and logs, and what the daemon holds.
    pub fn held(&self, daemon: Option<u32>) -> Vec<String> {
        let mut found = rest::files_of(&self.root(), &self.run_dir(), &self.logs());
        found.extend(daemon.map(rest::held_by).unwrap_or_default());
        found
    }

    /// Fails unless no container, sandbox, mount or cgroup of a pod is left while the node still runs.
    #[track_caller]
    pub fn nothing_left_of_pods(&self) {
        until("an empty node", Duration::from_secs(5), || {
            let empty = |p: PathBuf| fs::read_dir(p).map(|d| d.count() == 0).unwrap_or(true);
            empty(self.run_dir().join("sandboxes"))
                && empty(self.root().join("pods"))
                && empty(self.root().join("snapshots"))
                && empty(self.base.join("logs"))
        });
    }

    fn remove(&self) {
        let _ = fs::remove_dir_all(&self.base);
        self.canary.remove();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.finished {
            if std::env::var_os("PODWRIGHT_KEEP_FAILED").is_some() {
                return;
            }
            let log = fs::read_to_string(self.run_dir().join("node.log")).unwrap_or_default();
            eprintln!("--- node.log of the failed case\n{log}---");
            let _ = self.run(&["reset", "--yes"]);
            self.remove();
        }
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    line: String,
}

impl Running {
    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far on standard output and standard error.
    pub fn so_far(&self) -> (String, String) {
        let read =
            |p: &Path| String::from_utf8_lossy(&fs::read(p).unwrap_or_default()).into_owned();
        (read(&self.out), read(&self.err))
    }

    /// Sends it a signal, by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|s| s.success()), "kill -s {name}");
    }

    /// Waits for its end; kills it when that takes longer than `patience` (see [`patient`]).
    #[track_caller]
    pub fn wait(mut self, patience: Duration) -> Outcome {
        use std::os::unix::process::ExitStatusExt;
        let patience = patient(patience);
        let end = Instant::now() + patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait for podwright") {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let (out, err) = self.so_far();
                panic!(
                    "{} did not end within {patience:?}\nstdout: {out}\nstderr: {err}",
                    self.line
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let (out, err) = self.so_far();
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Outcome {
            status: code,
            out,
            err,
            line: self.line,
        }
    }
}

/// Asks again until `done` says yes; fails the case after `patience` (see [`patient`]).
#[track_caller]
pub fn until(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let patience = patient(patience);
    let end = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < end, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills a process and comes back once it is dead: its sockets are closed, whoever is to reap it.
#[track_caller]
pub fn kill(pid: u32) {
    let pid = pid.to_string();
    let done = Command::new("kill").args(["-9", &pid]).status();
    assert!(done.is_ok_and(|s| s.success()), "kill -9 {pid}");
    until(
        "the end of a killed process",
        Duration::from_secs(10),
        || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let state = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.chars().next());
            // The first thread may be dead while another one still holds the sockets.
            let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
            threads <= 1 && state.is_none_or(|s| s == 'Z' || s == 'X')
        },
    );
}

/// Whether this process is root.
pub fn is_root() -> bool {
    fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .any(|l| l.starts_with("Uid:\t0\t0"))
}

/// The folder of the programs that `hack/build` made.
pub fn dist() -> PathBuf {
    std::env::var_os("PODWRIGHT_DIST")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/dist")))
}

/// A program that `hack/build` made.
pub fn binary(name: &str) -> PathBuf {
    let path = dist().join(name);
    assert!(
        path.exists(),
        "{} is missing: run hack/build",
        path.display()
    );
    path.canonicalize().expect("an absolute path")
}

/// The busybox image that `hack/busybox-image` made.
pub fn image() -> PathBuf {
    let path = binary("podwright").with_file_name("busybox-image");
    assert!(
        path.exists(),
        "{} is missing: run hack/busybox-image {}",
        path.display(),
        path.display()
    );
    path
}
