//! What layers may hold, and what they try: breakouts (threat S25), special files (S27), accounts (S19).

use crate::kit::*;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Names, kinds, modes, owners, sizes, times and content of all below a folder.
fn fingerprint(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let m = fs::symlink_metadata(&path).unwrap();
        let content = match m.is_file() {
            true => fs::read(&path).unwrap(),
            false => Vec::new(),
        };
        lines.push(format!(
            "{} {:o} {}:{} {} {}.{} links={} {content:?}",
            path.display(),
            m.mode(),
            m.uid(),
            m.gid(),
            m.size(),
            m.mtime(),
            m.mtime_nsec(),
            m.nlink()
        ));
        if m.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    lines.sort();
    lines
}

/// A folder outside of the store that no layer may touch.
fn canary(rig: &Rig) -> String {
    let canary = rig.path("canary");
    fs::create_dir(&canary).unwrap();
    fs::write(canary.join("file"), "secret").unwrap();
    fs::set_permissions(canary.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
    canary.to_str().unwrap().to_owned()
}

/// How an attempt has to end.
enum End {
    /// The import is refused, and the chain of causes holds this.
    Refused(&'static str),
    /// It is unpacked, and this file of the topmost layer holds this text.
    Holds(&'static str, &'static str),
    /// It is unpacked, harmless.
    Harmless,
}

#[test]
fn s25_no_layer_reaches_out_of_its_folder() {
    if !root() {
        return;
    }
    type Make = fn(&str) -> Vec<Layer>;
    let table: Vec<(&str, Make, End)> = vec![
        (
            "dotdot",
            |_| vec![Layer::new().file("../x", "x")],
            End::Refused("climbs"),
        ),
        (
            "dotdot inside",
            |_| vec![Layer::new().dir("a").file("a/../../x", "x")],
            End::Refused("climbs"),
        ),
        (
            "absolute",
            |_| vec![Layer::new().file("/abs", "in")],
            End::Holds("abs", "in"),
        ),
        (
            "absolute canary",
            |c| vec![Layer::new().file(&format!("{c}/file"), "in")],
            End::Harmless,
        ),
        (
            "write through absolute symlink",
            |c| vec![Layer::new().symlink("l", c).file("l/file", "evil")],
            End::Harmless,
        ),
        (
            "write through relative symlink",
            |_| {
                vec![
                    Layer::new()
                        .symlink("l", "../../../../canary")
                        .file("l/file", "in"),
                ]
            },
            End::Holds("canary/file", "in"),
        ),
        (
            "write through a link in a layer below",
            |c| {
                vec![
                    Layer::new().symlink("l", c),
                    Layer::new().file("l/file", "evil"),
                ]
            },
            End::Harmless,
        ),
        (
            "write onto a symlink",
            |c| {
                vec![
                    Layer::new()
                        .symlink("f", &format!("{c}/file"))
                        .file("f", "own"),
                ]
            },
            End::Holds("f", "own"),
        ),
        (
            "folder onto a symlink",
            |c| vec![Layer::new().symlink("d", c).dir("d").file("d/file", "own")],
            End::Holds("d/file", "own"),
        ),
        (
            "chmod by folder entry on a symlink",
            |c| {
                vec![
                    Layer::new()
                        .symlink("d", c)
                        .raw(b'5', "d", "", b"", |h| h.set_mode(0o777)),
                ]
            },
            End::Harmless,
        ),
        (
            "hard link to a file outside",
            |c| vec![Layer::new().hardlink("h", &format!("{c}/file"))],
            End::Refused("hard link"),
        ),
        (
            "hard link with dotdot",
            |_| vec![Layer::new().hardlink("h", "../canary/file")],
            End::Refused("climbs"),
        ),
        (
            "hard link through a symlink",
            |c| vec![Layer::new().symlink("l", c).hardlink("h", "l/file")],
            End::Refused("not in this layer"),
        ),
        (
            "hard link to a symlink, then write",
            |c| {
                let target = format!("{c}/file");
                vec![
                    Layer::new()
                        .symlink("l", &target)
                        .hardlink("h", "l")
                        .file("h", "own"),
                ]
            },
            End::Holds("h", "own"),
        ),
        (
            "hard link to a symlink, then chmod",
            |c| {
                let target = format!("{c}/file");
                let layer = Layer::new().symlink("l", &target).hardlink("h", "l");
                vec![layer.raw(b'1', "h", "l", b"", |h| h.set_mode(0o4777))]
            },
            End::Harmless,
        ),
        (
            "hard link to a folder",
            |_| vec![Layer::new().dir("d").hardlink("h", "d")],
            End::Refused("folder"),
        ),
        (
            "hard link to itself",
            |_| vec![Layer::new().file("f", "x").hardlink("f", "f")],
            End::Holds("f", "x"),
        ),
        (
            "hard link to the root",
            |_| vec![Layer::new().hardlink("h", "/")],
            End::Refused("no file"),
        ),
        (
            "hard link to what a layer below has",
            |_| vec![Layer::new().file("f", "x"), Layer::new().hardlink("h", "f")],
            End::Refused("does not come before it in this layer"),
        ),
        (
            "folder replaced by a symlink between layers",
            |c| {
                vec![
                    Layer::new().dir("d").file("d/f", "1"),
                    Layer::new().symlink("d", c).file("d/file", "evil"),
                ]
            },
            End::Harmless,
        ),
        (
            "folder replaced by a symlink in one layer",
            |c| {
                vec![
                    Layer::new()
                        .dir("d")
                        .file("d/f", "1")
                        .symlink("d", c)
                        .file("d/file", "evil"),
                ]
            },
            End::Harmless,
        ),
        (
            "whiteout of dotdot",
            |_| vec![Layer::new().file(".wh...", "")],
            End::Refused("whiteout"),
        ),
        (
            "whiteout of dot",
            |_| vec![Layer::new().file(".wh..", "")],
            End::Refused("whiteout"),
        ),
        (
            "whiteout of nothing",
            |_| vec![Layer::new().file(".wh.", "")],
            End::Refused("whiteout"),
        ),
        (
            "whiteout through a symlink",
            |c| vec![Layer::new().symlink("l", c).file("l/.wh.file", "")],
            End::Harmless,
        ),
        (
            "opaque through a symlink",
            |c| vec![Layer::new().symlink("l", c).file("l/.wh..wh..opq", "")],
            End::Harmless,
        ),
        (
            "whiteout as folder",
            |_| vec![Layer::new().file(".wh.d/f", "")],
            End::Refused(".wh."),
        ),
        (
            "AUFS bookkeeping",
            |_| vec![Layer::new().dir(".wh..wh.plnk").file(".wh..wh.plnk/1", "x")],
            End::Harmless,
        ),
        (
            "root as symlink",
            |c| vec![Layer::new().symlink("./", c)],
            End::Refused("root of the image"),
        ),
        (
            "root as file",
            |_| vec![Layer::new().file("/.", "x")],
            End::Refused("root of the image"),
        ),
        (
            "symlink loop",
            |_| {
                vec![
                    Layer::new()
                        .symlink("a", "b")
                        .symlink("b", "a")
                        .file("a/x", "x"),
                ]
            },
            End::Refused("too many symlinks"),
        ),
        (
            "file as folder",
            |_| vec![Layer::new().file("f", "x").file("f/x", "x")],
            End::Refused("no folder"),
        ),
        (
            "write below a device",
            |_| {
                vec![
                    Layer::new()
                        .raw(b'3', "n", "", b"", |h| {
                            h.set_device_major(1).unwrap();
                            h.set_device_minor(3).unwrap();
                        })
                        .file("n/x", "x"),
                ]
            },
            End::Refused("no folder"),
        ),
        (
            "write onto a device",
            |_| {
                vec![
                    Layer::new()
                        .raw(b'4', "n", "", b"", |h| {
                            h.set_device_major(8).unwrap();
                            h.set_device_minor(0).unwrap();
                        })
                        .file("n", "own"),
                ]
            },
            End::Holds("n", "own"),
        ),
        (
            "write onto a pipe",
            |_| {
                vec![
                    Layer::new()
                        .raw(b'6', "p", "", b"", |_| {})
                        .file("p", "own"),
                ]
            },
            End::Holds("p", "own"),
        ),
        (
            "empty symlink",
            |_| vec![Layer::new().symlink("l", "")],
            End::Refused("symlink to nothing"),
        ),
        (
            "NUL in a long name",
            |_| vec![Layer::new().pax(&[("path", b"a\0b")]).file("x", "x")],
            End::Refused("NUL"),
        ),
        (
            "long name that climbs",
            |_| {
                vec![
                    Layer::new()
                        .pax(&[("path", b"../../canary/file")])
                        .file("x", "x"),
                ]
            },
            End::Refused("climbs"),
        ),
    ];
    for (what, make, end) in table {
        let rig = Rig::new();
        let canary = canary(&rig);
        let before = fingerprint(Path::new(&canary));
        let done = rig.layers(make(&canary));
        assert_eq!(
            fingerprint(Path::new(&canary)),
            before,
            "{what}: the canary was touched"
        );
        match (end, done) {
            (End::Refused(words), Err(e)) => {
                let text = chain(&e);
                assert!(text.contains(words), "{what}: {text}");
                assert!(
                    text.contains("layer ") && text.contains("entry "),
                    "{what}: {text}"
                );
                assert_eq!(rig.leftovers(), Vec::<String>::new(), "{what}");
            }
            (End::Refused(_), Ok(_)) => panic!("{what}: was taken"),
            (_, Err(e)) => panic!("{what}: {}", chain(&e)),
            (End::Holds(name, text), Ok(layers)) => {
                assert_eq!(
                    fs::read_to_string(layers[0].join(name)).unwrap(),
                    text,
                    "{what}"
                );
            }
            (End::Harmless, Ok(_)) => {}
        }
    }
}

#[test]
fn s27_owners_modes_times_and_special_files_are_kept_where_only_root_may_look() {
    if !root() {
        return;
    }
    // tmpfs has no users' own attributes before Linux 6.6.
    let rig = Rig::on_disk();
    let caps = b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00";
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let layer = Layer::new()
        .raw(b'5', "./", "", b"", |h| h.set_mode(0o711))
        .raw(b'5', "tmp", "", b"", |h| h.set_mode(0o1777))
        .raw(b'0', "su", "", b"x", |h| {
            h.set_mode(0o6755);
            h.set_uid(1000);
            h.set_gid(1001);
        })
        .pax(&[
            ("SCHILY.xattr.security.capability", caps),
            ("SCHILY.xattr.user.note", b"a=b\nc"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/x"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("mtime", b"-1.25"),
            ("uid", b"70000"),
        ])
        .file("ping", "x")
        .raw(b'3', "zero", "", b"", |h| {
            h.set_mode(0o666);
            h.set_device_major(1).unwrap();
            h.set_device_minor(5).unwrap();
        })
        .raw(b'6', "pipe", "", b"", |h| h.set_mode(0o622))
        .raw(b'2', "link", "/nowhere", b"", |h| h.set_uid(5))
        .file(&long, "long")
        .file("one", "1")
        .hardlink("two", "one")
        .file("tmp/late", "x");
    let top = rig.layers(vec![layer]).unwrap().remove(0);
    let meta = |name: &str| fs::symlink_metadata(top.join(name)).unwrap();
    assert_eq!(meta("").mode() & 0o7777, 0o711);
    assert_eq!(meta("tmp").mode() & 0o7777, 0o1777);
    assert_eq!(
        meta("tmp").mtime(),
        1_000_000_000,
        "an entry in a folder changed its time"
    );
    let su = meta("su");
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid()),
        (0o6755, 1000, 1001)
    );
    let ping = meta("ping");
    assert_eq!(
        (ping.uid(), ping.mtime(), ping.mtime_nsec()),
        (70000, -2, 750_000_000)
    );
    let xattr = |name: &str| {
        let mut value = [0_u8; 64];
        let n = rustix::fs::getxattr(top.join("ping"), name, value.as_mut_slice());
        n.map(|n| value[..n].to_vec())
    };
    assert_eq!(xattr("security.capability").unwrap(), caps);
    assert_eq!(xattr("user.note").unwrap(), b"a=b\nc");
    assert!(xattr("trusted.overlay.redirect").is_err() && xattr("user.overlay.opaque").is_err());
    let zero = meta("zero");
    assert!(zero.file_type().is_char_device() && zero.rdev() == rustix::fs::makedev(1, 5));
    assert_eq!(zero.mode() & 0o7777, 0o666);
    assert!(meta("pipe").file_type().is_fifo());
    assert_eq!(meta("link").uid(), 5);
    assert_eq!(fs::read_to_string(top.join(&long)).unwrap(), "long");
    assert_eq!(meta("one").ino(), meta("two").ino());
    for folder in ["root/layers", "root/images"] {
        let mode = fs::metadata(rig.path(folder)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o700, "{folder}");
    }
}

#[test]
fn s15_a_store_that_others_could_enter_is_made_private() {
    let rig = Rig::new();
    let folders = ["root/layers", "root/images"];
    for folder in folders {
        fs::set_permissions(rig.path(folder), fs::Permissions::from_mode(0o755)).unwrap();
    }
    drop(pod_image::Store::open(&rig.path("root")).unwrap());
    for folder in folders {
        let mode = fs::metadata(rig.path(folder)).unwrap().mode() & 0o7777;
        assert_eq!((folder, mode & 0o077), (folder, 0));
    }
}

fn is_whiteout(path: &Path) -> bool {
    let meta = fs::symlink_metadata(path).unwrap();
    meta.file_type().is_char_device() && meta.rdev() == 0
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0_u8; 4];
    rustix::fs::getxattr(path, "trusted.overlay.opaque", value.as_mut_slice()) == Ok(1)
}

