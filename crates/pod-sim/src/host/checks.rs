//! What must hold when a verb is asked for and when a container ends.

use super::State;
use crate::rules::{Started, out_of_turn};
use pod_model::config::ContainerConfig;
use pod_model::ids::{ContainerId, SandboxId};
use pod_model::pod::{Container, RestartPolicy};
use pod_model::status::ContainerStatus;
use pod_plan::timeouts::REASON;
use std::time::Duration;

/// How much later than its time something may come in a life without failures, beside what verbs and messages take.
const SLACK: Duration = Duration::from_secs(1);

/// What a container gets that has used up its grace in its preStop hook.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// Times that are less apart count as one.
const ROUNDED: Duration = Duration::from_millis(5);

impl State {
    /// Whether a sandbox runs, as far as the task can have heard.
    fn seems_ready(&self, id: &SandboxId) -> bool {
        let unheard = self.script.hears_late + ROUNDED;
        self.lost_at.is_some_and(|at| at.elapsed() <= unheard)
            || self.sandboxes.iter().any(|s| s.id == *id && s.ready)
    }

    /// What must hold when a sandbox is asked for.
    pub(super) fn check_sandbox(&mut self) {
        if self.deleted {
            self.wrong("a sandbox was made after the deletion".to_owned());
        }
        if self.sandboxes.iter().any(|s| s.ready) {
            self.wrong("a second sandbox was made".to_owned());
        }
    }

    /// What must hold when a container is started.
    pub(super) fn check_start(&mut self, config: &ContainerConfig) {
        let now = tokio::time::Instant::now();
        let running = |name: &str| {
            let mut all = self.containers.iter();
            all.any(|c| c.record.name == name && c.record.exit.is_none())
        };
        let started = Started {
            pod: &self.script.pod,
            name: config.name.as_str(),
            attempt: config.attempt,
            sandbox: &config.sandbox,
            sandbox_ready: self.seems_ready(&config.sandbox),
            deleted: self.deleted,
            running: &running,
            in_time: self.apps_come_in_time() && self.going.is_none(),
            now,
        };
        let wrong = self.ledger.check(&started);
        for text in wrong {
            self.wrong(text);
        }
    }

    /// Whether every app that ended starts again when its back-off is over: nothing fails, and there are no sidecars, for which apps
    /// wait as long as none of them runs (`computeInitContainerActions`).
    pub(super) fn apps_come_in_time(&self) -> bool {
        let spec = &self.script.pod.spec;
        self.script.is_faultless()
            && spec.restart() == RestartPolicy::Always
            && spec.active_deadline_seconds.is_none()
            && !spec.init_containers.iter().any(Container::is_sidecar)
    }

    /// A sidecar ends after the apps and after the sidecars that follow it, as long as there is grace.
    pub(super) fn check_stop(&mut self, id: &ContainerId) {
        for live in &mut self.containers {
            live.asked |= live.record.id == *id;
        }
        let Some(going) = self.going else {
            return;
        };
        let spec = &self.script.pod.spec;
        // What ended before by its deadline has had its grace from then on.
        if spec.active_deadline_seconds.is_some() {
            return;
        }
        let own = spec.termination_grace_period_seconds.unwrap_or(30);
        let grace = self.script.grace.min(u64::try_from(own).unwrap_or(0));
        let over = going + Duration::from_secs(grace) - ROUNDED;
        let Some(live) = self.containers.iter().find(|c| c.record.id == *id) else {
            return;
        };
        if self.ending_before
            || live.kill_at.is_some()
            || tokio::time::Instant::now() >= over
            || grace == 0
        {
            return;
        }
        let running: Vec<&str> = self
            .containers
            .iter()
            .filter(|c| c.record.exit.is_none())
            .map(|c| c.record.name.as_str())
            .collect();
        let name = live.record.name.to_string();
        if let Some(text) = out_of_turn(&self.script.pod, &name, &running) {
            self.wrong(text);
        }
    }

    /// What runs may not be taken its sandbox away while it has grace.
    pub(super) fn check_stop_of_sandbox(&mut self, id: &SandboxId) {
        let Some(going) = self.going else {
            return;
        };
        let over = going + Duration::from_secs(self.script.grace);
        if self.ending_before || tokio::time::Instant::now() + ROUNDED >= over {
            return;
        }
        let mut all = self.containers.iter();
        let runs = all.find(|c| c.record.sandbox == *id && c.record.exit.is_none());
        // What was killed already is about to end.
        if let Some(live) = runs.filter(|c| c.kill_at.is_none()) {
            let name = live.record.name.clone();
            self.wrong(format!("the sandbox was stopped while {name} had grace"));
        }
    }

    /// A container ended: not killed before its grace was over, and not long after.
    pub(super) fn check_end(&mut self, name: &str, killed: bool) {
        let (Some(going), false) = (self.going, self.ending_before) else {
            return;
        };
        if self.script.pod.spec.active_deadline_seconds.is_some() {
            return;
        }
        let (now, grace) = (
            tokio::time::Instant::now(),
            Duration::from_secs(self.script.grace),
        );
        if killed && now + ROUNDED < going + grace {
            let early = going + grace - now;
            self.wrong(format!(
                "{name} was killed {early:?} before its grace was over"
            ));
        }
        if !self.script.is_faultless() {
            return;
        }
        // Sidecars end one after the other, each with the least grace at least, after the apps.
        let inits = &self.script.pod.spec.init_containers;
        let turns = u32::try_from(inits.iter().filter(|c| c.is_sidecar()).count()).unwrap_or(0) + 1;
        let verbs = (self.script.slow * 4 + self.script.hears_late + LEAST_GRACE) * turns;
        let late = going + grace + verbs + SLACK;
        if now > late {
            self.wrong(format!(
                "{name} ended {:?} after the deletion with a grace of {grace:?}",
                now - going
            ));
        }
    }

    pub(super) fn lie(
        &self,
        status: &ContainerStatus,
        old: Option<&ContainerStatus>,
    ) -> Option<String> {
        let name = &status.name;
        if old.is_some_and(|o| o.restart_count > status.restart_count) {
            return Some(format!("the restart count of {name} went down"));
        }
        let id = status
            .container_id
            .strip_prefix(pod_plan::plan::ID_PREFIX)?;
        let live = self.containers.iter().find(|c| c.record.id == id)?;
        let running = status.state.running.is_some();
        // A pod that is going is not asked whether it has started.
        if status.ready && running && !live.up && self.going.is_none() {
            return Some(format!("{name} was said to be ready before it was up"));
        }
        let exit = live.record.exit.as_ref();
        let told = status.state.terminated.as_ref()?;
        match exit {
            // What cannot be told in the end is said to be unknown.
            _ if told.reason == "ContainerStatusUnknown" => None,
            // An end that came too late is none that counts.
            Some(_) if told.reason == REASON => None,
            None => Some(format!("{name} was said to have ended and runs")),
            Some(exit) if exit.code != told.exit_code => Some(format!(
                "{name} was said to have ended with {} and ended with {}",
                told.exit_code, exit.code
            )),
            Some(_) => None,
        }
    }
}
