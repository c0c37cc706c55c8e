//! The network of this daemon: which one its pods get, the bridge while any pod is on it, and what Services ask of it.
//!
//! ```text
//! <run>/network/leases/ names/        gone after a reboot, as the sandboxes are
//! <root>/records/network.json         the subnets: virtual addresses of Services survive a reboot
//! ```

use super::names::Names;
use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use pod_dns::zone::Zone;
use pod_driver::network::{Network, NetworkError};
use pod_host::SandboxNetwork;
use pod_model::config::NetworkMode;
use pod_model::ids::{PodUid, SandboxId};
use pod_network::{Bridge, Rules, Subnets};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The first and the longest wait before a name server that does not live is started again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the user asks of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Which network pods get that do not ask for the node's.
    pub choice: Choice,
    /// Name of the bridge; `None` = by the run folder.
    pub bridge: Option<String>,
    /// Subnet of pods; `None` = one that the node does not route.
    pub pods: Option<Ipv4Net>,
    /// Subnet of Services, likewise.
    pub services: Option<Ipv4Net>,
}

/// Which network pods get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The bridge where the node permits it, else none.
    #[default]
    Auto,
    /// The bridge; a pod that cannot have it does not start.
    Bridge,
    /// Loopback only.
    None,
}

/// What pods and Services ask of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Rules of translation.
    pub rules: Rules,
    /// Names.
    pub zone: Zone,
}

/// The network of this daemon.
#[derive(Clone, Debug)]
pub struct NodeNetwork(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    choice: Choice,
    /// What a new sandbox gets.
    mode: NetworkMode,
    wire: Option<Wire>,
    /// Sandboxes that are no more, whose addresses could not be given back: tried again whenever an address is asked for or given back.
    owed: BTreeSet<String>,
}

/// The bridge and the names on it.
#[derive(Debug)]
struct Wire {
    bridge: Bridge,
    names: Names,
    up: bool,
    wanted: Option<Wanted>,
    applied: Option<Rules>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSubnets {
    pods: Ipv4Net,
    services: Ipv4Net,
}

/// Where a node's network keeps its files.
#[derive(Clone, Copy, Debug)]
pub struct NetworkPlaces<'a> {
    /// State that survives a reboot.
    pub root: &'a Path,
    /// State that does not.
    pub run: &'a Path,
}

/// A network that was opened.
#[derive(Debug)]
pub struct OpenedNetwork {
    /// The network.
    pub network: NodeNetwork,
    /// Tells each end of the name server.
    pub ends: UnboundedReceiver<()>,
    /// What the user may want to know.
    pub notes: Vec<String>,
}

