//! The simulated outside besides the host: images that are there, a network without addresses, a clock of tokio's virtual time.

use crate::clock::VirtualClock;
use crate::host::SimHost;
use jiff::Timestamp;
use pod_driver::images::{ImageError, Images, Resolved};
use pod_driver::network::{Network, NetworkError};
use pod_driver::world::{Journal, Objects, Outside};
use pod_model::config::{ImageFacts, NetworkMode};
use pod_model::ids::{ImageName, Namespace, PodRef, SandboxId};
use pod_model::pod::PullPolicy;
use pod_model::status::{Phase, PodStatus};
use pod_plan::configs::sources::Sources;
use pod_plan::events::PodEvent;
use pod_plan::memory::Memory;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// The types of the simulation.
#[derive(Debug)]
pub struct Simulated;

impl Outside for Simulated {
    type Host = SimHost;
    type Images = AllImages;
    type Network = NoNetwork;
    type Journal = Told;
    type Objects = NoObjects;
    type Clock = VirtualClock;
    type Actions = SimHost;
}

/// Every image is there.
#[derive(Debug)]
pub struct AllImages;

impl Images for AllImages {
    async fn ensure(&self, name: &ImageName, _: PullPolicy) -> Result<Resolved, ImageError> {
        let facts = ImageFacts {
            id: format!("sha256:{name}").into(),
            cmd: vec!["true".to_owned()],
            ..ImageFacts::default()
        };
        Ok(Resolved {
            facts: Arc::new(facts),
            already_present: true,
            size: 1,
        })
    }
}

/// No addresses.
#[derive(Debug)]
pub struct NoNetwork;

impl Network for NoNetwork {
    async fn attach(
        &self,
        _: &SandboxId,
        _: NetworkMode,
        _: OwnedFd,
    ) -> Result<Option<String>, NetworkError> {
        Ok(None)
    }

    async fn detach(&self, _: &SandboxId) -> Result<(), NetworkError> {
        Ok(())
    }
}

/// No ConfigMaps and no Secrets.
#[derive(Debug)]
pub struct NoObjects;

impl Objects for NoObjects {
    fn sources(&self, _: &Namespace) -> Sources {
        Sources::default()
    }
}

/// What was told last, and what was wrong about it.
#[derive(Debug)]
pub struct Told(Mutex<Inner>, SimHost);

#[derive(Debug, Default)]
struct Inner {
    memory: Memory,
    removed: bool,
    broken: Option<String>,
}

impl Told {
    /// Nothing yet, of a pod on that host.
    pub fn of(host: SimHost) -> Self {
        Self(Mutex::default(), host)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a later task of the pod begins with.
    pub fn memory(&self) -> Memory {
        self.with(|i| i.memory.clone())
    }

    /// Whether the pod is gone.
    pub fn is_removed(&self) -> bool {
        self.with(|i| i.removed)
    }

    /// What was told that must not be.
    pub fn broken(&self) -> Option<String> {
        self.with(|i| i.broken.clone())
    }
}

impl Journal for Told {
    fn status(&self, _: &PodRef, status: &PodStatus, memory: &Memory) {
        self.with(|i| {
            let before = i.memory.status.phase;
            let ended = before.is_some_and(Phase::is_terminal);
            if ended && status.phase != before && !self.1.may_live_again() {
                i.broken.get_or_insert(format!(
                    "the phase went from {before:?} to {:?}",
                    status.phase
                ));
            }
            if i.removed {
                i.broken
                    .get_or_insert("a status was told after the removal".to_owned());
            }
            for lie in self.1.lies(status, &i.memory.status) {
                i.broken.get_or_insert(lie);
            }
            i.memory = memory.clone();
        });
    }

    fn event(&self, _: &PodRef, event: PodEvent, _: Timestamp) {
        let named = event.field_path.split(['{', '}']).nth(1);
        if let Some(name) = named.filter(|_| event.reason == "Killing") {
            self.1.told_of_end(name);
        }
    }

    fn removed(&self, _: &PodRef) {
        self.with(|i| i.removed = true);
    }
}
