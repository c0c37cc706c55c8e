//! Stands in for podwright-launch in the tests: speaks its protocol, and runs a shell script where a container would be.
//!
//! `<bundle>/script` is what the container runs, `<bundle>/cgroups` lists cgroup folders to make and to put it in, and `<bundle>/manner`
//! says how to behave: `fail`, `silent` (ends without an answer), `hang`, `slow`, `leak` (leaves a descriptor open), or nothing special.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a stand-in for tests may end at the first thing that is not as it says"
)]

use pod_sys::{frame, pidfd, process};
use pod_wire::launch::{LaunchReply, LaunchRequest};
use rustix::io::{FdFlags, fcntl_setfd};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("init") => init(&arguments),
        _ => launch(),
    }
}

fn launch() {
    let socket = UnixStream::from(process::inherited_fd(process::SOCKET_FD).unwrap());
    assert_eq!(std::env::vars().count(), 0, "the environment is not empty");
    let Some((bytes, fds)) = frame::recv(&socket).unwrap() else {
        return;
    };
    let reply = match serde_json::from_slice(&bytes).unwrap() {
        LaunchRequest::Create(create) => create_container(&create, fds),
        LaunchRequest::Exec(exec) => exec_process(&exec, fds),
    };
    let Some((reply, fds)) = reply else {
        std::process::exit(3);
    };
    let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    frame::send(&socket, &serde_json::to_vec(&reply).unwrap(), &borrowed).unwrap();
}

fn failed(step: &str, cause: &str) -> Option<(LaunchReply, Vec<OwnedFd>)> {
    let reply = LaunchReply::Failed {
        step: step.to_owned(),
        cause: cause.to_owned(),
    };
    Some((reply, vec![]))
}

fn create_container(
    create: &pod_wire::launch::Create,
    fds: Vec<OwnedFd>,
) -> Option<(LaunchReply, Vec<OwnedFd>)> {
    let read = |name: &str| fs::read_to_string(create.bundle.join(name)).unwrap_or_default();
    let state = create.state_root.join(&create.id);
    fs::create_dir_all(&state).unwrap();
    let cgroups = read("cgroups");
    for dir in cgroups.lines() {
        fs::create_dir_all(dir).unwrap();
    }
    match read("manner").as_str() {
        "fail" => return failed("mount", "no such layer"),
        "silent" => return None,
        "hang" => std::thread::sleep(std::time::Duration::from_secs(3600)),
        "slow" => std::thread::sleep(std::time::Duration::from_millis(200)),
        "block" => {
            let state = create.state_root.with_file_name("state");
            fs::create_dir(state.join(format!("{}.container.new", create.id))).unwrap();
        }
        _ => {}
    }
    let listener = UnixListener::bind(state.join("notify.sock")).unwrap();
    let (mut ready, theirs) = UnixStream::pair().unwrap();
    for fd in [listener.as_fd(), theirs.as_fd()] {
        fcntl_setfd(fd, FdFlags::empty()).unwrap();
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg("init");
    for number in [listener.as_raw_fd(), theirs.as_raw_fd()] {
        command.arg(number.to_string());
    }
    command.arg(read("script")).arg(read("manner"));
    let master = if create.tty {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        command
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        Some(master)
    } else {
        streams(&mut command, fds);
        None
    };
    #[expect(
        clippy::zombie_processes,
        reason = "the supervisor inherits and reaps it"
    )]
    let child = command.spawn().unwrap();
    drop(theirs);
    for dir in cgroups.lines() {
        fs::write(Path::new(dir).join("cgroup.procs"), child.id().to_string()).unwrap();
    }
    let mut byte = [0];
    ready.read_exact(&mut byte).unwrap();
    let pid = child.id() as i32;
    let fds = [pidfd::open(pid).unwrap()]
        .into_iter()
        .chain(master)
        .collect();
    let clamped = vec!["a clamp".to_owned()];
    Some((LaunchReply::Done { pid, clamped }, fds))
}

fn streams(command: &mut Command, fds: Vec<OwnedFd>) {
    let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(fds).unwrap();
    command.stdin(stdin).stdout(stdout).stderr(stderr);
}

/// Waits at the barrier as libcontainer's init does, then becomes the script.
fn init(arguments: &[String]) {
    let number = |n: usize| arguments[n].parse().unwrap();
    rustix::process::setsid().unwrap();
    let listener = UnixListener::from(process::inherited_fd(number(2)).unwrap());
    let mut ready = UnixStream::from(process::inherited_fd(number(3)).unwrap());
    if arguments[5] == "leak" {
        let leaked = File::open("/etc/passwd").unwrap();
        fcntl_setfd(&leaked, FdFlags::empty()).unwrap();
        std::mem::forget(leaked);
    }
    ready.write_all(b"r").unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.read_to_end(&mut Vec::new()).unwrap();
    let error = Command::new("/bin/sh")
        .args(["-c", &arguments[4]])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .exec();
    panic!("{error}");
}

fn exec_process(
    exec: &pod_wire::launch::Exec,
    mut fds: Vec<OwnedFd>,
) -> Option<(LaunchReply, Vec<OwnedFd>)> {
    let container = fds.remove(0);
    if pidfd::send_signal(&container, 0).is_err() {
        return failed("exec", "the container has ended");
    }
    let mut command = Command::new(&exec.command[0]);
    command.args(&exec.command[1..]);
    if exec.tty {
        command.stdin(Stdio::null());
    } else {
        streams(&mut command, fds);
    }
    let Ok(child) = command.spawn() else {
        return failed("exec", "no such program");
    };
    let pid = child.id() as i32;
    for dir in &exec.cgroup_dirs {
        fs::write(dir.join("cgroup.procs"), pid.to_string()).unwrap();
    }
    let fd = pidfd::open(pid).unwrap();
    let says = |word: &str| exec.command.iter().any(|a| a.contains(word));
    if says("unanswered") {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
    if says("deserted") {
        // Once it leads a session, as what our own launcher starts does before it is a program.
        let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        while !stat().contains(&format!(" {pid} {pid} ")) {
            std::thread::yield_now();
        }
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .unwrap();
    }
    if exec.command.iter().any(|a| a.contains("early")) {
        // Its end comes before our answer.
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let clamped = vec![];
    Some((LaunchReply::Done { pid, clamped }, vec![fd]))
}
