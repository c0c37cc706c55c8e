//! How much cpu and memory a pod has: what its spec asks for, what this node has granted, and what its cgroups hold.
//!
//! ```text
//!  spec ──granted, or infeasible──▶ granted ──plan: cgroup writes, restarts──▶ in force
//!         (PodResizePending)                   (PodResizeInProgress)
//! ```

use crate::events::PodEvent;
use jiff::Timestamp;
use pod_model::common::{ResourceList, Resources};
use pod_model::config::PodCgroup;
use pod_model::event::EventKind;
use pod_model::ids::ContainerName;
use pod_model::pod::{Container, ContainerKind, Pod};
use pod_model::resources::{CPU, MEMORY, Options, amount, pod_requests};
use pod_model::status::{Condition, PodStatus};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// What can be resized in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum Resource {
    Cpu,
    Memory,
}

impl Resource {
    /// The name of the API.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Cpu => CPU,
            Resource::Memory => MEMORY,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known of a pod's sizes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    /// What this node has granted; `None`: nothing was ever asked.
    pub granted: Option<Granted>,
    /// What the newest attempts of containers have, as far as it is known.
    pub in_force: BTreeMap<ContainerName, Resources>,
    /// Limits of the pod as a whole when those of its containers were written: they hold for a container that has none of its own.
    pub around: BTreeMap<ContainerName, ResourceList>,
    /// What the pod's own cgroup holds.
    pub cgroup: Option<PodCgroup>,
    /// What is being written to it, or was and failed or had no answer: it holds that or what it held before.
    pub asked: BTreeMap<Resource, PodCgroup>,
    /// A wish that cannot be granted.
    pub pending: Option<Pending>,
    /// A wish that was granted and is not in force yet.
    pub in_progress: Option<InProgress>,
    /// The pod's cgroup has become smaller because init is over.
    pub shrunk: bool,
}

/// Resources that were granted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Granted {
    /// Of each container.
    pub containers: BTreeMap<ContainerName, Resources>,
    /// Of the pod as a whole.
    pub pod: Option<Resources>,
}

/// Why a wish is not granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// `Infeasible`.
    pub reason: String,
    /// What the node lacks.
    pub message: String,
    /// Of which generation of the pod.
    pub generation: Option<i64>,
}

/// A resize that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InProgress {
    /// Of which generation of the pod.
    pub generation: Option<i64>,
    /// What went wrong with it last.
    pub error: Option<String>,
}

fn of(pod: &Pod) -> Granted {
    let all = pod.spec.all();
    let counted = all.filter(|(kind, _, _)| *kind != ContainerKind::Ephemeral);
    Granted {
        containers: counted
            .map(|(_, _, c)| (c.name.clone(), c.resources.clone()))
            .collect(),
        pod: pod.spec.resources.clone(),
    }
}

impl Granted {
    /// Limits of the pod as a whole.
    fn around(&self) -> ResourceList {
        let own = self.pod.as_ref();
        own.map(|pod| pod.limits.clone()).unwrap_or_default()
    }
}

