//! Names, lists, removal, sharing, locks, and what a killed process leaves.

use crate::kit::*;
use pod_image::{FactsError, ImportOptions, Reference, RemoveError, Store};
use pod_model::ids::ImageId;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

fn image(text: &str) -> Image {
    Image::new(vec![
        Layer::new().file("base", "shared by all"),
        Layer::new().file("own", text),
    ])
}

/// Makes `path` unreadable while `act` runs: a link to itself is there, and every read of it fails.
fn unread<T>(path: &Path, act: impl FnOnce() -> T) -> T {
    let aside = path.with_extension("aside");
    fs::rename(path, &aside).unwrap();
    std::os::unix::fs::symlink(path, path).unwrap();
    let done = act();
    assert!(path.is_symlink(), "{} was replaced", path.display());
    fs::rename(&aside, path).unwrap();
    done
}

#[test]
fn what_cannot_be_read_is_neither_unused_nor_missing() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let (old, new) = (image("1"), image("2"));
    let manifest = rig
        .import(&layout(&[(&old, None)]), Some("busybox"))
        .unwrap()
        .digest;
    let layers = rig.folders("busybox");
    rig.import(&layout(&[(&new, None)]), Some("busybox"))
        .unwrap();
    // A container uses the one that has no name any more.
    let in_use = [ImageId::new(old.id().as_str())];
    let blobs = rig.path("root/images/blobs/sha256");
    for blob in [manifest.hex(), old.id().hex()] {
        let blob = blobs.join(blob);
        unread(&blob, || {
            assert!(rig.store.prune(&in_use).is_err());
            assert!(rig.store.collect().is_err());
            let removed = rig.store.remove(old.id().as_str(), &in_use).unwrap_err();
            assert!(matches!(removed, RemoveError::Store(_)), "{removed}");
            let sought = rig.store.facts(&old.id().as_str().into()).unwrap_err();
            assert!(matches!(sought, FactsError::Store { .. }), "{sought}");
        });
        assert!(layers.iter().all(|l| l.is_dir()));
    }
    rig.store.prune(&in_use).unwrap();
    assert!(layers.iter().all(|l| l.is_dir()));
    unread(&rig.path("root/images/index.json"), || {
        assert!(Store::open(&rig.path("root")).is_err());
    });
    assert_eq!(rig.store.list().unwrap().len(), 2);
    rig.store.prune(&[]).unwrap();
    assert!(layers.iter().any(|l| !l.is_dir()));
}

#[test]
fn a_name_is_found_in_every_form_and_no_other() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let own = image("1");
    let done = rig
        .import(&layout(&[(&own, None)]), Some("busybox"))
        .unwrap();
    let full = "docker.io/library/busybox";
    let id = own.id();
    let digest = &done.digest;
    for name in [
        "busybox",
        "busybox:latest",
        "library/busybox",
        "docker.io/busybox:latest",
        full,
        &format!("{full}:latest"),
        &format!("{full}@{digest}"),
        &format!("busybox:1@{digest}"),
        id.as_str(),
        id.hex(),
    ] {
        let found = rig
            .store
            .facts(&name.into())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.facts.id.as_str(), id.as_str(), "{name}");
    }
    let other = format!("busybox@{id}");
    for name in [
        "busybox:1",
        "busyboxx",
        "quay.io/busybox",
        &other,
        &"0".repeat(64),
    ] {
        let error = rig.store.facts(&name.into()).unwrap_err();
        assert!(
            matches!(error, FactsError::NotFound { .. }),
            "{name}: {error}"
        );
    }
    assert_eq!(
        rig.store.facts(&"redis".into()).unwrap_err().to_string(),
        "image \"redis\" is not in the store; import it with: podwright image import PATH --name redis"
    );
    let error = rig.store.facts(&"Bad Name".into()).unwrap_err();
    assert!(matches!(error, FactsError::Name { .. }), "{error}");
}

