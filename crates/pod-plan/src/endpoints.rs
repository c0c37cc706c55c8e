//! Which pods stand behind a Service, and by which port.

use pod_model::pod::{ContainerKind, IntOrString, Pod, Port};
use pod_model::service::{Protocol, Service, ServicePort};
use pod_model::status::Phase;

/// A pod that has an address and has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its address, as its status has it.
    pub ip: &'a str,
    /// Whether it is ready, and stays.
    pub ready: bool,
}

impl<'a> Running<'a> {
    /// The pod, if it has an address and has not ended: of one that has, somebody else may have the address now.
    pub fn of(pod: &'a Pod) -> Option<Self> {
        let status = pod.status.as_ref()?;
        if status.phase.is_some_and(Phase::is_terminal) || status.pod_ip.is_empty() {
            return None;
        }
        let ready = status
            .conditions
            .iter()
            .any(|c| c.kind == "Ready" && c.status == "True");
        Some(Self {
            pod,
            ip: &status.pod_ip,
            ready: ready && !pod.is_deleted(),
        })
    }

    /// Whether it stands behind that Service: the selector picks it, and it is ready, unless the Service says that this is no matter.
    pub fn serves(&self, service: &Service) -> bool {
        let metadata = &self.pod.metadata;
        service.selects(&metadata.namespace, &metadata.labels)
            && (self.ready || service.publish_not_ready)
    }

    /// The number of a Service's port in this pod; `None` where no container has a port of that name.
    pub fn target(&self, port: &ServicePort) -> Option<u16> {
        match &port.target_port {
            IntOrString::Int(number) => u16::try_from(*number).ok(),
            IntOrString::String(name) => {
                let of_name = |p: &&Port| {
                    p.name.as_deref() == Some(name) && protocol(p) == Some(port.protocol)
                };
                let number = ports(self.pod).find(of_name)?.container_port;
                u16::try_from(number).ok()
            }
        }
    }
}

/// The ports that a pod's containers name, its init containers' too.
pub fn ports(pod: &Pod) -> impl Iterator<Item = &Port> {
    let kinds = [ContainerKind::App, ContainerKind::Init];
    let containers = kinds.into_iter().flat_map(|kind| pod.spec.list(kind));
    containers.flat_map(|c| &c.ports)
}

/// The transport of a container's port.
pub fn protocol(port: &Port) -> Option<Protocol> {
    match port.protocol.as_deref().unwrap_or_default() {
        "" | "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}

/// `ADDRESS:PORT` of every pod behind one port of a Service.
pub fn endpoints<'a>(
    service: &Service,
    port: &ServicePort,
    pods: impl Iterator<Item = &'a Pod>,
) -> Vec<String> {
    let backends = pods.filter_map(Running::of).filter(|r| r.serves(service));
    backends
        .filter_map(|r| Some(format!("{}:{}", r.ip, r.target(port)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::service::ServiceAddress;
    use serde_json::{Value, json};

    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let mut value = json!({
            "metadata": {"name": "p", "namespace": "ns", "labels": {"app": "db"}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [
                {"name": "sql", "containerPort": 3306, "protocol": "TCP"},
            ]}]},
            "status": {
                "phase": "Running",
                "podIP": "10.88.0.5",
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn service() -> Service {
        Service {
            namespace: "ns".into(),
            name: "db".into(),
            selector: [("app".to_owned(), "db".to_owned())].into(),
            ports: vec![ServicePort {
                name: "mysql".to_owned(),
                port: 80,
                target_port: IntOrString::String("sql".to_owned()),
                protocol: Protocol::Tcp,
                node_port: None,
            }],
            address: ServiceAddress::Any,
            ..Service::default()
        }
    }

    #[test]
    fn only_pods_that_are_ready_selected_and_have_the_port_are_behind_a_service() {
        let behind =
            |pod: &Pod, service: &Service| endpoints(service, &service.ports[0], [pod].into_iter());
        let set = |path: &'static str, to: Value| {
            pod(move |value| *value.pointer_mut(path).unwrap() = to)
        };
        let own = service();
        let all = ["10.88.0.5:3306"];
        for (pod, expect) in [
            (pod(|_| {}), &all[..]),
            (set("/status/conditions/0/status", json!("False")), &[]),
            (set("/status/phase", json!("Succeeded")), &[]),
            (set("/status/podIP", json!("")), &[]),
            (set("/metadata/labels/app", json!("web")), &[]),
            (set("/metadata/namespace", json!("other")), &[]),
            (
                pod(|v| v["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z")),
                &[],
            ),
            (set("/spec/containers/0/ports/0/name", json!("x")), &[]),
            (
                set("/spec/containers/0/ports/0/protocol", json!("UDP")),
                &[],
            ),
        ] {
            assert_eq!(behind(&pod, &own), expect, "{pod:?}");
        }
        let any = Service {
            publish_not_ready: true,
            ..own
        };
        let unready = set("/status/conditions/0/status", json!("False"));
        assert_eq!(behind(&unready, &any), all);
    }

    #[test]
    fn a_port_without_a_protocol_is_tcp_and_one_that_nobody_knows_is_of_none() {
        for (text, known) in [
            (None, Some(Protocol::Tcp)),
            (Some(""), Some(Protocol::Tcp)),
            (Some("TCP"), Some(Protocol::Tcp)),
            (Some("UDP"), Some(Protocol::Udp)),
            (Some("SCTP"), Some(Protocol::Sctp)),
            (Some("tcp"), None),
        ] {
            let port = Port {
                protocol: text.map(str::to_owned),
                ..Port::default()
            };
            assert_eq!(protocol(&port), known, "{text:?}");
        }
    }
}
