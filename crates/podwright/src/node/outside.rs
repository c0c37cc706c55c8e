//! The concrete outside of the driver: which host, image store, network, journal and clock this daemon runs with.

use super::chain::chain;
use super::configs::Configs;
use super::journal::NodeJournal;
use super::network::NodeNetwork;
use jiff::Timestamp;
use pod_driver::images::{ImageError, Images, Resolved};
use pod_driver::world::{Clock, Ids, Outside};
use pod_image::{FactsError, Store};
use pod_model::ids::ImageName;
use pod_model::pod::PullPolicy;
use std::sync::Arc;
use std::time::Duration;

/// What this daemon runs with.
#[derive(Debug)]
pub struct Real;

impl Outside for Real {
    type Host = pod_host::NodeHost;
    type Images = StoreImages;
    type Network = NodeNetwork;
    type Journal = NodeJournal;
    type Objects = Configs;
    type Clock = SystemClock;
    type Actions = pod_driver::act::Reach<pod_host::NodeHost>;
}

/// Time and random identifiers of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Since the machine started, with the time that it slept.
    fn steady(&self) -> Duration {
        let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::try_from(passed).unwrap_or_default()
    }
}

impl Ids for SystemClock {
    fn fresh(&self) -> String {
        format!(
            "{}{}",
            uuid::Uuid::new_v4().simple(),
            uuid::Uuid::new_v4().simple()
        )
    }
}

/// Images of the local store; nothing is fetched from a registry in this version.
#[derive(Clone, Debug)]
pub struct StoreImages(pub Arc<Store>);

impl Images for StoreImages {
    async fn ensure(&self, name: &ImageName, policy: PullPolicy) -> Result<Resolved, ImageError> {
        // An imported name is pinned, so it satisfies every policy, Always too.
        match self.0.facts(name) {
            Ok(found) => Ok(Resolved {
                size: found.size,
                facts: found.facts,
                already_present: true,
            }),
            Err(FactsError::Name { name, source }) => Err(ImageError::InvalidName {
                name,
                cause: source.to_string(),
            }),
            Err(FactsError::NotFound { name }) if policy == PullPolicy::Never => {
                Err(ImageError::NeverPull { name })
            }
            Err(error) => Err(ImageError::Pull {
                cause: chain(&error),
            }),
        }
    }
}
