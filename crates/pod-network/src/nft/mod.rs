//! Tables of nftables, written by the kernel's own protocol: neither the program `nft` nor its library is needed.
//!
//! A table is replaced as a whole, in one transaction: it is what was asked for, or what it was before. Connections that are being
//! translated go on, the kernel remembers them apart from the rules.

mod bytes;
mod expression;

pub(crate) use expression::{Expression, LOCAL, NEXT, OTHER, REGISTER, THIRD};

use bytes::Attributes;
use nix::sys::socket::{setsockopt, sockopt::SndBufForce};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::io;

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Its name.
    pub(crate) name: String,
    /// Where the kernel enters it; `None`: other chains go there.
    pub(crate) hook: Option<Hook>,
    /// Its rules.
    pub(crate) rules: Vec<Vec<Expression>>,
}

/// Where the kernel enters a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// `nat` or `filter`.
    pub(crate) kind: &'static str,
    /// NF_INET_PRE_ROUTING and so on.
    pub(crate) number: u32,
    /// Lower comes first.
    pub(crate) priority: i32,
}

/// A packet that comes in, before it is known where it goes.
pub(crate) const PRE_ROUTING: u32 = 0;
/// A packet that a process of the node sends.
pub(crate) const OUTPUT: u32 = 3;
/// A packet that leaves.
pub(crate) const POST_ROUTING: u32 = 4;

/// A set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// Its name; a nameless one (see [`Set::nameless`]) belongs to the one rule that looks into it.
    pub(crate) name: String,
    /// What rules name it by within the transaction.
    pub(crate) id: u32,
    /// Bytes of a key, and its type for people who list the table.
    pub(crate) key: (u32, u32),
    /// What it maps to.
    pub(crate) to: To,
    /// Keys and what they map to.
    pub(crate) elements: Vec<(Vec<u8>, Element)>,
}

/// What a set's keys map to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Nothing: it is a set.
    Nothing,
    /// Chains to go to.
    Chains,
    /// Values of that many bytes, and their type.
    Values(u32, u32),
}

/// What one key maps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// Nothing.
    Key,
    /// A chain to go to.
    Goto(String),
    /// A value.
    Value(Vec<u8>),
}

/// Name of sets that have none of their own.
const NAMELESS: &str = "__map%d";

impl Set {
    /// A map from numbers to values, for one rule alone.
    pub(crate) fn nameless(id: u32, to: To, values: Vec<Vec<u8>>) -> Self {
        let numbered = (0_u32..).zip(values);
        Self {
            name: NAMELESS.to_owned(),
            id,
            key: (4, types::INTEGER),
            to,
            // The kernel's random numbers and hashes are in its own byte order.
            elements: numbered
                .map(|(n, v)| (n.to_ne_bytes().to_vec(), Element::Value(v)))
                .collect(),
        }
    }
}

/// Types of values as `nft list` shows them; the kernel only keeps them.
pub(crate) mod types {
    pub(crate) const INTEGER: u32 = 4;
    pub(crate) const ADDRESS: u32 = 7;
    pub(crate) const PROTOCOL: u32 = 12;
    pub(crate) const PORT: u32 = 13;

    /// Several side by side.
    pub(crate) fn joined(types: &[u32]) -> u32 {
        types.iter().fold(0, |all, t| all << 6 | t)
    }
}

/// A table of the family `ip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: String,
    /// Its chains. Rules may go to chains of any place.
    pub(crate) chains: Vec<Chain>,
    /// Its sets and maps.
    pub(crate) sets: Vec<Set>,
}

/// Puts the table where one of its name was, in the network namespace of the calling thread.
pub(crate) fn replace(table: &Table) -> io::Result<()> {
    send(commands(table))
}

/// Removes a table. One that is not there is removed.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    send(vec![
        Command::new(NEW_TABLE, of_table(name).number(2, 0)),
        Command::new(DELETE_TABLE, of_table(name)),
    ])
}

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;

const SUBSYSTEM: u16 = 10;
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const IPV4: u8 = 2;

/// How many elements a message holds: an attribute has at most 64 KiB.
const PORTION: usize = 500;

struct Command {
    kind: u16,
    attributes: Vec<u8>,
}

impl Command {
    fn new(kind: u16, attributes: Attributes) -> Self {
        Self {
            kind,
            attributes: attributes.into_bytes(),
        }
    }
}

fn of_table(name: &str) -> Attributes {
    Attributes::default().text(1, name)
}