impl NodeNetwork {
    /// Opens the network. Nothing is made before the first pod needs it.
    pub fn open(
        options: &NetworkOptions,
        places: NetworkPlaces<'_>,
        names_program: Option<PathBuf>,
    ) -> Result<OpenedNetwork> {
        let mut notes = Vec::new();
        let folder = places.run.join("network");
        let (sender, ends) = unbounded_channel();
        // Without a bridge, one of an earlier daemon may still be there to be taken away.
        let wanted = options.choice != Choice::None || folder.exists();
        let mut mode = match options.choice {
            Choice::None => NetworkMode::None,
            Choice::Auto | Choice::Bridge => NetworkMode::Bridge,
        };
        let opened = wanted.then(|| {
            let bridge = open_bridge(options, places, &folder)?;
            let gateway = bridge.subnets().gateway();
            Ok::<Wire, anyhow::Error>(Wire {
                bridge,
                names: Names::new(&folder, names_program, gateway, sender),
                up: false,
                wanted: None,
                applied: None,
            })
        });
        let wire = match opened.transpose() {
            Ok(wire) => wire,
            Err(error) if options.choice == Choice::Auto && !is_of_own_files(&error) => {
                notes.push(format!("pods get no network but loopback: {error:#}"));
                mode = NetworkMode::None;
                None
            }
            Err(error) => return Err(error),
        };
        let inner = Inner {
            choice: options.choice,
            mode,
            wire,
            owed: BTreeSet::new(),
        };
        Ok(OpenedNetwork {
            network: Self(Arc::new(Mutex::new(inner))),
            ends,
            notes,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every step may run twice, so what a panic left half done is taken up again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The subnets; `None` without a bridge.
    pub fn subnets(&self) -> Option<Subnets> {
        let inner = self.lock();
        let wire = inner.wire.as_ref()?;
        (inner.mode == NetworkMode::Bridge).then(|| wire.bridge.subnets())
    }

    /// Finds the sandboxes of earlier daemons again: what is known and runs is mended, all other leases are given back. Gives the
    /// addresses that were not noted yet. What could not be done is told in the notes.
    pub async fn recover(
        &self,
        sandboxes: Vec<SandboxNetwork>,
    ) -> (Vec<(PodUid, SandboxId, String)>, Vec<String>) {
        let work = self.clone();
        let done = tokio::task::spawn_blocking(move || work.lock().recover(sandboxes)).await;
        // It only fails when the runtime ends.
        done.unwrap_or_default()
    }

    /// Does what pods and Services ask now.
    pub async fn publish(&self, wanted: Wanted) {
        let work = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut inner = work.lock();
            inner.pay();
            let Some(wire) = &mut inner.wire else {
                return Ok(());
            };
            wire.wanted = Some(wanted);
            if wire.up { wire.apply() } else { Ok(()) }
        });
        if let Ok(Err(error)) = done.await {
            eprintln!("network: {error:#}");
        }
    }

    /// Starts the name server again whenever it ends without having been told to, or could not be started, as long as `ends` tells of it.
    pub async fn keep_names(self, mut ends: UnboundedReceiver<()>) {
        let mut wait = FIRST_WAIT;
        let mut said = String::new();
        while ends.recv().await.is_some() {
            let work = self.clone();
            let again = tokio::task::spawn_blocking(move || {
                let mut inner = work.lock();
                match &mut inner.wire {
                    Some(wire) if wire.up => wire.apply(),
                    _ => Ok(()),
                }
            });
            if let Ok(Err(error)) = again.await {
                let error = format!("network: {error:#}");
                if error != said {
                    eprintln!("{error}");
                    said = error;
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            } else {
                wait = FIRST_WAIT;
                said.clear();
            }
            // One that cannot live is not started over and over.
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes everything away. For the end of a node: no pod is left, so what still holds an address is of one that was lost.
    pub async fn end(&self) -> Result<()> {
        let work = self.clone();
        let done = tokio::task::spawn_blocking(move || match &mut work.lock().wire {
            Some(wire) => {
                for holder in wire.bridge.holders() {
                    wire.bridge.detach(&holder)?;
                }
                wire.down()
            }
            None => Ok(()),
        });
        done.await.context("the network's end")?
    }
}

/// What cannot be read now is no sign that this node permits no network: pods have addresses by it.
fn is_of_own_files(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(pod_network::NetworkError::File { .. })
    )
}

fn open_bridge(
    options: &NetworkOptions,
    places: NetworkPlaces<'_>,
    folder: &Path,
) -> Result<Bridge> {
    let name = options
        .bridge
        .clone()
        .unwrap_or_else(|| bridge_name(places.run));
    let file = places.root.join("records").join("network.json");
    let kept = match fs::read(&file) {
        Ok(text) => serde_json::from_slice::<KeptSubnets>(&text).ok(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        // Other subnets than those of the pods that run are no way out.
        Err(source) => {
            let (step, path) = ("reading", file);
            return Err(pod_network::NetworkError::File { step, path, source }.into());
        }
    };
    let kept = kept.filter(|k| {
        options.pods.is_none_or(|p| p.trunc() == k.pods)
            && options.services.is_none_or(|s| s.trunc() == k.services)
    });
    let subnets = match kept {
        Some(kept) => Subnets::new(kept.pods, kept.services)?,
        None => {
            let taken = Bridge::routed(&name).context("choose subnets")?;
            let chosen = Subnets::choose(&taken, options.pods, options.services)?;
            let kept = KeptSubnets {
                pods: chosen.pods,
                services: chosen.services,
            };
            let text = serde_json::to_vec(&kept).context("write the subnets as JSON")?;
            let fresh = file.with_extension("new");
            fs::write(&fresh, text)
                .and_then(|()| fs::rename(&fresh, &file))
                .with_context(|| format!("keep {}", file.display()))?;
            chosen
        }
    };
    Ok(Bridge::open(&name, subnets, &folder.join("leases"))?)
}

/// `podwright0` for the node that lives in the usual place; for others a name of their own, so that they never share one by accident.
fn bridge_name(run: &Path) -> String {
    if run == Path::new("/run/podwright") {
        return "podwright0".to_owned();
    }
    let hash = run
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0x811c_9dc5_u32, |h, b| {
            (h ^ u32::from(*b)).wrapping_mul(0x0100_0193)
        });
    format!("pw{hash:08x}")
}

impl Inner {
    /// Makes the bridge and what is on it. `false`: this node does not permit it, and need not.
    fn ensure_up(&mut self) -> Result<bool> {
        let Some(wire) = &mut self.wire else {
            return Ok(false);
        };
        if wire.up {
            return Ok(true);
        }
        let optional = self.choice == Choice::Auto;
        if let Err(error) = wire.bridge.up() {
            if optional && !wire.bridge.is_used() {
                eprintln!(
                    "pods get no network but loopback: {}",
                    super::chain::chain(&error)
                );
                self.mode = NetworkMode::None;
                return Ok(false);
            }
            return Err(error.into());
        }
        wire.up = true;
        match wire.apply() {
            Ok(()) => {}
            Err(error) if optional => eprintln!("network: {error:#}"),
            Err(error) => {
                wire.up = false;
                return Err(error);
            }
        }
        Ok(true)
    }

    fn reserve(&mut self, id: &SandboxId) -> Result<(NetworkMode, Option<Ipv4Addr>)> {
        self.pay();
        if self.mode != NetworkMode::Bridge || !self.ensure_up()? {
            return Ok((NetworkMode::None, None));
        }
        match &mut self.wire {
            Some(wire) => Ok((NetworkMode::Bridge, Some(wire.bridge.reserve(id.as_str())?))),
            None => Ok((NetworkMode::None, None)),
        }
    }

    /// Gives back what could not be given back before. What still cannot be stays owed.
    fn pay(&mut self) {
        let Some(wire) = self.wire.as_mut().filter(|_| !self.owed.is_empty()) else {
            return;
        };
        self.owed.retain(|id| wire.bridge.detach(id).is_err());
        if wire.up
            && !wire.bridge.is_used()
            && let Err(error) = wire.down()
        {
            eprintln!("network: {error:#}");
        }
    }

    fn detach(&mut self, id: &SandboxId) -> Result<()> {
        self.owed.remove(id.as_str());
        self.pay();
        let Some(wire) = &mut self.wire else {
            return Ok(());
        };
        if let Err(error) = wire.bridge.detach(id.as_str()) {
            // Whoever asked may not ask again: the sandbox may never have come to be.
            self.owed.insert(id.as_str().to_owned());
            return Err(error.into());
        }
        if wire.up && !wire.bridge.is_used() {
            wire.down()?;
        }
        Ok(())
    }

    fn recover(
        &mut self,
        sandboxes: Vec<SandboxNetwork>,
    ) -> (Vec<(PodUid, SandboxId, String)>, Vec<String>) {
        let (mut found, mut notes) = (Vec::new(), Vec::new());
        let Some(wire) = &mut self.wire else {
            return (found, notes);
        };
        for holder in wire.bridge.holders() {
            if !sandboxes.iter().any(|s| s.id.as_str() == holder) {
                notes.extend(
                    wire.bridge
                        .detach(&holder)
                        .err()
                        .map(|e| super::chain::chain(&e)),
                );
            }
        }
        if !wire.bridge.is_used() {
            // What a daemon left that ended between the last lease and the bridge.
            notes.extend(wire.down().err().map(|e| format!("{e:#}")));
        } else if let Err(error) = self.ensure_up() {
            notes.push(format!("{error:#}"));
        }
        let Some(wire) = &mut self.wire else {
            return (found, notes);
        };
        for sandbox in sandboxes {
            let (NetworkMode::Bridge, Some(namespace)) = (sandbox.mode, sandbox.namespace) else {
                continue;
            };
            let again = wire
                .bridge
                .reserve(sandbox.id.as_str())
                .and_then(|_| wire.bridge.attach(sandbox.id.as_str(), &namespace));
            match again {
                Ok(ip) if sandbox.address.is_none() => {
                    found.push((sandbox.pod, sandbox.id, ip.to_string()));
                }
                Ok(_) => {}
                Err(e) => notes.push(format!(
                    "sandbox {}: {}",
                    sandbox.id,
                    super::chain::chain(&e)
                )),
            }
        }
        (found, notes)
    }
}

impl Wire {
    /// Rules and names as they are wanted; all is tried.
    fn apply(&mut self) -> Result<()> {
        let Some(wanted) = &self.wanted else {
            return Ok(());
        };
        let rules = if self.applied.as_ref() == Some(&wanted.rules) {
            Ok(())
        } else {
            self.bridge.rules(&wanted.rules)
        };
        if rules.is_ok() {
            self.applied = Some(wanted.rules.clone());
        }
        let names = self.names.ensure(&wanted.zone);
        rules.context("rules of Services").and(names)
    }

    fn down(&mut self) -> Result<()> {
        self.up = false;
        self.applied = None;
        let names = self.names.end();
        let bridge = self.bridge.down().context("take the bridge away");
        names.and(bridge)
    }
}

impl Network for NodeNetwork {
    async fn reserve(&self, id: &SandboxId) -> Result<(NetworkMode, Option<String>), NetworkError> {
        let (work, id) = (self.clone(), id.clone());
        let (mode, ip) = blocking(move || work.lock().reserve(&id)).await?;
        Ok((mode, ip.map(|ip| ip.to_string())))
    }

    async fn attach(
        &self,
        id: &SandboxId,
        mode: NetworkMode,
        namespace: OwnedFd,
    ) -> Result<Option<String>, NetworkError> {
        let (work, id) = (self.clone(), id.clone());
        blocking(move || match mode {
            NetworkMode::Host => Ok(None),
            NetworkMode::None => {
                pod_network::bring_up_loopback(namespace)?;
                Ok(None)
            }
            NetworkMode::Bridge => match &work.lock().wire {
                Some(wire) => Ok(Some(
                    wire.bridge.attach(id.as_str(), &namespace)?.to_string(),
                )),
                None => anyhow::bail!("this node has no bridge any more (--network)"),
            },
        })
        .await
    }

    async fn detach(&self, id: &SandboxId) -> Result<(), NetworkError> {
        let (work, id) = (self.clone(), id.clone());
        blocking(move || work.lock().detach(&id)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T, NetworkError> {
    let told = |words: String| {
        // The driver says "network:" itself.
        NetworkError(words.strip_prefix("network: ").unwrap_or(&words).to_owned())
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(told(format!("{error:#}"))),
        Err(error) => Err(told(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_or_leases_that_cannot_be_read_are_no_reason_for_a_node_without_a_network() {
        let dir = tempfile::tempdir().unwrap();
        let (root, run) = (dir.path().join("root"), dir.path().join("run"));
        fs::create_dir_all(root.join("records")).unwrap();
        fs::create_dir_all(run.join("network/leases")).unwrap();
        let options = NetworkOptions {
            choice: Choice::Auto,
            pods: Some("10.1.0.0/24".parse().unwrap()),
            services: Some("10.2.0.0/24".parse().unwrap()),
            ..NetworkOptions::default()
        };
        let open = || {
            let places = NetworkPlaces {
                root: &root,
                run: &run,
            };
            NodeNetwork::open(&options, places, None).map(|_| ())
        };
        let kept = KeptSubnets {
            pods: "10.1.0.0/24".parse().unwrap(),
            services: "10.2.0.0/24".parse().unwrap(),
        };
        let file = root.join("records/network.json");
        fs::write(&file, serde_json::to_vec(&kept).unwrap()).unwrap();
        open().unwrap();
        // A link to itself: it is there, and every read of it fails.
        let lease = run.join("network/leases/10.1.0.3");
        std::os::unix::fs::symlink(&lease, &lease).unwrap();
        assert!(format!("{:#}", open().unwrap_err()).contains("10.1.0.3"));
        fs::remove_file(&lease).unwrap();
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&file, &file).unwrap();
        assert!(format!("{:#}", open().unwrap_err()).contains("network.json"));
    }

    #[test]
    fn each_node_has_a_bridge_of_its_own() {
        assert_eq!(bridge_name(Path::new("/run/podwright")), "podwright0");
        let one = bridge_name(Path::new("/tmp/a/run"));
        assert_ne!(one, bridge_name(Path::new("/tmp/b/run")));
        assert!(one.len() <= 15, "{one}");
    }
}
