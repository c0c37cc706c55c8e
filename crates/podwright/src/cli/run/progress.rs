//! A line on standard error for each step that the pod takes.

use super::verdict::Verdict;
use crate::cli::output::note;
use crate::cli::style::{Color, paint, status_color};
use crate::cli::target::Target;
use crate::cli::view;
use jiff::Timestamp;
use pod_api::client::{Client, Resource, Selectors};
use pod_api::feed::ChangeKind;
use pod_model::event::EventKind;
use pod_model::pod::Pod;
use pod_model::status::ContainerStatus;
use pod_print::pod_row::pod_row;
use pod_print::text::harmless;
use std::collections::BTreeMap;
use tokio::task::JoinHandle;

/// What has been said so far.
#[derive(Debug)]
pub struct Progress {
    color: bool,
    quiet: bool,
    status: String,
    said: BTreeMap<String, String>,
}

impl Progress {
    /// Nothing yet.
    pub fn new(color: bool, quiet: bool) -> Self {
        Self {
            color,
            quiet,
            status: String::new(),
            said: BTreeMap::new(),
        }
    }

    /// A sentence.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            note(text);
        }
    }

    /// What is new of the pod: its STATUS, ends of containers, why one waits.
    pub fn show(&mut self, pod: &Pod) {
        if let Some(status) = &pod.status {
            let all = status
                .init_container_statuses
                .iter()
                .chain(&status.container_statuses);
            for container in all {
                if let Some(text) = news(container) {
                    self.once(container.name.as_str(), &text);
                }
            }
        }
        let word = pod_row(pod, Timestamp::UNIX_EPOCH).status;
        if word != self.status && !word.is_empty() {
            let shown = paint(self.color, status_color(&word), &word);
            self.say(&format!("{}: {shown}", pod.metadata.name));
            self.status = word;
        }
    }

    fn once(&mut self, container: &str, text: &str) {
        if self.said.get(container).is_some_and(|s| s == text) {
            return;
        }
        self.said.insert(container.to_owned(), text.to_owned());
        let line = format!("  {container}: {}", harmless(text));
        self.say(&paint(self.color, Color::Faint, &line));
    }

    /// Tells Warning events of the pod as they come.
    pub fn warnings(&self, client: &Client, target: &Target, uid: &str) -> JoinHandle<()> {
        let (client, quiet, color) = (client.clone(), self.quiet, self.color);
        let namespace = target.namespace.clone();
        let selectors = Selectors {
            labels: String::new(),
            fields: format!("involvedObject.uid={uid},type=Warning"),
        };
        tokio::spawn(async move {
            if quiet {
                return;
            }
            let watch = client.watch(Resource::Events, Some(&namespace), &selectors, None);
            let Ok(mut watch) = watch.await else {
                return;
            };
            // When the daemon goes, the pod's own changes tell what is to be known.
            while let Ok(Some(change)) = watch.next().await {
                if change.kind != ChangeKind::Added {
                    continue;
                }
                let Ok(event) = view::event(&change.object) else {
                    continue;
                };
                // What a container's own state says already is not said twice.
                let doubled = matches!(event.reason.as_str(), "BackOff" | "Failed");
                if event.kind == EventKind::Warning && !doubled {
                    let line = format!("  {}: {}", event.reason, harmless(&event.message));
                    note(&paint(color, Color::Red, &line));
                }
            }
        })
    }

    /// The last word.
    pub fn ended(&self, pod: &Pod, verdict: &Verdict) {
        let Some(failed) = &verdict.failed else {
            if let Some(why) = verdict.why.as_deref() {
                let line = format!("pod \"{}\" failed: {}", pod.metadata.name, harmless(why));
                self.say(&paint(self.color, Color::Red, &line));
            }
            return;
        };
        let line = format!(
            "{} \"{}\" failed with exit status {}",
            failed.role, failed.name, failed.exit_code
        );
        self.say(&paint(self.color, Color::Red, &line));
    }
}

/// Why a container does not run, where that needs words.
fn news(container: &ContainerStatus) -> Option<String> {
    let state = &container.state;
    if let Some(waiting) = &state.waiting {
        let known = ["", "PodInitializing", "ContainerCreating"];
        if known.contains(&waiting.reason.as_str()) {
            return None;
        }
        return Some(if waiting.message.is_empty() {
            waiting.reason.clone()
        } else {
            format!("{}: {}", waiting.reason, waiting.message)
        });
    }
    let end = state.terminated.as_ref().filter(|t| t.exit_code != 0)?;
    let message = end.message.trim_end();
    Some(if message.is_empty() {
        format!("ended with exit status {} ({})", end.exit_code, end.reason)
    } else {
        format!(
            "ended with exit status {} ({}): {message}",
            end.exit_code, end.reason
        )
    })
}
