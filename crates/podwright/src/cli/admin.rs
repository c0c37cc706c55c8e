//! `version`, `reset`, `completion`, `man`.

use super::args::{Cli, ResetArgs, VersionArgs};
use super::connect::{Places, connect, connect_running};
use super::exit::{Code, Failure, Outcome};
use super::output::{data, note, print};
use clap::CommandFactory;
use pod_api::client::ClientError;
use serde_json::json;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

/// The versions of this program and of the daemon that runs, if one does.
pub async fn version(args: &VersionArgs, places: &Places) -> Outcome<u8> {
    let own = env!("CARGO_PKG_VERSION");
    let node = match args.client {
        true => None,
        false => match connect_running(places).await {
            Ok(Some(client)) => Some(client.node().await?),
            _ => None,
        },
    };
    if let Some(format) = args.output {
        let value = json!({
            "client": {"version": own, "kubernetes": "v1.36"},
            "node": node,
        });
        print(&data(&value, format)?)?;
        return Ok(0);
    }
    print(&format!("podwright {own} (Kubernetes v1.36)\n"))?;
    match node {
        Some(node) => print(&format!(
            "node daemon {} (pid {}, root {}, run {})\n",
            node.version,
            node.pid,
            node.root.display(),
            node.run.display()
        ))?,
        None if args.client => {}
        None => print("no node daemon runs\n")?,
    }
    Ok(0)
}

/// Ends all pods and removes everything.
pub async fn reset(args: &ResetArgs, places: &Places) -> Outcome<u8> {
    if !places.run.exists() && !places.root.exists() {
        note("Nothing to reset: neither the root nor the run folder exists.");
        return Ok(0);
    }
    if !args.yes && !confirmed(places)? {
        note("Nothing was done.");
        return Ok(0);
    }
    let client = connect(places).await?;
    let pid = client.node().await?.pid;
    let told = client.reset().await?.run(note).await;
    match told {
        Ok(_) => {}
        // The daemon ends with the reset; its last word may be lost on the way. What counts is that it is gone.
        Err(ClientError::Broken { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // What the daemon itself stood on goes once it has ended. Beside this task, so that the connection closes meanwhile: the daemon waits
    // for that.
    let at = places.clone();
    let swept = tokio::task::spawn_blocking(move || {
        crate::node::sweep(&at.run, &at.root, &at.logs, &at.cgroup_root)
    });
    let swept = swept.await.unwrap_or_else(|e| Err(e.into()));
    swept.map_err(|error| {
        Failure::new(Code::Temporary, format!("error: all pods, images and logs are removed, but not what the node daemon (pid {pid}) stood on: {error:#}"))
    })?;
    note("Reset: nothing of this node is left.");
    Ok(0)
}

fn confirmed(places: &Places) -> Outcome<bool> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "error: reset removes every pod, image and volume of this node: say --yes",
        ));
    }
    let mut err = io::stderr().lock();
    let asked = write!(
        err,
        "This ends every pod of the node in {} and removes its images, volumes and logs. Go on? [y/N] ",
        places.root.display()
    );
    asked
        .and_then(|()| err.flush())
        .map_err(|e| Failure::output(&e))?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|e| Failure::new(Code::Io, format!("read the answer: {e}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A completion script.
pub fn completion(shell: clap_complete::Shell) -> Outcome<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "podwright", &mut script);
    super::output::print_bytes(&script)?;
    Ok(0)
}

/// One page for the program and one for each command.
pub fn man(folder: &Path) -> Outcome<u8> {
    std::fs::create_dir_all(folder).map_err(|e| Failure::file("make", folder, &e))?;
    clap_mangen::generate_to(Cli::command(), folder)
        .map_err(|e| Failure::file("write man pages to", folder, &e))?;
    Ok(0)
}
