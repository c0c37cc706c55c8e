//! Services as `get` and `describe` show them, as kubectl 1.36 lays them out.

use crate::describe::{annotations, label_list, pairs};
use crate::duration::since;
use crate::pod_row::Columns;
use crate::table::Table;
use crate::tabs::{Indented, align};
use jiff::Timestamp;
use pod_model::pod::IntOrString;
use pod_model::service::{Service, ServiceAddress, ServiceKind};

/// The table of `get services`.
pub fn service_table(services: &[Service], columns: Columns, now: Timestamp) -> Table {
    let mut header = Vec::new();
    if columns.namespace {
        header.push("NAMESPACE");
    }
    header.extend([
        "NAME",
        "TYPE",
        "CLUSTER-IP",
        "EXTERNAL-IP",
        "PORT(S)",
        "AGE",
    ]);
    if columns.wide {
        header.push("SELECTOR");
    }
    if columns.labels {
        header.push("LABELS");
    }
    let mut table = Table::new(header);
    for service in services {
        let mut cells = Vec::new();
        if columns.namespace {
            cells.push(service.namespace.to_string());
        }
        cells.push(if columns.kind {
            format!("service/{}", service.name)
        } else {
            service.name.to_string()
        });
        cells.extend([
            service.kind.as_str().to_owned(),
            address(service),
            "<none>".to_owned(),
            ports(service),
            since(service.creation_timestamp, now),
        ]);
        if columns.wide {
            cells.push(label_list(&service.selector));
        }
        if columns.labels {
            cells.push(label_list(&service.labels));
        }
        table.rows.push(cells);
    }
    table
}

fn address(service: &Service) -> String {
    match service.address {
        ServiceAddress::Fixed(ip) => ip.to_string(),
        ServiceAddress::Headless => "None".to_owned(),
        ServiceAddress::Any => "<none>".to_owned(),
    }
}

/// `80/TCP,443:30443/TCP`.
fn ports(service: &Service) -> String {
    if service.ports.is_empty() {
        return "<none>".to_owned();
    }
    let all = service.ports.iter();
    let texts: Vec<String> = all
        .map(|p| match p.node_port {
            Some(node) => format!("{}:{node}/{}", p.port, p.protocol),
            None => format!("{}/{}", p.port, p.protocol),
        })
        .collect();
    texts.join(",")
}

/// How many endpoints are named before the rest is counted.
const MOST_ENDPOINTS: usize = 3;

/// The text of `describe service`. `endpoints` has those of each port, in the order of the ports; `None` leaves the events out.
pub fn describe_service(service: &Service, endpoints: &[Vec<String>], events: bool) -> String {
    let mut out = Indented::new();
    out.line(0, format!("Name:\t{}", service.name));
    out.line(0, format!("Namespace:\t{}", service.namespace));
    pairs(&mut out, "Labels", &service.labels);
    annotations(&mut out, &service.annotations);
    out.line(0, format!("Selector:\t{}", label_list(&service.selector)));
    out.line(0, format!("Type:\t{}", service.kind.as_str()));
    out.line(0, "IP Family Policy:\tSingleStack");
    out.line(0, "IP Families:\tIPv4");
    let address = address(service);
    out.line(0, format!("IP:\t{address}"));
    out.line(0, format!("IPs:\t{address}"));
    for (port, behind) in service.ports.iter().zip(endpoints) {
        let name = match port.name.as_str() {
            "" => "<unset>",
            name => name,
        };
        out.line(0, format!("Port:\t{name}\t{}/{}", port.port, port.protocol));
        let target = match &port.target_port {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(name) => name.clone(),
        };
        out.line(0, format!("TargetPort:\t{target}/{}", port.protocol));
        if let Some(node) = port.node_port {
            out.line(0, format!("NodePort:\t{name}\t{node}/{}", port.protocol));
        }
        out.line(0, format!("Endpoints:\t{}", listed(service, behind)));
    }
    let affinity = match service.client_affinity_seconds {
        Some(_) => "ClientIP",
        None => "None",
    };
    out.line(0, format!("Session Affinity:\t{affinity}"));
    if service.kind == ServiceKind::NodePort {
        let policy = match service.external_local {
            true => "Local",
            false => "Cluster",
        };
        out.line(0, format!("External Traffic Policy:\t{policy}"));
    }
    out.line(0, "Internal Traffic Policy:\tCluster");
    if events {
        out.line(0, "Events:\t<none>");
    }
    align(&out.into_text(), 0, 2)
}

