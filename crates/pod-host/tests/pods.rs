//! Pods on this machine, through real supervisors and launchers. Privileged.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it says"
)]

mod support;

use pod_driver::host::{ExecStreams, Host, HostErrorKind};
use pod_model::config::{
    ExecConfig, FileContent, Mount, MountSource, PreparedVolume, Propagation, Seccomp,
    VolumeToPrepare,
};
use pod_model::ids::{ContainerId, HostPath, PodPath};
use pod_model::runtime::RunState;
use pod_model::volume::HostPathType;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use support::{Rig, mount, pod, supervisors};

/// Ends with 7 when it is asked to, from the moment on at which /ready is there.
const ENDS_WITH_7: &str = "trap 'exit 7' TERM; : > /ready; while true; do sleep 0.1; done";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_init_container_writes_what_the_app_reads_and_nothing_is_left() {
    let Some(mut rig) = Rig::new().await else {
        return;
    };
    rig.up().await;
    let volumes = [
        VolumeToPrepare {
            name: "data".into(),
            kind: PreparedVolume::EmptyDir,
            fs_group: Some(4711),
            on_root_mismatch: false,
        },
        VolumeToPrepare {
            name: "mem".into(),
            kind: PreparedVolume::MemoryEmptyDir {
                size: Some(1 << 20),
            },
            fs_group: None,
            on_root_mismatch: false,
        },
        VolumeToPrepare {
            name: "cfg".into(),
            kind: PreparedVolume::Files {
                in_memory: true,
                files: BTreeMap::from([(
                    "key".to_owned(),
                    FileContent {
                        data: b"value".to_vec(),
                        mode: 0o444,
                    },
                )]),
            },
            fs_group: None,
            on_root_mismatch: false,
        },
    ];
    rig.host.prepare_volumes(&pod(), &volumes).await.unwrap();
    let mut init = rig.container("c1", "init", "echo made > /data/file; echo said; cat /cfg/key > /mem/copy; echo -n bye > /dev/termination-log; exit 0");
    init.mounts = vec![
        Mount {
            sub_path: Some("below/here".into()),
            ..mount("data", "/data")
        },
        mount("mem", "/mem"),
        Mount {
            read_only: true,
            ..mount("cfg", "/cfg")
        },
    ];
    rig.start(&init).await;
    let exit = rig.end_of(&init.id).await;
    assert_eq!(
        (exit.code, exit.reason.as_str(), exit.message.as_str()),
        (0, "Completed", "bye")
    );
    assert_eq!(rig.log("init"), "said\n");

    let mut app = rig.container(
        "c2",
        "app",
        "cat /data/below/here/file /mem/copy; hostname; id; cat /etc/hosts /etc/resolv.conf; touch /key/x; ls /data | cat; \
         /bin/busybox unshare -U true || echo no namespaces; sleep 1000",
    );
    app.mounts = vec![
        mount("data", "/data"),
        mount("mem", "/mem"),
        Mount {
            sub_path: Some("key".into()),
            read_only: true,
            ..mount("cfg", "/key")
        },
        Mount {
            source: MountSource::Host(HostPath::new("/dev/null"), HostPathType::CharDevice),
            ..mount("null", "/host-null")
        },
    ];
    app.security.supplemental_groups = vec![4711];
    app.security.seccomp = Seccomp::RuntimeDefault;
    app.security.no_new_privileges = true;
    rig.start(&app).await;
    let seen = rig.host.observe(&pod().uid).await;
    assert_eq!(seen.containers.len(), 2);
    assert_eq!(seen.containers[0].id, app.id);
    assert_eq!(seen.containers[0].state, RunState::Running);
    assert!(seen.sandboxes[0].ready);
    assert_eq!(seen.containers[1].exit.as_ref().unwrap().code, 0);

    for _ in 0..200 {
        if rig.log("app").contains("no namespaces") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let log = rig.log("app");
    for part in [
        "made\n",
        "value",
        "web\n",
        "uid=0",
        "4711",
        "127.0.0.1\tlocalhost",
        "nameserver 192.0.2.1",
        "below",
    ] {
        assert!(log.contains(part), "{part:?} is not in {log}");
    }
    rig.host
        .stop_container(&pod().uid, &app.id, 0)
        .await
        .unwrap();
    let exit = rig.end_of(&app.id).await;
    assert_eq!(
        (exit.code, exit.signal, exit.reason.as_str()),
        (137, Some(9), "Error")
    );
    rig.host
        .remove_container(&pod().uid, &init.id, false)
        .await
        .unwrap();
    assert_eq!(rig.host.observe(&pod().uid).await.containers.len(), 1);
    rig.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_start_says_why_and_of_which_kind_it_is() {
    let Some(rig) = Rig::new().await else { return };
    rig.up().await;
    let kind_of = async |config| {
        let result = rig.host.start_container(&pod(), &config, &rig.image).await;
        result.map_err(|e| (e.kind, e.message)).unwrap_err()
    };
    let mut missing = rig.container("c1", "a", "");
    missing.command = vec!["/no/such/program".into()];
    let (kind, text) = kind_of(missing).await;
    assert_eq!(kind, HostErrorKind::Start, "{text}");
    assert!(text.contains("/no/such/program"), "{text}");
    let seen = rig.host.observe(&pod().uid).await;
    let exit = seen.containers[0].exit.clone().unwrap();
    assert_eq!((exit.code, exit.reason.as_str()), (128, "StartError"));

    let mut volume = rig.container("c2", "b", "true");
    volume.mounts = vec![mount("nowhere", "/x")];
    let (kind, text) = kind_of(volume).await;
    assert_eq!(kind, HostErrorKind::Config);
    assert_eq!(
        text,
        "cannot find volume \"nowhere\" to mount into container \"b\""
    );

    let mut typed = rig.container("c3", "c", "true");
    typed.mounts = vec![Mount {
        volume: "h".into(),
        source: MountSource::Host(HostPath::new("/etc/passwd"), HostPathType::Directory),
        target: PodPath::new("/h"),
        sub_path: None,
        read_only: true,
        recursive_read_only: false,
        propagation: Propagation::Private,
    }];
    let (kind, text) = kind_of(typed).await;
    assert_eq!(kind, HostErrorKind::Config);
    assert!(
        text.ends_with("hostPath type check failed: /etc/passwd is not a directory"),
        "{text}"
    );

    let mut root = rig.container("c4", "d", "true");
    root.security.run_as_non_root = true;
    let (kind, text) = kind_of(root).await;
    assert_eq!(kind, HostErrorKind::Config, "{text}");

    let gone: ContainerId = "nobody".into();
    let error = rig
        .host
        .stop_container(&pod().uid, &gone, 0)
        .await
        .unwrap_err();
    assert_eq!(error.kind, HostErrorKind::NotFound);
    rig.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_daemon_finds_everything_again_and_no_container_notices() {
    let Some(mut rig) = Rig::new().await else {
        return;
    };
    rig.up().await;
    rig.host
        .set_address(&pod().uid, &"s1".into(), Some("192.0.2.7".into()))
        .await
        .unwrap();
    let first = rig.container("c1", "first", "exit 3");
    rig.start(&first).await;
    assert_eq!(rig.end_of(&first.id).await.code, 3);
    let app = rig.container("c2", "app", ENDS_WITH_7);
    rig.start(&app).await;
    rig.handles_its_signal(&app.id).await;
    let before = rig.host.observe(&pod().uid).await;
    rig.reopen().await;
    assert_eq!(rig.host.observe(&pod().uid).await, before);
    assert_eq!(
        rig.host
            .pods()
            .into_iter()
            .map(|(pod, _)| pod.uid)
            .collect::<Vec<_>>(),
        [pod().uid]
    );

    rig.host
        .stop_container(&pod().uid, &app.id, 30_000)
        .await
        .unwrap();
    let exit = rig.end_of(&app.id).await;
    assert_eq!((exit.code, exit.reason.as_str()), (7, "Error"));
    rig.reopen().await;
    let seen = rig.host.observe(&pod().uid).await;
    assert_eq!(seen.containers[0].exit.as_ref(), Some(&exit));
    let again = rig.container("c3", "again", "hostname");
    rig.start(&again).await;
    assert_eq!(rig.end_of(&again.id).await.code, 0);
    rig.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_supervisor_gets_a_successor_and_no_container_notices() {
    let Some(rig) = Rig::new().await else {
        return;
    };
    let mut rig = rig;
    rig.up().await;
    let app = rig.container("c1", "app", ENDS_WITH_7);
    rig.start(&app).await;
    rig.handles_its_signal(&app.id).await;
    let before = rig.host.observe(&pod().uid).await;
    for pid in supervisors(rig.dir.path().to_str().unwrap()) {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    // The verb waits for the successor.
    rig.host
        .stop_container(&pod().uid, &app.id, 30_000)
        .await
        .unwrap();
    let exit = rig.end_of(&app.id).await;
    assert_eq!((exit.code, exit.reason.as_str()), (7, "Error"));
    let after = rig.host.observe(&pod().uid).await;
    assert_eq!(after.sandboxes, before.sandboxes);
    rig.reopen().await;
    let seen = rig.host.observe(&pod().uid).await;
    assert_eq!(seen.containers[0].exit.as_ref(), Some(&exit));
    rig.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exec_gives_the_streams_and_the_exit_code() {
    let Some(rig) = Rig::new().await else { return };
    rig.up().await;
    let app = rig.container("c1", "app", "sleep 1000");
    rig.start(&app).await;
    let config = ExecConfig {
        command: ["/bin/sh", "-c", "echo out; echo err >&2; exit 5"]
            .map(String::from)
            .into(),
        tty: false,
        stdin: false,
    };
    let session = rig.host.exec(&pod().uid, &app.id, &config).await.unwrap();
    let ExecStreams::Pipes {
        stdin: None,
        stdout,
        stderr,
    } = session.streams
    else {
        panic!("not pipes");
    };
    assert_eq!(session.exit.await.unwrap(), 5);
    let text = |fd| {
        let mut out = String::new();
        File::from(fd).read_to_string(&mut out).unwrap();
        out
    };
    assert_eq!(
        (text(stdout).as_str(), text(stderr).as_str()),
        ("out\n", "err\n")
    );
    rig.down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_with_a_planted_link_never_shows_the_node() {
    let Some(mut rig) = Rig::new().await else {
        return;
    };
    rig.up().await;
    let volume = VolumeToPrepare {
        name: "data".into(),
        kind: PreparedVolume::EmptyDir,
        fs_group: None,
        on_root_mismatch: false,
    };
    rig.host.prepare_volumes(&pod(), &[volume]).await.unwrap();
    let canary = rig.dir.path().join("canary");
    fs::create_dir(&canary).unwrap();
    let mut plant = rig.container(
        "c1",
        "plant",
        &format!(
            "/bin/busybox ln -s {} /data/link; /bin/busybox ln -s / /data/root",
            canary.display()
        ),
    );
    plant.mounts = vec![mount("data", "/data")];
    rig.start(&plant).await;
    assert_eq!(rig.end_of(&plant.id).await.code, 0);
    for (id, sub) in [("c2", "link"), ("c3", "root/etc"), ("c4", "link/x")] {
        let mut reader = rig.container(id, id, "touch /m/planted; ls /m | cat");
        reader.mounts = vec![Mount {
            sub_path: Some(sub.into()),
            ..mount("data", "/m")
        }];
        if rig
            .host
            .start_container(&pod(), &reader, &rig.image)
            .await
            .is_ok()
        {
            rig.end_of(&reader.id).await;
        }
    }
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 0);
    assert!(!std::path::Path::new("/etc/planted").exists());
    rig.down().await;
}
