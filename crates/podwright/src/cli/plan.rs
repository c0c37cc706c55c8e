//! `plan`: reads the manifest and this machine's facts, changes nothing.

use super::args::{DataOutput, PlanArgs};
use super::connect::{Places, connect};
use super::create::refusal;
use super::exit::{Code, Failure, Outcome};
use super::manifest::{self, Source};
use super::output::{data, note, print};
use pod_api::admission::{admit_claim, admit_config_map, admit_pod, admit_secret, admit_service};
use pod_manifest::Object;
use pod_model::ids::{CgroupPath, HostPath, NodeName};
use pod_model::node::{CgroupVersion, NodeFacts};
use pod_model::quantity::Quantity;
use pod_print::plan_view::PlanView;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Shows what the manifest would do; every problem of every object is an error.
pub fn plan(args: &PlanArgs, places: &Places) -> Outcome<u8> {
    let namespace = args.namespace.namespace.as_deref();
    let node = facts(args, places)?;
    let mut views = Vec::new();
    let mut problems = Vec::new();
    for source in manifest::read_as(&args.files, args.compat.version)? {
        for warning in &source.warnings {
            note(&format!("Warning: {warning}"));
        }
        match view(&source, namespace, args.allow_unsupported, &node)? {
            Ok(Some(view)) => views.push(view),
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    match args.output {
        Some(format) if !views.is_empty() => {
            let mut values: Vec<Value> = views.iter().map(|v| json!(v)).collect();
            let value = match values.pop() {
                Some(one) if values.is_empty() => one,
                last => {
                    values.extend(last);
                    json!({"items": values})
                }
            };
            print(&data(&value, format)?)?;
        }
        Some(_) => {}
        None => {
            let texts: Vec<String> = views.iter().map(PlanView::text).collect();
            print(&texts.join("\n"))?;
        }
    }
    if problems.is_empty() {
        Ok(0)
    } else {
        Err(Failure::new(Code::Data, problems.join("\n")))
    }
}

/// The name of a pod that exists, where `plan pod/NAME` asks for it.
pub fn existing(args: &PlanArgs) -> Option<&str> {
    let [one] = args.files.as_slice() else {
        return None;
    };
    let name = one.to_str()?.strip_prefix("pod/")?;
    (!one.exists()).then_some(name)
}

/// Why a pod that exists is where it is, and what comes next.
pub async fn plan_of(args: &PlanArgs, name: &str, places: &Places) -> Outcome<u8> {
    let client = connect(places).await?;
    let plan = client.plan_of(args.namespace.or_default(), name).await?;
    print(&data(&plan, args.output.unwrap_or(DataOutput::Yaml))?)?;
    Ok(0)
}

/// The view of a pod; nothing for a sound ConfigMap or Secret; the problems as text.
fn view(
    source: &Source,
    namespace: Option<&str>,
    allow_unsupported: bool,
    node: &NodeFacts,
) -> Outcome<Result<Option<PlanView>, String>> {
    let namespace = source.namespace(namespace)?;
    let admitted = match &source.object {
        Object::Pod(pod) => {
            let mut pod = Clone::clone(&**pod);
            pod.metadata.namespace = Some(namespace);
            admit_pod(pod, allow_unsupported).map(Some)
        }
        Object::ConfigMap(map) => admit_config_map(map.clone()).map(|_| None),
        Object::Secret(secret) => admit_secret(secret.clone()).map(|_| None),
        Object::Service(service) => admit_service(Clone::clone(service)).map(|_| None),
        Object::Claim(claim) => admit_claim(Clone::clone(claim)).map(|_| None),
    };
    Ok(match admitted {
        Ok(None) => Ok(None),
        Ok(Some(admitted)) => {
            let notes = admitted.notes.iter().map(ToString::to_string).collect();
            Ok(Some(PlanView::new(&admitted.pod.pod, node, notes)))
        }
        Err(error) => Err(refusal(source, error)),
    })
}

/// What of the machine the numbers depend on: its memory and its huge pages.
fn facts(args: &PlanArgs, places: &Places) -> Outcome<NodeFacts> {
    let memory_capacity = match &args.node_memory {
        Some(text) => {
            let read: Result<Quantity, _> = text.parse();
            read.map_err(|e| {
                Failure::usage(format!(
                    "error: invalid argument {text:?} for --node-memory: {e}"
                ))
            })?
            .saturating_value()
        }
        None => memory_total(),
    };
    let cgroup_root = CgroupPath::parse(&places.cgroup_root)
        .map_err(|e| Failure::usage(format!("error: --cgroup-root: {e}")))?;
    Ok(NodeFacts {
        name: NodeName::default(),
        ips: Vec::new(),
        memory_capacity,
        allocatable: BTreeMap::new(),
        resolv_conf: None,
        hosts: String::new(),
        cluster_dns: Vec::new(),
        cluster_domain: String::new(),
        page_sizes: page_sizes(),
        cgroup_version: CgroupVersion::V2,
        swap_controller: true,
        recursive_read_only: true,
        seccomp_default: false,
        seccomp_root: HostPath::new(places.root.join("seccomp")),
        cgroup_root,
        log_root: HostPath::new(&places.logs),
    })
}

/// `MemTotal` in bytes; 0 where it cannot be read.
fn memory_total() -> i64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<i64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// Bytes of each size of huge page that the kernel has.
fn page_sizes() -> Vec<i64> {
    let folder = std::fs::read_dir("/sys/kernel/mm/hugepages");
    let mut sizes: Vec<i64> = folder
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let kibibytes = name
                .to_str()?
                .strip_prefix("hugepages-")?
                .strip_suffix("kB")?;
            kibibytes.parse::<i64>().ok()?.checked_mul(1024)
        })
        .collect();
    sizes.sort_unstable();
    sizes
}
