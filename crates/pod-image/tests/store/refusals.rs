//! Damaged, hostile and oversized images are refused with an error that names what, where and what to do, and leave nothing behind.

use crate::kit::*;
use pod_image::{Digest, ImportError, ImportOptions, Limits, Store, StoreError};
use serde_json::{Value, json};
use std::time::Instant;

fn small() -> Image {
    Image::new(vec![Layer::new().file("a", "content of a")])
}

/// Changes one file of a layout.
fn edit(files: &mut Files, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let (_, data) = files.iter_mut().find(|(n, _)| n.ends_with(name)).unwrap();
    change(data);
}

fn manifest_name(image: &Image) -> String {
    let (blobs, _) = image.oci();
    Digest::of(blobs.last().unwrap()).hex().to_owned()
}

fn edit_json(data: &mut Vec<u8>, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(data).unwrap();
    change(&mut value);
    *data = value.to_string().into_bytes();
}

/// A layout around a manifest that was changed, its descriptor fitting again.
fn with_manifest(image: &Image, change: impl FnOnce(&mut Value)) -> Files {
    let mut files = layout(&[(image, Some("x"))]);
    let old = manifest_name(image);
    let at = files.iter().position(|(n, _)| n.ends_with(&old)).unwrap();
    edit_json(&mut files[at].1, change);
    let own = descriptor(
        "application/vnd.oci.image.manifest.v1+json",
        &files[at].1.clone(),
    );
    files[at].0 = format!(
        "blobs/{}",
        own["digest"].as_str().unwrap().replace(':', "/")
    );
    edit(&mut files, "index.json", |d| {
        edit_json(d, |v| v["manifests"][0]["digest"] = own["digest"].clone());
        edit_json(d, |v| v["manifests"][0]["size"] = own["size"].clone());
    });
    files
}

#[test]
fn s26_a_damaged_image_is_refused_whole() {
    if !root() {
        return;
    }
    let image = small();
    let (blobs, _) = image.oci();
    let layer = Digest::of(&blobs[0]).hex().to_owned();
    let config = image.id().hex().to_owned();
    let good = || layout(&[(&image, Some("x"))]);
    let mut table: Vec<(&str, Files, &str)> = Vec::new();
    let mut case = |what, change: &dyn Fn(&mut Files), words| {
        let mut files = good();
        change(&mut files);
        table.push((what, files, words));
    };
    case(
        "a bit of a layer",
        &|f| edit(f, &layer, |d| d[20] ^= 1),
        "its digest is sha256:",
    );
    case(
        "a longer layer",
        &|f| edit(f, &layer, |d| d.push(0)),
        "bytes long, not",
    );
    case(
        "a missing layer",
        &|f| f.retain(|(n, _)| !n.ends_with(&layer)),
        "missing from the source",
    );
    case(
        "a bit of the config",
        &|f| edit(f, &config, |d| d[3] ^= 1),
        "has the digest",
    );
    case(
        "a missing config",
        &|f| f.retain(|(n, _)| !n.ends_with(&config)),
        "missing from the source",
    );
    case(
        "a missing manifest",
        &|f| f.retain(|(n, _)| !n.ends_with(&manifest_name(&image))),
        "missing",
    );
    case(
        "an index that is no JSON",
        &|f| edit(f, "index.json", |d| d.truncate(9)),
        "index.json is damaged",
    );
    case(
        "an empty index",
        &|f| {
            edit(f, "index.json", |d| {
                *d = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec()
            })
        },
        "holds no image",
    );
    case(
        "another algorithm",
        &|f| {
            edit(f, "index.json", |d| {
                edit_json(d, |v| {
                    v["manifests"][0]["digest"] = json!(format!("sha512:{}", "a".repeat(128)))
                })
            })
        },
        "sha256",
    );
    case(
        "a wrong size",
        &|f| {
            edit(f, "index.json", |d| {
                edit_json(d, |v| v["manifests"][0]["size"] = json!(3))
            })
        },
        "bytes long, not 3",
    );
    case("nothing at all", &|f| f.clear(), "the archive is empty");
    case(
        "a root file system",
        &|f| *f = vec![("etc/passwd".into(), b"x".to_vec())],
        "bare root file system",
    );
    table.push((
        "two kinds at once",
        with_manifest(&image, |v| v["manifests"] = json!([])),
        "another kind of document",
    ));
    table.push((
        "another media type",
        with_manifest(&image, |v| {
            v["mediaType"] = json!("application/vnd.oci.image.index.v1+json")
        }),
        "calls itself",
    ));
    table.push((
        "a climbing digest",
        with_manifest(&image, |v| {
            v["layers"][0]["digest"] = json!("sha256:../../../../etc/passwd")
        }),
        "damaged",
    ));
    table.push((
        "more layers than diff ids",
        with_manifest(&image, |v| {
            let l = v["layers"][0].clone();
            v["layers"].as_array_mut().unwrap().push(l);
        }),
        "2 layers, its config 1",
    ));
    table.push((
        "an artifact",
        with_manifest(&image, |v| {
            v["layers"][0]["mediaType"] = json!("application/wasm")
        }),
        "artifact",
    ));
    table.push((
        "encrypted",
        with_manifest(&image, |v| {
            v["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+encrypted")
        }),
        "encrypted",
    ));
    let mut other = Image::new(vec![Layer::new().file("a", "another")]);
    let wrong = blobs[0].clone();
    table.push((
        "a layer that is not the config's",
        with_manifest(&image, |v| {
            // The config promises another content than the layer has.
            other.layers = vec![b"promised".to_vec()];
            let config = other.config_json();
            v["config"] = descriptor("application/vnd.oci.image.config.v1+json", &config);
            v["layers"][0] = descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &wrong);
        })
        .into_iter()
        .chain([(
            format!("blobs/sha256/{}", other.id().hex()),
            other.config_json(),
        )])
        .collect(),
        "damaged or was tampered with",
    ));
    for (what, files, words) in table {
        let rig = Rig::new();
        let error = rig.import(&files, Some("x")).expect_err(what);
        let text = chain(&error);
        assert!(text.contains(words), "{what}: {text}");
        assert!(text.contains("the image"), "{what}: {text}");
        assert_eq!(rig.leftovers(), Vec::<String>::new(), "{what}");
        assert!(rig.store.list().unwrap().is_empty());
    }
}

