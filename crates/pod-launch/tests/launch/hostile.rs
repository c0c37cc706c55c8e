//! Images and bundles that are made to get out. The threats S01 to S40 are those of THREATS.md.

use crate::rig::{Plan, Rig, isolated};
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A folder of the node that no container may touch.
fn canary(rig: &Rig) -> PathBuf {
    let folder = rig.folder.join("canary");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("null"), "node's own").unwrap();
    folder
}

fn assert_untouched(canary: &Path) {
    let names: Vec<_> = fs::read_dir(canary)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["null"]);
    assert_eq!(
        fs::read_to_string(canary.join("null")).unwrap(),
        "node's own"
    );
}

#[test]
fn s05_s11_a_symlinked_dev_proc_or_sys_is_replaced_and_the_node_is_not_touched() {
    isolated(
        "hostile::s05_s11_a_symlinked_dev_proc_or_sys_is_replaced_and_the_node_is_not_touched",
        |rig| {
            let canary = canary(rig);
            let absolute = canary.to_str().unwrap().to_owned();
            let climbing = format!("../../../../../../../../..{absolute}");
            for (n, name) in ["dev", "proc", "sys"].into_iter().enumerate() {
                for (m, target) in [
                    absolute.as_str(),
                    climbing.as_str(),
                    "etc",
                    "/no/where",
                    "loop",
                ]
                .into_iter()
                .enumerate()
                {
                    let path = rig.image.join(name);
                    let target = if target == "loop" { name } else { target };
                    symlink(target, &path).unwrap();
                    let script = "test -c /dev/null && test -d /proc/self && test -d /sys/kernel && echo good";
                    let result = rig.run(rig.plan(&format!("c{n}{m}"), &["sh", "-c", script]));
                    fs::remove_file(&path).unwrap();
                    assert_eq!(result, (0, "good\n".to_owned()), "/{name} -> {target}");
                    assert_untouched(&canary);
                }
                // A link in a folder that is not this container's own is not replaced.
                let mut plan = rig.plan(&format!("bound{n}"), &["true"]);
                symlink(&absolute, rig.image.join(name)).unwrap();
                plan.request.rootfs = pod_wire::launch::Rootfs::Bind {
                    folder: rig.image.clone(),
                };
                let (step, cause) = rig.create(plan).expect_err("it is refused");
                fs::remove_file(rig.image.join(name)).unwrap();
                assert!(
                    step == "rootfs" && cause.contains(&format!("/{name} ")),
                    "{step}: {cause}"
                );
                assert_untouched(&canary);
            }
        },
    );
}

#[test]
fn s05_a_proc_that_is_a_file_is_refused() {
    isolated("hostile::s05_a_proc_that_is_a_file_is_refused", |rig| {
        for (n, name) in ["dev", "proc", "sys"].into_iter().enumerate() {
            let path = rig.image.join(name);
            fs::write(&path, "").unwrap();
            let (step, cause) = rig
                .create(rig.plan(&format!("c{n}"), &["true"]))
                .expect_err("it is refused");
            fs::remove_file(&path).unwrap();
            assert_eq!(
                (step.as_str(), cause),
                ("rootfs", format!("/{name} of the image is not a folder"))
            );
        }
    });
}

#[test]
fn s13_links_of_the_image_lead_to_nowhere_outside() {
    isolated(
        "hostile::s13_links_of_the_image_lead_to_nowhere_outside",
        |rig| {
            let canary = canary(rig);
            symlink(&canary, rig.image.join("out")).unwrap();
            symlink("../../../../../../..", rig.image.join("up")).unwrap();
            let mut plan = rig.plan("c1", &["pwd"]);
            plan.request.make_dirs = vec!["/out/a".into()];
            plan.request.make_files = vec!["/out/null".into(), "/out/file".into()];
            // Without the protection, these would be made on the node itself.
            if !crate::rig::without("s13") {
                plan.request.make_dirs.push("/up/b".into());
                plan.request.make_files.push("/up/etc/f".into());
            }
            plan.config["process"]["cwd"] = json!("/out/cwd");
            let (code, text) = rig.run(plan);
            assert_eq!(
                (code, text),
                (0, format!("{}/cwd\n", canary.display())),
                "the same path, inside"
            );
            assert_untouched(&canary);
            for name in ["b", "etc/f"] {
                assert!(!Path::new("/").join(name).exists(), "/{name}");
            }
        },
    );
}

#[test]
fn s06_a_working_directory_behind_a_descriptor_is_refused() {
    isolated(
        "hostile::s06_a_working_directory_behind_a_descriptor_is_refused",
        |rig| {
            symlink("/proc/self/fd/7", rig.image.join("work")).unwrap();
            let mut folders: Vec<String> = (3..40).map(|n| format!("/proc/self/fd/{n}")).collect();
            folders.push("/work".to_owned());
            folders.push("/proc/self/fd/7/../../..".to_owned());
            for (n, folder) in folders.into_iter().enumerate() {
                let mut plan = rig.plan(&format!("c{n}"), &["true"]);
                plan.config["process"]["cwd"] = json!(folder);
                assert!(rig.create(plan).is_err(), "{folder}");
            }
            // At exec as well: the working directory is the bundle's there too.
            assert_eq!(rig.run(rig.plan("plain", &["pwd"])), (0, "/\n".to_owned()));
        },
    );
}

