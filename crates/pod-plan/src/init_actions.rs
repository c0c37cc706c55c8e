//! Init containers and sidecars: which one is next, which must run again (`computeInitContainerActions` of the kubelet).
//!
//! The list is walked from its end, because records of finished init containers may be lost: the last one that has a record tells
//! how far the pod has come, and nothing before it is looked at again, except that sidecars are kept running.

use crate::sight::{Kill, KillReason, PodActions, Sight, definition_changed, unknown};
use pod_model::container_status::ProbeResult;
use pod_model::pod::{Container, RestartPolicy};
use pod_model::restart::{init_failed, should_restart};
use pod_model::runtime::{ContainerRecord, RunState};

/// How far the walk has come.
struct Walk<'a> {
    sight: Sight<'a>,
    /// Something later than the container at hand has begun, so it has done its work before.
    passed: bool,
    initialized: bool,
    /// In order of the walk.
    start: Vec<usize>,
    kill: Vec<Kill>,
}

/// The pod can never be initialized: an init container failed and may not run again.
struct Over;

/// Enters what init containers and sidecars need. Gives whether the pod is initialized, so that apps may be looked at.
pub(crate) fn init_actions(sight: Sight<'_>, actions: &mut PodActions) -> bool {
    let inits = &sight.pod.spec.init_containers;
    if inits.is_empty() {
        return true;
    }
    let initialized = sight.pod.spec.containers.iter().any(|c| {
        // Exited does not count: after a reboot all records are of the sandbox before.
        let state = sight.newest(c).map(|r| r.state);
        matches!(state, Some(RunState::Created | RunState::Running))
    });
    let mut walk = Walk {
        sight,
        passed: initialized,
        initialized,
        start: Vec::new(),
        kill: Vec::new(),
    };
    for (index, container) in inits.iter().enumerate().rev() {
        if walk.visit(index, container).is_err() {
            actions.kill_pod = true;
            actions.init_to_start.clear();
            actions.to_kill.append(&mut walk.kill);
            return false;
        }
    }
    if !walk.passed {
        walk.start.push(0);
    }
    walk.start.reverse();
    walk.kill.reverse();
    actions.init_to_start = walk.start;
    actions.to_kill.append(&mut walk.kill);
    walk.initialized
}

impl Walk<'_> {
    fn visit(&mut self, index: usize, container: &Container) -> Result<(), Over> {
        let Some(record) = self.sight.newest(container) else {
            if self.passed && container.is_sidecar() {
                self.start.push(index);
            }
            return Ok(());
        };
        if self.passed && !container.is_sidecar() {
            return Ok(());
        }
        match record.state {
            // Made and not started: the runtime failed to start it.
            RunState::Created => self.start.push(index),
            RunState::Running if container.is_sidecar() => {
                self.running_sidecar(index, container, record);
            }
            RunState::Running => {}
            RunState::Exited if container.is_sidecar() => self.start.push(index),
            RunState::Exited => self.exited(index, container, record)?,
            RunState::Unknown => self.unknown(index, container, record)?,
        }
        self.passed = true;
        Ok(())
    }

    fn is_last(&self, index: usize) -> bool {
        index + 1 == self.sight.pod.spec.init_containers.len()
    }

    fn running_sidecar(&mut self, index: usize, container: &Container, record: &ContainerRecord) {
        let name = &container.name;
        if container.startup_probe.is_some() {
            match self.sight.probes.startup.get(name) {
                Some(ProbeResult::Success) => {}
                Some(ProbeResult::Failure) => {
                    let text = format!("Init container {name} failed startup probe");
                    return self.again(index, record, Some(KillReason::StartupProbe), text);
                }
                Some(ProbeResult::Unknown) | None => return,
            }
        }
        if self.is_last(index) {
            self.initialized = true;
        } else if !self.passed {
            self.start.push(index + 1);
        }
        if definition_changed(container, record) {
            let text = format!("Init container {name} definition changed");
            return self.again(index, record, None, text);
        }
        // The next one starts whatever the liveness probe says.
        if container.liveness_probe.is_some() && self.sight.failed(|p| &p.liveness, container) {
            let text = format!("Init container {name} failed liveness probe");
            self.again(index, record, Some(KillReason::LivenessProbe), text);
        }
    }

    fn exited(
        &mut self,
        index: usize,
        container: &Container,
        record: &ContainerRecord,
    ) -> Result<(), Over> {
        let reason = record.exit.as_ref().map_or("", |e| e.reason.as_str());
        if init_failed(record.state, record.exit_code(), reason) {
            if !should_restart(self.sight.pod, container, self.sight.runtime) {
                return Err(Over);
            }
            self.start.push(index);
        } else if self.is_last(index) {
            self.initialized = true;
        } else {
            self.start.push(index + 1);
        }
        Ok(())
    }

    fn unknown(
        &mut self,
        index: usize,
        container: &Container,
        record: &ContainerRecord,
    ) -> Result<(), Over> {
        let policy = container
            .restart_policy
            .unwrap_or(self.sight.pod.spec.restart());
        // Without an exit code no rule can be asked.
        if !container.is_sidecar() && policy == RestartPolicy::Never {
            return Err(Over);
        }
        let text = "Init container is in \"unknown\" state, try killing it before restart";
        self.kill.push(unknown(record, text));
        self.start.push(index);
        Ok(())
    }

    fn again(
        &mut self,
        index: usize,
        record: &ContainerRecord,
        reason: Option<KillReason>,
        message: String,
    ) {
        self.kill.push(Kill {
            id: record.id.clone(),
            name: record.name.clone(),
            reason,
            message,
        });
        self.start.push(index);
    }
}

#[cfg(test)]
mod tests;
