//! Kinds about env, DNS, hosts file, hostname and security rules.

use super::Check;
use pod_model::config::Seccomp;
use pod_model::ids::{CgroupPath, HostPath};
use pod_model::image_name::apply_default_image_tag;
use pod_model::node::{CgroupVersion, NodeFacts};
use pod_model::pod::{Container, DnsPolicy, Pod, PodSecurityContext, SecurityContext, VolumeMount};
use pod_plan::configs::dns;
use pod_plan::configs::env::{
    EnvError, EnvFacts, expand_command_and_args, make_environment_variables,
};
use pod_plan::configs::expansion::expand;
use pod_plan::configs::fields;
use pod_plan::configs::hostname::pod_hostname;
use pod_plan::configs::hosts::{host_network_hosts_file, hosts_file};
use pod_plan::configs::mounts::recursive_read_only;
use pod_plan::configs::security::{ImageUser, seccomp_profile, verify_run_as_non_root};
use pod_plan::configs::service_env::{Service, ServicePort, service_env};
use pod_plan::configs::sources::{Object, SourceKind, SourceNotFound, Sources};
use pod_plan::configs::subpath::expand_sub_path;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Display;

/// The kinds of this area.
pub(super) const KINDS: &[(&str, Check)] = &[
    ("expansion", expansion),
    ("expandCommandAndArgs", command_and_args),
    ("makeEnvironmentVariables", environment),
    ("fieldPath", |given, expect| {
        let path: String = get(given, "fieldPath")?;
        let value = fields::field_path(&get(given, "pod")?, &path);
        answer(value.map(|v| json!({ "value": v })), expect)
    }),
    ("formatMap", |given, expect| {
        let text = fields::format_map(&map(given, "map")?);
        same(&json!({ "text": text }), expect)
    }),
    ("splitSubscriptedPath", |given, expect| {
        let text: String = get(given, "fieldPath")?;
        let (path, key) = fields::split_subscripted_path(&text);
        let got = json!({ "ok": key.is_some(), "path": path, "subscript": key.unwrap_or("") });
        same(&got, expect)
    }),
    ("serviceEnv", |given, expect| {
        let env: Vec<Value> = service_env(&services(given)?)
            .into_iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        same(&json!({ "env": env }), expect)
    }),
    ("subPathExpr", |given, expect| {
        let mount: VolumeMount = get(given, "volumeMount")?;
        let path = expand_sub_path(&mount, &map(given, "env")?);
        answer(path.map(|p| json!({ "subPath": p })), expect)
    }),
    ("hostsFile", hosts),
    ("parseResolvConf", resolv_conf),
    ("podDNS", pod_dns),
    ("podDNSType", pod_dns_type),
    ("dnsNameserversFitsLimits", |given, expect| {
        let (kept, warning) = dns::nameservers_fit_limits(&list(given, "nameservers")?);
        same(
            &json!({ "nameservers": kept, "warning": warning.is_some() }),
            expect,
        )
    }),
    ("dnsSearchFitsLimits", |given, expect| {
        let (kept, warning) = dns::searches_fit_limits(&list(given, "searches")?);
        let warnings: Vec<String> = warning.into_iter().map(|w| w.message).collect();
        same(&json!({ "searches": kept, "warnings": warnings }), expect)
    }),
    ("mergeDNSOptions", |given, expect| {
        let options: Option<Vec<_>> = get(given, "dnsConfigOptions")?;
        let merged =
            dns::merge_dns_options(&list(given, "existing")?, &options.unwrap_or_default());
        same(&json!({ "optionsUnordered": sorted(merged) }), expect)
    }),
    ("hostname", hostname),
    ("applyDefaultImageTag", |given, expect| {
        let image: String = get(given, "image")?;
        match apply_default_image_tag(&image) {
            Ok(image) => same(&json!({ "image": image }), expect),
            Err(error) => same(&json!({ "error": error.to_string() }), expect),
        }
    }),
    ("runAsNonRoot", run_as_non_root),
    ("seccompProfile", seccomp),
    ("recursiveReadOnly", read_only),
];

