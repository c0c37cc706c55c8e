//! Races by brute force: what a container shares with another one, or what its image holds, is exchanged over and over while containers are
//! made of it. `hack/soak threats` makes 2,000 rounds of each.

use crate::escapes::{Host, nested, shared, waiting};
use crate::rig::{Plan, Rig, isolated};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a race is run: 2,000 times in the long form.
fn rounds() -> usize {
    let set = std::env::var("PODWRIGHT_ROUNDS").ok();
    set.and_then(|n| n.parse().ok()).unwrap_or(15)
}

/// Exchanges two names over and over while `act` runs.
fn while_exchanging(folder: &Path, a: &str, b: &str, act: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let place = rustix::fs::open(
        folder,
        rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&place, a, &place, b, flags).unwrap();
            }
        });
        act();
        stop.store(true, Ordering::Relaxed);
    });
}

/// Makes and runs a container a round; gives the output of each that came to be. One may be refused, which harms nobody, and says why; but
/// that most come to be shows that there was something to race.
fn run_rounds(rig: &mut Rig, plan: impl Fn(&Rig, &str) -> Plan) -> Vec<String> {
    let mut said = Vec::new();
    for n in 0..rounds() {
        let id = format!("c{n}");
        let plan = plan(rig, &id);
        match rig.create(plan) {
            Ok(container) => {
                rig.start(&container);
                rig.wait(container.pid);
                said.push(fs::read_to_string(&container.output).unwrap());
            }
            Err((step, cause)) => eprintln!("round {n} was refused: {step}: {cause}"),
        }
        rig.forget(&id);
    }
    said
}

#[test]
fn s03_s07_a_folder_that_is_exchanged_with_a_link_leads_no_mount_out() {
    isolated(
        "races::s03_s07_a_folder_that_is_exchanged_with_a_link_leads_no_mount_out",
        |rig| {
            let volume = shared(rig);
            symlink(rig.folder.join("canary"), volume.join("link")).unwrap();
            let before = Host::look(rig);
            while_exchanging(&volume, "x", "link", || {
                run_rounds(rig, |rig, id| {
                    let mut plan = nested(rig, id, &volume, "/vol/x/y", "folder");
                    plan.config["process"]["cwd"] = json!("/vol/x/cwd/deep");
                    plan
                });
            });
            assert_eq!(Host::look(rig), before);
        },
    );
}

#[test]
fn s08_what_lies_below_dev_null_may_be_exchanged_and_masked_paths_stay_masked() {
    isolated(
        "races::s08_what_lies_below_dev_null_may_be_exchanged_and_masked_paths_stay_masked",
        |rig| {
            let before = Host::look(rig);
            let dev = rig.image.join("dev");
            fs::create_dir(&dev).unwrap();
            fs::write(dev.join("null"), "readable").unwrap();
            symlink(rig.folder.join("canary/file"), dev.join("link")).unwrap();
            let script = "head -c 4 /proc/keys /proc/kcore 2>/dev/null | wc -c; \
                for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do (echo x > $f) 2>/dev/null && echo wrote $f; done; stat -c '%t:%T' /dev/null";
            let mut said = Vec::new();
            while_exchanging(&dev, "null", "link", || {
                said = run_rounds(rig, |rig, id| {
                    let mut plan = rig.plan(id, &["sh", "-c", script]);
                    plan.config["linux"]["maskedPaths"] = json!(["/proc/kcore", "/proc/keys"]);
                    plan.config["linux"]["readonlyPaths"] =
                        json!(["/proc/sys", "/proc/sysrq-trigger"]);
                    plan
                });
            });
            assert!(said.len() * 2 > rounds(), "{} were made", said.len());
            for text in said {
                assert!(text.ends_with("1:3\n") && !text.contains("wrote"), "{text}");
            }
            assert_eq!(Host::look(rig), before);
        },
    );
}

