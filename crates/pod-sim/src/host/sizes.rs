//! What the user asks for while a pod lives: other sizes, and second chances.

use super::{SimHost, State};
use pod_driver::queue::Message;
use pod_model::config::{ContainerResources, PodCgroup};
use pod_model::ids::ContainerId;
use pod_model::pod::Pod;
use std::time::Duration;

/// How long after a resize everything that runs has its new size: grace and hooks of what must run again for it take their time.
const SETTLES_WITHIN: Duration = Duration::from_secs(120);

impl SimHost {
    /// The pod shall be like that from now on. A start that is `under_way` may still be one of the old size.
    pub fn resized(&self, pod: &Pod, under_way: Duration) {
        let mut state = self.lock();
        state.note("RESIZED".to_owned());
        state.script.pod = pod.clone();
        let until = tokio::time::Instant::now() + under_way;
        state.ledger.sizes_are_new(until);
    }

    /// The pod as it shall be now.
    pub fn pod(&self) -> Pod {
        self.lock().script.pod.clone()
    }

    /// The user gives the pod a second chance; from then on nothing is against its policy.
    pub fn retried(&self, under_way: Duration) {
        let mut state = self.lock();
        state.note("RETRIED".to_owned());
        state.retried = true;
        let until = tokio::time::Instant::now() + under_way;
        state.ledger.second_chance(until);
    }

    /// Whether a pod that has ended may live again.
    pub fn may_live_again(&self) -> bool {
        self.lock().retried
    }

    /// Sends something to the task that is there now.
    pub fn send(&self, message: Message) {
        if let Some(handle) = self.lock().handle.clone() {
            handle.send(message);
        }
    }
}

impl State {
    pub(super) fn resize_pod(&mut self, values: &PodCgroup) {
        if let Some(memory) = values.memory {
            self.pod_memory = Some(memory).filter(|m| *m >= 0);
        }
        self.check_sizes();
    }

    pub(super) fn resize_container(&mut self, id: &ContainerId, values: &ContainerResources) {
        let found = self.containers.iter_mut().find(|c| c.record.id == *id);
        if let (Some(live), Some(memory)) = (found, values.memory_limit) {
            live.memory = Some(memory).filter(|m| *m >= 0);
        }
        self.check_sizes();
    }

    /// No container that runs may have more memory than its pod.
    pub(super) fn check_sizes(&mut self) {
        let Some(most) = self.pod_memory else {
            return;
        };
        let mut running = self.containers.iter().filter(|c| c.record.exit.is_none());
        let over = running.find(|c| c.memory.is_none_or(|m| m > most));
        if let Some(over) = over {
            let text = format!("{} has more memory than its pod ({most})", over.record.name);
            self.wrong(text);
        }
    }

    /// Where the host did all that it was asked, every container that runs has the size that it was given.
    pub(super) fn check_settled(&mut self) {
        let last = self.script.resizes.iter().map(|(at, _)| *at).max();
        let long_ago = last.is_some_and(|at| at + SETTLES_WITHIN < self.began.elapsed());
        let killed = !self.script.kills.is_empty();
        if !long_ago || killed || self.script.fail_before + self.script.fail_after > 0 {
            return;
        }
        let spec = self.script.pod.spec.clone();
        let limit = |name: &str| {
            let limits = spec.find(name).map(|(_, _, c)| &c.resources.limits);
            limits.and_then(|l| l.get("memory")).map(|q| q.value())
        };
        let mut running = self.containers.iter().filter(|c| c.record.exit.is_none());
        let wrong = running.find(|c| c.memory != limit(c.record.name.as_str()));
        if let Some(live) = wrong {
            let text = format!("{} still has {:?}", live.record.name, live.memory);
            self.wrong(text);
        }
    }
}
