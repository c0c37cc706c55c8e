//! A small supervisor for the tests: runs each test as the first process of its own namespaces, so that it reaps what the
//! launcher leaves, and so that nothing of a test outlives it.

use pod_sys::{frame, memfd, pidfd, process};
use pod_wire::launch::{Create, Exec, LaunchReply, LaunchRequest, Rootfs};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Set in the inner process to what tells this run from all others.
const INSIDE: &str = "PODWRIGHT_LAUNCH_TEST";

/// Runs `test` (whose full name is `name`) as the first process of new namespaces.
pub(crate) fn isolated(name: &str, test: impl FnOnce(&mut Rig)) {
    if let Ok(outer) = std::env::var(INSIDE) {
        let mut rig = Rig::new(&outer);
        test(&mut rig);
        rig.finish();
        return;
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "these tests make containers: run them as root"
    );
    assert!(
        Path::new("/bin/busybox").exists(),
        "these tests need Debian's package busybox or busybox-static"
    );
    let run =
        format!("{}-{:?}", std::process::id(), std::thread::current().id()).replace(['(', ')'], "");
    let own = std::env::current_exe().expect("the test's own program");
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let status = Command::new("unshare")
        .args([
            "--pid",
            "--fork",
            "--mount",
            "--net",
            "--ipc",
            "--uts",
            "--mount-proc",
            "--kill-child",
        ])
        .arg(own)
        .args([
            "--exact",
            name,
            "--nocapture",
            "--test-threads=1",
            "--include-ignored",
        ])
        .env(INSIDE, &run)
        // As a daemon has it that was started by its socket (threat S06): nothing below may believe it.
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "leak")
        .env("TMPDIR", folder.path())
        .stdin(std::process::Stdio::null())
        .stdout(
            File::options()
                .create(true)
                .append(true)
                .open(&log)
                .expect("a log"),
        )
        .stderr(File::options().append(true).open(&log).expect("a log"))
        .status()
        .expect("unshare runs");
    let text = fs::read_to_string(&log).unwrap_or_default();
    // Whatever became of the test: its processes are dead with the first of them.
    remove_all_cgroups(&cgroup_of(&run));
    assert!(status.success(), "{name} failed inside:\n{text}");
    if name.starts_with("speed::") {
        println!("{text}");
    }
    assert!(
        text.contains("1 passed"),
        "{name} did not run inside:\n{text}"
    );
}

/// The cgroup above all of a run.
fn cgroup_of(run: &str) -> String {
    format!("/podwright-launch-{run}")
}

/// What a container is made with, before it is.
pub(crate) struct Plan {
    pub(crate) config: Value,
    pub(crate) request: Create,
    pub(crate) streams: bool,
}

impl Plan {
    /// One more mount.
    pub(crate) fn mount(&mut self, to: &str, kind: &str, from: &str, options: &[&str]) {
        let mount = json!({"destination": to, "type": kind, "source": from, "options": options});
        self.config["mounts"]
            .as_array_mut()
            .expect("a list")
            .push(mount);
    }
}

/// A container that was created.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) master: Option<OwnedFd>,
    pub(crate) clamped: Vec<String>,
    pub(crate) output: PathBuf,
}

/// A node of one test.
pub(crate) struct Rig {
    pub(crate) folder: PathBuf,
    pub(crate) image: PathBuf,
    launcher: OwnedFd,
    cgroup: String,
    launched: Vec<i32>,
}

impl Rig {
    fn new(outer: &str) -> Self {
        let folder = std::env::temp_dir();
        let launcher = match without("s01") {
            true => {
                let copy = folder.join("launcher");
                fs::copy(launcher_path(), &copy).expect("a copy of the launcher");
                File::open(copy).expect("the launcher").into()
            }
            false => {
                let program = File::open(launcher_path()).expect("the launcher");
                memfd::sealed_copy("podwright-launch", program).expect("a memfd")
            }
        };
        let image = folder.join("image");
        make_image(&image);
        Self {
            image,
            launcher,
            cgroup: cgroup_of(outer),
            folder,
            launched: Vec::new(),
        }
    }

    /// The launcher's program, as it is in memory now.
    pub(crate) fn launcher_bytes(&self) -> Vec<u8> {
        fs::read(format!("/proc/self/fd/{}", self.launcher.as_raw_fd())).expect("the memfd")
    }

