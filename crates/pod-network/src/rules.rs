//! What the node does with packets of pods and to Services, as a table of nftables. Pure.
//!
//! ```text
//! prerouting, output   a Service's address and port → one of its endpoints; a host port → its pod; a Service's port of the node likewise
//! prerouting, output   what still goes to an address of the Services' subnet: refused at once, nobody is behind it
//! postrouting          what a pod sends to itself by a Service, and what leaves the node: under the node's address
//! ```

use crate::nft::{
    Chain, Element, Expression, Hook, LOCAL, NEXT, OTHER, OUTPUT, POST_ROUTING, PRE_ROUTING,
    REGISTER, Set, THIRD, Table, To, types,
};
use crate::subnet::Subnets;
use pod_model::service::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// All that pods and Services ask of the node's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ports of virtual addresses.
    pub virtual_ports: Vec<VirtualPort>,
    /// Ports of the node that lead to pods.
    pub host_ports: Vec<HostPort>,
    /// Addresses of pods.
    pub pods: BTreeSet<Ipv4Addr>,
}

/// Number of a protocol, as IP headers have it.
fn number(transport: Protocol) -> u8 {
    match transport {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// One port of a Service's virtual address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualPort {
    /// The virtual address.
    pub ip: Ipv4Addr,
    /// Its transport.
    pub transport: Protocol,
    /// Its port.
    pub port: u16,
    /// The port of the node that leads here too: on each of its addresses but loopback.
    pub node_port: Option<u16>,
    /// Where connections go, each with the same chance. None: they are refused.
    pub endpoints: Vec<Endpoint>,
    /// Whether a client always gets the same endpoint, as long as these stay the same.
    pub sticky: bool,
}

/// A port of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Endpoint {
    pub ip: Ipv4Addr,
    pub port: u16,
}

/// A port of the node that leads to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Only this address of the node; `None` = each but loopback.
    pub ip: Option<Ipv4Addr>,
    /// Its transport.
    pub transport: Protocol,
    /// Its port.
    pub port: u16,
    /// The pod's port.
    pub to: Endpoint,
}

const SERVICES: &str = "services";
const HOST_PORTS: &str = "host-ports";
const ADDRESS_PORTS: &str = "address-ports";
const NODE_PORTS: &str = "node-ports";
const SELF: &str = "to-itself";

/// After the kernel's own connection tracking, where `dstnat` is.
const TRANSLATE: i32 = -100;
/// Just after it.
const REFUSE: i32 = -90;
/// `srcnat`.
const LEAVE: i32 = 100;

const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

/// Loads destination address, protocol and destination port, side by side.
fn destination_key() -> Vec<Expression> {
    vec![
        address(DESTINATION, REGISTER),
        Expression::Protocol { to: NEXT },
        port(THIRD),
    ]
}

fn address(offset: u32, to: u32) -> Expression {
    Expression::Network {
        offset,
        length: 4,
        to,
    }
}

fn port(to: u32) -> Expression {
    Expression::Transport {
        offset: 2,
        length: 2,
        to,
    }
}

/// A value of one or two bytes in a 4 byte register.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut all = bytes.to_vec();
    all.resize(4, 0);
    all
}

fn port_key(transport: Protocol, port: u16) -> Vec<u8> {
    let mut key = padded(&[number(transport)]);
    key.extend(padded(&port.to_be_bytes()));
    key
}

fn address_key(ip: Ipv4Addr, transport: Protocol, port: u16) -> Vec<u8> {
    let mut key = ip.octets().to_vec();
    key.extend(port_key(transport, port));
    key
}

fn endpoint(to: &Endpoint) -> Vec<u8> {
    let mut value = to.ip.octets().to_vec();
    value.extend(padded(&to.port.to_be_bytes()));
    value
}

/// The table of a node whose bridge has that name.
pub(crate) fn table(bridge: &str, subnets: &Subnets, rules: &Rules) -> Table {
    let mut sets = named_sets(rules);
    let mut chains = Vec::new();
    // Of two Services' ports with the same address, transport and number, one counts: a map has each key once.
    let ports: BTreeMap<_, _> = rules
        .virtual_ports
        .iter()
        .filter(|p| !p.endpoints.is_empty())
        .map(|p| ((p.ip, p.transport, p.port), p))
        .collect();
    let mut services = Vec::new();
    // Likewise, of two with the same port of the node.
    let mut node_ports = BTreeMap::new();
    for (n, (key, of)) in (0_u32..).zip(&ports) {
        let name = format!("service-{n}");
        let id = FIRST_NAMELESS.saturating_add(n);
        let (chain, set) = balance(&name, id, of);
        chains.push(chain);
        sets.push(set);
        if let Some(port) = of.node_port {
            let to = Element::Goto(name.clone());
            node_ports.entry(port_key(key.1, port)).or_insert(to);
        }
        services.push((address_key(key.0, key.1, key.2), Element::Goto(name)));
    }
    sets.push(Set {
        name: SERVICES.to_owned(),
        id: 1,
        key: (
            12,
            types::joined(&[types::ADDRESS, types::PROTOCOL, types::PORT]),
        ),
        to: To::Chains,
        elements: services,
    });
    sets.push(Set {
        name: NODE_PORTS.to_owned(),
        id: 5,
        key: (8, types::joined(&[types::PROTOCOL, types::PORT])),
        to: To::Chains,
        elements: node_ports.into_iter().collect(),
    });
    chains.extend(hooked(bridge, subnets));
    Table {
        name: table_name(bridge),
        chains,
        sets,
    }
}

/// Name of that node's table.
pub(crate) fn table_name(bridge: &str) -> String {
    format!("podwright-{bridge}")
}

