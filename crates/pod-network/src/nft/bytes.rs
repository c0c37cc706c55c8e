//! Netlink attributes as bytes: `nlattr` of linux/netlink.h. Numbers are big-endian, as nf_tables wants them. Pure.

/// Marks an attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// Length of an attribute's head.
const HEAD: usize = 4;

/// A row of attributes.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// One more attribute.
    pub(super) fn bytes(mut self, kind: u16, data: &[u8]) -> Self {
        // No attribute here comes near 64 KiB: element lists, the only long ones, are sent in portions.
        let length = u16::try_from(HEAD + data.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(HEAD), 0);
        self
    }

    /// A text with its closing zero.
    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        let mut data = text.as_bytes().to_vec();
        data.push(0);
        self.bytes(kind, &data)
    }

    /// A number.
    pub(super) fn number(self, kind: u16, number: u32) -> Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    /// A number, if there is one.
    pub(super) fn number_if(self, kind: u16, number: Option<u32>) -> Self {
        match number {
            Some(number) => self.number(kind, number),
            None => self,
        }
    }

    /// Attributes inside one.
    pub(super) fn nest(self, kind: u16, inside: Attributes) -> Self {
        self.bytes(kind | NESTED, &inside.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_begin_with_length_and_kind_and_fill_up_to_four_bytes() {
        let inside = Attributes::default().number(2, 0x0102_0304);
        let all = Attributes::default().text(1, "ab").nest(3, inside);
        let mut expect = Vec::new();
        expect.extend(7_u16.to_ne_bytes());
        expect.extend(1_u16.to_ne_bytes());
        expect.extend(*b"ab\0\0");
        expect.extend(12_u16.to_ne_bytes());
        expect.extend(0x8003_u16.to_ne_bytes());
        expect.extend(8_u16.to_ne_bytes());
        expect.extend(2_u16.to_ne_bytes());
        expect.extend([1, 2, 3, 4]);
        assert_eq!(all.into_bytes(), expect);
    }
}
