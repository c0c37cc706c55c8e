//! Which sandbox has which address: one file an address, so that a daemon that is killed at any moment finds all of them again.
//!
//! ```text
//! <run>/network/leases/10.88.0.5      holds the sandbox's id
//! ```

use crate::error::NetworkError;
use crate::subnet::Subnets;
use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The leases of a node. One daemon at a time uses a folder.
#[derive(Debug)]
pub struct Leases {
    folder: PathBuf,
    subnets: Subnets,
    held: BTreeMap<Ipv4Addr, String>,
    /// Where the search for a free address begins: what was given back last comes last.
    next: u32,
}

impl Leases {
    /// Those that were kept.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or a lease in it cannot be read now: its address is not free.
    pub fn open(folder: &Path, subnets: Subnets) -> Result<Self, NetworkError> {
        fs::create_dir_all(folder).map_err(at("making", folder))?;
        let mut held = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(at("reading", folder))? {
            let path = entry.map_err(at("reading", folder))?.path();
            let ip = path.file_name().and_then(|n| n.to_str()?.parse().ok());
            let holder = match fs::read_to_string(&path) {
                Err(e) if e.kind() == ErrorKind::InvalidData => String::new(),
                read => read.map_err(at("reading the lease", &path))?,
            };
            match ip {
                Some(ip) if !holder.is_empty() => {
                    held.insert(ip, holder);
                }
                // Half written by a daemon that was killed: it was never used.
                _ => remove(&path)?,
            }
        }
        let above = |n: &u32| subnets.pod(*n).is_some_and(|ip| held.contains_key(&ip));
        let next = (0..subnets.room())
            .rev()
            .find(above)
            .map_or(0, |n| n.saturating_add(1));
        Ok(Self {
            folder: folder.to_owned(),
            subnets,
            held,
            next,
        })
    }

    /// The address of that sandbox.
    pub fn of(&self, holder: &str) -> Option<Ipv4Addr> {
        let found = self.held.iter().find(|(_, h)| *h == holder);
        found.map(|(ip, _)| *ip)
    }

    /// Sandboxes that have one.
    pub fn holders(&self) -> impl Iterator<Item = &str> {
        self.held.values().map(String::as_str)
    }

    /// Whether nobody has one.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// An address for that sandbox: its own if it has one.
    ///
    /// # Errors
    /// When all are taken, or the lease cannot be written down.
    pub fn take(&mut self, holder: &str) -> Result<Ipv4Addr, NetworkError> {
        if let Some(ip) = self.of(holder) {
            return Ok(ip);
        }
        let room = self.subnets.room();
        let order = (self.next..room).chain(0..self.next.min(room));
        let free = order
            .filter_map(|n| Some((n, self.subnets.pod(n)?)))
            .find(|(_, ip)| !self.held.contains_key(ip));
        let Some((n, ip)) = free else {
            return Err(NetworkError::Full {
                subnet: self.subnets.pods.to_string(),
                count: self.held.len(),
            });
        };
        write(&self.folder, ip, holder)?;
        self.held.insert(ip, holder.to_owned());
        self.next = n.saturating_add(1);
        Ok(ip)
    }

    /// Gives the sandbox's address back. One that has none has given it back.
    ///
    /// # Errors
    /// When the lease's file cannot be removed; asked again, it is tried again.
    pub fn give_back(&mut self, holder: &str) -> Result<(), NetworkError> {
        if let Some(ip) = self.of(holder) {
            remove(&self.folder.join(ip.to_string()))?;
            self.held.remove(&ip);
        }
        Ok(())
    }
}

/// Under a name that is no address first: a lease is whole or not there.
fn write(folder: &Path, ip: Ipv4Addr, holder: &str) -> Result<(), NetworkError> {
    let path = folder.join(ip.to_string());
    let fresh = folder.join(format!("{ip}.new"));
    let written = (|| {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&fresh)?.write_all(holder.as_bytes())?;
        fs::rename(&fresh, &path)
    })();
    if written.is_err() {
        // The cause is told; a file that stays is removed when the leases are opened next.
        let _ = fs::remove_file(&fresh);
    }
    written.map_err(at("writing the lease", &path))
}

fn remove(path: &Path) -> Result<(), NetworkError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(at("removing the lease", path)(e)),
        _ => Ok(()),
    }
}

fn at(step: &'static str, path: &Path) -> impl Fn(std::io::Error) -> NetworkError {
    let path = path.to_owned();
    move |source| NetworkError::File {
        step,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets() -> Subnets {
        let net = |text: &str| text.parse().unwrap();
        Subnets::new(net("10.1.0.0/29"), net("10.2.0.0/24")).unwrap()
    }

    #[test]
    fn an_address_is_kept_for_its_sandbox_also_by_the_next_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(folder.path(), subnets()).unwrap();
        let a = leases.take("a").unwrap();
        assert_eq!(leases.take("a").unwrap(), a);
        assert_ne!(leases.take("b").unwrap(), a);
        let mut again = Leases::open(folder.path(), subnets()).unwrap();
        assert_eq!(again.of("a"), Some(a));
        assert_eq!(again.holders().collect::<Vec<_>>(), ["a", "b"]);
        again.give_back("a").unwrap();
        again.give_back("a").unwrap();
        assert_eq!(again.of("a"), None);
        let third = Leases::open(folder.path(), subnets()).unwrap();
        assert_eq!(third.holders().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn what_was_given_back_last_is_given_out_last() {
        let folder = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(folder.path(), subnets()).unwrap();
        let first = leases.take("a").unwrap();
        leases.give_back("a").unwrap();
        let next: Vec<_> = (0..5)
            .map(|n| leases.take(&format!("s{n}")).unwrap())
            .collect();
        assert_eq!(next.last(), Some(&first));
        assert!(matches!(
            leases.take("one too many"),
            Err(NetworkError::Full { count: 5, .. })
        ));
    }

    #[test]
    fn a_lease_that_cannot_be_read_is_not_free() {
        let folder = tempfile::tempdir().unwrap();
        // A link to itself: it is there, and every read of it fails.
        let path = folder.path().join("10.1.0.3");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let told = Leases::open(folder.path(), subnets()).unwrap_err();
        assert!(told.to_string().contains("10.1.0.3"), "{told}");
        assert!(path.is_symlink());
    }

    #[test]
    fn what_a_killed_daemon_left_half_written_is_no_lease() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("10.1.0.3.new"), "x").unwrap();
        fs::write(folder.path().join("10.1.0.4"), "").unwrap();
        let leases = Leases::open(folder.path(), subnets()).unwrap();
        assert!(leases.is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
