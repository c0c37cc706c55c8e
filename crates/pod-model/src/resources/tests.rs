//! Laws of what a pod asks for, held against plain integers, for pods made by chance.

use super::*;
use crate::cgroup::{PodCgroupPolicy, pod_cgroup, without_limit};
use crate::pod::{PodSpec, RestartPolicy};
use crate::qos::compute_qos;
use crate::quantity::Format;
use crate::status::QosClass;
use proptest::prelude::*;

/// What a container of a test asks for: cpu in thousandths, memory in bytes, both as request and as limit.
#[derive(Clone, Debug, Default)]
struct Asked {
    sidecar: bool,
    cpu: (Option<i64>, Option<i64>),
    memory: (Option<i64>, Option<i64>),
}

impl Asked {
    fn of(&self, side: Side, name: &str) -> Option<i64> {
        let (requests, limits) = if name == CPU { self.cpu } else { self.memory };
        match side {
            Side::Requests => requests,
            Side::Limits => limits,
        }
    }

    fn container(&self, name: String) -> Container {
        let list = |side| {
            let cpu = self.of(side, CPU);
            let memory = self.of(side, MEMORY);
            let cpu = cpu.map(|n| (CPU.to_owned(), Quantity::from_milli(n, Format::DecimalSI)));
            let memory = memory.map(|n| {
                let quantity = Quantity::from_value(n, Format::BinarySI);
                (MEMORY.to_owned(), quantity)
            });
            cpu.into_iter().chain(memory).collect()
        };
        Container {
            name: name.into(),
            resources: Resources {
                requests: list(Side::Requests),
                limits: list(Side::Limits),
            },
            restart_policy: self.sidecar.then_some(RestartPolicy::Always),
            ..Container::default()
        }
    }
}

fn pod(inits: &[Asked], apps: &[Asked]) -> Pod {
    let named = |prefix: &str, list: &[Asked]| {
        let all = list.iter().enumerate();
        all.map(|(i, asked)| asked.container(format!("{prefix}{i}")))
            .collect()
    };
    Pod {
        spec: PodSpec {
            init_containers: named("init", inits),
            containers: named("app", apps),
            ..PodSpec::default()
        },
        ..Pod::default()
    }
}

/// What the effective amount is by the rule, in thousandths of a cpu or bytes.
fn by_the_rule(inits: &[Asked], apps: &[Asked], side: Side, name: &str) -> i64 {
    let of = |a: &Asked| a.of(side, name).unwrap_or(0);
    let together: i64 = apps.iter().map(of).sum();
    let (mut sidecars, mut largest) = (0, 0);
    for init in inits {
        if init.sidecar {
            sidecars += of(init);
            largest = largest.max(sidecars);
        } else {
            largest = largest.max(sidecars + of(init));
        }
    }
    largest.max(together + sidecars)
}

fn number(list: &ResourceList, name: &str) -> i64 {
    match name {
        CPU => amount(list, name).milli_value(),
        _ => amount(list, name).value(),
    }
}

fn amounts(most: i64) -> impl Strategy<Value = (Option<i64>, Option<i64>)> {
    let one = move || proptest::option::weighted(0.7, prop_oneof![1 => Just(0), 6 => 1..most]);
    prop_oneof![
        2 => (one(), one()),
        1 => one().prop_map(|n| (n, n)),
    ]
}

fn asked(sidecar: impl Strategy<Value = bool>) -> impl Strategy<Value = Asked> {
    (sidecar, amounts(64_000), amounts(1 << 36)).prop_map(|(sidecar, cpu, memory)| Asked {
        sidecar,
        cpu,
        memory,
    })
}

fn inits() -> impl Strategy<Value = Vec<Asked>> {
    proptest::collection::vec(asked(any::<bool>()), 0..5)
}

fn apps() -> impl Strategy<Value = Vec<Asked>> {
    proptest::collection::vec(asked(Just(false)), 1..4)
}

type Effective = fn(&Pod, &Options) -> ResourceList;

fn sides() -> [(Side, Effective); 2] {
    [(Side::Requests, pod_requests), (Side::Limits, pod_limits)]
}