const FIRST_NAMELESS: u32 = 16;

fn balance(name: &str, id: u32, of: &VirtualPort) -> (Chain, Set) {
    let count = u32::try_from(of.endpoints.len()).unwrap_or(u32::MAX);
    let set = Set::nameless(
        id,
        endpoint_type(),
        of.endpoints.iter().map(endpoint).collect(),
    );
    let mut rule = if of.sticky {
        vec![address(SOURCE, OTHER), Expression::Hash(count)]
    } else {
        vec![Expression::Random(count)]
    };
    let map = set.name.clone();
    rule.extend([Expression::Value { map, id }, Expression::SendTo]);
    let chain = Chain {
        name: name.to_owned(),
        hook: None,
        rules: vec![
            [
                vec![
                    Expression::Protocol { to: REGISTER },
                    Expression::Is(vec![number(of.transport)]),
                ],
                rule,
            ]
            .concat(),
        ],
    };
    (chain, set)
}

fn endpoint_type() -> To {
    To::Values(8, types::joined(&[types::ADDRESS, types::PORT]))
}

fn named_sets(rules: &Rules) -> Vec<Set> {
    let ports = |with_address: bool| {
        let of_kind = rules
            .host_ports
            .iter()
            .filter(move |p| p.ip.is_some() == with_address);
        of_kind.map(|p| {
            let key = match p.ip {
                Some(ip) => address_key(ip, p.transport, p.port),
                None => port_key(p.transport, p.port),
            };
            (key, Element::Value(endpoint(&p.to)))
        })
    };
    let once = |all: BTreeMap<Vec<u8>, Element>| all.into_iter().collect();
    let to_itself = rules
        .pods
        .iter()
        .map(|ip| ([ip.octets(), ip.octets()].concat(), Element::Key));
    vec![
        Set {
            name: HOST_PORTS.to_owned(),
            id: 2,
            key: (8, types::joined(&[types::PROTOCOL, types::PORT])),
            to: endpoint_type(),
            elements: once(ports(false).collect()),
        },
        Set {
            name: ADDRESS_PORTS.to_owned(),
            id: 3,
            key: (
                12,
                types::joined(&[types::ADDRESS, types::PROTOCOL, types::PORT]),
            ),
            to: endpoint_type(),
            elements: once(ports(true).collect()),
        },
        Set {
            name: SELF.to_owned(),
            id: 4,
            key: (8, types::joined(&[types::ADDRESS, types::ADDRESS])),
            to: To::Nothing,
            elements: to_itself.collect(),
        },
    ]
}

/// The chains that the kernel enters.
fn hooked(bridge: &str, subnets: &Subnets) -> Vec<Chain> {
    let chain = |name: &str, kind, number, priority, rules| Chain {
        name: name.to_owned(),
        hook: Some(Hook {
            kind,
            number,
            priority,
        }),
        rules,
    };
    let mut to_service = destination_key();
    to_service.push(Expression::Verdict(SERVICES));
    let mut to_address_port = destination_key();
    to_address_port.extend([value(ADDRESS_PORTS, 3), Expression::SendTo]);
    // Nothing of loopback: an answer to a packet from 127.0.0.1 never comes back.
    let to_node = |then: &[Expression]| {
        let mut rule = vec![
            Expression::Network {
                offset: DESTINATION,
                length: 1,
                to: REGISTER,
            },
            Expression::IsNot(vec![127]),
            Expression::AddressType,
            Expression::Is(LOCAL.to_ne_bytes().to_vec()),
            Expression::Protocol { to: REGISTER },
            port(NEXT),
        ];
        rule.extend_from_slice(then);
        rule
    };
    let to_host_port = to_node(&[value(HOST_PORTS, 2), Expression::SendTo]);
    let to_node_port = to_node(&[Expression::Verdict(NODE_PORTS)]);
    let translate = vec![to_service, to_address_port, to_host_port, to_node_port];
    let refuse = vec![
        in_net(
            DESTINATION,
            &subnets.services.network(),
            subnets.services.prefix_len(),
        )
        .into_iter()
        .chain([Expression::Refuse])
        .collect(),
    ];
    let to_itself = vec![
        address(SOURCE, REGISTER),
        address(DESTINATION, NEXT),
        Expression::InSet(SELF),
        Expression::Masquerade,
    ];
    let mut leaving = in_net(SOURCE, &subnets.pods.network(), subnets.pods.prefix_len());
    let mut link = bridge.as_bytes().to_vec();
    link.resize(16, 0);
    leaving.extend([
        Expression::LinkOut,
        Expression::IsNot(link),
        Expression::Masquerade,
    ]);
    vec![
        chain("come", "nat", PRE_ROUTING, TRANSLATE, translate.clone()),
        chain("send", "nat", OUTPUT, TRANSLATE, translate),
        chain("refuse-come", "filter", PRE_ROUTING, REFUSE, refuse.clone()),
        chain("refuse-send", "filter", OUTPUT, REFUSE, refuse),
        chain(
            "leave",
            "nat",
            POST_ROUTING,
            LEAVE,
            vec![to_itself, leaving],
        ),
    ]
}

fn value(map: &str, id: u32) -> Expression {
    Expression::Value {
        map: map.to_owned(),
        id,
    }
}

/// Goes on only for an address of that subnet.
fn in_net(offset: u32, network: &Ipv4Addr, prefix: u8) -> Vec<Expression> {
    let mask = u32::MAX
        .checked_shl(32_u32.saturating_sub(u32::from(prefix)))
        .unwrap_or(0);
    vec![
        address(offset, REGISTER),
        Expression::Masked(mask.to_be_bytes()),
        Expression::Is(network.octets().to_vec()),
    ]
}
