//! The store against other people's tools: what umoci and skopeo write is read, what the store writes they read,
//! and the kernel mounts it.

use crate::kit::*;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use pod_image::ImportOptions;
use std::fs;
use std::path::Path;
use std::process::Command;

fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {args:?}: {errors}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn have(programs: &[&str]) -> bool {
    let there = |p: &&str| Command::new(p).arg("--version").output().is_ok();
    for program in programs.iter().filter(|p| !there(p)) {
        eprintln!("skipped: {program} is not installed");
    }
    programs.iter().all(there)
}

#[test]
fn umoci_and_skopeo_write_what_the_store_reads_and_read_what_it_writes() {
    if !root() || !have(&["umoci", "skopeo"]) {
        return;
    }
    let rig = Rig::new();
    let path = |name: &str| rig.path(name).to_str().unwrap().to_owned();
    fs::create_dir_all(rig.path("rootfs/etc")).unwrap();
    fs::write(rig.path("rootfs/etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
    let layout = path("layout");
    let tagged = format!("{layout}:busy");
    run("umoci", &["init", "--layout", &layout]);
    run("umoci", &["new", "--image", &tagged]);
    run(
        "umoci",
        &["insert", "--image", &tagged, &path("rootfs"), "/"],
    );
    run(
        "umoci",
        &["config", "--image", &tagged, "--config.cmd", "/bin/sh"],
    );
    let from = format!("oci:{tagged}");
    let archives = [
        ("docker-archive", "busybox:latest"),
        ("oci-archive", "busybox:1"),
    ];
    for (kind, name) in archives {
        let to = format!("{kind}:{}:{name}", path(kind));
        run("skopeo", &["copy", "--quiet", &from, &to]);
    }
    let import = |name: &str| {
        let done = rig
            .store
            .import_path(&rig.path(name), &ImportOptions::default(), &mut |_| {});
        done.unwrap_or_else(|e| panic!("{name}: {}", chain(&e)))
    };
    let ids = ["layout:busy", "docker-archive", "oci-archive"].map(|name| import(name).id);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    for name in ["busy", "busybox", "busybox:1"] {
        let facts = rig.store.facts(&name.into()).unwrap().facts;
        assert_eq!(facts.cmd, ["/bin/sh"], "{name}");
        assert_eq!(facts.passwd, "root:x:0:0::/:/bin/sh\n", "{name}");
    }

    let own = format!("{}:docker.io/library/busybox:1", path("root/images"));
    let digest = run(
        "skopeo",
        &["inspect", "--format", "{{.Digest}}", &format!("oci:{own}")],
    );
    let found = rig.store.facts(&"busybox:1".into()).unwrap();
    assert_eq!(digest.trim(), found.digest.as_str());
    let names = run("umoci", &["ls", "--layout", &path("root/images")]);
    assert!(
        names.lines().any(|l| l == "docker.io/library/busybox:1"),
        "{names}"
    );
    let copy = format!("docker-archive:{}:copy:1", path("copy.tar"));
    run("skopeo", &["copy", "--quiet", &format!("oci:{own}"), &copy]);
    assert_eq!(import("copy.tar").id, ids[0]);
}

/// Names and texts of the merged tree, as the kernel shows it.
fn merged(layers: &[std::path::PathBuf], target: &Path) -> Vec<String> {
    let lower: Vec<&str> = layers.iter().map(|l| l.to_str().unwrap()).collect();
    let options = format!("lowerdir={}", lower.join(":"));
    let target = target.to_owned();
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(
            Some("overlay"),
            &target,
            Some("overlay"),
            MsFlags::MS_RDONLY,
            Some(options.as_str()),
        )
        .unwrap();
        let mut lines = Vec::new();
        let mut todo = vec![target.clone()];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&target).unwrap().display().to_string();
                match fs::symlink_metadata(&path).unwrap() {
                    m if m.is_dir() => todo.push(path),
                    m if m.is_symlink() => lines.push(format!(
                        "{name} -> {}",
                        fs::read_link(&path).unwrap().display()
                    )),
                    _ => lines.push(format!("{name}={}", fs::read_to_string(&path).unwrap())),
                }
            }
        }
        lines.sort();
        lines
    };
    std::thread::spawn(body).join().unwrap()
}

#[test]
fn the_kernel_merges_the_layers_as_the_image_means_them() {
    if !root() {
        return;
    }
    let rig = Rig::on_disk();
    let layers = rig
        .layers(vec![
            Layer::new()
                .file("gone", "1")
                .file("kept", "1")
                .file("dir/old", "1")
                .file("opaque/old", "1")
                .file("replaced/old", "1")
                .file("turned", "1")
                .file("usr/bin/sh", "1")
                .symlink("bin", "usr/bin"),
            Layer::new()
                .file(".wh.gone", "")
                .file("dir/new", "2")
                .file("opaque/.wh..wh..opq", "")
                .file("opaque/new", "2")
                .file(".wh.replaced", "")
                .file("replaced/new", "2")
                .file("turned/into", "a folder")
                .file("bin/tool", "2"),
        ])
        .unwrap_or_else(|e| panic!("{}", chain(&e)));
    fs::create_dir(rig.path("merged")).unwrap();
    assert_eq!(
        merged(&layers, &rig.path("merged")),
        [
            "bin -> usr/bin",
            "dir/new=2",
            "dir/old=1",
            "kept=1",
            "opaque/new=2",
            "replaced/new=2",
            "turned/into=a folder",
            "usr/bin/sh=1",
            "usr/bin/tool=2",
        ]
    );
}
