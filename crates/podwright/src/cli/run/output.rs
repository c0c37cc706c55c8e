//! What the containers write, as it comes: one log a container, every attempt of it.

use crate::cli::logs::Prefixed;
use crate::cli::output::{note, print_bytes};
use crate::cli::style::{Color, paint};
use crate::cli::target::Target;
use pod_api::client::{Client, ClientError, LogRequest};
use pod_model::pod::Pod;
use pod_model::status::ContainerStatus;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often a broken log is asked for again.
const TRIES: u32 = 5;

/// Knows how lines are marked.
#[derive(Debug)]
pub struct Printer {
    marked: bool,
    color: bool,
    names: Vec<String>,
}

impl Printer {
    /// Lines are marked with their container if the pod has several.
    pub fn new(pod: &Pod, color: bool) -> Self {
        let names: Vec<String> = pod.spec.all().map(|(_, _, c)| c.name.to_string()).collect();
        Self {
            marked: names.len() > 1,
            color,
            names,
        }
    }

    fn prefix(&self, container: &str) -> String {
        const COLORS: [Color; 4] = [Color::Cyan, Color::Magenta, Color::Blue, Color::Yellow];
        let at = self.names.iter().position(|n| n == container).unwrap_or(0);
        let color = COLORS
            .get(at % COLORS.len())
            .copied()
            .unwrap_or(Color::Cyan);
        paint(self.color, color, &format!("[{container}]")) + " "
    }
}

/// The logs that are being followed.
#[derive(Debug)]
pub struct Outputs {
    client: Client,
    target: Target,
    printer: Arc<Printer>,
    begun: BTreeSet<String>,
    tasks: JoinSet<()>,
}

impl Outputs {
    /// None yet.
    pub fn new(client: Client, target: Target, printer: Arc<Printer>) -> Self {
        Self {
            client,
            target,
            printer,
            begun: BTreeSet::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins with the containers that have been started since the last look.
    pub fn begin(&mut self, pod: &Pod) {
        let Some(status) = &pod.status else {
            return;
        };
        let all = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses);
        for container in all.filter(|c| was_started(c)) {
            let name = container.name.to_string();
            if !self.begun.insert(name.clone()) {
                continue;
            }
            let request = LogRequest {
                namespace: self.target.namespace.clone(),
                pod: self.target.name.clone(),
                container: name,
                follow: true,
                all_attempts: true,
                ..LogRequest::default()
            };
            let (client, printer) = (self.client.clone(), self.printer.clone());
            self.tasks.spawn(copy(client, request, printer));
        }
    }

    /// Until every log is at its end.
    pub async fn drain(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

fn was_started(container: &ContainerStatus) -> bool {
    let (now, last) = (&container.state, &container.last_state);
    // A container that could not even be started has written nothing.
    let ended = |t: &pod_model::status::Terminated| t.reason != "StartError";
    now.running.is_some()
        || now.terminated.as_ref().is_some_and(ended)
        || last.terminated.as_ref().is_some_and(ended)
}

/// Copies one log to standard output. After a break it is asked for again, and what was shown already is skipped.
async fn copy(client: Client, request: LogRequest, printer: Arc<Printer>) {
    let mut lines = printer
        .marked
        .then(|| Prefixed::new(printer.prefix(&request.container)));
    let mut shown: u64 = 0;
    let mut tries = 0;
    loop {
        let before = shown;
        match copy_once(&client, &request, &mut lines, &mut shown).await {
            Ok(()) => break,
            Err(ClientError::Server(error)) => {
                // Gone meanwhile: there is nothing to be shown any more.
                if error.reason != pod_api::error::Reason::NotFound {
                    note(&format!("{}: {}", request.container, error.message));
                }
                break;
            }
            Err(error) => {
                if shown > before {
                    tries = 0;
                }
                tries += 1;
                if tries > TRIES {
                    note(&format!(
                        "{}: the rest of its output is missing: {error}",
                        request.container
                    ));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200) * tries).await;
            }
        }
    }
    if let Some(lines) = &mut lines {
        // Standard output may be gone; the pod's end is told all the same.
        let _ = print_bytes(&lines.rest());
    }
}

async fn copy_once(
    client: &Client,
    request: &LogRequest,
    lines: &mut Option<Prefixed>,
    shown: &mut u64,
) -> Result<(), ClientError> {
    let mut skip = usize::try_from(*shown).unwrap_or(usize::MAX);
    let mut body = client.logs(request).await?;
    while let Some(piece) = body.next().await? {
        let known = skip.min(piece.len());
        skip -= known;
        let new = piece.get(known..).unwrap_or_default();
        *shown += new.len() as u64;
        let printed = match lines {
            Some(lines) => print_bytes(&lines.add(new)),
            None => print_bytes(new),
        };
        if printed.is_err() {
            // Nobody reads standard output any more: the pod is followed without it.
            return Ok(());
        }
    }
    Ok(())
}
