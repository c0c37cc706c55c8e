//! What a pod has as a whole, for `status.resources` and `status.allocatedResources`.
//!
//! As in Kubernetes 1.36, every pod tells both: what was granted, and, while it runs, what its own cgroup holds. Kubernetes keeps telling the
//! memory request that a pod began with although another was granted since; here it is the one that was granted.

use crate::sizes::Sizes;
use pod_model::common::{ResourceList, Resources};
use pod_model::config::PodCgroup;
use pod_model::cpu::{MIN_SHARES, QUOTA_PERIOD, quota_to_milli_cpu, shares_to_milli_cpu};
use pod_model::pod::Pod;
use pod_model::quantity::{Format, Quantity};
use pod_model::resources::{CPU, MEMORY, Options, amount, pod_limits, pod_requests};
use pod_model::status::{Phase, PodStatus};

/// The smallest cpu limit that a cgroup can have, in thousandths; a smaller one is told as it was granted.
const MIN_MILLI_LIMIT: i64 = 10;

/// Writes both into the status. `pod`: with the resources that it was granted.
pub(crate) fn show(sizes: &Sizes, pod: &Pod, status: &mut PodStatus) {
    let options = Options::default();
    let requests = pod_requests(pod, &options);
    status.allocated_resources.clone_from(&requests);
    let running = status.phase == Some(Phase::Running);
    status.resources = Some(match sizes.cgroup.as_ref().filter(|_| running) {
        Some(cgroup) => in_force(pod, cgroup, &requests),
        None => Resources {
            requests,
            limits: pod_limits(pod, &options),
        },
    });
}

fn in_force(pod: &Pod, cgroup: &PodCgroup, aggregated: &ResourceList) -> Resources {
    let mut own = pod.spec.resources.clone().unwrap_or_default();
    let cpu = |list: &mut ResourceList, milli: i64, least: i64| {
        // What is as little as a cgroup can have may stand for less.
        if milli > 0 && (milli > least || amount(list, CPU).milli_value() > least) {
            let value = Quantity::from_milli(milli, Format::DecimalSI);
            list.insert(CPU.to_owned(), value);
        }
    };
    let shares = cgroup.cpu_shares.unwrap_or_default();
    let milli = shares_to_milli_cpu(i64::try_from(shares).unwrap_or_default());
    let least = i64::try_from(MIN_SHARES).unwrap_or_default();
    cpu(&mut own.requests, milli, least);
    let period = cgroup.cpu_period.and_then(|p| i64::try_from(p).ok());
    let quota = cgroup.cpu_quota.unwrap_or_default();
    let milli = quota_to_milli_cpu(quota, period.unwrap_or(QUOTA_PERIOD));
    cpu(&mut own.limits, milli, MIN_MILLI_LIMIT);
    if let (None, Some(memory)) = (own.requests.get(MEMORY), aggregated.get(MEMORY)) {
        own.requests.insert(MEMORY.to_owned(), memory.clone());
    }
    if let Some(bytes) = cgroup.memory.filter(|m| *m > 0) {
        let value = Quantity::from_value(bytes, Format::BinarySI);
        own.limits.insert(MEMORY.to_owned(), value);
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resize::full;
    use serde_json::{Value, json};

    fn shown(spec: Value, phase: Phase) -> Value {
        let pod =
            json!({ "metadata": { "name": "p", "namespace": "n", "uid": "u" }, "spec": spec });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let sizes = Sizes {
            cgroup: Some(full(&pod)),
            ..Sizes::default()
        };
        let mut status = PodStatus {
            phase: Some(phase),
            ..PodStatus::default()
        };
        show(&sizes, &pod, &mut status);
        json!([status.resources, status.allocated_resources])
    }

    #[test]
    fn a_pod_tells_what_was_granted_and_while_it_runs_what_its_cgroup_holds() {
        let amounts = |cpu: &str, memory: &str| json!({ "cpu": cpu, "memory": memory });
        let none = json!({});
        let both =
            |requests: &Value, limits: &Value| json!({ "requests": requests, "limits": limits });
        let (small, large) = (amounts("100m", "64Mi"), amounts("2", "128Mi"));
        for (spec, pending, running) in [
            // Nothing is asked for: two shares stand for nothing.
            (
                json!({ "containers": [{ "name": "a" }] }),
                json!([both(&none, &none), none]),
                json!([both(&none, &none), none]),
            ),
            // Requests alone.
            (
                json!({ "containers": [{ "name": "a", "resources": { "requests": small } }] }),
                json!([both(&small, &none), small]),
                json!([both(&small, &none), small]),
            ),
            // Limits of one of two containers limit no pod, though they count as its own.
            (
                json!({ "containers": [
                    { "name": "a", "resources": both(&small, &large) },
                    { "name": "b" },
                ] }),
                json!([both(&small, &large), small]),
                json!([both(&small, &none), small]),
            ),
            // Of the pod as a whole.
            (
                json!({
                    "resources": both(&small, &large),
                    "containers": [{ "name": "a", "resources": { "requests": { "cpu": "50m" } } }],
                }),
                json!([both(&small, &large), small]),
                json!([both(&small, &large), small]),
            ),
            // A cgroup cannot have less than a hundredth of a processor.
            (
                json!({ "containers": [
                    { "name": "a", "resources": both(&amounts("1m", "8Mi"), &amounts("5m", "8Mi")) },
                ] }),
                json!([
                    both(&amounts("1m", "8Mi"), &amounts("5m", "8Mi")),
                    amounts("1m", "8Mi")
                ]),
                json!([
                    both(&json!({ "memory": "8Mi" }), &json!({ "memory": "8Mi" })),
                    amounts("1m", "8Mi"),
                ]),
            ),
        ] {
            let cut = |value: Value| {
                let mut value = value;
                for side in ["requests", "limits"] {
                    let own = value[0].as_object_mut().unwrap();
                    own.entry(side).or_insert_with(|| json!({}));
                }
                value
            };
            assert_eq!(cut(shown(spec.clone(), Phase::Pending)), pending, "{spec}");
            assert_eq!(cut(shown(spec.clone(), Phase::Running)), running, "{spec}");
        }
    }

    #[test]
    fn a_cgroup_that_holds_the_least_of_all_is_told_where_more_was_granted() {
        let amounts = |cpu: &str| json!({ "requests": { "cpu": cpu }, "limits": { "cpu": cpu } });
        for (granted, request, limit) in [("100m", "2m", "10m"), ("1m", "1m", "1m")] {
            let pod = json!({
                "metadata": { "name": "p", "namespace": "n", "uid": "u" },
                "spec": { "resources": amounts(granted), "containers": [{ "name": "a" }] },
            });
            let pod: Pod = serde_json::from_value(pod).unwrap();
            let cgroup = PodCgroup {
                cpu_shares: Some(2),
                cpu_quota: Some(1000),
                cpu_period: Some(100_000),
                ..PodCgroup::default()
            };
            // One that says nothing is told of as it was granted.
            let silent = PodCgroup {
                memory: Some(0),
                ..PodCgroup::default()
            };
            let own = in_force(&pod, &silent, &ResourceList::new());
            assert_eq!(Some(&own), pod.spec.resources.as_ref());
            let told = in_force(&pod, &cgroup, &ResourceList::new());
            let cpu = |list: &ResourceList| list[CPU].to_string();
            let told = (cpu(&told.requests), cpu(&told.limits));
            assert_eq!(told, (request.to_owned(), limit.to_owned()));
        }
    }
}