#[test]
fn an_archive_that_was_cut_off_says_so_wherever_it_was_cut() {
    if !root() {
        return;
    }
    let oci = archive(&layout(&[(&small(), Some("x"))]));
    let save = archive(&docker(&[(&small(), &["x"])]));
    let packed = Pack::Gzip.pack(&save);
    // What lies behind the content of a plain tar is zeros, which nobody misses.
    let content = |tar: &[u8]| tar.iter().rposition(|b| *b != 0).unwrap() + 1;
    let ends = [content(&oci), content(&save), packed.len()];
    for (whole, end) in [oci, save, packed].iter().zip(ends) {
        let rig = Rig::new();
        for part in 1..24 {
            let cut = end * part / 24;
            let error = rig.import_bytes(&whole[..cut], Some("x")).unwrap_err();
            let text = chain(&error);
            let told = ["cut off", "missing", "no image", "decompress"]
                .iter()
                .any(|w| text.contains(w));
            assert!(told, "cut at {cut}: {text}");
        }
        assert_eq!(rig.leftovers(), Vec::<String>::new());
        rig.import_bytes(whole, Some("x")).unwrap();
    }
}

#[test]
fn s26_bombs_are_stopped_at_their_limits() {
    if !root() {
        return;
    }
    let zeros = |bytes: usize| Layer::new().raw(b'0', "zeros", "", &vec![0; bytes], |_| {});
    let deep = "d/".repeat(300);
    let name = "n".repeat(256);
    let long = "p/".repeat(2100);
    let limits = Limits {
        layer_bytes: 8 << 20,
        layer_entries: 1000,
        ratio: 50,
        ratio_from: 2 << 20,
        path_depth: 64,
        ..Limits::default()
    };
    let many = |n: usize| (0..n).fold(Layer::new(), |l, i| l.file(&format!("f{i}"), ""));
    let table: Vec<(&str, Image, &str)> = vec![
        (
            "bytes",
            Image::new(vec![zeros(9 << 20)]).packed(Pack::Plain),
            "more than the limit of 8388608 bytes",
        ),
        (
            "gzip",
            Image::new(vec![zeros(7 << 20)]).packed(Pack::Gzip),
            "bomb",
        ),
        (
            "zstd",
            Image::new(vec![zeros(7 << 20)]).packed(Pack::Zstd),
            "bomb",
        ),
        (
            "entries",
            Image::new(vec![many(1001)]),
            "number of entries is over the limit of 1000",
        ),
        (
            "depth",
            Image::new(vec![Layer::new().file(&format!("{deep}f"), "")]),
            "deeper than 64",
        ),
        (
            "name",
            Image::new(vec![Layer::new().file(&name, "")]),
            "name longer than 255",
        ),
        (
            "path",
            Image::new(vec![Layer::new().file(&format!("{long}f"), "")]),
            "path longer than 4095",
        ),
        (
            "link",
            Image::new(vec![Layer::new().symlink("l", &long)]),
            "path longer than 4095",
        ),
        (
            "extended header",
            Image::new(vec![
                Layer::new()
                    .pax(&[("comment", &vec![b'x'; 2 << 20])])
                    .file("f", ""),
            ]),
            "extended header",
        ),
        (
            "long name header",
            Image::new(vec![Layer::new().file(&"x".repeat(2 << 20), "")]),
            "extended header",
        ),
        (
            "depth by links",
            Image::new(vec![
                Layer::new()
                    .dir(&"a/".repeat(60))
                    .symlink("s", &"a/".repeat(60))
                    .file("s/b/b/b/b/b/b/f", ""),
            ]),
            "deeper than 64",
        ),
        (
            "sparse",
            Image::new(vec![Layer::new().raw(b'S', "s", "", b"", |h| {
                h.as_gnu_mut().unwrap().set_real_size(1 << 40)
            })]),
            "sparse file of more than",
        ),
    ];
    for (what, image, words) in table {
        let rig = Rig::with_limits(limits);
        let error = rig
            .import(&layout(&[(&image, None)]), Some("x"))
            .expect_err(what);
        let text = chain(&error);
        assert!(text.contains(words), "{what}: {text}");
        assert_eq!(rig.leftovers(), Vec::<String>::new(), "{what}");
    }
    let rig = Rig::with_limits(Limits {
        archive_entries: 5,
        ..Limits::default()
    });
    let files: Files = (0..9).map(|n| (n.to_string(), Vec::new())).collect();
    assert!(chain(&rig.import(&files, Some("x")).unwrap_err()).contains("over the limit of 5"));
    let rig = Rig::with_limits(Limits {
        archive_bytes: 1 << 20,
        ..Limits::default()
    });
    let files = vec![("index.json".to_owned(), vec![b' '; 2 << 20])];
    assert!(chain(&rig.import(&files, Some("x")).unwrap_err()).contains("limit of 1048576 bytes"));
}

