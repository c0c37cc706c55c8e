//! Brings the cgroups of a running pod to what was granted, in the order of Kubernetes: memory, then cpu; the pod's own cgroup before its
//! containers where it grows, after them where it shrinks; containers that get less before those that get more.

use crate::actions::{Kill, PodActions};
use crate::draft::Draft;
use crate::events;
use crate::sizes::{Resource, adopt, way};
use crate::step::Step;
use pod_model::asked::shrinks_after_init;
use pod_model::cgroup::{PodCgroupPolicy, pod_cgroup};
use pod_model::common::{ResourceList, Resources};
use pod_model::config::PodCgroup;
use pod_model::cpu::QUOTA_PERIOD;
use pod_model::pod::{Container, ContainerKind, Pod};
use pod_model::qos::qos_class;
use pod_model::resources::amount;
use pod_model::runtime::{ContainerRecord, PodRuntime, RunState};
use pod_model::status::PodStatus;
use std::cmp::Ordering;

/// No limit, as the kernel has it.
const NONE: i64 = -1;

/// Values of the pod's cgroup as a pod begins: large enough for its largest moment.
pub fn full(pod: &Pod) -> PodCgroup {
    pod_cgroup(pod, &PodCgroupPolicy::default())
}

/// Likewise once its init containers are done: what apps and sidecars ask for.
fn without_init(pod: &Pod) -> PodCgroup {
    let mut rest = pod.clone();
    // The class of a pod never changes; it is told by all its containers.
    let status = rest.status.get_or_insert_with(PodStatus::default);
    status.qos_class = Some(qos_class(pod));
    rest.spec.init_containers.retain(Container::is_sidecar);
    full(&rest)
}

/// Whether init is over, so that only apps and sidecars run from now on.
fn init_is_over(pod: &Pod, runtime: &PodRuntime, actions: &PodActions) -> bool {
    let is = |name, state: RunState| runtime.newest(name).is_some_and(|r| r.state == state);
    let inits = &pod.spec.init_containers;
    let plain = |i: &usize| inits.get(*i).is_some_and(|c| !c.is_sidecar());
    let busy = inits
        .iter()
        .any(|c| !c.is_sidecar() && is(&c.name, RunState::Running));
    let begun = pod
        .spec
        .containers
        .iter()
        .any(|c| is(&c.name, RunState::Running) || is(&c.name, RunState::Created));
    !actions.kill_pod
        && !busy
        && !actions.init_to_start.iter().any(plain)
        && (begun || !actions.apps_to_start.is_empty())
}

/// The containers that must run again to get what was granted are ended and started again, as their `resizePolicy` says. Those that need a
/// larger pod for it go on until that is `wanted`, and done.
pub(crate) fn restarts(
    draft: &Draft<'_>,
    runtime: &PodRuntime,
    actions: &mut PodActions,
    wanted: &PodCgroup,
) {
    if actions.kill_pod {
        return;
    }
    for (kind, index, container, record) in running(draft.pod, runtime) {
        let early = [Resource::Memory, Resource::Cpu]
            .into_iter()
            .any(|what| grows(draft, wanted, what) && outgrows(draft, container, what));
        if early {
            continue;
        }
        let needs = [Resource::Memory, Resource::Cpu].into_iter().any(|what| {
            let changes = changes(draft, container, what);
            changes.is_some_and(|c| c.limits || what == Resource::Cpu)
                && restarts_for(container, what)
        });
        if !needs || actions.to_kill.iter().any(|k| k.id == record.id) {
            continue;
        }
        actions.to_kill.push(Kill {
            id: record.id.clone(),
            name: record.name.clone(),
            reason: None,
            message: format!("Container {} resize requires restart", record.name),
        });
        let starts = match kind {
            ContainerKind::Init => &mut actions.init_to_start,
            _ => &mut actions.apps_to_start,
        };
        if !starts.contains(&index) {
            starts.push(index);
        }
    }
}

/// Whether the pod's cgroup is still smaller than it shall be.
fn grows(draft: &Draft<'_>, wanted: &PodCgroup, what: Resource) -> bool {
    let known = draft.memory.sizes.least();
    known.is_some_and(|known| way(&known, wanted, what) == Some(Ordering::Greater))
}

