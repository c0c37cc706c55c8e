//! The node daemon: composition root. Names the concrete types, starts the API, routes what happens to the pods' tasks.

mod backend;
mod chain;
mod configs;
mod facts;
mod idle;
mod images;
mod journal;
mod logs;
mod names;
mod network;
mod outside;
mod pods;
mod records;
mod reset;
mod services;
mod wanted;

pub use network::{Choice, NetworkOptions};
pub use reset::sweep;

use anyhow::{Context, Result};
use backend::Daemon;
use configs::Configs;
use idle::Idle;
use jiff::Timestamp;
use journal::NodeJournal;
use network::{NetworkPlaces, NodeNetwork, OpenedNetwork};
use outside::{Real, StoreImages, SystemClock};
use pod_api::events::EventLog;
use pod_api::feed::{Feed, Versions};
use pod_driver::host::{Host, HostEvent};
use pod_driver::queue::Message;
use pod_driver::world::WorldOf;
use pod_host::{HostOptions, LogLimits, NodeHost, Opened, Programs};
use pod_model::ids::CgroupPath;
use pods::Pods;
use records::Records;
use services::Services;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a node is started.
#[derive(Debug)]
pub struct NodeOptions {
    /// Where it lives.
    pub places: Places,
    /// Which network its pods get.
    pub network: NetworkOptions,
    /// Told once the API can be reached: one byte is written and the file closed.
    pub ready: Option<File>,
}

/// How long a thread for work that blocks is kept without work: for good. The runtime ends the program where it has none and cannot
/// start one (a limit of processes); with one left, work waits for it.
const SPARE: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// Runs the daemon until it is told to end, or is idle. The pods go on without it.
pub fn run(options: NodeOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_keep_alive(SPARE)
        .build()?;
    // There is a first thread from the start on.
    drop(runtime.spawn_blocking(|| {}));
    runtime.block_on(serve(options))
}

/// Where this node lives, and whether it ends when idle.
#[derive(Clone, Debug)]
pub struct Places {
    /// State that survives a reboot.
    pub root: PathBuf,
    /// State that does not.
    pub run: PathBuf,
    /// Container logs.
    pub logs: PathBuf,
    /// Everything lives in cgroups below this one.
    pub cgroup_root: CgroupPath,
    /// How long it may be idle before it ends by itself; `None`: it was not started on demand and never does.
    pub idle: Option<std::time::Duration>,
}

/// How long a daemon that is told to end lets its clients finish.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);

