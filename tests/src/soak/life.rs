//! One pod from create to delete: what is done with it, what must be true of it afterwards whatever was killed in between.
//!
//! Its init container waits for the file `/v/init` and exits with 0; its app waits for `/v/app` and exits with [`APP`], or with [`ASKED`]
//! when it is asked to end. Each writes a line when it begins, so that one that ran twice is found.

use super::processes::{self, Ground, Who};
use super::tally::Tally;
use crate::leak::Snapshot;
use crate::node::Node;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

/// Exit code of the app by itself.
pub const APP: i64 = 23;

/// Exit code of the app at SIGTERM.
pub const ASKED: i64 = 37;

/// Exit code of what is exec'd in it.
const EXEC: i32 = 5;

/// How long any one thing may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a container is only looked at before the daemon is asked about it.
const ASK: Duration = Duration::from_millis(500);

/// How long what is being removed may take to be gone: what failed is tried again after 10 s.
const SWEEP: Duration = Duration::from_secs(30);

/// What is done with the pod when something is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// `create`, up to the running init container.
    Create,
    /// The init container ends and the app starts.
    Start,
    /// The app runs.
    Run,
    /// A process is started in the app.
    Exec,
    /// The app ends by itself.
    End,
    /// `delete` of the running pod.
    Stop,
    /// `delete` of the ended pod.
    Delete,
}

impl Op {
    /// All of them, in the order of a life.
    pub const ALL: [Op; 7] = [
        Op::Create,
        Op::Start,
        Op::Run,
        Op::Exec,
        Op::End,
        Op::Stop,
        Op::Delete,
    ];

    /// As files and messages name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Create => "create",
            Op::Start => "start",
            Op::Run => "run",
            Op::Exec => "exec",
            Op::End => "end",
            Op::Stop => "stop",
            Op::Delete => "delete",
        }
    }

    fn deletes(self) -> bool {
        matches!(self, Op::Stop | Op::Delete)
    }
}

/// A pod and what is known of its node when it is empty.
#[derive(Debug)]
pub struct Life<'n> {
    node: &'n Node,
    empty: &'n Empty,
    /// Name of the pod.
    pub name: String,
}

/// A name that no other run on this machine has: in PID namespaces of their own, all have the same pids.
pub fn unique() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("s{:x}", now.unwrap_or_default().as_micros())
}

/// What is there of a node that has no pod.
#[derive(Debug, Default)]
pub struct Empty {
    ground: Ground,
    whole: Snapshot,
    /// What was told as left already: it counts once.
    told: RefCell<BTreeSet<String>>,
}

/// Takes stock of a node whose daemon runs and that has no pod any more: the cgroup of a class of pods stays once it is made.
pub fn empty(node: &Node) -> Empty {
    let none = Empty::default();
    let first = Life::new(node, &none, "first".to_owned());
    if let Err(problem) = first.before(Op::Delete) {
        eprintln!("the first pod: {problem}");
    }
    let _ = say(node, &["delete", "pod", "first"], PATIENCE);
    Empty {
        ground: Ground::of(node.word()),
        whole: Snapshot::take(&[node.word()]),
        told: RefCell::default(),
    }
}

/// How one command went: its exit status and both its outputs. `None`: it hung.
fn say(node: &Node, arguments: &[&str], patience: Duration) -> Option<(i32, String)> {
    finish(begin(node, arguments)?, patience)
}

/// A command that runs, and the file that it writes to.
#[derive(Debug)]
pub struct Begun(Child, PathBuf);

fn begin(node: &Node, arguments: &[&str]) -> Option<Begun> {
    let path = node.folder().join(format!("said.{}", fastrand::u64(..)));
    let out = File::create(&path).ok()?;
    let err = out.try_clone().ok()?;
    let child = node.command(arguments).stdout(out).stderr(err).spawn();
    Some(Begun(child.ok()?, path))
}

fn finish(begun: Begun, patience: Duration) -> Option<(i32, String)> {
    let Begun(mut child, path) = begun;
    let end = Instant::now() + patience;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status.code().unwrap_or(255)),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let said = fs::read(&path).unwrap_or_default();
    let _ = fs::remove_file(&path);
    Some((status?, String::from_utf8_lossy(&said).into_owned()))
}

impl<'n> Life<'n> {
    /// A pod of that name; nothing is done yet.
    pub fn new(node: &'n Node, empty: &'n Empty, name: String) -> Self {
        Self { node, empty, name }
    }

    fn say(&self, arguments: &[&str]) -> Option<(i32, String)> {
        say(self.node, arguments, PATIENCE)
    }

