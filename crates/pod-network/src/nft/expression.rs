//! Expressions of rules: what nf_tables looks at and does, each into and out of registers. Constants are those of linux/netfilter/nf_tables.h.

use super::bytes::Attributes;

/// The first 16 byte register; small values side by side use its 4 byte parts.
pub(crate) const REGISTER: u32 = 1;
/// The 4 byte register behind the first 4 bytes of [`REGISTER`].
pub(crate) const NEXT: u32 = 9;
/// The one behind it.
pub(crate) const THIRD: u32 = 10;
/// A 16 byte register that does not overlap these.
pub(crate) const OTHER: u32 = 2;

/// One step of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// Loads bytes of the network header.
    Network { offset: u32, length: u32, to: u32 },
    /// Loads bytes of the transport header.
    Transport { offset: u32, length: u32, to: u32 },
    /// Loads the transport protocol.
    Protocol { to: u32 },
    /// Loads the name of the link that the packet leaves by, 16 bytes.
    LinkOut,
    /// Loads whose the destination address is (see [`LOCAL`]).
    AddressType,
    /// Keeps the bits of the register's first 4 bytes that are set here.
    Masked([u8; 4]),
    /// Goes on only if the register holds this.
    Is(Vec<u8>),
    /// Goes on only if it does not.
    IsNot(Vec<u8>),
    /// Goes on only if the set holds the register's value.
    InSet(&'static str),
    /// Goes where the map says.
    Verdict(&'static str),
    /// Loads what the map says.
    Value { map: String, id: u32 },
    /// Loads a random number below this.
    Random(u32),
    /// Loads a hash of [`OTHER`]'s first 4 bytes, below this.
    Hash(u32),
    /// Sends the packet to the address in [`REGISTER`] and the port in [`NEXT`].
    SendTo,
    /// Gives the packet the address of the link that it leaves by.
    Masquerade,
    /// Answers that the port cannot be reached.
    Refuse,
}

/// Address type of the node's own addresses (RTN_LOCAL), as the register holds it.
pub(crate) const LOCAL: u32 = 2;

impl Expression {
    pub(super) fn attributes(&self) -> Attributes {
        let (name, data) = self.parts();
        Attributes::default().text(1, name).nest(2, data)
    }

    fn parts(&self) -> (&'static str, Attributes) {
        let new = Attributes::default;
        let payload = |base, offset, length, to| {
            new()
                .number(1, to)
                .number(2, base)
                .number(3, offset)
                .number(4, length)
        };
        let meta = |key, to| new().number(2, key).number(1, to);
        let compare = |op, data: &[u8]| {
            new()
                .number(1, REGISTER)
                .number(2, op)
                .nest(3, new().bytes(1, data))
        };
        let lookup = |set: &str, to: Option<u32>, id: Option<u32>| {
            new()
                .text(1, set)
                .number(2, REGISTER)
                .number_if(3, to)
                .number_if(4, id)
        };
        match self {
            Expression::Network { offset, length, to } => {
                ("payload", payload(1, *offset, *length, *to))
            }
            Expression::Transport { offset, length, to } => {
                ("payload", payload(2, *offset, *length, *to))
            }
            Expression::Protocol { to } => ("meta", meta(16, *to)),
            Expression::LinkOut => ("meta", meta(7, REGISTER)),
            Expression::AddressType => ("fib", new().number(1, REGISTER).number(2, 3).number(3, 2)),
            Expression::Masked(mask) => (
                "bitwise",
                new()
                    .number(1, REGISTER)
                    .number(2, REGISTER)
                    .number(3, 4)
                    .nest(4, new().bytes(1, mask))
                    .nest(5, new().bytes(1, &[0; 4])),
            ),
            Expression::Is(data) => ("cmp", compare(0, data)),
            Expression::IsNot(data) => ("cmp", compare(1, data)),
            Expression::InSet(set) => ("lookup", lookup(set, None, None)),
            // Register 0 is the verdict.
            Expression::Verdict(map) => ("lookup", lookup(map, Some(0), None)),
            Expression::Value { map, id } => ("lookup", lookup(map, Some(REGISTER), Some(*id))),
            Expression::Random(below) => (
                "numgen",
                new()
                    .number(1, REGISTER)
                    .number(2, *below)
                    .number(3, 1)
                    .number(4, 0),
            ),
            Expression::Hash(below) => (
                "hash",
                new()
                    .number(1, OTHER)
                    .number(2, REGISTER)
                    .number(3, 4)
                    .number(4, *below)
                    .number(5, 0)
                    .number(7, 0),
            ),
            Expression::SendTo => (
                "nat",
                new()
                    .number(1, 1)
                    .number(2, 2)
                    .number(3, REGISTER)
                    .number(5, NEXT),
            ),
            Expression::Masquerade => ("masq", new()),
            Expression::Refuse => ("reject", new().number(1, 0).bytes(2, &[3])),
        }
    }
}