#[test]
fn importing_twice_changes_nothing() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let files = layout(&[(&image("1"), Some("a"))]);
    let first = rig.import(&files, None).unwrap();
    let listed = rig.store.list().unwrap();
    let index = fs::metadata(rig.path("root/images/index.json")).unwrap();
    let layer = fs::metadata(&rig.folders("a")[0]).unwrap();
    let second = rig.import(&files, None).unwrap();
    assert_eq!((first.unpacked, second.unpacked), (2, 0));
    assert_eq!((first.id, first.digest), (second.id, second.digest));
    assert_eq!(rig.store.list().unwrap(), listed);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(
        fs::metadata(rig.path("root/images/index.json"))
            .unwrap()
            .ino(),
        index.ino()
    );
    assert_eq!(
        fs::metadata(&rig.folders("a")[0]).unwrap().ino(),
        layer.ino()
    );
}

#[test]
fn several_images_need_a_tag_and_one_image_keeps_all_its_names() {
    if !root() {
        return;
    }
    let (one, two) = (image("1"), image("2"));
    for (form, files) in [
        (
            "oci",
            layout(&[
                (&one, Some("app:1")),
                (&two, Some("app:2")),
                (&two, Some("app:latest")),
            ]),
        ),
        (
            "docker",
            docker(&[(&one, &["app:1"]), (&two, &["app:2", "app:latest"])]),
        ),
    ] {
        let rig = Rig::new();
        fs::write(rig.path("a.tar"), archive(&files)).unwrap();
        let import = |text: &str| {
            rig.store
                .import_path(&rig.path(text), &ImportOptions::default(), &mut |_| {})
        };
        let text = chain(&import("a.tar").unwrap_err());
        assert!(
            text.contains("several images") && text.contains("app:1, app:2, app:latest"),
            "{form}: {text}"
        );
        let text = chain(&import("a.tar:9").unwrap_err());
        assert!(
            text.contains("no image with the tag \"9\"") && text.contains("app:1"),
            "{form}: {text}"
        );
        let names = |text: &str| -> Vec<String> {
            let done = import(text).unwrap_or_else(|e| panic!("{form} {text}: {}", chain(&e)));
            done.names.iter().map(Reference::familiar).collect()
        };
        assert_eq!(names("a.tar:1"), ["app:1"]);
        assert_eq!(names("a.tar:app:2"), ["app:2"]);
        assert_eq!(names("a.tar:docker.io/library/app"), ["app:latest"]);
    }
    let rig = Rig::new();
    let done = rig
        .import(&docker(&[(&one, &["x:1", "quay.io/y/z:2"])]), None)
        .unwrap();
    assert_eq!(done.names.len(), 2);
    let listed = rig.store.list().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].created.as_deref(), Some("2024-01-02T03:04:05Z"));
}

#[test]
fn an_image_without_a_name_asks_for_one() {
    if !root() {
        return;
    }
    let own = image("1");
    for files in [
        layout(&[(&own, None)]),
        layout(&[(&own, Some("latest"))]),
        layout(&[(&own, Some("1.36"))]),
        layout(&[(&own, Some("v2"))]),
        docker(&[(&own, &[])]),
    ] {
        let rig = Rig::new();
        let text = chain(&rig.import(&files, None).unwrap_err());
        assert!(text.contains("--name"), "{text}");
        rig.import(&files, Some("given")).unwrap();
    }
}

