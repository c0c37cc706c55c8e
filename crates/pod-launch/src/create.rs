//! The verb `create`: a container up to its start barrier.

use crate::cause::Report;
use crate::console::Console;
use crate::executor::StartExecutor;
use crate::failure::{AtStep, Done, Failure, plain};
use crate::{cgroup, devices, oom, preflight, rootfs};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::oci_spec::runtime::Spec;
use libcontainer::syscall::syscall::SyscallType;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use pod_sys::{mount, pidfd, weakened};
use pod_wire::launch::Create;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the remains of a failed create are waited for.
const REAP: Duration = Duration::from_secs(2);

/// Creates the container. On failure no process of it is left; its mounts go with this process.
pub(crate) fn create(request: &Create, fds: Vec<OwnedFd>) -> Result<Done, Failure> {
    let spec = preflight::load(&request.bundle)?;
    preflight::check(&spec, &request.id, request.tty)?;
    let process = preflight::process(&spec)?;
    preflight::check_node(process)?;
    let cgroup = cgroup_path(&spec)?;
    if !weakened::is("s30") {
        cgroup::check_free(cgroup)?;
    }

    let shared = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.rootfs_propagation().as_deref())
        == Some("shared");
    if !weakened::is("s03") {
        mount::private_namespace(shared.then_some(request.bundle.as_path()))
            .at("mount namespace", "making one")?;
    }
    let root = rootfs::mount(&request.rootfs, &request.bundle.join("rootfs"))?;
    rootfs::make_safe(&root, request, &spec)?;
    drop(root);
    weakened::pause(&request.bundle, "mounts");

    let report = Report::start().at("create", "keeping its errors")?;
    let console = request
        .tty
        .then(|| Console::listen(&request.bundle))
        .transpose()?;
    let pid = match build(request, fds, console.as_ref(), &report) {
        Ok(pid) => pid,
        Err(cause) => {
            reap_all();
            return Err(match report.program_error() {
                Some(program) => Failure::new("start", program),
                None => Failure::new("create", cause),
            });
        }
    };
    let finish = || {
        // Our own child, not reaped yet: its pid means nobody else.
        let pidfd = pidfd::open(pid).at("create", "opening its pidfd")?;
        devices::attach(&spec, cgroup)?;
        let proc = mount::folder(Path::new(&format!("/proc/{pid}")))
            .at("create", "opening its folder in /proc")?;
        let clamped = request
            .oom_score_adj
            .map(|wanted| oom::set(&proc, wanted))
            .transpose()?
            .flatten();
        let master = console
            .map(|console| console.receive(process.user().uid()))
            .transpose()?;
        Ok(Done {
            pid,
            pidfd,
            master,
            clamped: clamped.into_iter().collect(),
        })
    };
    finish().inspect_err(|_| {
        reap_all();
    })
}

fn cgroup_path(spec: &Spec) -> Result<&Path, Failure> {
    let path = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.cgroups_path().as_deref());
    path.ok_or_else(|| Failure::new("config", "config.json: linux.cgroupsPath: missing"))
}

/// libcontainer's create. Returns the pid of the container's init, or all that is known of why there is none.
fn build(
    request: &Create,
    fds: Vec<OwnedFd>,
    console: Option<&Console>,
    report: &Report,
) -> Result<i32, String> {
    let mut builder = ContainerBuilder::new(request.id.clone(), SyscallType::default())
        .with_root_path(&request.state_root)
        .map_err(|error| told(&error, report))?
        .with_executor(StartExecutor {
            report: report.clone(),
        });
    match (console, <[OwnedFd; 3]>::try_from(fds)) {
        (Some(console), _) => builder = builder.with_console_socket(Some(console.path())),
        (None, Ok([stdin, stdout, stderr])) => {
            builder = builder
                .with_stdin(stdin)
                .with_stdout(stdout)
                .with_stderr(stderr);
        }
        (None, Err(fds)) => {
            return Err(format!(
                "{} descriptors came for the three standard streams",
                fds.len()
            ));
        }
    }
    let init = builder
        .as_init(&request.bundle)
        .with_systemd(false)
        .with_detach(true);
    let container = init.build().map_err(|error| told(&error, report))?;
    container
        .pid()
        .map(Pid::as_raw)
        .ok_or_else(|| "libcontainer gave no pid".to_owned())
}

/// The innermost error that was reported: what comes after it only says which steps it was part of. Where none was, libcontainer's own words.
fn told(error: &dyn std::error::Error, report: &Report) -> String {
    let mut text = plain(&error);
    let mut source = error.source();
    while let Some(error) = source {
        let more = plain(&error);
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    let text = report
        .errors()
        .into_iter()
        .next()
        .map_or(text, |first| plain(&first));
    match text.contains("BrokenChannel") {
        // Its process ended without a word.
        true => format!(
            "the container's first process was killed before it was ready (too little memory?): {text}"
        ),
        false => text,
    }
}

/// Kills and reaps every child of this process: libcontainer leaves two zombies where it fails, and may leave an init at its barrier. Says
/// whether all are gone.
#[expect(
    clippy::disallowed_methods,
    reason = "/proc is the node's own here: no container can put a link there"
)]
pub(crate) fn reap_all() -> bool {
    let end = Instant::now() + REAP;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if Instant::now() < end => {
                let children =
                    std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
                for child in children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse().ok())
                {
                    let _ = nix::sys::signal::kill(
                        Pid::from_raw(child),
                        nix::sys::signal::Signal::SIGKILL,
                    );
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(Errno::ECHILD) => return true,
            // What does not end in time is the supervisor's child once this process has ended.
            Ok(WaitStatus::StillAlive) => return false,
            Ok(_) | Err(_) => {}
        }
    }
}