    /// From here on, launchers run from an ordinary file.
    pub(crate) fn unseal(&mut self) {
        self.launcher = File::open(launcher_path()).expect("the launcher").into();
    }

    /// A container that runs `command` from the busybox image; to be changed as a test likes.
    pub(crate) fn plan(&self, id: &str, command: &[&str]) -> Plan {
        let bundle = self.folder.join(id);
        for name in ["rootfs", "upper", "work"] {
            fs::create_dir_all(bundle.join(name)).expect("a folder");
        }
        let caps = json!([
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_SETUID",
            "CAP_SETGID",
            "CAP_KILL",
            "CAP_MKNOD"
        ]);
        let namespaces =
            ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({"type": kind}));
        let config = json!({
            "ociVersion": "1.2.0",
            "root": {"path": "rootfs"},
            "process": {
                "args": command,
                "cwd": "/",
                "env": ["PATH=/bin", "HOME=/root"],
                "user": {"uid": 0, "gid": 0},
                "noNewPrivileges": true,
                "capabilities": {"bounding": caps, "effective": caps, "permitted": caps, "inheritable": [], "ambient": []}
            },
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=64k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
                {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}
            ],
            "linux": {
                "namespaces": namespaces,
                "rootfsPropagation": "private",
                "cgroupsPath": format!("{}/{id}", self.cgroup),
                "resources": {"devices": [{"allow": false, "access": "rwm"}]},
                "maskedPaths": ["/proc/kcore", "/proc/acpi"],
                "readonlyPaths": ["/proc/sys"]
            }
        });
        let request = Create {
            id: id.to_owned(),
            state_root: self.folder.join("state"),
            rootfs: Rootfs::Overlay {
                lower: vec![self.image.clone()],
                upper: bundle.join("upper"),
                work: bundle.join("work"),
            },
            bundle,
            make_dirs: vec![],
            make_files: vec![],
            tty: false,
            oom_score_adj: None,
        };
        Plan {
            config,
            request,
            streams: true,
        }
    }

    /// Runs a launcher with one request.
    pub(crate) fn launch(
        &mut self,
        request: &LaunchRequest,
        fds: &[BorrowedFd<'_>],
    ) -> (LaunchReply, Vec<OwnedFd>) {
        let (pid, ours) = self.spawn();
        let answer = ask(&ours, request, fds);
        assert_eq!(self.wait(pid), 0, "the launcher's own exit code");
        answer
    }

    /// Starts a launcher; its pid, and our end of its socket.
    fn spawn(&self) -> (i32, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a socket");
        // A launcher that was built so does without the protection that it is called by.
        let name = std::env::var("PODWRIGHT_WEAKENED").unwrap_or("podwright-launch".to_owned());
        let name = std::ffi::CString::new(name).expect("a name");
        let pid = process::spawn(self.launcher.as_fd(), &name, theirs.as_fd());
        (pid.expect("the launcher starts"), ours)
    }

    /// Creates a container while calls of the launcher fail as `inject` says, in the words of strace; also what strace has seen of them.
    #[expect(
        clippy::zombie_processes,
        reason = "as every child of a rig it is waited for by its pid"
    )]
    pub(crate) fn create_failing(
        &mut self,
        plan: Plan,
        inject: &str,
    ) -> (Result<Container, (String, String)>, String) {
        let bundle = &plan.request.bundle;
        fs::write(bundle.join("config.json"), plan.config.to_string()).expect("config.json");
        let (output, trace) = (bundle.join("output"), self.folder.join("trace"));
        let out = File::create(&output).expect("the output file");
        let null = File::open("/dev/null").expect("/dev/null");
        let (launcher, socket) = self.spawn();
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-b", "execve", "-e", inject, "-o"])
            .arg(&trace)
            .args(["-p", &launcher.to_string()])
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("strace: these tests need it");
        let end = Instant::now() + Duration::from_secs(20);
        let status = format!("/proc/{launcher}/status");
        while fs::read_to_string(&status).is_ok_and(|s| s.contains("TracerPid:\t0\n")) {
            assert!(Instant::now() < end, "strace did not attach");
            std::thread::sleep(Duration::from_millis(1));
        }
        let request = LaunchRequest::Create(plan.request.clone());
        let streams = [null.as_fd(), out.as_fd(), out.as_fd()];
        let (reply, fds) = ask(&socket, &request, &streams);
        let result = self.created(plan.request.id.clone(), output, reply, fds);
        let code = self.wait(launcher);
        assert!(
            code <= 1,
            "{inject}: the launcher ended with {code}: {result:?}"
        );
        // What waits at its barrier is let go.
        let strace = i32::try_from(strace.id()).expect("a pid");
        let pidfd = pidfd::open(strace).expect("strace is there until it is waited for");
        let _ = pidfd::send_signal(&pidfd, 15);
        self.wait(strace);
        (result, fs::read_to_string(trace).expect("what strace saw"))
    }

    /// Creates a container, or says at which step and why not.
    pub(crate) fn create(&mut self, plan: Plan) -> Result<Container, (String, String)> {
        let bundle = &plan.request.bundle;
        fs::write(bundle.join("config.json"), plan.config.to_string()).expect("config.json");
        let output = bundle.join("output");
        let out = File::create(&output).expect("the output file");
        let null = File::open("/dev/null").expect("/dev/null");
        let streams = [null.as_fd(), out.as_fd(), out.as_fd()];
        let fds: &[BorrowedFd<'_>] = if plan.streams { &streams } else { &[] };
        let (reply, fds) = self.launch(&LaunchRequest::Create(plan.request.clone()), fds);
        self.created(plan.request.id.clone(), output, reply, fds)
    }

    fn created(
        &mut self,
        id: String,
        output: PathBuf,
        reply: LaunchReply,
        fds: Vec<OwnedFd>,
    ) -> Result<Container, (String, String)> {
        match reply {
            LaunchReply::Failed { step, cause } => Err((step, cause)),
            LaunchReply::Done { pid, clamped } => {
                let mut fds = fds.into_iter();
                let pidfd = fds.next().expect("a pidfd");
                self.launched.push(pid);
                Ok(Container {
                    id,
                    pid,
                    pidfd,
                    master: fds.next(),
                    clamped,
                    output,
                })
            }
        }
    }

    /// Lets a created container go.
    pub(crate) fn start(&self, container: &Container) {
        let path = self
            .folder
            .join("state")
            .join(&container.id)
            .join("notify.sock");
        drop(pod_sys::socket::connect(&path).expect("the notify socket"));
    }

    /// Creates, starts and waits; the exit code and all output.
    pub(crate) fn run(&mut self, plan: Plan) -> (i32, String) {
        let container = self.create(plan).expect("it is created");
        self.start(&container);
        let code = self.wait(container.pid);
        (code, fs::read_to_string(&container.output).expect("output"))
    }

    /// Starts one more process in a container.
    pub(crate) fn exec(
        &mut self,
        container: &Container,
        command: &[&str],
        tty: bool,
    ) -> Result<Container, (String, String)> {
        let output = self.folder.join(format!("exec-{}", self.launched.len()));
        let out = File::create(&output).expect("the output file");
        let null = File::open("/dev/null").expect("/dev/null");
        let mut fds = vec![container.pidfd.as_fd()];
        if !tty {
            fds.extend([null.as_fd(), out.as_fd(), out.as_fd()]);
        }
        let request = LaunchRequest::Exec(Exec {
            bundle: self.folder.join(&container.id),
            init_pid: container.pid,
            command: command.iter().map(ToString::to_string).collect(),
            tty,
            cgroup_dirs: self.cgroup_dirs(&container.id),
        });
        let (reply, fds) = self.launch(&request, &fds);
        self.created(container.id.clone(), output, reply, fds)
    }

    /// Runs a command in a container to its end; its exit code and all output.
    pub(crate) fn run_in(&mut self, container: &Container, command: &[&str]) -> (i32, String) {
        let process = self.exec(container, command, false).expect("it is started");
        let code = self.wait(process.pid);
        (code, fs::read_to_string(&process.output).expect("output"))
    }

    /// Every folder of a container's cgroup.
    pub(crate) fn cgroup_dirs(&self, id: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let below = format!("{}/{id}", self.cgroup.trim_start_matches('/'));
        let root = Path::new("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(root)
            .expect("cgroups")
            .flatten()
            .map(|entry| entry.path());
        for hierarchy in hierarchies.chain([root.to_path_buf()]) {
            let folder = hierarchy.join(&below);
            if folder.join("cgroup.procs").exists() {
                found.push(folder);
            }
        }
        found
    }

    /// Waits for a child, reaping whatever else ends; 128 and more for a signal.
    pub(crate) fn wait(&mut self, pid: i32) -> i32 {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match rustix::process::wait(rustix::process::WaitOptions::NOHANG)
                .expect("it is a child")
            {
                Some((ended, status)) if ended.as_raw_pid() == pid => {
                    return status
                        .exit_status()
                        .or_else(|| status.terminating_signal().map(|s| s + 128))
                        .expect("an end");
                }
                Some(_) => {}
                None => {
                    assert!(Instant::now() < end, "process {pid} did not end");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    /// Takes away what a container that has ended has left: of thousands, the next would be ever slower.
    pub(crate) fn forget(&self, id: &str) {
        remove_all_cgroups(&format!("{}/{id}", self.cgroup));
        for folder in [self.folder.join(id), self.folder.join("state").join(id)] {
            let _ = fs::remove_dir_all(folder);
        }
    }

    /// Kills what is left, and checks that nothing of the test is left on the node.
    fn finish(mut self) {
        for pid in std::mem::take(&mut self.launched) {
            if let Ok(fd) = pidfd::open(pid) {
                let _ = pidfd::send_signal(&fd, 9);
            }
        }
        let end = Instant::now() + Duration::from_secs(10);
        while let Ok(ended) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {
            assert!(Instant::now() < end, "processes are left");
            if ended.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let ours = self.folder.to_string_lossy();
        assert!(
            !mounts.contains(&*ours),
            "a mount of the test is left:\n{mounts}"
        );
        remove_all_cgroups(&self.cgroup);
        assert!(
            self.cgroup_dirs("").is_empty(),
            "a cgroup of the test is left"
        );
    }
}

/// Gives a launcher its one request, and takes its answer.
fn ask(
    socket: &UnixStream,
    request: &LaunchRequest,
    fds: &[BorrowedFd<'_>],
) -> (LaunchReply, Vec<OwnedFd>) {
    frame::send(socket, &serde_json::to_vec(request).expect("json"), fds)
        .expect("it takes the request");
    let (bytes, fds) = frame::recv(socket)
        .expect("it answers")
        .expect("it answers before it ends");
    let reply = serde_json::from_slice(&bytes).expect("an answer");
    (reply, fds)
}

/// Removes the cgroups of a run from every hierarchy.
fn remove_all_cgroups(name: &str) {
    let below = name.trim_start_matches('/');
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root)
        .expect("cgroups")
        .flatten()
        .map(|entry| entry.path());
    for hierarchy in hierarchies.chain([root.to_path_buf()]) {
        remove_cgroups(&hierarchy.join(below));
    }
}

/// Whether the tests run to show what fails without that protection.
pub(crate) fn without(protection: &str) -> bool {
    cfg!(feature = "weakened")
        && std::env::var("PODWRIGHT_WEAKENED").is_ok_and(|chosen| chosen == protection)
}

/// The program under test: this build's, or the one that is named.
fn launcher_path() -> String {
    std::env::var("PODWRIGHT_LAUNCH")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_podwright-launch").to_owned())
}

fn remove_cgroups(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

/// A root file system of busybox and of what it needs to run.
fn make_image(image: &Path) {
    for name in ["bin", "etc", "root", "tmp"] {
        fs::create_dir_all(image.join(name)).expect("a folder");
    }
    fs::copy("/bin/busybox", image.join("bin/busybox")).expect("busybox");
    for name in [
        "sh", "cat", "ls", "true", "false", "sleep", "id", "mkdir", "stat", "readlink", "tty",
        "grep", "echo", "pwd", "env", "dd", "kill",
    ] {
        symlink("busybox", image.join("bin").join(name)).expect("a link");
    }
    let mut passwd = File::create(image.join("etc/passwd")).expect("a file");
    passwd
        .write_all(b"root:x:0:0:root:/root:/bin/sh\n")
        .expect("a file");
    passwd
        .set_permissions(fs::Permissions::from_mode(0o644))
        .expect("a mode");
    let libraries = Command::new("ldd")
        .arg("/bin/busybox")
        .output()
        .expect("ldd runs");
    for word in String::from_utf8_lossy(&libraries.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        let to = image.join(word.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        fs::copy(word, to).expect("a library");
    }
}