#[test]
fn a_multi_platform_index_gives_the_image_of_this_node() {
    if !root() {
        return;
    }
    let own = image("ours");
    let mut files = layout(&[(&own, Some("app"))]);
    let (_, manifest) = own.oci();
    let mut ours = manifest.clone();
    ours["platform"] =
        json!({"os": "linux", "architecture": oci_spec::image::Arch::default().to_string()});
    let mut theirs = descriptor("application/vnd.oci.image.manifest.v1+json", b"not copied");
    theirs["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let mut proof = descriptor("application/vnd.oci.image.manifest.v1+json", b"attestation");
    proof["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let list = |entries: serde_json::Value| {
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries})
            .to_string()
            .into_bytes()
    };
    let inner = list(json!([theirs, proof, ours]));
    let digest = pod_image::Digest::of(&inner);
    let mut pointer = descriptor("application/vnd.oci.image.index.v1+json", &inner);
    pointer["annotations"] = json!({"org.opencontainers.image.ref.name": "app"});
    files.retain(|(n, _)| n != "index.json");
    files.push((format!("blobs/sha256/{}", digest.hex()), inner));
    files.push(("index.json".into(), list(json!([pointer]))));
    let rig = Rig::new();
    assert_eq!(rig.import(&files, None).unwrap().id, own.id());
    rig.store
        .facts(&format!("app@{digest}").as_str().into())
        .expect("the digest of the index is a name too");

    let foreign = list(json!([theirs, proof]));
    let mut pointer = descriptor("application/vnd.oci.image.index.v1+json", &foreign);
    pointer["annotations"] = json!({"org.opencontainers.image.ref.name": "app"});
    let files: Files = vec![
        (
            format!("blobs/sha256/{}", pod_image::Digest::of(&foreign).hex()),
            foreign,
        ),
        ("index.json".into(), list(json!([pointer]))),
    ];
    let text = chain(&rig.import(&files, None).unwrap_err());
    assert!(
        text.contains("made for linux/s390x; this node is linux/"),
        "{text}"
    );
}

#[test]
fn removing_takes_what_nothing_else_needs_and_nothing_in_use() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let (one, two) = (image("1"), image("2"));
    rig.import(&layout(&[(&one, None)]), Some("one")).unwrap();
    rig.import(&layout(&[(&one, None)]), Some("uno")).unwrap();
    rig.import(&layout(&[(&two, None)]), Some("two")).unwrap();
    let (of_one, of_two) = (rig.folders("one"), rig.folders("two"));
    assert_eq!(of_one[1], of_two[1], "the lowest layer is shared");
    let in_use = [ImageId::new(one.id().as_str())];

    let removed = rig
        .store
        .remove("uno", &in_use)
        .expect("another name still holds it");
    assert!(removed.images.is_empty() && removed.freed.layers == 0);
    let error = rig.store.remove("one", &in_use).unwrap_err();
    assert!(matches!(error, RemoveError::InUse { .. }), "{error}");
    assert!(rig.store.facts(&"one".into()).is_ok());
    let removed = rig.store.remove(&one.id().hex()[..12], &[]).unwrap();
    assert_eq!(removed.freed.layers, 1);
    assert!(!of_one[0].exists() && of_two[0].exists() && of_two[1].exists());
    assert!(matches!(
        rig.store.facts(&"one".into()),
        Err(FactsError::NotFound { .. })
    ));
    rig.store.facts(&"two".into()).unwrap();
    for (name, words) in [
        ("one", "not in the store"),
        ("no such", "couldn't parse"),
        (&"0".repeat(64), "not in the store"),
    ] {
        let text = rig.store.remove(name, &[]).unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
    rig.store
        .remove("docker.io/library/two:latest", &[])
        .unwrap();
    assert_eq!(rig.leftovers(), Vec::<String>::new());
}

#[test]
fn an_image_that_loses_its_name_stays_until_it_is_pruned() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let (old, new) = (image("old"), image("new"));
    rig.import(&layout(&[(&old, None)]), Some("app")).unwrap();
    let layers = rig.folders("app");
    rig.import(&layout(&[(&new, None)]), Some("app")).unwrap();
    assert_eq!(
        rig.store.facts(&"app".into()).unwrap().facts.id.as_str(),
        new.id().as_str()
    );
    assert!(layers[0].exists(), "a running container may still use it");
    let listed = rig.store.list().unwrap();
    assert_eq!((listed.len(), listed[1].name.clone()), (2, None));
    rig.store.prune(&[ImageId::new(old.id().as_str())]).unwrap();
    assert!(layers[0].exists());
    let removed = rig.store.prune(&[]).unwrap();
    assert_eq!(removed.images, [old.id()]);
    assert!(!layers[0].exists());
    rig.store.facts(&"app".into()).unwrap();
}

