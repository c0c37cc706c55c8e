//! What is answered: records by name, as the DNS-based service discovery of Kubernetes (version 1.1.0) has them. Pure.
//!
//! ```text
//! SVC.NS.svc.DOMAIN                      A     the virtual address; of a Service without one, every endpoint
//! _PORT._PROTO.SVC.NS.svc.DOMAIN         SRV   the port's number and the name above; without an address, each endpoint by its own name
//! NAME.SVC.NS.svc.DOMAIN                 A     an endpoint of a Service without address: its hostname, or its address with dashes
//! A-B-C-D.NS.pod.DOMAIN                  A     a pod of that namespace
//! D.C.B.A.in-addr.arpa                   PTR   a Service, or an endpoint as above
//! dns-version.DOMAIN                     TXT   1.1.0
//! ```

use crate::zone::{Endpoint, Port, Service, Zone};
use hickory_proto::op::{Edns, Message, Metadata, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// How long an answer may be remembered, in seconds. That a name does not exist may be remembered no longer.
const TTL: u32 = 5;

/// Most bytes of an answer over UDP that no link on the way cuts into pieces.
const LARGEST_UDP: u16 = 1232;
/// What every client takes.
const SMALLEST_UDP: u16 = 512;

/// All records of a zone, by name.
#[derive(Debug)]
pub struct Index {
    domain: Name,
    /// Reverse names of the node's own subnets.
    reverse: BTreeSet<LowerName>,
    records: BTreeMap<LowerName, Vec<RData>>,
    /// Names that exist, those without records of their own too.
    names: BTreeSet<LowerName>,
}

/// What becomes of a query.
#[derive(Debug)]
pub enum Outcome {
    /// Answered from the zone.
    Answer(Box<Message>),
    /// Not for this zone: others are to be asked.
    Elsewhere,
}

impl Index {
    /// The records of a zone. What no name can be made of (a label too long) is left out.
    pub fn new(zone: &Zone) -> Self {
        let domain = name(&zone.domain).unwrap_or_else(Name::root);
        let mut index = Self {
            reverse: reverse_zones(zone),
            records: BTreeMap::new(),
            names: BTreeSet::new(),
            domain,
        };
        index.enter_server(zone);
        for service in &zone.services {
            index.enter_service(&zone.domain, service);
        }
        for pod in &zone.pods {
            let of_pod = format!(
                "{}.{}.pod.{}",
                dashed(pod.address),
                pod.namespace,
                zone.domain
            );
            index.put(&of_pod, RData::A(A(pod.address)));
        }
        index
    }

    fn enter_server(&mut self, zone: &Zone) {
        let server = format!("ns.dns.{}", zone.domain);
        self.put(&server, RData::A(A(zone.address)));
        self.put_name(&zone.domain, &server, |n| RData::NS(NS(n)));
        let soa = self.soa();
        self.put(&zone.domain, soa);
        let version = TXT::new(vec!["1.1.0".to_owned()]);
        self.put(&format!("dns-version.{}", zone.domain), RData::TXT(version));
    }

    fn enter_service(&mut self, domain: &str, service: &Service) {
        let own = format!("{}.{}.svc.{domain}", service.name, service.namespace);
        if let Some(address) = service.address {
            self.put(&own, RData::A(A(address)));
            self.put_name(&reverse(address), &own, |n| RData::PTR(PTR(n)));
            for port in &service.ports {
                self.put_port(&own, port, 100, &own);
            }
            return;
        }
        // The name exists while no pod is ready, too.
        if let Some(name) = name(&own) {
            self.exists(&name);
        }
        let count = u16::try_from(service.endpoints.len().max(1)).unwrap_or(100);
        for endpoint in &service.endpoints {
            let target = format!("{}.{own}", endpoint_name(endpoint));
            self.put(&own, RData::A(A(endpoint.address)));
            self.put(&target, RData::A(A(endpoint.address)));
            self.put_name(&reverse(endpoint.address), &target, |n| RData::PTR(PTR(n)));
            for port in &endpoint.ports {
                self.put_port(&own, port, (100 / count).max(1), &target);
            }
        }
    }

    fn put_port(&mut self, own: &str, port: &Port, weight: u16, target: &str) {
        if port.name.is_empty() {
            return;
        }
        let of_port = format!("_{}._{}.{own}", port.name, port.protocol);
        self.put_name(&of_port, target, |n| {
            RData::SRV(SRV::new(0, weight, port.port, n))
        });
    }

    fn put_name(&mut self, at: &str, target: &str, data: impl FnOnce(Name) -> RData) {
        if let Some(target) = name(target) {
            self.put(at, data(target));
        }
    }

    fn put(&mut self, at: &str, data: RData) {
        let Some(name) = name(at) else { return };
        self.exists(&name);
        let of_name = self.records.entry(LowerName::new(&name)).or_default();
        if !of_name.contains(&data) {
            of_name.push(data);
        }
    }

    /// The name and all above it, up to the domain.
    fn exists(&mut self, name: &Name) {
        let mut name = name.clone();
        while self.domain.zone_of(&name) && self.names.insert(LowerName::new(&name)) {
            name = name.base_name();
        }
        self.names.insert(LowerName::new(&name));
    }

    fn soa(&self) -> RData {
        let of = |label: &str| {
            self.domain
                .prepend_label(label)
                .unwrap_or_else(|_| Name::root())
        };
        let server = name(&format!("ns.dns.{}", self.domain)).unwrap_or_else(Name::root);
        RData::SOA(SOA::new(
            server,
            of("hostmaster"),
            1,
            7200,
            1800,
            86_400,
            TTL,
        ))
    }

    /// What becomes of a query.
    pub fn answer(&self, request: &Message) -> Outcome {
        let Some(query) = request.queries.first() else {
            return Outcome::Answer(Box::new(refusal(request, ResponseCode::FormErr)));
        };
        let asked = LowerName::new(query.name());
        let own = self.domain.zone_of(query.name())
            || self.reverse.iter().any(|zone| zone.zone_of(&asked));
        if !own || query.query_class() != DNSClass::IN {
            return Outcome::Elsewhere;
        }
        let mut answer = reply(request);
        answer.metadata.authoritative = true;
        let kind = query.query_type();
        let records = self.records.get(&asked).map_or(&[][..], Vec::as_slice);
        let fit = records
            .iter()
            .filter(|data| kind == RecordType::ANY || data.record_type() == kind);
        answer.answers = fit
            .map(|data| Record::from_rdata(query.name().clone(), TTL, data.clone()))
            .collect();
        turn(&mut answer.answers, request.metadata.id);
        self.add_targets(&mut answer);
        if answer.answers.is_empty() {
            let soa = Record::from_rdata(self.domain.clone(), TTL, self.soa());
            answer.authorities.push(soa);
            if !self.names.contains(&asked) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        Outcome::Answer(Box::new(answer))
    }

    /// Addresses of the names that SRV records lead to, so that nobody needs to ask again.
    fn add_targets(&self, answer: &mut Message) {
        let mut targets = BTreeSet::new();
        for record in &answer.answers {
            if let RData::SRV(srv) = &record.data {
                targets.insert(srv.target.clone());
            }
        }
        for target in targets {
            let records = self.records.get(&LowerName::new(&target));
            let addresses = records.into_iter().flatten();
            let addresses = addresses.filter(|d| d.record_type() == RecordType::A);
            let records = addresses.map(|d| Record::from_rdata(target.clone(), TTL, d.clone()));
            answer.additionals.extend(records);
        }
    }
}

/// Begins with another record each time, so that clients that take the first one spread.
fn turn(records: &mut [Record], by: u16) {
    if !records.is_empty() {
        let by = usize::from(by) % records.len();
        records.rotate_left(by);
    }
}

/// An empty answer to that request.
fn reply(request: &Message) -> Message {
    let mut answer = Message::response(request.metadata.id, request.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&request.metadata);
    answer.metadata.recursion_available = true;
    answer.queries = request.queries.iter().take(1).map(Query::clone).collect();
    if request.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_UDP);
        answer.edns = Some(edns);
    }
    answer
}

