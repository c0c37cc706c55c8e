//! What pods and Services ask of the network: rules of translation, and names. Pure.

use super::network::Wanted;
use pod_dns::zone::{self, Zone};
use pod_model::pod::{Pod, Port};
use pod_model::service::{Service, ServiceAddress, ServicePort};
use pod_network::{Endpoint, HostPort, Rules, Subnets, VirtualPort};
use pod_plan::endpoints::{Running, ports, protocol};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What does not change while the daemon runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Domain of the cluster.
    pub domain: String,
    /// Subnets of pods and Services.
    pub subnets: Subnets,
    /// The node's own resolvers.
    pub upstream: Vec<SocketAddr>,
}

/// The resolvers of a resolv.conf; not the pods' own one, which would ask itself.
pub fn upstream(resolv_conf: Option<&str>, but: Ipv4Addr) -> Vec<SocketAddr> {
    let servers = resolv_conf
        .and_then(|text| pod_plan::configs::dns::parse_resolv_conf(text).ok())
        .map(|resolver| resolver.servers)
        .unwrap_or_default();
    let addresses = servers.iter().filter_map(|s| s.parse::<IpAddr>().ok());
    addresses
        .filter(|ip| *ip != IpAddr::V4(but))
        .map(|ip| SocketAddr::new(ip, 53))
        .collect()
}

/// What is wanted now.
pub fn wanted<'a>(
    facts: &Facts,
    pods: impl Iterator<Item = &'a Pod>,
    services: impl Iterator<Item = &'a Service>,
) -> Wanted {
    let running = pods.filter_map(|pod| {
        let running = Running::of(pod)?;
        let ip = running.ip.parse().ok()?;
        Some(Addressed { running, ip })
    });
    let running: Vec<Addressed<'_>> = running.collect();
    let mut rules = Rules::default();
    let mut names = Vec::new();
    for service in services {
        let backends = running.iter().filter(|a| a.running.serves(service));
        let backends: Vec<&Addressed<'_>> = backends.collect();
        if let ServiceAddress::Fixed(IpAddr::V4(ip)) = service.address {
            let ports = service
                .ports
                .iter()
                .map(|port| virtual_port(service, ip, port, &backends));
            rules.virtual_ports.extend(ports);
        }
        names.extend(name(service, &backends));
    }
    let mut pods = Vec::new();
    for own in running.iter().filter(|a| !a.pod().spec.host_network) {
        rules.pods.insert(own.ip);
        rules.host_ports.extend(host_ports(own));
        pods.push(zone::Pod {
            namespace: own.pod().metadata.namespace.to_string(),
            address: own.ip,
        });
    }
    pods.sort_by_key(|p| p.address);
    Wanted {
        rules,
        zone: Zone {
            domain: facts.domain.clone(),
            address: facts.subnets.gateway(),
            subnets: vec![facts.subnets.pods, facts.subnets.services],
            services: names,
            pods,
            upstream: facts.upstream.clone(),
        },
    }
}

/// A pod with an address of this network's family.
#[derive(Clone, Copy, Debug)]
struct Addressed<'a> {
    running: Running<'a>,
    ip: Ipv4Addr,
}

impl<'a> Addressed<'a> {
    fn pod(&self) -> &'a Pod {
        self.running.pod
    }
}

fn virtual_port(
    service: &Service,
    ip: Ipv4Addr,
    port: &ServicePort,
    backends: &[&Addressed<'_>],
) -> VirtualPort {
    let endpoint = |a: &&Addressed<'_>| {
        Some(Endpoint {
            ip: a.ip,
            port: a.running.target(port)?,
        })
    };
    VirtualPort {
        ip,
        transport: port.protocol,
        port: port.port,
        node_port: port.node_port,
        endpoints: backends.iter().filter_map(endpoint).collect(),
        sticky: service.client_affinity_seconds.is_some(),
    }
}

fn host_ports(own: &Addressed<'_>) -> Vec<HostPort> {
    let host_port = |port: &Port| {
        let number = port.host_port.filter(|n| *n != 0)?;
        let ip = port.host_ip.as_deref().filter(|ip| !ip.is_empty());
        let ip = match ip {
            None | Some("0.0.0.0") => None,
            // An address of the other family is none of this network's.
            Some(text) => Some(text.parse().ok()?),
        };
        Some(HostPort {
            ip,
            transport: protocol(port)?,
            port: u16::try_from(number).ok()?,
            to: Endpoint {
                ip: own.ip,
                port: u16::try_from(port.container_port).ok()?,
            },
        })
    };
    ports(own.pod()).filter_map(host_port).collect()
}

