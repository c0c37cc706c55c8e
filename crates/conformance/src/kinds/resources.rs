//! Kinds about quantities, effective resources, QoS, cgroup values and names.

use super::Check;
use pod_model::cgroup::{
    ContainerCgroupPolicy, PodCgroupPolicy, container_huge_page_limits, cpu_and_memory,
    huge_page_limits, limit_of, pod_cgroup,
};
use pod_model::cgroup_name::{CgroupDriver, CgroupName, QosRoots};
use pod_model::common::ResourceList;
use pod_model::config::ContainerResources;
use pod_model::cpu;
use pod_model::node::CgroupVersion;
use pod_model::oom::oom_score_adj;
use pod_model::pod::Pod;
use pod_model::qos::qos_class;
use pod_model::quantity::{Format, Quantity};
use pod_model::resources::{
    CPU, MEMORY, Options, aggregate_container_limits, aggregate_container_requests, pod_limits,
    pod_requests,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The kinds of this area.
pub(super) const KINDS: &[(&str, Check)] = &[
    ("quantity", quantity),
    ("quantityCmp", quantity_cmp),
    ("quantityRoundUp", quantity_round_up),
    ("quantityString", quantity_string),
    ("podRequests", |given, expect| {
        list(given, expect, "requests", pod_requests)
    }),
    ("podLimits", |given, expect| {
        list(given, expect, "limits", pod_limits)
    }),
    ("aggregateContainerRequests", |given, expect| {
        list(given, expect, "requests", aggregate_container_requests)
    }),
    ("aggregateContainerLimits", |given, expect| {
        list(given, expect, "limits", aggregate_container_limits)
    }),
    ("qos", qos),
    ("resourceConfigForPod", resource_config_for_pod),
    ("milliCPUToQuota", |given, expect| {
        let quota = cpu::milli_cpu_to_quota(get(given, "milliCPU")?, get(given, "period")?);
        same(&json!({ "quota": quota }), expect)
    }),
    ("milliCPUToShares", |given, expect| {
        let shares = cpu::milli_cpu_to_shares(get(given, "milliCPU")?);
        let weight = cpu::shares_to_container_weight(shares);
        same(&json!({ "shares": shares, "weight": weight }), expect)
    }),
    ("cpuSharesToWeight", |given, expect| {
        let weight = cpu::shares_to_container_weight(get(given, "shares")?);
        same(&json!({ "weight": weight }), expect)
    }),
    ("cpuWeightToShares", |given, expect| {
        let shares = cpu::pod_weight_to_shares(get(given, "weight")?);
        same(&json!({ "shares": shares }), expect)
    }),
    ("quotaToMilliCPU", |given, expect| {
        let milli = cpu::quota_to_milli_cpu(get(given, "quota")?, get(given, "period")?);
        same(&json!({ "milliCPU": milli }), expect)
    }),
    ("sharesToMilliCPU", |given, expect| {
        let milli = cpu::shares_to_milli_cpu(get(given, "shares")?);
        same(&json!({ "milliCPU": milli }), expect)
    }),
    ("hugePageLimits", |given, expect| {
        let limits = huge_page_limits(&get(given, "resources")?);
        same(&json!({ "limits": limits }), expect)
    }),
    ("hugepageLimitsCRI", huge_page_limits_cri),
    ("cgroupName", cgroup_name),
    ("cgroupNameParse", |given, expect| {
        let path: String = get(given, "path")?;
        let name = CgroupName::parse(&path, driver(given)?);
        same(&json!({ "components": name.components() }), expect)
    }),
    ("podCgroupName", pod_cgroup_name),
    ("isPodCgroup", is_pod_cgroup),
    ("containerCgroup", container_cgroup),
    ("linuxContainerResources", linux_container_resources),
    ("oomScoreAdj", oom),
];

/// `given[key]` as that type; absent is null.
fn get<T: DeserializeOwned>(given: &Value, key: &str) -> Result<T, String> {
    let value = given.get(key).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(|e| format!("given.{key}: {e}"))
}

/// `Ok` if `got` is `expect`.
fn same(got: &Value, expect: &Value) -> Result<(), String> {
    if got == expect {
        Ok(())
    } else {
        Err(got.to_string())
    }
}

fn quantity(given: &Value, expect: &Value) -> Result<(), String> {
    let text: String = get(given, "text")?;
    let got = match text.parse::<Quantity>() {
        Ok(q) => json!({
            "ok": true,
            "canonical": q.to_string(),
            "format": q.format().as_str(),
            "sign": q.sign(),
            "value": q.value(),
            "milliValue": q.milli_value(),
        }),
        Err(e) => json!({ "ok": false, "error": e.to_string() }),
    };
    same(&got, expect)
}

fn quantity_cmp(given: &Value, expect: &Value) -> Result<(), String> {
    let (x, y): (Quantity, Quantity) = (get(given, "x")?, get(given, "y")?);
    same(&json!({ "cmp": x.cmp(&y) as i32 }), expect)
}

fn quantity_round_up(given: &Value, expect: &Value) -> Result<(), String> {
    let text: Quantity = get(given, "text")?;
    let (rounded, exact) = text.round_up(get(given, "scale")?);
    same(
        &json!({ "exact": exact, "canonical": rounded.to_string() }),
        expect,
    )
}

fn quantity_string(given: &Value, expect: &Value) -> Result<(), String> {
    let unscaled: String = get(given, "unscaled")?;
    let unscaled: i128 = unscaled.parse().map_err(|e| format!("unscaled: {e}"))?;
    let format = match get::<String>(given, "format")?.as_str() {
        "BinarySI" => Format::BinarySI,
        "DecimalExponent" => Format::DecimalExponent,
        _ => Format::DecimalSI,
    };
    let got = Quantity::from_scaled(unscaled, get(given, "scale")?, format);
    same(&json!({ "canonical": got.to_string() }), expect)
}

/// `given.pod`; with the gate PodLevelResources off it has no `spec.resources`.
fn pod(given: &Value) -> Result<Pod, String> {
    let mut pod: Pod = get(given, "pod")?;
    if given.pointer("/gates/PodLevelResources") == Some(&Value::Bool(false)) {
        pod.spec.resources = None;
    }
    Ok(pod)
}

fn options(given: &Value) -> Result<Options, String> {
    let options = given.get("options").cloned().unwrap_or_default();
    let is = |key: &str| options.get(key) == Some(&Value::Bool(true));
    Ok(Options {
        exclude_overhead: is("excludeOverhead"),
        use_status: is("useStatusResources"),
        use_pod_level_status: is("inPlacePodLevelResourcesVerticalScalingEnabled"),
        skip_pod_level: is("skipPodLevelResources"),
        skip_containers: is("skipContainerLevelResources"),
        use_claims: is("useDRANodeAllocatableResourceClaimStatus"),
        missing_requests: get::<Option<_>>(&options, "nonMissingContainerRequests")?
            .unwrap_or_default(),
    })
}

/// Compares the list that `rule` makes with `expect[key]`, by value.
fn list(
    given: &Value,
    expect: &Value,
    key: &str,
    rule: fn(&Pod, &Options) -> ResourceList,
) -> Result<(), String> {
    let got = rule(&pod(given)?, &options(given)?);
    let expected: ResourceList = get(expect, key)?;
    if got == expected {
        Ok(())
    } else {
        Err(format!("{got:?}"))
    }
}

fn qos(given: &Value, expect: &Value) -> Result<(), String> {
    same(&json!({ "qosClass": qos_class(&pod(given)?) }), expect)
}

fn resource_config_for_pod(given: &Value, expect: &Value) -> Result<(), String> {
    let policy: String = get(given, "memoryReservationPolicy")?;
    let memory_qos: bool = get(given, "enforceMemoryQoS")?;
    let values = pod_cgroup(
        &pod(given)?,
        &PodCgroupPolicy {
            enforce_cpu_limits: get(given, "enforceCPULimits")?,
            cpu_period: get(given, "cpuPeriod")?,
            reserve_memory: memory_qos && policy == "TieredReservation",
        },
    );
    let mut got = Map::new();
    let mut put = |key: &str, value: Value| {
        if value != Value::Null && value != json!({}) {
            got.insert(key.to_owned(), value);
        }
    };
    put("cpuShares", json!(values.cpu_shares));
    put(
        "cpuWeight",
        json!(values.cpu_shares.map(cpu::shares_to_pod_weight)),
    );
    put("cpuQuota", json!(values.cpu_quota));
    put("cpuPeriod", json!(values.cpu_period));
    put("memory", json!(values.memory));
    put("hugePageLimit", json!(values.huge_page_limit));
    put("unified", json!(values.unified));
    same(&Value::Object(got), expect)
}

/// Bytes of a page size as the kernel names it (`2MB`).
fn page_size(name: &str) -> Option<i64> {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = name.get(digits.len()..)?;
    let power = ["B", "KB", "MB", "GB", "TB", "PB"]
        .iter()
        .position(|u| *u == unit)?;
    let number: i64 = digits.parse().ok()?;
    number.checked_mul(1024_i64.checked_pow(u32::try_from(power).ok()?)?)
}

fn huge_page_limits_cri(given: &Value, expect: &Value) -> Result<(), String> {
    let names: Vec<String> = get(given, "pageSizes")?;
    let sizes: Vec<i64> = names.iter().filter_map(|n| page_size(n)).collect();
    let limits = container_huge_page_limits(&pod(given)?, &get(given, "resources")?, &sizes);
    let got: BTreeMap<&String, Option<&i64>> = names
        .iter()
        .map(|name| (name, page_size(name).and_then(|size| limits.get(&size))))
        .collect();
    same(&json!({ "limits": got }), expect)
}

fn driver(given: &Value) -> Result<CgroupDriver, String> {
    match get::<String>(given, "driver")?.as_str() {
        "systemd" => Ok(CgroupDriver::Systemd),
        "cgroupfs" => Ok(CgroupDriver::Cgroupfs),
        other => Err(format!("driver {other}")),
    }
}

fn cgroup_name(given: &Value, expect: &Value) -> Result<(), String> {
    let components: Vec<String> = get(given, "components")?;
    let name = CgroupName::new(components.iter().map(String::as_str)).map_err(|e| e.to_string())?;
    let driver = driver(given)?;
    let got = if expect.get("basename").is_some() {
        json!({ "basename": name.basename(driver) })
    } else {
        json!({ "path": name.path(driver) })
    };
    same(&got, expect)
}

fn roots(given: &Value, guaranteed: &str) -> Result<QosRoots, String> {
    let root = |key: &str| -> Result<CgroupName, String> {
        let path: String = get(given, key)?;
        Ok(CgroupName::parse(&path, CgroupDriver::Cgroupfs))
    };
    Ok(QosRoots {
        guaranteed: root(guaranteed)?,
        burstable: root("burstableRoot")?,
        best_effort: root("bestEffortRoot")?,
    })
}

fn pod_cgroup_name(given: &Value, expect: &Value) -> Result<(), String> {
    let name = roots(given, "root")?
        .pod_cgroup(&pod(given)?)
        .map_err(|e| e.to_string())?;
    let path = name.path(driver(given)?);
    same(
        &json!({ "components": name.components(), "path": path }),
        expect,
    )
}

fn is_pod_cgroup(given: &Value, expect: &Value) -> Result<(), String> {
    let path: String = get(given, "path")?;
    let uid = roots(given, "guaranteedRoot")?.pod_of(&path, driver(given)?);
    let got = json!({ "isPod": uid.is_some(), "uid": uid.unwrap_or_default() });
    same(&got, expect)
}

/// The values in the words of CRI.
fn cri(values: &ContainerResources) -> Value {
    let mut got = json!({
        "cpuShares": values.cpu_shares,
        "cpuQuota": values.cpu_quota.unwrap_or(0),
        "cpuPeriod": values.cpu_period.unwrap_or(0),
        "memoryLimitInBytes": values.memory_limit.unwrap_or(0),
    });
    if !values.unified.is_empty() {
        got["unified"] = json!(values.unified);
    }
    got
}

fn container_cgroup(given: &Value, expect: &Value) -> Result<(), String> {
    let pod = pod(given)?;
    let name: String = get(given, "container")?;
    let (_, _, container) = pod.spec.find(&name).ok_or("no such container")?;
    let policy = ContainerCgroupPolicy {
        enforce_cpu_limits: get(given, "cpuCFSQuota")?,
        ..ContainerCgroupPolicy::new(CgroupVersion::V1)
    };
    let values = cpu_and_memory(
        container.resources.requests.get(CPU),
        &limit_of(&pod, container, CPU),
        &limit_of(&pod, container, MEMORY),
        &policy,
    );
    same(&cri(&values), expect)
}

fn linux_container_resources(given: &Value, expect: &Value) -> Result<(), String> {
    let version = match get::<u8>(given, "cgroupVersion")? {
        1 => CgroupVersion::V1,
        _ => CgroupVersion::V2,
    };
    let request: Option<Quantity> = get(given, "cpuRequest")?;
    let values = cpu_and_memory(
        request.as_ref(),
        &get(given, "cpuLimit")?,
        &get(given, "memoryLimit")?,
        &ContainerCgroupPolicy {
            enforce_cpu_limits: get(given, "cpuCFSQuota")?,
            exclusive_cpus: get(given, "disableCPUQuota")?,
            single_process_oom_kill: get(given, "singleProcessOOMKill")?,
            ..ContainerCgroupPolicy::new(version)
        },
    );
    same(&cri(&values), expect)
}

fn oom(given: &Value, expect: &Value) -> Result<(), String> {
    let pod = pod(given)?;
    let name: String = get(given, "container")?;
    let (_, _, container) = pod.spec.find(&name).ok_or("no such container")?;
    let score = oom_score_adj(&pod, container, get(given, "memoryCapacity")?);
    if expect.get("oomScoreAdj") == Some(&json!(score)) {
        Ok(())
    } else {
        Err(score.to_string())
    }
}
