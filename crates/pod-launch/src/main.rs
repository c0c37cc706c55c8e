//! The launcher: one operation on one container, then gone. The only user of libcontainer.
//!
//! A supervisor starts it from a sealed memfd with an empty environment and a socket at descriptor 3. It waits for one
//! [`LaunchRequest`], answers once, and ends; what it has created is then the supervisor's child (the supervisor is a child
//! subreaper). It is a program of its own because libcontainer changes its caller (folder, oom_score_adj, dumpable), leaves
//! descriptors and zombies behind when it fails, forks without regard to threads, and would show its caller's binary to the
//! container through /proc/self/exe. In a process with one thread, of sealed memory, that ends at once, none of it matters.
//!
//! ```text
//! create:  preflight ▶ own mount namespace ▶ rootfs mounted, made safe ▶ libcontainer ▶ device filter (v2) ▶ oom_score_adj
//! exec:    preflight ▶ join by pidfd ▶ fork ▶ (child) cgroup, ids, capabilities, seccomp, … ▶ execve
//! ```

#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

mod cause;
mod cgroup;
mod console;
mod create;
mod devices;
mod exec;
mod executor;
mod failure;
mod identity;
mod joined;
mod oom;
mod panics;
mod preflight;
mod program;
mod rootfs;
mod terminal;

use failure::{AtStep, Done, Failure};
use pod_sys::{frame, memfd, process, weakened};
use pod_wire::launch::{LaunchReply, LaunchRequest};
use rustix::fs::Mode;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let Ok(socket) = process::inherited_fd(process::SOCKET_FD) else {
        eprintln!(
            "podwright-launch is started by podwright-supervisor only: it wants a socket at descriptor 3"
        );
        return ExitCode::from(64);
    };
    if let Some(protection) = std::env::args().next() {
        weakened::choose(&protection);
    }
    let own = settle(&socket);
    let Ok(Some((bytes, fds))) = frame::recv(&socket) else {
        // Started ahead and not needed.
        return ExitCode::SUCCESS;
    };
    let socket = Arc::new(socket);
    let result = own.and_then(|()| carry_out(&bytes, fds, &socket));
    match answer(&socket, result) {
        Ok(()) => ExitCode::SUCCESS,
        // The supervisor is gone; the container will lack its start and be found by the recovery.
        Err(_) => ExitCode::FAILURE,
    }
}

/// Makes this process fit for its work, or says why it is not.
#[expect(
    clippy::disallowed_methods,
    reason = "/proc is the node's own here: no container can put a link there"
)]
fn settle(socket: &OwnedFd) -> Result<(), Failure> {
    process::close_all_but(&[socket.as_fd()]).at("launcher", "closing inherited descriptors")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::process::chdir("/").at("launcher", "going to /")?;
    // libcontainer leaves the caller's groups to a container that asks for none.
    nix::unistd::setgroups(&[]).at("launcher", "leaving its groups")?;
    if !process::is_single_threaded().at("launcher", "counting threads")? {
        return Err(Failure::new("launcher", "it has several threads"));
    }
    let program =
        std::fs::File::open("/proc/self/exe").at("launcher", "opening its own program")?;
    if !memfd::is_sealed(&program) && !weakened::is("s01") {
        let cause =
            "it does not run from a sealed memfd, so that a container could write to its program";
        return Err(Failure::new("launcher", cause));
    }
    Ok(())
}

fn carry_out(bytes: &[u8], fds: Vec<OwnedFd>, socket: &Arc<OwnedFd>) -> Result<Done, Failure> {
    match serde_json::from_slice(bytes).at("request", "reading it")? {
        LaunchRequest::Create(request) => {
            answer_panics("create", socket);
            create::create(&request, fds)
        }
        LaunchRequest::Exec(request) => {
            answer_panics("exec", socket);
            exec::exec(&request, fds)
        }
    }
}

/// From here on a panic is a failure of that step.
fn answer_panics(step: &'static str, socket: &Arc<OwnedFd>) {
    let socket = Arc::clone(socket);
    panics::tell_to(move |cause| {
        // As long as something is left of it nothing has failed: the supervisor sees to what an end without an answer leaves.
        if create::reap_all() {
            let _ = answer(&socket, Err(Failure::new(step, cause)));
        }
    });
}

fn answer(socket: &OwnedFd, result: Result<Done, Failure>) -> std::io::Result<()> {
    match result {
        Ok(done) => {
            let mut fds: Vec<BorrowedFd<'_>> = vec![done.pidfd.as_fd()];
            fds.extend(done.master.as_ref().map(AsFd::as_fd));
            let reply = LaunchReply::Done {
                pid: done.pid,
                clamped: done.clamped,
            };
            frame::send(socket, &serde_json::to_vec(&reply)?, &fds)
        }
        Err(failure) => {
            let reply = LaunchReply::Failed {
                step: failure.step.to_owned(),
                cause: failure.cause,
            };
            frame::send(socket, &serde_json::to_vec(&reply)?, &[])
        }
    }
}
