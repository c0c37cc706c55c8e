//! The leak check itself: each kind of leak is planted, must be found by its kind, and must be gone once it is taken away.

use e2e::leak::{self, Canary, Machine, Snapshot, rest};
use e2e::{apart, apart_with};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The word of the node that leaks.
const WORD: &str = "pwleaky";
/// Its folder.
const FOLDER: &str = "/tmp/pwleaky";
/// Stand-ins for podwright's programs, which one leak changes.
const PROGRAMS: &str = "/tmp/pw-stand-ins";
/// What every script begins with: the word, the folder, and one hierarchy of cgroups.
const PRELUDE: &str =
    "W=pwleaky D=/tmp/pwleaky; H=/sys/fs/cgroup; [ -d $H/pids ] && H=$H/pids; set -e\n";

/// Whose the leak is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Whose {
    /// It names the node.
    Node,
    /// It names nobody.
    Machine,
}

struct Leak {
    kind: &'static str,
    /// Found in its text.
    part: &'static str,
    whose: Whose,
    /// Says `ready`; may stay, then it is killed with all of its group.
    plant: &'static str,
    undo: &'static str,
}

const fn leak(
    kind: &'static str,
    part: &'static str,
    whose: Whose,
    plant: &'static str,
    undo: &'static str,
) -> Leak {
    Leak {
        kind,
        part,
        whose,
        plant,
        undo,
    }
}

