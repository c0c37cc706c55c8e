//! What the driver needs to do to containers from outside: probes and lifecycle hooks.

use pod_model::ids::{ContainerId, PodUid};
use pod_plan::action::{Action, Purpose};
use pod_plan::probes::Outcome;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

/// Which container something is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose.
    pub pod: PodUid,
    /// Which attempt.
    pub id: ContainerId,
    /// Address of its pod; `None` where it has none, then it is reached over its own loopback.
    pub ip: Option<IpAddr>,
}

/// Does things to containers. One real implementation ([`crate::act::Reach`]) and one scripted (pod-sim).
pub trait Actions: Send + Sync + 'static {
    /// Does it once. With a `limit`, what takes longer is given up and has failed. A hook's failure says error and output of what was
    /// run; any answer to its request is a good one.
    fn act(
        &self,
        target: &Target,
        action: &Action,
        purpose: Purpose,
        limit: Option<Duration>,
    ) -> impl Future<Output = Outcome> + Send;
}