impl Sizes {
    /// The pod with the resources that were granted, which are not those of its spec while a wish is pending.
    pub fn granted_pod<'a>(&self, pod: &'a Pod) -> Cow<'a, Pod> {
        let Some(granted) = self.granted.as_ref().filter(|g| **g != of(pod)) else {
            return Cow::Borrowed(pod);
        };
        let mut pod = pod.clone();
        let spec = &mut pod.spec;
        for container in spec.init_containers.iter_mut().chain(&mut spec.containers) {
            if let Some(own) = granted.containers.get(&container.name) {
                container.resources = own.clone();
            }
        }
        spec.resources.clone_from(&granted.pod);
        Cow::Owned(pod)
    }

    /// Looks whether the spec asks for something else than was granted, and grants it where this node can give it.
    pub(crate) fn grant(&mut self, pod: &Pod, allocatable: &ResourceList) -> Vec<PodEvent> {
        let wanted = of(pod);
        let generation = pod.metadata.generation;
        if self.granted.is_none() {
            // What may run already was started with it.
            self.in_force.clone_from(&wanted.containers);
            let names = wanted.containers.keys().cloned();
            self.around = names.map(|name| (name, wanted.around())).collect();
            self.granted = Some(wanted);
            return Vec::new();
        }
        if self.granted.as_ref() == Some(&wanted) {
            self.pending = None;
            return Vec::new();
        }
        if let Some(message) = lacks(pod, allocatable) {
            let pending = Pending {
                reason: "Infeasible".to_owned(),
                message,
                generation,
            };
            if self.pending.as_ref() == Some(&pending) {
                return Vec::new();
            }
            let text = summary(pod, generation, Some(&pending.message));
            self.pending = Some(pending);
            let text = format!("Pod resize Infeasible: {text}");
            return vec![PodEvent::of_pod(
                EventKind::Warning,
                "ResizeInfeasible",
                text,
            )];
        }
        self.granted = Some(wanted);
        self.pending = None;
        self.in_progress = Some(InProgress {
            generation,
            error: None,
        });
        let text = format!("Pod resize started: {}", summary(pod, generation, None));
        vec![PodEvent::of_pod(EventKind::Normal, "ResizeStarted", text)]
    }

    /// A container was started: it has what was granted.
    pub(crate) fn started(&mut self, name: &ContainerName) {
        let Some(granted) = &self.granted else {
            return;
        };
        if let Some(own) = granted.containers.get(name) {
            self.in_force.insert(name.clone(), own.clone());
            self.around.insert(name.clone(), granted.around());
        }
    }

    /// A container's cgroup holds what was granted of that resource.
    pub(crate) fn resized(&mut self, name: &ContainerName, what: Resource) {
        let Some(granted) = &self.granted else {
            return;
        };
        let own = granted.containers.get(name);
        if let (Some(own), Some(known)) = (own, self.in_force.get_mut(name)) {
            adopt(known, own, what);
        }
        let around = self.around.entry(name.clone()).or_default();
        replace(around, &granted.around(), what);
    }

    /// The pod's cgroup holds these values of that resource.
    pub(crate) fn pod_resized(&mut self, values: &PodCgroup, what: Resource) {
        if let Some(known) = &mut self.cgroup {
            written(known, values, what);
        }
        self.asked.remove(&what);
    }

    /// What the pod's cgroup holds at least.
    pub(crate) fn least(&self) -> Option<PodCgroup> {
        let mut least = self.cgroup.clone()?;
        for (what, values) in &self.asked {
            if way(&least, values, *what) == Some(Ordering::Less) {
                written(&mut least, values, *what);
            }
        }
        Some(least)
    }

    /// Everything that was granted is in force.
    pub(crate) fn complete(&mut self, pod: &Pod) -> Option<PodEvent> {
        let done = self.in_progress.take()?;
        let text = summary(pod, done.generation, None);
        let text = format!("Pod resize completed: {text}");
        Some(PodEvent::of_pod(EventKind::Normal, "ResizeCompleted", text))
    }

    /// A part of it failed. A pod's cgroup that shall become smaller after init has a word of its own.
    pub(crate) fn failed(&mut self, pod: &Pod, cause: &str) -> PodEvent {
        let warning = EventKind::Warning;
        match &mut self.in_progress {
            Some(progress) => {
                progress.error = Some(cause.to_owned());
                let text = summary(pod, progress.generation, Some(cause));
                PodEvent::of_pod(warning, "ResizeError", format!("Pod resize error: {text}"))
            }
            None => PodEvent::of_pod(
                warning,
                "ShrinkFailed",
                format!(
                    "The pod's cgroup stays as large as init needed it, and is tried again: {cause}"
                ),
            ),
        }
    }

    /// Shows in the status what is in force, and what is under way.
    pub(crate) fn show(&self, status: &mut PodStatus, previous: &PodStatus, now: Timestamp) {
        let lists = [
            &mut status.init_container_statuses,
            &mut status.container_statuses,
        ];
        for container in lists.into_iter().flatten() {
            let runs = container.state.running.is_some();
            let own = self.in_force.get(&container.name).filter(|_| runs);
            if let (Some(shown), Some(own)) = (&mut container.resources, own) {
                shown.clone_from(own);
            }
        }
        let pending = self.pending.as_ref().map(|p| Condition {
            reason: p.reason.clone(),
            message: p.message.clone(),
            ..condition("PodResizePending", p.generation)
        });
        let progress = self.in_progress.as_ref().map(|p| Condition {
            reason: p.error.as_ref().map_or("", |_| "Error").to_owned(),
            message: p.error.clone().unwrap_or_default(),
            ..condition("PodResizeInProgress", p.generation)
        });
        for mut condition in progress.into_iter().chain(pending) {
            let mut old = previous.conditions.iter();
            let same = old.find(|c| c.kind == condition.kind);
            let since = same.and_then(|c| c.last_transition_time);
            condition.last_transition_time = since.or(Some(now));
            status.conditions.insert(0, condition);
        }
    }
}