#[test]
fn twice_the_entries_take_about_twice_the_time() {
    if !root() {
        return;
    }
    // Half of them in one folder each, which is where unpackers become slow.
    let layer = |n: usize| {
        (0..n).fold(Layer::new(), |l, i| {
            l.file(&format!("d{}/e/f{i}", i % (n / 2)), "x")
        })
    };
    let time = |n: usize| {
        let image = Image::new(vec![layer(n)]).packed(Pack::Plain);
        let bytes = archive(&layout(&[(&image, None)]));
        (0..3)
            .map(|_| {
                let rig = Rig::new();
                let begin = Instant::now();
                rig.import_bytes(&bytes, Some("x")).unwrap();
                begin.elapsed()
            })
            .min()
            .unwrap()
    };
    let (one, four) = (time(1000), time(4000));
    // 4× the entries; quadratic would be 16×. Generous, since the machine may be busy.
    assert!(four < one * 9, "{one:?} then {four:?}");
}

#[test]
fn an_image_for_another_machine_or_of_too_many_layers_is_refused() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let layers = |n: usize| {
        (0..n)
            .map(|i| Layer::new().file(&format!("f{i}"), "x"))
            .collect()
    };
    let fits = Image::new(layers(127));
    rig.import(&layout(&[(&fits, None)]), Some("many")).unwrap();
    let facts = rig.store.facts(&"many".into()).unwrap().facts;
    assert_eq!(facts.layers.len(), 127);
    assert!(
        facts.layers[0].as_path().join("f126").is_file(),
        "topmost first"
    );
    let many = Image::new(layers(128));
    let error = rig
        .import(&layout(&[(&many, None)]), Some("more"))
        .unwrap_err();
    assert!(
        chain(&error).contains("128 layers; at most 127"),
        "{}",
        chain(&error)
    );
    let none = Image::new(vec![]);
    let error = rig
        .import(&layout(&[(&none, None)]), Some("none"))
        .unwrap_err();
    assert!(chain(&error).contains("no layers"), "{}", chain(&error));

    let mut config: Value = serde_json::from_slice(&fits.config_json()).unwrap();
    config["architecture"] = json!("s390x");
    let config = config.to_string().into_bytes();
    let mut files = with_manifest(&fits, |v| {
        v["config"] = descriptor("application/vnd.oci.image.config.v1+json", &config)
    });
    files.push((
        format!("blobs/sha256/{}", Digest::of(&config).hex()),
        config,
    ));
    let error = rig.import(&files, Some("far")).unwrap_err();
    assert!(matches!(error, ImportError::Unfit { .. }));
    assert!(
        error
            .to_string()
            .contains("linux/s390x; this node is linux/"),
        "{error}"
    );
}

