//! One supervisor with a scripted launcher, and the node daemon's side of its protocol.

#![allow(dead_code, reason = "each test program uses its part of it")]

use pod_sys::{frame, process};
use pod_wire::VERSION;
use pod_wire::launch::{Create, Rootfs};
use pod_wire::supervisor::{
    CreateContainer, Descriptor, Event, ExitRecord, Failure, FromSupervisor, Hello, Log, Reply,
    ReplyBody, Request, RequestBody,
};
use pod_wire::verify::{Expect, NamespaceOf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A supervisor in a folder of its own. Dropped, it is shut down, and must leave nothing.
pub(crate) struct Sandbox {
    pub(crate) dir: PathBuf,
    pub(crate) child: Child,
    pub(crate) node: Node,
    cgroups: Vec<PathBuf>,
}

/// A connection as the node daemon has it.
pub(crate) struct Node {
    pub(crate) socket: UnixStream,
    next: u64,
    events: VecDeque<Event>,
    /// What was told of logs while an end was waited for: the cause, and how many lines were dropped by then.
    pub(crate) troubles: Vec<(Option<String>, u64)>,
}

impl Sandbox {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// With arguments to the supervisor.
    pub(crate) fn with(name: &str, arguments: &[&str]) -> Self {
        Self::run_by(&[], name, arguments)
    }

    /// In a mount namespace of its own; its files are below [`Self::root`].
    pub(crate) fn with_own_mounts(name: &str) -> Self {
        Self::run_by(&["unshare", "--mount"], name, &[])
    }

    /// Where the supervisor's `/` is.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.child.id()))
    }

    fn run_by(wrapper: &[&str], name: &str, arguments: &[&str]) -> Self {
        // In memory, as /run is.
        let memory = Some(PathBuf::from("/dev/shm")).filter(|d| d.is_dir());
        let base = memory.unwrap_or_else(std::env::temp_dir);
        let dir = base.join(format!("sup-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let (child, node) = start(wrapper, &dir, arguments, Vec::new());
        Self {
            dir,
            child,
            node,
            cgroups: Vec::new(),
        }
    }

    /// Kills the supervisor, as memory shortage or a person may, and waits until it is gone. Its descriptors are closed then.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a successor with what the node daemon has held for it: name and descriptor.
    pub(crate) fn succeed(&mut self, held: Vec<(String, OwnedFd)>) {
        let (child, node) = start(&[], &self.dir, &["--adopt"], held);
        self.child = child;
        self.node = node;
    }

    /// Asks for what a node daemon holds for a successor.
    pub(crate) fn hold(&mut self, id: &str, exec: Option<&str>) -> Vec<(String, OwnedFd)> {
        let (body, fds) = self.node.ok(RequestBody::Hold {
            id: id.to_owned(),
            exec: exec.map(str::to_owned),
        });
        let ReplyBody::Held { descriptors } = body else {
            panic!("{body:?}")
        };
        assert_eq!(descriptors.len(), fds.len());
        let whose = match exec {
            Some(exec) => format!("{id}/{exec}"),
            None => id.to_owned(),
        };
        let kind = |d: &Descriptor| {
            serde_json::to_value(d)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        };
        let names = descriptors.iter().map(|d| format!("{whose}:{}", kind(d)));
        names.zip(fds).collect()
    }

    /// Containers as the supervisor knows them: id and exit code.
    pub(crate) fn state(&mut self) -> Vec<(String, Option<i32>)> {
        let (body, _) = self.node.ok(RequestBody::State);
        let ReplyBody::State(all) = body else {
            panic!("{body:?}")
        };
        let all = all.into_iter();
        all.map(|c| (c.id, c.exit.map(|e| e.code))).collect()
    }

    /// Texts of a log's entries over all its files, oldest first; each must be whole.
    pub(crate) fn texts(&self, id: &str) -> Vec<String> {
        let path = self.dir.join(format!("{id}.log"));
        let mut files: Vec<PathBuf> = (1..1000)
            .map(|n| PathBuf::from(format!("{}.{n}", path.display())))
            .take_while(|p| p.exists())
            .collect();
        files.reverse();
        files.push(path);
        texts(&files)
    }
}

/// Texts of the entries of these files, each checked for its form.
pub(crate) fn texts(files: &[PathBuf]) -> Vec<String> {
    let mut texts = Vec::new();
    for file in files {
        let content = fs::read_to_string(file).unwrap();
        assert!(
            content.is_empty() || content.ends_with('\n'),
            "{} is torn",
            file.display()
        );
        for line in content.lines() {
            let parts: Vec<&str> = line.splitn(4, ' ').collect();
            assert!(
                parts.len() == 4 && parts[0].len() == 30 && parts[1] == "stdout" && parts[2] == "F",
                "{line:?}"
            );
            texts.push(parts[3].to_owned());
        }
    }
    texts
}

fn start(
    wrapper: &[&str],
    dir: &Path,
    arguments: &[&str],
    held: Vec<(String, OwnedFd)>,
) -> (Child, Node) {
    let supervisor = PathBuf::from(env!("CARGO_BIN_EXE_podwright-supervisor"));
    let launcher = supervisor
        .with_file_name("examples")
        .join("scripted-launcher");
    let program = fs::read(&launcher).unwrap_or_else(|e| {
        panic!(
            "{}: {e}; build it: cargo build -p pod-supervisor --examples",
            launcher.display()
        )
    });
    let memfd =
        rustix::fs::memfd_create("podwright-launch", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let mut file = File::from(memfd);
    file.write_all(&program).unwrap();
    // A program that is open for writing cannot be run.
    let launch = File::open(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&file)
    ))
    .unwrap();
    drop(file);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut words = wrapper.iter().map(Path::new).chain([supervisor.as_path()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["--launch-fd", "3", "--node-fd", "4", "--dir"])
        .arg(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut fds = vec![launch.into(), theirs.into()];
    for (name, fd) in held {
        command.args(["--held", &name]);
        fds.push(fd);
    }
    process::pass_descriptors(&mut command, fds).unwrap();
    let child = command.spawn().unwrap();
    drop(command);
    (child, Node::on(ours, 1))
}

impl Sandbox {
    /// Another connection, as a restarted node daemon makes it.
    pub(crate) fn connect(&self, generation: u64) -> Node {
        Node::on(
            pod_sys::socket::connect(&self.dir.join("supervisor.sock")).unwrap(),
            generation,
        )
    }

    /// A container that runs this script.
    pub(crate) fn container(&self, id: &str, script: &str) -> CreateContainer {
        let bundle = self.dir.join("bundles").join(id);
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("script"), script).unwrap();
        CreateContainer {
            create: Create {
                id: id.to_owned(),
                bundle: bundle.clone(),
                state_root: self.dir.join("ctr"),
                rootfs: Rootfs::Bind {
                    folder: bundle.clone(),
                },
                make_dirs: vec![],
                make_files: vec![],
                tty: false,
                oom_score_adj: None,
            },
            pause: false,
            expect: own_expectations(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            log: Some(Log {
                path: self.dir.join(format!("{id}.log")),
                max_bytes: 10 << 20,
                max_files: 5,
            }),
            stdin: false,
            cgroup_dirs: vec![],
            exit_file: bundle.join("exit"),
        }
    }

    /// Gives that container cgroups of its own, below one of this test's.
    pub(crate) fn give_cgroups(&mut self, container: &mut CreateContainer) {
        let name = self.dir.file_name().unwrap().to_str().unwrap().to_owned();
        let path = format!("/podwright-{name}/{}", container.create.id);
        let base = Path::new("/sys/fs/cgroup");
        let roots = if base.join("cgroup.controllers").exists() {
            vec![base.to_owned()]
        } else {
            ["freezer", "pids", "memory"].map(|c| base.join(c)).to_vec()
        };
        container.cgroup_dirs = roots.iter().map(|r| r.join(&path[1..])).collect();
        self.cgroups = roots
            .iter()
            .map(|r| r.join(format!("podwright-{name}")))
            .collect();
        let lines: Vec<&str> = container
            .cgroup_dirs
            .iter()
            .map(|d| d.to_str().unwrap())
            .collect();
        fs::write(container.create.bundle.join("cgroups"), lines.join("\n")).unwrap();
        container.expect.cgroup = path;
    }

    pub(crate) fn manner(&self, container: &CreateContainer, manner: &str) {
        fs::write(container.create.bundle.join("manner"), manner).unwrap();
    }

    /// Creates, starts, and waits for the end.
    pub(crate) fn run(&mut self, id: &str, script: &str) -> ExitRecord {
        let container = self.container(id, script);
        self.node.ok(RequestBody::CreateAndStart(container));
        self.node.exited(id)
    }

    /// Text of a log without times: `stdout F text`.
    pub(crate) fn log(&self, id: &str) -> String {
        let text = fs::read_to_string(self.dir.join(format!("{id}.log"))).unwrap();
        text.split_inclusive('\n')
            .map(|l| l.split_once(' ').unwrap().1)
            .collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            return;
        }
        // The connection in hand may have been fenced off by the test.
        let mut node = self.connect(u64::MAX);
        node.ok(RequestBody::Shutdown);
        assert!(self.child.wait().unwrap().success());
        assert!(!self.dir.join("supervisor.sock").exists());
        let left: Vec<_> = fs::read_dir(self.dir.join("ctr"))
            .into_iter()
            .flatten()
            .collect();
        assert!(left.is_empty(), "state folders are left: {left:?}");
        for dir in &self.cgroups {
            fs::remove_dir(dir).unwrap_or_else(|e| panic!("{} is not empty: {e}", dir.display()));
        }
        let kept: Vec<_> = fs::read_dir(self.dir.join("state"))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| n != "lock" && n != "supervisor")
            .collect();
        assert!(kept.is_empty(), "records are left: {kept:?}");
        fs::remove_dir_all(&self.dir).unwrap();
    }
}

impl Node {
    pub(crate) fn on(socket: UnixStream, generation: u64) -> Self {
        let hello = Hello {
            version: VERSION,
            generation,
            pid: std::process::id() as i32,
        };
        frame::send(&socket, &serde_json::to_vec(&hello).unwrap(), &[]).unwrap();
        let mut node = Self {
            socket,
            next: 1,
            events: VecDeque::new(),
            troubles: Vec::new(),
        };
        let (bytes, _) = node.frame().expect("a hello");
        let theirs: Hello = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(theirs.version, VERSION);
        node
    }

    /// Asks and gives the number.
    pub(crate) fn ask(&mut self, body: RequestBody) -> u64 {
        self.ask_with(body, &[])
    }

    pub(crate) fn ask_with(
        &mut self,
        body: RequestBody,
        fds: &[std::os::fd::BorrowedFd<'_>],
    ) -> u64 {
        let id = self.next;
        self.next += 1;
        self.ask_as(id, body, fds);
        id
    }

    pub(crate) fn ask_as(
        &mut self,
        id: u64,
        body: RequestBody,
        fds: &[std::os::fd::BorrowedFd<'_>],
    ) {
        let bytes = serde_json::to_vec(&Request { id, body }).unwrap();
        frame::send(&self.socket, &bytes, fds).unwrap();
    }

    /// The answer of that number; events that come before it are kept.
    pub(crate) fn answer(&mut self, id: u64) -> (Result<ReplyBody, Failure>, Vec<OwnedFd>) {
        loop {
            let (bytes, fds) = self.frame().expect("an answer");
            match serde_json::from_slice(&bytes).unwrap() {
                FromSupervisor::Reply(Reply { id: of, result }) => {
                    assert_eq!(of, id, "{result:?}");
                    return (result, fds);
                }
                FromSupervisor::Event(event) => self.events.push_back(event),
            }
        }
    }

    pub(crate) fn ok(&mut self, body: RequestBody) -> (ReplyBody, Vec<OwnedFd>) {
        let id = self.ask(body);
        let (result, fds) = self.answer(id);
        (result.unwrap(), fds)
    }

    pub(crate) fn fails(&mut self, body: RequestBody) -> Failure {
        let id = self.ask(body);
        self.answer(id).0.unwrap_err()
    }

    pub(crate) fn event(&mut self) -> Event {
        loop {
            match self.any_event() {
                // What every start is told by says nothing more.
                Event::Made { .. } => {}
                event => return event,
            }
        }
    }

    fn any_event(&mut self) -> Event {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let (bytes, _) = self.frame().expect("an event");
        match serde_json::from_slice(&bytes).unwrap() {
            FromSupervisor::Event(event) => event,
            FromSupervisor::Reply(reply) => panic!("an answer that nobody asked for: {reply:?}"),
        }
    }

    /// The next event must be the end of that container.
    pub(crate) fn exited(&mut self, id: &str) -> ExitRecord {
        match self.event() {
            Event::Exited(record) => {
                assert_eq!(record.id, id);
                record
            }
            Event::Log {
                cause,
                dropped_lines,
                ..
            } => {
                self.troubles.push((cause, dropped_lines));
                self.exited(id)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next message that says more than that a container was made.
    pub(crate) fn message(&mut self) -> FromSupervisor {
        loop {
            let (bytes, _) = self.frame().expect("a message");
            match serde_json::from_slice(&bytes).unwrap() {
                FromSupervisor::Event(Event::Made { .. }) => {}
                message => return message,
            }
        }
    }

    /// The next frame, or `None` at the end of the connection.
    pub(crate) fn frame(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        assert!(self.has_something(PATIENCE), "nothing came in time");
        frame::recv(&self.socket).unwrap_or(None)
    }

    pub(crate) fn has_something(&self, within: Duration) -> bool {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: within.as_secs() as i64,
            tv_nsec: within.subsec_nanos().into(),
        };
        poll(&mut fds, Some(&timeout)).unwrap() > 0
    }
}

/// What a process that the test starts has anyway.
fn own_expectations() -> Expect {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let mask = |name| u64::from_str_radix(&field(name), 16).unwrap();
    let kinds = ["net", "ipc", "uts", "pid", "mnt", "cgroup", "user"];
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap();
    let paths = cgroup.lines().filter_map(|l| l.splitn(3, ':').nth(2));
    Expect {
        cap_inheritable: mask("CapInh"),
        cap_permitted: mask("CapPrm"),
        cap_effective: mask("CapEff"),
        cap_bounding: mask("CapBnd"),
        cap_ambient: mask("CapAmb"),
        seccomp: false,
        no_new_privileges: false,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        groups: field("Groups")
            .split_ascii_whitespace()
            .map(|g| g.parse().unwrap())
            .collect(),
        namespaces: kinds.map(|k| (k.to_owned(), NamespaceOf::Node)).into(),
        masked: vec![],
        read_only: vec![],
        read_only_rootfs: false,
        cgroup: paths.max_by_key(|p| p.len()).unwrap().to_owned(),
        cwd: "/".into(),
    }
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
