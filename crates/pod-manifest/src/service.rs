//! Services: what an API server fills in, and the model of those that podwright can serve.

use crate::convert::ConvertError;
use k8s_openapi::api::core::v1::{
    ClientIPConfig, Service, ServicePort, ServiceSpec, SessionAffinityConfig,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pod_model::pod::IntOrString as Target;
use pod_model::service as model;

/// How long a client stays with one pod where `sessionAffinity: ClientIP` says nothing else, in seconds.
const AFFINITY_SECONDS: i32 = 10_800;

/// Fills in what the manifest leaves open. Doing so twice changes nothing more.
///
/// A missing namespace becomes `default`, as kubectl does; `clusterIP` and `clusterIPs` become the same.
pub fn service_defaults(service: &mut Service) {
    let namespace = service.metadata.namespace.get_or_insert_default();
    if namespace.is_empty() {
        *namespace = "default".to_owned();
    }
    let spec = service.spec.get_or_insert_default();
    set(&mut spec.session_affinity, "None");
    match spec.session_affinity.as_deref() {
        Some("None") => spec.session_affinity_config = None,
        Some("ClientIP") => {
            let config = spec.session_affinity_config.as_ref();
            let client = config.and_then(|c| c.client_ip.as_ref());
            if client.and_then(|c| c.timeout_seconds).is_none() {
                spec.session_affinity_config = Some(SessionAffinityConfig {
                    client_ip: Some(ClientIPConfig {
                        timeout_seconds: Some(AFFINITY_SECONDS),
                    }),
                });
            }
        }
        _ => {}
    }
    set(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        set(&mut port.protocol, "TCP");
        let unset = match &port.target_port {
            None | Some(IntOrString::Int(0)) => true,
            Some(IntOrString::String(name)) => name.is_empty(),
            Some(IntOrString::Int(_)) => false,
        };
        if unset {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    if is_reached_from_outside(spec) {
        set(&mut spec.external_traffic_policy, "Cluster");
    }
    let kind = spec.type_.as_deref().unwrap_or_default();
    if matches!(kind, "ClusterIP" | "LoadBalancer" | "NodePort") {
        let policy = &mut spec.internal_traffic_policy;
        policy.get_or_insert_with(|| "Cluster".to_owned());
    }
    if kind == "LoadBalancer" {
        spec.allocate_load_balancer_node_ports.get_or_insert(true);
    }
    same_addresses(spec);
}

/// Whether its type gives it ports of the node.
pub(crate) fn takes_node_ports(spec: &ServiceSpec) -> bool {
    matches!(spec.type_.as_deref(), Some("LoadBalancer" | "NodePort"))
}

/// Whether it has an address beside the virtual one, so that `externalTrafficPolicy` means something.
pub(crate) fn is_reached_from_outside(spec: &ServiceSpec) -> bool {
    let has_external = spec.external_ips.as_ref().is_some_and(|e| !e.is_empty());
    takes_node_ports(spec) || (spec.type_.as_deref() == Some("ClusterIP") && has_external)
}

/// Sets a text that is absent or empty.
fn set(field: &mut Option<String>, value: &str) {
    if field.as_deref().is_none_or(str::is_empty) {
        *field = Some(value.to_owned());
    }
}

/// `clusterIP` fills `clusterIPs`. The other way round is an error of the manifest, which validation tells of.
fn same_addresses(spec: &mut ServiceSpec) {
    let all = spec.cluster_ips.as_ref();
    if let Some(first) = spec.cluster_ip.as_ref().filter(|f| !f.is_empty())
        && all.is_none_or(Vec::is_empty)
    {
        spec.cluster_ips = Some(vec![first.clone()]);
    }
}

/// The model of a Service. Give it one after [`service_defaults`] and [`crate::validate_service`]; then it fails only on what
/// podwright cannot serve: other types than ClusterIP and NodePort, addresses of the outside, and more than one address.
pub fn service_to_model(service: &Service) -> Result<model::Service, ConvertError> {
    let none = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&none);
    let meta = &service.metadata;
    let kind = match spec.type_.as_deref().unwrap_or("ClusterIP") {
        "ClusterIP" => model::ServiceKind::ClusterIP,
        "NodePort" => model::ServiceKind::NodePort,
        other => {
            let known =
                "podwright has Services of type ClusterIP (with clusterIP: None too) and NodePort";
            return refuse(
                "spec.type",
                format!("{other} is not supported yet: {known}"),
            );
        }
    };
    if spec.external_ips.as_ref().is_some_and(|e| !e.is_empty()) {
        return refuse("spec.externalIPs", "not supported yet".to_owned());
    }
    let ports = spec.ports.iter().flatten().enumerate();
    let ports: Result<Vec<_>, _> = ports.map(|(i, port)| port_to_model(i, port)).collect();
    let affinity = spec.session_affinity_config.as_ref();
    let affinity = affinity.and_then(|a| a.client_ip.as_ref()?.timeout_seconds);
    Ok(model::Service {
        namespace: meta.namespace.clone().unwrap_or_default().into(),
        name: meta.name.clone().unwrap_or_default().into(),
        uid: meta.uid.clone().unwrap_or_default(),
        labels: meta.labels.clone().unwrap_or_default(),
        annotations: meta.annotations.clone().unwrap_or_default(),
        creation_timestamp: meta.creation_timestamp.as_ref().map(|time| time.0),
        selector: spec.selector.clone().unwrap_or_default(),
        kind,
        external_local: spec.external_traffic_policy.as_deref() == Some("Local"),
        ports: ports?,
        address: address_to_model(spec)?,
        client_affinity_seconds: affinity.and_then(|seconds| u32::try_from(seconds).ok()),
        publish_not_ready: spec.publish_not_ready_addresses == Some(true),
    })
}

fn refuse<T>(path: &str, cause: String) -> Result<T, ConvertError> {
    Err(ConvertError::Field {
        path: path.to_owned(),
        cause,
    })
}

fn address_to_model(spec: &ServiceSpec) -> Result<model::ServiceAddress, ConvertError> {
    if spec.cluster_ips.as_ref().is_some_and(|all| all.len() > 1) {
        let cause = "a second address is not supported yet".to_owned();
        return refuse("spec.clusterIPs", cause);
    }
    Ok(match spec.cluster_ip.as_deref().unwrap_or_default() {
        "" => model::ServiceAddress::Any,
        "None" => model::ServiceAddress::Headless,
        address => match address.parse() {
            Ok(ip) => model::ServiceAddress::Fixed(ip),
            Err(_) => {
                let cause = format!("{address:?} is no address, such as 10.96.0.10");
                return refuse("spec.clusterIP", cause);
            }
        },
    })
}

fn port_to_model(index: usize, port: &ServicePort) -> Result<model::ServicePort, ConvertError> {
    let path = |field: &str| format!("spec.ports[{index}].{field}");
    let Ok(number) = u16::try_from(port.port) else {
        let cause = format!("{} is no port: 1 to 65535 are", port.port);
        return refuse(&path("port"), cause);
    };
    let protocol = match port.protocol.as_deref().unwrap_or_default() {
        "" | "TCP" => model::Protocol::Tcp,
        "UDP" => model::Protocol::Udp,
        "SCTP" => model::Protocol::Sctp,
        other => {
            let cause = format!("{other:?} is none of TCP, UDP and SCTP");
            return refuse(&path("protocol"), cause);
        }
    };
    let node_port = match port.node_port.filter(|n| *n != 0) {
        None => None,
        Some(number) => {
            let inside = u16::try_from(number).ok();
            let inside = inside.filter(|n| model::NODE_PORTS.contains(n));
            if inside.is_none() {
                let (first, last) = (model::NODE_PORTS.start(), model::NODE_PORTS.end());
                let cause = format!(
                    "Invalid value: {number}: provided port is not in the valid range. The range of valid ports is {first}-{last}"
                );
                return refuse(&path("nodePort"), cause);
            }
            inside
        }
    };
    Ok(model::ServicePort {
        name: port.name.clone().unwrap_or_default(),
        port: number,
        target_port: match &port.target_port {
            Some(IntOrString::Int(number)) => Target::Int(*number),
            Some(IntOrString::String(name)) => Target::String(name.clone()),
            None => Target::Int(port.port),
        },
        protocol,
        node_port,
    })
}
