//! Variables that tell a container where the cluster's services are.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What of a Service matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.clusterIP`; "" or `None` for services without one.
    pub cluster_ip: String,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
}

/// One port of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// `name`; may be "".
    pub name: String,
    /// `protocol`; "" is TCP.
    pub protocol: String,
    /// `port`.
    pub port: i32,
}

impl Service {
    fn has_address(&self) -> bool {
        !self.cluster_ip.is_empty() && self.cluster_ip != "None"
    }
}

/// The variables of these services, in order.
pub fn service_env(services: &[Service]) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for service in services {
        // A service without a port has nothing to name.
        if let (true, Some(first)) = (service.has_address(), service.ports.first()) {
            variables(service, first, &mut env);
        }
    }
    env
}

fn variables(service: &Service, first: &ServicePort, env: &mut Vec<(String, String)>) {
    let prefix = variable_name(&service.name);
    let ip = &service.cluster_ip;
    let mut put = |name: String, value: String| env.push((name, value));
    put(format!("{prefix}_SERVICE_HOST"), ip.clone());
    put(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
    for port in service.ports.iter().filter(|p| !p.name.is_empty()) {
        let name = variable_name(&port.name);
        put(
            format!("{prefix}_SERVICE_PORT_{name}"),
            port.port.to_string(),
        );
    }
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.clone()
    };
    for (index, port) in service.ports.iter().enumerate() {
        let protocol = if port.protocol.is_empty() {
            "TCP"
        } else {
            &port.protocol
        };
        let lower = protocol.to_lowercase();
        let url = format!("{lower}://{host}:{}", port.port);
        if index == 0 {
            put(format!("{prefix}_PORT"), url.clone());
        }
        let name = format!("{prefix}_PORT_{}_{}", port.port, protocol.to_uppercase());
        put(name.clone(), url);
        put(format!("{name}_PROTO"), lower);
        put(format!("{name}_PORT"), port.port.to_string());
        put(format!("{name}_ADDR"), ip.clone());
    }
}

fn variable_name(text: &str) -> String {
    text.replace('-', "_").to_uppercase()
}

/// The variables of a pod of that namespace: of its services if `enableServiceLinks`, and always of `default/kubernetes`.
pub fn service_env_of_pod(
    services: &[Service],
    namespace: &str,
    links: bool,
) -> BTreeMap<String, String> {
    let mut chosen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services.iter().filter(|s| s.has_address()) {
        if service.namespace == "default" && service.name == "kubernetes" {
            chosen.entry(&service.name).or_insert(service);
        } else if service.namespace == namespace && links {
            chosen.insert(&service.name, service);
        }
    }
    let chosen: Vec<Service> = chosen.into_values().cloned().collect();
    service_env(&chosen).into_iter().collect()
}