/// Whether a new attempt of a container must not begin before the pod's cgroup has grown: it is to be larger than its last one, or than
/// the pod as it is.
pub(crate) fn outgrows(draft: &Draft<'_>, container: &Container, what: Resource) -> bool {
    let larger = changes(draft, container, what).is_some_and(|c| c.order == Ordering::Greater);
    let of = |limits: &ResourceList| {
        let limit = limits.get(what.name())?;
        Some(match what {
            Resource::Memory => limit.value(),
            Resource::Cpu => limit.milli_value().saturating_mul(QUOTA_PERIOD / 1000),
        })
    };
    let pod = draft.pod.spec.resources.as_ref();
    let own = of(&container.resources.limits).or_else(|| of(&pod?.limits));
    let known = draft.memory.sizes.least();
    let most = known.and_then(|k| match what {
        Resource::Memory => k.memory,
        Resource::Cpu => k.cpu_quota,
    });
    larger || most.is_some_and(|most| most >= 0 && own.is_none_or(|own| own > most))
}

fn restarts_for(container: &Container, what: Resource) -> bool {
    let mut policies = container.resize_policy.iter();
    policies.any(|p| p.resource_name == what.name() && p.restart_policy == "RestartContainer")
}

/// How a container's share of a resource is to change.
struct Changes {
    limits: bool,
    order: Ordering,
}

/// `None`: it has what was granted.
fn changes(draft: &Draft<'_>, container: &Container, what: Resource) -> Option<Changes> {
    let known = draft.memory.sizes.in_force.get(&container.name)?;
    let (old, new) = (known, &container.resources);
    let name = what.name();
    let pod = draft.pod.spec.resources.as_ref().map(|r| &r.limits);
    let around = draft.memory.sizes.around.get(&container.name).or(pod);
    let side = |of: &Resources, around: Option<&ResourceList>| {
        let own = amount(&of.limits, name);
        let limit = match around {
            Some(around) if own.is_zero() => amount(around, name),
            _ => own,
        };
        (limit, amount(&of.requests, name))
    };
    let (old_limit, old_request) = side(old, around);
    let (new_limit, new_request) = side(new, pod);
    let limits = old_limit != new_limit;
    if !limits && old_request == new_request {
        return None;
    }
    let order = match limits {
        // No limit is more than any.
        true if new_limit.is_zero() => Ordering::Greater,
        true if old_limit.is_zero() => Ordering::Less,
        true => new_limit.cmp(&old_limit),
        false => new_request.cmp(&old_request),
    };
    Some(Changes { limits, order })
}

fn running<'a>(
    pod: &'a Pod,
    runtime: &'a PodRuntime,
) -> impl Iterator<Item = (ContainerKind, usize, &'a Container, &'a ContainerRecord)> {
    pod.spec.all().filter_map(|(kind, index, container)| {
        let newest = runtime.newest(&container.name);
        let record = newest.filter(|r| r.state == RunState::Running)?;
        (kind != ContainerKind::Ephemeral).then_some((kind, index, container, record))
    })
}

/// What the pod's own cgroup shall hold now.
pub(crate) fn wanted(draft: &Draft<'_>, runtime: &PodRuntime, actions: &PodActions) -> PodCgroup {
    let pod = draft.pod;
    match shrinks_after_init(pod) && init_is_over(pod, runtime, actions) {
        true => without_init(pod),
        false => full(pod),
    }
}

/// The pod's cgroup grows before anything in it does.
pub(crate) fn grow(draft: &mut Draft<'_>, wanted: &PodCgroup) {
    for what in [Resource::Memory, Resource::Cpu] {
        pod_step(draft, wanted, what, Ordering::Greater);
    }
}