/// `given[key]` as that type; absent is null.
fn get<T: DeserializeOwned>(given: &Value, key: &str) -> Result<T, String> {
    let value = given.get(key).cloned().unwrap_or(Value::Null);
    serde_json::from_value(value).map_err(|e| format!("given.{key}: {e}"))
}

/// A list of texts; absent and null are empty.
fn list(given: &Value, key: &str) -> Result<Vec<String>, String> {
    Ok(get::<Option<Vec<String>>>(given, key)?.unwrap_or_default())
}

/// A map of texts; absent and null are empty.
fn map(given: &Value, key: &str) -> Result<BTreeMap<String, String>, String> {
    Ok(get::<Option<_>>(given, key)?.unwrap_or_default())
}

/// A text; absent and null are "".
fn text(given: &Value, key: &str) -> Result<String, String> {
    Ok(get::<Option<_>>(given, key)?.unwrap_or_default())
}

/// `Ok` if `got` is `expect`.
fn same(got: &Value, expect: &Value) -> Result<(), String> {
    if got == expect {
        Ok(())
    } else {
        Err(got.to_string())
    }
}

/// Compares with `{ok: true, …}` or `{ok: false, error}`.
fn answer<E: Display>(got: Result<Value, E>, expect: &Value) -> Result<(), String> {
    let got = match got {
        Ok(mut value) => {
            value["ok"] = json!(true);
            value
        }
        Err(error) => json!({ "ok": false, "error": error.to_string() }),
    };
    same(&got, expect)
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// A node with these addresses and nothing else.
fn node(ips: Vec<String>) -> Result<NodeFacts, String> {
    Ok(NodeFacts {
        name: "node".into(),
        ips,
        memory_capacity: 0,
        allocatable: BTreeMap::new(),
        resolv_conf: None,
        hosts: String::new(),
        cluster_dns: Vec::new(),
        cluster_domain: String::new(),
        page_sizes: Vec::new(),
        cgroup_version: CgroupVersion::V2,
        swap_controller: false,
        recursive_read_only: true,
        seccomp_default: false,
        seccomp_root: HostPath::new("/"),
        cgroup_root: CgroupPath::parse("/podwright").map_err(|e| e.to_string())?,
        log_root: HostPath::new("/var/log/pods"),
    })
}

fn expansion(given: &Value, expect: &Value) -> Result<(), String> {
    let env = map(given, "env")?;
    let input: String = get(given, "input")?;
    let output = expand(&input, |name| env.get(name).cloned());
    same(&json!({ "output": output }), expect)
}

fn command_and_args(given: &Value, expect: &Value) -> Result<(), String> {
    let (command, args) = expand_command_and_args(
        &list(given, "command")?,
        &list(given, "args")?,
        &map(given, "env")?,
    );
    same(&json!({ "command": command, "args": args }), expect)
}

/// `given.services` in the form of the API.
fn services(given: &Value) -> Result<Vec<Service>, String> {
    let services: Option<Vec<Value>> = get(given, "services")?;
    let field = |value: &Value, path: &str| {
        let found = value.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let service = |service: &Value| {
        let ports = service.pointer("/spec/ports").and_then(Value::as_array);
        let port = |port: &Value| ServicePort {
            name: field(port, "/name"),
            protocol: field(port, "/protocol"),
            port: port
                .get("port")
                .and_then(Value::as_i64)
                .and_then(|p| i32::try_from(p).ok())
                .unwrap_or(0),
        };
        Service {
            name: field(service, "/metadata/name"),
            namespace: field(service, "/metadata/namespace"),
            cluster_ip: field(service, "/spec/clusterIP"),
            ports: ports.into_iter().flatten().map(port).collect(),
        }
    };
    Ok(services.unwrap_or_default().iter().map(service).collect())
}

/// The one object that each look-up gives, under every name that the container asks for.
fn object(given: &Value, key: &str, names: &[String]) -> Result<BTreeMap<String, Object>, String> {
    let Some(found) = given.get(key) else {
        return Ok(BTreeMap::new());
    };
    let data: Option<BTreeMap<String, String>> = get(found, "data")?;
    let data: Object = data
        .unwrap_or_default()
        .into_iter()
        .map(|(name, text)| match key {
            "secret" => Ok((name, decode_base64(&text)?)),
            _ => Ok((name, text.into_bytes())),
        })
        .collect::<Result<_, String>>()?;
    Ok(names.iter().map(|n| (n.clone(), data.clone())).collect())
}

/// Standard base64, as the API writes the values of a Secret.
fn decode_base64(text: &str) -> Result<Vec<u8>, String> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits: u32 = 0;
    let mut count = 0;
    let mut bytes = Vec::new();
    for digit in text.trim_end_matches('=').bytes() {
        let value = DIGITS
            .iter()
            .position(|d| *d == digit)
            .and_then(|v| u32::try_from(v).ok())
            .ok_or_else(|| format!("not base64: {text}"))?;
        bits = (bits << 6) | value;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(((bits >> count) & 0xff) as u8);
        }
    }
    Ok(bytes)
}