#[rustfmt::skip]
const LEAKS: &[Leak] = &[
    leak("process", "echo ready", Whose::Node, "sh -c 'echo ready; sleep 300' $W", ""),
    leak("process", "by environment", Whose::Node, "N=$W sh -c ': by environment; echo ready; sleep 300'", ""),
    leak("process", "echo ready", Whose::Node, "cd $D; exec sh -c 'echo ready; sleep 300'", ""),
    leak("process", "echo ready", Whose::Node, "mkdir $H/$W; echo $$ >$H/$W/cgroup.procs; exec sh -c 'echo ready; sleep 300'", "until rmdir $H/$W; do :; done"),
    leak("zombie", "sleep", Whose::Node, "N=$W sh -c 'sleep 0.1 & echo ready; exec sleep 300'", ""),
    leak("mount", "/tmp/pwleaky/there", Whose::Node, "mkdir $D/there; mount -t tmpfs none $D/there; echo ready", "umount $D/there; rmdir $D/there"),
    leak("mount", "/mnt", Whose::Machine, "mount -t tmpfs none /mnt; echo ready", "umount /mnt"),
    leak("mount", "/tmp/pwleaky/apart", Whose::Node, "mkdir $D/apart; N=$W unshare -m sh -c 'mount -t tmpfs none $0/apart; echo ready; sleep 300' $D", "rmdir $D/apart"),
    leak("namespace", "net:[", Whose::Node, "N=$W unshare -n sh -c 'echo ready; sleep 300'", ""),
    leak("mount", "net:[", Whose::Machine, "touch /dev/pin; unshare --net=/dev/pin true; echo ready", "umount /dev/pin; rm /dev/pin"),
    leak("namespace", "descriptor of", Whose::Node, "touch /dev/pin; unshare --net=/dev/pin true; exec 5</dev/pin; umount -l /dev/pin; rm /dev/pin; echo ready; export N=$W; exec sleep 300", ""),
    leak("descriptor", "/tmp/pwleaky/held", Whose::Node, "echo >$D/held; exec 5<$D/held; echo ready; exec sleep 300", "rm $D/held"),
    leak("cgroup", "/pwleaky", Whose::Node, "mkdir $H/$W; echo ready", "rmdir $H/$W"),
    leak("cgroup", "/pwnobody", Whose::Machine, "mkdir $H/pwnobody; echo ready", "rmdir $H/pwnobody"),
    leak("link", "left-over", Whose::Machine, "ip link add left-over type veth peer name left-peer; echo ready", "ip link del left-over"),
    leak("address", "10.9.8.7", Whose::Machine, "ip addr add 10.9.8.7/32 dev lo; echo ready", "ip addr del 10.9.8.7/32 dev lo"),
    leak("address", "fd09", Whose::Machine, "ip -6 addr add fd09::7/128 dev lo; echo ready", "ip -6 addr del fd09::7/128 dev lo"),
    leak("route", "0009080A/", Whose::Machine, "ip route add 10.8.9.0/24 dev lo; echo ready", "ip route del 10.8.9.0/24 dev lo"),
    leak("nft", "chain c", Whose::Machine, "nft add table inet left; nft add chain inet left c; echo ready", "nft delete table inet left"),
    leak("System V", "msg", Whose::Machine, "ipcmk -Q >$D/made; echo ready", "ipcrm -q $(sed 's/.*: //' $D/made); rm $D/made"),
    leak("System V", "shm", Whose::Machine, "ipcmk -M 4096 >$D/made; echo ready", "ipcrm -m $(sed 's/.*: //' $D/made); rm $D/made"),
    leak("System V", "sem", Whose::Machine, "ipcmk -S 1 >$D/made; echo ready", "ipcrm -s $(sed 's/.*: //' $D/made); rm $D/made"),
    leak("shared memory", "/dev/shm/left", Whose::Machine, "echo >/dev/shm/left; echo ready", "rm /dev/shm/left"),
    leak("message queue", "/dev/mqueue/left", Whose::Machine, ": >/dev/mqueue/left; echo ready", "rm /dev/mqueue/left"),
    leak("loop device", "/tmp/pwleaky/disk", Whose::Node, "truncate -s 1M $D/disk; losetup -f --show $D/disk >$D/device; echo ready", "losetup -d $(cat $D/device); rm $D/disk $D/device"),
    leak("kernel parameter", "somaxconn = 4321", Whose::Machine, "cat /proc/sys/net/core/somaxconn >$D/was; echo 4321 >/proc/sys/net/core/somaxconn; echo ready", "cat $D/was >/proc/sys/net/core/somaxconn; rm $D/was"),
    leak("host file", "/dev has left", Whose::Machine, "echo >/dev/left; echo ready", "rm /dev/left"),
    leak("host file", "/etc/hosts", Whose::Machine, "cp /etc/hosts $D/hosts; mount --bind $D/hosts /etc/hosts; echo ready", "umount /etc/hosts; rm $D/hosts"),
    leak("host file", "podwright-launch", Whose::Machine, "mv /tmp/pw-stand-ins/podwright-launch $D/was; cp -a $D/was /tmp/pw-stand-ins/podwright-launch; echo more >>/tmp/pw-stand-ins/podwright-launch; echo ready", "mv $D/was /tmp/pw-stand-ins/podwright-launch"),
];