#[test]
fn a_path_that_is_not_there_or_no_image_says_so() {
    let rig = Rig::new();
    std::fs::create_dir(rig.path("empty")).unwrap();
    std::fs::write(
        rig.path("text"),
        "hello, this is no archive at all".repeat(40),
    )
    .unwrap();
    std::fs::write(rig.path("xz"), b"\xfd7zXZ\0 more").unwrap();
    for (path, words) in [
        ("nowhere:1.0", "there is no file or folder"),
        ("empty", "holds no index.json"),
        ("text", "no tar archive"),
        ("xz", "xz compression is not supported"),
    ] {
        let error = rig
            .store
            .import_path(&rig.path(path), &ImportOptions::default(), &mut |_| {})
            .unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains(words) && text.contains(path),
            "{path}: {text}"
        );
    }
}

/// A tmpfs of that size in a mount namespace of a thread of its own.
fn on_a_disk_of(bytes: u64, act: impl FnOnce(&std::path::Path) + Send + 'static) {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes},mode=700");
        mount(
            Some("small"),
            folder.path(),
            Some("tmpfs"),
            MsFlags::empty(),
            Some(size.as_str()),
        )
        .unwrap();
        act(folder.path());
        nix::mount::umount2(folder.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
    };
    std::thread::spawn(body).join().unwrap();
}

#[test]
fn a_full_disk_is_named_and_images_can_still_be_removed_from_it() {
    if !root() {
        return;
    }
    on_a_disk_of(4 << 20, |disk| {
        let noise = |seed: u64, bytes: usize| -> String {
            let mut state = seed;
            let mut next = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                char::from(b'a' + (state >> 33) as u8 % 26)
            };
            (0..bytes).map(|_| next()).collect()
        };
        let image = |seed, bytes| {
            Image::new(vec![Layer::new().file("data", &noise(seed, bytes))]).packed(Pack::Plain)
        };
        let store = Store::open(disk).unwrap();
        let import = |image: &Image, name: &str| {
            let bytes = archive(&layout(&[(image, None)]));
            let options = ImportOptions {
                tag: None,
                name: Some(pod_image::Reference::parse(name).unwrap()),
            };
            store.import_stream(&mut bytes.as_slice(), &options, &mut |_| {})
        };
        import(&image(1, 500_000), "fits").unwrap();
        for bytes in [1_500_000, 3_000_000, 8_000_000] {
            let error = import(&image(2, bytes), "big").unwrap_err();
            assert!(
                matches!(error, ImportError::Store(StoreError::DiskFull { .. })),
                "{}",
                chain(&error)
            );
            let text = error.to_string();
            assert!(
                text.contains(disk.to_str().unwrap()) && text.contains("disk is full"),
                "{text}"
            );
            assert!(text.contains("image rm"), "{text}");
            let names = store.list().unwrap();
            assert_eq!(names.len(), 1, "the store is as it was");
        }
        // Someone else fills the disk to the last byte.
        let _ = std::fs::write(disk.join("filler"), vec![1; 8 << 20]);
        let _ = std::fs::write(disk.join("filler2"), vec![1; 1]);
        store.facts(&"fits".into()).unwrap();
        let removed = store.remove("fits", &[]).unwrap();
        assert_eq!(removed.images.len(), 1);
        assert!(store.list().unwrap().is_empty());
        std::fs::remove_file(disk.join("filler")).unwrap();
        import(&image(3, 500_000), "again").unwrap();
    });
}
