//! Follows a pod to its end: its changes, its output, and what the user's keys ask for.

use super::output::{Outputs, Printer};
use super::progress::Progress;
use super::verdict::{self, End, Verdict};
use crate::cli::connect::{Places, connect};
use crate::cli::delete::delete_and_wait;
use crate::cli::exit::{Code, Failure, Outcome};
use crate::cli::style::Style;
use crate::cli::target::Target;
use crate::cli::view::{self, items, text};
use pod_api::client::{Client, ClientError, Resource, Selectors, WatchStream};
use pod_api::error::Reason;
use pod_api::feed::ChangeKind;
use pod_model::pod::Pod;
use pod_model::status::Phase;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often a lost daemon is looked for before the client gives up.
const TRIES: u32 = 5;
/// How long output is waited for after the pod has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A pod being followed.
pub struct Follow<'a> {
    client: Client,
    places: &'a Places,
    target: Target,
    uid: String,
    pod: Pod,
    progress: Progress,
    outputs: Outputs,
    stopped_by: Option<u8>,
    stops: u32,
}

enum Turn {
    Changed,
    Gone,
    Lost(Option<ClientError>),
    Stop(u8),
}

impl<'a> Follow<'a> {
    /// Follows that pod.
    pub fn new(
        client: Client,
        places: &'a Places,
        target: Target,
        pod: Pod,
        style: Style,
        quiet: bool,
    ) -> Self {
        let printer = Arc::new(Printer::new(&pod, style.stdout));
        let outputs = Outputs::new(client.clone(), target.clone(), printer);
        Self {
            uid: pod.metadata.uid.to_string(),
            client,
            places,
            target,
            pod,
            progress: Progress::new(style.stderr, quiet),
            outputs,
            stopped_by: None,
            stops: 0,
        }
    }

    /// Until the pod has ended, or is gone. Then it is removed, unless it is to be kept.
    pub async fn until_it_ends(mut self, version: String, keep: Keep) -> Outcome<End> {
        let interrupt = SignalKind::interrupt();
        let listen = |kind| {
            signal(kind)
                .map_err(|e| Failure::new(Code::Os, format!("error: listen for signals: {e}")))
        };
        let mut interrupts = listen(interrupt)?;
        let mut terminations = listen(SignalKind::terminate())?;
        let warnings = self
            .progress
            .warnings(&self.client, &self.target, &self.uid);
        let mut watch = self.watch(&version).await?;
        self.see(self.pod.clone());
        let mut lost = 0;
        let mut gone = false;
        while !gone && !self.over() {
            match self
                .turn(&mut watch, &mut interrupts, &mut terminations)
                .await?
            {
                Turn::Changed => lost = 0,
                Turn::Gone => gone = true,
                Turn::Stop(signal) => gone = self.stop(signal).await?,
                Turn::Lost(cause) => {
                    lost += 1;
                    if lost > TRIES {
                        return Err(lost_failure(cause, &self.target));
                    }
                    match self.again(lost).await? {
                        Some(new) => watch = new,
                        None => gone = true,
                    }
                }
            }
        }
        // The node ends the logs of a pod that has ended; this is for one that it cannot be asked about any more.
        let _ = tokio::time::timeout(LAST_WORDS, self.outputs.drain()).await;
        warnings.abort();
        let verdict = verdict::judge(&self.pod);
        let failed = self.pod.status.as_ref().and_then(|s| s.phase) == Some(Phase::Failed);
        let stays = self.stops == 0
            && match keep {
                Keep::Always => true,
                Keep::Failed => failed,
                Keep::Never => false,
            };
        if !gone && !stays {
            self.remove(&mut interrupts).await?;
        }
        if stays && failed && keep == Keep::Failed {
            self.progress.say(&kept(&self.target, &verdict));
        }
        if gone && self.stops == 0 {
            return Err(Failure::new(
                Code::Temporary,
                format!(
                    "error: pod \"{}\" was deleted before it ended",
                    self.target.name
                ),
            ));
        }
        self.progress.ended(&self.pod, &verdict);
        Ok(End {
            pod: self.pod,
            verdict,
            stopped_by: self.stopped_by,
        })
    }

    fn over(&self) -> bool {
        let phase = self.pod.status.as_ref().and_then(|s| s.phase);
        phase.is_some_and(Phase::is_terminal) && self.stops == 0
    }

    async fn watch(&self, version: &str) -> Outcome<WatchStream> {
        let selectors = Selectors::name(&self.target.name);
        let namespace = Some(self.target.namespace.as_str());
        let version = (!version.is_empty()).then_some(version);
        Ok(self
            .client
            .watch(Resource::Pods, namespace, &selectors, version)
            .await?)
    }

