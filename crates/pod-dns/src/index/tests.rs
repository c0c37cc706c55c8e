use super::*;
use hickory_proto::op::OpCode;

fn port(name: &str, port: u16) -> Port {
    Port {
        name: name.to_owned(),
        protocol: "tcp".to_owned(),
        port,
    }
}

fn zone() -> Zone {
    let endpoint = |last: u8, hostname: Option<&str>| Endpoint {
        address: Ipv4Addr::new(10, 88, 0, last),
        hostname: hostname.map(str::to_owned),
        ports: vec![port("sql", 3306)],
    };
    let service = |name: &str, address: Option<Ipv4Addr>, endpoints| Service {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        address,
        ports: vec![port("http", 80), port("", 81)],
        endpoints,
    };
    Zone {
        domain: "cluster.local".to_owned(),
        address: Ipv4Addr::new(10, 88, 0, 1),
        subnets: vec![
            "10.88.0.0/24".parse().unwrap(),
            "10.89.0.0/23".parse().unwrap(),
        ],
        services: vec![
            service(
                "web",
                Some(Ipv4Addr::new(10, 89, 0, 7)),
                vec![endpoint(4, None)],
            ),
            service(
                "db",
                None,
                vec![endpoint(5, Some("db-0")), endpoint(6, None)],
            ),
            service("empty", None, Vec::new()),
        ],
        pods: vec![crate::zone::Pod {
            namespace: "shop".to_owned(),
            address: Ipv4Addr::new(10, 88, 0, 4),
        }],
        upstream: Vec::new(),
    }
}

/// Every record of an answer as `NAME TYPE DATA`, its code first unless it is none.
fn ask(name: &str, kind: RecordType) -> Vec<String> {
    let mut request = Message::query();
    request.metadata.op_code = OpCode::Query;
    request.metadata.id = 0;
    request.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let answer = match Index::new(&zone()).answer(&request) {
        Outcome::Answer(answer) => answer,
        Outcome::Elsewhere => return vec!["elsewhere".to_owned()],
    };
    assert!(answer.metadata.authoritative);
    let code = answer.metadata.response_code;
    let mut texts = Vec::new();
    if code != ResponseCode::NoError {
        texts.push(code.to_str().to_owned());
    }
    for record in &answer.answers {
        assert_eq!(record.ttl, TTL);
        texts.push(format!("{} {}", record.record_type(), record.data));
    }
    for record in &answer.additionals {
        texts.push(format!(
            "+ {} {} {}",
            record.name,
            record.record_type(),
            record.data
        ));
    }
    if answer.answers.is_empty() {
        let soa: Vec<_> = answer.authorities.iter().map(Record::record_type).collect();
        assert_eq!(soa, [RecordType::SOA]);
    }
    texts
}

#[test]
fn names_of_services_and_pods_are_answered_as_kubernetes_answers_them() {
    use RecordType as T;
    let missing = T::A; // only to keep the table's rows short
    for (name, kind, expect) in [
        ("web.shop.svc.cluster.local.", T::A, &["A 10.89.0.7"][..]),
        ("WEB.Shop.svc.cluster.LOCAL.", T::A, &["A 10.89.0.7"]),
        ("web.shop.svc.cluster.local.", T::AAAA, &[]),
        (
            "web.other.svc.cluster.local.",
            missing,
            &["Non-Existent Domain"],
        ),
        (
            "web.shop.svc.cluster.local.svc.cluster.local.",
            missing,
            &["Non-Existent Domain"],
        ),
        (
            "myservice.cluster.local.",
            missing,
            &["Non-Existent Domain"],
        ),
        ("shop.svc.cluster.local.", T::A, &[]),
        ("svc.cluster.local.", T::A, &[]),
        (
            "_http._tcp.web.shop.svc.cluster.local.",
            T::SRV,
            &[
                "SRV 0 100 80 web.shop.svc.cluster.local.",
                "+ web.shop.svc.cluster.local. A 10.89.0.7",
            ],
        ),
        (
            "_http._udp.web.shop.svc.cluster.local.",
            T::SRV,
            &["Non-Existent Domain"],
        ),
        (
            "db.shop.svc.cluster.local.",
            T::A,
            &["A 10.88.0.5", "A 10.88.0.6"],
        ),
        ("db-0.db.shop.svc.cluster.local.", T::A, &["A 10.88.0.5"]),
        (
            "10-88-0-6.db.shop.svc.cluster.local.",
            T::A,
            &["A 10.88.0.6"],
        ),
        (
            "10-88-0-5.db.shop.svc.cluster.local.",
            T::A,
            &["Non-Existent Domain"],
        ),
        (
            "_sql._tcp.db.shop.svc.cluster.local.",
            T::SRV,
            &[
                "SRV 0 50 3306 db-0.db.shop.svc.cluster.local.",
                "SRV 0 50 3306 10-88-0-6.db.shop.svc.cluster.local.",
                "+ 10-88-0-6.db.shop.svc.cluster.local. A 10.88.0.6",
                "+ db-0.db.shop.svc.cluster.local. A 10.88.0.5",
            ],
        ),
        ("empty.shop.svc.cluster.local.", T::A, &[]),
        ("10-88-0-4.shop.pod.cluster.local.", T::A, &["A 10.88.0.4"]),
        (
            "10-88-0-9.shop.pod.cluster.local.",
            T::A,
            &["Non-Existent Domain"],
        ),
        (
            "7.0.89.10.in-addr.arpa.",
            T::PTR,
            &["PTR web.shop.svc.cluster.local."],
        ),
        (
            "5.0.88.10.in-addr.arpa.",
            T::PTR,
            &["PTR db-0.db.shop.svc.cluster.local."],
        ),
        ("9.0.88.10.in-addr.arpa.", T::PTR, &["Non-Existent Domain"]),
        ("dns-version.cluster.local.", T::TXT, &["TXT 1.1.0"]),
        ("cluster.local.", T::NS, &["NS ns.dns.cluster.local."]),
        ("example.org.", T::A, &["elsewhere"]),
        ("myservice.", T::A, &["elsewhere"]),
        ("1.1.168.192.in-addr.arpa.", T::PTR, &["elsewhere"]),
    ] {
        assert_eq!(ask(name, kind), expect, "{name} {kind}");
    }
}

#[test]
fn records_take_turns() {
    let index = Index::new(&zone());
    let name = Name::from_ascii("db.shop.svc.cluster.local.").unwrap();
    let first = |id: u16| {
        let mut request = Message::query();
        request.metadata.id = id;
        request.add_query(Query::query(name.clone(), RecordType::A));
        match index.answer(&request) {
            Outcome::Answer(answer) => answer.answers.first().map(|r| r.data.to_string()),
            Outcome::Elsewhere => None,
        }
    };
    assert_eq!(first(2).as_deref(), Some("10.88.0.5"));
    assert_eq!(first(3).as_deref(), Some("10.88.0.6"));
}