#[test]
fn whiteouts_take_the_form_of_overlayfs_in_any_order() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let below = Layer::new()
        .raw(b'5', "tmp", "", b"", |h| h.set_mode(0o1777))
        .file("gone", "x")
        .file("a/x", "x")
        .file("b/x", "x")
        .file("c/x", "x")
        .symlink("bin", "usr/bin")
        .dir("usr/bin");
    let above = Layer::new()
        .file(".wh.gone", "")
        .file("tmp/new", "implicit folder")
        .file("a/.wh..wh..opq", "")
        .file("a/own", "stays")
        .file(".wh.b", "")
        .file("b/own", "after its whiteout")
        .file("c/own", "before its whiteout")
        .file(".wh.c", "")
        .file("bin/tool", "merged usr");
    let layers = rig.layers(vec![below, above]).unwrap();
    let top = &layers[0];
    assert!(is_whiteout(&top.join("gone")));
    assert!(is_opaque(&top.join("a")) && top.join("a/own").is_file());
    assert!(is_opaque(&top.join("b")) && top.join("b/own").is_file());
    assert!(is_opaque(&top.join("c")) && top.join("c/own").is_file());
    assert!(!is_opaque(&top.join("tmp")));
    let tmp = fs::metadata(top.join("tmp")).unwrap();
    assert_eq!(
        tmp.mode() & 0o7777,
        0o1777,
        "an implicit folder is as the layer below has it"
    );
    assert_eq!(
        fs::read_to_string(top.join("usr/bin/tool")).unwrap(),
        "merged usr"
    );
    assert!(fs::symlink_metadata(top.join("bin")).is_err());
}