/// Starts a script and gives it once it is ready. Its folder, arguments and environment say nothing.
fn start(script: &str) -> Child {
    let mut child = Command::new("sh")
        .args(["-s"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{PRELUDE}{script}").unwrap();
    drop(input);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n", "{script}");
    child
}

fn end(mut child: Child) {
    let group = format!("-{}", child.id());
    // Nothing to kill where the script has ended by itself.
    let _ = Command::new("kill").args(["-9", "--", &group]).output();
    child.wait().unwrap();
}

fn run(script: &str) {
    let done = Command::new("sh")
        .args(["-c", &format!("{PRELUDE}{script}")])
        .stderr(Stdio::null())
        .status();
    assert!(done.unwrap().success(), "{script}");
}

/// /dev, shared memory and message queues of this case's own, and programs that it may change.
fn furnish() {
    run(
        "mkdir -p $D /tmp/pw-stand-ins; mount -t tmpfs none $D; mkdir $D/dev; mount -t tmpfs none $D/dev
         cp -a /dev/null /dev/zero /dev/tty /dev/loop* $D/dev/; mkdir $D/dev/shm $D/dev/mqueue
         mount --move $D/dev /dev; ip link set lo up; mount -t mqueue none /dev/mqueue; rmdir $D/dev
         for p in podwright podwright-supervisor podwright-launch podwright-pause; do echo $p >/tmp/pw-stand-ins/$p; done",
    );
}

#[test]
fn every_kind_of_leak_is_found_and_nothing_once_it_is_taken_away() {
    apart_with(
        module_path!(),
        "every_kind_of_leak_is_found_and_nothing_once_it_is_taken_away",
        &[("PODWRIGHT_DIST", PROGRAMS)],
        || {
            furnish();
            for leak in LEAKS {
                let before = Snapshot::take(&[WORD]);
                let planted = start(leak.plant);
                // A zombie takes a moment to become one.
                let end_at = std::time::Instant::now() + e2e::patient(Duration::from_secs(2));
                let (found, all) = loop {
                    let now = Snapshot::take(&[WORD]);
                    let (node, machine) = (now.since(&before), now.changes_of_the_machine(&before));
                    let mine = match leak.whose {
                        Whose::Node => &node,
                        Whose::Machine => &machine,
                    };
                    let found = mine.iter().any(|f| {
                        f.trim_start_matches("new ").starts_with(leak.kind) && f.contains(leak.part)
                    });
                    if found || std::time::Instant::now() > end_at {
                        break (found, (node, machine));
                    }
                };
                end(planted);
                run(leak.undo);
                assert!(
                    found,
                    "{} was planted by `{}`, found: {all:#?}",
                    leak.kind, leak.plant
                );
                let left = leak::left_over(&[WORD], &before, Duration::from_secs(5));
                assert!(left.is_empty(), "after `{}`: {left:#?}", leak.undo);
                let left = Snapshot::take(&[WORD]).changes_of_the_machine(&before);
                // Its programs were touched, if only to set them back; cgroups of other nodes come and go.
                let left: Vec<&String> = left
                    .iter()
                    .filter(|l| {
                        !l.contains("file: /") && (!l.contains("cgroup") || l.contains("pwnobody"))
                    })
                    .collect();
                assert!(left.is_empty(), "after `{}`: {left:#?}", leak.undo);
            }
        },
    );
    // Outside: what the case made on the machine's own file system.
    if Path::new(PROGRAMS).exists() && std::process::id() != 2 {
        let _ = fs::remove_dir_all(PROGRAMS);
        let _ = fs::remove_dir(FOLDER);
    }
}

#[test]
fn what_names_another_node_is_not_laid_at_this_ones_door() {
    apart(
        module_path!(),
        "what_names_another_node_is_not_laid_at_this_ones_door",
        || {
            let before = Snapshot::take(&[WORD]);
            assert!(before.is_alone());
            // A program of that name with a run folder of its own, and a mount in it.
            let other = start(
                "mkdir -p /dev/shm/other/run/sandboxes/x; cp $(command -v sh) /dev/shm/other/podwright-x
                 mount -t tmpfs none /dev/shm/other/run/sandboxes/x; echo ready
                 exec /dev/shm/other/podwright-x -c 'sleep 300; :' --dir /dev/shm/other/run/sandboxes/x",
            );
            e2e::node::until("the other node", Duration::from_secs(5), || {
                !Snapshot::take(&[WORD]).is_alone()
            });
            let now = Snapshot::take(&[WORD]);
            end(other);
            assert_eq!(now.since(&before), Vec::<String>::new());
            let changes = now.changes_of_the_machine(&before);
            assert!(
                !changes.iter().any(|c| c.contains("sandboxes")),
                "{changes:#?}"
            );
            // With its end the mount is nobody's, and counts.
            let later = Snapshot::take(&[WORD]);
            let changes = later.changes_of_the_machine(&before);
            assert!(
                changes.iter().any(|c| c.contains("sandboxes/x")),
                "{changes:#?}"
            );
            run("umount /dev/shm/other/run/sandboxes/x; rm -r /dev/shm/other");
        },
    );
}

#[test]
fn the_machine_is_compared_when_the_last_case_ends() {
    apart(
        module_path!(),
        "the_machine_is_compared_when_the_last_case_ends",
        || {
            let (one, two) = (Machine::enter("pwone"), Machine::enter("pwtwo"));
            run("mount -t tmpfs none /mnt");
            assert_eq!(one.leave(Duration::ZERO), Vec::<String>::new());
            let left = two.leave(Duration::ZERO);
            assert!(
                left.iter().any(|l| l.starts_with("new mount: / /mnt")),
                "{left:#?}"
            );
            run("umount /mnt");
        },
    );
}

#[test]
fn a_socket_that_names_the_node_and_a_port_that_listens_are_found() {
    apart(
        module_path!(),
        "a_socket_that_names_the_node_and_a_port_that_listens_are_found",
        || {
            run("mount -t tmpfs none /mnt; mkdir /mnt/pwleaky");
            let before = Snapshot::take(&[WORD]);
            let _socket = UnixListener::bind("/mnt/pwleaky/sock").unwrap();
            let _port = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
            let now = Snapshot::take(&[WORD]);
            assert_eq!(now.since(&before), ["socket: /mnt/pwleaky/sock"]);
            let changes = now.changes_of_the_machine(&before);
            assert!(
                changes
                    .iter()
                    .any(|c| c.starts_with("new socket: tcp listens on 00000000:")),
                "{changes:#?}"
            );
        },
    );
}

#[test]
fn a_canary_tells_of_every_touch() {
    let folder = std::env::temp_dir().join(format!("pwcanary{}", std::process::id()));
    type Touch = (&'static str, fn(&Path));
    let touches: [Touch; 9] = [
        ("written", |f| fs::write(f.join("plain"), "x").unwrap()),
        ("written and set back", |f| {
            let text = fs::read(f.join("secret")).unwrap();
            fs::write(f.join("secret"), "x").unwrap();
            fs::write(f.join("secret"), text).unwrap();
        }),
        ("another mode", |f| {
            fs::set_permissions(f.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
        }),
        ("another mode and back", |f| {
            for mode in [0o777, 0o600] {
                fs::set_permissions(f.join("secret"), fs::Permissions::from_mode(mode)).unwrap();
            }
        }),
        ("another owner", |f| {
            std::os::unix::fs::chown(f.join("open/deep/file"), Some(1000), None).unwrap();
        }),
        ("a new name", |f| fs::write(f.join("open/new"), "").unwrap()),
        ("a name less", |f| fs::remove_file(f.join("link")).unwrap()),
        ("another link", |f| {
            fs::remove_file(f.join("dangling")).unwrap();
            symlink("/etc", f.join("dangling")).unwrap();
        }),
        ("renamed and back", |f| {
            fs::rename(f.join("plain"), f.join("x")).unwrap();
            fs::rename(f.join("x"), f.join("plain")).unwrap();
        }),
    ];
    for (name, touch) in touches {
        let canary = Canary::make(&folder).unwrap();
        assert_eq!(canary.changes(), Vec::<String>::new(), "{name}");
        touch(&folder);
        assert_ne!(canary.changes(), Vec::<String>::new(), "{name}");
        canary.remove();
    }
}

#[test]
fn only_what_the_list_names_may_remain_of_a_node_without_pods() {
    let base = std::env::temp_dir().join(format!("pwrest{}", std::process::id()));
    let [root, run, logs] = ["root", "run", "logs"].map(|n| base.join(n));
    for folder in [
        "images/blobs/sha256",
        "layers/abc/etc",
        "records/pods",
        "snapshots",
        "pods",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for folder in ["sandboxes", "intents", "network/leases"] {
        fs::create_dir_all(run.join(folder)).unwrap();
    }
    fs::create_dir_all(&logs).unwrap();
    fs::write(run.join("node.log"), "").unwrap();
    assert_eq!(rest::files_of(&root, &run, &logs), Vec::<String>::new());
    for left in [
        "root/pods/x",
        "root/snapshots/x",
        "root/records/pods/x.json",
        "root/records/pods/x.new",
        "root/unheard-of",
        "run/intents/pod-x",
        "run/network/leases/10.88.0.7",
        "run/sandboxes/x",
        "run/unheard-of",
        "logs/x",
    ] {
        fs::create_dir(base.join(left)).unwrap();
        assert_eq!(
            rest::files_of(&root, &run, &logs),
            [format!("file: {left}")]
        );
        fs::remove_dir(base.join(left)).unwrap();
    }
    fs::remove_dir_all(&base).unwrap();
}

#[test]
fn what_a_quiet_daemon_should_not_hold_is_found() {
    let quiet = start("exec 3</dev/null; echo ready; exec sleep 300");
    // Its pipes are this case's doing, and it may have got more from whoever runs the cases.
    let own = rest::held_by(quiet.id());
    end(quiet);
    let holder = start("exec 5</proc/self/ns/net 6</etc/passwd; echo ready; exec sleep 300");
    let found = rest::held_by(holder.id());
    end(holder);
    for part in ["5 net:[", "6 /etc/passwd"] {
        assert!(found.iter().any(|f| f.contains(part)), "{part}: {found:#?}");
        assert!(!own.iter().any(|f| f.contains(part)), "{part}: {own:#?}");
    }
}

#[test]
fn more_threads_and_more_descriptors_of_one_kind_than_a_quiet_daemon_has_are_found() {
    // This process is no daemon; what it has more of after than before is what is found.
    let counts = || {
        let found = rest::held_by(std::process::id());
        let number = |what: &str| {
            let line = found.iter().find(|f| f.contains(what));
            let digits = |c: char| c.is_ascii_digit();
            let text = line.and_then(|l| l.split(": ").nth(1));
            text.and_then(|t| t.split(|c| !digits(c)).next()?.parse::<usize>().ok())
        };
        (number("threads of"), number(" of socket:, not"))
    };
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let wait = std::sync::Arc::clone(&wait);
            std::thread::spawn(move || wait.lock().unwrap().recv().is_ok())
        })
        .collect();
    let pairs: Vec<_> = (0..20)
        .map(|_| std::os::unix::net::UnixStream::pair().unwrap())
        .collect();
    let (more, sockets) = counts();
    assert!(more.is_some_and(|n| n >= 20), "{more:?}");
    assert!(sockets.is_some_and(|n| n >= 20), "{sockets:?}");
    drop((stop, pairs));
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn every_case_that_makes_a_node_ends_with_the_leak_check() {
    /// How cases make a node.
    const MAKES: [&str; 6] = [
        "Node::new(",
        "Node::empty(",
        "Hostile::new(",
        "lan::node(",
        "= node(",
        "= small(",
    ];
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e")];
    let (mut seen, mut without) = (0, Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        // Of several boots of one machine, each leaves its node to the next.
        let text = fs::read_to_string(&path).unwrap_or_default();
        if path.ends_with("leak_check.rs") || path.to_string_lossy().contains("/boots/") {
            continue;
        }
        for case in text.split("#[test]").skip(1) {
            if MAKES.iter().any(|m| case.contains(m)) {
                seen += 1;
                if !case.contains(".finish()") {
                    let name = case.split_once("fn ").and_then(|(_, c)| c.split_once('('));
                    without.push(format!("{}: {:?}", path.display(), name.map(|n| n.0)));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} cases were seen");
    assert!(without.is_empty(), "{without:#?}");
}
