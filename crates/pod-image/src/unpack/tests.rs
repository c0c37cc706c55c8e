//! The work that unpacking takes, counted in lookups and not in time.

use super::*;
use std::io::Write;

/// A tar stream of empty files.
fn files(names: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        // The crate writes the long names itself.
        tar.append_data(&mut header, name, std::io::empty())
            .expect("an entry");
    }
    tar.into_inner().expect("a tar")
}

/// Unpacks over `below` layers of these files, and says how many lookups the topmost took.
fn unpack_over(
    folder: &std::path::Path,
    below: &[Vec<u8>],
    top: &[u8],
    limits: &Limits,
) -> Result<u64, UnpackError> {
    let mut stack = Stack::empty();
    let new = |n: usize| {
        let path = folder.join(n.to_string());
        std::fs::create_dir(&path).expect("a folder");
        dirs::open_folder(&path).expect("a folder")
    };
    for (n, layer) in below.iter().enumerate() {
        let root = new(n);
        let again = root.try_clone().expect("a descriptor");
        unpack(layer.as_slice(), root, &stack, limits)?;
        stack.push(again).expect("a layer");
    }
    let mut tape = Tape::new(top, limits, limits.layer_entries);
    let mut writer = LayerWriter::new(new(below.len()), &stack, limits);
    writer.write(&mut tape)?;
    Ok(writer.lookups.get())
}

fn memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("a folder in memory")
}

#[test]
fn s26_twice_the_entries_take_about_twice_the_work() {
    type Shape = fn(usize) -> String;
    let shapes: [(&str, Shape); 4] = [
        ("one folder", |n| format!("d/f{n}")),
        ("a folder each", |n| format!("d{n}/e/f")),
        ("two folders in turn", |n| {
            format!("{}/f{n}", if n % 2 == 0 { "a/b/c" } else { "x/y/z" })
        }),
        (
            "a new folder deep below, over ten layers that have it",
            |n| format!("{}n{n}/f", "d/".repeat(40)),
        ),
    ];
    for (what, shape) in shapes {
        let work = |entries: usize| {
            let folder = memory();
            let deep = files(["d/".repeat(40) + "f"]);
            let top = files((0..entries).map(shape));
            let below = vec![deep; 10];
            unpack_over(folder.path(), &below, &top, &Limits::default()).expect("it is unpacked")
        };
        let (one, two) = (work(200), work(400));
        assert!(two * 2 <= one * 5, "{what}: {one} lookups, then {two}");
        assert!(one <= 200 * 600, "{what}: {one} lookups");
    }
}

#[test]
fn s26_a_layer_that_takes_too_many_lookups_is_refused() {
    let limits = Limits {
        layer_lookups: 1000,
        entry_lookups: 10,
        ..Limits::default()
    };
    let folder = memory();
    let deep = files(["d/".repeat(40) + "f"]);
    let top = files((0..400).map(|n| format!("{}n{n}/f", "d/".repeat(40))));
    let error = unpack_over(folder.path(), &vec![deep; 10], &top, &limits).expect_err("refused");
    assert!(error.to_string().contains("lookups"), "{error}");
}

#[test]
fn s26_a_flood_of_extended_attributes_is_refused() {
    let mut records = Vec::new();
    for n in 0..300 {
        let record = format!("SCHILY.xattr.user.{n:04}=x\n");
        let length = record.len() + 3;
        writeln!(records, "{length} {}", record.trim_end()).expect("memory");
    }
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(records.len() as u64);
    header.set_cksum();
    tar.append(&header, records.as_slice()).expect("an entry");
    let mut stream = tar.into_inner().expect("a tar");
    let end = stream.len() - 1024;
    stream.truncate(end);
    stream.extend(files(["f".to_owned()]));
    let folder = memory();
    let error = unpack_over(folder.path(), &[], &stream, &Limits::default()).expect_err("refused");
    let UnpackError::Tape(cause) = &error else {
        panic!("{error}")
    };
    assert!(
        cause
            .to_string()
            .contains("extended attributes of one entry"),
        "{cause}"
    );
}