#[test]
fn what_a_killed_process_left_is_swept_and_the_rest_stays() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    rig.import(&layout(&[(&image("1"), None)]), Some("app"))
        .unwrap();
    let half = rig.path("root/layers/.tmp-half/etc");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("x"), "x").unwrap();
    fs::write(rig.path("root/images/.tmp-blob"), "x").unwrap();
    let orphan = pod_image::Digest::of(b"orphan");
    let orphan = rig.path(&format!("root/images/blobs/sha256/{}", orphan.hex()));
    fs::write(&orphan, "orphan").unwrap();
    let again = Store::open(&rig.path("root")).unwrap();
    assert!(
        !rig.path("root/layers/.tmp-half").exists() && !rig.path("root/images/.tmp-blob").exists()
    );
    assert!(orphan.exists());
    assert_eq!(again.collect().unwrap().blobs, 1);
    again.facts(&"app".into()).unwrap();
}

#[test]
fn two_stores_over_one_folder_import_and_remove_at_once() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let root = rig.path("root");
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (root, failures) = (&root, &failures);
            scope.spawn(move || {
                let store = Store::open(root).unwrap();
                for round in 0..4 {
                    let own = image(&format!("{n} {round}"));
                    let bytes = archive(&layout(&[(&own, None)]));
                    let name = Reference::parse(&format!("app{n}:{round}")).unwrap();
                    let options = ImportOptions {
                        tag: None,
                        name: Some(name.clone()),
                    };
                    let done = store.import_stream(&mut bytes.as_slice(), &options, &mut |_| {});
                    let found = store.facts(&name.to_string().as_str().into());
                    let gone = round % 2 == 0 && store.remove(&name.to_string(), &[]).is_err();
                    if done.is_err() || found.is_err() || gone {
                        failures.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(failures.into_inner(), 0);
    assert_eq!(rig.store.list().unwrap().len(), 8);
    rig.store.collect().unwrap();
    assert_eq!(fs::read_dir(root.join("layers")).unwrap().count(), 9);
}

#[test]
fn a_lookup_that_was_made_before_is_answered_from_memory() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    rig.import(&layout(&[(&image("1"), None)]), Some("app"))
        .unwrap();
    let first = rig.store.facts(&"app".into()).unwrap();
    let second = rig.store.facts(&"docker.io/library/app".into()).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first.facts, &second.facts));
    // Another process changes the index: the memory must notice.
    Store::open(&rig.path("root"))
        .unwrap()
        .remove("app", &[])
        .unwrap();
    assert!(rig.store.facts(&"app".into()).is_err());
}

#[test]
fn a_store_opens_while_another_process_imports() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    rig.import(&layout(&[(&image("1"), None)]), Some("app"))
        .unwrap();
    let root = rig.path("root");
    let slow = archive(&layout(&[(&image("2"), None)]));
    let options = ImportOptions {
        tag: None,
        name: Some(Reference::parse("slow").unwrap()),
    };
    let mut looked = false;
    // The progress callback runs while the import holds the lock.
    let mut look = |_| {
        let other = Store::open(&root).unwrap();
        other.facts(&"app".into()).unwrap();
        assert!(
            other.facts(&"slow".into()).is_err(),
            "not before it is whole"
        );
        looked = true;
    };
    rig.store
        .import_stream(&mut slow.as_slice(), &options, &mut look)
        .unwrap();
    assert!(looked);
    rig.store.facts(&"slow".into()).unwrap();
}
