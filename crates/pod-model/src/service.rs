//! A Service as podwright reads it: a name and an address that stand for the ready pods that a selector picks.

use crate::ids::{Namespace, ServiceName};
use crate::pod::IntOrString;
use core::net::IpAddr;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A Service of type ClusterIP or NodePort, after validation and defaults. Other types have no value here: pod-manifest refuses them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// `metadata.namespace`.
    pub namespace: Namespace,
    /// `metadata.name`.
    pub name: ServiceName,
    /// `metadata.uid`; empty until the node gives one.
    pub uid: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `metadata.creationTimestamp`; none until the node gives one.
    pub creation_timestamp: Option<Timestamp>,
    /// `spec.selector`: the labels that a pod must have. Empty: the Service has no pods of its own, and still has a name and an address.
    pub selector: BTreeMap<String, String>,
    /// `spec.type`.
    #[serde(rename = "type")]
    pub kind: ServiceKind,
    /// `spec.externalTrafficPolicy: Local`. On one node it changes nothing: pods see who asks either way.
    pub external_local: bool,
    /// `spec.ports`. Only a headless Service may have none.
    pub ports: Vec<ServicePort>,
    /// `spec.clusterIP`.
    pub address: ServiceAddress,
    /// `spec.sessionAffinity: ClientIP`: for how many seconds one client stays with one pod.
    pub client_affinity_seconds: Option<u32>,
    /// `spec.publishNotReadyAddresses`: pods count although they are not ready.
    pub publish_not_ready: bool,
}

impl Service {
    /// Whether a pod with these labels, in this namespace, belongs to it. A Service without selector has no pods.
    pub fn selects(&self, namespace: &Namespace, labels: &BTreeMap<String, String>) -> bool {
        !self.selector.is_empty()
            && self.namespace == *namespace
            && self
                .selector
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// `spec.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum ServiceKind {
    #[default]
    ClusterIP,
    NodePort,
}

impl ServiceKind {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceKind::ClusterIP => "ClusterIP",
            ServiceKind::NodePort => "NodePort",
        }
    }
}

/// Ports of the node that Services may have, as Kubernetes has them.
pub const NODE_PORTS: core::ops::RangeInclusive<u16> = 30_000..=32_767;

/// Which virtual address a Service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ServiceAddress {
    /// The node chooses one.
    #[default]
    Any,
    /// This one: asked for by the manifest, or chosen before.
    Fixed(IpAddr),
    /// None (`clusterIP: None`): its name stands for the addresses of its pods.
    Headless,
}

impl ServiceAddress {
    /// The address, where it is known.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            ServiceAddress::Fixed(ip) => Some(*ip),
            ServiceAddress::Any | ServiceAddress::Headless => None,
        }
    }
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// `name`; "" where the Service has but one port.
    pub name: String,
    /// `port`: the port of the virtual address.
    pub port: u16,
    /// `targetPort`: a port of the pod, by number or by the name that a container gives it.
    pub target_port: IntOrString,
    /// `protocol`.
    pub protocol: Protocol,
    /// `nodePort`: the port of the node that leads here too. With type NodePort none = the node chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u16>,
}

/// The transport of a port.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "names are those of the API")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn a_selector_picks_pods_of_its_namespace_that_have_all_its_labels() {
        let of = |selector: &[(&str, &str)]| Service {
            namespace: "ns".into(),
            selector: labels(selector),
            ..Service::default()
        };
        for (selector, namespace, pod, picked) in [
            (
                &[("app", "db")][..],
                "ns",
                &[("app", "db"), ("x", "y")][..],
                true,
            ),
            (&[("app", "db")], "other", &[("app", "db")], false),
            (
                &[("app", "db"), ("tier", "1")],
                "ns",
                &[("app", "db")],
                false,
            ),
            (&[("app", "db")], "ns", &[("app", "web")], false),
            (&[], "ns", &[("app", "db")], false),
        ] {
            let found = of(selector).selects(&namespace.into(), &labels(pod));
            assert_eq!(found, picked, "{selector:?} in {namespace}: {pod:?}");
        }
    }

    #[test]
    fn only_a_fixed_address_is_known_and_protocols_are_written_in_capitals() {
        let ip: IpAddr = "10.1.2.3".parse().unwrap();
        assert_eq!(ServiceAddress::Fixed(ip).ip(), Some(ip));
        assert_eq!(ServiceAddress::Any.ip(), None);
        assert_eq!(ServiceAddress::Headless.ip(), None);
        let names = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].map(|p| p.to_string());
        assert_eq!(names, ["TCP", "UDP", "SCTP"]);
    }
}
