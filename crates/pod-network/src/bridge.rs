//! The node's bridge as a whole: up with the first pod, down after the last, and one sandbox's part in between. Every step may run twice.
//!
//! ```text
//! reserve:  lease                      attach:  bridge, forwarding, pair of links, address, routes
//! detach:   pair of links, lease       down:    table, bridge (when no lease is left)
//! ```

use crate::error::NetworkError;
use crate::forward::{loopback_up, set};
use crate::lease::Leases;
use crate::link;
use crate::namespace::{block_on, enter, in_thread, speak};
use crate::nft;
use crate::rules::{Rules, table, table_name};
use crate::subnet::Subnets;
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// The bridge network of one node, in the network namespace of the process. One task at a time uses it.
#[derive(Debug)]
pub struct Bridge {
    name: String,
    subnets: Subnets,
    leases: Leases,
}

/// Longest name of a link.
const LONGEST_NAME: usize = 15;

impl Bridge {
    /// The bridge of that name, with the leases kept in `folder`. Nothing is made yet.
    ///
    /// # Errors
    /// When the leases cannot be read, or the name is none that a link can have.
    pub fn open(name: &str, subnets: Subnets, folder: &Path) -> Result<Self, NetworkError> {
        let good = |c: char| c.is_ascii_graphic() && c != '/';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(good) {
            return Err(NetworkError::Link {
                step: format!("the bridge's name {name:?}"),
                cause: std::io::Error::other("a link's name has 1 to 15 letters and digits"),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            subnets,
            leases: Leases::open(folder, subnets)?,
        })
    }

    /// Destinations that the node has routes to, for [`Subnets::choose`]; those by a link of that name do not count.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn routed(but: &str) -> Result<Vec<Ipv4Net>, NetworkError> {
        in_thread(|| block_on(async { Ok(link::routes(&speak()?, Some(but)).await?.0) }))
    }

    /// Its subnets.
    pub fn subnets(&self) -> Subnets {
        self.subnets
    }

    /// Sandboxes that hold an address.
    pub fn holders(&self) -> Vec<String> {
        self.leases.holders().map(str::to_owned).collect()
    }

    /// Whether any sandbox holds an address.
    pub fn is_used(&self) -> bool {
        !self.leases.is_empty()
    }

    /// The address of that sandbox, which it keeps until [`Bridge::detach`].
    ///
    /// # Errors
    /// When all are taken, or it cannot be written down.
    pub fn reserve(&mut self, sandbox: &str) -> Result<Ipv4Addr, NetworkError> {
        self.leases.take(sandbox)
    }

    /// Makes the bridge, and lets it pass on what pods send; and what comes back, where the node has a way out.
    ///
    /// # Errors
    /// When the kernel refuses; without CAP_NET_ADMIN it does.
    pub fn up(&self) -> Result<(), NetworkError> {
        in_thread(|| {
            block_on(async {
                self.ensure(&speak()?).await?;
                Ok(())
            })
        })
    }

    async fn ensure(&self, node: &rtnetlink::Handle) -> Result<u32, NetworkError> {
        let Subnets { pods, services } = self.subnets;
        let gateway = self.subnets.gateway();
        let index = link::ensure_bridge(node, &self.name, gateway, pods, services).await?;
        set(&self.name, "forwarding", "1")?;
        set(&self.name, "send_redirects", "0")?;
        for way_out in link::routes(node, None).await?.1 {
            set(&way_out, "forwarding", "1")?;
        }
        Ok(index)
    }

    /// Gives the sandbox's namespace its link, its address and its routes.
    ///
    /// # Errors
    /// When it has no address reserved, or the kernel refuses. Asked again, what is there already stays.
    pub fn attach(&self, sandbox: &str, namespace: &OwnedFd) -> Result<Ipv4Addr, NetworkError> {
        let ip = self.leases.of(sandbox).ok_or(NetworkError::NoLease)?;
        let gateway = self.subnets.gateway();
        in_thread(|| {
            block_on(async {
                let node = speak()?;
                let bridge = self.ensure(&node).await?;
                enter(namespace.as_fd())?;
                let pod = speak()?;
                loopback_up()?;
                let fd = namespace.as_raw_fd();
                link::ensure_pair(&node, &pod, &pair_name(sandbox), bridge, fd).await?;
                // A redirect would send it past the node's address translation, to a neighbour that it cannot reach.
                for link in ["all", link::POD_LINK] {
                    set(link, "accept_redirects", "0")?;
                }
                link::ensure_address(&pod, ip, gateway).await
            })
        })?;
        Ok(ip)
    }

    /// Takes the sandbox's link away and gives its address back.
    ///
    /// # Errors
    /// When the kernel refuses, or the lease cannot be removed. Asked again, it is taken up where it was.
    pub fn detach(&mut self, sandbox: &str) -> Result<(), NetworkError> {
        if self.leases.of(sandbox).is_none() {
            return Ok(());
        }
        in_thread(|| block_on(async { link::remove(&speak()?, &pair_name(sandbox)).await }))?;
        self.leases.give_back(sandbox)
    }

    /// Puts these rules in the place of those before.
    ///
    /// # Errors
    /// When the kernel refuses them; then those before stay.
    pub fn rules(&self, rules: &Rules) -> Result<(), NetworkError> {
        let table = table(&self.name, &self.subnets, rules);
        nft::replace(&table).map_err(|cause| NetworkError::Rules {
            what: format!("table {}", table.name),
            cause,
        })
    }

    /// Removes rules and bridge. What is not there is removed. All is tried; the first failure is told.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn down(&self) -> Result<(), NetworkError> {
        let name = table_name(&self.name);
        let rules = match nft::remove(&name) {
            // A kernel without nf_tables has no table of ours.
            Err(e) if e.raw_os_error() == Some(nix::libc::EPROTONOSUPPORT) => Ok(()),
            other => other.map_err(|cause| NetworkError::Rules {
                what: format!("removing table {name}"),
                cause,
            }),
        };
        let bridge = in_thread(|| block_on(async { link::remove(&speak()?, &self.name).await }));
        rules.and(bridge)
    }
}

/// Name of the node's end of a sandbox's pair: of the sandbox's id, which is random, so much as a link's name holds.
fn pair_name(sandbox: &str) -> String {
    let short: String = sandbox
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    format!("pwv{short}")
}