/// A Service's names; `None` for one whose address is not known.
fn name(service: &Service, backends: &[&Addressed<'_>]) -> Option<zone::Service> {
    let address = match service.address {
        ServiceAddress::Fixed(IpAddr::V4(ip)) => Some(ip),
        ServiceAddress::Headless => None,
        ServiceAddress::Fixed(IpAddr::V6(_)) | ServiceAddress::Any => return None,
    };
    let named = |port: &ServicePort, number: u16| zone::Port {
        name: port.name.clone(),
        protocol: port.protocol.as_str().to_ascii_lowercase(),
        port: number,
    };
    let endpoint = |a: &&Addressed<'_>| {
        let spec = &a.pod().spec;
        let below = spec.subdomain.as_deref() == Some(service.name.as_str());
        let ports = service.ports.iter();
        zone::Endpoint {
            address: a.ip,
            hostname: spec.hostname.clone().filter(|_| below),
            ports: ports
                .filter_map(|port| Some(named(port, a.running.target(port)?)))
                .collect(),
        }
    };
    Some(zone::Service {
        namespace: service.namespace.to_string(),
        name: service.name.to_string(),
        address,
        ports: service.ports.iter().map(|p| named(p, p.port)).collect(),
        // Only these are named; those behind an address change without its name changing.
        endpoints: match address {
            None => backends.iter().map(endpoint).collect(),
            Some(_) => Vec::new(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::pod::IntOrString;
    use pod_model::service::Protocol;
    use serde_json::{Value, json};

    fn facts() -> Facts {
        let net = |text: &str| text.parse().unwrap();
        Facts {
            domain: "cluster.local".to_owned(),
            subnets: Subnets::new(net("10.88.0.0/24"), net("10.89.0.0/24")).unwrap(),
            upstream: Vec::new(),
        }
    }

    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let mut value = json!({
            "metadata": {"name": "p", "namespace": "ns", "labels": {"app": "db"}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [
                {"name": "sql", "containerPort": 3306, "hostPort": 13306, "protocol": "TCP"},
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

    fn service(address: ServiceAddress) -> Service {
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
            address,
            ..Service::default()
        }
    }

    #[test]
    fn a_service_without_address_is_named_by_its_pods() {
        let own = pod(|v| {
            v["spec"]["hostname"] = json!("db-0");
            v["spec"]["subdomain"] = json!("db");
        });
        let headless = service(ServiceAddress::Headless);
        let wanted = wanted(&facts(), [&own].into_iter(), [&headless].into_iter());
        assert!(wanted.rules.virtual_ports.is_empty());
        let names = &wanted.zone.services[0];
        assert_eq!(names.address, None);
        assert_eq!(names.endpoints[0].hostname.as_deref(), Some("db-0"));
        assert_eq!(names.endpoints[0].ports[0].port, 3306);
    }

    #[test]
    fn host_ports_lead_to_pods_that_have_a_network_of_their_own() {
        let of = |pod: &Pod| wanted(&facts(), [pod].into_iter(), [].into_iter()).rules;
        let rules = of(&pod(|_| {}));
        assert_eq!(rules.host_ports.len(), 1);
        assert_eq!(rules.host_ports[0].port, 13_306);
        assert_eq!(rules.host_ports[0].to.port, 3306);
        let on_node = of(&pod(|v| v["spec"]["hostNetwork"] = json!(true)));
        assert!(on_node.host_ports.is_empty() && on_node.pods.is_empty());
    }

    #[test]
    fn the_pods_own_server_is_not_asked_by_itself() {
        let text = "nameserver 10.88.0.1\nnameserver 127.0.0.53\nnameserver bad\n";
        let found = upstream(Some(text), Ipv4Addr::new(10, 88, 0, 1));
        assert_eq!(found, ["127.0.0.53:53".parse().unwrap()]);
        assert!(upstream(None, Ipv4Addr::LOCALHOST).is_empty());
    }
}