#[test]
fn s02_a_mount_that_hides_procfs_or_sysfs_is_refused_however_it_is_spelt() {
    isolated(
        "hostile::s02_a_mount_that_hides_procfs_or_sysfs_is_refused_however_it_is_spelt",
        |rig| {
            let volume = rig.folder.join("volume");
            fs::create_dir_all(volume.join("self")).unwrap();
            symlink("/proc", rig.image.join("p")).unwrap();
            symlink("proc/../sys", rig.image.join("s")).unwrap();
            symlink("/dev", rig.image.join("d")).unwrap();
            fs::create_dir(rig.image.join("deep")).unwrap();
            symlink("../p", rig.image.join("deep/er")).unwrap();
            for (n, target) in [
                "/proc",
                "/proc/self",
                "/p",
                "/p/self",
                "/deep/er/sys",
                "/s",
                "/sys",
                "/d/shm",
                "/../proc",
                "/",
            ]
            .into_iter()
            .enumerate()
            {
                let mut plan = rig.plan(&format!("c{n}"), &["true"]);
                plan.mount(target, "bind", volume.to_str().unwrap(), &["rbind"]);
                let (step, cause) = rig.create(plan).expect_err(target);
                assert!(
                    step == "rootfs" || step == "config",
                    "{target}: {step}: {cause}"
                );
            }
            let mut plan = rig.plan("fine", &["ls", "/vol"]);
            plan.mount("/vol", "bind", volume.to_str().unwrap(), &["rbind"]);
            assert_eq!(rig.run(plan), (0, "self\n".to_owned()));
        },
    );
}

#[test]
fn s01_nobody_can_write_to_the_program_that_makes_containers() {
    isolated(
        "hostile::s01_nobody_can_write_to_the_program_that_makes_containers",
        |rig| {
            let before = rig.launcher_bytes();
            // At the barrier the container's init still is the launcher's program.
            let first = rig
                .create(rig.plan("c0", &["true"]))
                .expect("it is created");
            let kept = File::open(format!("/proc/{}/exe", first.pid)).expect("its program");
            rig.start(&first);
            assert_eq!(rig.wait(first.pid), 0);
            // While it ran it was busy; whoever has kept it open may try again now.
            let again = format!("/proc/self/fd/{}", kept.as_raw_fd());
            if let Ok(mut file) = File::options().write(true).open(&again) {
                let _ = file.write(b"PWN");
                let _ = file.set_len(3);
            }
            assert!(
                rig.launcher_bytes() == before,
                "the launcher's bytes have changed"
            );
            let container = rig
                .create(rig.plan("c1", &["sleep", "60"]))
                .expect("it is created");
            // The container runs the launcher itself, which has nothing to do there and ends.
            // (One that is linked dynamically does not even find its loader.)
            let ended = |code: i32| assert!(matches!(code, 64 | 126 | 127), "{code}");
            ended(rig.run(rig.plan("c2", &["/proc/self/exe"])).0);
            fs::write(rig.image.join("bin/again"), "#!/proc/self/exe\n").unwrap();
            fs::set_permissions(
                rig.image.join("bin/again"),
                std::os::unix::fs::PermissionsExt::from_mode(0o755),
            )
            .unwrap();
            ended(rig.run(rig.plan("c3", &["again"])).0);
            rig.start(&container);
            ended(rig.run_in(&container, &["/proc/self/exe"]).0);
            assert!(
                rig.launcher_bytes() == before,
                "the launcher's bytes have changed"
            );
        },
    );
}

#[test]
fn s25_a_layer_cannot_redirect_a_folder_to_another_one() {
    isolated(
        "hostile::s25_a_layer_cannot_redirect_a_folder_to_another_one",
        |rig| {
            // overlayfs's own attribute for a renamed folder, as an image could bring it along.
            let top = rig.folder.join("top");
            fs::create_dir_all(top.join("shown")).unwrap();
            fs::create_dir_all(rig.image.join("hidden")).unwrap();
            fs::write(rig.image.join("hidden/secret"), "").unwrap();
            rustix::fs::setxattr(
                top.join("shown"),
                "trusted.overlay.redirect",
                b"/hidden",
                rustix::fs::XattrFlags::empty(),
            )
            .unwrap();
            let mut plan: Plan = rig.plan("c1", &["ls", "/shown"]);
            if let pod_wire::launch::Rootfs::Overlay { lower, .. } = &mut plan.request.rootfs {
                lower.insert(0, top);
            }
            let (_, text) = rig.run(plan);
            assert!(!text.contains("secret"), "{text}");
        },
    );
}
