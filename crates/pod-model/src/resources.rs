//! What a pod asks for as a whole: effective requests and limits from its containers, its own `resources` and its overhead.
//!
//! The rule is that of `k8s.io/component-helpers/resource`: apps and sidecars together, or the largest init container with the sidecars
//! that run beside it, whichever is more, for each resource by itself; then pod-level values replace, and overhead is added.
//! [`crate::origin`] tells where each number came from.

use crate::common::{ResourceList, Resources};
use crate::pod::{Container, ContainerKind, Pod};
use crate::quantity::Quantity;
use crate::status::ContainerStatus;
use std::cmp::Ordering;

/// `cpu`.
pub const CPU: &str = "cpu";
/// `memory`.
pub const MEMORY: &str = "memory";
/// What names of huge page resources begin with.
pub const HUGE_PAGES: &str = "hugepages-";

/// Which of the two lists of `resources`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `requests`.
    Requests,
    /// `limits`.
    Limits,
}

impl Side {
    /// That list.
    pub fn of(self, resources: &Resources) -> &ResourceList {
        match self {
            Side::Requests => &resources.requests,
            Side::Limits => &resources.limits,
        }
    }
}

/// What to count. The default counts what a node gives a new pod.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Leave `spec.overhead` out.
    pub exclude_overhead: bool,
    /// Count what the status says is in force, where it is more than the spec (in-place resize).
    pub use_status: bool,
    /// With `use_status`: for pod-level resources too.
    pub use_pod_level_status: bool,
    /// Leave `spec.resources` out.
    pub skip_pod_level: bool,
    /// Leave containers out.
    pub skip_containers: bool,
    /// Count what resource claims take of the node.
    pub use_claims: bool,
    /// Requests of containers that do not name that resource.
    pub missing_requests: ResourceList,
}

/// What one container adds.
#[derive(Clone, Debug)]
pub struct Use<'a> {
    /// Which one.
    pub container: &'a Container,
    /// Init or app.
    pub kind: ContainerKind,
    /// What it asks for itself.
    pub own: ResourceList,
    /// What counts for it: an app's own; for an init container its own and those of the sidecars before it; for a sidecar the sum of
    /// the sidecars up to it.
    pub counted: ResourceList,
}

/// What all containers of a pod ask for.
#[derive(Clone, Debug)]
pub struct Aggregate<'a> {
    /// Apps in order, then init containers in order.
    pub uses: Vec<Use<'a>>,
    /// Apps and sidecars together.
    pub together: ResourceList,
    /// The larger of `together` and of each init container's, resource by resource; with claims.
    pub total: ResourceList,
}

/// Effective requests of the pod.
pub fn pod_requests(pod: &Pod, options: &Options) -> ResourceList {
    effective(pod, Side::Requests, options)
}

/// Effective limits of the pod. A limit that only one container has counts as the pod's; whether it may be applied to
/// the pod as a whole is another question (see [`crate::cgroup::pod_cgroup`]).
pub fn pod_limits(pod: &Pod, options: &Options) -> ResourceList {
    effective(pod, Side::Limits, options)
}

/// Requests of the containers alone.
pub fn aggregate_container_requests(pod: &Pod, options: &Options) -> ResourceList {
    aggregate(pod, Side::Requests, options).total
}

/// Limits of the containers alone.
pub fn aggregate_container_limits(pod: &Pod, options: &Options) -> ResourceList {
    aggregate(pod, Side::Limits, options).total
}

/// Whether that resource may stand in `spec.resources`.
pub fn is_pod_level_resource(name: &str) -> bool {
    name == CPU || name == MEMORY || name.starts_with(HUGE_PAGES)
}

/// Whether `spec.resources` has any request or limit that counts.
pub fn has_pod_level_resources(pod: &Pod) -> bool {
    pod.spec.resources.as_ref().is_some_and(|r| {
        r.requests
            .keys()
            .chain(r.limits.keys())
            .any(|name| is_pod_level_resource(name))
    })
}

/// Whether `spec.resources.requests` has any that counts.
pub fn has_pod_level_requests(pod: &Pod) -> bool {
    pod.spec
        .resources
        .as_ref()
        .is_some_and(|r| r.requests.keys().any(|name| is_pod_level_resource(name)))
}

/// The amount of that resource; zero if it is not named.
pub fn amount(list: &ResourceList, name: &str) -> Quantity {
    list.get(name).cloned().unwrap_or_default()
}

fn effective(pod: &Pod, side: Side, options: &Options) -> ResourceList {
    // As in Kubernetes, only requests know a way without containers.
    let mut list = if side == Side::Requests && options.skip_containers {
        ResourceList::new()
    } else {
        aggregate(pod, side, options).total
    };
    for (name, quantity) in pod_level(pod, side, options) {
        list.insert(name, quantity);
    }
    if !options.exclude_overhead {
        for (name, overhead) in &pod.spec.overhead {
            match (side, list.get_mut(name)) {
                (Side::Requests, None) => {
                    list.insert(name.clone(), overhead.clone());
                }
                (Side::Requests, Some(sum)) => *sum = sum.add(overhead),
                (Side::Limits, Some(sum)) if !sum.is_zero() => *sum = sum.add(overhead),
                (Side::Limits, _) => {}
            }
        }
    }
    list
}

