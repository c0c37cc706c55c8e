//! What the server knows: the file that the node daemon writes, whole each time, under a temporary name first.

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};

/// Name of the file in its folder. When it is removed, the server ends.
pub const FILE: &str = "zone.json";

/// Everything that names are answered from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Domain of the cluster, such as `cluster.local`: what is below it and not known does not exist.
    pub domain: String,
    /// Address of this server.
    pub address: Ipv4Addr,
    /// Subnets of pods and Services: of their addresses, those that are not known have no names.
    pub subnets: Vec<Ipv4Net>,
    /// Services.
    pub services: Vec<Service>,
    /// Pods with an address.
    pub pods: Vec<Pod>,
    /// Whom to ask for all other names; none: they do not exist.
    pub upstream: Vec<SocketAddr>,
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Its virtual address; none: its name stands for its endpoints.
    pub address: Option<Ipv4Addr>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Pods behind it; only those of a Service without address are named.
    pub endpoints: Vec<Endpoint>,
}

/// A port with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name; "" has no record.
    pub name: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Its number.
    pub port: u16,
}

/// A pod behind a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its address.
    pub address: Ipv4Addr,
    /// `spec.hostname` of a pod whose `spec.subdomain` is the Service's name.
    pub hostname: Option<String>,
    /// The Service's ports, with this pod's numbers.
    pub ports: Vec<Port>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// `metadata.namespace`.
    pub namespace: String,
    /// Its address.
    pub address: Ipv4Addr,
}
