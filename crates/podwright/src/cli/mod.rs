//! The command line: a thin client of the node daemon's API.

pub mod args;
pub mod connect;
pub mod exit;

mod admin;
mod change;
mod containers;
mod create;
mod debug;
mod delete;
mod describe;
mod doctor;
mod events;
mod exec;
mod explain;
mod find;
mod get;
mod image;
mod logs;
mod manifest;
mod output;
mod plan;
mod replace;
mod retry;
mod run;
mod stats;
mod style;
mod target;
mod terminal;
#[cfg(test)]
mod tests;
mod time;
mod view;
mod wait;

use args::{Cli, Command};
use clap::Parser;
use clap::error::ErrorKind;
use connect::Places;
use exit::{Code, Failure, Outcome};
use std::fs::File;
use std::process::ExitCode;
use std::time::Duration;
use style::Style;

/// What the daemon is started with.
#[derive(Debug)]
pub struct NodeStart {
    /// Where it lives.
    pub places: Places,
    /// How long it may be idle before it ends by itself; `None`: it never does.
    pub idle: Option<Duration>,
    /// Where one byte tells that it can be reached.
    pub ready: Option<File>,
}

/// Reads the command line and does as it says. `node` runs the daemon.
pub fn main(node: fn(NodeStart) -> anyhow::Result<()>) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            // Printing help into a closed pipe is no failure.
            let _ = error.print();
            return ExitCode::from(if asked { 0 } else { Code::Usage as u8 });
        }
    };
    match dispatch(&cli, node) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.message.is_empty() {
                output::note(&failure.message);
            }
            ExitCode::from(failure.code as u8)
        }
    }
}

fn dispatch(cli: &Cli, node: fn(NodeStart) -> anyhow::Result<()>) -> Outcome<u8> {
    match &cli.command {
        Command::Completion { shell } => return admin::completion(*shell),
        Command::Man { folder } => return admin::man(folder),
        Command::Node(args) => {
            // Whoever started it may have left files and pipes open; a daemon that kept them would keep their readers waiting.
            pod_sys::process::close_all_but(&[])
                .map_err(|e| Failure::new(Code::Os, format!("error: close_range: {e}")))?;
            let start = NodeStart {
                places: Places::of(&cli.places)?,
                idle: idle(args)?,
                ready: ready(args.on_demand)?,
            };
            let ran = node(start);
            return ran
                .map(|()| 0)
                .map_err(|e| Failure::new(Code::Software, format!("error: {e:#}")));
        }
        _ => {}
    }
    let places = Places::of(&cli.places)?;
    match &cli.command {
        Command::Plan(args) if plan::existing(args).is_none() => {
            return plan::plan(args, &places);
        }
        Command::Doctor(args) => return doctor::doctor(args, &places, Style::of(cli.color)),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Code::Os, format!("error: start the runtime: {e}")))?;
    let result = runtime.block_on(work(cli, &places));
    // A thread may still wait for standard input; nobody waits for it.
    runtime.shutdown_background();
    result
}

async fn work(cli: &Cli, places: &Places) -> Outcome<u8> {
    match &cli.command {
        Command::Run(args) => run::run(args, places, Style::of(cli.color)).await,
        Command::Create(args) => create::create(args, places).await,
        Command::Replace(args) => replace::replace(args, places).await,
        Command::Patch(args) => change::patch(args, places).await,
        Command::Label(args) => change::label(args, change::LABELS, places).await,
        Command::Annotate(args) => change::label(args, change::ANNOTATIONS, places).await,
        Command::Set { command } => change::set(command, places).await,
        Command::Get(args) => get::get(args, places).await,
        Command::Describe(args) => describe::describe(args, places).await,
        Command::Stats(args) => stats::stats(args, places).await,
        Command::Explain(args) => explain::explain(args, places).await,
        Command::Timeline(args) => explain::timeline(args, places, Style::of(cli.color)).await,
        Command::Logs(args) => logs::logs(args, places).await,
        Command::Exec(args) => exec::exec(args, places).await,
        Command::Debug(args) => debug::debug(args, places).await,
        Command::Retry(args) => retry::retry(args, places).await,
        Command::Delete(args) => delete::delete(args, places).await,
        Command::Wait(args) => wait::wait(args, places).await,
        Command::Events(args) => events::events(args, places).await,
        Command::Image { command } => image::image(command, places).await,
        Command::Plan(args) => match plan::existing(args) {
            Some(name) => plan::plan_of(args, name, places).await,
            None => Ok(0),
        },
        Command::Version(args) => admin::version(args, places).await,
        Command::Reset(args) => admin::reset(args, places).await,
        // Done already: they need no runtime.
        Command::Completion { .. }
        | Command::Man { .. }
        | Command::Node(_)
        | Command::Doctor(_) => Ok(0),
    }
}

/// How long the daemon may be idle.
fn idle(args: &args::NodeArgs) -> Outcome<Option<Duration>> {
    if !args.on_demand {
        return Ok(None);
    }
    time::duration("PODWRIGHT_IDLE", &args.idle)
}

/// A daemon that was started on demand tells its client through standard output that it is ready. Its own session keeps the
/// client's terminal and its Ctrl-C away from it.
fn ready(on_demand: bool) -> Outcome<Option<File>> {
    if !on_demand {
        return Ok(None);
    }
    let os = |e: std::io::Error| {
        Failure::new(Code::Os, format!("error: leave the client's session: {e}"))
    };
    // It fails for a process that leads a group already, as one that a shell has started: then nothing is to be left.
    let _ = rustix::process::setsid();
    let pipe = rustix::io::dup(std::io::stdout()).map_err(|e| os(e.into()))?;
    // Later words must not go to a client that has read its one byte and gone.
    rustix::stdio::dup2_stdout(std::io::stderr()).map_err(|e| os(e.into()))?;
    Ok(Some(File::from(pipe)))
}
