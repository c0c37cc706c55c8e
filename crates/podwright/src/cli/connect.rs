//! Reaching the node daemon, and starting one where none runs.

use super::args::{NetworkArgs, NetworkChoice, PlaceArgs};
use super::exit::{Code, Failure, Outcome};
use crate::node::{Choice, NetworkOptions};
use ipnet::Ipv4Net;
use pod_api::client::{Client, ClientError};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where a node lives, all paths absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// State that survives a reboot.
    pub root: PathBuf,
    /// State that does not.
    pub run: PathBuf,
    /// Container logs.
    pub logs: PathBuf,
    /// Everything lives in cgroups below this one.
    pub cgroup_root: String,
    /// Its pods' network.
    pub network: NetworkArgs,
}

impl NetworkArgs {
    /// As the daemon takes it.
    pub fn options(&self) -> anyhow::Result<NetworkOptions> {
        let subnet = |option: &str, text: &Option<String>| {
            let read = text.as_ref().map(|t| t.parse::<Ipv4Net>());
            read.transpose().map_err(|e| {
                anyhow::anyhow!(
                    "{option} {:?}: {e}; it is an IPv4 subnet such as 10.88.0.0/24",
                    text.as_deref().unwrap_or_default()
                )
            })
        };
        Ok(NetworkOptions {
            choice: match self.network {
                NetworkChoice::Auto => Choice::Auto,
                NetworkChoice::Bridge => Choice::Bridge,
                NetworkChoice::None => Choice::None,
            },
            bridge: self.bridge.clone(),
            pods: subnet("--subnet", &self.subnet)?,
            services: subnet("--service-subnet", &self.service_subnet)?,
        })
    }

    /// As arguments of the daemon.
    fn arguments(&self) -> Vec<&str> {
        let mut all = vec!["--network", self.network.as_str()];
        for (option, value) in [
            ("--bridge", &self.bridge),
            ("--subnet", &self.subnet),
            ("--service-subnet", &self.service_subnet),
        ] {
            all.extend(value.iter().flat_map(|v| [option, v.as_str()]));
        }
        all
    }
}

/// Root of the state where none is given.
const DEFAULT_ROOT: &str = "/var/lib/podwright";
/// The logs of the node that lives there.
const DEFAULT_LOGS: &str = "/var/log/pods";
/// How long a daemon that another client is starting is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Places {
    /// From the command line. A node with a root of its own keeps its logs there, so that two nodes never share them by accident.
    pub fn of(args: &PlaceArgs) -> Outcome<Self> {
        let absolute =
            |path: &Path| std::path::absolute(path).map_err(|e| Failure::file("resolve", path, &e));
        let root = absolute(&args.root)?;
        let logs = match &args.logs {
            Some(logs) => absolute(logs)?,
            None if root == Path::new(DEFAULT_ROOT) => PathBuf::from(DEFAULT_LOGS),
            None => root.join("logs"),
        };
        Ok(Self {
            root,
            run: absolute(&args.run)?,
            logs,
            cgroup_root: args.cgroup_root.clone(),
            network: args.network.clone(),
        })
    }

    fn log_file(&self) -> PathBuf {
        self.run.join("node.log")
    }
}

/// A client of the daemon, which is started if none runs.
pub async fn connect(places: &Places) -> Outcome<Client> {
    let client = Client::new(&places.run);
    match client.probe().await {
        Ok(()) => return Ok(client),
        Err(ClientError::NotRunning { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let failure = match start(places) {
        Ok(()) => return Ok(client),
        Err(failure) => failure,
    };
    // Another client may have been faster; then its daemon holds the lock, and listens in a moment.
    if failure.lost_race {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if client.probe().await.is_ok() {
                return Ok(client);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Err(failure.failure)
}

/// A client of a running daemon; none is started.
pub async fn connect_running(places: &Places) -> Outcome<Option<Client>> {
    let client = Client::new(&places.run);
    match client.probe().await {
        Ok(()) => Ok(Some(client)),
        Err(ClientError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

struct StartFailure {
    failure: Failure,
    lost_race: bool,
}

impl From<Failure> for StartFailure {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            lost_race: false,
        }
    }
}

/// Starts the daemon and waits until it listens.
fn start(places: &Places) -> Result<(), StartFailure> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&places.run);
    made.map_err(|e| refused(places, "make", &places.run, &e))?;
    let path = places.log_file();
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(&path)
        .map_err(|e| refused(places, "open", &path, &e))?;
    let before = log
        .seek(SeekFrom::End(0))
        .map_err(|e| Failure::file("read", &path, &e))?;
    let mut child = spawn(places, &log)?;
    let mut ready = [0];
    let told = match child.stdout.take() {
        Some(mut pipe) => pipe.read(&mut ready),
        None => Ok(0),
    };
    if matches!(told, Ok(1)) {
        return Ok(());
    }
    // The pipe closed without a word: the daemon has ended, or is about to.
    let status = child
        .wait()
        .map_or_else(|e| e.to_string(), |s| s.to_string());
    let tail = tail(&mut log, before);
    let lost_race = tail.contains("another node daemon runs");
    let words = if tail.is_empty() {
        "it said nothing".to_owned()
    } else {
        format!("it said:\n{tail}")
    };
    Err(StartFailure {
        failure: Failure::new(
            Code::Unavailable,
            format!(
                "error: the node daemon did not start ({status}); {words}\nIts log is {}. `podwright doctor` tells what this machine lacks.",
                path.display()
            ),
        ),
        lost_race,
    })
}

fn refused(places: &Places, what: &str, path: &Path, error: &io::Error) -> Failure {
    let mut failure = Failure::file(what, path, error);
    if failure.code == Code::NoPermission {
        failure.message += &format!(
            "\nRunning pods needs root; `podwright plan` and `podwright doctor` do not. (run folder: {})",
            places.run.display()
        );
    }
    failure
}

fn spawn(places: &Places, log: &File) -> Outcome<Child> {
    let own = std::env::current_exe()
        .map_err(|e| Failure::new(Code::Os, format!("find this program's own path: {e}")))?;
    let log = log
        .try_clone()
        .map_err(|e| Failure::file("open", &places.log_file(), &e))?;
    Command::new(&own)
        .arg("--root")
        .arg(&places.root)
        .arg("--run")
        .arg(&places.run)
        .arg("--logs")
        .arg(&places.logs)
        .arg("--cgroup-root")
        .arg(&places.cgroup_root)
        .args(places.network.arguments())
        .args(["node", "--on-demand"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/")
        .spawn()
        .map_err(|e| Failure::new(Code::Os, format!("start {} node: {e}", own.display())))
}

/// What the daemon has written since `from`, its last lines only.
fn tail(log: &mut File, from: u64) -> String {
    let mut bytes = Vec::new();
    let read = log
        .seek(SeekFrom::Start(from))
        .and_then(|_| log.take(64 * 1024).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(10);
    let last = lines.get(start..).unwrap_or_default();
    let last: Vec<String> = last.iter().map(|l| format!("  {l}")).collect();
    last.join("\n")
}