    async fn turn(
        &mut self,
        watch: &mut WatchStream,
        interrupts: &mut Signal,
        terminations: &mut Signal,
    ) -> Outcome<Turn> {
        let event = tokio::select! {
            event = watch.next() => event,
            _ = interrupts.recv() => return Ok(Turn::Stop(2)),
            _ = terminations.recv() => return Ok(Turn::Stop(15)),
        };
        let event = match event {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(Turn::Lost(None)),
            Err(error @ (ClientError::Broken { .. } | ClientError::Server(_))) => {
                return Ok(Turn::Lost(Some(error)));
            }
            Err(error) => return Err(error.into()),
        };
        if text(&event.object, "/metadata/uid") != self.uid {
            return Ok(Turn::Gone);
        }
        self.see(view::pod(&event.object)?);
        Ok(match event.kind {
            ChangeKind::Deleted => Turn::Gone,
            _ => Turn::Changed,
        })
    }

    fn see(&mut self, pod: Pod) {
        self.progress.show(&pod);
        self.outputs.begin(&pod);
        self.pod = pod;
    }

    /// The first time with the pod's own grace period, the second time at once; the third time the client leaves. Gives whether
    /// the pod is gone already.
    async fn stop(&mut self, signal: u8) -> Outcome<bool> {
        self.stops += 1;
        self.stopped_by.get_or_insert(signal);
        let name = &self.target.name;
        let grace = match self.stops {
            1 => {
                let seconds = self.pod.spec.termination_grace_period_seconds.unwrap_or(30);
                self.progress.say(&format!(
                    "stopping pod \"{name}\" (its containers have {seconds} s); once more stops it at once"
                ));
                None
            }
            2 => {
                self.progress.say(&format!("killing pod \"{name}\""));
                Some(0)
            }
            _ => {
                return Err(Failure::new(
                    Code::Temporary,
                    format!("error: left before pod \"{name}\" was gone: its deletion goes on"),
                ));
            }
        };
        let deleted = self
            .client
            .delete(
                Resource::Pods,
                &self.target.namespace,
                name,
                grace,
                Some(&self.uid),
            )
            .await;
        match deleted {
            Ok(_) => Ok(false),
            Err(error) if matches!(error.reason(), Some(Reason::NotFound | Reason::Conflict)) => {
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Finds the daemon again, or starts it, and the pod in it. `None`: the pod is gone.
    async fn again(&mut self, tries: u32) -> Outcome<Option<WatchStream>> {
        if tries > 1 {
            tokio::time::sleep(Duration::from_millis(200) * tries).await;
        }
        self.client = connect(self.places).await?;
        let selectors = Selectors::name(&self.target.name);
        let namespace = Some(self.target.namespace.as_str());
        let list = self
            .client
            .list(Resource::Pods, namespace, &selectors)
            .await?;
        let version = text(&list, "/metadata/resourceVersion").to_owned();
        let there = items(list);
        let Some(value) = there.iter().find(|p| text(p, "/metadata/uid") == self.uid) else {
            return Ok(None);
        };
        self.see(view::pod(value)?);
        Ok(Some(self.watch(&version).await?))
    }

    /// Removes the pod; Ctrl-C leaves that to the daemon.
    async fn remove(&mut self, interrupts: &mut Signal) -> Outcome<()> {
        tokio::select! {
            removed = delete_and_wait(&self.client, &self.target, Some(0)) => removed,
            _ = interrupts.recv() => Ok(()),
        }
    }
}

/// Whether a pod stays after it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It does not.
    Never,
    /// When it has failed, to look into it.
    Failed,
    /// It does.
    Always,
}

/// What can be done with a failed pod that is kept.
fn kept(target: &Target, verdict: &Verdict) -> String {
    let (name, namespace) = (&target.name, &target.namespace);
    let namespace = match namespace.as_str() {
        "default" => String::new(),
        other => format!(" -n {other}"),
    };
    let failed = verdict.failed.as_ref();
    let of = failed.map_or_else(String::new, |f| format!(" --target {}", f.name));
    format!(
        "kept: `podwright debug {name}{namespace}{of}` looks into it, `podwright retry {name}{namespace}` goes on where it failed, \
         `podwright delete pod {name}{namespace}` removes it"
    )
}

fn lost_failure(cause: Option<ClientError>, target: &Target) -> Failure {
    let cause = cause.map(|e| format!(": {}", Failure::from(e).message));
    Failure::new(
        Code::Unavailable,
        format!(
            "error: the node daemon is lost{}; pod \"{}\" goes on: `podwright get pod {} -n {}` tells how it is",
            cause.unwrap_or_default(),
            target.name,
            target.name,
            target.namespace
        ),
    )
}