/// A Service without selector has no list of endpoints at all; one with a selector that picks no ready pod has an empty one.
fn listed(service: &Service, endpoints: &[String]) -> String {
    if service.selector.is_empty() {
        return "<none>".to_owned();
    }
    let first: Vec<&str> = endpoints
        .iter()
        .take(MOST_ENDPOINTS)
        .map(String::as_str)
        .collect();
    match endpoints.len().checked_sub(MOST_ENDPOINTS) {
        Some(more) if more > 0 => format!("{} + {more} more...", first.join(",")),
        _ => first.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pod_model::service::{Protocol, ServicePort};

    fn service() -> Service {
        Service {
            namespace: "default".into(),
            name: "myservice".into(),
            creation_timestamp: Some(Timestamp::UNIX_EPOCH),
            ports: vec![ServicePort {
                name: String::new(),
                port: 80,
                target_port: IntOrString::Int(9376),
                protocol: Protocol::Tcp,
                node_port: None,
            }],
            address: ServiceAddress::Fixed("10.89.0.1".parse().unwrap()),
            ..Service::default()
        }
    }

    #[test]
    fn a_service_is_listed_with_its_address_and_ports() {
        let now = Timestamp::from_second(42).unwrap();
        let headless = Service {
            name: "db".into(),
            address: ServiceAddress::Headless,
            ports: Vec::new(),
            selector: [("app".to_owned(), "db".to_owned())].into(),
            ..service()
        };
        let mut open = Service {
            name: "open".into(),
            kind: ServiceKind::NodePort,
            ..service()
        };
        open.ports[0].node_port = Some(30_080);
        let columns = Columns {
            wide: true,
            ..Columns::default()
        };
        let table = service_table(&[service(), headless, open.clone()], columns, now).render(true);
        assert_eq!(
            table,
            "NAME        TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)        AGE   SELECTOR\n\
             myservice   ClusterIP   10.89.0.1    <none>        80/TCP         42s   <none>\n\
             db          ClusterIP   None         <none>        <none>         42s   app=db\n\
             open        NodePort    10.89.0.1    <none>        80:30080/TCP   42s   <none>\n"
        );
        let text = describe_service(&open, &[Vec::new()], false);
        for line in [
            "Type:                     NodePort\n",
            "TargetPort:               9376/TCP\nNodePort:                 <unset>  30080/TCP\n",
            "Session Affinity:         None\nExternal Traffic Policy:  Cluster\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn a_service_is_described_line_by_line() {
        assert_eq!(
            describe_service(&service(), &[Vec::new()], true),
            "Name:                     myservice\n\
             Namespace:                default\n\
             Labels:                   <none>\n\
             Annotations:              <none>\n\
             Selector:                 <none>\n\
             Type:                     ClusterIP\n\
             IP Family Policy:         SingleStack\n\
             IP Families:              IPv4\n\
             IP:                       10.89.0.1\n\
             IPs:                      10.89.0.1\n\
             Port:                     <unset>  80/TCP\n\
             TargetPort:               9376/TCP\n\
             Endpoints:                <none>\n\
             Session Affinity:         None\n\
             Internal Traffic Policy:  Cluster\n\
             Events:                   <none>\n"
        );
        let selecting = Service {
            selector: [("app".to_owned(), "x".to_owned())].into(),
            ..service()
        };
        let many: Vec<String> = (1..=5).map(|n| format!("10.88.0.{n}:80")).collect();
        let text = describe_service(&selecting, &[many], false);
        assert!(
            text.contains(
                "Endpoints:                10.88.0.1:80,10.88.0.2:80,10.88.0.3:80 + 2 more...\n"
            ),
            "{text}"
        );
    }
}
