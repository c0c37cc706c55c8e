//! What of the network this machine can do at all: tried out in namespaces that are gone afterwards.

use crate::bridge::Bridge;
use crate::error::NetworkError;
use crate::namespace::in_thread;
use crate::rules::{Endpoint, HostPort, Rules, VirtualPort};
use crate::subnet::Subnets;
use nix::sched::{CloneFlags, unshare};
use pod_model::service::Protocol;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;

/// How each part went. One that builds on what failed is not tried, and fails for the same reason.
#[derive(Debug)]
pub struct Possible {
    /// A bridge, and a pod's pair of links on it.
    pub bridge: Result<(), NetworkError>,
    /// Rules for Services, host ports, and what leaves the node.
    pub rules: Result<(), NetworkError>,
}

/// Makes the bridge, a pod's link and rules of every kind in a network namespace of its own. `folder`: made, and removed again.
///
/// # Errors
/// When no such namespace can be made, or the folder not be written.
pub fn possible(subnets: Subnets, folder: &Path) -> Result<Possible, NetworkError> {
    fs::create_dir_all(folder).map_err(|source| NetworkError::File {
        step: "making",
        path: folder.to_owned(),
        source,
    })?;
    let tried = in_thread(|| {
        let pod = new_namespace()?;
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| NetworkError::Enter(e.into()))?;
        let mut bridge = Bridge::open("podwright0", subnets, folder)?;
        let ip = bridge.reserve("tried")?;
        let made = bridge.up().and_then(|()| bridge.attach("tried", &pod));
        let to = Endpoint { ip, port: 80 };
        let rules = Rules {
            virtual_ports: vec![VirtualPort {
                ip: subnets.service(0).unwrap_or(ip),
                transport: Protocol::Tcp,
                port: 80,
                node_port: Some(30_000),
                endpoints: vec![to],
                sticky: true,
            }],
            host_ports: vec![HostPort {
                ip: None,
                transport: Protocol::Tcp,
                port: 80,
                to,
            }],
            pods: [ip].into(),
        };
        Ok(Possible {
            bridge: made.map(drop),
            rules: bridge.rules(&rules),
        })
    });
    // What is left of it does no harm.
    let _ = fs::remove_dir_all(folder);
    tried
}

/// A network namespace that lives as long as this.
fn new_namespace() -> Result<OwnedFd, NetworkError> {
    in_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| NetworkError::Enter(e.into()))?;
        let own = File::open("/proc/thread-self/ns/net").map_err(NetworkError::Enter)?;
        Ok(own.into())
    })
}
