//! The process that answers names: started with its sockets, found again by its lock, ended by removing its zone file.
//!
//! ```text
//! <run>/network/names/zone.json     what it answers from; without this file it ends
//! <run>/network/names.lock          locked for as long as it lives, and holding nothing
//! ```

use anyhow::{Context, Result, bail};
use pod_dns::zone::{FILE, Zone};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How long its end is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The port that names are asked at.
const PORT: u16 = 53;

/// The name server of this node.
#[derive(Debug)]
pub struct Names {
    folder: PathBuf,
    program: Option<PathBuf>,
    address: Ipv4Addr,
    /// Tells its end, while it is known to run.
    running: Option<Receiver<()>>,
    /// Who is told of its end.
    ends: UnboundedSender<()>,
    written: Option<Zone>,
}

impl Names {
    /// One that serves at `address`, with its files in `network`. Nothing is started yet.
    pub fn new(
        network: &Path,
        program: Option<PathBuf>,
        address: Ipv4Addr,
        ends: UnboundedSender<()>,
    ) -> Self {
        Self {
            folder: network.join("names"),
            program,
            address,
            running: None,
            ends,
            written: None,
        }
    }

    /// Sees to it that the process runs, and answers from this zone. One that an earlier daemon has started is kept.
    pub fn ensure(&mut self, zone: &Zone) -> Result<()> {
        self.write(zone)?;
        if self.is_running() {
            return Ok(());
        }
        let lock = self.lock()?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            // The sockets of one that was killed may be free a moment after its lock: who is told of its end tries again.
            Ok(()) => self.start(lock).inspect_err(|_| {
                let _ = self.ends.send(());
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                self.running = Some(self.watch(move || {
                    // Whoever holds it lives; that it can be had is the end. An error ends the waiting too: then it is looked again.
                    let _ = flock(&lock, FlockOperation::LockExclusive);
                })?);
                Ok(())
            }
            Err(e) => Err(e).context("lock of the name server"),
        }
    }

    fn is_running(&self) -> bool {
        let ended = self.running.as_ref().map(Receiver::try_recv);
        matches!(ended, Some(Err(std::sync::mpsc::TryRecvError::Empty)))
    }

    fn lock(&self) -> Result<File> {
        let path = self.folder.with_extension("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options
            .open(&path)
            .with_context(|| format!("open {}", path.display()))
    }

    /// The sockets are open before it runs: queries wait in them, and nobody waits for it.
    fn start(&mut self, lock: File) -> Result<()> {
        let Some(program) = &self.program else {
            bail!("podwright-dns is missing: it belongs beside podwright (hack/build makes it)");
        };
        let at: SocketAddr = (self.address, PORT).into();
        let bound = |what: &str| format!("listen on {at} ({what}): does another name server?");
        let udp = UdpSocket::bind(at).with_context(|| bound("udp"))?;
        let tcp = TcpListener::bind(at).with_context(|| bound("tcp"))?;
        let said = self.folder.with_extension("err");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let said = options
            .open(&said)
            .with_context(|| format!("open {}", said.display()))?;
        let mut command = Command::new(program);
        command
            .arg("--zone")
            .arg(&self.folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .current_dir("/");
        let fds: Vec<OwnedFd> = vec![udp.into(), tcp.into(), lock.into()];
        pod_sys::process::pass_descriptors(&mut command, fds).context("pass sockets on")?;
        let mut child = command
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        // The command holds the descriptors that were passed on.
        drop(command);
        self.running = Some(self.watch(move || {
            // Reaped; how it ended says nothing that its own words do not.
            let _ = child.wait();
        })?);
        Ok(())
    }

    /// A thread that waits for the end: one a name server, asleep.
    fn watch(&self, wait: impl FnOnce() + Send + 'static) -> Result<Receiver<()>> {
        let (sender, receiver) = channel();
        let ends = self.ends.clone();
        let thread = std::thread::Builder::new().name("names".to_owned());
        thread
            .spawn(move || {
                wait();
                // Both listeners may have gone: then the daemon is ending.
                let _ = sender.send(());
                let _ = ends.send(());
            })
            .context("start a thread that waits for the name server")?;
        Ok(receiver)
    }

    /// Has it answer from this zone from now on.
    pub fn write(&mut self, zone: &Zone) -> Result<()> {
        if self.written.as_ref() == Some(zone) {
            return Ok(());
        }
        // It works as nobody: the folders above are closed to others, this one is handed to it.
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o711);
        builder
            .create(&self.folder)
            .with_context(|| format!("make {}", self.folder.display()))?;
        let path = self.folder.join(FILE);
        let fresh = self.folder.join("zone.new");
        let text = serde_json::to_vec(zone).context("write the zone as JSON")?;
        let written = fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .with_context(|| format!("write {}", path.display()));
        self.written = written.is_ok().then(|| zone.clone());
        written
    }

    /// Ends it and waits for that. One that does not run has ended.
    pub fn end(&mut self) -> Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        self.written = None;
        let path = self.folder.join(FILE);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
        if !self.is_running() {
            let lock = self.lock()?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                self.running = Some(self.watch(move || {
                    let _ = flock(&lock, FlockOperation::LockExclusive);
                })?);
            }
        }
        if let Some(running) = self.running.take()
            && running.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            self.running = Some(running);
            bail!(
                "the name server has not ended within {} s of the removal of its zone file",
                PATIENCE.as_secs()
            );
        }
        // Nothing of it is left that the next one would not make anew.
        let _ = fs::remove_dir_all(&self.folder);
        for extension in ["lock", "err"] {
            let _ = fs::remove_file(self.folder.with_extension(extension));
        }
        Ok(())
    }
}
