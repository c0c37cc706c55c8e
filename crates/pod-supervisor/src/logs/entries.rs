//! Makes log entries of a stream of bytes: whole lines, and pieces of lines that are too long. Pure.

/// Longest piece of a line in one entry, in bytes (as containerd has it).
pub(crate) const LONGEST: usize = 16 << 10;

/// What stands before the text of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp<'a> {
    pub(crate) time: &'a str,
    pub(crate) stream: &'a str,
}

/// Bytes that may become entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) bytes: &'a [u8],
    /// Nothing follows them: a line without its break is an entry too.
    pub(crate) ended: bool,
}

/// One entry of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry<'a> {
    /// `F`: a line break followed. `P`: the line goes on in the next entry, or the stream ended without a line break.
    tag: char,
    text: &'a [u8],
    /// How many bytes of the stream it is made of.
    length: usize,
}

/// Appends entries to `out` as long as it holds at most `room` bytes then. Gives how many bytes they were made of: what is left is
/// the beginning of a line, or did not fit.
pub(crate) fn make(raw: Raw<'_>, stamp: Stamp<'_>, room: usize, out: &mut Vec<u8>) -> usize {
    let mut taken = 0;
    while let Some(entry) = next(raw, taken) {
        let length = stamp.time.len() + stamp.stream.len() + entry.text.len() + 5;
        if out.len() + length > room {
            break;
        }
        out.extend_from_slice(stamp.time.as_bytes());
        out.push(b' ');
        out.extend_from_slice(stamp.stream.as_bytes());
        out.extend_from_slice(if entry.tag == 'F' { b" F " } else { b" P " });
        out.extend_from_slice(entry.text);
        out.push(b'\n');
        taken += entry.length;
    }
    taken
}

/// Whether any entry can be made.
pub(crate) fn is_any(raw: Raw<'_>) -> bool {
    next(raw, 0).is_some()
}

fn next(raw: Raw<'_>, from: usize) -> Option<Entry<'_>> {
    let rest = raw.bytes.get(from..)?;
    // One byte further: a line of exactly the longest length whose break follows is whole.
    let window = rest.get(..=LONGEST).unwrap_or(rest);
    let text_to = |at: usize| rest.get(..at).unwrap_or_default();
    if let Some(at) = window.iter().position(|b| *b == b'\n') {
        return Some(Entry {
            tag: 'F',
            text: text_to(at),
            length: at + 1,
        });
    }
    let at = match rest.len() {
        0 => return None,
        n if n > LONGEST => LONGEST,
        n if raw.ended => n,
        _ => return None,
    };
    Some(Entry {
        tag: 'P',
        text: text_to(at),
        length: at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAMP: Stamp<'_> = Stamp {
        time: "T",
        stream: "stdout",
    };

    /// The entries of a stream that comes in chunks: tag and text.
    fn split(chunks: &[&[u8]]) -> Vec<(char, Vec<u8>)> {
        let (mut waiting, mut got) = (Vec::new(), Vec::new());
        for (n, chunk) in chunks.iter().enumerate() {
            waiting.extend_from_slice(chunk);
            let ended = n + 1 == chunks.len();
            let mut taken = 0;
            while let Some(entry) = next(
                Raw {
                    bytes: &waiting,
                    ended,
                },
                taken,
            ) {
                got.push((entry.tag, entry.text.to_vec()));
                taken += entry.length;
            }
            waiting.drain(..taken);
        }
        got
    }

    #[test]
    fn lines_are_full_and_an_unterminated_end_is_partial() {
        let full = |text: &str| ('F', text.as_bytes().to_vec());
        type Case<'a> = (&'a [&'a [u8]], Vec<(char, Vec<u8>)>);
        let cases: [Case<'_>; 5] = [
            (&[b"a\nb\n"], vec![full("a"), full("b")]),
            (&[b"a", b"b\n\n"], vec![full("ab"), full("")]),
            (&[b"a\nrest"], vec![full("a"), ('P', b"rest".to_vec())]),
            (&[], vec![]),
            (&[b"\0\xff\n"], vec![('F', b"\0\xff".to_vec())]),
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
        assert_eq!(got[0], ('P', vec![b'x'; LONGEST]));
        assert_eq!(got[1], ('F', b"x".to_vec()));
    }

    #[test]
    fn an_entry_is_time_stream_tag_and_text_and_only_what_fits_is_made() {
        let raw = Raw {
            bytes: b"one\ntwo\nrest",
            ended: true,
        };
        let mut out = Vec::new();
        assert_eq!(make(raw, STAMP, 1000, &mut out), 12);
        assert_eq!(out, b"T stdout F one\nT stdout F two\nT stdout P rest\n");
        out.clear();
        assert_eq!(make(raw, STAMP, 29, &mut out), 4);
        assert_eq!(out, b"T stdout F one\n");
        out.clear();
        assert_eq!(make(raw, STAMP, 14, &mut out), 0);
        assert!(out.is_empty() && is_any(raw));
        let open = Raw {
            bytes: b"rest",
            ended: false,
        };
        assert!(!is_any(open) && make(open, STAMP, 1000, &mut out) == 0);
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
                prop_assert!(*tag == 'F' || last || bytes.len() == LONGEST);
                joined.extend_from_slice(bytes);
                if *tag == 'F' {
                    joined.push(b'\n');
                }
            }
            prop_assert_eq!(joined, chunks.concat());
        }
    }
}