fn commands(table: &Table) -> Vec<Command> {
    let name = table.name.as_str();
    // Made first so that it can be removed whether it was there or not.
    let mut all = vec![
        Command::new(NEW_TABLE, of_table(name).number(2, 0)),
        Command::new(DELETE_TABLE, of_table(name)),
        Command::new(NEW_TABLE, of_table(name).number(2, 0)),
    ];
    all.extend(
        table
            .chains
            .iter()
            .map(|c| Command::new(NEW_CHAIN, chain(name, c))),
    );
    for set in &table.sets {
        all.push(Command::new(NEW_SET, head(name, set)));
        for portion in set.elements.chunks(PORTION) {
            all.push(Command::new(NEW_ELEMENTS, elements(name, set, portion)));
        }
    }
    for chain in &table.chains {
        for rule in &chain.rules {
            let steps = rule.iter().fold(Attributes::default(), |all, step| {
                all.nest(1, step.attributes())
            });
            let rule = of_table(name).text(2, &chain.name).nest(4, steps);
            all.push(Command::new(NEW_RULE, rule));
        }
    }
    all
}

fn chain(table: &str, chain: &Chain) -> Attributes {
    let all = of_table(table).text(3, &chain.name);
    match chain.hook {
        None => all,
        Some(hook) => {
            let priority = u32::from_ne_bytes(hook.priority.to_ne_bytes());
            let place = Attributes::default()
                .number(1, hook.number)
                .number(2, priority);
            all.text(7, hook.kind).number(5, 1).nest(4, place)
        }
    }
}

fn head(table: &str, set: &Set) -> Attributes {
    const ANONYMOUS: u32 = 1;
    const CONSTANT: u32 = 2;
    const MAP: u32 = 8;
    const VERDICT: u32 = 0xffff_ff00;
    let nameless = if set.name == NAMELESS {
        ANONYMOUS | CONSTANT
    } else {
        0
    };
    let (map, data_type, data_length) = match set.to {
        To::Nothing => (0, None, None),
        To::Chains => (MAP, Some(VERDICT), Some(0)),
        To::Values(length, of) => (MAP, Some(of), Some(length)),
    };
    of_table(table)
        .text(2, &set.name)
        .number(3, nameless | map)
        .number(4, set.key.1)
        .number(5, set.key.0)
        .number_if(6, data_type)
        .number_if(7, data_length)
        .number(10, set.id)
}

fn elements(table: &str, set: &Set, elements: &[(Vec<u8>, Element)]) -> Attributes {
    const GOTO: u32 = 0xffff_fffc;
    let value = |data: &[u8]| Attributes::default().bytes(1, data);
    let list = elements
        .iter()
        .fold(Attributes::default(), |all, (key, to)| {
            let element = Attributes::default().nest(1, value(key));
            let element = match to {
                Element::Key => element,
                Element::Value(data) => element.nest(2, value(data)),
                Element::Goto(chain) => {
                    let verdict = Attributes::default().number(1, GOTO).text(2, chain);
                    element.nest(2, Attributes::default().nest(2, verdict))
                }
            };
            all.nest(1, element)
        });
    of_table(table)
        .text(2, &set.name)
        .number(4, set.id)
        .nest(3, list)
}

/// One transaction.
fn send(commands: Vec<Command>) -> io::Result<()> {
    let last = commands.len();
    let mut bytes = message(BEGIN, 0, 0, SUBSYSTEM, &[]);
    for (n, command) in (1_u32..).zip(&commands) {
        // Failures come by themselves, and before this answer.
        let asked = if n as usize == last { ACKNOWLEDGE } else { 0 };
        let kind = SUBSYSTEM << 8 | command.kind;
        let flags = match command.kind {
            DELETE_TABLE => asked,
            NEW_RULE => asked | CREATE | APPEND,
            _ => asked | CREATE,
        };
        bytes.extend(message(kind, flags, n, 0, &command.attributes));
    }
    bytes.extend(message(END, 0, 0, SUBSYSTEM, &[]));

    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // A transaction is one message to the socket, however long it is.
    setsockopt(&socket, SndBufForce, &bytes.len().saturating_mul(2))?;
    socket.send(&bytes, 0)?;
    // The kernel has done it all when the sending is over: the answer is there.
    let (answer, _) = socket.recv_from_full()?;
    match code(&answer) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        None => Err(io::Error::other("the kernel's answer is no answer")),
    }
}

/// A netlink message with the head of netfilter's messages.
fn message(kind: u16, flags: u16, number: u32, resource: u16, attributes: &[u8]) -> Vec<u8> {
    const HEAD: usize = 20;
    let length = u32::try_from(HEAD + attributes.len()).unwrap_or(u32::MAX);
    let family = if resource == 0 { IPV4 } else { 0 };
    let mut bytes = Vec::with_capacity(HEAD + attributes.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | REQUEST).to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

/// The code of an NLMSG_ERROR message: 0, or an errno as a negative number.
fn code(answer: &[u8]) -> Option<i32> {
    const ERROR: u16 = 2;
    let kind = answer.get(4..6)?.try_into().ok().map(u16::from_ne_bytes)?;
    if kind != ERROR {
        return None;
    }
    answer.get(16..20)?.try_into().ok().map(i32::from_ne_bytes)
}
