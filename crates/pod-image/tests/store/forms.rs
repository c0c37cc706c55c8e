//! Every form that an image comes in is imported to the same thing.

use crate::kit::*;
use pod_image::{ImportOptions, Phase};
use std::fs;

fn hello() -> Image {
    Image::new(vec![
        Layer::new().dir("etc/").file("etc/passwd", "root:x:0:0::/:/bin/sh\n").file("old", "x"),
        Layer::new().file("etc/group", "root:x:0:\n").file(".wh.old", ""),
    ])
    .config(serde_json::json!({
        "Entrypoint": ["/bin/sh"], "Cmd": ["-c", "true"], "Env": ["A=b"], "User": "nobody",
        "WorkingDir": "/tmp", "StopSignal": "SIGINT", "Volumes": null, "ExposedPorts": null, "Labels": null,
        "OnBuild": null, "Hostname": ""
    }))
}

#[test]
fn an_image_of_any_form_and_compression_has_the_same_facts() {
    if !root() {
        return;
    }
    for pack in [Pack::Plain, Pack::Gzip, Pack::Zstd] {
        let image = hello().packed(pack);
        let oci = layout(&[(&image, Some("hello"))]);
        let save = docker(&[(&image, &["hello:latest"])]);
        let mut hybrid = oci.clone();
        hybrid.extend(save.clone());
        for (form, files) in [("oci", oci), ("docker", save), ("both", hybrid)] {
            let rig = Rig::new();
            let done = rig
                .import(&files, None)
                .unwrap_or_else(|e| panic!("{form} {pack:?}: {}", chain(&e)));
            assert_eq!(done.id, image.id(), "{form} {pack:?}");
            assert_eq!(done.names[0].to_string(), "docker.io/library/hello:latest");
            let found = rig.store.facts(&"hello".into()).unwrap();
            let facts = &found.facts;
            assert_eq!(facts.id.as_str(), image.id().as_str());
            assert_eq!(facts.entrypoint, ["/bin/sh"]);
            assert_eq!(facts.cmd, ["-c", "true"]);
            assert_eq!(facts.env, ["A=b"]);
            assert_eq!(
                (facts.user.as_str(), facts.working_dir.as_str()),
                ("nobody", "/tmp")
            );
            assert_eq!(facts.stop_signal, "SIGINT");
            assert_eq!(facts.passwd, "root:x:0:0::/:/bin/sh\n");
            assert_eq!(facts.group, "root:x:0:\n");
            assert_eq!(facts.layers.len(), 2);
            assert_eq!(found.size, done.size);
            let lowest = facts.layers[1].as_path();
            assert_eq!(fs::read_to_string(lowest.join("old")).unwrap(), "x");
        }
    }
}

#[test]
fn a_folder_and_a_compressed_archive_are_imported_with_progress() {
    if !root() {
        return;
    }
    let rig = Rig::new();
    let image = hello();
    let files = layout(&[(&image, Some("1.0"))]);
    write(&rig.path("layout"), &files);
    fs::write(rig.path("image.tar.gz"), Pack::Gzip.pack(&archive(&files))).unwrap();
    for name in ["layout", "layout:1.0", "image.tar.gz", "image.tar.gz:1.0"] {
        let options = ImportOptions {
            tag: None,
            name: Some(pod_image::Reference::parse("a").unwrap()),
        };
        let mut phases = Vec::new();
        rig.store
            .import_path(&rig.path(name), &options, &mut |p| phases.push(p.phase))
            .unwrap_or_else(|e| panic!("{name}: {}", chain(&e)));
        phases.dedup();
        assert!(
            phases.contains(&Phase::Unpacking) && phases.last() == Some(&Phase::Finishing),
            "{phases:?}"
        );
    }
}
