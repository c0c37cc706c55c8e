//! Ends containers: a signal, a grace period, then the whole cgroup.

use crate::answers::failure;
use crate::cgroup;
use crate::poll::Due;
use crate::state::Supervisor;
use pod_sys::pidfd;
use pod_wire::supervisor::Failure;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Rounds of killing before it is given up until somebody asks again; with the pauses between, about half a minute.
const ROUNDS: u32 = 40;

impl Supervisor {
    /// Signals a container and sets its deadline, never later than one it has already.
    pub(crate) fn stop(&mut self, number: u32, signal: i32, grace_ms: u64) -> Result<(), Failure> {
        let Some(container) = self.containers.get_mut(&number) else {
            return Ok(());
        };
        if container.exit.is_some() {
            return Ok(());
        }
        container.stopped = true;
        // What waits at the start barrier has no handler of its own yet.
        if grace_ms == 0 || container.started_at.is_none() {
            container.kills = 0;
            self.kill(number);
            self.save(number);
            return Ok(());
        }
        if let Some(pidfd) = &container.pidfd
            && let Err(e) = pidfd::send_signal(pidfd, signal)
            && e.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error())
        {
            return Err(failure("stop", format!("signal {signal}: {e}")));
        }
        let due = Due::Kill(number);
        let far = Duration::from_secs(100 * 365 * 24 * 3600);
        let now = Instant::now();
        let deadline = now
            .checked_add(Duration::from_millis(grace_ms).min(far))
            .unwrap_or(now);
        if self.timers.get(due).is_none_or(|at| deadline < at) {
            self.timers.set(due, deadline);
        }
        self.save(number);
        Ok(())
    }

    /// One round of killing a container and everything in its cgroup; it comes again until the container has ended.
    pub(crate) fn kill(&mut self, number: u32) {
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        if container.exit.is_some() || container.kills >= ROUNDS {
            return;
        }
        container.kills += 1;
        // It fails only when the process has ended.
        if let Some(pidfd) = &container.pidfd {
            let _ = pidfd::send_signal(pidfd, Signal::KILL.as_raw());
        }
        cgroup::kill(&container.cgroup_dirs);
        let pause = Duration::from_millis(50) * container.kills.min(20);
        self.timers.after(Due::Kill(number), pause);
    }
}
