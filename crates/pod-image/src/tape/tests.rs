//! Tests of the tar reader.

use super::*;
use proptest::prelude::*;

fn header(kind: u8, name: &str, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_path(name).unwrap();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(3);
    header.set_cksum();
    header
}

fn block(header: &tar::Header, data: &[u8]) -> Vec<u8> {
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TapeError> {
    let mut tape = Tape::new(bytes, &Limits::default(), 100);
    let mut entries = Vec::new();
    while let Some(entry) = tape.next()? {
        let mut data = Vec::new();
        match tape.copy_to(&mut data, u64::MAX) {
            Ok(_) => entries.push((entry, data)),
            Err(CopyFault::Read(e)) => return Err(e),
            Err(CopyFault::Write(e)) => panic!("{e}"),
        }
    }
    Ok(entries)
}

#[test]
fn records_are_split_by_their_length_and_not_at_line_breaks() {
    let record = b"13 a=x\ny\nz=w\n9 path=b\n";
    let (key, value, rest) = pax::record(record).unwrap();
    assert_eq!((key, value), (&b"a"[..], &b"x\ny\nz=w"[..]));
    let (key, value, rest) = pax::record(rest).unwrap();
    assert_eq!((key, value, rest), (&b"path"[..], &b"b"[..], &b""[..]));
    for bad in [
        "", "9", "9 a=b", "99 a=b\n", "5 a=b\n", "4 =b\n", "x a=b\n", "0 a=b\n", "6 ab=\n",
    ] {
        assert!(
            bad == "6 ab=\n" || pax::record(bad.as_bytes()).is_none(),
            "{bad:?}"
        );
    }
}

#[test]
fn times_keep_sign_and_fraction() {
    for (text, expect) in [
        ("0", Some((0, 0))),
        ("12.5", Some((12, 500_000_000))),
        ("1.0000000019", Some((1, 1))),
        ("-1", Some((-1, 0))),
        ("-1.25", Some((-2, 750_000_000))),
        ("-0.5", Some((-1, 500_000_000))),
        ("1.x", None),
        ("", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(pax::time(text.as_bytes()), expect, "{text}");
    }
}

#[test]
fn an_extended_size_counts_for_the_entry_and_not_for_its_header() {
    // 8 GiB and more stand there only; a reader that ignores it would take content for headers.
    let hidden = block(&header(b'0', "smuggled", 0), b"");
    let bytes = [
        block(&header(b'x', "pax", 12), b"12 size=512\n"),
        block(&header(b'0', "real", 0), b""),
        hidden.clone(),
        block(&header(b'0', "next", 1), b"n"),
    ]
    .concat();
    let entries = read(&bytes).unwrap();
    let names: Vec<&[u8]> = entries.iter().map(|(e, _)| e.path.as_slice()).collect();
    assert_eq!(names, [&b"real"[..], b"next"]);
    assert_eq!(entries[0].1, hidden);
}

#[test]
fn an_old_gnu_sparse_file_has_its_map() {
    let mut h = header(b'S', "s", 6);
    {
        let gnu = h.as_gnu_mut().unwrap();
        gnu.set_real_size(100);
        gnu.sparse[0].set_offset(10);
        gnu.sparse[0].set_length(2);
        gnu.set_is_extended(true);
    }
    h.set_cksum();
    let mut more = tar::GnuExtSparseHeader::new();
    more.sparse_mut()[0].set_offset(90);
    more.sparse_mut()[0].set_length(4);
    let bytes = [
        h.as_bytes().to_vec(),
        more.as_bytes().to_vec(),
        block(&header(b'0', "n", 0), b""),
    ];
    let mut whole = bytes[..2].concat();
    whole.extend_from_slice(b"abcdef");
    whole.resize(whole.len().next_multiple_of(BLOCK), 0);
    whole.extend_from_slice(&bytes[2]);
    let entries = read(&whole).unwrap();
    let map = entries[0].0.sparse.as_ref().unwrap();
    assert_eq!(
        (map.real_size, map.pieces.as_slice()),
        (100, &[(10, 2), (90, 4)][..])
    );
    assert_eq!(entries[0].1, b"abcdef");
    assert_eq!(entries[1].0.path, b"n");
}

#[test]
fn a_bad_header_says_where_and_why() {
    let mut sum = block(&header(b'0', "a", 0), b"");
    sum[0] ^= 1;
    let mut id = header(b'0', "a", 0);
    id.set_uid(u64::from(u32::MAX));
    id.set_cksum();
    for (bytes, words) in [
        (sum, "wrong checksum"),
        (block(&id, b""), "uid 4294967295"),
        (block(&header(b'M', "a", 0), b""), "not supported"),
        (block(&header(b'x', "p", 9), b"9 uid=-1\n"), "no number"),
        (block(&header(b'x', "p", 7), b"9 a=b\nx"), "wrong length"),
        (
            block(&header(b'x', "p", 24), b"24 GNU.sparse.major=1.0\n"),
            "sparse",
        ),
        (block(&header(b'0', "cut", 900), b"x"), "middle of \"cut\""),
        (block(&header(b'0', "a", 0), b"")[..100].to_vec(), "cut off"),
    ] {
        let text = read(&bytes).unwrap_err().to_string();
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn the_filler_after_the_last_entry_may_be_missing_but_no_content() {
    let mut bytes = block(&header(b'0', "a", 0), b"");
    bytes.extend_from_slice(&block(&header(b'0', "b", 3), b"")[..BLOCK]);
    bytes.extend_from_slice(b"abc");
    assert_eq!(read(&bytes).unwrap()[1].1, b"abc");
    bytes.pop();
    assert!(read(&bytes).is_err());
}

#[test]
fn a_name_that_ends_in_a_slash_is_a_folder_as_before_ustar() {
    let mut old = header(0, "d", 0);
    old.as_mut_bytes()[..2].copy_from_slice(b"d/");
    old.set_cksum();
    assert_eq!(read(&block(&old, b"")).unwrap()[0].0.kind, Kind::Directory);
}

proptest! {
    #[test]
    fn no_stream_makes_the_reader_panic_or_read_for_ever(
        noise in proptest::collection::vec(any::<u8>(), 0..3000),
        at in 0_usize..512,
        kind in prop::sample::select(b"01234567SxgLKV".to_vec()),
        size in any::<u64>(),
    ) {
        let _ = read(&noise);
        let mut h = header(kind, "name", 0);
        h.set_size(size);
        if let Some(byte) = h.as_mut_bytes().get_mut(at) {
            *byte ^= noise.first().copied().unwrap_or(0);
        }
        h.set_cksum();
        let mut bytes = h.as_bytes().to_vec();
        bytes.extend_from_slice(&noise);
        let _ = read(&bytes);
    }
}
