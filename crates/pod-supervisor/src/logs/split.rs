//! Cuts a stream of bytes into log entries: whole lines, and pieces of lines that are too long. Pure.

/// Longest piece of a line in one entry, in bytes (as containerd has it).
pub(crate) const LONGEST: usize = 16 << 10;

/// Whether an entry ends its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `P`: the line goes on in the next entry, or the stream ended without a line break.
    Partial,
    /// `F`: a line break followed.
    Full,
}

/// Keeps the beginning of a line whose end has not come yet, at most [`LONGEST`] bytes.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    begun: Vec<u8>,
}

impl Splitter {
    /// Takes what came, and gives out every entry that it completes, in two parts (what was kept, what is new).
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(Tag, &[u8], &[u8])) {
        while !bytes.is_empty() {
            let room = LONGEST - self.begun.len();
            // One byte further: a line of exactly the longest length whose break follows is whole.
            let window = bytes.get(..bytes.len().min(room + 1)).unwrap_or(bytes);
            if let Some((line, _)) = split_at_break(window) {
                emit(Tag::Full, &self.begun, line);
                self.begun.clear();
                bytes = bytes.get(line.len() + 1..).unwrap_or_default();
            } else if window.len() > room {
                let piece = window.get(..room).unwrap_or_default();
                emit(Tag::Partial, &self.begun, piece);
                self.begun.clear();
                bytes = bytes.get(room..).unwrap_or_default();
            } else {
                self.begun.extend_from_slice(bytes);
                return;
            }
        }
    }

    /// The stream has ended: gives out what is left.
    pub(crate) fn finish(&mut self, mut emit: impl FnMut(Tag, &[u8], &[u8])) {
        if !self.begun.is_empty() {
            emit(Tag::Partial, &self.begun, &[]);
        }
        self.begun = Vec::new();
    }
}

fn split_at_break(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == b'\n')?;
    bytes.split_at_checked(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Tag, Vec<u8>)> {
        let (mut splitter, mut got) = (Splitter::default(), Vec::new());
        let mut emit = |tag, a: &[u8], b: &[u8]| got.push((tag, [a, b].concat()));
        for chunk in chunks {
            splitter.feed(chunk, &mut emit);
        }
        splitter.finish(&mut emit);
        got
    }

    #[test]
    fn lines_are_full_and_an_unterminated_end_is_partial() {
        let full = |text: &str| (Tag::Full, text.as_bytes().to_vec());
        type Case<'a> = (&'a [&'a [u8]], Vec<(Tag, Vec<u8>)>);
        let cases: [Case<'_>; 5] = [
            (&[b"a\nb\n"], vec![full("a"), full("b")]),
            (&[b"a", b"b\n\n"], vec![full("ab"), full("")]),
            (
                &[b"a\nrest"],
                vec![full("a"), (Tag::Partial, b"rest".to_vec())],
            ),
            (&[], vec![]),
            (&[b"\0\xff\n"], vec![(Tag::Full, b"\0\xff".to_vec())]),
        ];
        for (chunks, want) in cases {
            assert_eq!(split(chunks), want);
        }
    }

    #[test]
    fn a_line_of_the_longest_length_is_one_entry_and_one_byte_more_makes_two() {
        let exact = [vec![b'x'; LONGEST], b"\n".to_vec()].concat();
        assert_eq!(split(&[&exact]).len(), 1);
        assert_eq!(split(&[&exact[..LONGEST], b"\n"]).len(), 1);
        let more = [vec![b'x'; LONGEST + 1], b"\n".to_vec()].concat();
        let got = split(&[&more]);
        assert_eq!(got[0], (Tag::Partial, vec![b'x'; LONGEST]));
        assert_eq!(got[1], (Tag::Full, b"x".to_vec()));
    }

    proptest! {
        #[test]
        fn entries_put_together_are_the_bytes_that_came(
            chunks in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(prop_oneof![9 => any::<u8>(), 1 => Just(b'\n')], 0..200),
                    (any::<u8>(), LONGEST - 2..2 * LONGEST + 3).prop_map(|(b, n)| vec![b; n]),
                    (LONGEST - 2..LONGEST + 2).prop_map(|n| [vec![b'y'; n], b"\n".to_vec()].concat()),
                ],
                0..8,
            )
        ) {
            let borrowed: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let got = split(&borrowed);
            let mut joined = Vec::new();
            for (n, (tag, bytes)) in got.iter().enumerate() {
                prop_assert!(bytes.len() <= LONGEST && !bytes.contains(&b'\n'));
                let last = n + 1 == got.len();
                prop_assert!(*tag == Tag::Full || last || bytes.len() == LONGEST);
                joined.extend_from_slice(bytes);
                if *tag == Tag::Full {
                    joined.push(b'\n');
                }
            }
            prop_assert_eq!(joined, chunks.concat());
        }
    }
}
