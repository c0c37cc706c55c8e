//! `exec`.

use super::args::ExecArgs;
use super::connect::{Places, connect};
use super::containers::choose;
use super::exit::{Code, Failure, Outcome};
use super::output::{note, print_bytes};
use super::target::pod_name;
use super::terminal::{Raw, size};
use super::view;
use pod_api::client::{Client, ExecOutput, ExecReceiver, ExecRequest, ExecSender, Resource};
use std::io::{self, IsTerminal, Read, Write};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Runs a program in a container; gives its exit status.
pub async fn exec(args: &ExecArgs, places: &Places) -> Outcome<u8> {
    let name = pod_name(&args.pod)?;
    let namespace = args.namespace.or_default();
    let tty = args.tty && io::stdin().is_terminal();
    if args.tty && !tty {
        note("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    let client = connect(places).await?;
    let pod = view::pod(&client.get(Resource::Pods, namespace, name).await?)?;
    let (container, said) = choose(&pod, args.container.as_deref())?;
    if let Some(said) = said.filter(|_| !args.quiet) {
        note(&said);
    }
    let request = ExecRequest {
        namespace: namespace.to_owned(),
        pod: name.to_owned(),
        container,
        command: args.command.clone(),
        stdin: args.stdin,
        tty,
        debug: None,
    };
    attend(&client, &request).await
}

/// Starts a program, and stays with it to its end; gives its exit status.
pub async fn attend(client: &Client, request: &ExecRequest) -> Outcome<u8> {
    let (tty, stdin) = (request.tty, request.stdin);
    let (sender, receiver) = client.exec(request).await?;
    let raw = match tty && stdin {
        true => Some(Raw::enter().map_err(|e| {
            Failure::new(
                Code::Os,
                format!("error: put the terminal into raw mode: {e}"),
            )
        })?),
        false => None,
    };
    let input = tokio::spawn(feed(sender, stdin, tty));
    let ended = show(receiver).await;
    input.abort();
    drop(raw);
    match ended? {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(message) => Err(Failure::new(Code::Unavailable, format!("error: {message}"))),
    }
}

/// Passes output on until the program has ended.
async fn show(mut receiver: ExecReceiver) -> Outcome<Result<i32, String>> {
    loop {
        match receiver.next().await? {
            ExecOutput::Stdout(bytes) => print_bytes(&bytes)?,
            ExecOutput::Stderr(bytes) => {
                let mut err = io::stderr().lock();
                err.write_all(&bytes).map_err(|e| Failure::output(&e))?;
            }
            ExecOutput::Ended(how) => return Ok(how),
        }
    }
}

/// Passes input and the terminal's size on. A failure here shows on the other side, too.
async fn feed(mut sender: ExecSender, stdin: bool, tty: bool) {
    let mut input = if stdin { Some(read_stdin()) } else { None };
    let mut resized = match tty {
        true => signal(SignalKind::window_change()).ok(),
        false => None,
    };
    if tty && let Some(size) = size() {
        let _ = sender.resize(size).await;
    }
    loop {
        let piece = async {
            match &mut input {
                Some(input) => input.recv().await,
                None => std::future::pending().await,
            }
        };
        let change = async {
            match &mut resized {
                Some(resized) => resized.recv().await,
                None => std::future::pending().await,
            }
        };
        let sent = tokio::select! {
            piece = piece => match piece {
                Some(piece) => sender.stdin(&piece).await,
                None => {
                    input = None;
                    sender.close_stdin().await
                }
            },
            _ = change => match size() {
                Some(size) => sender.resize(size).await,
                None => Ok(()),
            },
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Standard input, read by a thread of its own: reading a terminal or a file cannot be waited for in any other way. The thread ends
/// with the program.
fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (to, from) = mpsc::channel(2);
    std::thread::spawn(move || {
        let mut piece = vec![0; 32 * 1024];
        loop {
            match io::stdin().lock().read(&mut piece) {
                Ok(n @ 1..) => {
                    let piece = piece.get(..n).unwrap_or_default().to_vec();
                    if to.blocking_send(piece).is_err() {
                        return;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    });
    from
}