    fn manifest(&self) -> String {
        let container = |name: &str, code: &str| {
            format!(
                "  - {{name: {name}, image: busybox, volumeMounts: [{{name: v, mountPath: /v}}], command: [sh, -c, \
                 \"trap 'exit {ASKED}' TERM; echo {name} >> /v/runs; while [ ! -e /v/{name} ]; do sleep 0.02; done; exit {code}\"]}}\n"
            )
        };
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}}}\nspec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 2\n  \
             volumes: [{{name: v, emptyDir: {{}}}}]\n  initContainers:\n{}  containers:\n{}",
            self.name,
            container("init", "0"),
            container("app", &APP.to_string()),
        );
        self.node.file(&format!("{}.yaml", self.name), &text)
    }

    fn pod(&self) -> Option<Value> {
        let (status, text) = self.say(&["get", "pod", &self.name, "-o", "json"])?;
        (status == 0).then(|| serde_json::from_str(&text).ok())?
    }

    /// The volume of the pod, once it is there: no other pod has one at the time.
    fn volume(&self) -> Option<PathBuf> {
        let pods = fs::read_dir(self.node.root().join("pods"));
        let pods = pods.into_iter().flatten().flatten();
        let mut found = pods
            .map(|pod| pod.path().join("volumes/kubernetes.io~empty-dir/v"))
            .filter(|v| v.is_dir());
        found.next()
    }

    fn open(&self, gate: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(volume) = self.volume() {
                return File::create(volume.join(gate))
                    .map(drop)
                    .map_err(|e| format!("gate {gate}: {e}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("the pod's volume is not made".to_owned())
    }

    /// How often each container began.
    fn runs(&self, name: &str) -> usize {
        let volume = self.volume();
        let runs = volume.and_then(|v| fs::read_to_string(v.join("runs")).ok());
        let runs = runs.unwrap_or_default();
        runs.lines().filter(|l| *l == name).count()
    }

    /// Waits until a container runs, as it says itself and as the daemon says. It is asked seldom while nothing has been said.
    fn wait_running(&self, name: &str, list: &str) -> Result<(), String> {
        let end = Instant::now() + ASK;
        while self.runs(name) == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        let done = |p: &Value| running(p, list) || ended(p);
        let pod = self.wait(name, done)?;
        match running(&pod, list) {
            true => Ok(()),
            false => Err(format!("the pod has ended: {}", pod["status"])),
        }
    }

    fn wait(&self, what: &str, done: impl Fn(&Value) -> bool) -> Result<Value, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let pod = self.pod();
            if let Some(pod) = pod.as_ref().filter(|p| done(p)) {
                return Ok(pod.clone());
            }
            if Instant::now() > end {
                let status = pod.map(|p| p["status"].to_string()).unwrap_or_default();
                return Err(format!("waited {PATIENCE:?} for {what}: {status}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Brings a new pod to where `op` can be done.
    pub fn before(&self, op: Op) -> Result<(), String> {
        self.ready(Op::Create)?;
        if op == Op::Create {
            return Ok(());
        }
        self.succeed(&["create", "-f", &self.path()])?;
        self.ready(Op::Start)?;
        if op == Op::Start {
            return Ok(());
        }
        self.open("init")?;
        if op == Op::Delete {
            self.ready(Op::Run)?;
            self.open("app")?;
        }
        self.ready(op)
    }

    /// Waits until `op` can be done, once what comes before it in a life has been.
    pub fn ready(&self, op: Op) -> Result<(), String> {
        match op {
            Op::Create => {
                self.manifest();
                Ok(())
            }
            Op::Start => self.wait_running("init", "initContainerStatuses"),
            Op::Run | Op::Exec | Op::End | Op::Stop => {
                self.wait_running("app", "containerStatuses")
            }
            Op::Delete => self.wait("its end", ended).map(drop),
        }
    }

    /// Has a launcher wait for the next exec: one does for a second after another.
    pub fn launcher_ahead(&self) -> Result<(), String> {
        self.succeed(&["exec", &self.name, "-c", "app", "--", "true"])
    }

    /// Whether the pod has ended, in whatever way.
    pub fn has_ended(&self) -> bool {
        self.pod().is_some_and(|p| ended(&p))
    }

    fn path(&self) -> String {
        let path = self.node.folder().join(format!("{}.yaml", self.name));
        path.display().to_string()
    }

    fn succeed(&self, arguments: &[&str]) -> Result<(), String> {
        match self.say(arguments) {
            Some((0, _)) => Ok(()),
            Some((status, text)) => Err(format!("{arguments:?} ended with {status}: {text}")),
            None => Err(format!("{arguments:?} hung")),
        }
    }

    /// Begins `op`, and comes back at once.
    pub fn act(&self, op: Op) -> Result<Option<Begun>, String> {
        let begun = |arguments: &[&str]| {
            begin(self.node, arguments)
                .map(Some)
                .ok_or_else(|| "a command could not be started".to_owned())
        };
        match op {
            Op::Create => begun(&["create", "-f", &self.path()]),
            Op::Start => self.open("init").map(|()| None),
            Op::Run => Ok(None),
            Op::Exec => begun(&["exec", &self.name, "-c", "app", "--", "sh", "-c", "exit 5"]),
            Op::End => self.open("app").map(|()| None),
            Op::Stop | Op::Delete => begun(&["delete", "pod", &self.name]),
        }
    }

    /// Waits for the client of an operation with which nothing was killed.
    pub fn ended(&self, begun: Option<Begun>) -> Result<(), String> {
        match begun.map(|b| finish(b, PATIENCE)) {
            None | Some(Some((0, _))) => Ok(()),
            // The exec's own code.
            Some(Some((EXEC, _))) => Ok(()),
            Some(Some((status, text))) => Err(format!("ended with {status}: {text}")),
            Some(None) => Err("the command hung".to_owned()),
        }
    }

    /// Whether `op` has come to its end. Cheap: it is asked again and again.
    pub fn is_over(&self, op: Op, begun: &mut Option<Begun>) -> bool {
        let client = begun
            .as_mut()
            .is_none_or(|b| b.0.try_wait().is_ok_and(|s| s.is_some()));
        client
            && match op {
                Op::Create => self.runs("init") > 0,
                Op::Start => self.runs("app") > 0,
                Op::End => self.has_ended(),
                Op::Run | Op::Exec | Op::Stop | Op::Delete => true,
            }
    }

    /// Something of the node was killed while `op` was done: checks that it is done or undone, that asked again it succeeds, that the
    /// codes are right, and that nothing is left in the end.
    pub fn conclude(
        &self,
        what: &str,
        op: Op,
        killed: &[Who],
        begun: Option<Begun>,
        tally: &mut Tally,
    ) {
        let settled = self.settle(op, killed, begun, tally);
        let done = settled.and_then(|()| match op.deletes() {
            true => Ok(()),
            false => self.to_its_end(what, killed, tally),
        });
        if let Err(problem) = done {
            tally.leak(what, &problem);
        }
        self.clear(what, tally);
    }

    /// Deletes the pod if it is there; nothing of it may be left.
    pub fn clear(&self, what: &str, tally: &mut Tally) {
        let gone = |text: &str| text.contains("NotFound") || text.contains("not found");
        match self.say(&["delete", "pod", &self.name]) {
            Some((status, text)) if status == 0 || gone(&text) => {}
            Some((status, text)) => {
                tally.leak(what, &format!("its deletion ended with {status}: {text}"));
                let _ = self.say(&["delete", "pod", &self.name, "--grace-period=0"]);
            }
            None => tally.leak(what, "its deletion hung"),
        }
        let end = Instant::now() + SWEEP;
        let left = loop {
            let left = self.left();
            if left.is_empty() || Instant::now() > end {
                break left;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if !left.is_empty() {
            tally.leak(what, &format!("left: {}", left.join("; ")));
            self.empty.told.borrow_mut().extend(left);
        }
        let _ = fs::remove_file(self.path());
    }

    /// After a kill while `op` was done: its client does not hang, the next daemon answers, nothing is shown as running that does not, the
    /// same request again succeeds, and nothing ran twice.
    pub fn settle(
        &self,
        op: Op,
        killed: &[Who],
        begun: Option<Begun>,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let since = Instant::now();
        // Its client may fail: it lost its daemon. It may not hang.
        if let Some(begun) = begun {
            finish(begun, PATIENCE).ok_or("the command hung")?;
        }
        let start = Instant::now();
        self.succeed(&["get", "pods"])?;
        if killed.contains(&Who::Daemon) {
            tally.recovery = tally.recovery.max(start.elapsed());
        }
        self.no_ghost(since)?;
        self.again(op)?;
        self.ran_once()
    }

    fn ran_once(&self) -> Result<(), String> {
        for name in ["init", "app"] {
            let times = self.runs(name);
            if times > 1 {
                return Err(format!("container {name} ran {times} times"));
            }
        }
        Ok(())
    }

    /// The same request again.
    fn again(&self, op: Op) -> Result<(), String> {
        let said = |arguments: &[&str], fine: &dyn Fn(i32, &str) -> bool| match self.say(arguments)
        {
            Some((status, text)) if fine(status, &text) => Ok(()),
            Some((status, text)) => {
                Err(format!("again, {arguments:?} ended with {status}: {text}"))
            }
            None => Err(format!("again, {arguments:?} hung")),
        };
        match op {
            Op::Create => said(&["create", "-f", &self.path()], &|s, t| {
                s == 0 || t.contains("already exists")
            }),
            Op::Exec => {
                let up = self.pod().is_some_and(|p| running(&p, "containerStatuses"));
                let command = ["exec", &self.name, "-c", "app", "--", "sh", "-c", "exit 5"];
                match up {
                    true => said(&command, &|s, _| s == EXEC),
                    false => Ok(()),
                }
            }
            Op::Stop | Op::Delete => said(&["delete", "pod", &self.name], &|s, t| {
                s == 0 || t.contains("NotFound") || t.contains("not found")
            }),
            Op::Start | Op::Run | Op::End => Ok(()),
        }
    }

    /// A second after a kill, nothing is shown as running that does not.
    fn no_ghost(&self, since: Instant) -> Result<(), String> {
        loop {
            let late = since.elapsed() > Duration::from_secs(1);
            let pod = self.pod().unwrap_or_default();
            let lists = ["initContainerStatuses", "containerStatuses"];
            let shown = lists
                .iter()
                .flat_map(|l| pod["status"][*l].as_array().into_iter().flatten())
                .filter(|c| c["state"]["running"].is_object())
                .filter_map(|c| c["containerID"].as_str()?.rsplit('/').next());
            let ghosts: Vec<&str> = shown.filter(|id| !processes::lives_in_cgroup(id)).collect();
            match (ghosts.first(), late) {
                (None, _) => return Ok(()),
                (Some(id), true) => {
                    return Err(format!(
                        "container {id} is shown as running and does not run"
                    ));
                }
                (Some(_), false) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Lets the pod come to its end: each container ended with its own code, and ran once.
    pub fn to_its_end(&self, what: &str, killed: &[Who], tally: &mut Tally) -> Result<(), String> {
        if !self.has_ended() {
            self.open("init")?;
            self.open("app")?;
        }
        let pod = self.wait("its end", ended)?;
        self.codes(&pod, what, killed, tally);
        self.ran_once()
    }

    /// Whether each container that has ended did so with its own code. `killed`: what was killed at one moment.
    fn codes(&self, pod: &Value, what: &str, killed: &[Who], tally: &mut Tally) {
        let rule = killed.len() > 1;
        for (list, wanted) in [("initContainerStatuses", 0), ("containerStatuses", APP)] {
            let container = &pod["status"][list][0];
            for state in [&container["state"], &container["lastState"]] {
                let end = &state["terminated"];
                let Some(code) = end["exitCode"].as_i64() else {
                    continue;
                };
                let unknown = code != 0 && end["reason"] == "ContainerStatusUnknown";
                // A kill at a launcher's child may hit the container's own first process.
                let hit = killed == [Who::Launcher] && code == 137 && end["reason"] == "Error";
                // Nothing was killed and something failed: what could not be started says so.
                let failed = killed.is_empty() && code == 128 && names_its_step(&end["message"]);
                match (code == wanted || hit || failed, unknown, rule) {
                    (true, ..) => {}
                    (false, true, true) => tally.by_rule += 1,
                    (false, true, false) => {
                        tally.otherwise += 1;
                        eprintln!("\r{what}: unknown: {end}");
                    }
                    (false, false, _) => {
                        tally.wrong += 1;
                        eprintln!("\r{what}: wrong exit code, {wanted} expected: {end}");
                    }
                }
            }
        }
    }

    /// What is there that was not there when the node had no pod.
    fn left(&self) -> Vec<String> {
        let base = self.node.folder();
        let folders = [
            "run/sandboxes",
            "run/intents",
            "root/pods",
            "root/snapshots",
            "root/records/pods",
            "root/records/memory",
            "logs",
        ];
        let mut left: Vec<String> = folders
            .iter()
            .flat_map(|f| fs::read_dir(base.join(f)).into_iter().flatten().flatten())
            .map(|e| e.path().display().to_string())
            .collect();
        left.extend(Ground::of(self.node.word()).since(&self.empty.ground));
        left.extend(processes::others(self.node.word()));
        left.retain(|l| !self.empty.told.borrow().contains(l));
        left
    }
}

/// The whole leak check of a node that has no pod: what every end-to-end case ends with.
pub fn leaks(node: &Node, empty: &Empty) -> Vec<String> {
    let daemons = processes::find(node.word(), Who::Daemon);
    // What a living daemon itself is and holds.
    let own = |line: &String| {
        daemons.iter().any(|pid| {
            line.starts_with(&format!("process: {pid} "))
                || line.contains(&format!("(of {pid} podwright)"))
        })
    };
    let now = Snapshot::take(&[node.word()]).since(&empty.whole);
    let told = empty.told.borrow();
    let new = now.into_iter().filter(|l| !own(l) && !told.contains(l));
    let new: Vec<String> = new.collect();
    drop(told);
    empty.told.borrow_mut().extend(new.iter().cloned());
    new
}

/// Whether a message tells what was done when it failed, and why.
fn names_its_step(message: &Value) -> bool {
    message.as_str().is_some_and(|m| m.contains(": "))
}

fn running(pod: &Value, list: &str) -> bool {
    pod["status"][list][0]["state"]["running"].is_object()
}

fn ended(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    )
}
