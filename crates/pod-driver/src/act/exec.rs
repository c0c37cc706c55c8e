//! Runs a program in a container and waits for its end.

use super::MOST_BYTES;
use crate::actions::Target;
use crate::host::{ExecSession, ExecStreams, Host};
use pod_model::config::ExecConfig;
use pod_plan::action::Purpose;
use pod_plan::probes::Outcome;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;

/// Runs it. What takes longer than `limit` is killed.
pub(super) async fn run<H: Host>(
    host: &H,
    target: &Target,
    command: &[String],
    purpose: Purpose,
    limit: Option<Duration>,
) -> Outcome {
    let config = ExecConfig {
        command: command.to_vec(),
        tty: false,
        stdin: false,
    };
    let session = match host.exec(&target.pod, &target.id, &config).await {
        Ok(session) => session,
        Err(error) => return not_run(error.message, purpose),
    };
    let name = session.name.clone();
    match super::within(limit, follow(session)).await {
        Some(Ok(ended)) => outcome(command, &ended, purpose),
        Some(Err(error)) => not_run(error.to_string(), purpose),
        None => {
            // A program that ends by itself just now is as good as killed.
            let _ = host.kill_exec(&target.pod, &target.id, &name).await;
            let words = command.join(" ");
            let time = super::go(limit);
            Outcome::Failure(format!(
                "command timed out: {words:?} timed out after {time}"
            ))
        }
    }
}

/// How a program ended.
struct Ended {
    code: i32,
    /// Both streams as they came.
    output: Vec<u8>,
    errors: Vec<u8>,
}

fn not_run(cause: String, purpose: Purpose) -> Outcome {
    match purpose {
        Purpose::Probe => Outcome::Error(cause),
        Purpose::Hook => Outcome::Failure(format!("{cause}, message: \"\"")),
    }
}

fn outcome(command: &[String], ended: &Ended, purpose: Purpose) -> Outcome {
    let output = String::from_utf8_lossy(&ended.output);
    match (ended.code, purpose) {
        (0, _) => Outcome::Success,
        (_, Purpose::Probe) => Outcome::Failure(output.into_owned()),
        (code, Purpose::Hook) => {
            let errors = String::from_utf8_lossy(&ended.errors);
            Outcome::Failure(format!(
                "command '{}' exited with {code}: {errors}, message: {output:?}",
                command.join(" ")
            ))
        }
    }
}

/// Reads both streams until the program ends; what a child of it still writes later is not waited for.
async fn follow(session: ExecSession) -> io::Result<Ended> {
    let ExecStreams::Pipes { stdout, stderr, .. } = session.streams else {
        return Err(io::Error::other("a terminal was not asked for"));
    };
    let (mut out, mut err) = (Stream::new(stdout)?, Stream::new(stderr)?);
    let mut exit = session.exit;
    let mut ended = Ended {
        code: 0,
        output: Vec::new(),
        errors: Vec::new(),
    };
    let code = loop {
        tokio::select! {
            code = &mut exit => break code,
            () = out.ready() => out.take(&mut ended.output, None),
            () = err.ready() => err.take(&mut ended.output, Some(&mut ended.errors)),
        }
    };
    // What it wrote before its end is in the pipes already.
    out.take(&mut ended.output, None);
    err.take(&mut ended.output, Some(&mut ended.errors));
    ended.code = code.map_err(|_| io::Error::other("nobody can tell how it ended"))?;
    Ok(ended)
}

/// A pipe's read end, until its end has come.
struct Stream(Option<Receiver>);

impl Stream {
    fn new(fd: OwnedFd) -> io::Result<Self> {
        Receiver::from_owned_fd(fd).map(|r| Self(Some(r)))
    }

    async fn ready(&mut self) {
        match &self.0 {
            Some(pipe) => {
                if pipe.readable().await.is_err() {
                    self.0 = None;
                }
            }
            None => std::future::pending().await,
        }
    }

    /// Takes what is there; beyond the most that is kept it is read and dropped, so that the program can go on.
    fn take(&mut self, all: &mut Vec<u8>, mut also: Option<&mut Vec<u8>>) {
        let mut buffer = [0; 4096];
        while let Some(pipe) = &self.0 {
            match pipe.try_read(&mut buffer) {
                Ok(0) => self.0 = None,
                Ok(n) => {
                    let data = buffer.get(..n).unwrap_or_default();
                    keep(all, data);
                    if let Some(also) = also.as_deref_mut() {
                        keep(also, data);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.0 = None,
            }
        }
    }
}

fn keep(into: &mut Vec<u8>, data: &[u8]) {
    let room = MOST_BYTES.saturating_sub(into.len()).min(data.len());
    into.extend_from_slice(data.get(..room).unwrap_or_default());
}
