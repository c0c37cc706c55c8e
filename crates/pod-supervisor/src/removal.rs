//! Takes away what containers leave on the node: cgroups and libcontainer's state. Tried again while something is still busy.

use crate::answers::failure;
use crate::cgroup;
use crate::poll::Due;
use crate::replay::Descriptors;
use crate::state::{Remains, Removal, Supervisor, Then};
use pod_wire::supervisor::ReplyBody;
use std::io;
use std::time::Duration;

/// Tries before a removal fails; with the pauses between, about 10 s.
const TRIES: u32 = 30;

impl Supervisor {
    /// Begins a removal; often it is done when this returns.
    pub(crate) fn remove(&mut self, remains: Remains, then: Then) {
        let number = self.number();
        let removal = Removal {
            remains,
            tries: 0,
            then,
        };
        self.removals.insert(number, removal);
        self.try_removal(number);
    }

    /// One try.
    pub(crate) fn try_removal(&mut self, number: u32) {
        let Some(removal) = self.removals.get_mut(&number) else {
            return;
        };
        removal.tries += 1;
        let result = take_away(&removal.remains);
        if result.is_err() && removal.tries < TRIES {
            // 1, 2, 4, … 512 ms.
            let pause = Duration::from_millis(1 << (removal.tries - 1).min(9));
            self.timers.after(Due::Removal(number), pause);
            return;
        }
        if let Some(removal) = self.removals.remove(&number) {
            self.removed(removal.then, result);
        }
    }

    fn removed(&mut self, then: Then, result: io::Result<()>) {
        match (then, result) {
            (Then::Forget(container, asker), Ok(())) => {
                self.forget(container);
                if let Some(asker) = asker {
                    self.answer(asker, Ok(ReplyBody::Done), Descriptors::None);
                }
            }
            (Then::Forget(container, asker), Err(e)) => {
                if let Some(container) = self.containers.get_mut(&container) {
                    container.deleting = false;
                }
                if let Some(asker) = asker {
                    self.answer(asker, Err(failure("delete", e)), Descriptors::None);
                }
            }
            (Then::Answer(asker, id, failure), Ok(())) => {
                self.place.forget(&id);
                self.answer(asker, Err(failure), Descriptors::None);
            }
            (Then::Answer(asker, _, mut failure), Err(e)) => {
                failure.cause = format!(
                    "{}; and what was made could not be removed: {e}",
                    failure.cause
                );
                self.answer(asker, Err(failure), Descriptors::None);
            }
            // Where something is left of it, its record stays: whoever removes the sandbox meets it again.
            (Then::Undone(id), Ok(())) => self.place.forget(&id),
            (Then::Undone(_), Err(_)) => {}
            (Then::Shutdown(container), Ok(())) => self.forget(container),
            (Then::Shutdown(container), Err(e)) => {
                if let Some(container) = self.containers.get_mut(&container) {
                    container.deleting = false;
                }
                if let Some(asker) = self.shutdown.take() {
                    self.answer(asker, Err(failure("shutdown", e)), Descriptors::None);
                }
            }
        }
    }

    fn forget(&mut self, number: u32) {
        if let Some(container) = self.containers.remove(&number) {
            self.place.forget(&container.id);
        }
    }

    /// Goes one step further towards the end: kill, then remove, then answer and leave.
    pub(crate) fn go_on_with_shutdown(&mut self) {
        let Some(asker) = self.shutdown else {
            return;
        };
        if !self.operations.is_empty() || self.containers.values().any(|c| c.exit.is_none()) {
            return;
        }
        let left: Vec<(u32, Remains)> = self
            .containers
            .iter_mut()
            .filter(|(_, c)| !c.deleting)
            .map(|(n, c)| {
                c.deleting = true;
                (*n, c.remains())
            })
            .collect();
        for (number, remains) in left {
            self.remove(remains, Then::Shutdown(number));
        }
        if self.containers.is_empty() && self.removals.is_empty() && self.shutdown.is_some() {
            self.answer(asker, Ok(ReplyBody::Done), Descriptors::None);
            self.ended = true;
        }
    }
}

fn take_away(remains: &Remains) -> io::Result<()> {
    cgroup::kill(&remains.cgroup_dirs);
    cgroup::remove(&remains.cgroup_dirs)?;
    match std::fs::remove_dir_all(&remains.state_dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io::Error::new(
            e.kind(),
            format!("{}: {e}", remains.state_dir.display()),
        )),
        _ => Ok(()),
    }
}