#[test]
fn layers_below_an_opaque_root_are_not_mounted() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let layers = vec![
        Layer::new().file("etc/passwd", "old"),
        Layer::new().file(".wh..wh..opq", "").file("x", "x"),
        Layer::new().file("y", "y"),
    ];
    assert_eq!(rig.layers(layers).unwrap().len(), 2);
    assert_eq!(rig.store.facts(&"test".into()).unwrap().facts.passwd, "");
}

#[test]
fn s19_accounts_are_read_from_within_the_image_only() {
    if !root() {
        return;
    }
    let secret = "/etc/passwd";
    assert!(
        fs::metadata(secret).is_ok(),
        "the node has accounts that must not be read"
    );
    let big = format!("{}\n", "x".repeat(99)).repeat(20_000);
    let whole = |h: &mut tar::Header, major, minor| {
        h.set_device_major(major).unwrap();
        h.set_device_minor(minor).unwrap();
    };
    let text = "app:x:7:7::/:\n";
    let table: Vec<(&str, Vec<Layer>, &str)> = vec![
        ("plain", vec![Layer::new().file("etc/passwd", text)], text),
        ("none", vec![Layer::new().file("x", "x")], ""),
        (
            "upper wins",
            vec![
                Layer::new().file("etc/passwd", "old"),
                Layer::new().file("etc/passwd", text),
            ],
            text,
        ),
        (
            "from below",
            vec![
                Layer::new().file("etc/passwd", text),
                Layer::new().file("etc/x", "x"),
            ],
            text,
        ),
        (
            "removed",
            vec![
                Layer::new().file("etc/passwd", "old"),
                Layer::new().file("etc/.wh.passwd", ""),
            ],
            "",
        ),
        (
            "folder removed",
            vec![
                Layer::new().file("etc/passwd", "old"),
                Layer::new().file(".wh.etc", ""),
            ],
            "",
        ),
        (
            "opaque",
            vec![
                Layer::new().file("etc/passwd", "old"),
                Layer::new().file("etc/.wh..wh..opq", ""),
            ],
            "",
        ),
        (
            "absolute link",
            vec![Layer::new().symlink("etc/passwd", secret)],
            "",
        ),
        (
            "climbing link",
            vec![Layer::new().symlink("etc/passwd", "../../../../../../../etc/passwd")],
            "",
        ),
        (
            "proc link",
            vec![Layer::new().symlink("etc/passwd", "/proc/self/environ")],
            "",
        ),
        (
            "folder link out",
            vec![Layer::new().symlink("etc", "/../../../../../etc")],
            "",
        ),
        (
            "link inside",
            vec![
                Layer::new()
                    .symlink("etc/passwd", "/usr/lib/passwd")
                    .file("usr/lib/passwd", text),
            ],
            text,
        ),
        (
            "link to a lower layer",
            vec![
                Layer::new().file("usr/passwd", text),
                Layer::new().symlink("etc", "usr"),
            ],
            text,
        ),
        (
            "link loop",
            vec![
                Layer::new()
                    .symlink("etc/passwd", "group")
                    .symlink("etc/group", "passwd"),
            ],
            "",
        ),
        (
            "pipe",
            vec![Layer::new().raw(b'6', "etc/passwd", "", b"", |_| {})],
            "",
        ),
        (
            "device",
            vec![Layer::new().raw(b'3', "etc/passwd", "", b"", |h| whole(h, 1, 5))],
            "",
        ),
        ("folder", vec![Layer::new().dir("etc/passwd")], ""),
        (
            "too big",
            vec![Layer::new().file("etc/passwd", &big)],
            &big[..(1 << 20) / 100 * 100],
        ),
    ];
    for (what, layers, expect) in table {
        let rig = Rig::new();
        rig.layers(layers)
            .unwrap_or_else(|e| panic!("{what}: {}", chain(&e)));
        let facts = rig.store.facts(&"test".into()).unwrap().facts;
        assert!(
            facts.passwd == expect,
            "{what}: {} bytes: {:.80}",
            facts.passwd.len(),
            facts.passwd
        );
    }
}

