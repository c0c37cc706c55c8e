//! A host on this machine with real programs, in folders and cgroups of its own, and what must be left of it: nothing.

use pod_driver::host::{Host, HostEvent};
use pod_host::{HostOptions, LogLimits, NodeHost, Opened, Programs, Steps};
use pod_model::config::ExecConfig;
use pod_model::config::{
    ContainerConfig, ContainerResources, ImageFacts, Mount, MountSource, NetworkMode, PodCgroup,
    Propagation, SandboxConfig, Security,
};
use pod_model::ids::{CgroupPath, ContainerId, HostPath, PodPath, PodRef};
use pod_model::runtime::{Exit, NamespaceMode};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, mpsc};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// One host at a time: opening one moves this whole process into another cgroup.
static ALONE: Mutex<()> = Mutex::const_new(());

pub(crate) struct Rig {
    pub(crate) host: NodeHost,
    pub(crate) events: mpsc::UnboundedReceiver<HostEvent>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) cgroup_root: CgroupPath,
    pub(crate) image: ImageFacts,
    generation: u64,
    programs: PathBuf,
    steps: Steps,
    /// Where this process was before: `/proc/self/cgroup`.
    came_from: String,
    _alone: MutexGuard<'static, ()>,
}

/// Folder of the built programs: where this test was built.
fn programs() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let built = own.parent().and_then(Path::parent).unwrap().to_owned();
    let folder = std::env::var_os("PODWRIGHT_BIN_DIR").map_or(built, PathBuf::from);
    ["supervisor", "launch", "pause"]
        .iter()
        .all(|p| folder.join(format!("podwright-{p}")).is_file())
        .then_some(folder)
}

impl Rig {
    /// `None`, with the reason on standard error, where such a test cannot run.
    pub(crate) async fn new() -> Option<Self> {
        Self::with_steps(Steps::default()).await
    }

