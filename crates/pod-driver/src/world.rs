//! Everything that a pod's task reaches the outside by.

use crate::actions::Actions;
use crate::host::Host;
use crate::images::Images;
use crate::network::Network;
use jiff::Timestamp;
use pod_model::ids::{Namespace, PodRef};
use pod_model::node::NodeFacts;
use pod_model::status::PodStatus;
use pod_plan::back_off::Limits;
use pod_plan::configs::service_env::Service;
use pod_plan::configs::sources::Sources;
use pod_plan::events::PodEvent;
use pod_plan::memory::Memory;
use std::sync::Arc;
use std::time::Duration;

/// The wall clock, and one that nobody sets. Waits are tokio's, so that all can be virtual.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// The time that has passed since some beginning, whatever the wall clock was set to meanwhile.
    fn steady(&self) -> Duration;
}

/// Where new identifiers come from.
pub trait Ids: Send + Sync + 'static {
    /// A text of 64 lower-case hexadecimal digits that never came before.
    fn fresh(&self) -> String;
}

/// Who is told what becomes of a pod. Called from the pod's task: must not block.
pub trait Journal: Send + Sync + 'static {
    /// The status changed. `memory` is what a later task of the same pod must begin with.
    fn status(&self, pod: &PodRef, status: &PodStatus, memory: &Memory);

    /// Something was said about the pod.
    fn event(&self, pod: &PodRef, event: PodEvent, at: Timestamp);

    /// Nothing of the pod is left.
    fn removed(&self, pod: &PodRef);
}

/// The node's ConfigMaps, Secrets and Services.
pub trait Objects: Send + Sync + 'static {
    /// Those of one namespace, as they are now.
    fn sources(&self, namespace: &Namespace) -> Sources;

    /// Services that have an address now, of all namespaces, for the environment of containers that are started now.
    fn services(&self) -> Vec<Service> {
        Vec::new()
    }
}

/// The outside, shared by all tasks of a node.
#[derive(Debug)]
pub struct World<H, I, N, J, O, C, A> {
    /// The runtime half.
    pub host: Arc<H>,
    /// The image store.
    pub images: Arc<I>,
    /// The network.
    pub network: Arc<N>,
    /// Who is told.
    pub journal: Arc<J>,
    /// ConfigMaps and Secrets.
    pub objects: Arc<O>,
    /// Clock and new identifiers.
    pub clock: Arc<C>,
    /// Probes and hooks.
    pub actions: Arc<A>,
    /// What is known of the node.
    pub node: NodeFacts,
    /// How long back-offs are.
    pub limits: Limits,
}

impl<H, I, N, J, O, C, A> Clone for World<H, I, N, J, O, C, A> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            images: Arc::clone(&self.images),
            network: Arc::clone(&self.network),
            journal: Arc::clone(&self.journal),
            objects: Arc::clone(&self.objects),
            clock: Arc::clone(&self.clock),
            actions: Arc::clone(&self.actions),
            node: self.node.clone(),
            limits: self.limits,
        }
    }
}

/// All bounds of a world in one name.
pub trait Outside: Send + Sync + 'static {
    /// The runtime half.
    type Host: Host;
    /// The image store.
    type Images: Images;
    /// The network.
    type Network: Network;
    /// Who is told.
    type Journal: Journal;
    /// ConfigMaps and Secrets.
    type Objects: Objects;
    /// Clock and new identifiers.
    type Clock: Clock + Ids;
    /// Probes and hooks.
    type Actions: Actions;
}

/// The world of an [`Outside`].
pub type WorldOf<X> = World<
    <X as Outside>::Host,
    <X as Outside>::Images,
    <X as Outside>::Network,
    <X as Outside>::Journal,
    <X as Outside>::Objects,
    <X as Outside>::Clock,
    <X as Outside>::Actions,
>;
