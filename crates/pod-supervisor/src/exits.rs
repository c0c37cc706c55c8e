//! How containers and exec'd processes end, and who else is reaped.

use crate::cgroup;
use crate::poll::Due;
use crate::records::{now, write_exit};
use crate::state::{Supervisor, Work};
use pod_sys::pidfd::{self, Outcome, Status};
use pod_wire::supervisor::{Event, ExitRecord};

/// What is recorded where the kernel does not say how a process ended (the node calls it ContainerStatusUnknown).
const UNKNOWN: i32 = 255;

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Known(Status),
    /// Nobody can know.
    Unknown,
}

impl Supervisor {
    /// A container's pidfd says that it ended. Record first, then tell.
    pub(crate) fn container_ended(&mut self, number: u32) {
        let Some(container) = self.containers.get(&number).filter(|c| c.exit.is_none()) else {
            return;
        };
        let Some(pidfd) = &container.pidfd else {
            return;
        };
        let Some(ended) = ended(pidfd::outcome(pidfd, container.process.pid)) else {
            return;
        };
        self.poll.forget(pidfd);
        self.record_end(number, ended);
    }

    /// Enters the end of a container.
    pub(crate) fn record_end(&mut self, number: u32, ended: Ended) {
        let Some(container) = self.containers.get(&number).filter(|c| c.exit.is_none()) else {
            return;
        };
        let finished_at = now();
        // Where it shared a pid namespace its children live on: they end with it, as they would in one of its own.
        cgroup::kill(&container.cgroup_dirs);
        let oom = cgroup::oom_kills(&container.cgroup_dirs) > 0;
        self.timers.cancel(Due::Kill(number));
        let dropped_lines = self.drain(number);
        let Some(container) = self.containers.get_mut(&number) else {
            return;
        };
        let record = ExitRecord {
            id: container.id.clone(),
            code: match ended {
                Ended::Known(status) => status.code,
                Ended::Unknown => UNKNOWN,
            },
            signal: match ended {
                Ended::Known(status) => status.signal,
                Ended::Unknown => None,
            },
            unknown: ended == Ended::Unknown,
            oom,
            started_at: container.started_at.clone(),
            finished_at,
            dropped_lines,
        };
        // Its room was taken at create, so a full disk does not matter here; the state answer has it in any case.
        let _ = self
            .spare
            .lend(|| write_exit(&container.exit_file, &record));
        container.exit = Some(record.clone());
        // One that ended by itself is often followed by another: the launcher starts while the node daemon decides.
        let follows = !container.pause && !container.stopped;
        self.tell(Event::Exited(record));
        if follows {
            self.prepare_launcher();
        }
        // For a successor only: nobody waits for it.
        self.save(number);
    }

    /// An exec'd process's pidfd says that it ended.
    pub(crate) fn exec_ended(&mut self, number: u32) {
        let Some(exec) = self.execs.get(&number) else {
            return;
        };
        let Some(pidfd) = &exec.pidfd else {
            return;
        };
        let Some(ended) = ended(pidfd::outcome(pidfd, exec.process.pid)) else {
            return;
        };
        self.poll.forget(pidfd);
        self.record_exec_end(number, ended);
    }

    /// Enters the end of an exec'd process.
    pub(crate) fn record_exec_end(&mut self, number: u32, ended: Ended) {
        let Some(exec) = self.execs.remove(&number) else {
            return;
        };
        if let Some(container) = self.find(&exec.container) {
            self.save(container);
        }
        self.tell(Event::ExecExited {
            id: exec.container,
            exec: exec.name,
            code: match ended {
                Ended::Known(status) => status.code,
                Ended::Unknown => UNKNOWN,
            },
        });
    }

    /// Reaps children that nobody waits for: processes that lost their parent. Gives `false` while that must wait: a launcher's answer
    /// is on its way, and one of them may be what it speaks of.
    pub(crate) fn reap_strangers(&mut self) -> bool {
        let mut last = None;
        loop {
            let awaited = |w: &Work| matches!(w, Work::Create(_) | Work::Exec { .. });
            if self.operations.values().any(|o| awaited(&o.work)) {
                return false;
            }
            let Ok(Some(pid)) = pidfd::peek_ended_child() else {
                return true;
            };
            if last != Some(pid) {
                last = Some(pid);
                if self.ended_of_ours(pid) {
                    continue;
                }
            }
            pidfd::reap(pid);
        }
    }

    /// Handles the end of a process that has a record. `false`: it has none.
    fn ended_of_ours(&mut self, pid: i32) -> bool {
        let live = self.containers.iter().filter(|(_, c)| c.exit.is_none());
        let container = live
            .filter(|(_, c)| c.process.pid == pid)
            .map(|(n, _)| *n)
            .next();
        if let Some(number) = container {
            self.container_ended(number);
            return true;
        }
        let exec = self
            .execs
            .iter()
            .find(|(_, e)| e.process.pid == pid)
            .map(|(n, _)| *n);
        if let Some(number) = exec {
            self.exec_ended(number);
            return true;
        }
        // A launcher that has answered is reaped here or by its pidfd, whichever comes first: nobody asks for its status.
        false
    }
}

fn ended(outcome: std::io::Result<Outcome>) -> Option<Ended> {
    match outcome {
        Ok(Outcome::Running) => None,
        Ok(Outcome::Exited(status)) => Some(Ended::Known(status)),
        Ok(Outcome::Unknown) | Err(_) => Some(Ended::Unknown),
    }
}