fn condition(kind: &str, generation: Option<i64>) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: "True".to_owned(),
        observed_generation: generation,
        ..Condition::default()
    }
}

/// What the node could never give.
fn lacks(pod: &Pod, allocatable: &ResourceList) -> Option<String> {
    let requests = pod_requests(pod, &Options::default());
    let over = |name: &str, count: fn(&ResourceList, &str) -> i64| {
        let (asked, there) = (count(&requests, name), count(allocatable, name));
        let known = allocatable.contains_key(name) && asked > there;
        known.then(|| {
            format!(
                "Node didn't have enough capacity: {name}, requested: {asked}, capacity: {there}"
            )
        })
    };
    over(MEMORY, |list, name| amount(list, name).saturating_value())
        .or_else(|| over(CPU, |list, name| amount(list, name).milli_value()))
}

/// The pod's resources as events of a resize tell them.
fn summary(pod: &Pod, generation: Option<i64>, error: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Lists<'a> {
        #[serde(skip_serializing_if = "ResourceList::is_empty")]
        limits: &'a ResourceList,
        #[serde(skip_serializing_if = "ResourceList::is_empty")]
        requests: &'a ResourceList,
    }
    #[derive(Serialize)]
    struct One<'a> {
        name: &'a ContainerName,
        resources: Lists<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct All<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        init_containers: Vec<One<'a>>,
        containers: Vec<One<'a>>,
        generation: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a str>,
    }
    fn one(container: &Container) -> One<'_> {
        One {
            name: &container.name,
            resources: Lists {
                limits: &container.resources.limits,
                requests: &container.resources.requests,
            },
        }
    }
    let all = All {
        init_containers: pod.spec.init_containers.iter().map(one).collect(),
        containers: pod.spec.containers.iter().map(one).collect(),
        generation: generation.unwrap_or_default(),
        error,
    };
    // Maps of texts: none of it can fail to be written.
    serde_json::to_string(&all).unwrap_or_default()
}

/// Writes down that this is in force.
pub(crate) fn adopt(known: &mut Resources, granted: &Resources, what: Resource) {
    for (old, new) in [
        (&mut known.limits, &granted.limits),
        (&mut known.requests, &granted.requests),
    ] {
        replace(old, new, what);
    }
}

fn replace(old: &mut ResourceList, new: &ResourceList, what: Resource) {
    match new.get(what.name()) {
        Some(value) => old.insert(what.name().to_owned(), value.clone()),
        None => old.remove(what.name()),
    };
}

/// Enters what was written to the pod's cgroup: `None` where there is no limit.
pub(crate) fn written(known: &mut PodCgroup, values: &PodCgroup, what: Resource) {
    match what {
        Resource::Memory => known.memory = values.memory.filter(|m| *m >= 0),
        Resource::Cpu => {
            known.cpu_shares = values.cpu_shares;
            let limited = values.cpu_quota.filter(|q| *q >= 0);
            known.cpu_quota = limited;
            known.cpu_period = values.cpu_period.filter(|_| limited.is_some());
        }
    }
}

/// Whether the pod's cgroup grows or shrinks; `None`: neither.
pub(crate) fn way(known: &PodCgroup, wanted: &PodCgroup, what: Resource) -> Option<Ordering> {
    let limit = |l: Option<i64>| l.filter(|l| *l >= 0).unwrap_or(i64::MAX);
    let order = match what {
        Resource::Memory => limit(wanted.memory).cmp(&limit(known.memory)),
        Resource::Cpu => limit(wanted.cpu_quota)
            .cmp(&limit(known.cpu_quota))
            .then(wanted.cpu_shares.cmp(&known.cpu_shares)),
    };
    (order != Ordering::Equal).then_some(order)
}

#[cfg(test)]
mod tests;