    /// Likewise, with steps that the test judges.
    pub(crate) async fn with_steps(steps: Steps) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let programs = programs().expect(
            "podwright-supervisor, -launch and -pause are missing: run hack/build, or name their folder in PODWRIGHT_BIN_DIR",
        );
        let alone = ALONE.lock().await;
        let came_from = fs::read_to_string("/proc/self/cgroup").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("/podwright-host-test-{}-{number}", std::process::id());
        let cgroup_root = CgroupPath::parse(&name).unwrap();
        let image = image(&dir.path().join("image"));
        let opened = open(dir.path(), &cgroup_root, &programs, 1, &steps).await;
        assert!(opened.notes.is_empty(), "{:?}", opened.notes);
        Some(Self {
            host: opened.host,
            events: opened.events,
            dir,
            cgroup_root,
            image,
            generation: 1,
            programs,
            steps,
            came_from,
            _alone: alone,
        })
    }

    /// Another daemon on the same folders, whose steps nobody judges; this one is gone without a word.
    pub(crate) async fn reopen(&mut self) {
        self.steps = Steps::default();
        self.generation += 1;
        let opened = open(
            self.dir.path(),
            &self.cgroup_root,
            &self.programs,
            self.generation,
            &self.steps,
        )
        .await;
        assert!(opened.notes.is_empty(), "{:?}", opened.notes);
        self.host = opened.host;
        self.events = opened.events;
    }

    pub(crate) fn cgroup(&self) -> CgroupPath {
        self.cgroup_root.child("podu1").unwrap()
    }

    pub(crate) fn sandbox(&self, id: &str) -> SandboxConfig {
        SandboxConfig {
            id: id.into(),
            pod: pod(),
            attempt: 0,
            hostname: Some("web".into()),
            cgroup_parent: self.cgroup(),
            network: NetworkMode::None,
            ipc: NamespaceMode::Pod,
            pid: NamespaceMode::Container,
            sysctls: BTreeMap::new(),
            shm_size: 1 << 20,
            oom_score_adj: 0,
            resolv_conf: "nameserver 192.0.2.1\n".into(),
            hosts: "127.0.0.1\tlocalhost\n".into(),
            log_directory: HostPath::new(self.dir.path().join("logs/ns_web_u1")),
        }
    }

    pub(crate) fn container(&self, id: &str, name: &str, script: &str) -> ContainerConfig {
        ContainerConfig {
            id: id.into(),
            sandbox: "s1".into(),
            name: name.into(),
            attempt: 0,
            hash: 7,
            image: "busybox".into(),
            image_id: self.image.id.clone(),
            command: ["/bin/sh", "-c", script].map(String::from).into(),
            args: Vec::new(),
            working_dir: None,
            env: Vec::new(),
            mounts: Vec::new(),
            security: Security::default(),
            resources: ContainerResources::default(),
            termination_message_path: Some(PodPath::new("/dev/termination-log")),
            message_from_log: true,
            log_path: format!("{name}/0.log"),
            stdin: false,
            stdin_once: false,
            tty: false,
            pid_target: None,
        }
    }

    /// Cgroup and sandbox `s1`.
    pub(crate) async fn up(&self) {
        let values = PodCgroup {
            cpu_shares: Some(512),
            memory: Some(256 << 20),
            ..PodCgroup::default()
        };
        self.host
            .ensure_pod(&pod(), &self.cgroup(), &values)
            .await
            .unwrap();
        let network = self.host.run_sandbox(&self.sandbox("s1")).await.unwrap();
        assert!(network.is_some());
    }

    pub(crate) async fn start(&self, config: &ContainerConfig) {
        self.host
            .start_container(&pod(), config, &self.image)
            .await
            .unwrap();
    }

    /// The end of that container, as it is told.
    pub(crate) async fn end_of(&mut self, wanted: &ContainerId) -> Exit {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            match event
                .expect("no event in time")
                .expect("the host has ended")
            {
                HostEvent::ContainerExited { id, exit, .. } if id == *wanted => return exit,
                _ => {}
            }
        }
    }

    /// Waits until that container has made /ready: what its program does at a signal is set then.
    pub(crate) async fn handles_its_signal(&self, id: &ContainerId) {
        let wait = "until [ -e /ready ]; do sleep 0.01; done";
        let config = ExecConfig {
            command: ["/bin/sh", "-c", wait].map(String::from).into(),
            tty: false,
            stdin: false,
        };
        let session = self.host.exec(&pod().uid, id, &config).await.unwrap();
        let ended = tokio::time::timeout(PATIENCE, session.exit).await;
        assert_eq!(ended.expect("it is not ready in time").unwrap(), 0);
    }

    pub(crate) fn log(&self, name: &str) -> String {
        let path = self
            .dir
            .path()
            .join("logs/ns_web_u1")
            .join(name)
            .join("0.log");
        let text = fs::read_to_string(path).unwrap();
        let line = |l: &str| l.splitn(4, ' ').nth(3).unwrap_or_default().to_owned() + "\n";
        text.lines().map(line).collect()
    }

    /// Removes the pod; nothing of it may be left anywhere.
    pub(crate) async fn down(self) {
        self.host.remove_pod(&pod(), &self.cgroup()).await.unwrap();
        self.host.remove_pod(&pod(), &self.cgroup()).await.unwrap();
        let own = self.dir.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(own), "a mount is left");
        for folder in [
            "root/pods",
            "root/snapshots",
            "run/sandboxes",
            "run/intents",
            "logs",
        ] {
            let left: Vec<_> = fs::read_dir(self.dir.path().join(folder))
                .into_iter()
                .flatten()
                .map(|e| e.unwrap().path())
                .collect();
            assert!(left.is_empty(), "{left:?} is left");
        }
        let mut processes = Vec::new();
        for _ in 0..100 {
            processes = supervisors(own);
            if processes.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(processes.is_empty(), "supervisors {processes:?} are left");
        let root = self.cgroup_root.relative();
        for mount in cgroup_mounts() {
            let left: Vec<_> = fs::read_dir(mount.join(root))
                .into_iter()
                .flatten()
                .flatten()
                .filter(|e| e.file_type().unwrap().is_dir() && e.file_name() != "podwright-system")
                .map(|e| e.path())
                .collect();
            assert!(left.is_empty(), "{left:?} is left");
        }
        self.leave();
    }

    /// This process back to where it came from, so that its own cgroups can go too.
    fn leave(&self) {
        let root = self.cgroup_root.relative();
        for mount in cgroup_mounts() {
            let name = mount.file_name().unwrap().to_str().unwrap().to_owned();
            let of_it = |l: &&str| {
                let controllers = l.split(':').nth(1).unwrap();
                controllers == name || (controllers.is_empty() && name == "cgroup")
            };
            let before = self.came_from.lines().find(of_it);
            let before = before.and_then(|l| l.splitn(3, ':').nth(2)).unwrap_or("/");
            let home = mount.join(before.trim_start_matches('/'));
            if mount.join(root).exists() {
                let _ = fs::write(home.join("cgroup.procs"), std::process::id().to_string());
                let _ = fs::remove_dir(mount.join(root).join("podwright-system"));
                fs::remove_dir(mount.join(root)).unwrap();
            }
        }
    }
}