/// Containers that run get what was granted, then the pod's cgroup shrinks to what is left.
pub(crate) fn settle(draft: &mut Draft<'_>, wanted: &PodCgroup) {
    let observed = draft.observed;
    let pod = draft.pod;
    let mut left = false;
    let mut steps = Vec::new();
    for what in [Resource::Memory, Resource::Cpu] {
        let mut all = Vec::new();
        // What is to run again for it has what it had until it has ended.
        let mut ending = false;
        for (kind, index, container, record) in running(pod, &observed.runtime) {
            let Some(change) = changes(draft, container, what) else {
                continue;
            };
            left = true;
            if what == Resource::Memory && !change.limits {
                // Nothing in a cgroup says what was requested of memory.
                let known = draft.memory.sizes.in_force.get_mut(&container.name);
                if let Some(known) = known {
                    adopt(known, &container.resources, what);
                }
                continue;
            }
            if restarts_for(container, what) {
                ending = true;
                continue;
            }
            let step = Step::ResizeContainer {
                id: record.id.clone(),
                name: record.name.clone(),
                kind,
                index,
                what,
            };
            all.push((change.order, step));
        }
        all.sort_by_key(|(order, _)| *order);
        steps.push((what, all, ending));
    }
    for (what, all, ending) in steps {
        for (_, step) in all {
            let why = step.label();
            draft.step(step, why);
        }
        if !ending {
            pod_step(draft, wanted, what, Ordering::Less);
        }
    }
    let sizes = &draft.memory.sizes;
    let same = sizes.asked.is_empty() && sizes.cgroup.as_ref() == Some(wanted);
    left |= pod
        .spec
        .all()
        .any(|(_, _, c)| draft.memory.start_again.contains(&c.name));
    if !left
        && same
        && let Some(event) = draft.memory.sizes.complete(pod)
    {
        draft.events.push(event);
        // The status of this plan was made before; the next one tells it.
        draft.wake(draft.now);
    }
    tell_shrunk(draft, wanted, same);
}

/// Says once that the pod's cgroup has become smaller because init is over.
fn tell_shrunk(draft: &mut Draft<'_>, wanted: &PodCgroup, same: bool) {
    let smaller = *wanted != full(draft.pod);
    if !smaller {
        draft.memory.sizes.shrunk = false;
    } else if same && !draft.memory.sizes.shrunk {
        draft.memory.sizes.shrunk = true;
        draft.events.push(events::shrunk(wanted));
    }
}

fn pod_step(draft: &mut Draft<'_>, wanted: &PodCgroup, what: Resource, when: Ordering) {
    let Some(least) = draft.memory.sizes.least() else {
        return;
    };
    let sizes = &draft.memory.sizes;
    let asked = sizes.asked.get(&what);
    // What may be there already is written all the same, and what was asked for before may come true.
    if way(&least, wanted, what).or(asked.map(|_| Ordering::Less)) != Some(when) {
        return;
    }
    // Where it may hold more or less than that, what it held before comes first: then it shrinks like any other.
    let before = sizes.cgroup.as_ref();
    let before = before.filter(|before| way(before, wanted, what) == Some(Ordering::Less));
    let values = match (when, before) {
        (Ordering::Greater, Some(before)) => part(before, what),
        _ => part(wanted, what),
    };
    let least = part(&least, what);
    let mark = match when {
        Ordering::Less => values.clone(),
        // Until it has grown, it may be as small as it is.
        _ => least,
    };
    draft.memory.sizes.asked.insert(what, mark);
    let step = Step::ResizePod { what, values };
    let why = match when {
        Ordering::Greater => format!("the pod's cgroup grows: {what}"),
        _ => format!("the pod's cgroup shrinks: {what}"),
    };
    draft.step(step, why);
}

/// The values of one resource; what is not limited is said to be so.
fn part(values: &PodCgroup, what: Resource) -> PodCgroup {
    match what {
        Resource::Memory => PodCgroup {
            memory: Some(values.memory.unwrap_or(NONE)),
            ..PodCgroup::default()
        },
        Resource::Cpu => PodCgroup {
            cpu_shares: values.cpu_shares,
            cpu_quota: Some(values.cpu_quota.unwrap_or(NONE)),
            cpu_period: Some(values.cpu_period.unwrap_or(QUOTA_PERIOD.unsigned_abs())),
            ..PodCgroup::default()
        },
    }
}

#[cfg(test)]
mod tests;