#[test]
fn s10_a_kernel_parameter_is_set_where_it_belongs_while_the_images_proc_is_exchanged() {
    isolated(
        "races::s10_a_kernel_parameter_is_set_where_it_belongs_while_the_images_proc_is_exchanged",
        |rig| {
            let before = Host::look(rig);
            let canary = rig.folder.join("canary");
            fs::create_dir_all(rig.image.join("proc/sys/net/ipv4")).unwrap();
            let parameter = rig.image.join("proc/sys/net/ipv4/ip_forward");
            symlink(canary.join("file"), parameter).unwrap();
            symlink(&canary, rig.image.join("proc/self")).unwrap();
            symlink(&canary, rig.image.join("link")).unwrap();
            let image = rig.image.clone();
            let mut said = Vec::new();
            while_exchanging(&image, "proc", "link", || {
                said = run_rounds(rig, |rig, id| {
                    let command = [
                        "cat",
                        "/proc/sys/net/ipv4/ip_forward",
                        "/proc/self/oom_score_adj",
                    ];
                    let mut plan = rig.plan(id, &command);
                    plan.config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
                    plan.request.oom_score_adj = Some(500);
                    plan
                });
            });
            assert!(said.len() * 2 > rounds(), "{} were made", said.len());
            for text in said {
                assert_eq!(text, "1\n500\n");
            }
            assert_eq!(Host::look(rig), before);
        },
    );
}

#[test]
fn s12_a_path_to_be_masked_that_is_exchanged_with_a_link_masks_nothing_of_the_node() {
    isolated(
        "races::s12_a_path_to_be_masked_that_is_exchanged_with_a_link_masks_nothing_of_the_node",
        |rig| {
            let volume = shared(rig);
            for folder in ["x/y", "x/z"] {
                fs::create_dir(volume.join(folder)).unwrap();
            }
            fs::write(volume.join("x/file"), "in the volume").unwrap();
            symlink(rig.folder.join("canary"), volume.join("link")).unwrap();
            let before = Host::look(rig);
            while_exchanging(&volume, "x", "link", || {
                run_rounds(rig, |rig, id| {
                    let mut plan = rig.plan(id, &["true"]);
                    plan.mount(
                        "/vol",
                        "bind",
                        volume.to_str().unwrap(),
                        &["rbind", "rprivate"],
                    );
                    plan.config["linux"]["maskedPaths"] =
                        json!(["/proc/kcore", "/vol/x/file", "/vol/x/y"]);
                    plan.config["linux"]["readonlyPaths"] = json!(["/proc/sys", "/vol/x/z"]);
                    plan
                });
            });
            assert_eq!(Host::look(rig), before);
            // Nor anything of the volume for others.
            let folder = ["x", "link"]
                .map(|name| volume.join(name))
                .into_iter()
                .find(|path| !path.is_symlink());
            let text = fs::read_to_string(folder.unwrap().join("file")).unwrap();
            assert_eq!(text, "in the volume");
        },
    );
}

#[test]
fn s38_an_exec_into_a_container_that_dies_meanwhile_never_runs_on_the_node() {
    isolated(
        "races::s38_an_exec_into_a_container_that_dies_meanwhile_never_runs_on_the_node",
        |rig| {
            let canary = rig.folder.join("canary/file");
            let before = Host::look(rig);
            // Could it run on the node, it would write there.
            let script = format!("echo out > {}", canary.display());
            for n in 0..rounds() {
                let container = waiting(rig, &format!("c{n}"), |_| {});
                let pidfd = container.pidfd.try_clone().unwrap();
                let delay = std::time::Duration::from_micros((n as u64 * 211) % 9000);
                let killer = std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    let _ = pod_sys::pidfd::send_signal(&pidfd, 9);
                });
                if let Ok(process) = rig.exec(&container, &["sh", "-c", &script], false) {
                    rig.wait(process.pid);
                }
                killer.join().unwrap();
                // It may have been reaped while the other was waited for.
                let mut ended = [PollFd::new(&container.pidfd, PollFlags::IN)];
                poll(&mut ended, None).unwrap();
                rig.forget(&container.id);
                assert_eq!(Host::look(rig), before, "round {n}");
            }
        },
    );
}