async fn serve(
    NodeOptions {
        places: options,
        network: network_options,
        ready,
    }: NodeOptions,
) -> Result<()> {
    // What is private says so where it is made; what containers see must not depend on who started the daemon.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    for folder in [&options.root, &options.run, &options.logs] {
        make_private(folder)?;
    }
    // The folder of logs may be shared with a kubelet.
    close_to_others(&options.root)?;
    close_to_others(&options.run)?;
    let _locks = [lock(&options.run)?, lock(&options.root)?];

    let opened = NodeHost::open(HostOptions {
        root: options.root.clone(),
        run: options.run.clone(),
        cgroup_root: options.cgroup_root.clone(),
        log_root: options.logs.clone(),
        programs: programs()?,
        generation: generation(),
        launcher_ahead: true,
        logs: LogLimits::default(),
        steps: pod_host::Steps::default(),
    });
    let Opened {
        host,
        events: mut host_events,
        notes,
    } = opened.await.context("open the runtime half")?;
    for note in notes {
        eprintln!("{note}");
    }
    let host = Arc::new(host);
    let store = pod_image::Store::open(&options.root).context("open the image store")?;
    let records = Records::open(&options.root)?;
    let versions = Versions::after(u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0));
    let (later, writer) = records::later(records.clone());
    let (gone, mut gone_pods) = tokio::sync::mpsc::unbounded_channel();
    let idle = Idle::new();
    let mut node = facts::read(&options, host.is_cgroup_v2())?;
    let places = NetworkPlaces {
        root: &options.root,
        run: &options.run,
    };
    let OpenedNetwork {
        network,
        ends,
        notes,
    } = NodeNetwork::open(&network_options, places, program("podwright-dns").ok())
        .context("open the network")?;
    let subnets = network.subnets();
    node.cluster_dns
        .extend(subnets.map(|s| s.gateway().to_string()));
    for note in notes {
        eprintln!("{note}");
    }
    let services = Arc::new(Services::open(records.clone(), &versions)?);
    let world = WorldOf::<Real> {
        host: Arc::clone(&host),
        images: Arc::new(StoreImages(Arc::new(store))),
        network: Arc::new(network.clone()),
        journal: Arc::new(NodeJournal {
            pods: Arc::new(Feed::new(versions.clone())),
            events: EventLog::new(versions.clone()),
            idle: idle.clone(),
            records: records.clone(),
            later,
            gone,
        }),
        objects: Arc::new(Configs::open(
            records.clone(),
            &versions,
            Arc::clone(&services),
        )?),
        clock: Arc::new(SystemClock),
        actions: Arc::new(pod_driver::act::Reach(Arc::clone(&host))),
        node,
        limits: pod_plan::back_off::Limits::default(),
    };
    let pods = Arc::new(Pods::new(world.clone(), records));
    find_networks_again(&host, &network).await;
    pods.find_again()?;
    if let Some(subnets) = subnets {
        let facts = wanted::Facts {
            domain: world.node.cluster_domain.clone(),
            subnets,
            upstream: wanted::upstream(world.node.resolv_conf.as_deref(), subnets.gateway()),
        };
        let (pods, services) = (Arc::clone(&world.journal.pods), Arc::clone(services.feed()));
        tokio::spawn(services::keep(network.clone(), facts, pods, services));
        tokio::spawn(network.keep_names(ends));
    }

    let (ending, mut end) = tokio::sync::mpsc::channel::<()>(1);
    let daemon = Arc::new(Daemon::new(
        world,
        Arc::clone(&pods),
        services,
        options.clone(),
        ending,
    ));
    let server =
        pod_api::server::Server::bind(&options.run, Arc::clone(&daemon)).context("open the API")?;
    let mut serving = tokio::spawn(server.serve(idle.clients()));
    if let Some(mut ready) = ready {
        use std::io::Write;
        // Whoever started the daemon may have gone away meanwhile.
        let _ = ready.write_all(b"+");
    }
    // A service manager that waits for it is told too; without one this does nothing.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    loop {
        tokio::select! {
            Some(event) = host_events.recv() => route(&pods, &event),
            Some(uid) = gone_pods.recv() => { pods.gone(&uid); idle.look(); }
            () = idle.over(options.idle, || pods.busy()) => break,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = end.recv() => {
                // The client that asked for the end shall still read the last line.
                let _ = tokio::time::timeout(LAST_WORDS, idle.left_alone()).await;
                break;
            }
            ended = &mut serving => { ended.context("the API ended")??; break; }
        }
    }
    serving.abort();
    drop((daemon, pods));
    // The tasks hold the writer's other ends; the newest values of a moment ago may be lost, which a restart mends.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(500), writer).await;
    Ok(())
}

/// Mends the networks of sandboxes that an earlier daemon has left, before any pod's task looks at them.
async fn find_networks_again(host: &NodeHost, network: &NodeNetwork) {
    let (addresses, mut notes) = network.recover(host.networks()).await;
    for (pod, id, address) in addresses {
        let noted = host.set_address(&pod, &id, Some(address)).await;
        notes.extend(noted.err().map(|e| e.message));
    }
    for note in notes {
        eprintln!("network: {note}");
    }
}

fn route(pods: &Pods, event: &HostEvent) {
    match event {
        HostEvent::ContainerExited { pod, .. } | HostEvent::SandboxLost { pod, .. } => {
            pods.send(pod, Message::Fact);
        }
        HostEvent::Log { pod, name, news } => {
            pods.send(pod, Message::Log(name.clone(), news.clone()));
        }
    }
}

/// Makes a folder of mode 0700 where it is missing.
fn make_private(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("make {}", folder.display()))
}

/// Closes a folder of our own that others may look into.
fn close_to_others(folder: &Path) -> Result<()> {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
        .with_context(|| format!("set the mode of {}", folder.display()))
}

/// One daemon a folder: the lock is held for as long as the file is open.
fn lock(folder: &Path) -> Result<nix::fcntl::Flock<File>> {
    let path = folder.join("node.lock");
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).map_err(|(_, _)| {
        anyhow::anyhow!(
            "another node daemon runs on {} (it holds {})",
            folder.display(),
            path.display()
        )
    })
}

/// Growing with every start: a supervisor refuses what an older daemon asks.
fn generation() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(u64::MAX)
}

/// The helpers, beside this program or where `hack/install` puts them.
fn programs() -> Result<Programs> {
    Ok(Programs {
        supervisor: program("podwright-supervisor")?,
        launch: program("podwright-launch")?,
        pause: program("podwright-pause")?,
    })
}

fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program's own path")?;
    let beside = own.parent().map(Path::to_owned).unwrap_or_default();
    let folders = [beside.clone(), beside.join("../lib/podwright")];
    let found = folders.iter().map(|f| f.join(name)).find(|p| p.is_file());
    found.with_context(|| format!("{name} is missing: it belongs beside {} (hack/build makes it, hack/install puts it in place)", own.display()))
}