/// Names of all ConfigMaps and Secrets that a container names.
fn source_names(container: &Container) -> Vec<String> {
    let from = container.env_from.iter().flat_map(|f| {
        [&f.config_map_ref, &f.secret_ref]
            .into_iter()
            .flatten()
            .map(|r| r.name.clone())
    });
    let keys = container.env.iter().filter_map(|e| e.value_from.as_ref());
    let keys = keys.flat_map(|s| {
        [&s.config_map_key_ref, &s.secret_key_ref]
            .into_iter()
            .flatten()
            .map(|r| r.name.clone())
    });
    from.chain(keys).collect()
}

fn environment(given: &Value, expect: &Value) -> Result<(), String> {
    let mut pod: Pod = get(given, "pod")?;
    let container: Container = get(given, "container")?;
    if given.get("staticPod") == Some(&Value::Bool(true)) {
        let key = "kubernetes.io/config.source".to_owned();
        pod.metadata.annotations.insert(key, "file".to_owned());
    }
    let names = source_names(&container);
    let sources = Sources {
        config_maps: object(given, "configMap", &names)?,
        secrets: object(given, "secret", &names)?,
    };
    let mut pod_ips = list(given, "podIPs")?;
    if pod_ips.is_empty() {
        pod_ips.extend(get::<Option<String>>(given, "podIP")?.filter(|ip| !ip.is_empty()));
    }
    let services = services(given)?;
    let synced = given.get("servicesSynced") != Some(&Value::Bool(false));
    let facts = EnvFacts {
        node: &node(list(given, "hostIPs")?)?,
        pod_ips: &pod_ips,
        services: synced.then_some(services.as_slice()),
        sources: &sources,
    };
    let env = make_environment_variables(&pod, &container, &facts).map_err(|error| match error {
        // The look-up of these cases answers with a name of its own.
        EnvError::NotFound(SourceNotFound { kind, .. }) => {
            let word = kind.resource();
            let name = match kind {
                SourceKind::ConfigMap => "configmap-name",
                SourceKind::Secret => "secret-name",
            };
            format!("{word}s \"{name}\" not found")
        }
        other => other.to_string(),
    });
    answer(env.map(|env| json!({ "env": env })), expect)
}

fn hosts(given: &Value, expect: &Value) -> Result<(), String> {
    let aliases: Option<Vec<_>> = get(given, "hostAliases")?;
    let aliases = aliases.unwrap_or_default();
    let content = if get(given, "hostNetwork")? {
        let node: String = get(given, "nodeHostsFile")?;
        host_network_hosts_file(&node, &aliases)
    } else {
        let (name, domain) = (text(given, "hostname")?, text(given, "domain")?);
        hosts_file(&list(given, "podIPs")?, &name, &domain, &aliases)
    };
    same(&json!({ "content": content }), expect)
}

fn resolv_conf(given: &Value, expect: &Value) -> Result<(), String> {
    let got = dns::parse_resolv_conf(&text(given, "text")?).map(|resolver| {
        json!({
            "nameservers": resolver.servers,
            "searches": resolver.searches,
            "options": sorted(resolver.options),
        })
    });
    answer(got, expect)
}