/// Values of `spec.resources` that replace the containers'.
pub(crate) fn pod_level(pod: &Pod, side: Side, options: &Options) -> ResourceList {
    let counts = match side {
        Side::Requests => has_pod_level_requests(pod),
        Side::Limits => has_pod_level_resources(pod),
    };
    let (Some(resources), false, true) = (&pod.spec.resources, options.skip_pod_level, counts)
    else {
        return ResourceList::new();
    };
    let spec = side.of(resources);
    let in_force = pod
        .status
        .as_ref()
        .filter(|_| options.use_pod_level_status && options.use_status)
        .and_then(|s| {
            let actuated = side.of(s.resources.as_ref()?);
            Some(in_force(pod, side, spec, actuated, &s.allocated_resources))
        });
    spec.iter()
        .filter(|(name, _)| is_pod_level_resource(name))
        .map(|(name, quantity)| {
            let quantity = match &in_force {
                Some(list) => amount(list, name),
                None => quantity.clone(),
            };
            (name.clone(), quantity)
        })
        .collect()
}

/// What the containers ask for, each by itself and all together.
pub fn aggregate<'a>(pod: &'a Pod, side: Side, options: &Options) -> Aggregate<'a> {
    let mut uses = Vec::new();
    let mut together = ResourceList::new();
    for container in &pod.spec.containers {
        let own = own(pod, container, true, side, options);
        add_all(&mut together, &own);
        uses.push(Use {
            container,
            kind: ContainerKind::App,
            counted: own.clone(),
            own,
        });
    }
    let mut sidecars = ResourceList::new();
    let mut largest = ResourceList::new();
    for container in &pod.spec.init_containers {
        let sidecar = container.is_sidecar();
        let own = own(pod, container, sidecar, side, options);
        let counted = if sidecar {
            add_all(&mut together, &own);
            add_all(&mut sidecars, &own);
            sidecars.clone()
        } else {
            let mut counted = own.clone();
            add_all(&mut counted, &sidecars);
            counted
        };
        max_all(&mut largest, &counted);
        uses.push(Use {
            container,
            kind: ContainerKind::Init,
            own,
            counted,
        });
    }
    let mut total = together.clone();
    max_all(&mut total, &largest);
    if let (Side::Requests, true, Some(status)) = (side, options.use_claims, &pod.status) {
        for claim in &status.node_allocatable_resource_claim_statuses {
            add_all(&mut total, &claim.resources);
        }
    }
    Aggregate {
        uses,
        together,
        total,
    }
}

/// What one container asks for. `resizable`: an app or a sidecar, whose status may say otherwise than its spec.
fn own(
    pod: &Pod,
    container: &Container,
    resizable: bool,
    side: Side,
    options: &Options,
) -> ResourceList {
    let spec = side.of(&container.resources);
    let status = resizable
        .then(|| status_of(pod, container))
        .flatten()
        .filter(|_| options.use_status);
    let mut own = match status.and_then(|s| Some((s, s.resources.as_ref()?))) {
        Some((status, actuated)) => in_force(
            pod,
            side,
            spec,
            side.of(actuated),
            &status.allocated_resources,
        ),
        None => spec.clone(),
    };
    if side == Side::Requests {
        for (name, quantity) in &options.missing_requests {
            own.entry(name.clone()).or_insert_with(|| quantity.clone());
        }
    }
    own
}

fn status_of<'a>(pod: &'a Pod, container: &Container) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    // Where both lists hold the name, the init container's counts.
    status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .find(|s| s.name == container.name)
}

/// The most that spec, node and kubelet say; not the spec's where a resize to it was found infeasible.
fn in_force(
    pod: &Pod,
    side: Side,
    spec: &ResourceList,
    actuated: &ResourceList,
    allocated: &ResourceList,
) -> ResourceList {
    let mut most = actuated.clone();
    if side == Side::Requests {
        max_all(&mut most, allocated);
    }
    if !is_resize_infeasible(pod) {
        max_all(&mut most, spec);
    }
    most
}

/// Condition `PodResizePending` with reason `Infeasible`.
fn is_resize_infeasible(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|s| {
        s.conditions
            .iter()
            .find(|c| c.kind == "PodResizePending")
            .is_some_and(|c| c.reason == "Infeasible")
    })
}

fn add_all(list: &mut ResourceList, more: &ResourceList) {
    for (name, quantity) in more {
        list.entry(name.clone())
            .and_modify(|sum| *sum = sum.add(quantity))
            .or_insert_with(|| quantity.clone());
    }
}

fn max_all(list: &mut ResourceList, other: &ResourceList) {
    for (name, quantity) in other {
        match list.get(name).map(|have| quantity.cmp(have)) {
            Some(Ordering::Less | Ordering::Equal) => {}
            Some(Ordering::Greater) | None => {
                list.insert(name.clone(), quantity.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