proptest! {
    #[test]
    fn the_effective_amount_is_that_of_the_rule(inits in inits(), apps in apps()) {
        let pod = pod(&inits, &apps);
        for (side, effective) in sides() {
            let list = effective(&pod, &Options::default());
            for name in [CPU, MEMORY] {
                let expect = by_the_rule(&inits, &apps, side, name);
                prop_assert_eq!(number(&list, name), expect, "{} of {:?}", name, side);
                let named = inits.iter().chain(&apps).any(|a| a.of(side, name).is_some());
                prop_assert_eq!(list.contains_key(name), named);
            }
        }
    }

    #[test]
    fn no_container_gets_less_than_it_asks_for(inits in inits(), apps in apps()) {
        let pod = pod(&inits, &apps);
        for (side, effective) in sides() {
            let list = effective(&pod, &Options::default());
            for container in pod.spec.containers.iter().chain(&pod.spec.init_containers) {
                for (name, own) in side.of(&container.resources) {
                    prop_assert!(amount(&list, name) >= *own, "{} of {}", name, container.name);
                }
            }
        }
    }

    #[test]
    fn a_container_that_asks_for_more_never_makes_the_pod_smaller(
        inits in inits(),
        apps in apps(),
        which in any::<prop::sample::Index>(),
        more in (1..64_000_i64, 1..(1_i64 << 36)),
    ) {
        let before = pod(&inits, &apps);
        let (mut inits, mut apps) = (inits, apps);
        let all = inits.len() + apps.len();
        let chosen = inits.iter_mut().chain(&mut apps).nth(which.index(all)).unwrap();
        for (asked, by) in [(&mut chosen.cpu, more.0), (&mut chosen.memory, more.1)] {
            asked.0 = Some(asked.0.unwrap_or(0) + by);
            asked.1 = Some(asked.1.unwrap_or(0) + by);
        }
        let after = pod(&inits, &apps);
        for (_, effective) in sides() {
            let (less, more) = (effective(&before, &Options::default()), effective(&after, &Options::default()));
            for (name, quantity) in &less {
                prop_assert!(amount(&more, name) >= *quantity, "{name}");
            }
        }
        let shares = |p: &Pod| pod_cgroup(p, &PodCgroupPolicy::default()).cpu_shares;
        prop_assert!(shares(&after) >= shares(&before));
    }

    #[test]
    fn the_order_of_apps_changes_nothing(inits in inits(), apps in apps()) {
        let one = pod(&inits, &apps);
        let other = pod(&inits, &apps.iter().rev().cloned().collect::<Vec<_>>());
        for (_, effective) in sides() {
            prop_assert_eq!(effective(&one, &Options::default()), effective(&other, &Options::default()));
        }
        prop_assert_eq!(compute_qos(&one), compute_qos(&other));
    }

    #[test]
    fn the_class_is_what_requests_and_limits_make_of_it(inits in inits(), apps in apps()) {
        let pod = pod(&inits, &apps);
        let all: Vec<&Asked> = inits.iter().chain(&apps).collect();
        let sum = |side, name| -> i64 { all.iter().filter_map(|a| a.of(side, name)).sum() };
        let asks = [Side::Requests, Side::Limits].iter().any(|s| sum(*s, CPU) + sum(*s, MEMORY) > 0);
        let limited = all.iter().all(|a| [CPU, MEMORY].iter().all(|n| a.of(Side::Limits, n).unwrap_or(0) > 0));
        let equal = [CPU, MEMORY].iter().all(|n| sum(Side::Requests, n) == sum(Side::Limits, n));
        let expect = match (asks, limited && equal) {
            (false, _) => QosClass::BestEffort,
            (true, true) => QosClass::Guaranteed,
            (true, false) => QosClass::Burstable,
        };
        prop_assert_eq!(compute_qos(&pod), expect);
    }

    #[test]
    fn the_pods_cgroup_agrees_with_its_class_and_is_large_enough_for_each_container(
        inits in inits(),
        apps in apps(),
    ) {
        let pod = pod(&inits, &apps);
        let values = pod_cgroup(&pod, &PodCgroupPolicy::default());
        let class = compute_qos(&pod);
        match class {
            QosClass::BestEffort => prop_assert_eq!(
                (values.cpu_shares, values.cpu_quota, values.memory),
                (Some(2), None, None)
            ),
            QosClass::Guaranteed => prop_assert!(values.cpu_quota.is_some() && values.memory.is_some()),
            QosClass::Burstable => {
                prop_assert_eq!(values.cpu_quota.is_some(), without_limit(&pod, CPU).is_empty());
                prop_assert_eq!(values.memory.is_some(), without_limit(&pod, MEMORY).is_empty());
            }
        }
        let shares = values.cpu_shares.unwrap();
        prop_assert!((2..=262_144).contains(&shares));
        for asked in inits.iter().chain(&apps) {
            if let (Some(memory), Some(own)) = (values.memory, asked.of(Side::Limits, MEMORY)) {
                prop_assert!(memory >= own);
            }
            if let (Some(quota), Some(own)) = (values.cpu_quota, asked.of(Side::Limits, CPU)) {
                prop_assert!(quota >= own * 100, "{} for {}m", quota, own);
            }
        }
    }

    #[test]
    fn overhead_comes_on_top_and_pod_level_values_replace(
        inits in inits(),
        apps in apps(),
        overhead in 1..10_000_i64,
        whole in proptest::option::of(1..10_000_i64),
    ) {
        let milli = |n| Quantity::from_milli(n, Format::DecimalSI);
        let mut pod = pod(&inits, &apps);
        pod.spec.overhead.insert(CPU.to_owned(), milli(overhead));
        if let Some(whole) = whole {
            let list: ResourceList = [(CPU.to_owned(), milli(whole))].into();
            pod.spec.resources = Some(Resources { requests: list.clone(), limits: list });
        }
        for (side, effective) in sides() {
            let base = whole.unwrap_or(by_the_rule(&inits, &apps, side, CPU));
            let on_top = if base == 0 && side == Side::Limits { 0 } else { overhead };
            prop_assert_eq!(number(&effective(&pod, &Options::default()), CPU), base + on_top);
            let bare = Options { exclude_overhead: true, ..Options::default() };
            prop_assert_eq!(number(&effective(&pod, &bare), CPU), base);
            prop_assert_eq!(
                number(&effective(&pod, &bare), MEMORY),
                by_the_rule(&inits, &apps, side, MEMORY)
            );
            let without = Options { skip_pod_level: true, ..bare };
            prop_assert_eq!(
                number(&effective(&pod, &without), CPU),
                by_the_rule(&inits, &apps, side, CPU)
            );
        }
    }
}