async fn open(
    dir: &Path,
    root: &CgroupPath,
    programs: &Path,
    generation: u64,
    steps: &Steps,
) -> Opened {
    let program = |name: &str| programs.join(format!("podwright-{name}"));
    let options = HostOptions {
        root: dir.join("root"),
        run: dir.join("run"),
        cgroup_root: root.clone(),
        log_root: dir.join("logs"),
        programs: Programs {
            supervisor: program("supervisor"),
            launch: program("launch"),
            pause: program("pause"),
        },
        generation,
        launcher_ahead: false,
        logs: LogLimits::default(),
        steps: steps.clone(),
    };
    NodeHost::open(options).await.unwrap()
}

pub(crate) fn pod() -> PodRef {
    PodRef {
        namespace: "ns".into(),
        name: "web".into(),
        uid: "u1".into(),
    }
}

pub(crate) fn mount(volume: &str, target: &str) -> Mount {
    Mount {
        volume: volume.into(),
        source: MountSource::Prepared,
        target: PodPath::new(target),
        sub_path: None,
        read_only: false,
        recursive_read_only: false,
        propagation: Propagation::Private,
    }
}

fn cgroup_mounts() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let is_cgroup = |l: &&str| l.contains(" - cgroup");
    let point = |l: &str| PathBuf::from(l.split(' ').nth(4).unwrap());
    text.lines().filter(is_cgroup).map(point).collect()
}

/// Pids of the supervisors that work in this folder.
pub(crate) fn supervisors(dir: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|e| e.file_name().to_str().and_then(|n| n.parse::<i32>().ok()))
        .filter(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.contains("podwright-supervisor") && line.contains(dir)
        })
        .collect()
}

/// An image of one layer: Debian's busybox and what it is linked with.
fn image(layer: &Path) -> ImageFacts {
    for folder in ["bin", "etc", "proc", "sys", "dev", "tmp", "lib", "lib64"] {
        fs::create_dir_all(layer.join(folder)).unwrap();
    }
    let busybox = Path::new("/bin/busybox");
    fs::copy(busybox, layer.join("bin/busybox")).expect("Debian's package busybox is needed");
    let linked = Command::new("ldd").arg(busybox).output().unwrap().stdout;
    for word in String::from_utf8(linked).unwrap().split_whitespace() {
        if word.starts_with('/') {
            let to = layer.join(word.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(word, to).unwrap();
        }
    }
    for name in [
        "sh", "sleep", "id", "cat", "ls", "true", "echo", "grep", "hostname", "mount", "touch",
        "stat",
    ] {
        std::os::unix::fs::symlink("busybox", layer.join("bin").join(name)).unwrap();
    }
    fs::write(layer.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    ImageFacts {
        id: "sha256:00".into(),
        layers: vec![HostPath::new(layer)],
        env: vec!["PATH=/bin".into()],
        passwd: "root:x:0:0:root:/root:/bin/sh\n".into(),
        ..ImageFacts::default()
    }
}