/// An answer that says no.
pub fn refusal(request: &Message, code: ResponseCode) -> Message {
    let mut answer = reply(request);
    answer.metadata.response_code = code;
    answer
}

/// How long an answer to that request may be over UDP.
pub fn udp_limit(request: &Message) -> usize {
    let asked = request
        .edns
        .as_ref()
        .map_or(SMALLEST_UDP, Edns::max_payload);
    usize::from(asked.clamp(SMALLEST_UDP, LARGEST_UDP))
}

fn name(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

fn dashed(ip: Ipv4Addr) -> String {
    ip.to_string().replace('.', "-")
}

fn endpoint_name(endpoint: &Endpoint) -> String {
    match &endpoint.hostname {
        Some(name) => name.clone(),
        None => dashed(endpoint.address),
    }
}

fn reverse(ip: Ipv4Addr) -> String {
    Name::from(IpAddr::V4(ip)).to_ascii()
}

/// The reverse names that cover the zone's subnets, whole octets at a time.
fn reverse_zones(zone: &Zone) -> BTreeSet<LowerName> {
    let of_subnet = |net: &ipnet::Ipv4Net| {
        let octets = net.network().octets();
        let whole = usize::from(net.prefix_len() / 8).max(1);
        let labels: Vec<String> = octets.iter().take(whole).rev().map(u8::to_string).collect();
        name(&format!("{}.in-addr.arpa", labels.join(".")))
    };
    let names = zone.subnets.iter().filter_map(of_subnet);
    names.map(|n| LowerName::new(&n)).collect()
}

#[cfg(test)]
mod tests;