/// Mostly links and what is written through them; a refused entry ends a layer, so kinds that are often refused are rare.
fn any_kind() -> impl Strategy<Value = u8> {
    prop_oneof![4 => Just(b'2'), 4 => Just(b'0'), 2 => Just(b'5'), 1 => Just(b'1'), 1 => Just(b'3'), 1 => Just(b'6')]
}

fn any_name() -> impl Strategy<Value = String> {
    let first = || prop::sample::select(vec!["a", "b"]);
    let last = prop::sample::select(vec!["a", "file", "canary", ".wh.file", ".wh..wh..opq", "."]);
    prop_oneof![
        3 => first().prop_map(str::to_owned),
        3 => (first(), last.clone()).prop_map(|(a, b)| format!("{a}/{b}")),
        1 => (first(), first(), last).prop_map(|(a, b, c)| format!("{a}/{b}/{c}")),
    ]
}

fn any_link() -> impl Strategy<Value = &'static str> {
    let ways = vec![
        "OUT",
        "OUT",
        "OUT/file",
        "../../../../canary",
        "../../..",
        "/",
        "a",
        "b/a",
    ];
    prop::sample::select(ways)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any order of entries with nasty names, links and kinds, over two layers: the outside stays as it is, a refusal leaves nothing.
    #[test]
    fn s25_no_order_of_entries_reaches_out(
        entries in proptest::collection::vec((any_kind(), any_name(), any_link(), any::<bool>()), 2..12)
    ) {
        if !root() {
            return Ok(());
        }
        let rig = Rig::new();
        let canary = canary(&rig);
        let before = fingerprint(Path::new(&canary));
        let mut layers = [Layer::new(), Layer::new()];
        for (kind, name, link, upper) in entries {
            let link = link.replace("OUT", &canary);
            let at = usize::from(upper);
            let old = std::mem::take(&mut layers[at]);
            layers[at] = old.raw(kind, &name, &link, if kind == b'0' { b"evil" } else { b"" }, |h| {
                h.set_mode(0o4777);
                if kind == b'3' {
                    h.set_device_major(1).unwrap();
                    h.set_device_minor(3).unwrap();
                }
            });
        }
        let done = rig.layers(layers.into_iter().collect());
        prop_assert_eq!(fingerprint(Path::new(&canary)), before);
        if done.is_err() {
            prop_assert_eq!(rig.leftovers(), Vec::<String>::new());
        }
    }
}