fn pod_dns(given: &Value, expect: &Value) -> Result<(), String> {
    let mut node = node(Vec::new())?;
    node.resolv_conf = get(given, "hostResolvConf")?;
    node.cluster_dns = list(given, "clusterDNS")?;
    node.cluster_domain = text(given, "clusterDomain")?;
    let (resolver, _) = dns::pod_dns(&get(given, "pod")?, &node).map_err(|e| e.to_string())?;
    let got = json!({
        "servers": resolver.servers,
        "searches": resolver.searches,
        "optionsUnordered": sorted(resolver.options),
    });
    same(&got, expect)
}

fn pod_dns_type(given: &Value, expect: &Value) -> Result<(), String> {
    let name = text(given, "dnsPolicy")?;
    let policy = get::<DnsPolicy>(given, "dnsPolicy");
    let host_network = given.get("hostNetwork") == Some(&Value::Bool(true));
    let got = policy
        .map(|policy| json!({ "type": dns::pod_dns_type(policy, host_network).as_str() }))
        .map_err(|_| format!("invalid DNSPolicy={name}"));
    answer(got, expect)
}

fn hostname(given: &Value, expect: &Value) -> Result<(), String> {
    let mut pod: Pod = get(given, "pod")?;
    if given.pointer("/gates/HostnameOverride") == Some(&Value::Bool(false)) {
        pod.spec.hostname_override = None;
    }
    let cluster_domain = text(given, "clusterDomain")?;
    let got = pod_hostname(&pod, &cluster_domain)
        .map(|(hostname, domain)| json!({ "hostname": hostname, "domain": domain }));
    answer(got, expect)
}

fn run_as_non_root(given: &Value, expect: &Value) -> Result<(), String> {
    let pod: Pod = get(given, "pod")?;
    let name: String = get(given, "container")?;
    let (_, _, container) = pod.spec.find(&name).ok_or("no such container")?;
    let image_name = text(given, "imageUsername")?;
    let user = match get::<Option<i64>>(given, "imageUid")? {
        Some(uid) => ImageUser::Uid(uid),
        None if image_name.is_empty() => ImageUser::Unknown,
        None => ImageUser::Name(image_name),
    };
    let got = verify_run_as_non_root(&pod, container, &user);
    answer(got.map(|()| json!({})), expect)
}

fn seccomp(given: &Value, expect: &Value) -> Result<(), String> {
    let of_pod: Option<PodSecurityContext> = get(given, "podSecurityContext")?;
    let of_container: Option<SecurityContext> = get(given, "securityContext")?;
    let root: String = get(given, "seccompProfileRoot")?;
    let got = seccomp_profile(
        of_pod.and_then(|s| s.seccomp_profile).as_ref(),
        of_container.and_then(|s| s.seccomp_profile).as_ref(),
        get(given, "defaultRuntimeSeccomp")?,
        &HostPath::new(root),
    );
    let got = match got {
        Ok(Seccomp::Unconfined) => json!({ "type": "Unconfined" }),
        Ok(Seccomp::RuntimeDefault) => json!({ "type": "RuntimeDefault" }),
        Ok(Seccomp::Localhost(path)) => {
            json!({ "type": "Localhost", "localhostRef": path.as_path() })
        }
        Err(error) => json!({ "error": error.to_string() }),
    };
    same(&got, expect)
}

fn read_only(given: &Value, expect: &Value) -> Result<(), String> {
    let supported = get(given, "runtimeSupportsRRO")?;
    let mode = given.pointer("/volumeMount/recursiveReadOnly");
    let got = match get::<VolumeMount>(given, "volumeMount") {
        Ok(mount) => recursive_read_only(&mount, supported).map_err(|e| e.to_string()),
        // Such a mount does not get past the door: the type has no such mode. What is wrong with it otherwise is said first.
        Err(_) => {
            let unknown = format!(
                "unknown recursive read-only mode {}",
                mode.cloned().unwrap_or_default()
            );
            let mut known = given.clone();
            known["volumeMount"]["recursiveReadOnly"] = json!("IfPossible");
            let mount = get::<VolumeMount>(&known, "volumeMount")?;
            let wrong = recursive_read_only(&mount, supported).err();
            Err(wrong.map_or(unknown, |e| e.to_string()))
        }
    };
    answer(got.map(|yes| json!({ "recursiveReadOnly": yes })), expect)
}
