//! `debug`: a shell where a container failed.

use super::args::DebugArgs;
use super::connect::{Places, connect};
use super::exec::attend;
use super::exit::{Code, Failure, Outcome};
use super::output::note;
use super::target::pod_name;
use super::view;
use pod_api::client::{Debug, ExecRequest, Resource};
use pod_print::explain::focus;
use std::io::{self, IsTerminal};

/// Runs a program where a container left off; gives its exit status.
pub async fn debug(args: &DebugArgs, places: &Places) -> Outcome<u8> {
    let name = pod_name(&args.pod)?;
    let namespace = args.namespace.or_default();
    let shell = args.command.is_empty();
    let terminal = io::stdin().is_terminal();
    let tty = (args.tty || shell) && terminal;
    if args.tty && !terminal {
        note("Unable to use a TTY - input is not a terminal or the right kind of file");
    }
    let client = connect(places).await?;
    let pod = view::pod(&client.get(Resource::Pods, namespace, name).await?)?;
    let container = match &args.target {
        Some(target) if pod.spec.find(target).is_none() => {
            return Err(Failure::new(
                Code::NoInput,
                format!("error: pod {name:?} has no container {target:?}"),
            ));
        }
        Some(target) => target.clone(),
        None => {
            let failed = focus(&pod).map(|f| f.container.name.to_string());
            let failed = failed.ok_or_else(|| {
                let text = format!(
                    "error: nothing of pod {name:?} has failed; name a container with --target"
                );
                Failure::new(Code::Usage, text)
            })?;
            note(&format!("Defaulted target {failed:?}"));
            failed
        }
    };
    let command = match shell {
        true => vec!["sh".to_owned()],
        false => args.command.clone(),
    };
    let request = ExecRequest {
        namespace: namespace.to_owned(),
        pod: name.to_owned(),
        container,
        command,
        stdin: args.stdin || shell,
        tty,
        debug: Some(Debug {
            image: args.image.clone(),
        }),
    };
    attend(&client, &request).await
}
